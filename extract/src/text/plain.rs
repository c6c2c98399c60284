//! Plain text in whatever character set it came.

use super::reading::{Reading, Stop};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use std::borrow::Cow;

/// Bytes that a guess is made of.
const GUESSED_BYTES: usize = 64 * 1024;

pub fn read(bytes: &[u8], charset: Option<&str>, to: &mut Reading) -> Result<(), Stop> {
    to.push(&decode(bytes, charset))
}

/// Text of `bytes`: a byte order mark wins, then UTF-8 that is valid (labels lie more often than that happens by chance), then
/// the label, then a guess.
pub fn decode<'a>(bytes: &'a [u8], label: Option<&str>) -> Cow<'a, str> {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return encoding.decode_without_bom_handling(&bytes[mark..]).0;
    }
    let labelled = label.and_then(|l| Encoding::for_label(l.trim().as_bytes()));
    // ISO-2022-JP is ASCII to whoever does not know its escapes.
    let is_shifted = labelled == Some(encoding_rs::ISO_2022_JP) || bytes.contains(&0x1b);
    if !is_shifted && let Ok(text) = std::str::from_utf8(bytes) {
        return if text.contains('\0') { wide(bytes).unwrap_or(Cow::Borrowed(text)) } else { Cow::Borrowed(text) };
    }
    let encoding = labelled.or_else(|| wide_encoding(bytes)).unwrap_or_else(|| guess(bytes));
    encoding.decode_without_bom_handling(bytes).0
}

fn wide(bytes: &[u8]) -> Option<Cow<'_, str>> {
    wide_encoding(bytes).map(|e| e.decode_without_bom_handling(bytes).0)
}

/// UTF-16 without a mark: Latin text has a zero in every other byte.
fn wide_encoding(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = &bytes[..bytes.len().min(1024)];
    let zeros = |odd: usize| head.iter().skip(odd).step_by(2).filter(|b| **b == 0).count();
    let half = head.len() / 2;
    match (zeros(0), zeros(1)) {
        (even, odd) if half >= 4 && odd * 2 > half && even * 8 < half => Some(UTF_16LE),
        (even, odd) if half >= 4 && even * 2 > half && odd * 8 < half => Some(UTF_16BE),
        _ => None,
    }
}

fn guess(bytes: &[u8]) -> &'static Encoding {
    let head = &bytes[..bytes.len().min(GUESSED_BYTES)];
    let mut detector = chardetng::EncodingDetector::new(chardetng::Iso2022JpDetection::Allow);
    detector.feed(head, head.len() == bytes.len());
    let guessed = detector.guess(None, chardetng::Utf8Detection::Allow);
    // UTF-8 with a fault later on.
    if guessed == UTF_8 && head.iter().filter(|b| **b >= 0x80).count() < 2 { WINDOWS_1252 } else { guessed }
}

/// A Windows code page by its number; Latin 1 for those that the web does not know (DOS pages for the most part).
pub fn code_page(number: u16) -> &'static Encoding {
    use encoding_rs::*;
    match number {
        866 => IBM866,
        874 => WINDOWS_874,
        932 => SHIFT_JIS,
        936 => GBK,
        949 => EUC_KR,
        950 => BIG5,
        1250 => WINDOWS_1250,
        1251 => WINDOWS_1251,
        1253 => WINDOWS_1253,
        1254 => WINDOWS_1254,
        1255 => WINDOWS_1255,
        1256 => WINDOWS_1256,
        1257 => WINDOWS_1257,
        1258 => WINDOWS_1258,
        10000 => MACINTOSH,
        65001 => UTF_8,
        _ => WINDOWS_1252,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_marks_and_guesses() {
        assert_eq!(decode(b"na\xefve", Some("iso-8859-1")), "naïve");
        assert_eq!(decode("naïve".as_bytes(), Some("iso-8859-1")), "naïve");
        assert_eq!(decode(b"\xff\xfeh\0i\0", None), "hi");
        assert_eq!(decode(b"h\0e\0l\0l\0o\0", None), "hello");
        assert_eq!(decode(b"\0h\0e\0l\0l\0o", Some("utf-8")), "hello");
        assert_eq!(decode(b"\x1b$B$3$s\x1b(B", Some("iso-2022-jp")), "こん");
        let (koi, ..) = encoding_rs::KOI8_R.encode("Договор о поставке оборудования подписан сегодня");
        assert_eq!(decode(&koi, None), "Договор о поставке оборудования подписан сегодня");
        let (sjis, ..) = encoding_rs::SHIFT_JIS.encode("契約書を確認してください。よろしくお願いします。");
        assert_eq!(decode(&sjis, Some("no-such-charset")), "契約書を確認してください。よろしくお願いします。");
    }
}
