//! ENVELOPE and BODYSTRUCTURE as text (RFC 3501 §7.4.2).

use super::write::{nstring, number, string};
use zcluster_mail::{Address, Disposition, Envelope, Param, Part, PartKind, Raw};

fn nraw(raw: Option<&Raw>, out: &mut Vec<u8>) {
    nstring(raw.map(Raw::as_bytes), out);
}

/// Appends `envelope = "(" env-date SP env-subject SP env-from SP env-sender SP env-reply-to SP env-to SP env-cc SP
/// env-bcc SP env-in-reply-to SP env-message-id ")"` (RFC 3501 §9).
pub fn write_envelope(e: &Envelope, out: &mut Vec<u8>) {
    out.push(b'(');
    nraw(e.date.as_ref(), out);
    out.push(b' ');
    nraw(e.subject.as_ref(), out);
    // "If the Sender or Reply-To lines are absent ... or are present but empty, the server sets the corresponding member
    // of the envelope to be the same value as the from member" (RFC 3501 §7.4.2).
    let or_from = |list| if Vec::is_empty(list) { &e.from } else { list };
    for list in [&e.from, or_from(&e.sender), or_from(&e.reply_to), &e.to, &e.cc, &e.bcc] {
        out.push(b' ');
        addresses(list, out);
    }
    out.push(b' ');
    nraw(e.in_reply_to.as_ref(), out);
    out.push(b' ');
    nraw(e.message_id.as_ref(), out);
    out.push(b')');
}

/// `"(" 1*address ")" / nil`, `address = "(" addr-name SP addr-adl SP addr-mailbox SP addr-host ")"` (RFC 3501 §9).
fn addresses(list: &[Address], out: &mut Vec<u8>) {
    if list.is_empty() {
        return out.extend_from_slice(b"NIL");
    }
    out.push(b'(');
    for a in list {
        out.push(b'(');
        nraw(a.name.as_ref(), out);
        out.push(b' ');
        nraw(a.adl.as_ref(), out);
        out.push(b' ');
        nraw(a.mailbox.as_ref(), out);
        out.push(b' ');
        nraw(a.host.as_ref(), out);
        out.push(b')');
    }
    out.push(b')');
}

/// Appends `body` (RFC 3501 §9); `extended`: BODYSTRUCTURE with its extension data, otherwise BODY. Parts nest no
/// deeper than `zcluster_mail::DEPTH_MAX`.
pub fn write_structure(part: &Part, extended: bool, out: &mut Vec<u8>) {
    out.push(b'(');
    match &part.kind {
        PartKind::Multipart(parts) => multipart(part, parts, extended, out),
        PartKind::Leaf | PartKind::Message { .. } => single(part, extended, out),
    }
    out.push(b')');
}

/// `body-type-mpart = 1*body SP media-subtype [SP body-ext-mpart]` (RFC 3501 §9).
fn multipart(part: &Part, parts: &[Part], extended: bool, out: &mut Vec<u8>) {
    for p in parts {
        write_structure(p, extended, out);
    }
    out.push(b' ');
    string(part.subtype.as_bytes(), out);
    if extended {
        out.push(b' ');
        params(&part.params, out);
        tail(part, out);
    }
}

/// `body-type-1part = (body-type-basic / body-type-msg / body-type-text) [SP body-ext-1part]` (RFC 3501 §9).
fn single(part: &Part, extended: bool, out: &mut Vec<u8>) {
    string(part.media_type.as_bytes(), out);
    out.push(b' ');
    string(part.subtype.as_bytes(), out);
    out.push(b' ');
    params(&part.params, out);
    out.push(b' ');
    nraw(part.id.as_ref(), out);
    out.push(b' ');
    nraw(part.description.as_ref(), out);
    out.push(b' ');
    string(part.encoding.as_ref().map_or(b"7BIT", |e| e.as_bytes()), out);
    out.push(b' ');
    number(part.size(), out);
    if let PartKind::Message { root, .. } = &part.kind {
        out.push(b' ');
        write_envelope(&part.envelope().unwrap_or_default(), out);
        out.push(b' ');
        write_structure(root, extended, out);
    }
    if part.is_type("text") || matches!(part.kind, PartKind::Message { .. }) {
        out.push(b' ');
        number(part.lines, out);
    }
    if extended {
        out.push(b' ');
        nraw(part.md5.as_ref(), out);
        tail(part, out);
    }
}

