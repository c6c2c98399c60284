//! What the index leaves out for IMAP's conditions never matches.
#![allow(missing_docs)]

use proptest::prelude::*;
use zcluster_api::search::SearchExpr;
use zcluster_api::text::TextIndexes;
use zcluster_api::{GroupId, ItemId, MailboxId};
use zcluster_mail::{Needle, matches_body, matches_header_bytes, parse, text_doc};
use zcluster_search::{Indexes, Settings};

fn mail() -> impl Strategy<Value = String> {
    const WORDS: &str = "((Invoice|INVOICE|Straße|STRASSE|İstanbul|Σίσυφος|café|日本語|c\\+\\+|jane\\.doe@x\\.example|\\(comment\\)|\"quoted, name\"|=\\?utf-8\\?q\\?gr=C3=BCn\\?=|=C3=BC|<b>bold</b>|a|b|\r\n )[ ,.]?){0,6}";
    let header = "((Subject|From|To|Cc|Bcc|Sender|X-Other|Delivered-To|Return-Path): ";
    let kind = prop::sample::select(vec![
        "",
        "Content-Type: text/plain; charset=utf-8; format=flowed\r\n",
        "Content-Type: text/plain; format=flowed; delsp=yes\r\n",
        "Content-Type: text/html\r\n",
        "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n",
        "Content-Type: multipart/mixed; boundary=b\r\n",
        "Content-Type: application/pdf\r\n",
        "Content-Type: message/rfc822\r\n",
    ]);
    (
        proptest::string::string_regex(&format!("{header}{WORDS}\r\n){{0,4}}")).unwrap(),
        kind,
        WORDS,
        "(--b\r\n|Subject: in\r\n|\r\n)?",
        WORDS,
    )
        .prop_map(|(head, kind, a, middle, b)| format!("{head}{kind}\r\n{a}\r\n{middle}\r\n{b}"))
}

fn needle() -> impl Strategy<Value = String> {
    prop_oneof![
        "(nvoic|oice|invoice|the invoice|straße|strasse|ss|İ|i̇stan|ΣΊΣ|σίσυφος|fé|café|本|日本|日本語|c\\+|\\+\\+|doe@x|x\\.example|jane|comment|grün|ün|bold|b>|a b|a, b|quoted, name)",
        "[aAbB ,.-]{1,3}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn leaves_out_nothing_that_matches(mails in prop::collection::vec(mail(), 1..30), needles in prop::collection::vec(needle(), 10..30)) {
        let folder = tempfile::tempdir().unwrap();
        let index = Indexes::new(folder.path().to_owned(), Settings::default()).open(GroupId(1)).unwrap();
        let summaries: Vec<_> = mails.iter().map(|m| parse(m.as_bytes())).collect();
        for (i, (raw, summary)) in mails.iter().zip(&summaries).enumerate() {
            index.add(MailboxId(1), ItemId(i as u32), &text_doc(summary, raw.as_bytes())).unwrap();
        }
        index.commit(b"x").unwrap();
        let view = index.view();
        for text in needles {
            let needle = Needle::new(&text);
            let check = |leaf: &SearchExpr, matches: &dyn Fn(usize) -> bool| {
                let Some(found) = view.find(MailboxId(1), leaf).unwrap() else { return };
                for (i, mail) in mails.iter().enumerate() {
                    let known = found.may.contains(i as u32) || found.sure.contains(i as u32);
                    assert!(known || !matches(i), "{leaf:?} in {mail:?}");
                    assert!(!found.sure.contains(i as u32) || matches(i), "{leaf:?} in {mail:?}");
                }
            };
            check(&SearchExpr::Body(text.clone()), &|i| matches_body(&summaries[i], mails[i].as_bytes(), &needle));
            for name in ["Subject", "FROM", "to", "cc", "bcc", "sender", "x-other", "delivered-to", "return-path"] {
                let leaf = SearchExpr::Header { name: name.into(), text: text.clone() };
                check(&leaf, &|i| {
                    let header = &mails[i].as_bytes()[..summaries[i].root.body_start as usize];
                    matches_header_bytes(header, name, &needle)
                });
            }
        }
        index.rest();
    }
}

#[test]
fn it_narrows() {
    let folder = tempfile::tempdir().unwrap();
    let index = Indexes::new(folder.path().to_owned(), Settings::default()).open(GroupId(1)).unwrap();
    for i in 0..100u32 {
        let raw = format!("Subject: Number {i} of many\r\nFrom: u{i}@x.example\r\n\r\nplain text {i}\r\n");
        index.add(MailboxId(1), ItemId(i), &text_doc(&parse(raw.as_bytes()), raw.as_bytes())).unwrap();
    }
    index.commit(b"x").unwrap();
    let may =
        |leaf: SearchExpr| index.view().find(MailboxId(1), &leaf).unwrap().map(|f| f.may.iter().collect::<Vec<_>>());
    assert_eq!(may(SearchExpr::Body("text 7".into())).map(|m| m.len()), Some(11), "7, 70 to 79");
    assert_eq!(may(SearchExpr::Body("t 7\r".into())), Some(vec![7]));
    assert_eq!(may(SearchExpr::Header { name: "subject".into(), text: "umber 12 o".into() }), Some(vec![12]));
    assert_eq!(may(SearchExpr::Header { name: "from".into(), text: "u55@".into() }), Some(vec![55]));
    assert_eq!(may(SearchExpr::Header { name: "x-spam".into(), text: "u55@".into() }), None);
    assert_eq!(may(SearchExpr::Text("plain".into())), None);
    index.rest();
}
