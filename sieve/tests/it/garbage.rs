//! No bytes make compiling panic; no script that compiles makes a run panic, whatever the message.

use crate::support::*;
use proptest::prelude::*;
use zcluster_api::Bytes;
use zcluster_sieve::{
    Action, Envelope, Limits, ReplyBody, Stamp, compile, render_notification, render_reject, render_vacation, run,
};

const ALL: &str = "require [\"fileinto\", \"envelope\", \"encoded-character\", \"copy\", \"body\", \"regex\", \"relational\", \
    \"comparator-i;ascii-numeric\", \"comparator-i;unicode-casemap\", \"subaddress\", \"variables\", \"vacation\", \"vacation-seconds\", \
    \"imap4flags\", \"date\", \"index\", \"mailbox\", \"mboxmetadata\", \"servermetadata\", \"environment\", \"editheader\", \"duplicate\", \
    \"mime\", \"foreverypart\", \"extracttext\", \"replace\", \"enclose\", \"spamtest\", \"spamtestplus\", \"virustest\", \"include\", \"ihave\", \
    \"special-use\", \"fcc\", \"enotify\", \"mailboxid\", \"reject\", \"ereject\"];\n";

/// A string of a script, quoted.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("*".to_string()),
        Just("${1}".into()),
        Just("${a}${b}".into()),
        Just("".into()),
        Just("a@b.org".into()),
        Just("${hex:c3 bc}".into()),
        Just("Größe €".into()),
        "[a-z*?. \\[(]{0,8}",
    ]
    .prop_map(|t| format!("\"{}\"", t.replace('\\', "\\\\")))
}

fn header() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "\"subject\"",
        "\"from\"",
        "[\"to\", \"cc\"]",
        "\"content-type\"",
        "\"received\"",
        "\"date\"",
        "\"x-none\"",
    ])
}

fn how() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "",
        ":is",
        ":contains",
        ":matches",
        ":count \"gt\"",
        ":value \"le\"",
        ":comparator \"i;octet\" :matches",
        ":comparator \"i;unicode-casemap\" :contains",
        ":comparator \"i;ascii-numeric\"",
    ])
}

fn test() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        (how(), header(), text()).prop_map(|(m, h, k)| format!("header {m} {h} {k}")),
        (how(), header(), text()).prop_map(|(m, h, k)| format!("header :mime :anychild {m} {h} {k}")),
        (how(), header(), text()).prop_map(|(m, h, k)| format!("header :mime :param \"name\" {m} {h} {k}")),
        (how(), header(), text()).prop_map(|(m, h, k)| format!("header :index 2 :last {m} {h} {k}")),
        (how(), header(), text()).prop_map(|(m, h, k)| format!("address :user {m} {h} {k}")),
        (how(), text()).prop_map(|(m, k)| format!("envelope :domain {m} [\"from\", \"to\"] {k}")),
        (how(), text()).prop_map(|(m, k)| format!("body :content [\"text\", \"multipart\", \"\"] {m} {k}")),
        (how(), text()).prop_map(|(m, k)| format!("body :raw {m} {k}")),
        (how(), text(), text()).prop_map(|(m, a, k)| format!("string {m} [{a}, \"${{1}}\"] {k}")),
        (how(), text()).prop_map(|(m, k)| format!("date :originalzone {m} \"date\" \"std11\" {k}")),
        (how(), text()).prop_map(|(m, k)| format!("hasflag {m} {k}")),
        Just("string :regex \"${a}\" \"${b}\"".to_string()),
        Just("header :regex \"subject\" \"([a-z]+) (.*)\"".into()),
        Just("duplicate :handle \"${a}\"".into()),
        Just("size :over 100".into()),
        Just("true".into()),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|t| format!("not {t}")),
            prop::collection::vec(inner.clone(), 1..4).prop_map(|t| format!("allof({})", t.join(", "))),
            prop::collection::vec(inner, 1..4).prop_map(|t| format!("anyof({})", t.join(", "))),
        ]
    })
}

