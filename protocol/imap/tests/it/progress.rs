//! INPROGRESS (RFC 9585).

use crate::support::{ALICE, Site, message};
use futures::future::{BoxFuture, FutureExt};
use futures::stream::BoxStream;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use zcluster_api::*;
use zcluster_auth::{HashParams, hash_password_with};
use zcluster_imap::ImapConfig;
use zcluster_state::memory::Memory;

/// A back end whose searches wait until they are let through.
struct Slow {
    memory: Memory,
    gate: Semaphore,
}

impl MailboxApi for Slow {
    fn read(&self, call: Call<MailboxQuery>) -> BoxFuture<'_, Result<MailboxReply>> {
        let waits = call.body.is_search();
        let reply = MailboxApi::read(&self.memory, call);
        async move {
            if waits {
                self.gate.acquire().await.expect("open").forget();
            }
            reply.await
        }
        .boxed()
    }
    fn write(&self, call: Call<MailboxCommand>) -> BoxFuture<'_, Result<Receipt>> {
        MailboxApi::write(&self.memory, call)
    }
    fn put(&self, call: Call<PreparedBody>) -> BoxFuture<'_, Result<Body>> {
        self.memory.put(call)
    }
    fn get(&self, call: Call<BlobRef>, range: Range<u64>) -> BoxFuture<'_, Result<BodyStream>> {
        self.memory.get(call, range)
    }
    fn watch(&self, account: AccountId, since: ModSeq) -> BoxStream<'static, ModSeq> {
        self.memory.watch(account, since)
    }
}

fn site(progress_every: Duration) -> (Site, Arc<Slow>) {
    let memory = Memory::new();
    let alice = memory.add_account(ALICE, &hash_password_with(HashParams::cheap(), "pw"));
    let slow = Arc::new(Slow { memory: memory.clone(), gate: Semaphore::new(0) });
    let config = ImapConfig { allow_plaintext_auth: true, progress_every, ..ImapConfig::default() };
    (Site::over(memory, alice, slow.clone(), config), slow)
}

#[tokio::test]
async fn what_takes_long_says_so() {
    let (site, slow) = site(Duration::from_millis(20));
    let mut c = site.inbox().await;
    assert!(c.ok("CAPABILITY").await.contains(" INPROGRESS"));
    c.append("INBOX", &message("one", "text")).await;
    let commands = ["SEARCH TEXT text", "UID SORT (DATE) UTF-8 TEXT text", "THREAD REFERENCES UTF-8 TEXT text"];
    for (n, command) in commands.into_iter().enumerate() {
        let tag = format!("t.{n}");
        c.send(format!("{tag} {command}\r\n")).await;
        // While nothing else can be said: as often as it takes.
        for _ in 0..3 {
            let mut line = c.line().await;
            while line.ends_with(" EXISTS") || line.ends_with(" RECENT") {
                line = c.line().await;
            }
            assert_eq!(line, format!("* OK [INPROGRESS (\"{tag}\" NIL NIL)] still at it"));
        }
        slow.gate.add_permits(1);
        let rest = c.until_tagged(&tag).await;
        let last: Vec<&str> = rest.lines().filter(|l| !l.contains("INPROGRESS")).collect();
        assert!(last.len() == 2 && last[1].starts_with("# OK "), "{rest}");
    }
    // What is done at once says nothing of the kind.
    slow.gate.add_permits(1_000);
    c.expect("SEARCH ALL", &["* SEARCH 1", "# OK SEARCH completed"]).await;
}

#[tokio::test]
async fn how_far_it_is_where_that_is_known() {
    let (site, slow) = site(Duration::ZERO);
    slow.gate.add_permits(1_000);
    let mut c = site.inbox().await;
    c.fill_inbox(25).await;
    for _ in 0..7 {
        c.ok("COPY 1:* INBOX").await;
    }
    // 3,200 messages in commands of 1,000.
    c.send("a COPY 1:* Trash\r\n").await;
    let told = c.until_tagged("a").await;
    for done in [0, 1_000, 2_000, 3_000] {
        assert!(told.contains(&format!("* OK [INPROGRESS (\"a\" {done} 3200)] still at it\r\n")), "{told}");
    }
    c.send("b STORE 1:* +FLAGS.SILENT (\\Deleted)\r\n").await;
    assert!(c.until_tagged("b").await.contains("* OK [INPROGRESS (\"b\" 2000 3200)] still at it\r\n"));
    c.send("c CLOSE\r\n").await;
    assert!(c.until_tagged("c").await.contains("* OK [INPROGRESS (\"c\" 2000 3200)] still at it\r\n"));
    c.send("d ESEARCH IN (personal) SUBJECT s1\r\n").await;
    let told = c.until_tagged("d").await;
    assert!(told.contains("* OK [INPROGRESS (\"d\" 0 1)] still at it\r\n"), "{told}");
    assert!(told.contains(" MAILBOX Trash "), "{told}");
}
