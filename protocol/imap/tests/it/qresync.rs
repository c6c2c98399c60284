//! QRESYNC and the rest of RFC 7162.

use crate::support::{Client, Site, message, number_after};

/// A client that enabled QRESYNC and has selected the Inbox.
async fn quick(site: &Site) -> Client {
    let mut c = site.alice().await;
    c.expect("ENABLE QRESYNC", &["* ENABLED QRESYNC", "# OK ENABLE completed"]).await;
    c.ok("SELECT INBOX").await;
    c
}

#[tokio::test]
async fn select_tells_what_was_missed() {
    let site = Site::new();
    let mut c = site.inbox().await;
    c.fill_inbox(9).await;
    let mut q = quick(&site).await;
    let selected = q.ok("SELECT INBOX").await;
    let (validity, modseq) = (number_after(&selected, "[UIDVALIDITY"), number_after(&selected, "[HIGHESTMODSEQ"));
    q.ok("UNSELECT").await;
    c.ok("STORE 2 +FLAGS (\\Flagged)").await;
    c.ok("STORE 4:5,9 +FLAGS.SILENT (\\Deleted)").await;
    c.ok("EXPUNGE").await;
    c.append("INBOX", &message("new", "x")).await;

    let told = q.ok(&format!("SELECT INBOX (QRESYNC ({validity} {modseq}))")).await;
    assert!(told.contains("* VANISHED (EARLIER) 4:5,9\r\n"), "{told}");
    let fetched: Vec<&str> = told.lines().filter(|l| l.contains(" FETCH (")).collect();
    assert_eq!(fetched.len(), 2, "{told}");
    assert!(fetched[0].starts_with("* 2 FETCH (UID 2 MODSEQ (") && fetched[0].ends_with(") FLAGS (\\Flagged))"));
    assert!(fetched[1].starts_with("* 7 FETCH (UID 10 MODSEQ ("), "{told}");
    assert!(told.find("VANISHED").unwrap() < told.find(" FETCH ").unwrap());
    // Nothing is news after that.
    q.expect("NOOP", &["# OK NOOP completed"]).await;

    // Only what the client knows of.
    let told = q.ok(&format!("EXAMINE INBOX (QRESYNC ({validity} {modseq} 1:4))")).await;
    assert!(told.contains("* VANISHED (EARLIER) 4\r\n") && told.matches(" FETCH (").count() == 1, "{told}");
    // Another UIDVALIDITY: as if nothing had been given.
    let told = q.ok(&format!("SELECT INBOX (QRESYNC ({} {modseq}))", validity + 1)).await;
    assert!(!told.contains("VANISHED") && !told.contains(" FETCH ("), "{told}");
    // Up to date.
    let modseq = number_after(&told, "[HIGHESTMODSEQ");
    let told = q.ok(&format!("SELECT INBOX (QRESYNC ({validity} {modseq}))")).await;
    assert!(!told.contains("VANISHED") && !told.contains(" FETCH ("), "{told}");
}

#[tokio::test]
async fn a_position_that_the_log_does_not_know() {
    let site = Site::new();
    let mut c = site.inbox().await;
    c.fill_inbox(9).await;
    c.ok("STORE 3:4,8 +FLAGS.SILENT (\\Deleted)").await;
    c.ok("EXPUNGE").await;
    let mut q = quick(&site).await;
    let validity = number_after(&q.ok("SELECT INBOX").await, "[UIDVALIDITY");
    // Ahead of the mailbox, as if that had been put back from an old copy.
    let far = "900000000000";
    let told = q.ok(&format!("SELECT INBOX (QRESYNC ({validity} {far}))")).await;
    assert!(told.contains("* VANISHED (EARLIER) 3:4,8\r\n"), "{told}");
    // Number 4 still is UID 6: nothing below went since the client was here.
    let told = q.ok(&format!("SELECT INBOX (QRESYNC ({validity} {far} 1:9 (1,4,9 1,6,9)))")).await;
    assert!(told.contains("* VANISHED (EARLIER) 8\r\n"), "{told}");
}

#[tokio::test]
async fn vanished_takes_the_place_of_expunge() {
    let site = Site::new();
    let mut c = site.inbox().await;
    c.fill_inbox(6).await;
    let mut q = quick(&site).await;
    c.ok("NOOP").await;
    c.ok("STORE 2,4 +FLAGS.SILENT (\\Deleted)").await;
    c.expect("EXPUNGE", &["* 4 EXPUNGE", "* 2 EXPUNGE", "# OK EXPUNGE completed"]).await;
    let fetched = q.ok("FETCH 1:6 UID").await;
    assert!(!fetched.contains("VANISHED") && fetched.contains("[EXPUNGEISSUED]"), "{fetched}");
    let news = q.ok("NOOP").await;
    assert!(news.contains("* VANISHED 2,4\r\n") && !news.contains("EXPUNGE"), "{news}");
    q.ok("UID STORE 1,5 +FLAGS.SILENT (\\Deleted)").await;
    let status = |reply: &str| number_after(reply, "HIGHESTMODSEQ");
    let gone = q.ok("UID EXPUNGE 1").await;
    assert!(gone.starts_with("* VANISHED 1\r\n# OK [HIGHESTMODSEQ "), "{gone}");
    let now = q.ok("STATUS INBOX (HIGHESTMODSEQ)").await;
    assert_eq!(status(&gone), status(&now));
    let gone = q.ok("EXPUNGE").await;
    assert!(gone.starts_with("* VANISHED 5\r\n# OK [HIGHESTMODSEQ "), "{gone}");
    q.expect("EXPUNGE", &["# OK EXPUNGE completed"]).await;
    let moved = q.ok("MOVE 1 Trash").await;
    let lines: Vec<&str> = moved.lines().collect();
    assert!(lines[0].starts_with("* OK [COPYUID ") && lines[1] == "* VANISHED 3", "{moved}");
    assert!(lines[2].starts_with("# OK [HIGHESTMODSEQ ") && lines[2].ends_with("] MOVE completed"), "{moved}");
    // CLOSE must not tell a mod-sequence (RFC 7162 §3.2.8).
    q.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    q.expect("CLOSE", &["# OK CLOSE completed"]).await;
}