/// `body-fld-param = "(" string SP string *(SP string SP string) ")" / nil` (RFC 3501 §9).
fn params(list: &[Param], out: &mut Vec<u8>) {
    if list.is_empty() {
        return out.extend_from_slice(b"NIL");
    }
    for (i, p) in list.iter().enumerate() {
        out.push(if i == 0 { b'(' } else { b' ' });
        string(p.name.as_bytes(), out);
        out.push(b' ');
        string(p.value.as_bytes(), out);
    }
    out.push(b')');
}

/// `SP body-fld-dsp SP body-fld-lang SP body-fld-loc` (RFC 3501 §9).
fn tail(part: &Part, out: &mut Vec<u8>) {
    out.push(b' ');
    disposition(part.disposition.as_ref(), out);
    out.push(b' ');
    match part.language.as_slice() {
        [] => out.extend_from_slice(b"NIL"),
        [one] => string(one.as_bytes(), out),
        many => {
            for (i, tag) in many.iter().enumerate() {
                out.push(if i == 0 { b'(' } else { b' ' });
                string(tag.as_bytes(), out);
            }
            out.push(b')');
        }
    }
    out.push(b' ');
    nraw(part.location.as_ref(), out);
}

/// `body-fld-dsp = "(" string SP body-fld-param ")" / nil` (RFC 3501 §9).
fn disposition(d: Option<&Disposition>, out: &mut Vec<u8>) {
    let Some(d) = d else { return out.extend_from_slice(b"NIL") };
    out.push(b'(');
    string(d.kind.as_bytes(), out);
    out.push(b' ');
    params(&d.params, out);
    out.push(b')');
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The message behind RFC 3501 §8's sample session, as far as its ENVELOPE and BODY tell.
    const SAMPLE: &str = "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\n\
        From: Terry Gray <gray@cac.washington.edu>\r\n\
        Subject: IMAP4rev1 WG mtg summary and minutes\r\n\
        To: imap@cac.washington.edu\r\n\
        cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n\
        Message-Id: <B27397-0100000@cac.washington.edu>\r\n\
        MIME-Version: 1.0\r\n\
        Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\nHello\r\nworld\r\n";

    fn shown(raw: &str, f: impl FnOnce(&zcluster_mail::Summary, &mut Vec<u8>)) -> String {
        let summary = zcluster_mail::parse(raw.as_bytes());
        let mut out = Vec::new();
        f(&summary, &mut out);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn rfc_3501_section_8() {
        assert_eq!(
            shown(SAMPLE, |s, o| write_envelope(&s.envelope(), o)),
            "(\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" \"IMAP4rev1 WG mtg summary and minutes\" \
             ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) \
             ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) ((NIL NIL \"imap\" \"cac.washington.edu\")) \
             ((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")(\"John Klensin\" NIL \"KLENSIN\" \"MIT.EDU\")) NIL NIL \
             \"<B27397-0100000@cac.washington.edu>\")"
        );
        assert_eq!(
            shown(SAMPLE, |s, o| write_structure(&s.root, false, o)),
            "(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 14 2)"
        );
    }

    #[test]
    fn nested_parts() {
        let raw = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Language: en, de\r\n\r\nhi\r\n--b\r\n\
             Content-Type: message/rfc822\r\nContent-Disposition: attachment; filename=\"a b\"\r\n\r\nSubject: x\r\n\r\ny\r\n--b--\r\n";
        assert_eq!(
            shown(raw, |s, o| write_structure(&s.root, true, o)),
            "((\"text\" \"plain\" NIL NIL NIL \"7BIT\" 2 0 NIL NIL (\"en\" \"de\") NIL)\
             (\"message\" \"rfc822\" NIL NIL NIL \"7BIT\" 15 (NIL \"x\" NIL NIL NIL NIL NIL NIL NIL NIL) \
             (\"text\" \"plain\" NIL NIL NIL \"7BIT\" 1 0 NIL NIL NIL NIL) 2 NIL \
             (\"attachment\" (\"filename\" \"a b\")) NIL NIL) \"mixed\" (\"boundary\" \"b\") NIL NIL NIL)"
        );
    }
}
