//! Text search: containment, without case, in decoded UTF-8 (RFC 3501 §6.4.4).

use crate::decode::decode_text;
use crate::header::{fields, is_kept};
use crate::structure::{Part, PartKind};
use crate::summary::{Head, Summary};
use crate::words::decode_words;

/// Bytes of one text part that are searched (encoded); the rest of a larger one is not.
const SEARCHED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A text to look for, made ready once for many messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needle {
    lower: String,
    ascii: bool,
}

impl Needle {
    /// Makes `text` ready.
    pub fn new(text: &str) -> Self {
        Needle { lower: text.to_lowercase(), ascii: text.is_ascii() }
    }
    /// Whether `text` contains it. The empty needle is in every text.
    pub fn is_in(&self, text: &str) -> bool {
        if self.ascii && text.is_ascii() {
            return contains_ascii(text.as_bytes(), self.lower.as_bytes());
        }
        text.to_lowercase().contains(&self.lower)
    }
    /// Whether nothing is looked for.
    pub fn is_empty(&self) -> bool {
        self.lower.is_empty()
    }
}

/// ASCII containment without case, without a copy. `needle` is lower case.
fn contains_ascii(text: &[u8], needle: &[u8]) -> bool {
    let Some((first, rest)) = needle.split_first() else { return true };
    let upper = first.to_ascii_uppercase();
    let Some(last) = text.len().checked_sub(needle.len()) else { return false };
    (0..=last)
        .any(|i| (text[i] == *first || text[i] == upper) && text[i + 1..i + needle.len()].eq_ignore_ascii_case(rest))
}

/// Whether a top header field of that name contains the text (an empty text: whether there is such a field); `None`
/// when the summary does not tell and the header must be read: see [`matches_header_bytes`].
pub fn matches_header(summary: &Head<'_>, name: &str, needle: &Needle) -> Option<bool> {
    if !is_kept(name.as_bytes()) {
        return None;
    }
    let found = matches_header_bytes(summary.header, name, needle);
    (found || !summary.header_cut).then_some(found)
}

/// Whether a field of that name in a header block contains the text, encoded words decoded.
pub fn matches_header_bytes(header: &[u8], name: &str, needle: &Needle) -> bool {
    fields(header).any(|f| f.is(name) && (needle.is_empty() || needle.is_in(&decode_words(f.value))))
}

/// Whether any field of a header block contains the text, names included, encoded words decoded.
pub fn matches_any_field(header: &[u8], needle: &Needle) -> bool {
    fields(header).any(|f| needle.is_in(&decode_words(f.raw)))
}

/// Whether the text parts contain the text, decoded; headers of parts and of embedded messages count as body.
pub fn matches_body(summary: &Summary, raw: &[u8], needle: &Needle) -> bool {
    needle.is_empty() || part_matches(&summary.root, raw, needle)
}

/// Whether the header or the body contains the text (RFC 3501 TEXT).
pub fn matches_text(summary: &Summary, raw: &[u8], needle: &Needle) -> bool {
    matches_body(summary, raw, needle) || header_matches(&summary.root, raw, needle)
}

fn part_matches(part: &Part, raw: &[u8], needle: &Needle) -> bool {
    match &part.kind {
        PartKind::Multipart(parts) => {
            parts.iter().any(|p| part_matches(p, raw, needle) || header_matches(p, raw, needle))
        }
        PartKind::Message { root, .. } => header_matches(root, raw, needle) || part_matches(root, raw, needle),
        PartKind::Leaf if part.is_type("text") || part.is_type("message") => {
            let body = slice(raw, part.body_range());
            needle.is_in(&decode_text(part, &body[..body.len().min(SEARCHED_BYTES_MAX)]))
        }
        PartKind::Leaf => false,
    }
}

/// Whether any field of the part's header contains the text, names included.
fn header_matches(part: &Part, raw: &[u8], needle: &Needle) -> bool {
    let header = slice(raw, part.header_range());
    let header = &header[..header.len().min(crate::HEADER_BYTES_MAX)];
    matches_any_field(header, needle)
}

/// The bytes of a range, as far as `raw` has them.
fn slice(raw: &[u8], range: std::ops::Range<u64>) -> &[u8] {
    let at = |o: u64| usize::try_from(o).unwrap_or(usize::MAX).min(raw.len());
    raw.get(at(range.start)..at(range.end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIL: &[u8] = b"From: =?utf-8?q?J=C3=9Crgen?= <j@x.org>\r\nX-Other: zebra\r\n\
        Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n\
        --b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
        Stra=DFe nach =\r\nK=D6LN\r\n\
        --b\r\nContent-Type: application/octet-stream; name=Hidden.bin\r\nContent-Transfer-Encoding: base64\r\n\r\nc2VjcmV0\r\n\
        --b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner subject\r\n\r\ninner body\r\n--b--\r\n";

    #[test]
    fn finds_decoded_text() {
        let s = crate::parse(MAIL);
        let stored = s.encode();
        let head = Head::decode(&stored).expect("our own");
        let header = |name, text| matches_header(&head, name, &Needle::new(text));
        assert_eq!(header("from", "jürgen"), Some(true));
        assert_eq!(header("FROM", "X.ORG"), Some(true));
        assert_eq!(header("from", "utf-8"), Some(false));
        assert_eq!(header("subject", ""), Some(false));
        assert_eq!(header("from", ""), Some(true));
        assert_eq!(header("x-other", "zebra"), None);
        assert!(matches_header_bytes(MAIL, "x-other", &Needle::new("ZEB")));
        let body = |text| matches_body(&s, MAIL, &Needle::new(text));
        assert!(
            body("straße nach köln") && body("INNER SUBJECT") && body("inner body") && body("hidden.bin") && body("")
        );
        assert!(!body("secret") && !body("zebra") && !body("preamble") && !body("K=D6LN"));
        assert_eq!(crate::stored_sent_day(&stored), Ok(s.sent_day));
        assert!(
            matches_any_field(head.header, &Needle::new("JÜRGEN"))
                && !matches_any_field(head.header, &Needle::new("köln"))
        );
        let text = |text| matches_text(&s, MAIL, &Needle::new(text));
        assert!(text("zebra") && text("jürgen") && text("KÖLN") && !text("nowhere"));
    }

    #[test]
    fn ascii_containment() {
        for (text, needle, want) in
            [("", "", true), ("", "a", false), ("xAb", "ab", true), ("aab", "ab", true), ("a", "ab", false)]
        {
            assert_eq!(contains_ascii(text.as_bytes(), needle.as_bytes()), want, "{text} {needle}");
        }
    }
}
