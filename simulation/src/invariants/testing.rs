//! Small histories and mailboxes for the tests of the promises.

use super::census::{Census, Contents, Kept, Mailbox};
use crate::history::{CopiedTo, Outcome, Record, Reply, What};
use crate::world::{self, Keep};
use bytes::Bytes;
use zcluster_api::mailbox::{Folder, FolderView, Message, folders};
use zcluster_api::{BlobId, BlobRef, Codec, Flags, FolderId, ItemId, ModSeq, Place as Stored, Uid, UidSet};

/// Judges in a world of its own: what is counted is counted there.
pub fn in_world<R>(judge: impl FnOnce() -> R) -> R {
    let _guard = world::enter(1, Keep::default());
    judge()
}

/// A record of client 1 about something that took `when`.
pub fn record(when: (u64, u64), what: What, outcome: Outcome) -> Record {
    let ret = (outcome != Outcome::Unknown).then_some(when.1);
    Record { client: 1, op: 0, invoke: when.0, ret, node: 1, what, outcome }
}
pub fn deliver(when: (u64, u64), message: u32) -> Record {
    record(when, What::Deliver { account: 0, message }, Outcome::Done(Reply::Accepted))
}
pub fn append(when: (u64, u64), folder: u32, message: u32, uid: u32) -> Record {
    let reply = Reply::Appended { uid_validity: 1, uid };
    record(when, What::Append { account: 0, folder, message }, Outcome::Done(reply))
}
pub fn expunge(when: (u64, u64), folder: u32, uid: u32, message: u32, outcome: Outcome) -> Record {
    let what = What::Expunge { account: 0, folder, uid_validity: 1, uid, message: Some(message) };
    record(when, what, outcome)
}
pub fn gone() -> Outcome {
    Outcome::Done(Reply::Expunged { gone: true })
}
pub fn copied(uid: u32) -> Outcome {
    Outcome::Done(Reply::Copied { copied: Some(CopiedTo { uid_validity: 1, uid }) })
}
pub fn copy(when: (u64, u64), from: (u32, u32), message: u32, to: u32, outcome: Outcome) -> Record {
    let (folder, uid) = from;
    let what = What::Copy { account: 0, folder, uid_validity: 1, uid, message: Some(message), to };
    record(when, what, outcome)
}
pub fn moved(when: (u64, u64), from: (u32, u32), message: u32, to: u32, outcome: Outcome) -> Record {
    let (folder, uid) = from;
    let what = What::Move { account: 0, folder, uid_validity: 1, uid, message: Some(message), to };
    record(when, what, outcome)
}

/// A message of the plan's id at a UID, 10 bytes long, unseen.
pub fn kept(uid: u32, id: u32) -> Kept {
    let body = Bytes::from(format!("{id:010}"));
    let place = Stored::Shard { codec: Codec::Plain, stored: 10, chunks: 1 };
    let row = Message {
        item: ItemId(1_000 + uid),
        uid: Uid(uid),
        modseq: ModSeq(1),
        flags: Flags::UNREAD,
        keywords: Vec::new(),
        internal_ms: 0,
        size: 10,
        saved_ms: 0,
        summary: Bytes::new(),
        blob: Some(BlobRef { id: BlobId(*blake3::hash(&body).as_bytes()), size: 10, place, at: None }),
        thread: None,
        copy_of: None,
    };
    Kept { row, body: Ok(body), id: Some(id) }
}

/// A folder (0: the Inbox) with these messages and right counters.
pub fn contents(number: u32, messages: Vec<Kept>) -> Contents {
    let mut uids = UidSet::new();
    messages.iter().for_each(|m| uids.insert(m.row.uid.0));
    let has = |flag: Flags| messages.iter().filter(|m| m.row.flags.contains(flag)).count() as u32;
    let folder = Folder {
        id: if number == 0 { folders::INBOX } else { FolderId(255 + number) },
        parent: folders::USER_ROOT,
        path: if number == 0 { "Inbox".into() } else { format!("F{number}") },
        view: FolderView::Message,
        special_use: None,
        subscribed: true,
        uid_validity: 1,
        uid_next: Uid(uids.last().map_or(1, |l| l + 1)),
        messages: messages.len() as u32,
        unread: has(Flags::UNREAD),
        deleted: has(Flags::DELETED),
        bytes: messages.iter().map(|m| m.row.size).sum(),
        highest_modseq: ModSeq(messages.iter().map(|m| m.row.modseq.0).max().unwrap_or(1)),
        recent_from: Uid(1),
        rights: None,
    };
    let unread = messages.iter().find(|m| m.row.flags.contains(Flags::UNREAD));
    Contents { folder, first_unseen: unread.map(|m| m.row.uid), uids, messages }
}

/// A mailbox with right counters.
pub fn mailbox(folders: Vec<Contents>) -> Mailbox {
    Mailbox {
        used: folders.iter().map(|f| f.folder.bytes).sum(),
        messages: folders.iter().map(|f| u64::from(f.folder.messages)).sum(),
        modseq: folders.iter().map(|f| f.folder.highest_modseq.0).max().unwrap_or(1),
        folders,
        unreadable: Vec::new(),
    }
}

/// Account 0 on node 1.
pub fn census(folders: Vec<Contents>) -> Census {
    let mut census = Census::default();
    census.mailboxes.insert((0, 1), Ok(mailbox(folders)));
    census
}
