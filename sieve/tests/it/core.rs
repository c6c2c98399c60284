//! RFC 5228: its examples and its tests.

use crate::support::*;
use zcluster_sieve::Envelope;

#[test]
fn tests_of_the_base_document() {
    for (require, test, a, b) in [
        ("", "true", true, true),
        ("", "not true", false, false),
        ("", "anyof (false, true)", true, true),
        ("", "allof (false, true)", false, false),
        // §2.7.1 to §2.7.4
        ("", "header :contains \"Subject\" \"PRESENT\"", true, false),
        ("", "header :contains :comparator \"i;octet\" \"Subject\" \"MAKE MONEY FAST\"", false, false),
        ("", "header :is \"subject\" \"i HAVE a present for you\"", true, false),
        ("", "header :comparator \"i;octet\" \"subject\" \"i HAVE a present for you\"", false, false),
        ("", "header :matches \"subject\" \"*millionaire!*\"", false, true),
        ("", "header :matches \"subject\" \"\\\\$*\"", false, true),
        ("", "header :matches \"subject\" \"? have*\"", true, false),
        ("", "header :contains \"subject\" \"\"", true, true),
        ("", "header :is \"x-missing\" \"\"", false, false),
        ("", "header :is [\"x-missing\", \"subject\"] [\"no\", \"I have a present for you\"]", true, false),
        // §5.1
        ("", "address :is :all \"from\" \"coyote@desert.example.org\"", true, false),
        ("", "address :domain \"from\" \"DESERT.example.org\"", true, false),
        ("", "address :localpart \"to\" \"rube\"", false, true),
        ("", "address [\"from\", \"sender\"] \"b1ff@de.res.example.com\"", false, true),
        // §5.5, §5.9
        ("", "exists [\"from\", \"date\"]", true, true),
        ("", "exists [\"from\", \"sender\"]", false, true),
        ("", "size :over 10", true, true),
        ("", "size :under 1K", true, true),
        ("", "size :over 1M", false, false),
    ] {
        assert_eq!((holds(require, test, MESSAGE_A), holds(require, test, MESSAGE_B)), (a, b), "{test}");
    }
}

/// §3.1's and §9's scripts.
#[test]
fn example_scripts() {
    let choose = "require \"fileinto\";\n\
        if header :contains \"from\" \"coyote\" { discard; }\n\
        elsif header :contains [\"subject\"] [\"$$$\"] { discard; }\n\
        else { fileinto \"INBOX/other\"; }";
    assert_eq!(does(choose, MESSAGE_A), "discard");
    assert_eq!(does(choose, MESSAGE_B), "discard");
    assert_eq!(does(choose, "From: x@y\r\n\r\n"), "fileinto INBOX/other");
    let chain = "if header :contains [\"From\"] [\"coyote\"] { redirect \"acm@example.com\"; }\n\
        elsif header :contains \"Subject\" \"$$$\" { redirect \"postmaster@example.com\"; }\n\
        else { redirect \"field@example.com\"; }";
    assert_eq!(does(chain, MESSAGE_A), "redirect acm@example.com");
    assert_eq!(does(chain, MESSAGE_B), "redirect postmaster@example.com");
    assert_eq!(does(chain, "\r\n"), "redirect field@example.com");
    let extended = r#"
        # Example Sieve Filter
        # Declare any optional features or extension used by the script
        require ["fileinto"];
        # Handle messages from known mailing lists
        if header :is "Sender" "owner-ietf-mta-filters@imc.org" { fileinto "filter"; }
        elsif address :DOMAIN :is ["From", "To"] "example.com" { keep; }
        elsif anyof (NOT address :all :contains ["To", "Cc", "Bcc"] "me@example.com",
                     header :matches "subject" ["*make*money*fast*", "*university*dipl*mas*"]) { fileinto "spam"; }
        else { fileinto "personal"; }
    "#;
    assert_eq!(does(extended, MESSAGE_A), "fileinto spam");
    assert_eq!(does(extended, "To: me@example.com.au\r\n\r\n"), "fileinto personal");
    assert_eq!(does(extended, "Sender: owner-ietf-mta-filters@imc.org\r\n\r\n"), "fileinto filter");
    assert_eq!(does(extended, "From: a@b.org\r\n\r\n"), "fileinto spam");
    assert_eq!(does(extended, "From: a@b.org\r\nTo: Me <me@Example.com>\r\n\r\n"), "keep");
}

#[test]
fn comments_texts_and_case() {
    let source = "IF /* here */ TRUE # and here\n{ /* a * / b */ DisCard; }";
    assert_eq!(does(source, "\r\n"), "discard");
    let source = "require \"reject\"; reject text: # why\r\nfirst\r\n..second\r\n.\r\n;";
    assert_eq!(does(source, "\r\n"), "reject first\r\n.second\r\n");
    assert_eq!(does("", "\r\n"), "keep implicit");
    assert_eq!(does("\u{feff}stop; discard;", "\r\n"), "keep implicit");
}

