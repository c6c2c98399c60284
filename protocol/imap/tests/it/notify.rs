//! NOTIFY (RFC 5465).

use crate::support::{Client, Site, message};
use std::time::Duration;
use zcluster_api::mailbox::FolderView;
use zcluster_api::{Actor, Call, MailboxApi, MailboxCommand, RequestId};

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
    hears(&mut b, &["* LIST (\\HasNoChildren) \"/\" new"]).await;
    a.ok("RENAME new newer").await;
    hears(&mut b, &["* LIST (\\HasNoChildren) \"/\" newer (\"OLDNAME\" (new))"]).await;
    a.ok("SUBSCRIBE newer").await;
    hears(&mut b, &["* LIST (\\HasNoChildren \\Subscribed) \"/\" newer"]).await;
    a.ok("UNSUBSCRIBE newer").await;
    hears(&mut b, &["* LIST (\\HasNoChildren) \"/\" newer"]).await;
    a.ok("DELETE newer").await;
    hears(&mut b, &["* LIST (\\NonExistent) \"/\" newer"]).await;
    a.ok("CREATE Lists/two").await;
    hears(&mut b, &["* LIST (\\HasNoChildren) \"/\" Lists/two"]).await;
    let status = b.line().await;
    assert!(status.starts_with("* STATUS Lists/two (MESSAGES 0 UIDNEXT 1 "), "{status}");
    // The parent is affected, too; what a renamed folder takes along has no event of its own.
    hears(&mut b, &["* LIST (\\HasChildren) \"/\" Lists"]).await;
    a.ok("CREATE deep/er/est").await;
    for line in ["(\\HasChildren) \"/\" deep", "(\\HasChildren) \"/\" deep/er", "(\\HasNoChildren) \"/\" deep/er/est"] {
        hears(&mut b, &[&format!("* LIST {line}")]).await;
    }
    a.ok("RENAME deep high").await;
    hears(&mut b, &["* LIST (\\HasChildren) \"/\" high (\"OLDNAME\" (deep))"]).await;
    a.ok("DELETE high/er/est").await;
    hears(&mut b, &["* LIST (\\NonExistent) \"/\" high/er/est", "* LIST (\\HasNoChildren) \"/\" high/er"]).await;
    hears_nothing(&mut b).await;
}

/// RFC 5465 §6: "multiple event-groups can apply to the same mailbox".
#[tokio::test]
async fn groups_add_up() {
    let site = Site::new();
    let (mut a, mut b) = (site.alice().await, site.alice().await);
    b.ok("NOTIFY SET (MAILBOXES Sent (MessageNew MessageExpunge)) (PERSONAL (SubscriptionChange))").await;
    a.append("Sent", &message("m", "t")).await;
    let status = b.line().await;
    assert!(status.starts_with("* STATUS Sent (MESSAGES 1 "), "{status}");
    a.ok("UNSUBSCRIBE Sent").await;
    a.ok("SUBSCRIBE Sent").await;
    let told = b.line().await;
    assert!(told.starts_with("* LIST (") && told.ends_with("\"/\" Sent"), "{told}");
    b.ok("NOTIFY SET (INBOXES (MessageNew MessageExpunge))").await;
    // A filter may deliver into any folder.
    a.append("Trash", &message("m", "t")).await;
    let status = b.line().await;
    assert!(status.starts_with("* STATUS Trash (MESSAGES 1 "), "{status}");
}

