//! The text of a query, piece by piece.

use crate::error::{Problem, QueryError};

/// A place in the text.
#[derive(Clone, Copy)]
pub(crate) struct Scan<'t> {
    text: &'t str,
    /// Bytes from the beginning.
    pub at: usize,
}

/// What ends a word. `+` and `-` only may not begin one.
fn ends_word(c: char) -> bool {
    is_space(c) || matches!(c, '{' | '}' | ':' | '"' | '(' | ')')
}

/// White space of all scripts, what is invisible, and what no keyboard should send.
fn is_space(c: char) -> bool {
    c.is_whitespace() || c.is_control() || matches!(c, '\u{180e}' | '\u{200b}' | '\u{2060}' | '\u{feff}')
}

impl<'t> Scan<'t> {
    pub fn new(text: &'t str) -> Self {
        Scan { text, at: 0 }
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    pub fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start_matches(is_space).len();
    }

    /// Takes the character if it is next.
    pub fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    /// A word, perhaps empty. `colons`: they are part of it.
    pub fn word(&mut self, colons: bool) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c| ends_word(c) && !(colons && c == ':')).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// What stands in quotes; the opening one is next.
    pub fn quoted(&mut self) -> Result<String, QueryError> {
        let from = self.at;
        let mut out = String::new();
        let mut chars = self.rest().char_indices().skip(1).peekable();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.at += at + 1;
                    return Ok(out);
                }
                '\\' if chars.next_if(|(_, next)| *next == '"').is_some() => out.push('"'),
                c => out.push(c),
            }
        }
        Err(Problem::OpenQuote.at(from))
    }

    /// What stands in braces; the opening one is next.
    pub fn braced(&mut self) -> Result<&'t str, QueryError> {
        let end = self.rest().find('}').ok_or(Problem::OpenBrace.at(self.at))?;
        let inside = &self.rest()[1..end];
        self.at += end + 1;
        Ok(inside)
    }
}
