//! UTF8=ACCEPT (RFC 6855, RFC 9755): names and headers as they are, once the client said so.

use crate::support::Site;

#[tokio::test]
async fn names_and_messages_in_utf_8() {
    let site = Site::new();
    let mut old = site.alice().await;
    let mut c = site.alice().await;
    assert!(c.ok("CAPABILITY").await.contains(" UTF8=ACCEPT"));
    c.expect("ENABLE UTF8=ACCEPT", &["* ENABLED UTF8=ACCEPT", "# OK ENABLE completed"]).await;
    c.expect("ENABLE UTF8=ACCEPT", &["* ENABLED", "# OK ENABLE completed"]).await;
    c.ok("CREATE \"Entw\u{fc}rfe & mehr\"").await;
    c.ok("CREATE {8+}\r\n\u{65e5}/x\u{e4}y").await;
    let listed = c.ok("LIST \"\" \"E*\"").await;
    assert!(listed.contains("\"/\" \"Entw\u{fc}rfe & mehr\"\r\n"), "{listed}");
    // The same mailbox in the old dress for a client of the old kind.
    let listed = old.ok("LIST \"\" \"E*\"").await;
    assert!(listed.contains("\"/\" \"Entw&APw-rfe &- mehr\"\r\n"), "{listed}");
    // An ampersand is an ampersand now, and what is no UTF-8 no name.
    assert!(c.run("SELECT \"Entw&APw-rfe &- mehr\"").await.starts_with("# NO"));
    assert!(c.run(b"SELECT \"Entw\xfcrfe\"").await.starts_with("# BAD"));
    assert!(c.run(b"SELECT {7+}\r\nEntw\xfcrf").await.starts_with("# NO [CANNOT]"));
    assert!(c.run(b"SEARCH SUBJECT \"\xfc\"").await.starts_with("# BAD"));
    for name in ["a\u{2028}b", "a\u{2029}b", "a\u{7f}b", "a\u{85}b", "a\tb"] {
        assert!(c.run(format!("CREATE \"{name}\"")).await.starts_with("# NO [CANNOT]"), "{name:?}");
    }
    c.ok("SELECT \"Entw\u{fc}rfe & mehr\"").await;
    let status = c.ok("STATUS \"Entw\u{fc}rfe & mehr\" (MESSAGES)").await;
    assert!(status.contains("* STATUS \"Entw\u{fc}rfe & mehr\" (MESSAGES 0)"), "{status}");
    let raw = "Subject: Gr\u{fc}\u{df}e\r\nFrom: \u{65e5} <\u{65e5}@example.com>\r\n\r\nH\u{e4}\r\n";
    let text = format!("APPEND \"Entw\u{fc}rfe & mehr\" UTF8 (~{{{}+}}\r\n{raw})", raw.len());
    assert!(c.run(text).await.contains("# OK [APPENDUID"));
    let got = c.ok("FETCH 1 (ENVELOPE BODY.PEEK[])").await;
    assert!(got.contains("{7}\r\nGr\u{fc}\u{df}e") && got.contains(raw), "{got}");
    for bad in ["UTF8 {3+}\r\na:b", "UTF8 ({3+}\r\na:b)", "UTF8 (~{3+}\r\na:b", "UTF8 (~{3+}\r\na:b) "] {
        assert!(c.run(format!("APPEND INBOX {bad}")).await.starts_with("# BAD"), "{bad}");
    }
    // Not within CATENATE's RFC, but harmless.
    assert!(c.run("APPEND INBOX CATENATE (UTF8 (~{3+}\r\na:b) TEXT ~{2+}\r\n\r\n)").await.contains("# OK"));
    let found = c.ok("SEARCH SUBJECT \"gr\u{fc}\u{df}e\"").await;
    assert!(found.contains("* SEARCH 1\r\n"), "{found}");
}
