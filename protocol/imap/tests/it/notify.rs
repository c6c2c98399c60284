//! NOTIFY (RFC 5465).

use crate::support::{Client, Site, message};
use std::time::Duration;

/// The next lines, exactly.
async fn hears(c: &mut Client, lines: &[&str]) {
    for line in lines {
        assert_eq!(c.line().await, *line);
    }
}

/// Nothing comes unasked.
async fn hears_nothing(c: &mut Client) {
    zcluster_runtime::sleep(Duration::from_millis(100)).await;
    c.send("quiet CAPABILITY\r\n").await;
    let first = c.line().await;
    assert!(first.starts_with("* CAPABILITY "), "{first}");
    c.until_tagged("quiet").await;
}

#[tokio::test]
async fn the_selected_mailbox() {
    let site = Site::new();
    let (mut a, mut b) = (site.alice().await, site.inbox().await);
    b.expect(
        "NOTIFY SET (SELECTED (MessageNew (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)]) MessageExpunge FlagChange))",
        &["# OK NOTIFY completed"],
    )
    .await;
    a.append("INBOX", &message("hello", "t")).await;
    hears(&mut b, &["* 1 EXISTS", "* 1 RECENT"]).await;
    let fetched = b.response().await;
    assert_eq!(fetched, "* 1 FETCH (UID 1 BODY[HEADER.FIELDS (SUBJECT)] {18}\r\nSubject: hello\r\n\r\n)\r\n");
    a.ok("SELECT INBOX").await;
    a.ok("STORE 1 +FLAGS (\\Deleted)").await;
    hears(&mut b, &["* 1 FETCH (UID 1 FLAGS (\\Recent \\Deleted))"]).await;
    a.ok("EXPUNGE").await;
    hears(&mut b, &["* 1 EXPUNGE"]).await;
    // Flag changes are not told to those who did not ask.
    b.ok("NOTIFY SET (SELECTED (MessageNew MessageExpunge))").await;
    a.append("INBOX", &message("x", "t")).await;
    hears(&mut b, &["* 1 EXISTS", "* 1 RECENT"]).await;
    a.ok("NOOP").await;
    a.ok("STORE 1 +FLAGS (\\Flagged)").await;
    hears_nothing(&mut b).await;
    b.ok("NOTIFY SET (SELECTED NONE)").await;
    a.append("INBOX", &message("y", "t")).await;
    hears_nothing(&mut b).await;
    assert!(b.ok("NOOP").await.starts_with("* 2 EXISTS\r\n"));
    b.ok("NOTIFY NONE").await;
    a.append("INBOX", &message("z", "t")).await;
    hears_nothing(&mut b).await;
}

#[tokio::test]
async fn expunges_wait_when_delayed() {
    let site = Site::new();
    let mut b = site.inbox().await;
    b.fill_inbox(3).await;
    let mut a = site.inbox().await;
    b.ok("NOTIFY SET (SELECTED-DELAYED (MessageNew MessageExpunge FlagChange))").await;
    a.ok("STORE 1 +FLAGS (\\Deleted)").await;
    hears(&mut b, &["* 1 FETCH (UID 1 FLAGS (\\Recent \\Deleted))"]).await;
    a.ok("EXPUNGE").await;
    hears_nothing(&mut b).await;
    b.expect("FETCH 2 UID", &["* 2 FETCH (UID 2)", "# OK FETCH completed"]).await;
    b.expect("NOOP", &["* 1 EXPUNGE", "# OK NOOP completed"]).await;
}

