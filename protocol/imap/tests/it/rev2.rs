//! IMAP4rev2 (RFC 9051) and UIDONLY (RFC 9586).

use crate::support::{Site, message};

#[tokio::test]
async fn imap4rev2_changes_responses() {
    let site = Site::new();
    let mut c = site.alice().await;
    c.fill_inbox(2).await;
    c.ok("CREATE Entw&APw-rfe").await;
    c.expect("ENABLE IMAP4rev2", &["* ENABLED IMAP4rev2", "# OK ENABLE completed"]).await;
    let selected = c.ok("SELECT inbox").await;
    assert!(selected.contains("* LIST () \"/\" INBOX (\"OLDNAME\" (inbox))\r\n"), "{selected}");
    assert!(!selected.contains("RECENT") && !selected.contains("[UNSEEN") && selected.contains("* 2 EXISTS\r\n"));
    c.expect("FETCH 1 FLAGS", &["* 1 FETCH (FLAGS ())", "# OK FETCH completed"]).await;
    let found = c.ok("SEARCH ALL").await;
    assert!(found.starts_with("* ESEARCH (TAG \"") && found.contains("\") ALL 1:2\r\n"), "{found}");
    let found = c.ok("UID SEARCH CHARSET UTF-8 SUBJECT nothing").await;
    assert!(found.starts_with("* ESEARCH (TAG \"") && found.contains("\") UID\r\n"), "{found}");
    let again = c.ok("SELECT \"Entw\u{fc}rfe\"").await;
    assert!(again.starts_with("* OK [CLOSED]") && again.contains("* LIST () \"/\" \"Entw\u{fc}rfe\"\r\n"), "{again}");
    let renamed = c.ok("RENAME \"Entw\u{fc}rfe\" drafts2").await;
    assert!(renamed.starts_with("* LIST () \"/\" drafts2 (\"OLDNAME\" (\"Entw\u{fc}rfe\"))\r\n"), "{renamed}");
    let created = c.ok("CREATE inbox/x/").await;
    assert!(created.starts_with("* LIST () \"/\" INBOX/x (\"OLDNAME\" (inbox/x/))\r\n"), "{created}");
    // Somebody else's arrival: EXISTS alone.
    c.ok("SELECT INBOX").await;
    site.alice().await.append("INBOX", &message("x", "y")).await;
    c.expect("NOOP", &["* 3 EXISTS", "# OK NOOP completed"]).await;
    // Not asked for: as ever.
    let mut old = site.alice().await;
    assert!(old.ok("SELECT INBOX").await.contains("RECENT"));
    old.expect("SEARCH 1", &["* SEARCH 1", "# OK SEARCH completed"]).await;
}

#[tokio::test]
async fn uid_only() {
    let site = Site::new();
    let mut c = site.alice().await;
    c.fill_inbox(4).await;
    c.expect("ENABLE UIDONLY", &["* ENABLED UIDONLY", "# OK ENABLE completed"]).await;
    assert!(!c.ok("SELECT INBOX").await.contains("[UNSEEN"));
    for refused in [
        "FETCH 1 FLAGS",
        "STORE 1 +FLAGS (x)",
        "SEARCH ALL",
        "COPY 1 Trash",
        "MOVE 1 Trash",
        "UID SEARCH 1:2",
        "UID SEARCH NOT (OR 1 SEEN)",
        "SORT (DATE) UTF-8 ALL",
        "UID SORT (DATE) UTF-8 1:2",
        "THREAD REFERENCES UTF-8 ALL",
        "UID THREAD REFERENCES UTF-8 2",
        "ESEARCH IN (SELECTED) 1:2",
        "REPLACE 1 INBOX {3+}\r\na:b",
    ] {
        let reply = c.run(refused).await;
        assert!(reply.starts_with("# BAD [UIDREQUIRED] "), "{refused}: {reply}");
    }
    c.expect(
        "UID FETCH 2:3 (RFC822.SIZE FLAGS)",
        &[
            "* 2 UIDFETCH (FLAGS (\\Recent) RFC822.SIZE 165)",
            "* 3 UIDFETCH (FLAGS (\\Recent) RFC822.SIZE 165)",
            "# OK FETCH completed",
        ],
    )
    .await;
    c.expect("UID STORE 2 +FLAGS (\\Deleted)", &["* 2 UIDFETCH (FLAGS (\\Recent \\Deleted))", "# OK STORE completed"])
        .await;
    c.expect("UID EXPUNGE 1:3", &["* VANISHED 2", "# OK EXPUNGE completed"]).await;
    c.expect("UID SEARCH UID 3:*", &["* SEARCH 3 4", "# OK SEARCH completed"]).await;
    let body = c.ok("UID FETCH 3 (BODY[TEXT])").await;
    assert!(body.starts_with("* 3 UIDFETCH (FLAGS (\\Seen \\Recent) BODY[TEXT] {8}\r\n"), "{body}");
    let mut other = site.inbox().await;
    other.ok("UID STORE 4 +FLAGS (\\Flagged)").await;
    c.expect("NOOP", &["* 4 UIDFETCH (FLAGS (\\Recent \\Flagged))", "# OK NOOP completed"]).await;
    c.ok("ENABLE QRESYNC").await;
    let refused = c.run("SELECT INBOX (QRESYNC (1 1 1:2 (1 1)))").await;
    assert!(refused.starts_with("# BAD [UIDREQUIRED]"), "{refused}");
}
