//! Tokens to the generic syntax tree (RFC 5228 §8.2): what any extension's script looks like, its meaning aside.

use crate::diagnostic::{Diagnostic, Pos, shown};
use crate::lexer::{Lexer, Token};
use crate::limits::Limits;

/// A command, control or action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Command {
    pub pos: Pos,
    /// Lower case.
    pub name: String,
    pub arguments: Arguments,
    pub block: Option<Vec<Command>>,
}

/// What follows the name of a command or a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub list: Vec<Argument>,
    pub tests: Vec<Test>,
    /// The tests stand in parentheses.
    pub test_list: bool,
    /// Where they end.
    pub end: Pos,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Test {
    pub pos: Pos,
    /// Lower case.
    pub name: String,
    pub arguments: Arguments,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Argument {
    pub pos: Pos,
    pub kind: ArgumentKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ArgumentKind {
    Tag(String),
    Number(u64),
    Text(String),
    List(Vec<(Pos, String)>),
}

/// Parses a script; the first error ends it, since what follows a broken command is guesswork.
pub(crate) fn parse(source: &str, limits: &Limits) -> Result<Vec<Command>, Diagnostic> {
    let mut parser = Parser { lexer: Lexer::new(source), ahead: None, limits, commands: 0, arguments: 0 };
    let commands = parser.commands(0)?;
    match parser.next()? {
        (Token::End, _) => Ok(commands),
        (token, pos) => Err(Diagnostic::error(pos, format!("{} does not belong here", name_of(&token)))),
    }
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    ahead: Option<(Token, Pos)>,
    limits: &'a Limits,
    commands: usize,
    arguments: usize,
}

fn name_of(token: &Token) -> String {
    match token {
        Token::Name(n) => format!("`{}`", shown(n)),
        Token::Tag(n) => format!("`:{}`", shown(n)),
        Token::Number(n) => format!("the number {n}"),
        Token::Text(_) => "this string".into(),
        Token::Mark(c) => format!("`{c}`"),
        Token::End => "the end of the script".into(),
    }
}

impl Parser<'_> {
    fn next(&mut self) -> Result<(Token, Pos), Diagnostic> {
        match self.ahead.take() {
            Some(token) => Ok(token),
            None => self.lexer.next(),
        }
    }
    fn peek(&mut self) -> Result<&(Token, Pos), Diagnostic> {
        let next = self.next()?;
        Ok(self.ahead.insert(next))
    }
    fn is_mark(&mut self, mark: char) -> Result<bool, Diagnostic> {
        Ok(self.peek()?.0 == Token::Mark(mark))
    }
    fn take_mark(&mut self, mark: char) -> Result<bool, Diagnostic> {
        let is = self.is_mark(mark)?;
        if is {
            self.next()?;
        }
        Ok(is)
    }
    fn expect(&mut self, mark: char) -> Result<Pos, Diagnostic> {
        match self.next()? {
            (Token::Mark(c), pos) if c == mark => Ok(pos),
            (token, pos) => Err(Diagnostic::error(pos, format!("`{mark}` is missing before {}", name_of(&token)))),
        }
    }

    fn commands(&mut self, depth: usize) -> Result<Vec<Command>, Diagnostic> {
        let mut out = Vec::new();
        while let Token::Name(_) = self.peek()?.0 {
            out.push(self.command(depth)?);
        }
        Ok(out)
    }

    fn command(&mut self, depth: usize) -> Result<Command, Diagnostic> {
        let (token, pos) = self.next()?;
        let Token::Name(name) = token else {
            return Err(Diagnostic::error(pos, format!("a command must stand here, not {}", name_of(&token))));
        };
        self.commands += 1;
        if self.commands > self.limits.commands {
            return Err(Diagnostic::error(pos, format!("the script has more than {} commands", self.limits.commands)));
        }
        let arguments = self.arguments(0)?;
        let block = if self.is_mark('{')? {
            let (_, open) = self.next()?;
            if depth >= self.limits.nesting {
                let max = self.limits.nesting;
                return Err(Diagnostic::error(open, format!("blocks are nested more than {max} deep")));
            }
            let block = self.commands(depth + 1)?;
            match self.next()? {
                (Token::Mark('}'), _) => Some(block),
                (Token::End, _) => return Err(Diagnostic::error(open, "this block has no end: `}` is missing")),
                (token, pos) => {
                    return Err(Diagnostic::error(pos, format!("{} does not belong here", name_of(&token))));
                }
            }
        } else {
            match self.next()? {
                (Token::Mark(';'), _) => None,
                (token, pos) => {
                    let text =
                        format!("`;` or a block is missing before {}, after `{}`", name_of(&token), shown(&name));
                    return Err(Diagnostic::error(pos, text));
                }
            }
        };
        Ok(Command { pos, name, arguments, block })
    }

    fn count(&mut self, pos: Pos) -> Result<(), Diagnostic> {
        self.arguments += 1;
        let max = self.limits.arguments;
        if self.arguments > max {
            return Err(Diagnostic::error(pos, format!("the script has more than {max} arguments")));
        }
        Ok(())
    }

    fn arguments(&mut self, depth: usize) -> Result<Arguments, Diagnostic> {
        let mut list = Vec::new();
        loop {
            let kind = match &self.peek()?.0 {
                Token::Tag(_) | Token::Number(_) | Token::Text(_) => None,
                Token::Mark('[') => Some(()),
                _ => break,
            };
            let (token, pos) = self.next()?;
            self.count(pos)?;
            let kind = match (kind, token) {
                (Some(()), _) => ArgumentKind::List(self.list()?),
                (_, Token::Tag(t)) => ArgumentKind::Tag(t),
                (_, Token::Number(n)) => ArgumentKind::Number(n),
                (_, Token::Text(t)) => ArgumentKind::Text(t),
                _ => break,
            };
            list.push(Argument { pos, kind });
        }
        let mut tests = Vec::new();
        let mut test_list = false;
        if self.is_mark('(')? {
            let (_, pos) = self.next()?;
            self.deep(depth, pos)?;
            test_list = true;
            loop {
                tests.push(self.test(depth + 1)?);
                if !self.take_mark(',')? {
                    break;
                }
            }
            self.expect(')')?;
        } else if let (Token::Name(_), pos) = *self.peek()? {
            self.deep(depth, pos)?;
            tests.push(self.test(depth + 1)?);
        }
        let end = self.peek()?.1;
        Ok(Arguments { list, tests, test_list, end })
    }

    fn deep(&self, depth: usize, pos: Pos) -> Result<(), Diagnostic> {
        let max = self.limits.nesting;
        if depth >= max {
            return Err(Diagnostic::error(pos, format!("tests are nested more than {max} deep")));
        }
        Ok(())
    }

    fn list(&mut self) -> Result<Vec<(Pos, String)>, Diagnostic> {
        let mut out = Vec::new();
        // RFC 5228 §8.2 has no empty list.
        loop {
            match self.next()? {
                (Token::Text(text), pos) => {
                    self.count(pos)?;
                    out.push((pos, text));
                }
                (token, pos) => {
                    return Err(Diagnostic::error(pos, format!("a string must stand here, not {}", name_of(&token))));
                }
            }
            if !self.take_mark(',')? {
                break;
            }
        }
        self.expect(']')?;
        Ok(out)
    }

    fn test(&mut self, depth: usize) -> Result<Test, Diagnostic> {
        match self.next()? {
            (Token::Name(name), pos) => {
                self.count(pos)?;
                Ok(Test { pos, name, arguments: self.arguments(depth)? })
            }
            (token, pos) => Err(Diagnostic::error(pos, format!("a test must stand here, not {}", name_of(&token)))),
        }
    }
}
