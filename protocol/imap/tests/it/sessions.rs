//! Two sessions on one mailbox, IDLE, \Recent.

use crate::support::{Site, message};
use std::time::Duration;
use zcluster_runtime::Instant;

#[tokio::test]
async fn expunges_wait_for_their_time() {
    let site = Site::new();
    let (mut a, mut b) = (site.inbox().await, site.inbox().await);
    a.fill_inbox(4).await;
    assert!(b.ok("NOOP").await.starts_with("* 4 EXISTS\r\n"));
    b.ok("STORE 2:3 +FLAGS.SILENT (\\Deleted)").await;
    b.ok("EXPUNGE").await;
    // FETCH, STORE and SEARCH must not shift a's numbers (RFC 3501 §7.4.1).
    let fetched = a.ok("FETCH 1:4 UID").await;
    assert!(!fetched.contains("EXPUNGE\r\n"), "{fetched}");
    assert!(fetched.contains("* 4 FETCH (UID 4)") && fetched.contains("# OK [EXPUNGEISSUED]"), "{fetched}");
    let stored = a.ok("STORE 1:4 +FLAGS (\\Flagged)").await;
    assert!(stored.contains("* 4 FETCH (UID 4 ") && !stored.contains("EXPUNGE\r\n"), "{stored}");
    a.expect("SEARCH FLAGGED", &["* SEARCH 1 4", "# OK SEARCH completed"]).await;
    a.expect("NOOP", &["* 3 EXPUNGE", "* 2 EXPUNGE", "# OK NOOP completed"]).await;
    a.expect("FETCH 1:* UID", &["* 1 FETCH (UID 1)", "* 2 FETCH (UID 4)", "# OK FETCH completed"]).await;
    // b learns of a's flags.
    let news = b.ok("NOOP").await;
    assert!(news.contains("* 1 FETCH (UID 1 FLAGS (\\Recent \\Flagged))"), "{news}");
    assert!(news.contains("* 2 FETCH (UID 4 FLAGS (\\Recent \\Flagged))"), "{news}");
    b.expect("NOOP", &["# OK NOOP completed"]).await;
}

#[tokio::test]
async fn uid_commands_may_tell_expunges() {
    let site = Site::new();
    let (mut a, mut b) = (site.inbox().await, site.inbox().await);
    a.fill_inbox(3).await;
    b.ok("NOOP").await;
    b.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    b.ok("EXPUNGE").await;
    a.expect("UID SEARCH ALL", &["* SEARCH 2 3", "* 1 EXPUNGE", "# OK SEARCH completed"]).await;
    b.ok("UID MOVE 2 Trash").await;
    let copied = a.ok("UID COPY 3 Trash").await;
    assert!(copied.contains("* 1 EXPUNGE\r\n"), "{copied}");
}

#[tokio::test]
async fn new_messages_are_found_and_numbered() {
    let site = Site::new();
    let (mut a, mut b) = (site.inbox().await, site.inbox().await);
    a.fill_inbox(1).await;
    b.expect("SEARCH UNSEEN", &["* 1 EXISTS", "* 1 RECENT", "* SEARCH 1", "# OK SEARCH completed"]).await;
    b.expect("FETCH 1 UID", &["* 1 FETCH (UID 1)", "# OK FETCH completed"]).await;
}

#[tokio::test]
async fn recent_is_for_one_session() {
    let site = Site::new();
    let mut a = site.inbox().await;
    a.fill_inbox(2).await;
    a.ok("CLOSE").await;
    assert!(site.alice().await.ok("SELECT INBOX").await.contains("* 0 RECENT\r\n"));
    a.append("INBOX", &message("x", "y")).await;
    assert!(a.ok("EXAMINE INBOX").await.contains("* 1 RECENT\r\n"));
    assert!(a.ok("SELECT INBOX").await.contains("* 1 RECENT\r\n"));
    assert!(a.ok("FETCH 1:* FLAGS").await.ends_with("* 3 FETCH (FLAGS (\\Recent))\r\n# OK FETCH completed\r\n"));
}

#[tokio::test]
async fn idle_tells_at_once() {
    let site = Site::new();
    let (mut a, mut b) = (site.inbox().await, site.inbox().await);
    b.send("i IDLE\r\n").await;
    assert_eq!(b.line().await, "+ idling");
    a.fill_inbox(1).await;
    let begun = Instant::now();
    assert_eq!(b.line().await, "* 1 EXISTS");
    assert_eq!(b.line().await, "* 1 RECENT");
    assert!(begun.elapsed() < Duration::from_millis(500));
    a.ok("STORE 1 +FLAGS (\\Deleted)").await;
    assert_eq!(b.line().await, "* 1 FETCH (UID 1 FLAGS (\\Recent \\Deleted))");
    a.ok("EXPUNGE").await;
    assert_eq!(b.line().await, "* 1 EXPUNGE");
    // Pipelined: the next command follows DONE at once.
    b.send("DONE\r\nn NOOP\r\n").await;
    assert_eq!(b.until_tagged("i").await, "# OK IDLE completed\r\n");
    assert_eq!(b.until_tagged("n").await, "# OK NOOP completed\r\n");
    b.send("j IDLE\r\n").await;
    assert_eq!(b.line().await, "+ idling");
    b.send("nonsense\r\n").await;
    assert_eq!(b.until_tagged("j").await, "# BAD DONE was expected\r\n");
    b.ok("UNSELECT").await;
    b.send("k IDLE\r\n").await;
    assert_eq!(b.line().await, "+ idling");
    b.send("done\r\n").await;
    assert_eq!(b.until_tagged("k").await, "# OK IDLE completed\r\n");
}

#[tokio::test]
async fn condstore_changes_carry_modseq() {
    let site = Site::new();
    let (mut a, mut b) = (site.inbox().await, site.alice().await);
    b.ok("SELECT INBOX (CONDSTORE)").await;
    a.fill_inbox(1).await;
    b.ok("NOOP").await;
    a.ok("STORE 1 +FLAGS (\\Seen)").await;
    let news = b.ok("NOOP").await;
    assert!(news.starts_with("* 1 FETCH (UID 1 MODSEQ (") && news.contains(") FLAGS (\\Seen \\Recent))"), "{news}");
    let late = a.ok("ENABLE CONDSTORE").await;
    assert!(late.contains("* OK [HIGHESTMODSEQ "), "{late}");
}

#[tokio::test]
async fn a_mailbox_deleted_under_a_session_is_empty() {
    let site = Site::new();
    let (mut a, mut b) = (site.alice().await, site.alice().await);
    a.ok("CREATE x").await;
    a.append("x", &message("s", "t")).await;
    b.ok("SELECT x").await;
    a.ok("DELETE x").await;
    b.expect("NOOP", &["* 1 EXPUNGE", "# OK NOOP completed"]).await;
    assert!(b.run("UID STORE 1:* +FLAGS (\\Seen)").await.starts_with("# OK"));
    b.ok("SELECT INBOX").await;
}

#[tokio::test]
async fn a_mailbox_can_be_renamed_under_a_session() {
    let site = Site::new();
    let (mut a, mut b) = (site.alice().await, site.alice().await);
    a.ok("CREATE x").await;
    a.append("x", &message("s", "t")).await;
    b.ok("SELECT x").await;
    a.ok("RENAME x y").await;
    b.expect("FETCH 1 UID", &["* 1 FETCH (UID 1)", "# OK FETCH completed"]).await;
}
