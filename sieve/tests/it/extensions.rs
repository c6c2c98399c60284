//! Extensions that test: each by its document's examples; and that every advertised one is here.

use crate::support::*;
use zcluster_sieve::{Limits, Outcome, capabilities, compile, notify_methods};

fn world_holds(world: &World, require: &str, test: &str) -> bool {
    holds_in(require, test, MESSAGE_A, &envelope(), world)
}

/// RFC 5260.
#[test]
fn dates() {
    // 2007-10-15 12:34:56 UTC, a Monday.
    let world = World { now_ms: 1_192_451_696_000, zone: 120, ..World::default() };
    let r = "\"date\", \"relational\", \"index\"";
    for (test, want) in [
        ("currentdate \"date\" \"2007-10-15\"", true),
        ("currentdate \"hour\" \"14\"", true),
        ("currentdate :zone \"-0500\" \"hour\" \"07\"", true),
        ("currentdate \"weekday\" \"1\"", true),
        ("currentdate \"ISO8601\" \"2007-10-15T14:34:56+02:00\"", true),
        (
            "allof(currentdate :value \"ge\" \"date\" \"2007-06-30\", currentdate :value \"le\" \"date\" \"2007-12-31\")",
            true,
        ),
        ("anyof(currentdate \"weekday\" \"0\", currentdate :value \"lt\" \"hour\" \"09\")", false),
        ("date :value \"eq\" :originalzone \"date\" \"hour\" \"09\"", true),
        ("date :originalzone \"date\" \"zone\" \"-0800\"", true),
        ("date :zone \"+0000\" \"date\" \"hour\" \"17\"", true),
        ("date \"date\" \"hour\" \"19\"", true),
        ("date :zone \"+0000\" \"date\" \"std11\" \"Tue, 01 Apr 1997 17:06:31 +0000\"", true),
        ("date :matches \"x-none\" \"year\" \"*\"", false),
        ("date :matches \"subject\" \"year\" \"*\"", false),
    ] {
        assert_eq!(world_holds(&world, r, test), want, "{test}");
    }
    let received = "Received: from a by b; Mon, 1 Jan 2007 10:00:00 +0000\r\nReceived: from c by d;\r\n Sun, 31 Dec 2006 10:00:00 +0000\r\n\r\n";
    let at = |test: &str| holds_in(r, test, received, &envelope(), &world);
    assert!(
        at("date :index 1 \"received\" \"year\" \"2007\"") && at("date :index 1 :last \"received\" \"year\" \"2006\"")
    );
    assert!(!at("date :index 3 \"received\" \"year\" \"2007\"") && at("date \"received\" \"year\" \"2006\""));
    assert!(
        at("header :index 2 :contains \"received\" \"from c\"")
            && !at("header :index 1 :contains \"received\" \"from c\"")
    );
}

/// RFC 5173.
#[test]
fn bodies() {
    let m = "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\nprologue\r\n--b\r\n\
        Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=FC=DFe MAKE MONEY\r\n\
        --b\r\nContent-Type: application/x-foo\r\nContent-Transfer-Encoding: base64\r\n\r\nc2VjcmV0\r\n\
        --b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninner text\r\n--b--\r\nepilogue\r\n";
    for (test, want) in [
        ("body :contains \"grÜße make money\"", false),
        ("body :contains \"Grüße make money\"", true),
        ("body :raw :contains \"Gr=FC=DFe\"", true),
        ("body :contains \"Gr=FC\"", false),
        ("body :contains \"inner text\"", true),
        ("body :contains \"Subject: inner\"", false),
        ("body :content \"message\" :contains \"subject: inner\"", true),
        ("body :content \"message/rfc822\" :contains \"inner text\"", false),
        ("body :content \"application/x-foo\" :is \"secret\"", true),
        ("body :content \"application\" :contains \"secret\"", true),
        ("body :content [\"image\", \"application/\"] :contains \"\"", false),
        ("body :content \"\" :contains \"secret\"", true),
        ("body :content \"multipart\" :contains \"prologue\"", true),
        ("body :content \"multipart\" :contains \"epilogue\"", true),
        ("body :content \"multipart\" :contains \"secret\"", false),
        ("body :raw :contains \"Subject: x\"", false),
        ("body :raw :matches \"*--b--*\"", true),
        ("body :regex \"make[[:space:]]+m[o0]ney\"", true),
    ] {
        assert_eq!(holds("\"body\", \"regex\"", test, m), want, "{test}");
    }
    assert!(holds("\"body\"", "body :raw :contains \"MAKE MONEY FAST\"", "A: b\r\n\r\nmake money fast"));
    assert!(!holds("\"body\"", "body :contains \"x\"", "A: x"));
}

