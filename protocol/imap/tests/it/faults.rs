//! What the client sees when the cluster cannot do what it should.

use crate::support::{ALICE, Site, message};
use futures::StreamExt;
use futures::future::{BoxFuture, FutureExt};
use futures::stream::BoxStream;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use zcluster_api::*;
use zcluster_auth::{HashParams, hash_password_with};
use zcluster_imap::ImapConfig;
use zcluster_state::memory::Memory;

/// The back end with faults that a test turns on.
struct Faulty {
    memory: Memory,
    reads_fail: AtomicU32,
    writes_fail: AtomicU32,
    changes_fail: AtomicU32,
    /// Streams break off after 1,000 bytes, so many times.
    streams_break: AtomicU32,
    /// Bodies cannot be had at all, so many times.
    no_bodies: AtomicU32,
    /// `Changes` says that its log does not reach back.
    forgetful: AtomicU32,
}

fn take(counter: &AtomicU32) -> bool {
    counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok()
}

fn unavailable<T: Send + 'static>() -> BoxFuture<'static, Result<T>> {
    futures::future::ready(Err(Error::Unavailable("no quorum".into()))).boxed()
}

impl MailboxApi for Faulty {
    fn read(&self, call: Call<MailboxQuery>) -> BoxFuture<'_, Result<MailboxReply>> {
        if take(&self.reads_fail) {
            return unavailable();
        }
        if matches!(call.body, MailboxQuery::Changes { .. }) && take(&self.changes_fail) {
            return unavailable();
        }
        let forget = matches!(call.body, MailboxQuery::Changes { .. }) && take(&self.forgetful);
        let reply = MailboxApi::read(&self.memory, call);
        async move {
            let mut reply = reply.await;
            if forget && let Ok(MailboxReply::Changes { resync, expunged, added, flags, .. }) = &mut reply {
                (*resync, *expunged, *added, *flags) = (true, UidSet::new(), UidSet::new(), Vec::new());
            }
            reply
        }
        .boxed()
    }
    fn write(&self, call: Call<MailboxCommand>) -> BoxFuture<'_, Result<Receipt>> {
        if take(&self.writes_fail) { unavailable() } else { MailboxApi::write(&self.memory, call) }
    }
    fn put(&self, call: Call<PreparedBody>) -> BoxFuture<'_, Result<Body>> {
        self.memory.put(call)
    }
    fn get(&self, call: Call<BlobRef>, range: Range<u64>) -> BoxFuture<'_, Result<BodyStream>> {
        if take(&self.no_bodies) {
            return unavailable();
        }
        let breaks = take(&self.streams_break);
        let stream = self.memory.get(call, range);
        async move {
            let stream = stream.await?;
            if !breaks {
                return Ok(stream);
            }
            let first = stream.take(1).map(|p| p.map(|b| b.slice(..b.len().min(1000))));
            let broken = futures::stream::once(async { Err(Error::Unavailable("primary is gone".into())) });
            Ok(first.chain(broken).boxed())
        }
        .boxed()
    }
    fn watch(&self, account: AccountId, since: ModSeq) -> BoxStream<'static, ModSeq> {
        self.memory.watch(account, since)
    }
}

fn site() -> (Site, Arc<Faulty>) {
    let memory = Memory::new();
    let alice = memory.add_account(ALICE, &hash_password_with(HashParams::cheap(), "pw"));
    let zero = || AtomicU32::new(0);
    let faulty = Arc::new(Faulty {
        memory: memory.clone(),
        reads_fail: zero(),
        writes_fail: zero(),
        changes_fail: zero(),
        streams_break: zero(),
        no_bodies: zero(),
        forgetful: zero(),
    });
    let config = ImapConfig { allow_plaintext_auth: true, ..ImapConfig::default() };
    (Site::over(memory, alice, faulty.clone(), config), faulty)
}

const LATER: &str = "# NO [UNAVAILABLE] temporarily unavailable, try again later";

