//! Messages for hosts that take less than the message has: 8-bit parts for those without 8BITMIME (RFC 6152 §3), binary ones
//! for those without BINARYMIME (RFC 3030 §3). Parts that are too wide become quoted-printable or base64; what holds them is
//! labelled anew; everything else stays as it stands.
//!
//! Content under a signature of its own (multipart/signed, RFC 1847 §2.1) is not touched: converted it would be taken for
//! forged. DKIM signatures are no reason not to convert (RFC 6376 §5.3): ours are made again, others' break.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use mail_builder::encoders::QuotedPrintableEncoder;
use std::ops::Range;
use zcluster_mail::{Part, PartKind, TransferEncoding};

/// The longest line that is not binary, without its end (RFC 5321 §4.5.3.1.6).
const LINE_MAX: usize = 998;
/// Bytes that make one line of base64, 76 characters (RFC 2045 §6.8).
const BASE64_LINE: usize = 57;

/// What a host takes at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Width {
    /// Lines of ASCII.
    Seven,
    /// Lines of anything.
    Eight,
}

/// Why a message cannot be converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fixed {
    /// It is signed as it stands.
    Signed,
    /// Its structure allows no encoding there, or is too deep to be seen through.
    Structure,
}

impl Fixed {
    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Fixed::Signed => "what is signed must not be converted",
            Fixed::Structure => "its structure does not allow to convert it",
        }
    }
}

/// Whether a message has something other than ASCII behind its header.
pub fn has_wide_body(raw: &[u8]) -> bool {
    let header: usize = zcluster_mail::fields(raw).map(|field| field.raw.len()).sum();
    !raw.get(header..).unwrap_or_default().is_ascii()
}

/// The message in this width.
///
/// # Errors
/// It must stay as it is.
pub fn convert(raw: &[u8], width: Width) -> Result<Vec<u8>, Fixed> {
    let summary = zcluster_mail::parse(raw);
    let mut work = Work { raw, width, out: Vec::with_capacity(raw.len() / 3 * 4) };
    work.part(&summary.root, &Place { message: true, signed: false, last: true })?;
    Ok(work.out)
}

/// Where a part stands.
#[derive(Clone, Copy)]
struct Place {
    /// It is a whole message.
    message: bool,
    /// Within something signed.
    signed: bool,
    /// Nothing comes behind it.
    last: bool,
}

struct Work<'a> {
    raw: &'a [u8],
    width: Width,
    out: Vec<u8>,
}

/// What a header is to say.
#[derive(Clone, Copy)]
struct Label {
    encoding: &'static str,
    /// Of a message that says nothing of its type: what it is.
    media_type: &'static str,
}

