//! Header blocks as raw bytes: fields, unfolding, the filter behind HEADER.FIELDS.

use crate::{HEADER_BYTES_MAX, KEPT_BYTES_MAX};
use minicbor::{Decode, Encode};
use std::fmt;

/// Bytes as they stand in the message: ASCII as a rule, but UTF-8 (RFC 6532) or any 8-bit junk in practice.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(transparent)]
pub struct Raw(#[cbor(n(0), with = "minicbor::bytes")] pub Vec<u8>);

impl Raw {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// Compares as ASCII without case.
    pub fn eq_ignore_case(&self, other: &str) -> bool {
        self.0.eq_ignore_ascii_case(other.as_bytes())
    }
    /// As text; what is not UTF-8 becomes U+FFFD.
    pub fn to_text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}
impl From<&str> for Raw {
    fn from(s: &str) -> Self {
        Raw(s.as_bytes().to_vec())
    }
}
impl From<Vec<u8>> for Raw {
    fn from(v: Vec<u8>) -> Self {
        Raw(v)
    }
}
impl AsRef<[u8]> for Raw {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_text(), f)
    }
}

/// Fields that summaries keep, lower case, sorted: what mail programs ask for when they list a folder.
pub const KEPT_FIELDS: &[&str] = &[
    "auto-submitted",
    "bcc",
    "cc",
    "comments",
    "content-class",
    "content-description",
    "content-disposition",
    "content-id",
    "content-language",
    "content-location",
    "content-md5",
    "content-transfer-encoding",
    "content-type",
    "date",
    "delivered-to",
    "disposition-notification-to",
    "errors-to",
    "followup-to",
    "from",
    "importance",
    "in-reply-to",
    "keywords",
    "lines",
    "list-archive",
    "list-help",
    "list-id",
    "list-owner",
    "list-post",
    "list-subscribe",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "mail-followup-to",
    "mail-reply-to",
    "message-id",
    "mime-version",
    "newsgroups",
    "organization",
    "precedence",
    "priority",
    "references",
    "reply-to",
    "resent-date",
    "resent-from",
    "resent-message-id",
    "resent-to",
    "return-path",
    "return-receipt-to",
    "sender",
    "status",
    "subject",
    "to",
    "user-agent",
    "x-label",
    "x-mailer",
    "x-mozilla-draft-info",
    "x-mozilla-keys",
    "x-mozilla-status",
    "x-mozilla-status2",
    "x-msmail-priority",
    "x-original-to",
    "x-priority",
    "x-spam-flag",
    "x-spam-level",
    "x-spam-score",
    "x-status",
    "x-uid",
    "x-uniform-type-identifier",
    "x-universally-unique-identifier",
    "xref",
];

/// The longest name in [`KEPT_FIELDS`], bytes.
const KEPT_NAME_MAX: usize = 32;

/// Whether a field (any case) is one of [`KEPT_FIELDS`].
pub fn is_kept(name: &[u8]) -> bool {
    let mut lower = [0; KEPT_NAME_MAX];
    let Some(lower) = lower.get_mut(..name.len()) else { return false };
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    KEPT_FIELDS.binary_search_by(|k| k.as_bytes().cmp(lower)).is_ok()
}

/// One header field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its name as written, without white space; empty for a line that is no field (junk, mbox's `From `).
    pub name: &'a [u8],
    /// What follows the colon, folded, with the last line break.
    pub value: &'a [u8],
    /// All of it, name to last line break.
    pub raw: &'a [u8],
}

impl Field<'_> {
    /// Whether the name is this (any case).
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// The fields of a header block, up to its empty line or end.
pub fn fields(header: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let mut rest = header;
    std::iter::from_fn(move || {
        let first = line(rest);
        if first.is_empty() || is_blank(first) {
            return None;
        }
        let mut len = first.len();
        // RFC 5322 §2.2.3: a line that begins with white space continues the field.
        while matches!(rest.get(len), Some(b' ' | b'\t')) {
            len += line(&rest[len..]).len();
        }
        let raw = &rest[..len];
        rest = &rest[len..];
        let name_len = field_name(first).unwrap_or(0);
        let colon = if name_len == 0 { 0 } else { first.iter().position(|b| *b == b':').map_or(0, |i| i + 1) };
        Some(Field { name: &raw[..name_len], value: &raw[colon..], raw })
    })
}

/// The first line of `bytes` with its line feed.
pub(crate) fn line(bytes: &[u8]) -> &[u8] {
    let end = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |i| i + 1);
    &bytes[..end]
}

/// Whether a line holds nothing but its line break.
pub(crate) fn is_blank(line: &[u8]) -> bool {
    matches!(line, b"\n" | b"\r\n")
}

/// The length of the field name that `line` begins with, if it does (RFC 5322 §2.2; §4.5 allows space before `:`).
pub(crate) fn field_name(line: &[u8]) -> Option<usize> {
    let len = line.iter().position(|b| !matches!(b, 33..=57 | 59..=126))?;
    let after = line[len..].iter().find(|b| !matches!(b, b' ' | b'\t'))?;
    (len > 0 && *after == b':').then_some(len)
}

