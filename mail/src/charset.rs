//! Bytes in some charset as UTF-8.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use mail_parser::decoders::charsets::map::charset_decoder;

/// The longest charset name looked at, bytes.
const CHARSET_NAME_MAX: usize = 45;

/// Decodes `bytes`. An unknown or missing charset, and plain `us-ascii`, is taken as UTF-8 when the bytes are that,
/// else as windows-1252; what cannot be decoded becomes U+FFFD.
pub fn to_utf8(bytes: &[u8], charset: &[u8]) -> String {
    let charset = charset.trim_ascii();
    if charset.is_empty() || charset.eq_ignore_ascii_case(b"us-ascii") || charset.eq_ignore_ascii_case(b"ascii") {
        return guess(bytes);
    }
    if let Some(encoding) = Encoding::for_label(charset) {
        return encoding.decode_without_bom_handling(without_bom(bytes, encoding)).0.into_owned();
    }
    // UTF-7 and old PC code pages, which encoding_rs leaves out.
    match charset_decoder(&charset[..charset.len().min(CHARSET_NAME_MAX)]) {
        Some(decode) => decode(bytes),
        None => guess(bytes),
    }
}

fn guess(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(s) => s.to_owned(),
        Err(_) => WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned(),
    }
}

fn without_bom<'a>(bytes: &'a [u8], encoding: &'static Encoding) -> &'a [u8] {
    if encoding == UTF_8 { bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes) } else { bytes }
}

#[cfg(test)]
mod tests {
    use super::to_utf8;

    #[test]
    fn decodes() {
        assert_eq!(to_utf8(b"gr\xfcn", b"ISO-8859-1"), "gr\u{fc}n");
        assert_eq!(to_utf8("grün".as_bytes(), b""), "gr\u{fc}n");
        assert_eq!(to_utf8(b"gr\xfcn", b"us-ascii"), "gr\u{fc}n");
        assert_eq!(to_utf8(b"gr\xfcn", b"x-unheard-of"), "gr\u{fc}n");
        assert_eq!(to_utf8(b"\x1b$B%F\x1b(B", b"iso-2022-jp"), "\u{30c6}");
        assert_eq!(to_utf8(b"Hi Mom -+Jjo--+ACE-", b"utf-7"), "Hi Mom -\u{263a}-!");
        assert_eq!(to_utf8(b"\xff", b"utf-8"), "\u{fffd}");
        assert_eq!(to_utf8(b"a", &[b'z'; 500]), "a");
    }
}
