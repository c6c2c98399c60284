//! Mailboxes: LIST and its extensions, LSUB, STATUS, CREATE and kin, SELECT, quota.

use crate::support::{Site, message, number_after};

#[tokio::test]
async fn list() {
    let site = Site::new();
    let mut c = site.alice().await;
    c.expect("LIST \"\" \"\"", &["* LIST (\\Noselect) \"/\" \"\"", "# OK LIST completed"]).await;
    c.expect(
        "LIST \"\" *",
        &[
            "* LIST (\\HasNoChildren \\Drafts) \"/\" Drafts",
            "* LIST (\\HasNoChildren) \"/\" INBOX",
            "* LIST (\\HasNoChildren \\Junk) \"/\" Junk",
            "* LIST (\\HasNoChildren \\Sent) \"/\" Sent",
            "* LIST (\\HasNoChildren \\Trash) \"/\" Trash",
            "# OK LIST completed",
        ],
    )
    .await;
    c.ok("CREATE \"Work/2026/Entw&APw-rfe\"").await;
    c.ok("CREATE inbox/later").await;
    let reply = c.ok("LIST \"\" %").await;
    assert!(reply.contains("* LIST (\\HasChildren) \"/\" Work\r\n") && !reply.contains("Work/"), "{reply}");
    let work = "* LIST (\\HasNoChildren) \"/\" \"Work/2026/Entw&APw-rfe\"";
    c.expect("LIST Work/ %/%", &[work, "# OK LIST completed"]).await;
    c.expect("LIST \"\" inbox/%", &["* LIST (\\HasNoChildren) \"/\" INBOX/later", "# OK LIST completed"]).await;
    c.expect("LIST \"\" nothing*", &["# OK LIST completed"]).await;
}

#[tokio::test]
async fn extended_list() {
    let site = Site::new();
    let mut c = site.alice().await;
    c.ok("CREATE a/b/c").await;
    c.ok("SUBSCRIBE a/b/c").await;
    c.expect(
        "LIST (SUBSCRIBED) \"\" (a* Sent)",
        &[
            "* LIST (\\HasNoChildren \\Subscribed \\Sent) \"/\" Sent",
            "* LIST (\\HasNoChildren \\Subscribed) \"/\" a/b/c",
            "# OK LIST completed",
        ],
    )
    .await;
    c.expect(
        "LIST (SUBSCRIBED RECURSIVEMATCH) \"\" a",
        &["* LIST (\\HasChildren) \"/\" a (\"CHILDINFO\" (\"SUBSCRIBED\"))", "# OK LIST completed"],
    )
    .await;
    let uses = c.ok("LIST (SPECIAL-USE) \"\" *").await;
    assert_eq!(uses.matches("* LIST").count(), 4, "{uses}");
    let returned = c.ok("LIST \"\" INBOX RETURN (SUBSCRIBED CHILDREN SPECIAL-USE STATUS (MESSAGES UIDNEXT))").await;
    assert_eq!(
        returned,
        "* LIST (\\HasNoChildren \\Subscribed) \"/\" INBOX\r\n* STATUS INBOX (MESSAGES 0 UIDNEXT 1)\r\n# OK LIST completed\r\n"
    );
    assert!(c.run("LIST (RECURSIVEMATCH) \"\" *").await.starts_with("# BAD"));
    assert!(c.run("LIST (FOO) \"\" *").await.starts_with("# BAD"));
}

#[tokio::test]
async fn subscriptions() {
    let site = Site::new();
    let mut c = site.alice().await;
    c.ok("CREATE a/b").await;
    c.ok("SUBSCRIBE a/b").await;
    c.expect("LSUB \"\" a*", &["* LSUB () \"/\" a/b", "# OK LSUB completed"]).await;
    // RFC 3501 §6.3.9: the parent stands in for what % does not reach.
    let reply = c.ok("LSUB \"\" %").await;
    assert!(reply.contains("* LSUB (\\Noselect) \"/\" a\r\n"), "{reply}");
    assert!(reply.contains("* LSUB () \"/\" INBOX\r\n"), "{reply}");
    c.ok("UNSUBSCRIBE a/b").await;
    c.expect("LSUB \"\" a*", &["# OK LSUB completed"]).await;
    assert!(c.run("SUBSCRIBE nothing").await.starts_with("# NO [NONEXISTENT]"));
}

