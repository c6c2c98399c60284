//! Bytes to tokens (RFC 5228 §8.1).

use crate::diagnostic::{Diagnostic, Pos, shown};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// `keep`, lower case.
    Name(String),
    /// `:copy`, lower case, without its colon.
    Tag(String),
    Number(u64),
    /// Quoted or `text:`, escapes and dots undone.
    Text(String),
    /// One of `;,()[]{}`.
    Mark(char),
    End,
}

/// The longest name or tag, bytes: longer than any that means something.
const NAME_BYTES_MAX: usize = 64;

pub(crate) struct Lexer<'a> {
    source: &'a str,
    at: usize,
    pos: Pos,
}

impl<'a> Lexer<'a> {
    pub fn new(source: &'a str) -> Self {
        // A byte order mark is no part of the script.
        Lexer { source: source.strip_prefix('\u{feff}').unwrap_or(source), at: 0, pos: Pos { line: 1, column: 1 } }
    }

    fn rest(&self) -> &'a str {
        &self.source[self.at..]
    }
    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }
    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        if c == '\n' {
            self.pos = Pos { line: self.pos.line.saturating_add(1), column: 1 };
        } else {
            self.pos.column = self.pos.column.saturating_add(1);
        }
        Some(c)
    }
    fn take_while(&mut self, keep: impl Fn(char) -> bool) -> &'a str {
        let start = self.at;
        while self.peek().is_some_and(&keep) {
            self.bump();
        }
        &self.source[start..self.at]
    }

    /// White space and comments.
    fn skip(&mut self) -> Result<(), Diagnostic> {
        loop {
            match self.peek() {
                Some(' ' | '\t' | '\r' | '\n') => {
                    self.bump();
                }
                Some('#') => {
                    self.take_while(|c| c != '\n');
                }
                Some('/') if self.rest().starts_with("/*") => {
                    let start = self.pos;
                    self.bump();
                    self.bump();
                    while !self.rest().starts_with("*/") {
                        if self.bump().is_none() {
                            return Err(Diagnostic::error(start, "this comment has no end: `*/` is missing"));
                        }
                    }
                    self.bump();
                    self.bump();
                }
                _ => return Ok(()),
            }
        }
    }

    /// The next token and where it begins.
    pub fn next(&mut self) -> Result<(Token, Pos), Diagnostic> {
        self.skip()?;
        let start = self.pos;
        let Some(c) = self.peek() else { return Ok((Token::End, start)) };
        let token = match c {
            ';' | ',' | '(' | ')' | '[' | ']' | '{' | '}' => {
                self.bump();
                Token::Mark(c)
            }
            '"' => Token::Text(self.quoted(start)?),
            '0'..='9' => Token::Number(self.number(start)?),
            ':' => {
                self.bump();
                match self.name(start)? {
                    name if name.is_empty() => return Err(Diagnostic::error(start, "a tag's name must follow `:`")),
                    name => Token::Tag(name),
                }
            }
            'a'..='z' | 'A'..='Z' | '_' => {
                let name = self.name(start)?;
                if name == "text" && self.peek() == Some(':') {
                    Token::Text(self.multi_line(start)?)
                } else {
                    Token::Name(name)
                }
            }
            _ => {
                return Err(Diagnostic::error(start, format!("`{}` does not belong here", shown(&c.to_string()))));
            }
        };
        Ok((token, start))
    }

    fn name(&mut self, start: Pos) -> Result<String, Diagnostic> {
        if self.peek().is_some_and(|c| c.is_ascii_digit()) {
            return Err(Diagnostic::error(start, "a name cannot begin with a digit"));
        }
        let name = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
        if name.len() > NAME_BYTES_MAX {
            return Err(Diagnostic::error(start, format!("this name is longer than {NAME_BYTES_MAX} characters")));
        }
        Ok(name.to_ascii_lowercase())
    }

    /// RFC 5228 §2.4.1: digits, and K, M or G for powers of 1,024.
    fn number(&mut self, start: Pos) -> Result<u64, Diagnostic> {
        let digits = self.take_while(|c| c.is_ascii_digit());
        let too_large = || Diagnostic::error(start, "this number is too large");
        let number: u64 = digits.parse().map_err(|_| too_large())?;
        let suffix = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
        let unit = match suffix {
            "" => 1,
            "k" | "K" => 1 << 10,
            "m" | "M" => 1 << 20,
            "g" | "G" => 1 << 30,
            _ => return Err(Diagnostic::error(start, format!("`{}{}` is no number", shown(digits), shown(suffix)))),
        };
        // 63 bits are enough for all, and safe in signed arithmetic.
        number.checked_mul(unit).filter(|n| i64::try_from(*n).is_ok()).ok_or_else(too_large)
    }

    /// RFC 5228 §2.4.2: `\"` and `\\`; a backslash before another character means nothing.
    fn quoted(&mut self, start: Pos) -> Result<String, Diagnostic> {
        self.bump();
        let mut out = String::new();
        loop {
            let c = match self.bump() {
                Some('"') => return Ok(out),
                Some('\\') => self.bump(),
                c => c,
            };
            match c {
                Some('\0') => return Err(Diagnostic::error(start, "a string cannot hold a NUL character")),
                Some(c) => out.push(c),
                None => return Err(Diagnostic::error(start, "this string has no end: `\"` is missing")),
            }
        }
    }

    /// `text:` up to a line that is a single dot (RFC 5228 §2.4.2); its line breaks are CRLF.
    fn multi_line(&mut self, start: Pos) -> Result<String, Diagnostic> {
        self.bump();
        self.take_while(|c| matches!(c, ' ' | '\t'));
        if self.peek() == Some('#') {
            self.take_while(|c| c != '\n');
        }
        self.take_while(|c| c == '\r');
        if self.bump() != Some('\n') {
            return Err(Diagnostic::error(start, "only a comment may follow `text:` on its line"));
        }
        let mut out = String::new();
        loop {
            let line = self.take_while(|c| c != '\n');
            let ended = self.bump().is_some();
            let line = line.strip_suffix('\r').unwrap_or(line);
            match line.strip_prefix('.') {
                Some("") => return Ok(out),
                // Dots at the beginning are doubled; a single one before other text is let through.
                Some(rest) if rest.starts_with('.') => out.push_str(rest),
                _ => out.push_str(line),
            }
            if line.contains('\0') {
                return Err(Diagnostic::error(start, "a string cannot hold a NUL character"));
            }
            if !ended {
                return Err(Diagnostic::error(start, "this text has no end: a line with a single `.` is missing"));
            }
            out.push_str("\r\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(source: &str) -> Result<Vec<Token>, Diagnostic> {
        let mut lexer = Lexer::new(source);
        let mut out = Vec::new();
        loop {
            match lexer.next()? {
                (Token::End, _) => return Ok(out),
                (token, _) => out.push(token),
            }
        }
    }

    #[test]
    fn tokens() {
        let got = all("Keep :COPY 10k /* a\n */ \"x\\\"\\y\" # end\n text: # c\r\n..dot\r\n.x\r\n.\r\n[1];").unwrap();
        let want = [
            Token::Name("keep".into()),
            Token::Tag("copy".into()),
            Token::Number(10_240),
            Token::Text("x\"y".into()),
            Token::Text(".dot\r\n.x\r\n".into()),
            Token::Mark('['),
            Token::Number(1),
            Token::Mark(']'),
            Token::Mark(';'),
        ];
        assert_eq!(got, want);
    }

    #[test]
    fn errors_have_places() {
        for (source, line, column) in [
            ("keep;\n  \"open", 2, 3),
            ("/* open", 1, 1),
            (" text: x", 1, 2),
            ("text:\nabc", 1, 1),
            ("é", 1, 1),
            ("99999999999999999999", 1, 1),
            ("9999999999G", 1, 1),
            ("10x", 1, 1),
            ("\"ü\" : ", 1, 5),
        ] {
            let e = all(source).unwrap_err();
            assert_eq!((e.line, e.column), (line, column), "{source}: {e}");
        }
    }
}
