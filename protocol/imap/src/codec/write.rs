//! The words of responses, appended to the output.

use super::cursor::is_astring_char;

/// A quoted string longer than this becomes a literal, lest a client's line buffer overflow.
const QUOTED_MAX: usize = 1_000;

/// Appends a decimal number.
pub fn number(mut v: u64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (v % 10) as u8;
        v /= 10;
        if v == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends `string = quoted / literal`, whichever can hold the bytes (RFC 3501 §4.3). NUL, which neither can, is
/// replaced by `?`: this is for metadata, never for bodies.
pub fn string(bytes: &[u8], out: &mut Vec<u8>) {
    let plain = bytes.len() <= QUOTED_MAX && bytes.iter().all(|b| (b' '..=b'~').contains(b) || *b == b'\t');
    if !plain {
        return literal(bytes, out);
    }
    out.push(b'"');
    let mut from = 0;
    for (i, b) in bytes.iter().enumerate() {
        if matches!(b, b'"' | b'\\') {
            out.extend_from_slice(&bytes[from..i]);
            out.push(b'\\');
            from = i;
        }
    }
    out.extend_from_slice(&bytes[from..]);
    out.push(b'"');
}

fn literal(bytes: &[u8], out: &mut Vec<u8>) {
    literal_header(bytes.len() as u64, out);
    let start = out.len();
    out.extend_from_slice(bytes);
    for b in &mut out[start..] {
        if *b == 0 {
            *b = b'?';
        }
    }
}

/// Appends `{n}` CRLF.
pub fn literal_header(size: u64, out: &mut Vec<u8>) {
    out.push(b'{');
    number(size, out);
    out.extend_from_slice(b"}\r\n");
}

/// Appends `nstring`.
pub fn nstring(bytes: Option<&[u8]>, out: &mut Vec<u8>) {
    match bytes {
        Some(b) => string(b, out),
        None => out.extend_from_slice(b"NIL"),
    }
}

/// Appends `astring`: an atom where possible.
pub fn astring(bytes: &[u8], out: &mut Vec<u8>) {
    let atom = !bytes.is_empty() && bytes.iter().all(|b| is_astring_char(*b)) && !bytes.eq_ignore_ascii_case(b"NIL");
    if atom { out.extend_from_slice(bytes) } else { string(bytes, out) }
}

/// Appends a mailbox name, in modified UTF-7 unless the client enabled UTF8=ACCEPT (RFC 3501 §5.1.3, RFC 6855 §3).
pub fn mailbox(name: &str, utf8: bool, out: &mut Vec<u8>) {
    if utf8 && !name.is_ascii() && !name.bytes().any(|b| b < b' ') {
        out.push(b'"');
        for b in name.bytes() {
            out.extend_from_slice(if matches!(b, b'"' | b'\\') { b"\\" } else { &[] });
            out.push(b);
        }
        out.push(b'"');
    } else if utf8 || name.bytes().all(|b| is_astring_char(b) && b != b'&') {
        astring(name.as_bytes(), out);
    } else {
        let mut encoded = Vec::with_capacity(name.len() + 8);
        super::utf7::encode(name, &mut encoded);
        string(&encoded, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::cursor::Cursor;
    use proptest::prelude::*;

    fn shown(f: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        f(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn words() {
        assert_eq!(shown(|o| number(0, o)), "0");
        assert_eq!(shown(|o| number(u64::MAX, o)), "18446744073709551615");
        assert_eq!(shown(|o| string(b"a \"b\\", o)), "\"a \\\"b\\\\\"");
        assert_eq!(shown(|o| string("ä".as_bytes(), o)), "{2}\r\nä");
        assert_eq!(shown(|o| string(b"a\0b", o)), "{3}\r\na?b");
        assert_eq!(shown(|o| astring(b"abc]", o)), "abc]");
        assert_eq!(shown(|o| astring(b"", o)), "\"\"");
        assert_eq!(shown(|o| astring(b"nil", o)), "\"nil\"");
        assert_eq!(shown(|o| mailbox("Entwürfe & mehr", false, o)), "\"Entw&APw-rfe &- mehr\"");
        assert_eq!(shown(|o| mailbox("Entwürfe", true, o)), "\"Entwürfe\"");
        assert_eq!(shown(|o| mailbox("INBOX/a", false, o)), "INBOX/a");
    }

    proptest! {
        #[test]
        fn strings_are_read_back(s in prop::collection::vec(1u8..=255, 0..1200)) {
            let mut out = Vec::new();
            astring(&s, &mut out);
            let mut c = Cursor::new(&out);
            prop_assert_eq!(&c.astring().unwrap()[..], &s[..]);
            c.end().unwrap();
        }
        #[test]
        fn names_are_read_back(s in "[^\\x00]{1,30}", utf8: bool) {
            let mut out = Vec::new();
            mailbox(&s, utf8, &mut out);
            let mut c = Cursor::new(&out);
            c.utf8 = utf8;
            prop_assert_eq!(c.mailbox().unwrap(), s);
        }
    }
}