#[test]
fn headers_are_decoded_and_trimmed() {
    let m = "Subject:  =?iso-8859-1?q?Gr=FC=DFe?= aus\r\n =?utf-8?b?S8O2bG4=?=  \r\nFrom: =?utf-8?q?J=C3=B6rg?= <j@x.org>\r\n\r\n";
    assert!(holds("", "header \"subject\" \"Grüße aus Köln\"", m));
    assert!(!holds("", "header \"subject\" \"grÜße aus köln\"", m));
    assert!(holds(
        "\"comparator-i;unicode-casemap\"",
        "header :comparator \"i;unicode-casemap\" \"subject\" \"GRÜßE AUS KÖLN\"",
        m
    ));
    assert!(holds("", "header :contains \"from\" \"jörg\"", m));
    // The phrase is no address (§5.1), and groups' names are none.
    assert!(!holds("", "address :contains \"from\" \"jörg\"", m));
    let group = "To: friends: a@x.org, B <b@y.org>;, c@z.org\r\n\r\n";
    assert!(holds(
        "",
        "allof (address \"to\" \"b@y.org\", address \"to\" \"c@z.org\", not address :contains \"to\" \"friends\")",
        group
    ));
}

/// §5.4.
#[test]
fn envelopes() {
    let at = |test: &str, e: &Envelope| holds_in("\"envelope\", \"subaddress\"", test, MESSAGE_A, e, &World::default());
    let e = Envelope {
        from: "Tim@example.com".into(),
        to: "bob+lists@example.org".into(),
        orig_to: Some("info@example.org".into()),
        auth: Some("tim".into()),
    };
    assert!(at("envelope :all :is \"from\" \"tim@example.com\"", &e));
    assert!(at("envelope :detail \"to\" \"lists\"", &e) && at("envelope :user \"to\" \"bob\"", &e));
    assert!(at("envelope \"orcpt\" \"info@example.org\"", &e) && at("envelope \"auth\" \"tim\"", &e));
    assert!(!at("envelope :domain \"from\" \"\"", &e));
    let null = Envelope { to: "b@example.org".into(), ..Envelope::default() };
    assert!(at("envelope :domain \"from\" \"\"", &null) && at("envelope :all \"from\" \"\"", &null));
    assert!(!at("envelope :detail :contains \"to\" \"\"", &null) && !at("envelope :contains \"auth\" \"\"", &null));
}

/// RFC 5233 §4's table.
#[test]
fn subaddresses() {
    for (address, user, detail) in [
        ("ken+sieve@example.org", "ken", Some("sieve")),
        ("5551212#123@example.com", "5551212#123", None),
        ("ken+@example.org", "ken", Some("")),
        ("ken@example.org", "ken", None),
        ("\"+x\"@example.org", "", Some("x")),
    ] {
        let m = format!("To: {address}\r\n\r\n");
        assert!(holds("\"subaddress\"", &format!("address :user \"to\" \"{user}\""), &m), "{address}");
        match detail {
            Some(d) => assert!(holds("\"subaddress\"", &format!("address :detail \"to\" \"{d}\""), &m), "{address}"),
            None => assert!(!holds("\"subaddress\"", "address :detail :contains \"to\" \"\"", &m), "{address}"),
        }
    }
}

/// RFC 5231 §7 and §4.
#[test]
fn relations() {
    let m = "Received: a\r\nReceived: b\r\nReceived: c\r\nX-Priority: 3\r\nSubject: m\r\nTo: a@x.org, b@x.org\r\nCc: c@x.org\r\n\r\n";
    let r = "\"relational\", \"comparator-i;ascii-numeric\"";
    let n = ":comparator \"i;ascii-numeric\"";
    for (test, want) in [
        (format!("header :count \"ge\" {n} \"received\" \"3\""), true),
        (format!("header :count \"gt\" {n} \"received\" \"3\""), false),
        (format!("header :count \"eq\" {n} \"x-none\" \"0\""), true),
        (format!("address :count \"gt\" {n} [\"to\", \"cc\"] \"2\""), true),
        (format!("header :value \"lt\" {n} \"x-priority\" \"10\""), true),
        ("header :value \"lt\" \"x-priority\" \"10\"".into(), false),
        ("header :value \"gt\" \"subject\" \"L\"".into(), true),
        ("header :value \"ge\" :comparator \"i;octet\" \"subject\" \"n\"".into(), false),
        (format!("header :value \"ne\" {n} \"x-priority\" \"3\""), false),
        (format!("header {n} \"x-priority\" \"0003\""), true),
    ] {
        assert_eq!(holds(r, &test, m), want, "{test}");
    }
}

#[test]
fn broken_messages_are_messages() {
    for m in ["", "\r\n", "no header at all", "Subject", ":\r\n", "\u{0}\u{0}", "Subject: x"] {
        assert_eq!(does("if header :contains \"from\" \"x\" { discard; }", m), "keep implicit", "{m:?}");
    }
    assert!(holds("", "header \"subject\" \"x\"", "Subject: x"));
}
