use super::*;
use crate::{find_part, parse};
use proptest::prelude::*;

fn doc(raw: &str) -> TextDoc {
    text_doc(&parse(raw.as_bytes()), raw.as_bytes())
}

fn shown(raw: &str) -> String {
    let texts = doc(raw)
        .texts
        .into_iter()
        .map(|(field, text)| format!("{field:?}: {}", text.trim().replace('\n', "|").replace('\r', "")));
    texts.collect::<Vec<_>>().join("\n")
}

#[test]
fn fields_of_the_header() {
    let raw = "Return-Path: <bounce@x.org>\r\nDelivered-To: me@y.org\r\nX-Envelope-To: you@y.org\r\nReceived: not this\r\n\
        Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nFrom: \"Doe, =?utf-8?q?J=C3=A4ne?=\" <jane@x.org>\r\nSender: s@x.org\r\n\
        To: a@b,\r\n c@d\r\nCc: e@f\r\nBcc: g@h\r\nMessage-ID: <1@x>\r\n\r\nText\r\n";
    assert_eq!(
        shown(raw),
        "EnvelopeFrom: <bounce@x.org>\nEnvelopeTo: me@y.org\nEnvelopeTo: you@y.org\nSubject: Grüße\n\
         From: \"Doe, Jäne\" <jane@x.org>\nFrom: s@x.org\nTo: a@b, c@d\nCc: e@f\nCc: g@h\nMessageId: <1@x>\nContent: Text"
    );
    assert!(doc(raw).plain && !doc(raw).header_cut);
    assert_eq!(shown("Message-Id: bare@x\r\n\r\n"), "MessageId: bare@x");
    assert_eq!(shown(""), "");
}

#[test]
fn alternatives_are_read_once() {
    let with = |html: &str| {
        shown(&format!(
            "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\nHello there, World\r\n--b\r\n\
             Content-Type: text/html; charset=utf-8\r\n\r\n{html}\r\n--b--\r\n"
        ))
    };
    assert_eq!(with("<p>Hello <i>there</i>,<br>world"), "Content: Hello there, World");
    assert_eq!(
        with("<p>Hello there<p>Only h<b>er</b>e: world"),
        "Content: Hello there, World\nContent: Only here: world"
    );
    assert_eq!(
        with("<a href=\"https://x.org/p?q\">World</a>"),
        "Content: Hello there, World\nContent: https://x.org/p"
    );
    // Other parts are no alternatives to each other.
    let mixed = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nHello\r\n--b\r\n\r\nhello\r\n--b--\r\n";
    assert_eq!(shown(mixed), "Content: Hello\nContent: hello");
    assert!(!doc(mixed).plain);
}

#[test]
fn parts_and_files() {
    let raw = "Subject: outer\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
        --b\r\nContent-Type: text/plain; charset=iso-8859-1; format=flowed\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
        Stra=DFe =\r\nund=20\r\nWeg\r\n\
        --b\r\nContent-Type: application/pdf; name=\"=?utf-8?q?R=C3=A9sum=C3=A9.pdf?=\"\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERg==\r\n\
        --b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nFrom: i@x.org\r\nX-No: no\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n\
        --c\r\nContent-Type: text/html\r\n\r\n<p>deep\r\n--c\r\nContent-Type: text/calendar\r\n\r\nBEGIN:VCALENDAR\r\n--c--\r\n\
        --b\r\nContent-Type: text/x-patch\r\nContent-Disposition: attachment; filename=a.patch\r\n\r\n+line\r\n\
        --b\r\nContent-Type: image/png; name=i.png\r\n\r\nx\r\n\
        --b\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n";
    assert_eq!(
        shown(raw),
        "Subject: outer\nContent: Straße und Weg\nFileName: Résumé.pdf\nContent: inner\nContent: i@x.org\nContent: deep\n\
         FileName: a.patch\nContent: +line\nFileName: i.png"
    );
    let summary = parse(raw.as_bytes());
    assert_eq!(
        text_doc(&summary, raw.as_bytes()).types,
        [
            "application/pdf",
            "application/pgp-signature",
            "image/png",
            "message/rfc822",
            "text/calendar",
            "text/x-patch"
        ]
    );
    let files = attached_files(&summary);
    let shown: Vec<_> = files.iter().map(|f| (f.path.as_slice(), f.media_type.as_str())).collect();
    assert_eq!(shown, [(&[2][..], "application/pdf"), (&[3, 2], "text/calendar")]);
    let encoded = |f: &AttachedFile| &raw.as_bytes()[f.range.start as usize..f.range.end as usize];
    assert_eq!(decode_file(&files[0], encoded(&files[0])), b"%PDF");
    assert_eq!(files[0].file_name.as_deref(), Some("Résumé.pdf"));
}

#[test]
fn numbers_of_files_are_imaps() {
    for raw in [
        "Content-Type: application/pdf\r\n\r\nx",
        "Content-Type: message/rfc822\r\n\r\nContent-Type: application/pdf\r\n\r\nx",
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: application/pdf\r\n\r\nx\r\n--b--",
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\nContent-Type: application/pdf\r\n\r\nx\r\n--c--\r\n--b--",
    ] {
        let summary = parse(raw.as_bytes());
        let files = attached_files(&summary);
        assert_eq!(files.len(), 1, "{raw}");
        let part = find_part(&summary, &files[0].path).expect("there");
        assert_eq!(part.body_range(), files[0].range, "{raw}");
    }
}

#[test]
fn long_texts_are_cut() {
    let raw = format!("Subject: s\r\n\r\n{}", "word é ".repeat(TEXT_BYTES_MAX / 4));
    let doc = doc(&raw);
    let len: usize = doc.texts.iter().map(|(_, t)| t.len()).sum();
    assert!(!doc.plain && len <= TEXT_BYTES_MAX && len > TEXT_BYTES_MAX - 4);
}

proptest! {
    #[test]
    fn any_message(raw in prop::collection::vec(any::<u8>(), 0..300)) {
        let summary = parse(&raw);
        text_doc(&summary, &raw);
        attached_files(&summary);
    }
    #[test]
    fn nearly_mail(
        raw in "(Content-Type: (multipart/(mixed|alternative); boundary=b|text/(html|plain)|message/rfc822)\r\n|Subject: a\r\n|\r\n|--b(--)?\r\n|<p>x|y ){0,20}",
    ) {
        let summary = parse(raw.as_bytes());
        let doc = text_doc(&summary, raw.as_bytes());
        prop_assert!(doc.texts.iter().map(|(_, t)| t.len()).sum::<usize>() <= raw.len() * 4);
        for file in attached_files(&summary) {
            prop_assert!(find_part(&summary, &file.path).is_some());
        }
    }
}
