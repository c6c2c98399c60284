//! How actions go together: RFC 5228 §2.10, RFC 3894, RFC 5429, RFC 5232; what happens after an error.

use crate::support::*;
use zcluster_sieve::Action;

#[test]
fn keeps_and_copies() {
    let r = "require [\"fileinto\", \"copy\", \"imap4flags\", \"mailbox\", \"reject\", \"ereject\", \"vacation\"]; ";
    for (script, want) in [
        ("keep; keep;", "keep"),
        ("keep; discard;", "keep"),
        ("discard; keep;", "keep"),
        ("discard;", "discard"),
        ("fileinto \"a\";", "fileinto a"),
        ("fileinto \"a\"; fileinto \"a\";", "fileinto a"),
        ("fileinto \"a\"; fileinto \"b\"; keep;", "fileinto a; fileinto b; keep"),
        ("fileinto :copy \"a\";", "fileinto a copy; keep implicit"),
        ("fileinto :copy \"a\"; discard;", "fileinto a copy"),
        ("fileinto \"INBOX\"; keep;", "keep"),
        ("fileinto \"inbox\"; fileinto \"Inbox\";", "keep"),
        ("fileinto :copy \"INBOX\";", "keep"),
        ("redirect \"x@y.org\";", "redirect x@y.org"),
        ("redirect :copy \"x@y.org\";", "redirect x@y.org copy; keep implicit"),
        ("redirect \"x@y.org\"; redirect \"X@y.org\"; keep;", "redirect x@y.org; keep"),
        ("redirect \"\\\"X Y\\\" <x@y.org>\";", "redirect x@y.org"),
        ("reject \"no\";", "reject no"),
        ("ereject \"no\";", "ereject no"),
        ("discard; reject \"no\";", "reject no"),
        ("reject \"no\"; discard;", "reject no"),
        // Flags (RFC 5232)
        ("setflag \"\\\\Seen\";", "keep implicit (\\Seen)"),
        ("setflag \"\\\\Seen\"; addflag [\"a b\", \"\\\\seen\"]; removeflag \"A\"; keep;", "keep (\\Seen b)"),
        ("addflag \"a\"; fileinto :flags \"b\" \"x\"; fileinto \"y\";", "fileinto x (b); fileinto y (a)"),
        ("keep :flags \"a\"; keep :flags [\"b\", \"A\"];", "keep (a b)"),
        ("keep :flags [\"\", \"  \"];", "keep"),
        ("fileinto :copy :flags \"a\" \"x\"; addflag \"z\";", "fileinto x copy (a); keep implicit (z)"),
        ("if true { if true { stop; } discard; } discard;", "keep implicit"),
    ] {
        assert_eq!(does(&format!("{r}{script}"), MESSAGE_A), want, "{script}");
    }
    for (script, says) in [
        ("keep; reject \"no\";", "line 1, column"),
        ("reject \"no\"; keep;", "`keep` cannot go together with `reject`"),
        ("reject \"no\"; fileinto :copy \"a\";", "`fileinto` cannot"),
        ("reject \"no\"; redirect \"a@b.org\";", "`redirect` cannot"),
        ("reject \"no\"; vacation \"x\";", "`vacation` cannot"),
        ("reject \"no\"; ereject \"no\";", "another reject"),
        ("vacation \"a\"; vacation \"b\";", "said already"),
        (
            "redirect \"a@b.org\"; redirect \"b@b.org\"; redirect \"c@b.org\"; redirect \"d@b.org\"; redirect \"e@b.org\";",
            "more than 4 addresses",
        ),
    ] {
        let got = does(&format!("{r}{script}"), MESSAGE_A);
        assert!(got.starts_with("error ") && got.contains(says), "{script}: {got}");
    }
}

#[test]
fn an_error_keeps_the_message_as_it_came() {
    let source = "require [\"fileinto\", \"copy\", \"editheader\", \"variables\", \"imap4flags\", \"ihave\"];\n\
        addflag \"x\"; addheader \"X-A\" \"b\"; redirect \"a@b.org\"; discard;\n  error \"oh\r\nno\";";
    let o = outcome(source, MESSAGE_A);
    assert_eq!(o.actions, [Action::Keep { flags: vec![], implicit: true, message: None }]);
    let error = o.error.unwrap();
    assert_eq!((error.line, error.column, error.message.as_str()), (3, 3, "oh  no"));
    assert!(o.remember.is_empty());
    // The place of what failed inside an included or nested thing is its own.
    let o = outcome("require [\"fileinto\", \"variables\"];\nif true {\n  fileinto \"${x}\";\n}", MESSAGE_A);
    assert_eq!(o.error.map(|e| (e.line, e.column)), Some((3, 3)));
}

#[test]
fn sequences() {
    let run = |scripts: &[&str]| words(&sequence(scripts, MESSAGE_A));
    let f = "require [\"fileinto\", \"copy\", \"imap4flags\", \"editheader\"]; ";
    let f = |s: &str| format!("{f}{s}");
    assert_eq!(
        run(&[&f("fileinto :copy \"archive\"; addflag \"x\";"), "", &f("fileinto \"a\";")]),
        "fileinto archive copy (x)".replace(" (x)", "") + "; fileinto a (x)"
    );
    assert_eq!(run(&["discard;", &f("fileinto \"a\";")]), "discard");
    assert_eq!(run(&["keep;", &f("fileinto \"a\";")]), "keep; fileinto a");
    assert_eq!(run(&["stop;", "discard;"]), "discard");
    assert_eq!(run(&[&f("addheader \"X-A\" \"1\";"), "if exists \"x-a\" { keep; } else { discard; }"]), "keep edited");
    // What an earlier script did stands when a later one fails; the message is in INBOX.
    let o = sequence(
        &[
            &f("fileinto :copy \"archive\";"),
            &f(
                "discard; fileinto \"b\"; redirect \"a@b.org\";\nredirect \"b@b.org\"; redirect \"c@b.org\"; redirect \"d@b.org\"; redirect \"e@b.org\";",
            ),
        ],
        MESSAGE_A,
    );
    assert_eq!(o.error.as_ref().map(|e| (e.number, e.line)), Some((1, 2)));
    assert_eq!(o.actions.len(), 2);
    assert!(matches!(&o.actions[1], Action::Keep { implicit: true, message: None, .. }));
}