/// RFC 5465 §5.6 and §5.7.
#[tokio::test]
async fn annotations() {
    let site = Site::new();
    let (mut a, mut b) = (site.alice().await, site.alice().await);
    a.ok("CREATE Lists").await;
    b.ok("NOTIFY SET (SUBTREE Lists (MailboxMetadataChange)) (PERSONAL (ServerMetadataChange MailboxName))").await;
    a.ok("SETMETADATA Lists (/shared/comment \"x\" /private/comment \"y\")").await;
    hears(&mut b, &["* METADATA Lists /private/comment /shared/comment"]).await;
    a.ok("SETMETADATA INBOX (/shared/comment \"not asked for\")").await;
    a.ok("SETMETADATA Lists (/shared/comment NIL)").await;
    hears(&mut b, &["* METADATA Lists /shared/comment"]).await;
    a.ok("SETMETADATA \"\" (/private/comment \"z\")").await;
    hears(&mut b, &["* METADATA \"\" /private/comment"]).await;
    // One's own are no news.
    b.ok("SETMETADATA Lists (/shared/comment \"mine\")").await;
    hears_nothing(&mut b).await;
    a.ok("SETMETADATA Lists (/shared/comment \"theirs\")").await;
    hears(&mut b, &["* METADATA Lists /shared/comment"]).await;
    b.ok("NOTIFY SET (PERSONAL (MailboxName))").await;
    a.ok("SETMETADATA Lists (/shared/comment \"again\")").await;
    hears_nothing(&mut b).await;
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
    let known = "MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange MailboxMetadataChange \
                 ServerMetadataChange";
    for event in ["AnnotationChange", "Foo"] {
        let reply = c.run(&format!("NOTIFY SET (PERSONAL ({event}))")).await;
        assert!(reply.starts_with(&format!("# NO [BADEVENT ({known})] ")), "{reply}");
    }
    for bad in [
        "NOTIFY",
        "NOTIFY SET",
        "NOTIFY SET (SELECTED (MessageNew))",
        "NOTIFY SET (PERSONAL (FlagChange))",
        "NOTIFY SET (SELECTED (ServerMetadataChange))",
    ] {
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

/// The mailboxes that one session may watch.
const WATCHED_MAX: usize = 2_000;

async fn create(site: &Site, path: String) {
    let body = MailboxCommand::CreateFolder { path, view: FolderView::Message, special_use: None };
    let (account, request) = (site.alice, RequestId(zcluster_runtime::random_bytes()));
    let call = Call { actor: Actor::System, account, request, timeout: Duration::from_secs(5), body };
    MailboxApi::write(&site.memory, call).await.expect("created");
}

/// RFC 5465 §3.1 and §5.8: too much is refused, or ends with a word and as if `NOTIFY NONE` had come.
#[tokio::test]
async fn overflow() {
    let site = Site::new();
    let (mut a, mut b, mut c) = (site.alice().await, site.alice().await, site.alice().await);
    create(&site, "Few/one".into()).await;
    // "Many" itself is one of them.
    for n in 1..WATCHED_MAX {
        create(&site, format!("Many/{n}")).await;
    }
    b.ok("NOTIFY SET (SUBTREE Many (MessageNew MessageExpunge MailboxName))").await;
    let reply = c.run("NOTIFY SET (PERSONAL (MessageNew MessageExpunge))").await;
    assert!(reply.starts_with("# NO [NOTIFICATIONOVERFLOW] "), "{reply}");
    // A refused NOTIFY leaves what was before.
    c.ok("NOTIFY SET (SUBTREE Few (MessageNew MessageExpunge))").await;
    assert!(c.run("NOTIFY SET (PERSONAL (MessageNew MessageExpunge))").await.starts_with("# NO "));
    a.append("Few/one", &message("m", "t")).await;
    let status = c.line().await;
    assert!(status.starts_with("* STATUS Few/one (MESSAGES 1 "), "{status}");

    a.append("Many/7", &message("m", "t")).await;
    let status = b.line().await;
    assert!(status.starts_with("* STATUS Many/7 (MESSAGES 1 "), "{status}");
    a.ok("CREATE Many/more").await;
    hears(&mut b, &["* LIST (\\HasNoChildren) \"/\" Many/more"]).await;
    let status = b.line().await;
    assert!(status.starts_with("* STATUS Many/more (MESSAGES 0 "), "{status}");
    hears(&mut b, &["* LIST (\\HasChildren) \"/\" Many"]).await;
    let over = b.line().await;
    assert!(over.starts_with("* OK [NOTIFICATIONOVERFLOW] "), "{over}");
    a.append("Many/7", &message("m", "t")).await;
    hears_nothing(&mut b).await;
    b.ok("NOTIFY SET (MAILBOXES Many/7 (MessageNew MessageExpunge))").await;
    a.append("Many/7", &message("m", "t")).await;
    let status = b.line().await;
    assert!(status.starts_with("* STATUS Many/7 (MESSAGES 3 "), "{status}");
}