#[tokio::test]
async fn unavailable_is_no_and_never_ok() {
    let (site, faulty) = site();
    let mut c = site.inbox().await;
    c.fill_inbox(2).await;
    faulty.writes_fail.store(1, Ordering::SeqCst);
    c.expect("STORE 1 +FLAGS (\\Flagged)", &[LATER]).await;
    faulty.writes_fail.store(1, Ordering::SeqCst);
    assert_eq!(c.append("INBOX", &message("x", "y")).await, format!("{LATER}\r\n"));
    faulty.writes_fail.store(1, Ordering::SeqCst);
    c.expect("COPY 1 Trash", &[LATER]).await;
    faulty.reads_fail.store(1, Ordering::SeqCst);
    c.expect("FETCH 1 FLAGS", &[LATER]).await;
    faulty.reads_fail.store(1, Ordering::SeqCst);
    c.expect("NOOP", &[LATER]).await;
    // Reading goes on where \Seen cannot be set.
    faulty.writes_fail.store(1, Ordering::SeqCst);
    let read = c.ok("FETCH 1 BODY[TEXT]").await;
    assert!(read.starts_with("* 1 FETCH (BODY[TEXT] {8}\r\n"), "{read}");
    c.expect("FETCH 1 FLAGS", &["* 1 FETCH (FLAGS (\\Recent))", "# OK FETCH completed"]).await;
}

#[tokio::test]
async fn a_broken_stream_is_taken_up_again() {
    let (site, faulty) = site();
    let mut c = site.inbox().await;
    let raw = message("big", &"0123456789\r\n".repeat(5_000));
    c.append("INBOX", &raw).await;
    faulty.streams_break.store(2, Ordering::SeqCst);
    let got = c.ok("FETCH 1 BODY.PEEK[]").await;
    assert!(got.contains(&raw));
    faulty.streams_break.store(2, Ordering::SeqCst);
    let got = c.ok("FETCH 1 BODY.PEEK[TEXT]<10.40000>").await;
    let text = raw.split_once("\r\n\r\n").expect("a message").1;
    assert!(got.contains(&text[10..40_010]));
}

#[tokio::test]
async fn a_stream_that_stays_broken_ends_the_connection() {
    let (site, faulty) = site();
    let mut c = site.inbox().await;
    c.append("INBOX", &message("big", &"0123456789\r\n".repeat(5_000))).await;
    faulty.streams_break.store(100, Ordering::SeqCst);
    c.send("a FETCH 1 BODY.PEEK[]\r\n").await;
    assert!(c.line().await.starts_with("* 1 FETCH (BODY[] {"));
    let mut rest = 0;
    while !c.line().await.is_empty() {
        rest += 1;
    }
    assert!(rest < 4_900, "what came is short of what was announced, and nothing was put in its place");
}

#[tokio::test]
async fn a_body_that_cannot_be_had_costs_a_no() {
    let (site, faulty) = site();
    let mut c = site.inbox().await;
    c.fill_inbox(2).await;
    faulty.no_bodies.store(1_000, Ordering::SeqCst);
    // Nothing of the response that was begun is left over.
    c.expect("FETCH 1 (FLAGS BODY.PEEK[])", &[LATER]).await;
    c.expect("FETCH 1:2 (UID BODY.PEEK[1] BODY.PEEK[TEXT])", &[LATER]).await;
    // What the summary holds needs no body.
    let got = c.ok("FETCH 1 (ENVELOPE BODYSTRUCTURE PREVIEW BODY.PEEK[HEADER.FIELDS (SUBJECT)])").await;
    assert!(got.contains("BODY[HEADER.FIELDS (SUBJECT)] {15}\r\nSubject: s1\r\n\r\n)\r\n"), "{got}");
}