/// A field's value on one line: line breaks dropped, ends trimmed, NUL (which no IMAP string holds) made `?`.
pub fn unfold(value: &[u8]) -> Vec<u8> {
    let value = value.trim_ascii();
    if memchr::memchr3(b'\r', b'\n', 0, value).is_none() {
        return value.to_vec();
    }
    let mut out = Vec::with_capacity(value.len());
    out.extend(value.iter().filter(|b| !matches!(b, b'\r' | b'\n')).map(|b| if *b == 0 { b'?' } else { *b }));
    out
}

/// The fields (whole, in their order) whose names are in `names` (any case), or with `not` all others, and the empty
/// line that ends a header (RFC 3501 §6.4.5 HEADER.FIELDS, HEADER.FIELDS.NOT). `header` may go on after its empty
/// line.
pub fn header_fields(header: &[u8], names: &[impl AsRef<[u8]>], not: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for field in fields(header) {
        let named = names.iter().any(|n| n.as_ref().eq_ignore_ascii_case(field.name));
        if named != not {
            push_line(&mut out, field.raw);
        }
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// Appends a field, with a line break if the header ended without one.
fn push_line(out: &mut Vec<u8>, raw: &[u8]) {
    out.extend_from_slice(raw);
    if !raw.ends_with(b"\n") {
        out.extend_from_slice(b"\r\n");
    }
}

/// The raw kept fields of a header, and whether some did not fit.
pub(crate) fn kept_fields(header: &[u8]) -> (Raw, bool) {
    let mut out = Vec::new();
    let mut cut = header.len() > HEADER_BYTES_MAX;
    for field in fields(&header[..header.len().min(HEADER_BYTES_MAX)]).filter(|f| is_kept(f.name)) {
        if out.len() + field.raw.len() > KEPT_BYTES_MAX {
            cut = true;
            let room = KEPT_BYTES_MAX.saturating_sub(out.len() + 2);
            // An endless list of recipients still shows its beginning; a rest too short to tell anything does not.
            if room > field.name.len() + 64 {
                push_line(&mut out, whole_lines(&field.raw[..room]));
            }
            continue;
        }
        push_line(&mut out, field.raw);
    }
    out.shrink_to_fit();
    (Raw(out), cut)
}

/// `bytes` up to its last line break, or all of it when it has none.
fn whole_lines(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|b| *b == b'\n').map_or(bytes.len(), |i| i + 1);
    &bytes[..end]
}

/// The first field of that name, unfolded.
pub(crate) fn first_value(header: &[u8], name: &str) -> Option<Vec<u8>> {
    fields(header).find(|f| f.is(name)).map(|f| unfold(f.value))
}

/// The `<...>` message ids in all fields of that name.
pub(crate) fn msg_ids(header: &[u8], name: &str) -> Vec<Raw> {
    let mut out = Vec::new();
    for field in fields(header).filter(|f| f.is(name)) {
        let value = unfold(field.value);
        let mut rest = &value[..];
        while let Some(start) = rest.iter().position(|b| *b == b'<') {
            let Some(len) = rest[start..].iter().position(|b| *b == b'>') else { break };
            out.push(Raw(rest[start..=start + len].to_vec()));
            rest = &rest[start + len + 1..];
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_fields_are_sorted_and_short() {
        assert!(KEPT_FIELDS.windows(2).all(|w| w[0] < w[1]));
        assert!(KEPT_FIELDS.iter().all(|f| f.len() <= KEPT_NAME_MAX && f.to_ascii_lowercase() == **f));
        assert!(is_kept(b"SuBject") && !is_kept(b"received") && !is_kept(&[b'x'; 100]) && !is_kept(b""));
    }

    #[test]
    fn filters_fields_as_they_stand() {
        let header = b"Subject: a\r\n b\r\nX: 1\r\njunk line\r\nsubject : again\nTo: x\r\n\r\nBody: no\r\n";
        assert_eq!(header_fields(header, &["SUBJECT"], false), b"Subject: a\r\n b\r\nsubject : again\n\r\n");
        assert_eq!(header_fields(header, &["subject", "to"], true), b"X: 1\r\njunk line\r\n\r\n");
        assert_eq!(header_fields(b"To: end", &["to"], false), b"To: end\r\n\r\n");
        assert_eq!(header_fields(b"", &["to"], false), b"\r\n");
    }

    #[test]
    fn unfolds() {
        assert_eq!(unfold(b" a\r\n b\n\tc\0 \r\n"), b"a b\tc?");
    }

    #[test]
    fn ids() {
        let h = b"References: <a@b>\r\n <c@d> junk <e\r\nReferences: <f>\r\n";
        assert_eq!(msg_ids(h, "references"), [Raw::from("<a@b>"), "<c@d>".into(), "<f>".into()]);
    }

    #[test]
    fn an_endless_recipient_list_is_cut_at_a_line() {
        let mut h = b"To: first@example.com".to_vec();
        for i in 0..10_000 {
            h.extend(format!(",\r\n user{i}@example.com").bytes());
        }
        h.extend(b"\r\nSubject: still here\r\n\r\n");
        let (kept, cut) = kept_fields(&h);
        assert!(cut && kept.0.len() <= KEPT_BYTES_MAX && kept.0.ends_with(b"\r\n"));
    }
}
