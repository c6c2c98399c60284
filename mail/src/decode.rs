//! Content transfer encodings, and text parts as UTF-8.

use crate::structure::Part;

/// How a part's bytes are encoded (RFC 2045 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferEncoding {
    /// `7bit`, `8bit`, `binary`, none.
    Identity,
    /// `quoted-printable`.
    QuotedPrintable,
    /// `base64`.
    Base64,
    /// Something else: cannot be decoded (RFC 3516 UNKNOWN-CTE).
    Unknown,
}

impl TransferEncoding {
    /// A part's encoding. Multiparts and embedded messages have none (RFC 2045 §6.4).
    pub fn of(part: &Part) -> Self {
        if !part.children().is_empty() {
            return Self::Identity;
        }
        let Some(name) = &part.encoding else { return Self::Identity };
        match name.0.to_ascii_lowercase().as_slice() {
            b"" | b"7bit" | b"8bit" | b"binary" => Self::Identity,
            b"quoted-printable" => Self::QuotedPrintable,
            b"base64" => Self::Base64,
            _ => Self::Unknown,
        }
    }
}

/// Decodes a part's body bytes as they come, in bounded memory.
#[derive(Debug)]
pub struct PartDecoder {
    encoding: TransferEncoding,
    /// Base64: up to three characters of a group. Quoted-printable: an unfinished escape or white space.
    held: Vec<u8>,
    /// Base64 padding was seen: the rest is no data.
    ended: bool,
}

/// White space held back at a line's end by the quoted-printable decoder, bytes; longer runs are data.
const HELD_MAX: usize = 1_024;

impl PartDecoder {
    /// A decoder at the beginning of a body.
    pub fn new(encoding: TransferEncoding) -> Self {
        PartDecoder { encoding, held: Vec::new(), ended: false }
    }
    /// Appends what `input` decodes to. Characters outside the encoding are skipped (RFC 2045 §6.8) or kept as they are
    /// (§6.7).
    pub fn push(&mut self, input: &[u8], out: &mut Vec<u8>) {
        match self.encoding {
            TransferEncoding::Identity | TransferEncoding::Unknown => out.extend_from_slice(input),
            TransferEncoding::Base64 => self.base64(input, out),
            TransferEncoding::QuotedPrintable => self.quoted_printable(input, out),
        }
    }
    /// Ends the body: appends what was held back.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        match self.encoding {
            TransferEncoding::Base64 => base64_tail(&self.held, out),
            TransferEncoding::QuotedPrintable => {
                let held = std::mem::take(&mut self.held);
                // A lone `=` at the very end is a soft line break.
                let trailing = held.trim_ascii_end();
                if trailing != b"=" {
                    out.extend_from_slice(trailing);
                }
            }
            TransferEncoding::Identity | TransferEncoding::Unknown => {}
        }
    }

    fn base64(&mut self, input: &[u8], out: &mut Vec<u8>) {
        out.reserve(input.len() / 4 * 3);
        let (mut group, mut have) = (0u32, 0);
        for v in self.held.drain(..) {
            group = group << 6 | u32::from(v);
            have += 1;
        }
        for b in input {
            match BASE64[*b as usize] {
                PAD if have > 0 => self.ended = true,
                PAD | SKIP => {}
                // Data after padding: a second base64 text was appended; groups begin anew.
                v => {
                    if self.ended {
                        self.ended = false;
                        base64_tail(&group_values(group, have), out);
                        (group, have) = (0, 0);
                    }
                    group = group << 6 | u32::from(v);
                    have += 1;
                    if have == 4 {
                        out.extend_from_slice(&group.to_be_bytes()[1..]);
                        (group, have) = (0, 0);
                    }
                }
            }
        }
        self.held = group_values(group, have);
    }

    fn quoted_printable(&mut self, input: &[u8], out: &mut Vec<u8>) {
        for &b in input {
            if self.held.first() == Some(&b'=') { self.escape(b, out) } else { self.literal(b, out) }
        }
    }

    /// Takes a byte outside any escape.
    fn literal(&mut self, b: u8, out: &mut Vec<u8>) {
        match b {
            // White space at a line's end is no data (RFC 2045 §6.7 (3)).
            b'\n' => {
                let cr = self.held.last() == Some(&b'\r');
                self.held.clear();
                out.extend_from_slice(if cr { b"\r\n" } else { b"\n" });
            }
            b' ' | b'\t' | b'\r' if self.held.len() < HELD_MAX => self.held.push(b),
            _ => {
                out.append(&mut self.held);
                if b == b'=' { self.held.push(b) } else { out.push(b) }
            }
        }
    }

    /// Goes on with an escape; `held` begins with `=`.
    fn escape(&mut self, b: u8, out: &mut Vec<u8>) {
        match (self.held.len(), b) {
            // A soft line break, perhaps with white space added after its `=`.
            (_, b'\n') => self.held.clear(),
            (1, b' ' | b'\t' | b'\r') => self.held.push(b),
            (n, b' ' | b'\t' | b'\r') if n < HELD_MAX && self.held[1].is_ascii_whitespace() => self.held.push(b),
            (1, _) if b.is_ascii_hexdigit() => self.held.push(b),
            (2, _) if hex_pair(&[self.held[1], b]).is_some() => {
                out.extend(hex_pair(&[self.held[1], b]));
                self.held.clear();
            }
            // No escape after all: as it stands, and `b` is looked at afresh.
            _ => {
                out.append(&mut self.held);
                self.literal(b, out);
            }
        }
    }
}

