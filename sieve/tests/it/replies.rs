//! `vacation`, `notify`, `reject`: who is told, and how it looks.

use crate::support::*;
use zcluster_sieve::{
    Action, Envelope, Notification, ReplyBody, Stamp, Vacation, render_notification, render_reject,
    render_script_error, render_vacation,
};

const M: &str = "From: Alice <alice@example.net>\r\nTo: Bob <Bob@example.org>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\
    Message-ID: <2@example.net>\r\nReferences: <1@example.net>\r\n\r\nhi\r\n";
const STAMP: Stamp<'_> =
    Stamp { message_id: "id.1@mx.example.org", unix_ms: 0, minutes: 0, boundary: "B1", server: "mx.example.org" };

fn reply_in(script: &str, message: &str, envelope: &Envelope, world: &World) -> Option<Vacation> {
    let o = outcome_in(
        &format!(
            "require [\"vacation\", \"vacation-seconds\", \"variables\", \"fcc\", \"imap4flags\", \"mailbox\"]; {script}"
        ),
        message,
        envelope,
        world,
    );
    assert_eq!(o.error, None, "{script}");
    assert!(o.actions.iter().any(|a| matches!(a, Action::Keep { implicit: true, .. })), "vacation cancels no keep");
    o.actions.into_iter().find_map(|a| match a {
        Action::Vacation(v) => Some(v),
        _ => None,
    })
}

fn reply(script: &str, message: &str) -> Option<Vacation> {
    reply_in(script, message, &envelope(), &World::default())
}

#[test]
fn what_a_reply_says() {
    let v = reply("vacation \"I'm away.\";", M).unwrap();
    assert_eq!((v.to.as_str(), v.from.as_str()), ("alice@example.net", "\"Bob Bär\" <Bob@example.org>"));
    assert_eq!((v.subject.as_str(), v.interval_seconds), ("Auto: Grüße", 604_800));
    assert_eq!(v.in_reply_to.as_deref(), Some("<2@example.net>"));
    assert_eq!(v.references, ["<1@example.net>", "<2@example.net>"]);
    let v = reply("vacation :days 23 :subject \"Away\" :from \"B <b@x.org>\" :addresses [\"tjs@example.edu\"] :fcc \"INBOX/Sent\" :flags \"\\\\Seen\" :create \"x\";", M).unwrap();
    assert_eq!((v.from.as_str(), v.subject.as_str(), v.interval_seconds), ("\"B\" <b@x.org>", "Away", 23 * 86_400));
    let fcc = v.fcc.unwrap();
    assert!(fcc.target.mailbox == "INBOX/Sent" && fcc.target.create && fcc.flags == ["\\Seen"]);
    for (script, seconds) in [
        ("vacation :seconds 1800 \"x\";", 1_800),
        ("vacation :seconds 0 \"x\";", 0),
        ("vacation :days 0 \"x\";", 86_400),
        ("vacation :days 9999 \"x\";", 365 * 86_400),
    ] {
        assert_eq!(reply(script, M).unwrap().interval_seconds, seconds, "{script}");
    }
    // Without subject (RFC 5230 §4.3).
    assert_eq!(reply("vacation \"x\";", "To: bob@example.org\r\n\r\n").unwrap().subject, "Automated reply");
}

/// RFC 5230 §4.7.
#[test]
fn handles() {
    let handle = |script: &str| reply(script, M).unwrap().handle;
    assert_eq!(handle("vacation \"x\";"), handle("vacation :days 3 \"x\";"));
    assert_ne!(handle("vacation \"x\";"), handle("vacation \"y\";"));
    assert_ne!(handle("vacation \"x\";"), handle("vacation :subject \"x\" \"x\";"));
    assert_ne!(handle("vacation \"x\";"), handle("vacation :mime \"x\";"));
    assert_eq!(handle("vacation :handle \"h\" \"x\";"), handle("vacation :handle \"h\" \"y\";"));
    assert_ne!(handle("vacation :handle \"x\" \"x\";"), handle("vacation \"x\";"));
}

