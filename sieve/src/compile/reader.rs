//! The arguments of a command or test, taken one by one.

use super::{Bad, Compiler, Result1, bad, unknown};
use crate::diagnostic::{Pos, shown};
use crate::program::Texts;
use crate::syntax::{Argument, ArgumentKind, Arguments, Command, Test};
use crate::text::Text;

pub(crate) struct Reader<'a> {
    pub name: &'a str,
    pub pos: Pos,
    arguments: &'a Arguments,
    at: usize,
}

impl<'a> Reader<'a> {
    /// Of a command that has neither block nor tests.
    pub fn command(command: &'a Command) -> Result1<Self> {
        if command.block.is_some() {
            return bad(command.arguments.end, format!("`{}` has no block", command.name));
        }
        Self::new(&command.name, command.pos, &command.arguments)
    }
    /// Of a command that has a block.
    pub fn block_command(command: &'a Command) -> Result1<Self> {
        Self::new(&command.name, command.pos, &command.arguments)
    }
    /// Of a test that has no tests inside.
    pub fn test(test: &'a Test) -> Result1<Self> {
        Self::new(&test.name, test.pos, &test.arguments)
    }
    fn new(name: &'a str, pos: Pos, arguments: &'a Arguments) -> Result1<Self> {
        if let Some(test) = arguments.tests.first() {
            return bad(test.pos, format!("`{name}` takes no test"));
        }
        Ok(Reader { name, pos, arguments, at: 0 })
    }

    fn peek(&self) -> Option<&'a Argument> {
        self.arguments.list.get(self.at)
    }

    /// The next tag, if one is next.
    pub fn tag(&mut self) -> Option<(Pos, &'a str)> {
        let argument = self.peek()?;
        let ArgumentKind::Tag(tag) = &argument.kind else { return None };
        self.at += 1;
        Some((argument.pos, tag))
    }

    /// The error for a tag that the command does not know.
    pub fn unknown_tag<T>(&self, pos: Pos, tag: &str) -> Result1<T> {
        unknown(pos, format!("`{}` has no argument `:{}`", self.name, shown(tag)))
    }

    /// How many positional arguments are left.
    pub fn left(&self) -> usize {
        self.arguments.list.len().saturating_sub(self.at)
    }

    fn wrong<T>(&self, what: &str) -> Result1<T> {
        match self.peek() {
            None => bad(self.arguments.end, format!("{what} is missing at the end of `{}`", self.name)),
            Some(Argument { pos, kind: ArgumentKind::Tag(tag) }) => {
                bad(*pos, format!("`:{}` must stand before {what} of `{}`", shown(tag), self.name))
            }
            Some(a) => bad(a.pos, format!("here `{}` takes {what}", self.name)),
        }
    }

    /// A single string as written. A list of one string is none (RFC 5228 §2.4.2.1 allows only the opposite).
    pub fn string(&mut self, what: &str) -> Result1<(Pos, &'a str)> {
        match self.peek() {
            Some(Argument { pos, kind: ArgumentKind::Text(text) }) => {
                self.at += 1;
                Ok((*pos, text))
            }
            _ => self.wrong(what),
        }
    }

    pub fn list(&mut self, what: &str) -> Result1<Vec<(Pos, String)>> {
        match self.peek() {
            Some(Argument { pos, kind: ArgumentKind::Text(text) }) => {
                self.at += 1;
                Ok(vec![(*pos, text.clone())])
            }
            Some(Argument { kind: ArgumentKind::List(list), .. }) => {
                self.at += 1;
                Ok(list.clone())
            }
            _ => self.wrong(what),
        }
    }

    pub fn number(&mut self, what: &str) -> Result1<(Pos, u64)> {
        match self.peek() {
            Some(Argument { pos, kind: ArgumentKind::Number(number) }) => {
                self.at += 1;
                Ok((*pos, *number))
            }
            _ => self.wrong(what),
        }
    }

    /// Nothing may be left.
    pub fn end(&self) -> Result1<()> {
        match self.peek() {
            None => Ok(()),
            Some(Argument { pos, kind: ArgumentKind::Tag(tag) }) => {
                bad(*pos, format!("`:{}` must stand before the other arguments of `{}`", shown(tag), self.name))
            }
            Some(a) => bad(a.pos, format!("`{}` takes no more arguments", self.name)),
        }
    }

    pub fn text(&mut self, compiler: &Compiler<'_>, what: &str) -> Result1<Text> {
        let (pos, text) = self.string(what)?;
        compiler.text(pos, text)
    }
    pub fn texts(&mut self, compiler: &Compiler<'_>, what: &str) -> Result1<Texts> {
        compiler.texts(self.list(what)?)
    }
}

/// Puts a tag's value in its place, which must be empty.
pub(crate) fn once<T>(slot: &mut Option<T>, value: T, pos: Pos, tag: &str) -> Result<(), Bad> {
    if slot.is_some() {
        return bad(pos, format!("`:{tag}` stands here twice, or with what excludes it"));
    }
    *slot = Some(value);
    Ok(())
}

/// The same for a tag without value.
pub(crate) fn flag(slot: &mut bool, pos: Pos, tag: &str) -> Result<(), Bad> {
    if std::mem::replace(slot, true) {
        return bad(pos, format!("`:{tag}` stands here twice"));
    }
    Ok(())
}
