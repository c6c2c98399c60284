//! What the server says.

use std::borrow::Cow;

/// Bytes of a reply's text.
const TEXT_BYTES_MAX: usize = 480;

/// A reply of one line: code, enhanced status (RFC 2034; empty where it has none) and text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// RFC 5321 §4.2.1.
    pub code: u16,
    /// RFC 3463, or empty.
    pub status: Cow<'static, str>,
    /// For a human.
    pub text: Cow<'static, str>,
}

impl Reply {
    /// A reply.
    pub fn new(code: u16, status: impl Into<Cow<'static, str>>, text: impl Into<Cow<'static, str>>) -> Self {
        Reply { code, status: status.into(), text: text.into() }
    }

    /// Whether the command was carried out, so far.
    pub fn is_positive(&self) -> bool {
        self.code < 400
    }

    /// Whether trying again later may help.
    pub fn is_temporary(&self) -> bool {
        (400..500).contains(&self.code)
    }

    /// Appends it as a line.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.code.to_string().as_bytes());
        out.push(b' ');
        if !self.status.is_empty() {
            out.extend_from_slice(self.status.as_bytes());
            out.push(b' ');
        }
        // Text may quote what a client sent: no line of its own may come of it.
        // Neither can text be so long that a client gives up on it (RFC 5321 §4.5.3.1.5 has 512 bytes for a line).
        out.extend(self.text.bytes().take(TEXT_BYTES_MAX).map(|b| if b.is_ascii_control() { b'?' } else { b }));
        out.extend_from_slice(b"\r\n");
    }

    /// Appends several lines under one code (RFC 5321 §4.2.1).
    pub fn write_lines(code: u16, lines: &[String], out: &mut Vec<u8>) {
        for (i, line) in lines.iter().enumerate() {
            let separator = if i + 1 == lines.len() { ' ' } else { '-' };
            out.extend_from_slice(format!("{code}{separator}{line}\r\n").as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let mut out = Vec::new();
        Reply::new(250, "2.1.0", "Ok").write(&mut out);
        Reply::new(354, "", "go\r\n250 smuggled").write(&mut out);
        Reply::write_lines(250, &["a".into(), "b".into()], &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "250 2.1.0 Ok\r\n354 go??250 smuggled\r\n250-a\r\n250 b\r\n");
    }
}