/// RFC 5230 §4.5, §4.6; RFC 3834.
#[test]
fn who_gets_no_reply() {
    let v = "vacation :addresses [\"tjs@example.edu\", \"not an address\"] \"x\";";
    let world = World { own: vec!["alias@example.org".into()], ..World::default() };
    let answered = |message: &str| reply_in(v, message, &envelope(), &world).is_some();
    for to in [
        "To: bob@example.org",
        "Cc: x@y.org, BOB@Example.org",
        "To: tjs@example.edu",
        "Resent-To: alias@example.org",
        "To: bob+detail@example.org",
        "Bcc: alias@example.org",
    ] {
        assert!(answered(&format!("{to}\r\n\r\n")), "{to}");
    }
    for to in ["To: list@example.org", "X-To: bob@example.org", "To: bob@example.com", ""] {
        assert!(!answered(&format!("{to}\r\n\r\n")), "{to}");
    }
    for field in [
        "Auto-Submitted: auto-replied",
        "Auto-Submitted: auto-generated; x=y",
        "Precedence: bulk",
        "Precedence: List",
        "List-Id: <x.y>",
        "List-Post: <mailto:x@y>",
        "List-Unsubscribe: <x>",
        "X-Auto-Response-Suppress: DR, OOF, AutoReply",
        "Return-Path: <>",
        "Content-Type: multipart/report; report-type=delivery-status",
    ] {
        assert!(!answered(&format!("To: bob@example.org\r\n{field}\r\n\r\n")), "{field}");
    }
    assert!(answered("To: bob@example.org\r\nAuto-Submitted: no\r\nPrecedence: first-class\r\n\r\n"));
    for from in [
        "",
        "MAILER-DAEMON@x.org",
        "owner-list@x.org",
        "list-request@x.org",
        "LISTSERV@x.org",
        "majordomo@x.org",
        "bob@example.org",
        "Alias@example.org",
        "tjs@example.edu",
        "noreply@x.org",
        "junk",
    ] {
        let e = Envelope { from: from.into(), ..envelope() };
        assert_eq!(reply_in(v, "To: bob@example.org\r\n\r\n", &e, &world), None, "{from}");
    }
    // Edits of the header change nothing about it.
    let s = "require [\"vacation\", \"editheader\"]; deleteheader \"Precedence\"; vacation \"x\";";
    assert_eq!(does(s, "To: bob@example.org\r\nPrecedence: bulk\r\n\r\n"), "keep implicit edited");
}

fn text(bytes: Vec<u8>) -> String {
    let text = String::from_utf8(bytes).unwrap();
    assert!(!text.replace("\r\n", "").contains(['\r', '\n']), "bare line breaks");
    text
}

#[test]
fn a_reply_as_mail() {
    let v = reply("vacation \"Bin weg.\nGrüße\";", M).unwrap();
    assert_eq!(
        text(render_vacation(&v, &STAMP)),
        "From: =?utf-8?b?Qm9iIELDpHI=?= <Bob@example.org>\r\nTo: alice@example.net\r\nSubject: =?utf-8?b?QXV0bzogR3LDvMOfZQ==?=\r\n\
         In-Reply-To: <2@example.net>\r\nReferences: <1@example.net> <2@example.net>\r\nAuto-Submitted: auto-replied (vacation)\r\n\
         Date: Thu, 1 Jan 1970 00:00:00 +0000\r\nMessage-ID: <id.1@mx.example.org>\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nQmluIHdlZy4NCkdyw7zDn2UNCg==\r\n"
    );
    let v = reply("vacation :mime text:\r\nContent-Type: text/html\r\nBcc: evil@x.org\r\n\r\n<b>away</b>\r\n.\r\n;", M)
        .unwrap();
    assert!(matches!(v.body, ReplyBody::Mime(_)));
    let t = text(render_vacation(&v, &STAMP));
    assert!(
        t.ends_with("MIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n<b>away</b>\r\n") && !t.contains("evil"),
        "{t}"
    );
    let v = reply("set \"s\" \"a\r\nBcc: evil@x.org\"; vacation :subject \"${s}\" \"x\";", M).unwrap();
    assert!(!text(render_vacation(&v, &STAMP)).contains("\r\nBcc"));
}

fn notes(script: &str, message: &str) -> Vec<Notification> {
    let o = outcome(script, message);
    assert_eq!(o.error, None, "{script}");
    let note = |a| match a {
        Action::Notify(n) => Some(n),
        _ => None,
    };
    o.actions.into_iter().filter_map(note).collect()
}