#[tokio::test]
async fn a_subscription_outlives_its_mailbox() {
    let site = Site::new();
    let mut c = site.alice().await;
    c.ok("CREATE a/b").await;
    c.ok("CREATE a/c/d").await;
    for name in ["a/b", "a/c/d"] {
        c.ok(&format!("SUBSCRIBE {name}")).await;
        c.ok(&format!("DELETE {name}")).await;
    }
    c.ok("DELETE a/c").await;
    c.expect(
        "LIST (SUBSCRIBED) \"\" a*",
        &[
            "* LIST (\\NonExistent \\Subscribed) \"/\" a/b",
            "* LIST (\\NonExistent \\Subscribed) \"/\" a/c/d",
            "# OK LIST completed",
        ],
    )
    .await;
    c.expect(
        "LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (a a/%)",
        &[
            "* LIST (\\HasNoChildren) \"/\" a (\"CHILDINFO\" (\"SUBSCRIBED\"))",
            "* LIST (\\NonExistent \\Subscribed) \"/\" a/b",
            "* LIST (\\NonExistent) \"/\" a/c (\"CHILDINFO\" (\"SUBSCRIBED\"))",
            "# OK LIST completed",
        ],
    )
    .await;
    c.expect(
        "LSUB \"\" a*",
        &["* LSUB (\\Noselect) \"/\" a/b", "* LSUB (\\Noselect) \"/\" a/c/d", "# OK LSUB completed"],
    )
    .await;
    // Nothing of it in a plain LIST; a mailbox that takes the name has the subscription.
    c.expect("LIST \"\" a*", &["* LIST (\\HasNoChildren) \"/\" a", "# OK LIST completed"]).await;
    c.ok("CREATE A/B").await;
    c.expect("LSUB \"\" a/B", &["* LSUB () \"/\" a/B", "# OK LSUB completed"]).await;
    c.ok("UNSUBSCRIBE a/c/d").await;
    assert!(c.run("UNSUBSCRIBE a/c/d").await.starts_with("# NO [NONEXISTENT]"));
    c.ok("RENAME a/B a/x").await;
    c.expect("LSUB \"\" a/*", &["* LSUB () \"/\" a/x", "# OK LSUB completed"]).await;
}

#[tokio::test]
async fn create_delete_rename() {
    let site = Site::new();
    let mut c = site.alice().await;
    assert!(c.ok("CREATE Projects/").await.starts_with("# OK [MAILBOXID (F"));
    assert!(c.run("CREATE Projects").await.starts_with("# NO [ALREADYEXISTS]"));
    assert!(c.run("CREATE INBOX").await.starts_with("# NO [ALREADYEXISTS]"));
    assert!(c.run("CREATE a//b").await.starts_with("# NO [CANNOT]"));
    assert!(c.run("CREATE &Jjo!").await.starts_with("# NO [CANNOT]"));
    c.ok("CREATE Old (USE (\\Archive))").await;
    c.expect("LIST \"\" Old", &["* LIST (\\HasNoChildren \\Archive) \"/\" Old", "# OK LIST completed"]).await;
    assert!(c.run("CREATE x (USE (\\All))").await.starts_with("# NO [USEATTR]"));
    c.ok("CREATE Projects/one").await;
    assert!(c.run("DELETE Projects").await.starts_with("# NO [HASCHILDREN]"));
    c.ok("RENAME Projects Done/Projects").await;
    c.expect("LIST \"\" Done/*/*", &["* LIST (\\HasNoChildren) \"/\" Done/Projects/one", "# OK LIST completed"]).await;
    c.ok("DELETE Done/Projects/one").await;
    assert!(c.run("DELETE Done/Projects/one").await.starts_with("# NO [NONEXISTENT]"));
    assert!(c.run("DELETE INBOX").await.starts_with("# NO [CANNOT]"));
    assert!(c.run("DELETE Sent").await.starts_with("# NO [CANNOT]"));
    assert!(c.run("RENAME Sent x").await.starts_with("# NO [CANNOT]"));
    assert!(c.run("RENAME Old INBOX").await.starts_with("# NO [ALREADYEXISTS]"));
    // Folders of other kinds are not IMAP's.
    assert!(c.run("SELECT Calendar").await.starts_with("# NO [NONEXISTENT]"));
}

#[tokio::test]
async fn renaming_the_inbox_moves_its_messages() {
    let site = Site::new();
    let mut c = site.alice().await;
    c.fill_inbox(3).await;
    c.ok("RENAME INBOX Old").await;
    c.expect("STATUS INBOX (MESSAGES)", &["* STATUS INBOX (MESSAGES 0)", "# OK STATUS completed"]).await;
    c.expect("STATUS Old (MESSAGES)", &["* STATUS Old (MESSAGES 3)", "# OK STATUS completed"]).await;
}

#[tokio::test]
async fn status() {
    let site = Site::new();
    let mut c = site.alice().await;
    c.fill_inbox(2).await;
    c.append("INBOX (\\Seen \\Deleted)", &message("x", "y")).await;
    let all = c.ok("STATUS inbox (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN DELETED SIZE HIGHESTMODSEQ APPENDLIMIT MAILBOXID)").await;
    assert!(all.starts_with("* STATUS INBOX (MESSAGES 3 RECENT 3 UIDNEXT 4 UIDVALIDITY "), "{all}");
    assert!(all.contains(" UNSEEN 2 DELETED 1 SIZE "), "{all}");
    assert!(all.contains(" APPENDLIMIT 52428800 MAILBOXID (F2))\r\n"), "{all}");
    assert!(number_after(&all, "HIGHESTMODSEQ") > 1);
    assert!(c.run("STATUS nothing (MESSAGES)").await.starts_with("# NO [NONEXISTENT]"));
    assert!(c.run("STATUS INBOX ()").await.starts_with("# BAD"));
}

