//! Writing.

use super::{Line, Mod, What};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::io::{self, Write};

/// Columns of a line; longer ones are folded.
const COLUMNS: usize = 76;

/// Writes records.
pub struct Writer<W: Write> {
    out: W,
    buffer: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// What `out` says.
    pub fn new(mut out: W) -> io::Result<Self> {
        out.write_all(b"version: 1\n")?;
        Ok(Writer { out, buffer: Vec::new() })
    }

    /// An entry with its values.
    ///
    /// # Errors
    /// What `out` says.
    pub fn entry(&mut self, dn: &str, lines: &[Line]) -> io::Result<()> {
        self.begin(dn);
        lines.iter().for_each(|(attr, value)| self.line(attr, value));
        self.flush()
    }

    /// Any record.
    ///
    /// # Errors
    /// What `out` says.
    pub fn record(&mut self, dn: &str, what: &What) -> io::Result<()> {
        self.begin(dn);
        match what {
            What::Content(lines) => lines.iter().for_each(|(attr, value)| self.line(attr, value)),
            What::Add(lines) => {
                self.line("changetype", b"add");
                lines.iter().for_each(|(attr, value)| self.line(attr, value));
            }
            What::Delete => self.line("changetype", b"delete"),
            What::Modify(mods) => {
                self.line("changetype", b"modify");
                mods.iter().for_each(|m| self.modification(m));
            }
            What::Rename { new_rdn, delete_old, new_superior } => {
                self.line("changetype", b"modrdn");
                self.line("newrdn", new_rdn.as_bytes());
                self.line("deleteoldrdn", if *delete_old { b"1" } else { b"0" });
                if let Some(dn) = new_superior {
                    self.line("newsuperior", dn.as_bytes());
                }
            }
        }
        self.flush()
    }

    /// Ends the file.
    ///
    /// # Errors
    /// What `out` says.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }

    fn begin(&mut self, dn: &str) {
        self.buffer.clear();
        self.buffer.push(b'\n');
        self.line("dn", dn.as_bytes());
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(&self.buffer)
    }

    fn modification(&mut self, m: &Mod) {
        self.line(m.kind.word(), m.attr.as_bytes());
        m.values.iter().for_each(|v| self.line(&m.attr, v));
        self.buffer.extend_from_slice(b"-\n");
    }

    fn line(&mut self, attr: &str, value: &[u8]) {
        let mut line = attr.as_bytes().to_vec();
        if is_safe(value) {
            line.extend_from_slice(if value.is_empty() { b":" } else { b": " });
            line.extend_from_slice(value);
        } else {
            line.extend_from_slice(b":: ");
            line.extend_from_slice(STANDARD.encode(value).as_bytes());
        }
        let (first, rest) = line.split_at(line.len().min(COLUMNS));
        self.buffer.extend_from_slice(first);
        for part in rest.chunks(COLUMNS - 1) {
            self.buffer.extend_from_slice(b"\n ");
            self.buffer.extend_from_slice(part);
        }
        self.buffer.push(b'\n');
    }
}

/// Whether a value may stand as it is: RFC 2849's SAFE-STRING, without spaces at its end and control characters, which
/// do not survive every editor.
fn is_safe(value: &[u8]) -> bool {
    let first = value.first().is_none_or(|b| !b" :<".contains(b));
    first && value.last() != Some(&b' ') && value.iter().all(|b| (0x20..0x7f).contains(b))
}