/// RFC 5435, and RFC 5436 §3's example.
#[test]
fn notifications() {
    let m = "From: \"Jeff Smith\" <jeff@hobbies.example.com>\r\nSubject: [Knitting] A new sweater\r\nList-Id: Knitting <knitting.example.com>\r\n\r\ntext\r\n";
    let s = "require [\"enotify\", \"variables\"]; if header :matches \"Subject\" \"[*] *\" { notify :message \"From ${1} list: ${2}\" \
        :importance \"3\" \"mailto:0123456789@sms.example.net?to=backup@example.com\"; }";
    let n = notes(s, m);
    assert_eq!(n[0].to, ["0123456789@sms.example.net", "backup@example.com"]);
    assert_eq!(
        (n[0].subject.as_str(), n[0].importance, n[0].from.as_str()),
        ("From Knitting list: A new sweater", 3, "bob@example.org")
    );
    let t = text(render_notification(&n[0], &STAMP));
    assert!(t.starts_with("Auto-Submitted: auto-notified; owner-email=\"bob@example.org\"\r\nFrom: bob@example.org\r\nTo: 0123456789@sms.example.net, backup@example.com\r\nSubject: From Knitting list: A new sweater\r\nImportance: low\r\n"), "{t}");
    let e = "require [\"enotify\", \"fcc\"]; ";
    let n = notes(&format!("{e}notify \"mailto:a@b.org?subject=x%20y&body=z&from=e@v.il&x-thing=1\";"), m);
    assert_eq!((n[0].subject.as_str(), n[0].body.as_str()), ("x y", "z"));
    assert!(text(render_notification(&n[0], &STAMP)).contains("X-thing: 1\r\n"));
    assert_eq!(
        notes(&format!("{e}notify :from \"c@d.org\" :fcc \"Sent\" \"mailto:a@b.org\";"), m)[0].subject,
        "[Knitting] A new sweater"
    );
    // The same thing once; machines' mail never.
    assert_eq!(notes(&format!("{e}notify \"mailto:a@b.org\"; notify \"mailto:a@b.org\";"), m).len(), 1);
    assert!(notes(&format!("{e}notify \"mailto:a@b.org\";"), "Auto-Submitted: auto-notified; x\r\n\r\n").is_empty());
    let many: String = (0..5).map(|i| format!("notify \"mailto:a{i}@b.org\";")).collect();
    assert!(does(&format!("{e}{many}"), m).contains("more than 4 notifications"));
    for (test, want) in [
        ("valid_notify_method [\"mailto:a@b.org\"]", true),
        ("valid_notify_method [\"mailto:a@b.org\", \"http://gw.example.net/notify?test\"]", false),
        ("notify_method_capability \"mailto:a@b.org\" \"Online\" \"maybe\"", true),
        ("notify_method_capability \"mailto:a@b.org\" \"Online\" \"yes\"", false),
        ("notify_method_capability \"xmpp:a@b.org\" \"Online\" \"maybe\"", false),
    ] {
        assert_eq!(holds("\"enotify\"", test, m), want, "{test}");
    }
}

/// draft-martin-sieve-notify.
#[test]
fn old_notifications() {
    let m = "From: a@b.org\r\nSubject: s\r\n\r\nhello world\r\n";
    let r = "require \"notify\"; ";
    let n = notes(
        &format!(
            "{r}notify :high :id \"x\" :method \"mailto\" :options \"c@d.org\" :message \"$from$ ($env-from$) $subject$: $text[5]$ $x$\";"
        ),
        m,
    );
    assert_eq!(
        (n[0].body.as_str(), n[0].importance, n[0].id.as_deref()),
        ("a@b.org (alice@example.net) s: hello $x$", 1, Some("x"))
    );
    let two = "notify :id \"a1\" :options \"c@d.org\"; notify :id \"b\" :low :options \"e@f.org\"; ";
    assert_eq!(notes(&format!("{r}{two}"), m).len(), 2);
    assert_eq!(notes(&format!("{r}{two}denotify;"), m).len(), 0);
    assert_eq!(notes(&format!("{r}{two}denotify :matches \"a*\";"), m)[0].id.as_deref(), Some("b"));
    assert_eq!(notes(&format!("{r}{two}denotify :low;"), m)[0].id.as_deref(), Some("a1"));
    assert_eq!(notes(&format!("{r}{two}denotify :is \"a1\" :low;"), m).len(), 2);
    assert!(notes(&format!("{r}notify;"), m).is_empty());
}

/// RFC 5429 §2.2, RFC 8098.
#[test]
fn a_refusal_as_mail() {
    let e = Envelope { orig_to: Some("info@example.org".into()), ..envelope() };
    let t = text(render_reject("Nein, größer.", M.as_bytes(), &e, &STAMP));
    assert!(t.starts_with("From: bob@example.org\r\nTo: alice@example.net\r\n"), "{t}");
    let s = zcluster_mail::parse(t.as_bytes());
    assert!(s.root.is("multipart", "report") && s.root.children().len() == 3);
    assert!(
        t.contains("Final-Recipient: rfc822; bob@example.org\r\n")
            && t.contains("Original-Recipient: rfc822; info@example.org\r\n")
    );
    assert!(t.contains(
        "Original-Message-ID: <2@example.net>\r\nDisposition: automatic-action/MDN-sent-automatically; deleted\r\n"
    ));
    let part = &s.root.children()[0];
    let range = part.body_range();
    let said = zcluster_mail::decode_text(part, &t.as_bytes()[range.start as usize..range.end as usize]);
    assert!(said.contains("Nein, größer."), "{said}");
    assert!(t.contains("Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n") && !t.contains("\r\nhi\r\n"));
}

#[test]
fn a_failure_as_mail() {
    let error = outcome("require [\"ihave\"];\nerror \"why\";", M).error.unwrap();
    let t = text(render_script_error(&error, "main", "bob@example.org", M.as_bytes(), &STAMP));
    assert!(
        t.contains("filter \"main\" failed")
            && t.contains("line 2, column 1: why")
            && t.contains("To: bob@example.org\r\n"),
        "{t}"
    );
    assert!(zcluster_mail::parse(t.as_bytes()).root.children().len() == 2);
}