impl<'a> Work<'a> {
    fn bytes(&self, range: Range<u64>) -> &'a [u8] {
        let at = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        self.raw.get(at(range.start)..at(range.end)).unwrap_or_default()
    }

    fn part(&mut self, part: &Part, place: &Place) -> Result<(), Fixed> {
        match &part.kind {
            PartKind::Leaf => self.leaf(part, place),
            PartKind::Multipart(parts) => self.multipart(part, parts, place),
            PartKind::Message { root, .. } => {
                self.holder(part, place)?;
                self.part(root, &Place { message: true, ..*place })
            }
        }
    }

    fn leaf(&mut self, part: &Part, place: &Place) -> Result<(), Fixed> {
        let body = self.bytes(part.body_range());
        let encoding = TransferEncoding::of(part);
        if !self.is_too_wide(body) {
            if encoding == TransferEncoding::Identity {
                self.holder(part, place)?;
            } else {
                self.out.extend_from_slice(self.bytes(part.header_range()));
            }
            self.out.extend_from_slice(body);
            return Ok(());
        }
        if place.signed {
            return Err(Fixed::Signed);
        }
        if encoding == TransferEncoding::Unknown || self.is_closed(part) {
            return Err(Fixed::Structure);
        }
        // Encoded already, but not as it ought to be: once more from the beginning.
        let data = zcluster_mail::decode_part(part, body);
        let media_type = if std::str::from_utf8(&data).is_ok() {
            "text/plain; charset=utf-8"
        } else {
            // RFC 1428 §3.
            "text/plain; charset=unknown-8bit"
        };
        let wide = data.iter().filter(|b| !b.is_ascii()).count();
        let text = part.is_type("text") || part.is_type("message");
        if text && wide < data.len() / 3 + 16 && is_plain(&data) && has_whole_lines(&data) {
            self.header(part, place, Some(Label { encoding: "quoted-printable", media_type }));
            QuotedPrintableEncoder::new().preserve_line_breaks().encode_into(&data, &mut self.out);
        } else {
            self.header(part, place, Some(Label { encoding: "base64", media_type }));
            self.base64(&data, place.last);
        }
        Ok(())
    }

    fn base64(&mut self, data: &[u8], last: bool) {
        let mut line = String::with_capacity(BASE64_LINE / 3 * 4);
        for (n, bytes) in data.chunks(BASE64_LINE).enumerate() {
            if n > 0 {
                self.out.extend_from_slice(b"\r\n");
            }
            line.clear();
            BASE64.encode_string(bytes, &mut line);
            self.out.extend_from_slice(line.as_bytes());
        }
        if last {
            self.out.extend_from_slice(b"\r\n");
        }
    }

    fn multipart(&mut self, part: &Part, parts: &[Part], place: &Place) -> Result<(), Fixed> {
        self.holder(part, place)?;
        let signed = place.signed || part.subtype.eq_ignore_case("signed");
        let boundary_is_ascii = part.param("boundary").is_none_or(|b| b.as_bytes().is_ascii());
        let mut at = part.body_start;
        for child in parts {
            self.between(at..child.header_start, boundary_is_ascii, signed)?;
            self.part(child, &Place { message: false, signed, last: false })?;
            at = child.body_end;
        }
        self.between(at..part.body_end, boundary_is_ascii, signed)
    }

    /// What stands between parts: delimiters, and text that nobody reads (RFC 2046 §5.1.1).
    fn between(&mut self, range: Range<u64>, boundary_is_ascii: bool, signed: bool) -> Result<(), Fixed> {
        let bytes = self.bytes(range);
        let wide = |b: &u8| *b == 0 || (self.width == Width::Seven && !b.is_ascii());
        if !bytes.iter().any(wide) {
            self.out.extend_from_slice(bytes);
            return Ok(());
        }
        match (boundary_is_ascii, signed) {
            (_, true) => Err(Fixed::Signed),
            (false, false) => Err(Fixed::Structure),
            (true, false) => {
                let masked: Vec<u8> = bytes.iter().map(|b| if wide(b) { b'?' } else { *b }).collect();
                self.out.extend_from_slice(&masked);
                Ok(())
            }
        }
    }

    /// The header of what is not encoded itself: it promises no more than the width.
    fn holder(&mut self, part: &Part, place: &Place) -> Result<(), Fixed> {
        let says = |word: &str| part.encoding.as_ref().is_some_and(|e| e.eq_ignore_case(word));
        let body = self.bytes(part.body_range());
        let encoding = match self.width {
            Width::Seven if says("8bit") || says("binary") => "7bit",
            Width::Eight if says("binary") && body.is_ascii() && !self.is_too_wide(body) => "7bit",
            Width::Eight if says("binary") => "8bit",
            Width::Seven | Width::Eight => {
                self.header(part, place, None);
                return Ok(());
            }
        };
        // Under a signature a label that promises too much does less harm than a new one.
        let label = (!place.signed).then_some(Label { encoding, media_type: "" });
        self.header(part, place, label);
        Ok(())
    }

    /// Writes a header, labelled anew if it must be.
    fn header(&mut self, part: &Part, place: &Place, label: Option<Label>) {
        let header = self.bytes(part.header_range());
        let Some(label) = label else { return self.out.extend_from_slice(header) };
        let (mut version, mut typed, mut len) = (false, false, 0);
        for field in zcluster_mail::fields(header) {
            len += field.raw.len();
            version |= field.is("MIME-Version");
            typed |= field.is("Content-Type");
            if !field.is("Content-Transfer-Encoding") {
                self.out.extend_from_slice(field.raw);
                if !field.raw.ends_with(b"\n") {
                    self.out.extend_from_slice(b"\r\n");
                }
            }
        }
        if place.message && !version {
            self.out.extend_from_slice(b"MIME-Version: 1.0\r\n");
        }
        if place.message && !typed && !label.media_type.is_empty() {
            self.out.extend_from_slice(format!("Content-Type: {}\r\n", label.media_type).as_bytes());
        }
        self.out.extend_from_slice(format!("Content-Transfer-Encoding: {}\r\n", label.encoding).as_bytes());
        match header.get(len..) {
            Some(end) if !end.is_empty() => self.out.extend_from_slice(end),
            _ => self.out.extend_from_slice(b"\r\n"),
        }
    }

    fn is_too_wide(&self, body: &[u8]) -> bool {
        (self.width == Width::Seven && !body.is_ascii())
            || body.contains(&0)
            || !has_whole_lines(body)
            || has_long_lines(body)
    }

    /// What is declared to hold others can itself not be encoded (RFC 2045 §6.4), nor can what must be 7-bit anyway (RFC 2046
    /// §5.2.2, §5.2.3).
    fn is_closed(&self, part: &Part) -> bool {
        let declared = zcluster_mail::fields(self.bytes(part.header_range())).find(|f| f.is("Content-Type"));
        let value = declared.map(|f| zcluster_mail::unfold(f.value).to_ascii_lowercase()).unwrap_or_default();
        let closed: [&[u8]; 4] = [b"multipart/", b"message/rfc822", b"message/partial", b"message/external-body"];
        closed.iter().any(|name| value.starts_with(name))
    }
}

