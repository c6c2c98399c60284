//! What accounts and operators may wish for.

use crate::client::{Cluster, PASSWORD, USER};
use std::time::Duration;
use zcluster_api::Flags;
use zcluster_api::mailbox::folders;
use zcluster_listener::Shutdown;
use zcluster_pop3::Config;

#[tokio::test]
async fn what_becomes_of_deleted_messages() {
    for (option, in_inbox, in_trash, shown, unread) in [
        (None, 1, 0, 1, true),
        (Some("delete"), 1, 0, 1, true),
        (Some("trash"), 1, 1, 1, true),
        (Some("keep"), 2, 0, 1, true),
        (Some("read"), 2, 0, 1, false),
    ] {
        let cluster = Cluster::new();
        cluster.set("zimbraPrefPop3DeleteOption", option.iter().map(ToString::to_string).collect());
        cluster.deliver(b"Subject: 1\r\n\r\n").await;
        cluster.deliver(b"Subject: 2\r\n\r\n").await;
        let mut c = cluster.connect().signed_in().await;
        let ids = c.ask_lines("UIDL").await;
        c.ask("DELE 1", "+OK message 1 deleted").await;
        c.ask("QUIT", "+OK goodbye, 1 messages deleted").await;
        c.closed().await;
        let inbox = cluster.inbox().await;
        assert_eq!(inbox.len(), in_inbox, "{option:?}");
        assert_eq!(cluster.messages(folders::TRASH).await.len(), in_trash, "{option:?}");
        assert_eq!(inbox[0].flags.contains(Flags::UNREAD), unread, "{option:?}");
        assert!(inbox.last().is_some_and(|m| m.flags.contains(Flags::UNREAD)), "{option:?}");
        let mut c = cluster.connect().signed_in().await;
        let left = c.ask_lines("UIDL").await;
        assert_eq!(left.len(), shown, "{option:?}: what was deleted is not shown again");
        assert_eq!(left[0].split_once(' ').map(|l| l.1), ids[1].split_once(' ').map(|l| l.1), "{option:?}");
    }
}

#[tokio::test]
async fn old_messages_are_hidden() {
    let cluster = Cluster::new();
    cluster.set("zimbraPrefPop3DownloadSince", vec!["20000229000000Z".into()]);
    for (ms, name) in [(951_782_399_999, "old"), (951_782_400_000, "new"), (-5, "ancient")] {
        cluster.deliver_to(folders::INBOX, ms, format!("Subject: {name}\r\n\r\n").as_bytes()).await;
    }
    let mut c = cluster.connect().signed_in().await;
    assert_eq!(c.ask_lines("LIST").await.len(), 1);
    assert_eq!(c.ask_lines("RETR 1").await, ["Subject: new", ""]);
}

#[tokio::test]
async fn junk_is_shown_to_those_who_want_it() {
    let cluster = Cluster::new();
    cluster.deliver(b"Subject: mail\r\n\r\n").await;
    cluster.deliver_to(folders::JUNK, 0, b"Subject: junk one\r\n\r\n").await;
    cluster.deliver_to(folders::JUNK, 0, b"Subject: junk two\r\n\r\n").await;
    let mut c = cluster.connect().signed_in().await;
    assert_eq!(c.ask_lines("UIDL").await.len(), 1);
    cluster.set("zimbraPrefPop3IncludeSpam", vec!["TRUE".into()]);
    let mut c = cluster.connect().signed_in().await;
    let mut ids: Vec<String> = c.ask_lines("UIDL").await.iter().map(|l| l[2..].to_string()).collect();
    for (n, subject) in [(1, "mail"), (2, "junk one"), (3, "junk two")] {
        assert_eq!(c.ask_lines(&format!("RETR {n}")).await, [format!("Subject: {subject}"), String::new()]);
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3, "unique over both folders");
    c.ask("DELE 2", "+OK message 2 deleted").await;
    c.ask("DELE 1", "+OK message 1 deleted").await;
    c.ask("QUIT", "+OK goodbye, 2 messages deleted").await;
    c.closed().await;
    assert!(cluster.inbox().await.is_empty());
    let junk = cluster.messages(folders::JUNK).await;
    assert!(junk.len() == 1 && !junk[0].flags.contains(Flags::UNREAD));
}

/// RFC 2449 §6.5, §8.1.1.
#[tokio::test]
async fn login_delay() {
    let cluster = Cluster::new();
    let mailboxes = std::sync::Arc::new(cluster.memory.clone());
    let config = Config { login_delay: Duration::from_secs(3_600), ..Config::default() };
    let service = cluster.service(mailboxes, config);
    let connect = || cluster.connect_to(service.clone(), "127.0.0.1:50000", &Shutdown::new());
    let mut c = connect().signed_in().await;
    assert!(c.ask_lines("CAPA").await.contains(&"LOGIN-DELAY 3600".to_string()));
    c.ask("QUIT", "+OK goodbye, 0 messages deleted").await;
    c.closed().await;
    let mut c = connect().greeted().await;
    for (password, answer) in [
        ("wrong", "-ERR [AUTH] invalid user name or password"),
        (PASSWORD, "-ERR [LOGIN-DELAY] minimum time between two sessions is 3600 seconds"),
    ] {
        c.ask(&format!("USER {USER}"), "+OK send PASS").await;
        c.ask(&format!("PASS {password}"), answer).await;
    }
    c.ask("STAT", "-ERR sign in first").await;
}

#[tokio::test]
async fn accounts_that_may_not() {
    let cluster = Cluster::new();
    for (name, value, want) in [
        ("zimbraPop3Enabled", "FALSE", "-ERR [SYS/PERM] POP3 is not enabled for this account"),
        ("zimbraPrefPop3Enabled", "FALSE", "-ERR [SYS/PERM] POP3 is not enabled for this account"),
        ("zimbraAccountStatus", "maintenance", "-ERR [SYS/TEMP] account is under maintenance, try again later"),
        ("zimbraAccountStatus", "locked", "-ERR [SYS/PERM] account is locked"),
    ] {
        cluster.set(name, vec![value.into()]);
        let mut c = cluster.connect().greeted().await;
        c.ask(&format!("USER {USER}"), "+OK send PASS").await;
        c.ask(&format!("PASS {PASSWORD}"), want).await;
        c.ask("AUTH PLAIN AGJvYkBleGFtcGxlLmNvbQB0d28gIHdvcmRz", want).await;
        cluster.set(name, vec![]);
    }
    cluster.connect().signed_in().await;
}