fn command() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("keep;".to_string()),
        Just("discard;".into()),
        Just("stop;".into()),
        text().prop_map(|t| format!("fileinto {}", t.replace("\"\"", "\"x\"").replace("\" ", "\"")) + ";"),
        Just("fileinto :copy :create :flags \"${a} \\\\Seen\" \"x/${a}\";".into()),
        Just("redirect :copy \"a@b.org\";".into()),
        text().prop_map(|t| format!("set :upperfirst :lower \"a\" {t};")),
        text().prop_map(|t| format!("set :quotewildcard \"b\" {t};")),
        Just("set :length \"a\" \"${1}${2}${a}\";".into()),
        Just("addflag [\"a b\", \"\\\\Seen\"];".into()),
        text().prop_map(|t| format!("addheader :last \"X-A\" {t};")),
        text().prop_map(|t| format!("addheader \"Subject\" {t};")),
        Just("deleteheader :index 1 \"Subject\";".into()),
        text().prop_map(|t| format!("deleteheader :matches \"X-A\" {t};")),
        text().prop_map(|t| format!("replace {t};")),
        text().prop_map(|t| format!("replace :mime :subject {t} {t};")),
        text().prop_map(|t| format!("enclose :subject {t} {t};")),
        text().prop_map(|t| format!("vacation :seconds 5 :subject {t} {t};")),
        text().prop_map(|t| format!("notify :message {t} \"mailto:a@b.org\";")),
        text().prop_map(|t| format!("reject {t};")),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        let block = prop::collection::vec(inner, 0..4).prop_map(|c| c.join(" "));
        prop_oneof![
            (test(), block.clone(), block.clone()).prop_map(|(t, a, b)| format!("if {t} {{ {a} }} else {{ {b} }}")),
            block.prop_map(|b| format!(
                "foreverypart {{ {b} extracttext :first 9 \"a\"; if size :under 1K {{ break; }} }}"
            )),
        ]
    })
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    let line = prop::sample::select(vec![
        "Subject: =?utf-8?b?4pg=?= [x] y",
        "From: \"A\" <a@b.org>, g: c@d;",
        "To: bob@example.org",
        "Date: Fri, 21 Nov 1997 09:55:06 -0600",
        "Message-ID: <1@x>",
        "Content-Type: multipart/mixed; boundary=b",
        "Content-Type: message/rfc822",
        "Content-Type: text/plain; charset=utf-7; name*0=a; name*1*=%zz",
        "Content-Transfer-Encoding: base64",
        " folded",
        "",
        "",
        "--b",
        "--b--",
        "junk =C3",
        "Received: x; 1 Jan 2020 00:00:00 +0000",
        "Subject:",
        "References: <a> <b> <c",
    ]);
    (prop::collection::vec((line, any::<bool>()), 0..30), prop::collection::vec(any::<u8>(), 0..30)).prop_map(
        |(lines, junk)| {
            let mut out = Vec::new();
            for (line, crlf) in lines {
                out.extend(line.bytes());
                out.extend(if crlf { &b"\r\n"[..] } else { b"\n" });
            }
            out.extend(junk);
            out
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_compile_or_not(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Err(list) = compile(&bytes, &Limits::default()) {
            prop_assert!(!list.is_empty());
            prop_assert!(list.iter().all(|d| d.line > 0 && d.column > 0 && !d.message.contains('\n')));
        }
    }

    #[test]
    fn pieces_of_scripts_compile_or_not(pieces in prop::collection::vec(prop::sample::select(vec![
        "if", "elsif", "else", "{", "}", ";", "(", ")", "[", "]", ",", "\"a\"", "\"${a}\"", ":mime", ":is", ":flags", ":index", "10K", "keep",
        "fileinto", "set", "vacation", "notify", "header", "address", "date", "not", "anyof", "allof", " ", "true", "include", "global",
        "foreverypart", "break", "body", "envelope", "addheader", ":last", ":copy", ":fcc", "stop", "error", "ihave", "replace",
    ]), 0..40)) {
        let _ = compile(format!("{ALL}{}", pieces.join(" ")).as_bytes(), &Limits::default());
    }

    #[test]
    fn scripts_run(commands in prop::collection::vec(command(), 0..8), raw in message(), steps in prop::option::of(0u64..500)) {
        let source = format!("{ALL}{}", commands.join("\n"));
        let limits = Limits { instructions: steps.unwrap_or(1_000_000), ..Limits::default() };
        // Some are wrong (a mailbox's name, a comparator): then they say so.
        let Ok(script) = compile(source.as_bytes(), &limits) else { return Ok(()) };
        let raw = Bytes::from(raw);
        let o = run(&script, &raw, &envelope(), &World::default(), &limits);
        prop_assert!(!o.actions.is_empty() && o.actions.len() <= limits.actions + 1);
        prop_assert!(o.instructions <= limits.instructions);
        if o.error.is_some() {
            prop_assert_eq!(&o.actions[..], &[Action::Keep { flags: vec![], implicit: true, message: None }][..]);
        }
        let stamp = Stamp { message_id: "1@x", unix_ms: 0, minutes: 0, boundary: "b", server: "x" };
        for action in &o.actions {
            match action {
                Action::Vacation(v) => drop(render_vacation(v, &stamp)),
                Action::Notify(n) => drop(render_notification(n, &stamp)),
                Action::Reject { reason, .. } => drop(render_reject(reason, &raw, &envelope(), &stamp)),
                _ => {}
            }
        }
        // The same again.
        prop_assert_eq!(o, run(&script, &raw, &envelope(), &World::default(), &limits));
    }

    /// What scripts and senders choose cannot add a header field to a reply.
    #[test]
    fn replies_have_our_header(subject in "\\PC{0,80}|[a\r\n: ]{0,40}", text in "\\PC{0,80}|[a\r\n:=]{0,40}", mime in any::<bool>(), from in "\\PC{0,40}") {
        let body = if mime { ReplyBody::Mime(text) } else { ReplyBody::Text(text) };
        let v = zcluster_sieve::Vacation { to: "a@b.org".into(), from, handle: [0; 32], interval_seconds: 1, subject, body,
            in_reply_to: None, references: vec![], fcc: None };
        let out = render_vacation(&v, &Stamp { message_id: "1@x", unix_ms: 0, minutes: 0, boundary: "b", server: "x" });
        let names: Vec<String> = zcluster_mail::fields(&out).map(|f| String::from_utf8_lossy(f.name).to_ascii_lowercase()).collect();
        let known = ["from", "to", "subject", "auto-submitted", "date", "message-id", "mime-version"];
        prop_assert!(names.iter().all(|n| known.contains(&n.as_str()) || n.starts_with("content-")), "{:?}", names);
        let _ = render_reject("x", &out, &Envelope::default(), &Stamp { message_id: "1@x", unix_ms: 0, minutes: 0, boundary: "b", server: "x" });
    }
}