#[tokio::test]
async fn a_log_that_does_not_reach_back_is_made_up_for() {
    let (site, faulty) = site();
    let (mut a, mut b) = (site.inbox().await, site.inbox().await);
    a.fill_inbox(4).await;
    b.ok("NOOP").await;
    a.ok("STORE 1 +FLAGS (\\Flagged)").await;
    a.ok("STORE 2 +FLAGS (\\Deleted)").await;
    a.ok("EXPUNGE").await;
    a.append("INBOX", &message("new", "x")).await;
    faulty.forgetful.store(1, Ordering::SeqCst);
    let news = b.ok("NOOP").await;
    assert_eq!(
        news,
        "* 2 EXPUNGE\r\n* 4 EXISTS\r\n* 4 RECENT\r\n* 1 FETCH (UID 1 FLAGS (\\Recent \\Flagged))\r\n# OK NOOP completed\r\n"
    );
    b.expect("NOOP", &["# OK NOOP completed"]).await;
}

#[tokio::test]
async fn idle_survives_a_fault() {
    let (site, faulty) = site();
    let (mut a, mut b) = (site.inbox().await, site.inbox().await);
    b.send("i IDLE\r\n").await;
    assert_eq!(b.line().await, "+ idling");
    // The news is there, but cannot be read at first; nothing else will happen to tell it again.
    faulty.changes_fail.store(2, Ordering::SeqCst);
    a.append("INBOX", &message("x", "y")).await;
    assert_eq!(b.line().await, "* 1 EXISTS");
    assert_eq!(b.line().await, "* 1 RECENT");
    b.send("DONE\r\n").await;
    b.until_tagged("i").await;
}

#[tokio::test]
async fn a_client_that_does_not_read_does_not_fill_memory() {
    let site = Site::new();
    let mut c = site.inbox().await;
    let raw = message("big", &"0123456789\r\n".repeat(80_000));
    c.append("INBOX", &raw).await;
    // Twenty times a megabyte through a pipe of 256 KiB: the service waits for us in between.
    c.send("a FETCH 1 BODY.PEEK[]\r\n".repeat(20)).await;
    zcluster_runtime::sleep(std::time::Duration::from_millis(50)).await;
    for _ in 0..20 {
        assert!(c.response().await.len() > raw.len());
        assert_eq!(c.line().await, "a OK FETCH completed");
    }
}

#[tokio::test]
async fn appending_in_bad_times_is_all_or_nothing() {
    let (site, faulty) = site();
    let mut c = site.inbox().await;
    let raw = message("big", &"0123456789\r\n".repeat(5_000));
    assert!(c.append("INBOX", &raw).await.contains("# OK"));
    let two = "APPEND INBOX {3+}\r\na:b {3+}\r\nc:d";
    faulty.writes_fail.store(1, Ordering::SeqCst);
    assert_eq!(c.run(two).await, format!("{LATER}\r\n"));
    faulty.writes_fail.store(1, Ordering::SeqCst);
    assert_eq!(c.run("REPLACE 1 INBOX {3+}\r\na:b").await, format!("{LATER}\r\n"));
    // A part that cannot be had is no bad URL, and the literal behind it no command.
    let parts = "APPEND INBOX CATENATE (URL \"/INBOX;UID=1\" TEXT {9+}\r\nx LOGOUT\n)";
    faulty.no_bodies.store(100, Ordering::SeqCst);
    assert_eq!(c.run(parts).await, format!("{LATER}\r\n"));
    faulty.no_bodies.store(0, Ordering::SeqCst);
    c.expect("STATUS INBOX (MESSAGES)", &["* STATUS INBOX (MESSAGES 1)", "# OK STATUS completed"]).await;
    // One that breaks off is taken up again.
    faulty.streams_break.store(2, Ordering::SeqCst);
    assert!(c.run(parts).await.contains("# OK [APPENDUID"));
    let got = c.ok("FETCH 2 BODY.PEEK[]").await;
    assert!(got.contains(&format!("{raw}x LOGOUT\n")));
    assert!(c.run(two).await.contains(" 3:4] APPEND completed"));
}
