//! The one-process back end, as protocol crates use it.

use bytes::Bytes;
use futures::executor::block_on;
use futures::stream::StreamExt;
use std::time::Duration;
use zcluster_api::directory::{AccountBy, DirectoryQuery};
use zcluster_api::mailbox::{FolderView, NewMessage, Parsed, Want, folders};
use zcluster_api::*;
use zcluster_state::memory::Memory;

struct Client {
    back_end: Memory,
    account: AccountId,
    requests: u8,
}

impl Client {
    fn new() -> Self {
        let back_end = Memory::with_account("Alice@Example.com", "$argon2id$x");
        let by = AccountBy::Address("ALICE@example.com".into());
        let account = back_end.directory(DirectoryQuery::Account(by)).unwrap().into_account().unwrap();
        assert_eq!(account.attrs.get("userpassword"), Some("$argon2id$x"));
        Client { back_end, account: account.id, requests: 0 }
    }
    fn call<T>(&mut self, body: T) -> Call<T> {
        self.requests += 1;
        let request = RequestId([self.requests; 16]);
        Call {
            actor: Actor::Account(self.account),
            account: self.account,
            request,
            timeout: Duration::from_secs(1),
            body,
        }
    }
    fn write(&mut self, command: MailboxCommand) -> Result<Receipt> {
        let call = self.call(command);
        block_on(MailboxApi::write(&self.back_end, call))
    }
    fn read(&mut self, query: MailboxQuery) -> Result<MailboxReply> {
        let call = self.call(query);
        block_on(MailboxApi::read(&self.back_end, call))
    }
    fn put(&mut self, raw: &[u8], codec: Codec) -> Body {
        let stored = match codec {
            Codec::Plain => raw.to_vec(),
            Codec::Zstd => zstd::bulk::compress(raw, 1).unwrap(),
        };
        let id = BlobId(*blake3::hash(raw).as_bytes());
        let call = self.call(PreparedBody { id, size: raw.len() as u64, codec, stored: stored.into() });
        block_on(self.back_end.put(call)).unwrap()
    }
    fn add(&mut self, raw: &[u8], codec: Codec) -> Result<Receipt> {
        let body = self.put(raw, codec);
        self.write(MailboxCommand::AddMessage(NewMessage {
            folder: folders::INBOX,
            flags: Flags::UNREAD,
            keywords: vec![],
            internal_ms: 5,
            parsed: Parsed {
                summary: Bytes::from_static(b"s"),
                sent_ms: Some(1),
                has_attachment: false,
                ..Parsed::default()
            },
            body,
            delivery_key: None,
        }))
    }
    fn fetch(&mut self, uid: u32) -> Vec<u8> {
        let uids = UidSet::range(uid, uid);
        let want = Want { summary: true, blob: true };
        let query = MailboxQuery::Messages { folder: folders::INBOX, uids, want, changed_since: None, limit: 10 };
        let MailboxReply::Messages { messages, next: None } = self.read(query).unwrap() else { panic!() };
        let blob = messages[0].blob.clone().unwrap();
        let size = blob.size;
        let call = self.call(blob);
        let pieces = block_on(async { self.back_end.get(call, 0..size).await.unwrap().collect::<Vec<_>>().await });
        pieces.into_iter().flat_map(|p| p.unwrap().to_vec()).collect()
    }
}

/// Bytes that do not compress.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..len).map(|_| next()).collect()
}

#[test]
fn a_message_goes_in_and_comes_out() {
    let mut c = Client::new();
    let small = b"Subject: hello\r\n\r\nworld\r\n".to_vec();
    let large = noise(600 * 1024);
    assert!(matches!(c.add(&small, Codec::Zstd), Ok(Receipt::Added { uid: Uid(1), duplicate: false, .. })));
    assert!(matches!(c.add(&large, Codec::Zstd), Ok(Receipt::Added { uid: Uid(2), .. })));
    assert!(matches!(c.add(&large, Codec::Plain), Ok(Receipt::Added { uid: Uid(3), .. })));
    assert_eq!(c.fetch(1), small);
    assert_eq!(c.fetch(2), large);
    assert_eq!(c.fetch(3), large);
    let search = |expr| MailboxQuery::Search { folder: folders::INBOX, within: None, expr };
    let header = SearchExpr::Header { name: "subject".into(), text: "HELLO".into() };
    let MailboxReply::Found { uids, .. } = c.read(search(header)).unwrap() else { panic!() };
    assert_eq!(uids.to_string(), "1");
    let body = SearchExpr::And(vec![SearchExpr::Body("world".into()), SearchExpr::Smaller(100)]);
    let MailboxReply::Found { uids, .. } = c.read(search(body)).unwrap() else { panic!() };
    assert_eq!(uids.to_string(), "1");
}

#[test]
fn the_mailbox_comes_into_being_at_first_use() {
    let mut c = Client::new();
    let MailboxReply::Folders(list) = c.read(MailboxQuery::Folders).unwrap() else { panic!() };
    let shown: Vec<_> = list.iter().map(|f| (f.id.0, f.path.as_str())).collect();
    let want = [
        (16, "Briefcase"),
        (10, "Calendar"),
        (14, "Chats"),
        (7, "Contacts"),
        (6, "Drafts"),
        (13, "Emailed Contacts"),
        (2, "Inbox"),
        (4, "Junk"),
        (5, "Sent"),
        (15, "Tasks"),
        (3, "Trash"),
    ];
    assert_eq!(shown, want);
    let MailboxReply::Folders(inbox) = c.read(MailboxQuery::FolderByPath("INBOX".into())).unwrap() else { panic!() };
    assert_eq!((inbox[0].id, inbox[0].view), (folders::INBOX, FolderView::Message));
}

#[test]
fn watchers_wake() {
    let mut c = Client::new();
    c.read(MailboxQuery::Info).unwrap();
    let mut watch = c.back_end.watch(c.account, ModSeq(0));
    assert_eq!(block_on(watch.next()), Some(ModSeq(1)));
    let other = std::sync::mpsc::channel();
    // The test's own thread: the state machines have none.
    #[allow(clippy::disallowed_methods)]
    let follower = std::thread::spawn(move || {
        other.0.send(()).unwrap();
        block_on(watch.next())
    });
    other.1.recv().unwrap();
    c.add(b"x", Codec::Plain).unwrap();
    assert_eq!(follower.join().unwrap(), Some(ModSeq(2)));
    let gone = c.back_end.watch(AccountId([9; 16]), ModSeq(0));
    assert_eq!(block_on(gone.collect::<Vec<_>>()), vec![]);
}

#[test]
fn other_people_may_not() {
    let mut c = Client::new();
    let mut call = c.call(MailboxQuery::Info);
    call.actor = Actor::Account(AccountId([9; 16]));
    assert!(matches!(block_on(MailboxApi::read(&c.back_end, call)), Err(Error::Denied(_))));
    let mut call = c.call(MailboxQuery::Info);
    call.account = AccountId([9; 16]);
    call.actor = Actor::System;
    assert!(matches!(block_on(MailboxApi::read(&c.back_end, call)), Err(Error::NotFound(_))));
}
