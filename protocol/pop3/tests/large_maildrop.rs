//! A maildrop of a million messages: LIST and UIDL right, memory bounded.
#![allow(missing_docs)]

#[path = "../../listener/tests/counting/mod.rs"]
mod counting;

use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use zcluster_api::mailbox::{Folder, FolderView, MESSAGES_PER_PAGE_MAX, Message, UIDS_PER_COMMAND_MAX, folders};
use zcluster_api::{
    AccountId, BlobRef, Body, BodyStream, Bytes, Call, Error, Flags, FolderId, ItemId, MailboxApi, MailboxCommand,
    MailboxQuery, MailboxReply, ModSeq, PreparedBody, Receipt, Result, Uid, UidSet,
};
use zcluster_auth::{AuthConfig, Authenticator, HashParams, hash_password_with};
use zcluster_listener::{Connection, Protocol};
use zcluster_pop3::{Config, Pop3};
use zcluster_state::memory::Memory;

/// What a session shows at most (its own bound), and what the folder holds.
const SHOWN: u32 = 1_000_000;
const MESSAGES: u32 = SHOWN + 700;
/// UIDs have holes.
const STEP: u32 = 3;
const UID_VALIDITY: u32 = 77;
/// 16 bytes a message, and 2 MiB for pages and lines under way.
const SESSION_BYTES_MAX: i64 = 16 * SHOWN as i64 + 2 * 1024 * 1024;
const USER: &str = "bob@example.com";

/// A mailbox that is made up as it is read, so that what is counted is the session's.
struct MadeUp {
    gone: AtomicU64,
}

fn size_of_message(number: u32) -> u64 {
    u64::from(number % 9_973) + 100
}

fn message(uid: u32) -> Message {
    Message {
        item: ItemId(uid),
        uid: Uid(uid),
        modseq: ModSeq(1),
        flags: Flags::UNREAD,
        keywords: Vec::new(),
        internal_ms: 0,
        size: size_of_message(uid / STEP),
        saved_ms: 0,
        summary: Bytes::new(),
        blob: None,
        thread: None,
        copy_of: None,
    }
}

fn inbox() -> Folder {
    Folder {
        id: folders::INBOX,
        parent: folders::USER_ROOT,
        path: "Inbox".into(),
        view: FolderView::Message,
        special_use: None,
        subscribed: true,
        uid_validity: UID_VALIDITY,
        uid_next: Uid(MESSAGES * STEP + 1),
        messages: MESSAGES,
        unread: MESSAGES,
        deleted: 0,
        bytes: 0,
        highest_modseq: ModSeq(1),
        recent_from: Uid(1),
        rights: None,
    }
}

/// The messages of a set, a page at a time, as the mailbox answers.
fn page(folder: FolderId, uids: &UidSet, limit: u32) -> MailboxReply {
    assert_eq!(folder, folders::INBOX);
    let limit = limit.min(MESSAGES_PER_PAGE_MAX) as usize;
    let there = |uid: u32| uid.is_multiple_of(STEP) && uid > 0 && uid <= MESSAGES * STEP;
    let mut found = uids
        .ranges()
        .flat_map(|(first, last)| (first.div_ceil(STEP)..=last / STEP).map(|n| n * STEP))
        .filter(|uid| there(*uid));
    let messages = found.by_ref().take(limit).map(message).collect();
    MailboxReply::Messages { messages, next: found.next().map(Uid) }
}

impl MailboxApi for MadeUp {
    fn read(&self, call: Call<MailboxQuery>) -> BoxFuture<'_, Result<MailboxReply>> {
        let reply = match call.body {
            MailboxQuery::Folder(_) => Ok(MailboxReply::Folders(vec![inbox()])),
            MailboxQuery::Messages { folder, uids, limit, .. } => Ok(page(folder, &uids, limit)),
            other => Err(Error::Internal(format!("not asked by POP3: {other:?}"))),
        };
        Box::pin(async move { reply })
    }
    fn write(&self, call: Call<MailboxCommand>) -> BoxFuture<'_, Result<Receipt>> {
        let MailboxCommand::Expunge { uids, .. } = call.body else { panic!("not what DELE comes to") };
        assert!(uids.len() <= UIDS_PER_COMMAND_MAX);
        self.gone.fetch_add(uids.len(), Ordering::Relaxed);
        Box::pin(async move { Ok(Receipt::Expunged { uids, modseq: ModSeq(2) }) })
    }
    fn put(&self, _: Call<PreparedBody>) -> BoxFuture<'_, Result<Body>> {
        Box::pin(async { Err(Error::Internal("POP3 puts nothing".into())) })
    }
    fn get(&self, _: Call<BlobRef>, _: Range<u64>) -> BoxFuture<'_, Result<BodyStream>> {
        Box::pin(async { Err(Error::Internal("nothing is retrieved here".into())) })
    }
    fn watch(&self, _: AccountId, _: ModSeq) -> BoxStream<'static, ModSeq> {
        futures::stream::pending().boxed()
    }
}

