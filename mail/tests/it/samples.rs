//! Hand-written messages with the exact answers a good IMAP server gives.

use crate::printer::{envelope, structure};
use zcluster_mail::{Needle, Section, matches_header, parse, section};

/// Lines joined with CRLF, each ended by one.
pub fn crlf(lines: &[&str]) -> Vec<u8> {
    lines.iter().flat_map(|l| [l.as_bytes(), b"\r\n"]).flatten().copied().collect()
}

fn body(raw: &[u8]) -> String {
    structure(&parse(raw).root, false)
}
fn bodystructure(raw: &[u8]) -> String {
    structure(&parse(raw).root, true)
}
fn text(raw: &[u8], path: &[u32], what: Section) -> Option<String> {
    let range = section(&parse(raw), path, what)?;
    Some(String::from_utf8_lossy(&raw[range.start as usize..range.end as usize]).into_owned())
}

/// RFC 3501 §8's message.
#[test]
fn rfc3501_example() {
    let mut raw = crlf(&[
        "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)",
        "From: Terry Gray <gray@cac.washington.edu>",
        "Subject: IMAP4rev1 WG mtg summary and minutes",
        "To: imap@cac.washington.edu",
        "cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>",
        "Message-Id: <B27397-0100000@cac.washington.edu>",
        "MIME-Version: 1.0",
        "Content-Type: TEXT/PLAIN; CHARSET=US-ASCII",
        "",
    ]);
    let header = raw.len() as u64;
    assert_eq!(header, 342, "the RFC says so");
    raw.extend(crlf(&["a line"; 92]));
    let s = parse(&raw);
    assert_eq!(
        envelope(&s.envelope()),
        r#"("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev1 WG mtg summary and minutes" (("Terry Gray" NIL "gray" "cac.washington.edu")) (("Terry Gray" NIL "gray" "cac.washington.edu")) (("Terry Gray" NIL "gray" "cac.washington.edu")) ((NIL NIL "imap" "cac.washington.edu")) ((NIL NIL "minutes" "CNRI.Reston.VA.US")("John Klensin" NIL "KLENSIN" "MIT.EDU")) NIL NIL "<B27397-0100000@cac.washington.edu>")"#
    );
    assert_eq!(structure(&s.root, false), r#"("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7bit" 736 92)"#);
    assert_eq!(section(&s, &[], Section::Header), Some(0..header));
    assert_eq!(s.sent_ms, Some(837_595_405_000));
    assert_eq!(s.sent_day, Some(9_694));
    assert!(!s.has_attachment);
    assert!(s.preview.starts_with("a line a line"));
    assert_eq!(
        s.header_fields(&["DATE", "FROM"]),
        Some(crlf(&["Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)", "From: Terry Gray <gray@cac.washington.edu>", "",]))
    );
    assert_eq!(s.header_fields(&["date", "x-other"]), None);
}

/// RFC 3501 §7.4.2's multipart with a base64 text attachment, sizes ours.
#[test]
fn rfc3501_multipart() {
    let raw = crlf(&[
        "Content-Type: MULTIPART/MIXED; boundary=\"x y\"",
        "",
        "This is a multi-part message.",
        "--x y",
        "Content-Type: TEXT/PLAIN; CHARSET=US-ASCII",
        "",
        "Hello,",
        "world.",
        "--x y  ",
        "Content-Type: TEXT/PLAIN; CHARSET=US-ASCII; NAME=\"cc.diff\"",
        "Content-ID: <960723163407.20117h@cac.washington.edu>",
        "Content-Description: Compiler diff",
        "Content-Transfer-Encoding: BASE64",
        "Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==",
        "Content-Disposition: attachment; filename=\"cc.diff\"",
        "Content-Language: en, de",
        "Content-Location: http://example.com/cc",
        "",
        "ZGlmZg==",
        "",
        "--x y--",
        "epilogue",
    ]);
    assert_eq!(
        body(&raw),
        r#"(("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7bit" 14 1)("TEXT" "PLAIN" ("CHARSET" "US-ASCII" "NAME" "cc.diff") "<960723163407.20117h@cac.washington.edu>" "Compiler diff" "BASE64" 10 1) "MIXED")"#
    );
    assert_eq!(
        bodystructure(&raw),
        r#"(("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7bit" 14 1 NIL NIL NIL NIL)("TEXT" "PLAIN" ("CHARSET" "US-ASCII" "NAME" "cc.diff") "<960723163407.20117h@cac.washington.edu>" "Compiler diff" "BASE64" 10 1 "Q2hlY2sgSW50ZWdyaXR5IQ==" ("attachment" ("filename" "cc.diff")) ("en" "de") "http://example.com/cc") "MIXED" ("boundary" "x y") NIL NIL NIL)"#
    );
    assert!(parse(&raw).has_attachment);
    assert_eq!(text(&raw, &[1], Section::Whole).as_deref(), Some("Hello,\r\nworld."));
    assert_eq!(text(&raw, &[2], Section::Whole).as_deref(), Some("ZGlmZg==\r\n"));
    assert_eq!(text(&raw, &[1], Section::Mime).as_deref(), Some("Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\n"));
    assert_eq!(text(&raw, &[3], Section::Whole), None);
    assert_eq!(text(&raw, &[0], Section::Whole), None);
    assert_eq!(text(&raw, &[1, 1], Section::Whole), None);
    assert_eq!(text(&raw, &[1], Section::Header), None);
    assert!(text(&raw, &[], Section::Text).is_some_and(|t| t.starts_with("This is") && t.ends_with("epilogue\r\n")));
}

#[test]
fn nothing_at_all() {
    for raw in [&b""[..], b"\r\n", b"\n"] {
        assert_eq!(body(raw), r#"("text" "plain" NIL NIL NIL "7bit" 0 0)"#);
        assert_eq!(envelope(&parse(raw).envelope()), "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)");
    }
    let raw = b"no header here, just text\nmore: text\n";
    assert_eq!(body(raw), r#"("text" "plain" NIL NIL NIL "7bit" 37 2)"#);
    assert_eq!(section(&parse(raw), &[], Section::Header), Some(0..0));
    let raw = b"Subject: only a header";
    let s = parse(raw);
    assert_eq!((s.envelope().subject, s.root.body_start), (Some("only a header".into()), raw.len() as u64));
}

#[test]
fn bare_line_feeds_and_junk_lines() {
    let raw = b"From a@b Thu Jan  1 00:00:00 1970\nSubject: x\njunk\n y\nTo: a@b\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nhi\n--b--\n";
    let s = parse(raw);
    assert_eq!(s.envelope().to.len(), 1);
    assert_eq!(structure(&s.root, false), r#"(("text" "plain" NIL NIL NIL "7bit" 2 0) "mixed")"#);
    assert_eq!(text(raw, &[1], Section::Whole).as_deref(), Some("hi"));
}

#[test]
fn broken_boundaries() {
    // The inner multipart has no end; the outer's delimiter ends it.
    let raw = crlf(&[
        "Content-Type: multipart/mixed; boundary=out",
        "",
        "--out",
        "Content-Type: multipart/alternative; boundary=outer",
        "",
        "--outer",
        "",
        "one",
        "--outer",
        "Content-Type: text/html",
        "--out",
        "",
        "two",
        "--out--nonsense",
        "--out-",
        "still two",
    ]);
    assert_eq!(
        body(&raw),
        r#"((("text" "plain" NIL NIL NIL "7bit" 3 0)("text" "html" NIL NIL NIL "7bit" 0 0) "alternative")("text" "plain" NIL NIL NIL "7bit" 41 4) "mixed")"#
    );
    // No delimiter, no boundary, a boundary that is white space: readable as text.
    for kind in [
        "multipart/mixed; boundary=b",
        "multipart/mixed",
        "multipart/mixed; boundary=\" \"",
        "multipart/mixed; boundary=\"\"",
    ] {
        let raw = crlf(&[&format!("Content-Type: {kind}"), "", "text"]);
        assert_eq!(body(&raw), r#"("text" "plain" NIL NIL NIL "7bit" 6 1)"#, "{kind}");
    }
    // Cut within a part's header, and right after a delimiter.
    let raw = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: image/png";
    assert_eq!(body(raw), r#"(("image" "png" NIL NIL NIL "7bit" 0) "mixed")"#);
    let raw = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n";
    assert_eq!(body(raw), r#"(("text" "plain" NIL NIL NIL "7bit" 0 0) "mixed")"#);
    // A closing delimiter only.
    let raw = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b--\r\n";
    assert_eq!(body(raw), r#"("text" "plain" NIL NIL NIL "7bit" 7 1)"#);
    // The embedded multipart uses its parent's boundary: the parts are its own, as it is the innermost.
    let raw = crlf(&[
        "Content-Type: multipart/mixed; boundary=b",
        "",
        "--b",
        "Content-Type: multipart/mixed; boundary=b",
        "",
        "--b",
        "",
        "x",
        "--b--",
    ]);
    assert_eq!(body(&raw), r#"((("text" "plain" NIL NIL NIL "7bit" 1 0) "mixed") "mixed")"#);
}

#[test]
fn the_break_before_a_delimiter_belongs_to_it() {
    let raw = crlf(&[
        "Content-Type: multipart/mixed; boundary=out",
        "",
        "--out",
        "Content-Type: multipart/mixed; boundary=in",
        "",
        "--in",
        "",
        "--in--",
        "--out--",
    ]);
    assert_eq!(text(&raw, &[1], Section::Whole).as_deref(), Some("--in\r\n\r\n--in--"));
    assert_eq!(text(&raw, &[1, 1], Section::Whole).as_deref(), Some(""));
    assert_eq!(text(&raw, &[1, 1], Section::Mime).as_deref(), Some("\r\n"));
}

fn forwarded() -> Vec<u8> {
    crlf(&[
        "From: outer@example.com",
        "Content-Type: multipart/mixed; boundary=o",
        "",
        "--o",
        "",
        "see below",
        "--o",
        "Content-Type: message/rfc822",
        "Content-Description: fwd",
        "",
        "From: Inner <inner@example.com>",
        "Subject: the inner",
        "X-Big: not kept",
        "Content-Type: multipart/alternative; boundary=i",
        "",
        "--i",
        "",
        "plain",
        "--i",
        "Content-Type: text/html",
        "",
        "<b>html</b>",
        "--i--",
        "--o",
        "Content-Type: message/rfc822",
        "",
        "Subject: single",
        "",
        "just text",
        "--o--",
    ])
}

/// The numbering of RFC 3501 §6.4.5's example: parts of embedded messages.
#[test]
fn embedded_messages() {
    let raw = forwarded();
    let from = r#"(("Inner" NIL "inner" "example.com"))"#;
    let size = text(&raw, &[2], Section::Whole).map_or(0, |t| t.len());
    assert_eq!(
        body(&raw),
        format!(
            r#"(("text" "plain" NIL NIL NIL "7bit" 9 0)("message" "rfc822" NIL NIL "fwd" "7bit" {size} (NIL "the inner" {from} {from} {from} NIL NIL NIL NIL NIL) (("text" "plain" NIL NIL NIL "7bit" 5 0)("text" "html" NIL NIL NIL "7bit" 11 0) "alternative") 12)("message" "rfc822" NIL NIL NIL "7bit" 28 (NIL "single" NIL NIL NIL NIL NIL NIL NIL NIL) ("text" "plain" NIL NIL NIL "7bit" 9 0) 2) "mixed")"#
        )
    );
    assert_eq!(text(&raw, &[2, 1], Section::Whole).as_deref(), Some("plain"));
    assert_eq!(text(&raw, &[2, 2], Section::Whole).as_deref(), Some("<b>html</b>"));
    assert_eq!(text(&raw, &[2, 2], Section::Mime).as_deref(), Some("Content-Type: text/html\r\n\r\n"));
    assert_eq!(text(&raw, &[2, 3], Section::Whole), None);
    assert!(
        text(&raw, &[2], Section::Header).is_some_and(|t| t.starts_with("From: Inner") && t.ends_with("=i\r\n\r\n"))
    );
    assert!(text(&raw, &[2], Section::Text).is_some_and(|t| t.starts_with("--i\r\n") && t.ends_with("--i--")));
    assert!(text(&raw, &[2], Section::Mime).is_some_and(|t| t.starts_with("Content-Type: message/rfc822")));
    assert_eq!(text(&raw, &[3, 1], Section::Whole).as_deref(), Some("just text"));
    assert_eq!(text(&raw, &[3, 1], Section::Header), None);
    assert_eq!(text(&raw, &[3, 1], Section::Mime).as_deref(), Some("Subject: single\r\n\r\n"));
    assert_eq!(text(&raw, &[3, 2], Section::Whole), None);
    assert_eq!(text(&raw, &[3, 1, 1], Section::Whole), None);
    assert_eq!(text(&raw, &[], Section::Mime), None);
}

/// A message that is nothing but another one, and a digest, whose parts are messages unless they say otherwise.
#[test]
fn messages_by_default() {
    let raw = b"Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nhi\r\n";
    assert_eq!(
        body(raw),
        r#"("message" "rfc822" NIL NIL NIL "7bit" 19 (NIL "in" NIL NIL NIL NIL NIL NIL NIL NIL) ("text" "plain" NIL NIL NIL "7bit" 4 1) 3)"#
    );
    assert_eq!(text(raw, &[1], Section::Header).as_deref(), Some("Subject: in\r\n\r\n"));
    assert_eq!(text(raw, &[1, 1], Section::Whole).as_deref(), Some("hi\r\n"));
    assert_eq!(text(raw, &[], Section::Header).as_deref(), Some("Content-Type: message/rfc822\r\n\r\n"));
    let raw = crlf(&[
        "Content-Type: multipart/digest; boundary=d",
        "",
        "--d",
        "",
        "Subject: in",
        "",
        "hi",
        "--d",
        "Content-Type: text/x",
        "",
        "--d--",
    ]);
    assert_eq!(
        body(&raw),
        r#"(("message" "rfc822" NIL NIL NIL "7bit" 17 (NIL "in" NIL NIL NIL NIL NIL NIL NIL NIL) ("text" "plain" NIL NIL NIL "7bit" 2 0) 2)("text" "x" NIL NIL NIL "7bit" 0 0) "digest")"#
    );
}

#[test]
fn headers_as_they_stand() {
    let raw = b"Subject: =?iso-8859-1?Q?Gr=FC=DFe?=\r\n\t=?iso-8859-1?Q?_x?=\r\nSubject: second\r\nTo: a@b\r\nTo: c@d\r\n\
        Sender:\r\nFrom: \"J\xfc \\\"Q\\\"\" <j@x>\r\nContent-Type: bogus\r\nContent-Transfer-Encoding: base64 (really)\r\n\r\n";
    let s = parse(raw);
    let e = s.envelope();
    assert_eq!(e.subject, Some("=?iso-8859-1?Q?Gr=FC=DFe?=\t=?iso-8859-1?Q?_x?=".into()));
    assert_eq!(e.to.len(), 2);
    assert_eq!(e.sender, e.from);
    assert_eq!(e.from[0].name.as_ref().map(|n| n.as_bytes()), Some(&b"J\xfc \"Q\""[..]));
    assert_eq!(structure(&s.root, false), r#"("text" "plain" NIL NIL NIL "base64" 0 0)"#);
    let stored = s.encode();
    let head = zcluster_mail::Head::decode(&stored).unwrap();
    assert_eq!(matches_header(&head, "subject", &Needle::new("GRÜSSE X")), Some(false), "ß is not ss");
    assert_eq!(matches_header(&head, "subject", &Needle::new("GRüßE X")), Some(true));
}

#[test]
fn bounds_hold() {
    let mut many = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n".to_vec();
    for i in 0..3_000 {
        many.extend(format!("--b\r\nContent-Description: {i} {}\r\n\r\nx\r\n", "y".repeat(100)).bytes());
    }
    let s = parse(&many);
    assert_eq!(s.root.children().len(), zcluster_mail::PARTS_MAX);
    assert_eq!(s.root.children().last().map(|p| p.body_end), Some(many.len() as u64));
    assert!(s.encode().len() < 128 * 1024, "{}", s.encode().len());

    let mut deep = Vec::new();
    for i in 0..200 {
        deep.extend(format!("Content-Type: multipart/mixed; boundary=b{i}\r\n\r\n--b{i}\r\n").bytes());
    }
    let depth = |raw: &[u8]| {
        let (s, mut n) = (parse(raw), 0);
        let mut p = &s.root;
        while let Some(c) = p.children().first() {
            (p, n) = (c, n + 1);
        }
        n
    };
    assert_eq!(depth(&deep), zcluster_mail::DEPTH_MAX - 1);
    assert_eq!(depth(&b"Content-Type: message/rfc822\r\n\r\n".repeat(200)), zcluster_mail::DEPTH_MAX - 1);
    let long = [b"Subject: ".as_slice(), &vec![b'a'; 3_000_000], b"\r\n\r\nx"].concat();
    let s = parse(&long);
    assert!(s.header_cut && s.encode().len() < 64 * 1024 && s.root.body_start == long.len() as u64 - 1);
}

#[test]
fn attachments() {
    let mixed = |kind: &str, part: &str| {
        let raw = crlf(&[
            &format!("Content-Type: multipart/{kind}; boundary=b"),
            "",
            "--b",
            "",
            "x",
            "--b",
            part,
            "",
            "y",
            "--b--",
        ]);
        parse(&raw).has_attachment
    };
    assert!(mixed("mixed", "Content-Type: application/pdf"));
    assert!(mixed("mixed", "Content-Disposition: attachment"));
    assert!(mixed("mixed", "Content-Type: text/plain; name=notes.txt"));
    assert!(mixed("mixed", "Content-Type: message/rfc822"));
    assert!(mixed("related", "Content-Type: image/png"));
    assert!(!mixed("related", "Content-Type: image/png; name=logo.png\r\nContent-ID: <i>"));
    assert!(!mixed("report", "Content-Type: message/rfc822"));
    assert!(!mixed("report", "Content-Type: message/delivery-status"));
    assert!(!mixed("signed", "Content-Type: application/pgp-signature; name=signature.asc"));
    assert!(!mixed("alternative", "Content-Type: text/html"));
}

/// Stored summaries outlive this version: these bytes must stay readable, and be what is written.
#[test]
fn golden_bytes() {
    let raw = crlf(&[
        "Subject: x",
        "Received: no",
        "Date: 1 Jan 1970 00:00:01 +0000",
        "Content-Type: multipart/mixed; boundary=b",
        "",
        "--b",
        "",
        "hello",
        "--b",
        "Content-Type: message/rfc822",
        "Content-Disposition: inline; filename=f",
        "",
        "Subject: in",
        "",
        "--b--",
    ]);
    let summary = parse(&raw);
    let hex: String = summary.encode().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(hex, GOLDEN);
    assert_eq!(zcluster_mail::Summary::decode(&summary.encode()), Ok(summary));
}

const GOLDEN: &str = "\
    018758585375626a6563743a20780d0a446174653a2031204a616e20313937302030303a30303a3031202b303030300d0a43\
    6f6e74656e742d547970653a206d756c7469706172742f6d697865643b20626f756e646172793d620d0af48f496d756c7469\
    70617274456d69786564818248626f756e646172794162f6f6f600186818da00f6f680f6820181828f447465787445706c61\
    696e80f6f6f6186d186f187400f6f680f68200808f476d6573736167654672666338323280f6f6f6187b18c418d302f68246\
    696e6c696e6581824866696c656e616d65416680f68202824d5375626a6563743a20696e0d0a8f447465787445706c61696e\
    80f6f6f618c418d318d300f6f680f68200801903e8006568656c6c6ff5";