/// Whether each line is ended by CRLF, and nothing else by half of that.
fn has_whole_lines(bytes: &[u8]) -> bool {
    let mut before = 0;
    let whole = bytes.iter().all(|b| {
        let fits = (before == b'\r') == (*b == b'\n');
        before = *b;
        fits
    });
    whole && before != b'\r'
}

/// Whether a text has no control characters but those of its layout: others are left as they are by quoted-printable.
fn is_plain(bytes: &[u8]) -> bool {
    bytes.iter().all(|b| !b.is_ascii_control() || matches!(b, b'\r' | b'\n' | b'\t'))
}

fn has_long_lines(bytes: &[u8]) -> bool {
    bytes.split(|b| *b == b'\n').any(|line| line.strip_suffix(b"\r").unwrap_or(line).len() > LINE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use zcluster_mail::{decode_part, find_part, parse};

    fn seven(raw: &str) -> Result<String, Fixed> {
        convert(raw.as_bytes(), Width::Seven).map(|out| String::from_utf8(out).unwrap())
    }

    #[test]
    fn text_becomes_quoted_printable() {
        let out = seven("Subject: s\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße = 1\r\n").unwrap();
        assert_eq!(
            out,
            "Subject: s\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe =3D 1\r\n"
        );
        // One that says nothing of what it is.
        let out = seven("Subject: s\r\n\r\nGrüße\r\n").unwrap();
        let fields = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
                      Content-Transfer-Encoding: quoted-printable\r\n\r\n";
        assert_eq!(out, format!("Subject: s\r\n{fields}Gr=C3=BC=C3=9Fe\r\n"));
        let latin = convert(b"Subject: s\r\n\r\nGr\xfc\xdfe\r\n", Width::Seven).unwrap();
        assert!(String::from_utf8(latin).unwrap().contains("charset=unknown-8bit"));
    }

    const MIXED: &str = "Subject: s\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\
        Content-Transfer-Encoding: 8bit\r\n\r\nprä\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\
        Content-Transfer-Encoding: 8bit\r\n\r\nhi\r\n--b\r\nContent-Type: image/x\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
        ä\r\n--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: in\r\n\r\nö\r\n--b--\r\n";

    #[test]
    fn each_part_is_treated_by_itself() {
        let out = seven(MIXED).unwrap();
        assert!(out.is_ascii() && !out.contains("8bit"), "{out}");
        assert!(out.contains("pr??\r\n--b\r\n"), "{out}");
        assert!(out.contains("utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\nhi\r\n--b"), "{out}");
        assert!(out.contains("image/x\r\nContent-Transfer-Encoding: base64\r\n\r\nw6Q=\r\n--b"), "{out}");
        assert!(
            out.contains("rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\nSubject: in\r\nMIME-Version: 1.0\r\n"),
            "{out}"
        );
        assert!(out.ends_with("\r\n\r\n=C3=B6\r\n--b--\r\n"), "{out}");
    }

    #[test]
    fn what_must_not_change_is_left() {
        let signed = MIXED.replace("multipart/mixed", "multipart/signed");
        assert_eq!(seven(&signed), Err(Fixed::Signed));
        let partial = "Content-Type: message/partial\r\n\r\nä\r\n";
        assert_eq!(seven(partial), Err(Fixed::Structure));
        assert_eq!(seven("Content-Type: multipart/mixed\r\n\r\nä\r\n"), Err(Fixed::Structure), "no boundary");
        assert_eq!(seven("Content-Transfer-Encoding: x-odd\r\n\r\nä\r\n"), Err(Fixed::Structure));
        // Signed, and of ASCII as it ought to be: a part beside it may change.
        let signed = "Content-Type: multipart/signed; boundary=s\r\n\r\n--s\r\n\r\na\r\n--s\r\n\r\nb\r\n--s--";
        let both =
            format!("Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n{signed}\r\n--m\r\n\r\nä\r\n--m--\r\n");
        assert!(seven(&both).unwrap().contains(signed));
    }

    #[test]
    fn binary_becomes_what_the_host_takes() {
        let head = "MIME-Version: 1.0\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: binary\r\n\r\n";
        let eight = |body: &str| {
            let out = convert(format!("{head}{body}").as_bytes(), Width::Eight).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert!(eight("a\0\n").ends_with("Content-Transfer-Encoding: base64\r\n\r\nYQAK\r\n"));
        assert!(eight("ä\r\n").ends_with("Content-Transfer-Encoding: 8bit\r\n\r\nä\r\n"));
        assert!(eight("a\r\n").ends_with("Content-Transfer-Encoding: 7bit\r\n\r\na\r\n"));
    }

    #[test]
    fn the_body_decides_whether_it_is_needed() {
        assert!(has_wide_body("Subject: s\r\n\r\nä".as_bytes()));
        assert!(!has_wide_body("Subject: ä\r\n ö\r\n\r\nbody\r\n".as_bytes()) && !has_wide_body(b""));
    }

    proptest! {
        #[test]
        fn parts_are_read_back(
            data in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\n'), Just(b'\r'), Just(b' '), Just(b'='), Just(b'.')], 0..300),
            lines in any::<bool>(), kind in "text/plain|image/x", width in prop_oneof![Just(Width::Seven), Just(Width::Eight)],
        ) {
            let mut data = [b"x".to_vec(), data].concat();
            if lines {
                data.retain(|b| *b != b'\r');
                data = data.split(|b| *b == b'\n').collect::<Vec<_>>().join(&b"\r\n"[..]);
            }
            prop_assume!(!data.windows(3).any(|w| w == b"--b"));
            let head = format!("MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: {kind}\r\n\
                                Content-Transfer-Encoding: binary\r\n\r\n");
            let raw = [head.as_bytes(), &data, b"\r\n--b--\r\n"].concat();
            let out = convert(&raw, width).unwrap();
            prop_assert!(width == Width::Eight || out.is_ascii());
            prop_assert!(!out.contains(&0) && has_whole_lines(&out) && !has_long_lines(&out));
            let summary = parse(&out);
            let part = find_part(&summary, &[1]).unwrap();
            let body = &out[part.body_start as usize..part.body_end as usize];
            prop_assert_eq!(decode_part(part, body), data);
            prop_assert_eq!(convert(&out, width).unwrap(), out, "what fits stays");
        }

        #[test]
        fn any_bytes(raw in "(MIME-Version: 1.0\r\n|Content-Type: (multipart/mixed; boundary=b|message/rfc822|text/x)\r\n|\
                              Content-Transfer-Encoding: (8bit|binary|base64)\r\n|\r\n|\n|--b\r\n|--b--|[ä\0a:. ]){0,25}") {
            for width in [Width::Seven, Width::Eight] {
                if let Ok(out) = convert(raw.as_bytes(), width) {
                    // Fields are left as they are, wide or not.
                    prop_assert!(!out.contains(&0) || raw.contains('\0'));
                }
            }
        }
    }
}