/// RFC 5490, 8579, 9042, 5183.
#[test]
fn mailboxes_metadata_environment() {
    let mut world = World::default();
    world.mailboxes.extend(["INBOX/Partners".to_string(), "a".into()]);
    world.special.extend([(None, "\\Junk".to_string()), (Some("a".into()), "\\Archive".into())]);
    world.ids.insert("F6352ae03".into());
    world.metadata.insert((Some("INBOX".into()), "/private/vendor/v".into()), "on".into());
    world.metadata.insert((None, "/shared/comment".into()), "text".into());
    world.environment.insert("domain".into(), "imap.example.com".into());
    let r = "\"mailbox\", \"special-use\", \"mailboxid\", \"mboxmetadata\", \"servermetadata\", \"environment\", \"relational\"";
    for (test, want) in [
        ("mailboxexists \"INBOX/Partners\"", true),
        ("mailboxexists [\"a\", \"b\"]", false),
        ("specialuse_exists \"\\\\Junk\"", true),
        ("specialuse_exists \"a\" [\"\\\\Archive\"]", true),
        ("specialuse_exists \"a\" [\"\\\\Archive\", \"\\\\Junk\"]", false),
        ("specialuse_exists \"Junk\"", false),
        ("mailboxidexists [\"F6352ae03\"]", true),
        ("mailboxidexists [\"F6352ae03\", \"x\"]", false),
        ("metadata :is \"INBOX\" \"/private/vendor/v\" \"on\"", true),
        ("metadata :contains \"a\" \"/private/vendor/v\" \"\"", false),
        ("metadataexists \"INBOX\" [\"/private/vendor/v\"]", true),
        ("metadataexists \"INBOX\" [\"/private/vendor/v\", \"/private/x\"]", false),
        ("servermetadata :matches \"/shared/comment\" \"t*\"", true),
        ("servermetadataexists [\"/shared/comment\"]", true),
        ("environment :matches \"Domain\" \"imap.*\"", true),
        ("environment :contains \"remote-ip\" \"\"", false),
    ] {
        assert_eq!(world_holds(&world, r, test), want, "{test}");
    }
    let source = "require [\"fileinto\", \"mailbox\", \"special-use\", \"mailboxid\"];\
        fileinto :create :specialuse \"\\\\Junk\" :mailboxid \"F1\" \"Spam\";";
    match &outcome(source, MESSAGE_A).actions[..] {
        [zcluster_sieve::Action::FileInto { target, .. }] => {
            assert!(target.create && target.mailbox == "Spam");
            assert_eq!((target.special_use.as_deref(), target.mailbox_id.as_deref()), (Some("\\Junk"), Some("F1")));
        }
        other => panic!("{other:?}"),
    }
}

/// RFC 5235.
#[test]
fn verdicts() {
    let r = "\"spamtestplus\", \"virustest\", \"relational\", \"comparator-i;ascii-numeric\"";
    let at = |spam, virus, test: &str| world_holds(&World { spam, virus, ..World::default() }, r, test);
    let n = ":comparator \"i;ascii-numeric\"";
    let spam = |op: &str, v: &str| format!("spamtest :value \"{op}\" {n} \"{v}\"");
    assert!(
        at(None, None, &spam("eq", "0"))
            && at(Some(0), None, &spam("eq", "1"))
            && at(Some(100), None, &spam("eq", "10"))
    );
    assert!(at(Some(37), None, &spam("ge", "3")) && !at(Some(20), None, &spam("ge", "3")));
    assert!(at(Some(37), None, &format!("spamtest :value \"eq\" :percent {n} \"37\"")));
    assert!(
        at(None, None, &format!("spamtest :percent :count \"eq\" {n} \"0\""))
            && at(Some(0), None, "spamtest :count \"eq\" \"1\"")
    );
    assert!(at(None, Some(5), &format!("virustest :value \"eq\" {n} \"5\"")) && at(None, None, "virustest \"0\""));
}

