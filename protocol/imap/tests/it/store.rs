//! STORE, COPY, MOVE, EXPUNGE, CLOSE.

use crate::support::{Site, number_after};

#[tokio::test]
async fn flags_and_keywords() {
    let site = Site::new();
    let mut c = site.inbox().await;
    c.fill_inbox(2).await;
    c.expect(
        "STORE 1 +FLAGS (\\Seen $Forwarded)",
        &["* 1 FETCH (UID 1 FLAGS (\\Seen \\Recent $Forwarded))", "# OK STORE completed"],
    )
    .await;
    let new = c.ok("STORE 1 +FLAGS (todo)").await;
    assert!(
        new.starts_with("* FLAGS (") && new.contains(" todo)\r\n* OK [PERMANENTFLAGS ("),
        "a new keyword is announced: {new}"
    );
    assert!(new.contains("* 1 FETCH (UID 1 FLAGS (\\Seen \\Recent $Forwarded todo))\r\n"), "{new}");
    c.expect(
        "STORE 1 -FLAGS ($Forwarded)",
        &["* 1 FETCH (UID 1 FLAGS (\\Seen \\Recent todo))", "# OK STORE completed"],
    )
    .await;
    c.expect("STORE 1 FLAGS \\Answered", &["* 1 FETCH (UID 1 FLAGS (\\Recent \\Answered))", "# OK STORE completed"])
        .await;
    c.expect("STORE 1 -FLAGS (\\Seen)", &["* 1 FETCH (UID 1 FLAGS (\\Recent \\Answered))", "# OK STORE completed"])
        .await;
    c.expect("STORE 2 FLAGS.SILENT (\\Seen)", &["# OK STORE completed"]).await;
    c.expect("UID STORE 2 FLAGS ()", &["* 2 FETCH (UID 2 FLAGS (\\Recent))", "# OK STORE completed"]).await;
    c.expect("UID STORE 77 FLAGS ()", &["# OK STORE completed"]).await;
    for bad in
        ["STORE 1 FLAGS (\\Foo)", "STORE 3 FLAGS ()", "STORE 1 FLAGSX ()", "STORE 1 FLAGS", "STORE 1 (BLAH 1) FLAGS ()"]
    {
        assert!(c.run(bad).await.starts_with("# BAD"), "{bad}");
    }
}

#[tokio::test]
async fn unchanged_since() {
    let site = Site::new();
    let mut c = site.inbox().await;
    c.fill_inbox(3).await;
    let since = number_after(&c.ok("STATUS INBOX (HIGHESTMODSEQ)").await, "(HIGHESTMODSEQ");
    c.ok("STORE 2 +FLAGS (\\Flagged)").await;
    let reply = c.ok(&format!("STORE 1:3 (UNCHANGEDSINCE {since}) +FLAGS.SILENT (\\Deleted)")).await;
    assert!(reply.contains("* 1 FETCH (UID 1 MODSEQ (") && reply.contains("* 3 FETCH (UID 3 MODSEQ ("), "{reply}");
    assert!(reply.ends_with("# OK [MODIFIED 2] some messages were changed meanwhile\r\n"), "{reply}");
    let reply = c.ok("UID STORE 1:* (UNCHANGEDSINCE 1) FLAGS ()").await;
    assert!(reply.contains("[MODIFIED 1:3]"), "{reply}");
}

#[tokio::test]
async fn expunge() {
    let site = Site::new();
    let mut c = site.inbox().await;
    c.fill_inbox(6).await;
    c.expect("EXPUNGE", &["# OK EXPUNGE completed"]).await;
    c.ok("STORE 2,3,5,6 +FLAGS.SILENT (\\Deleted)").await;
    c.expect("UID EXPUNGE 1:3", &["* 3 EXPUNGE", "* 2 EXPUNGE", "# OK EXPUNGE completed"]).await;
    c.expect("EXPUNGE", &["* 4 EXPUNGE", "* 3 EXPUNGE", "# OK EXPUNGE completed"]).await;
    c.expect("FETCH 1:* UID", &["* 1 FETCH (UID 1)", "* 2 FETCH (UID 4)", "# OK FETCH completed"]).await;
    c.ok("STORE 1 +FLAGS (\\Deleted)").await;
    c.expect("CLOSE", &["# OK CLOSE completed"]).await;
    c.expect("STATUS INBOX (MESSAGES)", &["* STATUS INBOX (MESSAGES 1)", "# OK STATUS completed"]).await;
    c.ok("SELECT INBOX").await;
    c.ok("STORE 1 +FLAGS (\\Deleted)").await;
    c.expect("UNSELECT", &["# OK UNSELECT completed"]).await;
    c.expect("STATUS INBOX (MESSAGES)", &["* STATUS INBOX (MESSAGES 1)", "# OK STATUS completed"]).await;
    c.ok("EXAMINE INBOX").await;
    c.expect("EXPUNGE", &["# NO [READ-ONLY] mailbox is open read-only"]).await;
    c.ok("CLOSE").await;
    c.expect("STATUS INBOX (MESSAGES)", &["* STATUS INBOX (MESSAGES 1)", "# OK STATUS completed"]).await;
}

#[tokio::test]
async fn copy_and_move() {
    let site = Site::new();
    let mut c = site.inbox().await;
    c.fill_inbox(4).await;
    assert_eq!(c.run("COPY 1 nowhere").await, "# NO [TRYCREATE] no such mailbox\r\n");
    let trash = number_after(&c.ok("STATUS Trash (UIDVALIDITY)").await, "UIDVALIDITY");
    c.expect("COPY 2:3 Trash", &[&format!("# OK [COPYUID {trash} 2:3 1:2] COPY completed")]).await;
    c.expect("UID COPY 99 Trash", &["# OK COPY completed"]).await;
    c.expect(
        "MOVE 1,3 Trash",
        &[&format!("* OK [COPYUID {trash} 1,3 3:4] moved"), "* 3 EXPUNGE", "* 1 EXPUNGE", "# OK MOVE completed"],
    )
    .await;
    c.expect("UID MOVE 4 Trash", &[&format!("* OK [COPYUID {trash} 4 5] moved"), "* 2 EXPUNGE", "# OK MOVE completed"])
        .await;
    c.expect("FETCH 1:* UID", &["* 1 FETCH (UID 2)", "# OK FETCH completed"]).await;
    // Into the mailbox itself: the copy is news.
    let same = c.ok("COPY 1 INBOX").await;
    assert!(same.starts_with("* 2 EXISTS\r\n") && same.contains(" 2 5] COPY completed"), "{same}");
    c.expect("STATUS Trash (MESSAGES)", &["* STATUS Trash (MESSAGES 5)", "# OK STATUS completed"]).await;
}
