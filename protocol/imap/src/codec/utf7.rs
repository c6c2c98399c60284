//! Modified UTF-7 (RFC 3501 §5.1.3), the old dress of mailbox names.

/// The base64 alphabet with `,` for `/`.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

fn value(b: u8) -> Option<u32> {
    Some(
        match b {
            b'A'..=b'Z' => b - b'A',
            b'a'..=b'z' => b - b'a' + 26,
            b'0'..=b'9' => b - b'0' + 52,
            b'+' => 62,
            b',' => 63,
            _ => return None,
        }
        .into(),
    )
}

/// Appends the modified UTF-7 form of `name`: printable US-ASCII stands for itself, `&` is `&-`, all else is UTF-16
/// big-endian in unpadded modified base64 between `&` and `-` (RFC 3501 §5.1.3).
pub fn encode(name: &str, out: &mut Vec<u8>) {
    let (mut bits, mut held, mut shifted) = (0u32, 0u32, false);
    for c in name.chars() {
        if matches!(c, ' '..='~') {
            if shifted {
                end_shift(&mut bits, &mut held, out);
                shifted = false;
            }
            out.extend_from_slice(if c == '&' { b"&-" } else { &[] });
            if c != '&' {
                out.push(c as u8);
            }
            continue;
        }
        if !shifted {
            out.push(b'&');
            shifted = true;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            bits = (bits << 16) | u32::from(*unit);
            held += 16;
            while held >= 6 {
                held -= 6;
                out.push(ALPHABET[(bits >> held & 63) as usize]);
            }
        }
    }
    if shifted {
        end_shift(&mut bits, &mut held, out);
    }
}

fn end_shift(bits: &mut u32, held: &mut u32, out: &mut Vec<u8>) {
    if *held > 0 {
        out.push(ALPHABET[(*bits << (6 - *held) & 63) as usize]);
    }
    out.push(b'-');
    (*bits, *held) = (0, 0);
}

/// Decodes modified UTF-7. Names in plain UTF-8 are let through: some clients send them, and no valid name in modified
/// UTF-7 has a byte above 127. `None`: neither.
pub fn decode(raw: &[u8]) -> Option<String> {
    let raw = std::str::from_utf8(raw).ok()?;
    if !raw.contains('&') {
        return Some(raw.to_string());
    }
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((plain, tail)) = rest.split_once('&') {
        out.push_str(plain);
        let (shifted, after) = tail.split_once('-')?;
        if shifted.is_empty() {
            out.push('&')
        } else {
            unshift(shifted, &mut out)?
        }
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

/// One base64 run. The bits left over must be fewer than six and zero (RFC 3501 §5.1.3 inherits RFC 2152's rule).
fn unshift(shifted: &str, out: &mut String) -> Option<()> {
    let (mut bits, mut held) = (0u32, 0u32);
    let mut units = Vec::with_capacity(shifted.len() * 3 / 8);
    for b in shifted.bytes() {
        bits = (bits << 6) | value(b)?;
        held += 6;
        if held >= 16 {
            held -= 16;
            units.push((bits >> held & 0xffff) as u16);
        }
    }
    if held >= 6 || bits & ((1 << held) - 1) != 0 {
        return None;
    }
    for c in char::decode_utf16(units) {
        // What could have stood for itself must not be shifted: one name has one spelling.
        let c = c.ok().filter(|c| !matches!(c, ' '..='~'))?;
        out.push(c);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(s: &str) -> String {
        let mut out = Vec::new();
        encode(s, &mut out);
        String::from_utf8(out).expect("7 bits")
    }

    #[test]
    fn examples_of_rfc_3501() {
        for (utf8, utf7) in [
            ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
            ("A&B", "A&-B"),
            ("Entwürfe", "Entw&APw-rfe"),
            ("☺!", "&Jjo-!"),
            ("😀", "&2D3eAA-"),
        ] {
            assert_eq!(encoded(utf8), utf7);
            assert_eq!(decode(utf7.as_bytes()).as_deref(), Some(utf8));
        }
        // RFC 3501: "&Jjo!" lacks the shift back, "&U,BTFw-&ZeVnLIqe-" is superfluous but readable.
        assert_eq!(decode(b"&Jjo!"), None);
        assert_eq!(decode(b"&AGE-"), None, "a shifted ASCII letter");
        assert_eq!(decode(b"&A-"), None);
        assert_eq!(decode(b"&2D0-"), None, "half a surrogate pair");
        assert_eq!(decode("Entwürfe".as_bytes()).as_deref(), Some("Entwürfe"));
        assert_eq!(decode(b"\xff"), None);
    }

    proptest! {
        #[test]
        fn comes_back(s in "\\PC{0,40}") {
            prop_assert_eq!(decode(encoded(&s).as_bytes()), Some(s));
        }
        #[test]
        fn garbage_never_panics(s in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = decode(&s);
        }
    }
}
