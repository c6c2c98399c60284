//! RFC 2047 encoded words in header values.

use crate::decode::{base64_into, hex_pair};

/// A field's value as text: folds and tabs become a space each, `=?charset?encoding?text?=` decoded, white space between adjacent
/// encoded words dropped (RFC 2047 §6.2). What is no valid encoded word stays as written.
pub fn decode_words(value: &[u8]) -> String {
    let value = one_line(value);
    if !value.windows(2).any(|w| w == b"=?") {
        return crate::to_utf8(&value, b"");
    }
    let mut out = Out::default();
    let mut rest = &value[..];
    // Where the last encoded word ended, if only white space came since.
    let mut plain_from = 0;
    let mut after_word = false;
    let mut at = 0;
    while at < rest.len() {
        let Some(word) = rest[at..].starts_with(b"=?").then(|| Word::parse(&rest[at..])).flatten() else {
            at += 1;
            continue;
        };
        let between = &rest[plain_from..at];
        if !(after_word && between.iter().all(|b| matches!(b, b' ' | b'\t'))) {
            out.flush();
            out.text.push_str(&crate::to_utf8(between, b""));
        }
        out.word(&word);
        rest = &rest[at + word.len..];
        (at, plain_from, after_word) = (0, 0, true);
    }
    out.flush();
    out.text.push_str(&crate::to_utf8(&rest[plain_from..], b""));
    out.text
}

/// Unfolds for readers: white space with a line break in it, and each tab, is one space.
fn one_line(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value.trim_ascii();
    while let Some(b) = rest.first() {
        let space = rest.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n')).count();
        if rest[..space].iter().any(|b| matches!(b, b'\r' | b'\n')) {
            out.push(b' ');
        } else if space > 0 {
            out.resize(out.len() + space, b' ');
        } else {
            out.push(*b);
        }
        rest = &rest[space.max(1)..];
    }
    out
}

/// Decoded text, and bytes of adjacent words in one charset: some programs split a character between two words.
#[derive(Default)]
struct Out {
    text: String,
    charset: Vec<u8>,
    bytes: Vec<u8>,
}

impl Out {
    fn word(&mut self, word: &Word<'_>) {
        // Charsets with escape sequences begin each word afresh (RFC 2047 §3), so their words cannot be joined.
        let stateful = word.charset.get(..8).is_some_and(|c| c.eq_ignore_ascii_case(b"iso-2022"));
        if stateful || !self.charset.eq_ignore_ascii_case(word.charset) {
            self.flush();
            self.charset = word.charset.to_vec();
        }
        word.decode_into(&mut self.bytes);
    }
    fn flush(&mut self) {
        if !self.bytes.is_empty() {
            self.text.push_str(&crate::to_utf8(&self.bytes, &self.charset));
            self.bytes.clear();
        }
    }
}

/// Bytes of one encoded word's text. RFC 2047 §2 allows 75 for the whole word; longer ones are common.
const WORD_BYTES_MAX: usize = 2 * 1024;

struct Word<'a> {
    charset: &'a [u8],
    base64: bool,
    text: &'a [u8],
    /// All of it, `=?` to `?=`.
    len: usize,
}

impl<'a> Word<'a> {
    /// RFC 2047 §2; spaces in the text (against the grammar, but seen) are let through.
    fn parse(at: &'a [u8]) -> Option<Self> {
        let mut pieces = at.get(2..)?.splitn(3, |b| *b == b'?');
        let (charset, encoding, rest) = (pieces.next()?, pieces.next()?, pieces.next()?);
        let end = rest[..rest.len().min(WORD_BYTES_MAX)].windows(2).position(|w| w == b"?=")?;
        let base64 = match encoding {
            b"b" | b"B" => true,
            b"q" | b"Q" => false,
            _ => return None,
        };
        let len = 2 + charset.len() + 1 + encoding.len() + 1 + end + 2;
        // RFC 2231 §5: `charset*language`.
        let charset = charset.split(|b| *b == b'*').next().unwrap_or_default();
        let token = !charset.is_empty() && charset.iter().all(|b| b.is_ascii_graphic());
        token.then_some(Word { charset, base64, text: &rest[..end], len })
    }
    fn decode_into(&self, out: &mut Vec<u8>) {
        if self.base64 {
            base64_into(self.text, out);
            return;
        }
        let mut i = 0;
        while i < self.text.len() {
            let code = (self.text[i] == b'=').then(|| self.text.get(i + 1..i + 3)).flatten().and_then(hex_pair);
            match (code, self.text[i]) {
                (Some(c), _) => {
                    out.push(c);
                    i += 2;
                }
                (None, b'_') => out.push(b' '),
                (None, b) => out.push(b),
            }
            i += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::decode_words;

    /// RFC 2047 §8's table.
    #[test]
    fn rfc2047_examples() {
        for (input, want) in [
            ("=?ISO-8859-1?Q?a?=", "a"),
            ("=?ISO-8859-1?Q?a?= b", "a b"),
            ("=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"),
            ("=?ISO-8859-1?Q?a?=\r\n  =?ISO-8859-1?Q?b?=", "ab"),
            ("=?ISO-8859-1?Q?a_b?=", "a b"),
            ("=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"),
            ("=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=", "If you can read this yo"),
            ("=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore"),
            ("x =?utf-8?q?=C3?==?utf-8?q?=BC?= y", "x \u{fc} y"),
            ("=?utf-8?x?a?=", "=?utf-8?x?a?="),
            ("=?utf-8?q?open", "=?utf-8?q?open"),
            ("=?=?=?", "=?=?=?"),
            ("plain", "plain"),
            ("tab\t and \t\r\n \r\n\tfold", "tab  and fold"),
            ("=?ISO-2022-JP?B?GyRCJUYbKEI=?= =?iso-2022-jp?b?GyRCJUYbKEI=?=", "\u{30c6}\u{30c6}"),
        ] {
            assert_eq!(decode_words(input.as_bytes()), want, "{input}");
        }
    }
}
