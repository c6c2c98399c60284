//! Clients that make mistakes, are slow or silent, and a cluster that fails.

use crate::client::{Cluster, NEAR};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use zcluster_api::{
    AccountId, BlobRef, Body, BodyStream, Call, Error, MailboxApi, MailboxCommand, MailboxQuery, MailboxReply, ModSeq,
    PreparedBody, Receipt, Result,
};
use zcluster_listener::{Protocol, Refusal, Shutdown};
use zcluster_managesieve::Config;
use zcluster_state::memory::Memory;

#[tokio::test]
async fn mistakes_leave_the_session_in_step() {
    let cluster = Cluster::new();
    let mut c = cluster.connect().signed_in().await;
    let long = "x".repeat(5_000);
    for (bytes, answer) in [
        ("BOGUS {10+}\r\nNOOP\r\nNOOP\r\n".to_owned(), "NO \"unknown command\"\r\n"),
        (
            "PUTSCRIPT \"a\\b\" {6+}\r\nNOOP\r\n\r\n".into(),
            "NO \"only \\\" and \\\\ can stand behind a backslash\"\r\n",
        ),
        ("PUTSCRIPT \"a {6+}\r\nNOOP\r\n\r\n".into(), "NO \"a quoted string has no end\"\r\n"),
        ("PUTSCRIPT {1+}\r\na{6+}\r\nNOOP\r\n\r\n".into(), "NO \"a space is missing between two words\"\r\n"),
        (
            "PUTSCRIPT {1+}\r\na x{6+} {6+}\r\nNOOP\r\n {1}\r\nx\r\n".into(),
            "NO \"a space is missing between two words\"\r\n",
        ),
        (format!("GETSCRIPT \"{long}\"\r\n"), "NO \"a line is too long\"\r\n"),
        (format!("PUTSCRIPT \"{long}\" {{6+}}\r\nNOOP\r\n\r\n"), "NO \"a line is too long\"\r\n"),
        (format!("GETSCRIPT \"{}\"\r\n", &long[..1_025]), "NO \"a quoted string is too long: use a literal\"\r\n"),
        ("NOOP {1+}\r\na {1+}\r\nb {1+}\r\nc {1+}\r\nd\r\n".into(), "NO \"too many arguments\"\r\n"),
        (
            "NOOP {1+}\r\na {1+}\r\nb {1+}\r\nc {1+}\r\nd {1+}\r\ne\r\n".into(),
            "NO \"too many literals in one command\"\r\n",
        ),
        (
            "NOOP {1+}\r\na {1+}\r\nb {1+}\r\nc {1+}\r\nd {1+}\r\ne {6+}\r\nNOOP\r\n\r\n".into(),
            "NO \"too many literals in one command\"\r\n",
        ),
        (
            "RENAMESCRIPT \"a\" {262145+}\r\n".to_owned() + &"x".repeat(262_145) + "\r\n",
            "NO \"a literal is too large\"\r\n",
        ),
        ("\r\n".into(), "NO \"empty command\"\r\n"),
        ("\0\r\n".into(), "NO \"unexpected character\"\r\n"),
        ("HAVESPACE \"a\" 99999999999999999999\r\n".into(), "NO \"a number of 32 bits is expected\"\r\n"),
        ("LISTSCRIPTS (\r\n".into(), "NO \"unexpected character\"\r\n"),
    ] {
        c.send(bytes.as_bytes()).await;
        assert_eq!(c.answer().await, answer, "{}", &bytes[..bytes.len().min(80)]);
        c.in_step().await;
    }
}

#[tokio::test]
async fn too_many_mistakes() {
    let cluster = Cluster::new();
    let mut c = cluster.connect().greeted().await;
    for _ in 0..20 {
        c.ask("BOGUS", "NO \"unknown command\"\r\n").await;
    }
    assert_eq!(c.answer().await, "BYE \"too many bad commands\"\r\n");
    c.closed().await;
    // Refusals of what makes sense are not mistakes.
    let mut c = cluster.connect().signed_in().await;
    for _ in 0..50 {
        assert!(c.tell("CHECKSCRIPT \"frob;\"").await.starts_with("NO \"line 1"));
    }
}

#[tokio::test]
async fn far_too_large() {
    let cluster = Cluster::new();
    let bye = "BYE (QUOTA/MAXSIZE) \"a literal is far too large\"\r\n";
    for size in ["16777217", "4294967295", "99999999999999999999"] {
        let mut c = cluster.connect().signed_in().await;
        c.ask(&format!("PUTSCRIPT \"a\" {{{size}+}}"), bye).await;
        c.closed().await;
    }
    let mut c = cluster.connect().greeted().await;
    c.ask("AUTHENTICATE \"PLAIN\" {600000+}", bye).await;
    c.closed().await;
    let mut c = cluster.connect().signed_in().await;
    c.send("BOGUS( {1+}\r\na".as_bytes()).await;
    for _ in 0..15 {
        c.send(b" {1+}\r\na").await;
    }
    assert_eq!(c.tell(" {1+}").await, "BYE \"too many literals in one command\"\r\n");
    c.closed().await;
}

