//! A group under test: proposals in, replies out, rows to compare.
#![allow(dead_code)]

use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use zcluster_api::mailbox::{NewMessage, Parsed, StoredFlags, Want};
use zcluster_api::*;
use zcluster_state::memory::{MemoryKv, PlainText};
use zcluster_state::{
    Applied, Asking, Change, FolderIndex, Indexes, Kv, Proposal, Reply, Table, apply, read_mailbox_as,
};

pub const GROUP: GroupId = GroupId(3);
pub const BOX: MailboxId = MailboxId(7);
pub const EPOCH: Epoch = Epoch(1);
/// 2025-01-01.
pub const START_MS: u64 = 1_735_689_600_000;

/// One group, applied to two replicas that must stay identical.
pub struct Rig {
    pub kv: MemoryKv,
    twin: MemoryKv,
    pub index: u64,
    pub wall_ms: u64,
    pub quota: u64,
    pub mailbox: MailboxId,
    pub epoch: Epoch,
    /// Who acts; `None`: the owner.
    pub actor: Option<AccountId>,
    /// What the mailbox is told of its account.
    pub traits: Option<mailbox::Traits>,
    pub last: Option<Proposal>,
}

impl Rig {
    /// What of the outboxes is due, and when the next message is.
    pub fn due(&self, now_ms: u64, max: usize) -> (Vec<zcluster_state::DueOutgoing>, Option<u64>) {
        let look = zcluster_state::Look { from_ms: 0, now_ms, max, ahead: true };
        let page = zcluster_state::due_outgoing(&self.kv, look, &mut |_| true).unwrap();
        (page.due, page.next_ms)
    }

    pub fn new() -> Self {
        let (kv, twin) = (MemoryKv::new(), MemoryKv::new());
        let mut rig = Rig {
            kv,
            twin,
            index: 0,
            wall_ms: START_MS,
            quota: 0,
            mailbox: BOX,
            epoch: EPOCH,
            actor: None,
            traits: None,
            last: None,
        };
        assert_eq!(rig.run(MailboxCommand::CreateMailbox), Ok(Receipt::Done));
        rig
    }
    pub fn request(&self) -> RequestId {
        let mut id = [0; 16];
        id[8..].copy_from_slice(&(self.index + 1).to_be_bytes());
        RequestId(id)
    }
    pub fn propose(&mut self, proposal: &Proposal) -> Applied {
        self.index += 1;
        // The log carries bytes, so replicas see a proposal only through the codec.
        let wire = codec::encode(proposal);
        let applied = apply(&mut self.kv, GROUP, self.index, proposal);
        let twin = apply(&mut self.twin, GROUP, self.index, &codec::decode(&wire).unwrap());
        assert_eq!(applied, twin);
        let reply: Reply = codec::decode(&codec::encode(&applied.reply)).unwrap();
        assert_eq!(reply, applied.reply);
        applied
    }
    pub fn applied(&mut self, command: MailboxCommand) -> Applied {
        let (mailbox, epoch, quota, actor) = (self.mailbox, self.epoch, self.quota, self.actor);
        let what = Change::Mailbox { mailbox, epoch, quota, command, actor, traits: self.traits };
        let proposal = Proposal { request: self.request(), wall_ms: self.wall_ms, what };
        self.wall_ms += 1;
        self.last = Some(proposal.clone());
        self.propose(&proposal)
    }
    pub fn run(&mut self, command: MailboxCommand) -> Result<Receipt> {
        match self.applied(command).reply {
            Reply::Mailbox(reply) => reply,
            _ => unreachable!("a mailbox command"),
        }
    }
    pub fn bodies(&mut self, command: BodiesCommand) -> Result<BodiesReceipt> {
        let proposal = Proposal { request: self.request(), wall_ms: self.wall_ms, what: Change::Bodies(command) };
        self.wall_ms += 1;
        self.last = Some(proposal.clone());
        match self.propose(&proposal).reply {
            Reply::Bodies(reply) => reply,
            _ => unreachable!("a command about bodies"),
        }
    }
    pub fn ask(&self, query: MailboxQuery) -> Result<MailboxReply> {
        let Rig { mailbox, epoch, quota, actor, .. } = *self;
        read_mailbox_as(&self.kv, Asking { group: GROUP, mailbox, epoch, quota, actor }, &query, &PlainText)
    }
    pub fn assert_replicas_agree(&self) {
        assert!(self.kv == self.twin, "replicas differ");
    }
    /// All rows but the clock and the reply cache.
    pub fn state(&self) -> Vec<(Table, Vec<u8>, Vec<u8>)> {
        let rows = self.kv.rows().filter(|(t, _, _)| !matches!(t, Table::Group | Table::Reply | Table::ReplyOrder));
        rows.map(|(t, k, v)| (t, k.to_vec(), v.to_vec())).collect()
    }
    pub fn count(&self, table: Table) -> usize {
        self.kv.rows().filter(|(t, _, _)| *t == table).count()
    }
    pub fn messages(&self, folder: FolderId) -> Vec<mailbox::Message> {
        let (mut out, mut uids) = (Vec::new(), UidSet::range(1, u32::MAX));
        loop {
            let want = Want { summary: true, blob: true };
            let query = MailboxQuery::Messages { folder, uids, want, changed_since: None, limit: 3 };
            let MailboxReply::Messages { messages, next } = self.ask(query).unwrap() else { panic!() };
            out.extend(messages);
            match next {
                Some(uid) => uids = UidSet::range(uid.0, u32::MAX),
                None => return out,
            }
        }
    }
    pub fn folder(&self, id: FolderId) -> mailbox::Folder {
        match self.ask(MailboxQuery::Folder(id)) {
            Ok(MailboxReply::Folders(mut list)) => list.remove(0),
            other => panic!("{other:?}"),
        }
    }
    pub fn modseq(&self) -> ModSeq {
        match self.ask(MailboxQuery::Info) {
            Ok(MailboxReply::Info { modseq, .. }) => modseq,
            other => panic!("{other:?}"),
        }
    }
    /// Breaks a row, as a bad disk would.
    pub fn damage(&mut self, table: Table, key: &[u8]) {
        self.kv.put(table, key, vec![1, 0xFF]);
    }
}