#[tokio::test]
async fn other_mailboxes() {
    let site = Site::new();
    let (mut a, mut b) = (site.alice().await, site.alice().await);
    a.ok("CREATE Lists/one").await;
    a.ok("CREATE quiet").await;
    let first = b
        .ok("NOTIFY SET STATUS (MAILBOXES quiet NONE) (SUBTREE lists (MessageNew MessageExpunge FlagChange MailboxName)) \
             (PERSONAL (MailboxName SubscriptionChange))")
        .await;
    assert_eq!(first.matches("* STATUS Lists").count(), 2, "{first}");
    assert_eq!(first.matches("* STATUS").count(), 2, "only where messages were asked for: {first}");
    a.append("Lists/one", &message("m", "t")).await;
    let status = b.line().await;
    assert!(status.starts_with("* STATUS Lists/one (MESSAGES 1 UIDNEXT 2 UIDVALIDITY "), "{status}");
    assert!(status.ends_with(" UNSEEN 1)"), "{status}");
    a.append("quiet", &message("m", "t")).await;
    a.append("INBOX", &message("m", "t")).await;
    hears_nothing(&mut b).await;
    a.ok("SELECT Lists/one").await;
    a.ok("STORE 1 +FLAGS (\\Seen)").await;
    let status = b.line().await;
    assert!(status.starts_with("* STATUS Lists/one (UIDVALIDITY ") && status.ends_with(" UNSEEN 0)"), "{status}");
    a.ok("STORE 1 +FLAGS (\\Deleted)").await;
    b.line().await;
    a.ok("EXPUNGE").await;
    let status = b.line().await;
    assert!(status.starts_with("* STATUS Lists/one (MESSAGES 0 UIDNEXT 2 "), "{status}");
    // Names and subscriptions (RFC 5465 §5.4, §5.5).
    a.ok("UNSELECT").await;
    a.ok("CREATE new").await;
    hears(&mut b, &["* LIST () \"/\" new"]).await;
    a.ok("RENAME new newer").await;
    hears(&mut b, &["* LIST () \"/\" newer (\"OLDNAME\" (new))"]).await;
    a.ok("SUBSCRIBE newer").await;
    hears(&mut b, &["* LIST (\\Subscribed) \"/\" newer"]).await;
    a.ok("UNSUBSCRIBE newer").await;
    hears(&mut b, &["* LIST () \"/\" newer"]).await;
    a.ok("DELETE newer").await;
    hears(&mut b, &["* LIST (\\NonExistent) \"/\" newer"]).await;
    a.ok("CREATE Lists/two").await;
    hears(&mut b, &["* LIST () \"/\" Lists/two"]).await;
    let status = b.line().await;
    assert!(status.starts_with("* STATUS Lists/two (MESSAGES 0 UIDNEXT 1 "), "{status}");
}

#[tokio::test]
async fn idle_tells_what_notify_asked_for() {
    let site = Site::new();
    let (mut a, mut b) = (site.alice().await, site.inbox().await);
    b.ok("ENABLE QRESYNC").await;
    b.ok("NOTIFY SET (SELECTED-DELAYED (MessageNew MessageExpunge)) (INBOXES (MessageNew MessageExpunge)) \
          (MAILBOXES (Sent) (MessageNew MessageExpunge))")
        .await;
    b.send("i IDLE\r\n").await;
    hears(&mut b, &["+ idling"]).await;
    a.append("Sent", &message("m", "t")).await;
    let status = b.line().await;
    assert!(status.starts_with("* STATUS Sent (MESSAGES 1 UIDNEXT 2 ") && status.contains("HIGHESTMODSEQ"), "{status}");
    a.append("INBOX (\\Deleted)", &message("m", "t")).await;
    hears(&mut b, &["* 1 EXISTS", "* 1 RECENT"]).await;
    a.ok("SELECT INBOX").await;
    a.ok("CLOSE").await;
    hears(&mut b, &["* VANISHED 1"]).await;
    b.send("DONE\r\n").await;
    assert_eq!(b.until_tagged("i").await, "# OK IDLE completed\r\n");
    // Leaving the Inbox makes it one of the others.
    b.ok("SELECT Trash").await;
    a.append("INBOX", &message("m", "t")).await;
    let status = b.line().await;
    assert!(status.starts_with("* STATUS INBOX (MESSAGES 1 UIDNEXT 3 "), "{status}");
}

#[tokio::test]
async fn what_cannot_be_told_is_refused() {
    let site = Site::new();
    let mut c = site.inbox().await;
    let known = "MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange";
    for event in ["AnnotationChange", "MailboxMetadataChange", "ServerMetadataChange", "Foo"] {
        let reply = c.run(&format!("NOTIFY SET (PERSONAL ({event}))")).await;
        assert!(reply.starts_with(&format!("# NO [BADEVENT ({known})] ")), "{reply}");
    }
    for bad in ["NOTIFY", "NOTIFY SET", "NOTIFY SET (SELECTED (MessageNew))", "NOTIFY SET (PERSONAL (FlagChange))"] {
        assert!(c.run(bad).await.starts_with("# BAD"), "{bad}");
    }
    // Commands that come in the middle of news are answered as ever, pipelined ones too.
    c.ok("NOTIFY SET (SELECTED (MessageNew MessageExpunge FlagChange))").await;
    c.send("x NOOP\r\ny NOOP\r\n").await;
    assert_eq!(c.until_tagged("x").await, "# OK NOOP completed\r\n");
    assert_eq!(c.until_tagged("y").await, "# OK NOOP completed\r\n");
    c.send("z LOGOUT\r\n").await;
    assert!(c.until_tagged("z").await.ends_with("# OK LOGOUT completed\r\n"));
}
