//! Cuts a stream of bytes into responses: lines with their literals.

/// The largest literal our client takes.
const LITERAL_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The longest line.
const LINE_BYTES_MAX: usize = 1024 * 1024;
/// Bytes that have been taken are thrown away when so many have gathered.
const SPENT_BYTES_MAX: usize = 64 * 1024;

/// Bytes that have come and are not yet taken.
pub struct Frames {
    buf: Vec<u8>,
    /// Where the next frame begins.
    start: usize,
    /// Up to where the next frame is known to hold no end (behind the buffer while a literal is not all there).
    scanned: usize,
    literals: bool,
}

impl Frames {
    /// Frames of IMAP: `{n}` at the end of a line announces `n` bytes that belong to it.
    pub fn imap() -> Self {
        Frames { buf: Vec::new(), start: 0, scanned: 0, literals: true }
    }
    /// Plain lines.
    pub fn lines() -> Self {
        Frames { literals: false, ..Self::imap() }
    }

    /// Where the next bytes from the stream go.
    pub fn space(&mut self) -> &mut Vec<u8> {
        if self.start == self.buf.len() || self.start > SPENT_BYTES_MAX {
            self.buf.drain(..self.start);
            self.scanned -= self.start;
            self.start = 0;
        }
        &mut self.buf
    }

    /// The next frame with its line ends, if it is all there.
    ///
    /// # Errors
    /// A text when no sensible server can have sent this.
    pub fn next(&mut self) -> Result<Option<&[u8]>, String> {
        loop {
            let Some(rest) = self.buf.get(self.scanned..) else { return Ok(None) };
            let Some(at) = rest.iter().position(|b| *b == b'\n') else {
                if rest.len() > LINE_BYTES_MAX {
                    return Err(format!("a line of more than {LINE_BYTES_MAX} bytes"));
                }
                return Ok(None);
            };
            let (line_start, end) = (self.scanned, self.scanned + at + 1);
            let line = &self.buf[line_start..end];
            if !line.ends_with(b"\r\n") {
                return Err(format!("a line does not end with CR LF: {:?}", String::from_utf8_lossy(line)));
            }
            match literal_at_end(line).filter(|_| self.literals) {
                Some(size) if size > LITERAL_BYTES_MAX => return Err(format!("a literal of {size} bytes")),
                Some(size) => self.scanned = end + size,
                None => {
                    let frame = self.start..end;
                    (self.start, self.scanned) = (end, end);
                    return Ok(Some(&self.buf[frame]));
                }
            }
        }
    }
}

/// The size of the literal that a line announces at its end (RFC 3501 §4.3).
pub fn literal_at_end(line: &[u8]) -> Option<usize> {
    let line = line.strip_suffix(b"}\r\n")?;
    let open = line.iter().rposition(|b| *b == b'{')?;
    let digits = line.get(open + 1..).filter(|d| !d.is_empty() && d.iter().all(u8::is_ascii_digit))?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}