/// RFC 7352.
#[test]
fn duplicates() {
    let m = "Message-ID: <1@x>\r\nX-Event: e1\r\nSubject: s\r\n\r\n";
    let go = |test: &str, world: &World| {
        outcome_in(&format!("require [\"duplicate\", \"variables\"]; if {test} {{ discard; }}"), m, &envelope(), world)
    };
    let learn = |first: &str, then: &str| {
        let mut world = World::default();
        let o = go(first, &world);
        assert_eq!(words(&o), "keep implicit");
        world.seen.extend(o.remember.iter().map(|r| r.id));
        let again = go(then, &world);
        (words(&again) == "discard", again.remember.len())
    };
    let t = "duplicate";
    assert_eq!(learn(t, t), (true, 0));
    assert_eq!(learn(t, "duplicate :last"), (true, 1));
    assert_eq!(learn(t, "duplicate :handle \"h\""), (false, 1));
    assert_eq!(learn("duplicate :header \"X-Event\"", "duplicate :uniqueid \"e1\""), (true, 0));
    assert_eq!(learn("duplicate :seconds 60", "duplicate :uniqueid \"<1@x>\""), (true, 0));
    // No id, no duplicate; the same answer all through a run; seconds within the limit.
    let ids = |o: &Outcome| o.remember.iter().map(|r| r.seconds).collect::<Vec<_>>();
    assert_eq!(ids(&go("duplicate :header \"X-None\"", &World::default())), Vec::<u64>::new());
    assert_eq!(ids(&go("allof(not duplicate, not duplicate :seconds 5)", &World::default())), [604_800]);
    assert_eq!(ids(&go("duplicate :seconds 99999999999", &World::default())), [2_592_000]);
    assert_eq!(ids(&go("duplicate :handle \"a\" :seconds 0", &World::default())), [0]);
}

/// RFC 5463.
#[test]
fn ihave() {
    let s = "require \"ihave\"; if ihave \"fileinto\" { fileinto \"a\"; } else { discard; }";
    assert_eq!(does(s, MESSAGE_A), "fileinto a");
    let s = "require \"ihave\"; if ihave [\"fileinto\", \"vnd.unknown\"] { unknown_action :foo \"x\"; } else { keep; }";
    assert_eq!(does(s, MESSAGE_A), "keep");
    let s = "require \"ihave\"; if allof(ihave \"vnd.x\", x_test \"a\" [\"b\"]) { discard; }";
    assert_eq!(does(s, MESSAGE_A), "keep implicit");
    // Reached all the same: an error at run time.
    let got = does("require \"ihave\"; if not ihave \"vnd.x\" { unknown_action; }", MESSAGE_A);
    assert!(got.contains("`unknown_action` is no command"), "{got}");
    let got = does("require \"ihave\"; if not ihave \"vnd.x\" { error \"cannot\"; }", MESSAGE_A);
    assert!(got.ends_with("cannot"), "{got}");
    // Without `ihave` required nothing waits; syntax never does.
    assert!(compile(b"if ihave \"fileinto\" { }", &Limits::default()).is_err());
    assert!(compile(b"require \"ihave\"; if ihave \"x\" { foo \"a\" ", &Limits::default()).is_err());
}

/// RFC 5232 §4.
#[test]
fn flags() {
    let r = "require [\"imap4flags\", \"variables\", \"relational\", \"comparator-i;ascii-numeric\"]; ";
    for (script, want) in [
        ("addflag [\"\\\\Deleted\", \"$Label\"]; if hasflag :contains \"label\"", true),
        ("addflag \"\\\\Deleted\"; if hasflag [\"a\", \"\\\\deleted\"]", true),
        ("if hasflag :contains \"\"", false),
        (
            "setflag \"v\" \"a b\"; setflag \"w\" \"b c\"; if hasflag :count \"eq\" :comparator \"i;ascii-numeric\" [\"v\", \"w\"] \"3\"",
            true,
        ),
        ("setflag \"v\" \"a b\"; if hasflag \"v\" \"x b\"", true),
        ("setflag \"v\" \"a b\"; if hasflag \"b\"", false),
        ("addflag [\"a\", \"b\"]; removeflag \"a\"; if hasflag :matches \"?\"", true),
    ] {
        let got = does(&format!("{r}{script} {{ discard; }}"), MESSAGE_A);
        assert_eq!(got == "discard", want, "{script}: {got}");
    }
}