#[tokio::test]
async fn fetch_tells_what_vanished() {
    let site = Site::new();
    let mut c = site.inbox().await;
    c.fill_inbox(8).await;
    let mut q = quick(&site).await;
    let since = number_after(&q.ok("STATUS INBOX (HIGHESTMODSEQ)").await, "(HIGHESTMODSEQ");
    c.ok("UID STORE 3,6 +FLAGS.SILENT (\\Deleted)").await;
    c.ok("EXPUNGE").await;
    c.ok("UID STORE 5 +FLAGS.SILENT (\\Flagged)").await;
    // Untold in this session as yet: told without EARLIER, at the end of a UID command.
    let told = q.ok(&format!("UID FETCH 1:* (FLAGS) (CHANGEDSINCE {since} VANISHED)")).await;
    assert!(told.contains("FETCH (UID 5 FLAGS (\\Recent \\Flagged) MODSEQ ("), "{told}");
    assert_eq!(told.matches(" FETCH (").count(), 1, "{told}");
    q.ok("NOOP").await;
    let told = q.ok(&format!("UID FETCH 1:* (FLAGS) (CHANGEDSINCE {since} VANISHED)")).await;
    assert!(told.starts_with("* VANISHED (EARLIER) 3,6\r\n"), "{told}");
    let told = q.ok(&format!("UID FETCH 4:7 (FLAGS) (VANISHED CHANGEDSINCE {since})")).await;
    assert!(told.starts_with("* VANISHED (EARLIER) 6\r\n"), "{told}");
    let told = q.ok(&format!("UID FETCH 1:4 (FLAGS) (CHANGEDSINCE {since})")).await;
    assert_eq!(told, "# OK FETCH completed\r\n");
    for bad in [
        format!("FETCH 1 (FLAGS) (CHANGEDSINCE {since} VANISHED)"),
        "UID FETCH 1 (FLAGS) (VANISHED)".to_string(),
        "SELECT INBOX (QRESYNC (0 1))".to_string(),
    ] {
        assert!(q.run(&bad).await.starts_with("# BAD"), "{bad}");
    }
    assert!(c.run(&format!("UID FETCH 1 (FLAGS) (CHANGEDSINCE {since} VANISHED)")).await.starts_with("# BAD"));
    assert!(c.run("SELECT INBOX (QRESYNC (1 1))").await.starts_with("# BAD"));
    c.expect("CHECK", &["# OK CHECK completed"]).await;
}

#[tokio::test]
async fn long_vanished_lines_are_split() {
    let site = Site::new();
    let mut c = site.inbox().await;
    c.fill_inbox(1_000).await;
    let odd: Vec<String> = (1..=1_000).step_by(2).map(|n| n.to_string()).collect();
    let mut q = quick(&site).await;
    c.ok(&format!("STORE {} +FLAGS.SILENT (\\Deleted)", odd.join(","))).await;
    c.ok("EXPUNGE").await;
    let news = q.ok("NOOP").await;
    let lines: Vec<&str> = news.lines().filter_map(|l| l.strip_prefix("* VANISHED ")).collect();
    assert!(lines.len() == 2 && lines.iter().all(|l| l.len() < 8_000), "{news}");
    assert_eq!(lines.join(","), odd.join(","));
    q.expect("FETCH 500 UID", &["* 500 FETCH (UID 1000)", "# OK FETCH completed"]).await;
}

#[tokio::test]
async fn conditional_store_and_search() {
    let site = Site::new();
    let mut c = site.inbox().await;
    c.fill_inbox(3).await;
    let all = c.ok("FETCH 1:3 (MODSEQ)").await;
    let second = number_after(&all[all.find("* 2 FETCH").unwrap()..], "MODSEQ");
    let found = c.ok(&format!("SEARCH MODSEQ {second}")).await;
    assert!(found.starts_with("* SEARCH 2 3 (MODSEQ "), "{found}");
    let found = c.ok(&format!("SEARCH RETURN (MIN) MODSEQ \"/flags/\\\\draft\" all {second}")).await;
    assert!(found.contains(&format!(" MIN 2 MODSEQ {second}\r\n")), "{found}");
    // A message that is gone and one that was changed.
    let mut d = site.inbox().await;
    d.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    d.ok("EXPUNGE").await;
    d.ok("UID STORE 2 +FLAGS.SILENT (\\Flagged)").await;
    let stored = c.ok(&format!("STORE 1:3 (UNCHANGEDSINCE {second}) +FLAGS.SILENT (x)")).await;
    assert!(!stored.contains("EXPUNGE\r\n"), "{stored}");
    assert!(stored.contains("# OK [MODIFIED 2:3] "), "{stored}");
    let stored = c.ok("STORE 1 +FLAGS (x)").await;
    assert!(stored.contains("# OK [EXPUNGEISSUED] "), "{stored}");
    // 0 means: only if the message has no such flag ever (RFC 7162 §3.1.3).
    let stored = c.ok("UID STORE 3 (UNCHANGEDSINCE 0) +FLAGS.SILENT (y)").await;
    assert!(stored.contains("# OK [MODIFIED 3] "), "{stored}");
}