/// A part's body without its transfer encoding (RFC 3516 BINARY): `body` is the part's `body_range` of the raw message.
/// An unknown encoding leaves the bytes as they are.
pub fn decode_part(part: &Part, body: &[u8]) -> Vec<u8> {
    let mut decoder = PartDecoder::new(TransferEncoding::of(part));
    let mut out = Vec::new();
    decoder.push(body, &mut out);
    decoder.finish(&mut out);
    out
}

/// A text part as UTF-8: transfer encoding and charset undone.
pub fn decode_text(part: &Part, body: &[u8]) -> String {
    let charset = part.param("charset").map_or(&b""[..], |c| c.as_bytes());
    match TransferEncoding::of(part) {
        TransferEncoding::Identity | TransferEncoding::Unknown => crate::to_utf8(body, charset),
        TransferEncoding::QuotedPrintable | TransferEncoding::Base64 => {
            crate::to_utf8(&decode_part(part, body), charset)
        }
    }
}

/// Appends what a base64 text decodes to, skipping what is not base64.
pub(crate) fn base64_into(text: &[u8], out: &mut Vec<u8>) {
    let mut decoder = PartDecoder::new(TransferEncoding::Base64);
    decoder.push(text, out);
    decoder.finish(out);
}

/// Two hexadecimal digits.
pub(crate) fn hex_pair(digits: &[u8]) -> Option<u8> {
    let digit = |b: u8| (b as char).to_digit(16);
    match digits {
        [a, b] => Some((digit(*a)? * 16 + digit(*b)?) as u8),
        _ => None,
    }
}

/// The 6-bit values of an unfinished group.
fn group_values(group: u32, have: usize) -> Vec<u8> {
    (0..have).rev().map(|i| (group >> (6 * i)) as u8 & 63).collect()
}

/// The bytes of a last, short group.
fn base64_tail(held: &[u8], out: &mut Vec<u8>) {
    let group = held.iter().fold(0u32, |g, v| g << 6 | u32::from(*v)) << (6 * (4 - held.len().min(4)));
    let bytes = held.len().saturating_sub(1).min(2);
    out.extend_from_slice(&group.to_be_bytes()[1..1 + bytes]);
}

const SKIP: u8 = 255;
const PAD: u8 = 254;
const BASE64: [u8; 256] = {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut table = [SKIP; 256];
    let mut i = 0;
    while i < 64 {
        table[alphabet[i] as usize] = i as u8;
        i += 1;
    }
    table[b'=' as usize] = PAD;
    table
};

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use proptest::prelude::*;

    fn run(encoding: TransferEncoding, pieces: &[&[u8]]) -> Vec<u8> {
        let (mut d, mut out) = (PartDecoder::new(encoding), Vec::new());
        pieces.iter().for_each(|p| d.push(p, &mut out));
        d.finish(&mut out);
        out
    }

    #[test]
    fn quoted_printable() {
        for (input, want) in [
            (&b"a=3Db"[..], &b"a=b"[..]),
            (b"a=\r\nb", b"ab"),
            (b"a= \t\r\nb", b"ab"),
            (b"a=\nb", b"ab"),
            (b"a  \r\nb \n", b"a\r\nb\n"),
            (b"a=3d=zz=3z==3d", b"a==zz=3z=="),
            (b"end=", b"end"),
            (b"end=3", b"end=3"),
            (b"a\rb", b"a\rb"),
        ] {
            assert_eq!(run(TransferEncoding::QuotedPrintable, &[input]), want, "{:?}", String::from_utf8_lossy(input));
        }
    }

    #[test]
    fn base64_with_junk() {
        assert_eq!(run(TransferEncoding::Base64, &[b"aGVs\r\nbG8=\r\n"]), b"hello");
        assert_eq!(run(TransferEncoding::Base64, &[b"aGVs!bG8"]), b"hello");
        assert_eq!(run(TransferEncoding::Base64, &[b"aGVsbG8=", b"aGVsbG8="]), b"hellohello");
        assert_eq!(run(TransferEncoding::Base64, &[b"===="]), b"");
        assert_eq!(run(TransferEncoding::Base64, &[b"a"]), b"");
    }

    proptest! {
        #[test]
        fn base64_agrees_with_the_crate(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0usize..300) {
            let text = base64::engine::general_purpose::STANDARD.encode(&bytes);
            let (a, b) = text.as_bytes().split_at(cut.min(text.len()));
            prop_assert_eq!(run(TransferEncoding::Base64, &[a, b]), bytes);
        }

        #[test]
        fn pieces_do_not_matter(bytes in "[=a3 \r\n\t]{0,60}", cut in 0usize..60) {
            let bytes = bytes.as_bytes();
            let (a, b) = bytes.split_at(cut.min(bytes.len()));
            for e in [TransferEncoding::QuotedPrintable, TransferEncoding::Base64] {
                prop_assert_eq!(run(e, &[a, b]), run(e, &[bytes]));
            }
        }
    }
}