#[tokio::test]
async fn silence_and_shutdown() {
    let cluster = Cluster::new();
    let mailboxes = Arc::new(cluster.memory.clone());
    let config = Config { login_timeout: Duration::from_millis(50), ..Config::default() };
    let mut c = cluster.connect_over(mailboxes.clone(), NEAR, config, &Shutdown::new(), None).greeted().await;
    let bye = c.answer().await;
    assert!(bye.starts_with("BYE \""), "{bye}");
    c.closed().await;
    // A client that keeps on talking without signing in, too.
    let config = Config { login_timeout: Duration::from_millis(300), ..Config::default() };
    let mut c = cluster.connect_over(mailboxes.clone(), NEAR, config, &Shutdown::new(), None).greeted().await;
    let mut last = String::new();
    for _ in 0..100 {
        // What was said last can be read even when nothing more can be written.
        let _ = tokio::io::AsyncWriteExt::write_all(&mut c.stream, b"NOOP\r\n").await;
        match c.try_line().await {
            Some(line) => last = line,
            None => break,
        }
        zcluster_runtime::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(last, "BYE \"no sign-in in time\"\r\n");
    let config = Config { idle_timeout: Duration::from_millis(50), ..Config::default() };
    let mut c = cluster.connect_over(mailboxes.clone(), NEAR, config, &Shutdown::new(), None).signed_in().await;
    assert_eq!(c.answer().await, "BYE \"silent for too long\"\r\n");
    c.closed().await;
    let shutdown = Shutdown::new();
    let mut c = cluster.connect_over(mailboxes, NEAR, Config::default(), &shutdown, None).signed_in().await;
    shutdown.drain();
    assert_eq!(c.answer().await, "BYE (TRYLATER) \"shutting down, try again later\"\r\n");
    c.closed().await;
}

#[tokio::test]
async fn full_ports_say_so() {
    let memory = Arc::new(Cluster::new().memory);
    let authenticator = zcluster_auth::Authenticator::new(memory.clone(), zcluster_auth::AuthConfig::cheap());
    let service = zcluster_managesieve::ManageSieve::new(memory, Arc::new(authenticator), Config::default());
    for why in [Refusal::TooMany, Refusal::TooManyFromAddress, Refusal::ShuttingDown] {
        let text = service.refuse_text(why);
        assert!(text.starts_with("BYE (TRYLATER) \"") && text.ends_with("\"\r\n"), "{text}");
    }
}

/// A back end that takes no writes, or fails in another way.
struct Failing(Memory, Error);

impl MailboxApi for Failing {
    fn read(&self, call: Call<MailboxQuery>) -> BoxFuture<'_, Result<MailboxReply>> {
        MailboxApi::read(&self.0, call)
    }
    fn write(&self, _: Call<MailboxCommand>) -> BoxFuture<'_, Result<Receipt>> {
        let error = self.1.clone();
        Box::pin(async { Err(error) })
    }
    fn put(&self, call: Call<PreparedBody>) -> BoxFuture<'_, Result<Body>> {
        self.0.put(call)
    }
    fn get(&self, call: Call<BlobRef>, range: Range<u64>) -> BoxFuture<'_, Result<BodyStream>> {
        self.0.get(call, range)
    }
    fn watch(&self, account: AccountId, since: ModSeq) -> BoxStream<'static, ModSeq> {
        self.0.watch(account, since)
    }
}

#[tokio::test]
async fn a_cluster_that_fails() {
    let cluster = Cluster::new();
    cluster.put("a", "keep;").await;
    for (error, answer) in [
        (
            Error::Unavailable("no quorum".into()),
            "NO (TRYLATER) \"the mailbox is not available now, try again later\"\r\n",
        ),
        (Error::QuotaExceeded, "NO (QUOTA) \"over quota\"\r\n"),
        (Error::Denied("a\r\nb".into()), "NO \"permission denied: a  b\"\r\n"),
        (Error::Internal("secret".into()), "NO \"internal error\"\r\n"),
    ] {
        let failing = Arc::new(Failing(cluster.memory.clone(), error));
        let mut c = cluster.connect_over(failing, NEAR, Config::default(), &Shutdown::new(), None).signed_in().await;
        for command in [
            "PUTSCRIPT \"b\" \"keep;\"",
            "SETACTIVE \"a\"",
            "SETACTIVE \"\"",
            "RENAMESCRIPT \"a\" \"b\"",
            "DELETESCRIPT \"a\"",
        ] {
            c.ask(command, answer).await;
        }
        c.ask("LISTSCRIPTS", "\"a\"\r\nOK\r\n").await;
    }
}
