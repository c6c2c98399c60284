//! No input panics, and offsets always hold.

use crate::samples::crlf;
use crate::sections::check;
use proptest::prelude::*;
use zcluster_mail::{Needle, decode_part, matches_text, parse};

/// Lines that mean something to the parser, in any order.
fn lines() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        Just("Content-Type: multipart/mixed; boundary=b"),
        Just("Content-Type: multipart/digest; boundary=\"bb\""),
        Just("Content-Type: multipart/mixed; boundary=bb-"),
        Just("Content-Type: message/rfc822"),
        Just("Content-Type: text/html; charset=utf-16"),
        Just("Content-Transfer-Encoding: base64"),
        Just("Content-Transfer-Encoding: quoted-printable"),
        Just("Content-Disposition: attachment; filename*0=a; filename*1*=%zz"),
        Just("Subject: =?utf-8?b?4pg=?= =?x?q?=4?="),
        Just(" folded"),
        Just("Date: 1 Jan"),
        Just(""),
        Just("--b"),
        Just("--bb"),
        Just("--bb-"),
        Just("--b--"),
        Just("--bb--"),
        Just("<p>&amp text =C3"),
        Just("junk"),
    ];
    (prop::collection::vec((line, any::<bool>()), 0..60), any::<bool>()).prop_map(|(lines, cut)| {
        let mut out: Vec<u8> = Vec::new();
        for (line, crlf) in lines {
            out.extend(line.bytes());
            out.extend(if crlf { &b"\r\n"[..] } else { b"\n" });
        }
        if cut {
            out.pop();
        }
        out
    })
}

fn exercise(raw: &[u8]) {
    let s = parse(raw);
    check(raw, &s);
    s.envelope();
    s.references();
    s.message_id();
    matches_text(&s, raw, &Needle::new("zz\u{fc}"));
    let mut stack = vec![&s.root];
    while let Some(p) = stack.pop() {
        decode_part(p, &raw[p.body_start as usize..p.body_end as usize]);
        p.file_name();
        p.envelope();
        stack.extend(p.children());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn structured_garbage(raw in lines()) {
        exercise(&raw);
    }
    #[test]
    fn bytes(raw in prop::collection::vec(any::<u8>(), 0..600)) {
        exercise(&raw);
    }
    #[test]
    fn truncated_mail(cut in 0usize..700, flip in 0usize..700, byte in any::<u8>()) {
        let mut raw = crlf(&[
            "From: \"A B\" <a@b>, g: c@d;", "Subject: x", "Content-Type: multipart/mixed;", " boundary=\"b\"", "", "pre",
            "--b", "Content-Type: multipart/related; boundary=c", "", "--c", "Content-Type: text/html", "", "<img>", "--c",
            "Content-Type: image/gif; name=x.gif", "Content-ID: <i>", "Content-Transfer-Encoding: base64", "", "R0lGODlh",
            "--c--", "", "--b", "Content-Type: message/rfc822", "", "Subject: in", "", "text", "--b--", "post",
        ]);
        if let Some(b) = raw.get_mut(flip) {
            *b = byte;
        }
        raw.truncate(cut);
        exercise(&raw);
    }
}