/// Body `n`: `10 * (n + 1)` bytes.
pub fn content(n: u8) -> Vec<u8> {
    vec![b'a' + n; 10 * (usize::from(n) + 1)]
}

pub fn blob_id(bytes: &[u8]) -> BlobId {
    BlobId(*blake3::hash(bytes).as_bytes())
}

pub fn inline(bytes: &[u8]) -> Body {
    let stored = Bytes::copy_from_slice(bytes);
    Body::Inline { id: blob_id(bytes), size: bytes.len() as u64, codec: Codec::Plain, stored }
}

pub fn message(folder: FolderId, body: Body) -> NewMessage {
    NewMessage {
        folder,
        flags: Flags::UNREAD,
        keywords: vec![],
        internal_ms: 1_000,
        parsed: Parsed {
            summary: Bytes::from_static(b"summary"),
            sent_ms: Some(86_400_000),
            has_attachment: false,
            keys: None,
            conversation: None,
        },
        body,
        delivery_key: None,
    }
}

pub fn add(folder: FolderId, n: u8) -> MailboxCommand {
    MailboxCommand::AddMessage(message(folder, inline(&content(n))))
}

/// A client's picture of a folder, kept up to date by `Changes` alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    pub since: ModSeq,
    pub messages: std::collections::BTreeMap<u32, (Flags, Vec<String>)>,
    pub gone: bool,
}

impl View {
    pub fn sync(&mut self, rig: &Rig, folder: FolderId) {
        loop {
            let query = MailboxQuery::Changes { folder, since: self.since };
            let Ok(MailboxReply::Changes { expunged, added, flags, modseq, resync, folder_gone, more }) =
                rig.ask(query)
            else {
                panic!("changes")
            };
            assert!(!resync);
            self.gone = folder_gone;
            for uid in expunged.iter() {
                self.messages.remove(&uid);
            }
            for StoredFlags { uid, flags, keywords, .. } in flags {
                let known = self.messages.insert(uid.0, (flags, keywords)).is_some();
                assert!(known || added.contains(uid.0), "{uid} appeared without being told");
            }
            assert!(added.iter().all(|uid| self.messages.contains_key(&uid)));
            assert!(modseq >= self.since && more == (modseq < rig.modseq()));
            self.since = modseq;
            if !more {
                break;
            }
        }
    }
}

/// Keeps everything, as much as there is room for.
pub struct Kept {
    pub kept: RefCell<BTreeMap<(MailboxId, FolderId), FolderIndex>>,
    pub room: usize,
    pub hits: Cell<usize>,
}

impl Kept {
    pub fn new(room: usize) -> Self {
        Kept { kept: RefCell::default(), room, hits: Cell::new(0) }
    }
}

impl Indexes for Kept {
    fn get(&self, mailbox: MailboxId, folder: FolderId) -> Option<FolderIndex> {
        let found = self.kept.borrow().get(&(mailbox, folder)).cloned();
        self.hits.set(self.hits.get() + usize::from(found.is_some()));
        found
    }
    fn keep(&self, mailbox: MailboxId, folder: FolderId, index: FolderIndex) {
        assert!(index.bytes() <= self.room);
        let before = self.kept.borrow_mut().insert((mailbox, folder), index.clone());
        assert!(before.is_none_or(|before| before.position() <= index.position()));
    }
    fn drop(&self, mailbox: MailboxId, folder: FolderId) {
        self.kept.borrow_mut().remove(&(mailbox, folder));
    }
    fn room(&self) -> usize {
        self.room
    }
}
