//! Names as text, read.

use super::{Ava, Dn, DnError, KNOWN, RDNS_MAX, Rdn};

fn canonical(attr: &str) -> String {
    let lower = attr.to_ascii_lowercase();
    let bare = lower.strip_prefix("oid.").unwrap_or(&lower);
    match KNOWN.iter().find(|k| k.0 == bare || k.2 == bare) {
        Some(known) => known.1.to_ascii_lowercase(),
        None => bare.to_string(),
    }
}

/// Reads a name.
pub(super) struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    pub fn new(text: &'a str) -> Self {
        Parser { text, at: 0 }
    }

    pub fn dn(mut self) -> Result<Dn, DnError> {
        let mut rdns = Vec::new();
        self.spaces();
        if self.peek().is_none() {
            return Ok(Dn(rdns));
        }
        loop {
            if rdns.len() == RDNS_MAX {
                return Err(DnError("too many parts"));
            }
            rdns.push(self.rdn()?);
            match self.next() {
                None => return Ok(Dn(rdns)),
                // RFC 2253 §4 still lets a semicolon in.
                Some(b',' | b';') => self.spaces(),
                Some(_) => return Err(DnError("a comma is expected")),
            }
        }
    }

    fn rdn(&mut self) -> Result<Rdn, DnError> {
        let mut avas = vec![self.ava()?];
        while self.peek() == Some(b'+') {
            self.at += 1;
            self.spaces();
            if avas.len() == 8 {
                return Err(DnError("too many attributes in one part"));
            }
            avas.push(self.ava()?);
        }
        Ok(Rdn(avas))
    }

    fn ava(&mut self) -> Result<Ava, DnError> {
        let from = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.') {
            self.at += 1;
        }
        let attr = &self.text[from..self.at];
        if !attr.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            return Err(DnError("an attribute's name is expected"));
        }
        let attr = canonical(attr);
        self.spaces();
        if self.next() != Some(b'=') {
            return Err(DnError("an equals sign is expected"));
        }
        self.spaces();
        let value = if self.peek() == Some(b'#') { self.hex_value()? } else { self.value()? };
        if value.is_empty() {
            return Err(DnError("an empty value"));
        }
        self.spaces();
        Ok(Ava { attr, value })
    }

    fn value(&mut self) -> Result<String, DnError> {
        let mut out = Vec::new();
        // How much of it stays although it is spaces at the end: those that were escaped.
        let mut kept = 0;
        while let Some(b) = self.peek() {
            match b {
                b',' | b'+' | b';' => break,
                b'\\' => {
                    self.at += 1;
                    out.push(self.escaped()?);
                    kept = out.len();
                }
                b'"' | b'<' | b'>' | 0 => return Err(DnError("a character that must be escaped")),
                b => {
                    self.at += 1;
                    out.push(b);
                    if b != b' ' {
                        kept = out.len();
                    }
                }
            }
        }
        out.truncate(kept);
        String::from_utf8(out).map_err(|_| DnError("a value that is not UTF-8"))
    }

    fn escaped(&mut self) -> Result<u8, DnError> {
        let first = self.next().ok_or(DnError("nothing behind a backslash"))?;
        match hex(first) {
            Some(high) => {
                let low = self.next().and_then(hex).ok_or(DnError("two hexadecimal digits are expected"))?;
                Ok(high << 4 | low)
            }
            None if b" \"#+,;<=>\\".contains(&first) => Ok(first),
            None => Err(DnError("a character that cannot be escaped")),
        }
    }

    /// `#` and the BER encoding of a string in hexadecimal.
    fn hex_value(&mut self) -> Result<String, DnError> {
        const BAD: DnError = DnError("a value in BER that is no string");
        self.at += 1;
        let mut bytes = Vec::new();
        while let Some(high) = self.peek().and_then(hex) {
            self.at += 1;
            bytes.push(high << 4 | self.next().and_then(hex).ok_or(BAD)?);
        }
        let contents = string_in_ber(&bytes).ok_or(BAD)?;
        String::from_utf8(contents.to_vec()).map_err(|_| BAD)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
    fn next(&mut self) -> Option<u8> {
        let b = self.peek()?;
        self.at += 1;
        Some(b)
    }
    fn spaces(&mut self) {
        while self.peek() == Some(b' ') {
            self.at += 1;
        }
    }
}

/// The contents of one OCTET STRING, UTF8String, PrintableString or IA5String, and nothing behind it (X.690 §8.1).
fn string_in_ber(bytes: &[u8]) -> Option<&[u8]> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, contents) = match usize::from(*first) {
        short @ 0..=127 => (short, rest),
        long => {
            let (length, contents) = rest.split_at_checked(long - 128).filter(|(l, _)| matches!(l.len(), 1..=4))?;
            (length.iter().fold(0, |n, b| n << 8 | usize::from(*b)), contents)
        }
    };
    (matches!(tag, 0x04 | 0x0c | 0x13 | 0x16) && contents.len() == length).then_some(contents)
}

fn hex(b: u8) -> Option<u8> {
    char::from(b).to_digit(16).map(|d| d as u8)
}