#[tokio::test]
async fn select_tells_what_there_is() {
    let site = Site::new();
    let mut c = site.alice().await;
    c.append("INBOX (\\Seen)", &message("s", "t")).await;
    c.append("INBOX (work)", &message("s", "t")).await;
    let reply = c.ok("SELECT INBOX").await;
    let flags = "\\Seen \\Answered \\Flagged \\Deleted \\Draft $Forwarded $MDNSent $Junk $NotJunk $Phishing work";
    for line in [
        format!("* FLAGS ({flags})"),
        format!("* OK [PERMANENTFLAGS ({flags} \\*)] flags that can be set"),
        "* 2 EXISTS".into(),
        "* 2 RECENT".into(),
        "* OK [UNSEEN 2] first unseen message".into(),
        "* OK [UIDNEXT 3] predicted next UID".into(),
        "* OK [MAILBOXID (F2)] mailbox id".into(),
        "* OK [URLMECH INTERNAL] mechanisms of URLAUTH".into(),
        "# OK [READ-WRITE] SELECT completed".into(),
    ] {
        assert!(reply.lines().any(|l| l == line), "{line} in {reply}");
    }
    assert!(number_after(&reply, "[UIDVALIDITY") > 0 && number_after(&reply, "[HIGHESTMODSEQ") > 0);
    // Claimed: the next session has nothing recent; EXAMINE changes nothing.
    let again = c.ok("SELECT INBOX").await;
    assert!(again.contains("* OK [CLOSED]") && again.contains("* 0 RECENT\r\n"), "{again}");
    let examined = c.ok("EXAMINE INBOX").await;
    assert!(examined.contains("[PERMANENTFLAGS ()]") && examined.contains("# OK [READ-ONLY] EXAMINE completed"));
    c.expect("STORE 1 +FLAGS (\\Flagged)", &["# NO [READ-ONLY] mailbox is open read-only"]).await;
    // A SELECT that fails leaves none selected (RFC 3501 §6.3.1).
    assert!(c.run("SELECT nothing").await.contains("# NO [NONEXISTENT]"));
    c.expect("CHECK", &["# BAD select a mailbox first"]).await;
}

#[tokio::test]
async fn quota() {
    let site = Site::new();
    let mut c = site.alice().await;
    c.expect("GETQUOTA \"\"", &["* QUOTA \"\" (MESSAGE 0 4294967295)", "# OK GETQUOTA completed"]).await;
    let limit = zcluster_api::directory::Modification::set("zimbraMailQuota", "10240");
    site.memory
        .command(zcluster_api::DirectoryCommand::ModifyAccount { id: site.alice, changes: vec![limit] })
        .expect("quota is set");
    c.expect(
        "GETQUOTAROOT INBOX",
        &["* QUOTAROOT INBOX \"\"", "* QUOTA \"\" (STORAGE 0 10 MESSAGE 0 4294967295)", "# OK GETQUOTAROOT completed"],
    )
    .await;
    assert!(c.run("GETQUOTA x").await.starts_with("# NO [NONEXISTENT]"));
    assert!(c.run("SETQUOTA \"\" (STORAGE 512)").await.starts_with("# NO [NOPERM]"));
    assert!(c.run("SETQUOTA x (STORAGE 512)").await.starts_with("# NO [NONEXISTENT]"));
    assert!(c.run("SETQUOTA \"\" STORAGE").await.starts_with("# BAD"));
    let reply = c.append("INBOX", &message("big", &"x".repeat(20_000))).await;
    assert!(reply.starts_with("# NO [OVERQUOTA]"), "{reply}");
}

#[tokio::test]
async fn names_in_utf8() {
    let site = Site::new();
    let mut c = site.alice().await;
    c.ok("CREATE Entw&APw-rfe").await;
    c.expect("ENABLE UTF8=ACCEPT", &["* ENABLED UTF8=ACCEPT", "# OK ENABLE completed"]).await;
    c.expect("LIST \"\" En*", &["* LIST (\\HasNoChildren) \"/\" \"Entw\u{fc}rfe\"", "# OK LIST completed"]).await;
    c.ok("SELECT \"Entw\u{fc}rfe\"").await;
    c.ok("CREATE A&B").await;
    c.expect("LIST \"\" A*", &["* LIST (\\HasNoChildren) \"/\" A&B", "# OK LIST completed"]).await;
    assert!(c.run("SEARCH CHARSET UTF-8 ALL").await.starts_with("# BAD"));
    let raw = message("gr\u{fc}n", "x");
    let reply = c.run(format!("APPEND INBOX UTF8 (~{{{}+}}\r\n{raw})", raw.len())).await;
    assert!(reply.starts_with("# OK [APPENDUID "), "{reply}");
    assert!(c.run(format!("APPEND INBOX UTF8 (~{{{}+}}\r\n{raw}", raw.len())).await.starts_with("# BAD"));
    c.expect("NOOP", &["# OK NOOP completed"]).await;
}
