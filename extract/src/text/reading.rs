//! Where readers write: bounded text with its white space in order, fields, and the meter of what is unpacked.

use crate::{ExtractError, Extracted, Limits};
use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

/// Bytes of one field's value; longer ones are cut.
const FIELD_BYTES_MAX: usize = 1024;
/// Fields of one document; later ones are dropped.
const FIELDS_MAX: usize = 32;

/// Of a library's complaint, which may quote the document.
const REASON_CHARS_MAX: usize = 200;

/// Why a reader ends early.
#[derive(Debug)]
pub enum Stop {
    /// The text is full. Not a fault.
    Full,
    /// The document cannot be read (further).
    Failed(ExtractError),
}

impl Stop {
    pub fn malformed(why: impl ToString) -> Stop {
        Stop::Failed(ExtractError::Malformed(why.to_string().chars().take(REASON_CHARS_MAX).collect()))
    }
}

/// What is known of a document so far.
pub struct Reading {
    pub limits: Limits,
    pub meter: Meter,
    pub members_left: u64,
    /// Something was left out.
    pub truncated: bool,
    text: String,
    /// White space to write before the next word, if one comes.
    pending: Option<char>,
    fields: Vec<(String, String)>,
}

impl Reading {
    pub fn new(limits: &Limits) -> Self {
        Reading {
            limits: *limits,
            meter: Meter { left: Rc::new(Cell::new(Some(limits.unpacked_bytes))) },
            members_left: limits.members,
            truncated: false,
            text: String::new(),
            pending: None,
            fields: Vec::new(),
        }
    }

    /// Adds text as it stands in the document: runs of white space become one space, or one line end if there is one among them.
    pub fn push(&mut self, text: &str) -> Result<(), Stop> {
        for c in text.chars() {
            self.push_char(c)?;
        }
        Ok(())
    }

    pub fn push_char(&mut self, c: char) -> Result<(), Stop> {
        match c {
            '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => self.line(),
            // Soft hyphens and byte order marks would split words for whoever searches.
            '\u{ad}' | '\u{feff}' => {}
            c if c.is_whitespace() => self.space(),
            c if c.is_control() => {}
            c => return self.visible(c),
        }
        Ok(())
    }

    fn visible(&mut self, c: char) -> Result<(), Stop> {
        let wanted = c.len_utf8() + usize::from(self.pending.is_some());
        if self.text.len() + wanted > self.limits.text_bytes as usize {
            return Err(Stop::Full);
        }
        if let Some(white) = self.pending.take() {
            self.text.push(white);
        }
        self.text.push(c);
        Ok(())
    }

    /// What follows is another word.
    pub fn space(&mut self) {
        if self.pending.is_none() && !self.text.is_empty() {
            self.pending = Some(' ');
        }
    }

    /// What follows stands on another line, or in another cell.
    pub fn line(&mut self) {
        if !self.text.is_empty() {
            self.pending = Some('\n');
        }
    }

    /// States something about the document, once per name and value.
    pub fn field(&mut self, name: &str, value: &str) {
        let mut value = value.split_whitespace().collect::<Vec<_>>().join(" ");
        value.retain(|c| !c.is_control());
        value.truncate(value.floor_char_boundary(FIELD_BYTES_MAX));
        let field = (name.to_string(), value);
        if !field.1.is_empty() && self.fields.len() < FIELDS_MAX && !self.fields.contains(&field) {
            self.fields.push(field);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// What the caller gets, given how the reader ended.
    pub fn finish(mut self, end: Result<(), Stop>) -> Result<Extracted, ExtractError> {
        match end {
            Err(Stop::Full) => self.truncated = true,
            // A bomb fails in many ways under the libraries; the meter knows.
            _ if self.meter.is_exceeded() => return Err(self.unpacks_to_too_much()),
            Err(Stop::Failed(ExtractError::Malformed(_))) if !self.is_empty() => self.truncated = true,
            Err(Stop::Failed(e)) => return Err(e),
            Ok(()) => {}
        }
        Ok(Extracted { text: self.text, fields: self.fields, truncated: self.truncated })
    }

    fn unpacks_to_too_much(&self) -> ExtractError {
        ExtractError::TooLarge(format!("it unpacks to more than {} bytes", self.limits.unpacked_bytes))
    }
}

/// Counts what is unpacked, over all members of all levels.
#[derive(Clone)]
pub struct Meter {
    /// `None` once more was asked for than there may be.
    left: Rc<Cell<Option<u64>>>,
}

impl Meter {
    pub fn reader<R: Read>(&self, inner: R) -> Metered<R> {
        Metered { inner, meter: self.clone() }
    }

    pub fn is_exceeded(&self) -> bool {
        self.left.get().is_none()
    }

    fn take(&self, n: usize) -> io::Result<()> {
        self.left.set(self.left.get().and_then(|left| left.checked_sub(n as u64)));
        if self.is_exceeded() { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(()) }
    }
}

/// A reader whose bytes are counted; it fails at the bound.
pub struct Metered<R> {
    inner: R,
    meter: Meter,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.meter.take(n)?;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(text_bytes: u64) -> Reading {
        Reading::new(&Limits { text_bytes, unpacked_bytes: 10, ..Limits::default() })
    }

    #[test]
    fn white_space_is_collapsed() {
        let mut r = reading(1000);
        r.push("\u{feff} \n one\t\u{a0} two \r\n\r\n  three\0 fo\u{ad}ur").unwrap();
        r.line();
        assert_eq!(r.finish(Ok(())).unwrap().text, "one two\nthree four");
    }

    #[test]
    fn full_text_ends_at_a_character() {
        let mut r = reading(6);
        let end = r.push("ab öö cd");
        assert!(matches!(end, Err(Stop::Full)), "{end:?}");
        let extracted = r.finish(end).unwrap();
        assert_eq!((extracted.text.as_str(), extracted.truncated), ("ab ö", true));
    }

    #[test]
    fn a_fault_after_text_keeps_the_text() {
        let mut r = reading(100);
        r.push("some").unwrap();
        assert!(r.finish(Err(Stop::malformed("bad"))).unwrap().truncated);
        let nothing = reading(100).finish(Err(Stop::malformed("bad")));
        assert_eq!(nothing, Err(ExtractError::Malformed("bad".into())));
    }

    #[test]
    fn the_meter_ends_what_unpacks_to_too_much() {
        let r = reading(100);
        let mut out = Vec::new();
        assert!(r.meter.reader(&[0; 10][..]).read_to_end(&mut out).is_ok());
        assert!(r.meter.reader(&[0; 1][..]).read_to_end(&mut out).is_err());
        assert!(matches!(r.finish(Ok(())), Err(ExtractError::TooLarge(_))));
    }

    #[test]
    fn fields_are_bounded_and_said_once() {
        let mut r = reading(100);
        r.field("title", " A \n B ");
        r.field("title", "A B");
        r.field("author", "\0");
        r.field("subject", &"ö".repeat(2000));
        for n in 0..100 {
            r.field("keywords", &n.to_string());
        }
        let fields = r.finish(Ok(())).unwrap().fields;
        assert_eq!(fields.len(), FIELDS_MAX);
        assert_eq!(fields[0], ("title".into(), "A B".into()));
        assert_eq!(fields[1].1.len(), FIELD_BYTES_MAX);
    }
}
