//! A folder of 100,000 messages: FETCH of all of it in bounded memory, QRESYNC without reading all of it.

#[path = "../../listener/tests/counting/mod.rs"]
mod counting;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use zcluster_api::*;
use zcluster_auth::{AuthConfig, Authenticator, HashParams, hash_password_with};
use zcluster_imap::{Imap, ImapConfig};
use zcluster_listener::{Connection, Protocol};
use zcluster_runtime::Instant;
use zcluster_state::memory::Memory;

/// What a FETCH may hold beside what was there before: two pages of messages, the pipe, responses under way.
const FETCH_BYTES_MAX: i64 = 6 * 1024 * 1024;
const MESSAGES: usize = 102_400;

/// The back end, counting the messages it hands out and the bytes of its largest other reply.
struct Counted {
    memory: Memory,
    messages: AtomicU64,
    largest: AtomicU64,
}

impl MailboxApi for Counted {
    fn read(&self, call: Call<MailboxQuery>) -> BoxFuture<'_, Result<MailboxReply>> {
        Box::pin(async move {
            let reply = MailboxApi::read(&self.memory, call).await;
            match &reply {
                Ok(MailboxReply::Messages { messages, .. }) => {
                    self.messages.fetch_add(messages.len() as u64, Ordering::Relaxed);
                }
                Ok(other) => {
                    self.largest.fetch_max(codec::encode(other).len() as u64, Ordering::Relaxed);
                }
                Err(_) => {}
            }
            reply
        })
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

struct Client {
    pipe: DuplexStream,
    rest: Vec<u8>,
}

impl Client {
    /// Sends a command and gives each line of its answer to `each`; returns the tagged one.
    async fn run(&mut self, command: &str, mut each: impl FnMut(&str)) -> String {
        self.pipe.write_all(format!("t {command}\r\n").as_bytes()).await.expect("the service reads");
        loop {
            while let Some(at) = self.rest.windows(2).position(|w| w == b"\r\n") {
                let line: Vec<u8> = self.rest.drain(..at + 2).collect();
                let line = String::from_utf8_lossy(&line[..at]);
                if let Some(tagged) = line.strip_prefix("t ") {
                    assert!(tagged.starts_with("OK"), "{command}: {tagged}");
                    return tagged.to_string();
                }
                each(&line);
            }
            let mut piece = [0; 4096];
            let read = zcluster_runtime::timeout(Duration::from_secs(60), self.pipe.read(&mut piece)).await;
            let n = read.expect("in time").expect("the service writes");
            assert!(n > 0, "closed");
            self.rest.extend_from_slice(&piece[..n]);
        }
    }
}

async fn client(imap: &Arc<Imap>) -> Client {
    let (connection, pipe) = Connection::test_pair();
    zcluster_runtime::spawn(imap.clone().serve(connection));
    let mut c = Client { pipe, rest: Vec::new() };
    c.run("LOGIN a@example.com pw", |_| ()).await;
    c
}

fn number_after(line: &str, name: &str) -> u64 {
    let digits: String = line.split_once(name).expect(name).1.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().expect("a number")
}

#[tokio::test]
async fn a_large_folder() {
    let memory = Memory::new();
    memory.add_account("a@example.com", &hash_password_with(HashParams::cheap(), "pw"));
    let auth = Arc::new(Authenticator::new(Arc::new(memory.clone()), AuthConfig::cheap()));
    let config = ImapConfig { allow_plaintext_auth: true, ..ImapConfig::default() };
    let api = Arc::new(Counted { memory: memory.clone(), messages: AtomicU64::new(0), largest: AtomicU64::new(0) });
    let imap = Arc::new(Imap::new(api.clone(), Arc::new(memory), auth, config));
    let mut c = client(&imap).await;
    for i in 0..100 {
        let raw = format!("From: Terry Gray <gray@cac.example>\r\nTo: a@example.com\r\nSubject: s{i}\r\n\r\ntext\r\n");
        c.run(&format!("APPEND INBOX {{{}+}}\r\n{raw}", raw.len()), |_| ()).await;
    }
    c.run("SELECT INBOX", |_| ()).await;
    for _ in 0..10 {
        c.run("COPY 1:* INBOX", |_| ()).await;
    }
    c.run("STATUS INBOX (MESSAGES)", |l| assert_eq!(number_after(l, "MESSAGES ") as usize, MESSAGES)).await;

    // All of it, to a client that reads as it can.
    let before = counting::begin();
    let (begun, mut seen) = (Instant::now(), 0);
    c.run("FETCH 1:* (FLAGS UID ENVELOPE BODYSTRUCTURE)", |l| seen += usize::from(l.contains(" FETCH ("))).await;
    let peak = counting::peak() - before;
    println!("FETCH of {seen}: {:?}, {peak} bytes more at most", begun.elapsed());
    assert_eq!(seen, MESSAGES);
    assert!(peak <= FETCH_BYTES_MAX, "{peak} bytes");

    // A client that was away while a little happened.
    let mut q = client(&imap).await;
    q.run("ENABLE QRESYNC", |_| ()).await;
    let (mut validity, mut modseq) = (0, 0);
    q.run("EXAMINE INBOX", |l| {
        validity = if l.contains("[UIDVALIDITY ") { number_after(l, "[UIDVALIDITY ") } else { validity };
        modseq = if l.contains("[HIGHESTMODSEQ ") { number_after(l, "[HIGHESTMODSEQ ") } else { modseq };
    })
    .await;
    c.run("UID STORE 3,50000 +FLAGS.SILENT (\\Flagged)", |_| ()).await;
    c.run("UID STORE 7,60000:60010 +FLAGS.SILENT (\\Deleted)", |_| ()).await;
    c.run("EXPUNGE", |_| ()).await;
    for command in [
        format!("EXAMINE INBOX (QRESYNC ({validity} {modseq}))"),
        format!("UID FETCH 1:* (FLAGS) (CHANGEDSINCE {modseq} VANISHED)"),
    ] {
        api.messages.store(0, Ordering::Relaxed);
        api.largest.store(0, Ordering::Relaxed);
        let (begun, mut told) = (Instant::now(), Vec::new());
        q.run(&command, |l| told.push(l.to_string())).await;
        let (read, largest) = (api.messages.load(Ordering::Relaxed), api.largest.load(Ordering::Relaxed));
        println!("{command}: {:?}, {read} messages read, largest other reply {largest} bytes", begun.elapsed());
        assert!(told.iter().any(|l| l == "* VANISHED (EARLIER) 7,60000:60010"), "{told:?}");
        assert_eq!(told.iter().filter(|l| l.contains(" FETCH (")).count(), 2);
        assert!(read == 2 && largest < 4_096);
    }
    // One whose position nobody knows any more: told of all the holes there are, in a short line.
    let begun = Instant::now();
    let mut told = Vec::new();
    q.run(&format!("EXAMINE INBOX (QRESYNC ({validity} 900000000000))"), |l| told.push(l.to_string())).await;
    println!("beyond the log: {:?}", begun.elapsed());
    assert!(told.iter().any(|l| l == "* VANISHED (EARLIER) 7,60000:60010"), "{told:?}");
}