struct Client {
    pipe: DuplexStream,
    rest: Vec<u8>,
    at: usize,
}

impl Client {
    async fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.rest[self.at..].windows(2).position(|w| w == b"\r\n") {
                let line = String::from_utf8_lossy(&self.rest[self.at..self.at + end]).into_owned();
                self.at += end + 2;
                return line;
            }
            self.rest.drain(..self.at);
            self.at = 0;
            let mut piece = [0; 8_192];
            let read = zcluster_runtime::timeout(Duration::from_secs(60), self.pipe.read(&mut piece)).await;
            let n = read.expect("in time").expect("the service writes");
            assert!(n > 0, "closed");
            self.rest.extend_from_slice(&piece[..n]);
        }
    }

    async fn ask(&mut self, line: &str) -> String {
        self.pipe.write_all(format!("{line}\r\n").as_bytes()).await.expect("the service reads");
        self.line().await
    }

    /// A listing, each line of which `expected` makes from the message's number; returns how many there were.
    async fn listing(&mut self, command: &str, expected: impl Fn(u32) -> String) -> u32 {
        assert!(self.ask(command).await.starts_with(&format!("+OK {SHOWN} messages (")));
        let mut count = 0;
        loop {
            let line = self.line().await;
            if line == "." {
                return count;
            }
            count += 1;
            assert_eq!(line, expected(count));
        }
    }
}

#[tokio::test]
async fn a_million_messages() {
    let memory = Memory::new();
    memory.add_account(USER, &hash_password_with(HashParams::cheap(), "pw"));
    let authenticator = Arc::new(Authenticator::new(Arc::new(memory), AuthConfig::cheap()));
    let mailbox = Arc::new(MadeUp { gone: AtomicU64::new(0) });
    let config = Config { allow_plaintext_auth: true, ..Config::default() };
    let service = Arc::new(Pop3::new(mailbox.clone(), authenticator, config));
    let (connection, pipe) = Connection::test_pair();
    zcluster_runtime::spawn(service.serve(connection));
    let mut c = Client { pipe, rest: Vec::new(), at: 0 };
    c.line().await;
    let before = counting::begin();
    assert!(c.ask(&format!("USER {USER}")).await.starts_with("+OK"));
    assert!(c.ask("PASS pw").await.starts_with("+OK"));
    let bytes: u64 = (1..=SHOWN).map(size_of_message).sum();
    assert_eq!(c.ask("STAT").await, format!("+OK {SHOWN} {bytes}"));
    assert_eq!(c.listing("LIST", |n| format!("{n} {}", size_of_message(n))).await, SHOWN);
    assert_eq!(c.listing("UIDL", |n| format!("{n} {UID_VALIDITY}.{}", n * STEP)).await, SHOWN);
    assert_eq!(c.ask(&format!("UIDL {SHOWN}")).await, format!("+OK {SHOWN} {UID_VALIDITY}.{}", SHOWN * STEP));
    assert_eq!(c.ask(&format!("LIST {}", SHOWN + 1)).await, "-ERR no such message");
    let peak = counting::peak() - before;
    println!("{peak} bytes at most");
    assert!(peak <= SESSION_BYTES_MAX, "{peak} bytes");
    // What is marked goes in commands of bounded size.
    for n in 1..=2_500 {
        assert!(c.ask(&format!("DELE {n}")).await.starts_with("+OK"));
    }
    assert_eq!(c.ask("QUIT").await, "+OK goodbye, 2500 messages deleted");
    assert_eq!(mailbox.gone.load(Ordering::Relaxed), 2_500);
}