/// Every advertised extension compiles in `require`, and something that needs it does not without.
#[test]
fn what_is_advertised_works() {
    // Names of extensions, and what each makes possible (with the other ones that it needs).
    let uses: &[(&str, &[&str], &str)] = &[
        ("fileinto", &[], "fileinto \"a\";"),
        ("reject", &[], "reject \"a\";"),
        ("ereject", &[], "ereject \"a\";"),
        ("envelope", &[], "if envelope \"from\" \"a\" {}"),
        ("copy", &[], "redirect :copy \"a@b.org\";"),
        ("body", &[], "if body \"a\" {}"),
        ("regex", &[], "if header :regex \"a\" \"b\" {}"),
        ("relational", &[], "if header :count \"eq\" \"a\" \"1\" {}"),
        ("comparator-i;ascii-numeric", &[], "if header :comparator \"i;ascii-numeric\" \"a\" \"1\" {}"),
        ("comparator-i;unicode-casemap", &[], "if header :comparator \"i;unicode-casemap\" \"a\" \"1\" {}"),
        ("subaddress", &[], "if address :detail \"to\" \"a\" {}"),
        ("variables", &[], "set \"a\" \"b\";"),
        ("vacation", &[], "vacation \"a\";"),
        ("vacation-seconds", &["vacation"], "vacation :seconds 1 \"a\";"),
        ("imap4flags", &[], "setflag \"a\";"),
        ("date", &[], "if currentdate \"year\" \"a\" {}"),
        ("index", &[], "if header :index 1 \"a\" \"b\" {}"),
        ("mailbox", &[], "if mailboxexists \"a\" {}"),
        ("mboxmetadata", &[], "if metadataexists \"a\" \"b\" {}"),
        ("servermetadata", &[], "if servermetadataexists \"b\" {}"),
        ("environment", &[], "if environment \"name\" \"b\" {}"),
        ("editheader", &[], "addheader \"a\" \"b\";"),
        ("duplicate", &[], "if duplicate {}"),
        ("mime", &[], "if header :mime :type \"content-type\" \"text\" {}"),
        ("foreverypart", &[], "foreverypart { break; }"),
        ("extracttext", &["foreverypart", "variables"], "foreverypart { extracttext \"a\"; }"),
        ("replace", &[], "replace \"a\";"),
        ("enclose", &[], "enclose \"a\";"),
        ("spamtest", &[], "if spamtest \"1\" {}"),
        ("spamtestplus", &[], "if spamtest :percent \"1\" {}"),
        ("virustest", &[], "if virustest \"1\" {}"),
        ("include", &[], "include \"a\";"),
        ("ihave", &[], "if ihave \"a\" {}"),
        ("special-use", &[], "if specialuse_exists \"\\\\Junk\" {}"),
        ("fcc", &["vacation"], "vacation :fcc \"a\" \"b\";"),
        ("enotify", &[], "if valid_notify_method \"mailto:a@b.org\" {}"),
        ("notify", &[], "denotify;"),
        ("mailboxid", &[], "if mailboxidexists \"a\" {}"),
        // Comparators that need no require, and one that changes strings only.
        ("comparator-i;octet", &[], ""),
        ("comparator-i;ascii-casemap", &[], ""),
        ("encoded-character", &[], ""),
    ];
    let mut names: Vec<&str> = uses.iter().map(|(n, ..)| *n).collect();
    let mut advertised = capabilities();
    names.sort_unstable();
    advertised.sort_unstable();
    assert_eq!(names, advertised);
    for (name, others, source) in uses {
        let with = |list: &[&str]| {
            let list: Vec<String> = list.iter().map(|n| format!("\"{n}\"")).collect();
            format!("require [{}]; {source}", list.join(", "))
        };
        let mut all = others.to_vec();
        all.push(name);
        good(&with(&all));
        let without = if others.is_empty() { (*source).to_string() } else { with(others) };
        assert_eq!(compile(without.as_bytes(), &Limits::default()).is_ok(), source.is_empty(), "{name}");
    }
    assert_eq!(notify_methods(), ["mailto"]);
}
