//! Wrong passwords, long lines, slow and silent clients, and a cluster that fails half-way.

use crate::client::{Cluster, USER};
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use zcluster_api::{
    AccountId, BlobRef, Body, BodyStream, Bytes, Call, Error, MailboxApi, MailboxCommand, MailboxQuery, MailboxReply,
    ModSeq, PreparedBody, Receipt, Result,
};
use zcluster_listener::Shutdown;
use zcluster_pop3::Config;
use zcluster_state::memory::Memory;

#[tokio::test]
async fn wrong_passwords_end_the_connection() {
    let cluster = Cluster::new();
    let mut c = cluster.connect().greeted().await;
    for _ in 0..5 {
        c.ask(&format!("USER {USER}"), "+OK send PASS").await;
        c.say("PASS wrong").await;
        let answer = c.line().await;
        assert!(answer.starts_with("-ERR [AUTH]") || answer.starts_with("-ERR [SYS/TEMP]"), "{answer}");
    }
    c.closed().await;
}

#[tokio::test]
async fn long_lines_and_too_many_errors() {
    let cluster = Cluster::new();
    let mut c = cluster.connect().signed_in().await;
    c.ask(&"x".repeat(300), "-ERR line too long").await;
    c.ask(&format!("NOOP{}", " ".repeat(250)), "+OK done").await;
    let mut last = String::new();
    for _ in 0..49 {
        c.say("BOGUS").await;
        last = c.line().await;
    }
    assert_eq!(last, "-ERR unknown command");
    c.expect("-ERR too many errors").await;
    c.closed().await;
}

#[tokio::test]
async fn a_message_gone_meanwhile() {
    let cluster = Cluster::new();
    cluster.deliver(b"Subject: 1\r\n\r\n").await;
    cluster.deliver(b"Subject: 2\r\n\r\n").await;
    let mut c = cluster.connect().signed_in().await;
    cluster.remove(cluster.inbox().await[0].uid.0).await;
    c.ask("RETR 1", "-ERR message was removed by another session").await;
    assert_eq!(c.ask_lines("RETR 2").await, ["Subject: 2", ""]);
    c.ask("DELE 1", "+OK message 1 deleted").await;
    c.ask("QUIT", "+OK goodbye, 1 messages deleted").await;
    c.closed().await;
    assert_eq!(cluster.inbox().await.len(), 1);
}

#[tokio::test]
async fn silence_and_shutdown() {
    let cluster = Cluster::new();
    let mailboxes = Arc::new(cluster.memory.clone());
    let config = Config { login_timeout: Duration::from_millis(50), ..Config::default() };
    let c = cluster.connect_over(mailboxes.clone(), "127.0.0.1:4000", config, &Shutdown::new()).greeted().await;
    c.closed().await;
    let shutdown = Shutdown::new();
    let mut c = cluster.connect_over(mailboxes, "127.0.0.1:4000", Config::default(), &shutdown).greeted().await;
    shutdown.drain();
    c.expect("-ERR [SYS/TEMP] shutting down, try again later").await;
    c.closed().await;
}

/// A body larger than all buffers, to a client that reads slowly.
#[tokio::test]
async fn a_large_message_streams() {
    let cluster = Cluster::new();
    let mut raw = b"Subject: large\r\n\r\n".to_vec();
    for i in 0..40_000 {
        raw.extend(format!(".{i} some text that is not the same on each line\r\n").bytes());
    }
    cluster.deliver(&raw).await;
    let mut c = cluster.connect().signed_in().await;
    let lines = c.ask_lines("RETR 1").await;
    assert_eq!(lines.len(), 40_002);
    let got: String = lines.iter().map(|l| format!("{}\r\n", l.strip_prefix('.').unwrap_or(l))).collect();
    assert!(got.as_bytes() == raw, "byte for byte");
    c.ask("QUIT", "+OK goodbye, 0 messages deleted").await;
}

/// A back end whose bodies end in an error after a first piece, and that takes no writes.
struct Failing(Memory);

impl MailboxApi for Failing {
    fn read(&self, call: Call<MailboxQuery>) -> BoxFuture<'_, Result<MailboxReply>> {
        MailboxApi::read(&self.0, call)
    }
    fn write(&self, _: Call<MailboxCommand>) -> BoxFuture<'_, Result<Receipt>> {
        Box::pin(async { Err(Error::Unavailable("no quorum".into())) })
    }
    fn put(&self, call: Call<PreparedBody>) -> BoxFuture<'_, Result<Body>> {
        self.0.put(call)
    }
    fn get(&self, _: Call<BlobRef>, range: Range<u64>) -> BoxFuture<'_, Result<BodyStream>> {
        let first = if range.end > 100 { Ok(Bytes::from_static(b"Subject: x\r\n")) } else { Err(lost()) };
        let pieces = vec![first, Err(lost())];
        Box::pin(async { Ok(futures::stream::iter(pieces).boxed()) })
    }
    fn watch(&self, account: AccountId, since: ModSeq) -> BoxStream<'static, ModSeq> {
        self.0.watch(account, since)
    }
}

fn lost() -> Error {
    Error::Unavailable("no leader".into())
}

#[tokio::test]
async fn a_failing_cluster_is_not_taken_for_a_short_message() {
    let cluster = Cluster::new();
    cluster.deliver(b"Subject: short\r\n\r\n").await;
    cluster.deliver(&[b"Subject: x\r\n\r\n".as_slice(), &[b'a'; 200]].concat()).await;
    let connect = || {
        let failing = Arc::new(Failing(cluster.memory.clone()));
        cluster.connect_over(failing, "127.0.0.1:4000", Config::default(), &Shutdown::new())
    };
    let mut c = connect().signed_in().await;
    // Nothing was sent yet: an error, and the session goes on.
    c.ask("RETR 1", "-ERR [SYS/TEMP] mailbox is not available now, try again later").await;
    // Something was: the connection ends without the final dot.
    c.ask("RETR 2", "+OK 214 octets").await;
    c.expect("Subject: x").await;
    c.closed().await;
    let mut c = connect().signed_in().await;
    c.ask("DELE 1", "+OK message 1 deleted").await;
    c.say("QUIT").await;
    let answer = c.line().await;
    assert!(answer.starts_with("-ERR [SYS/TEMP]") && answer.ends_with("some deleted messages not removed"), "{answer}");
    c.closed().await;
    assert_eq!(cluster.inbox().await.len(), 2);
}
