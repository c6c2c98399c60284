//! What a command did.

use super::items::*;
use crate::delivery::*;
use crate::ids::*;
use crate::sharing::Grantee;
use crate::uids::UidSet;
use minicbor::{Decode, Encode};

/// A message's new flags after STORE.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct StoredFlags {
    /// Which.
    #[n(0)]
    pub uid: Uid,
    /// Its mod-sequence.
    #[n(1)]
    pub modseq: ModSeq,
    /// All its flags.
    #[n(2)]
    pub flags: Flags,
    /// All its keywords.
    #[n(3)]
    pub keywords: Vec<String>,
}

/// What a command did. Kept for its request id, so that a retry gets the same one.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Receipt {
    /// Nothing to tell.
    #[n(0)]
    Done,
    /// `AddMessage`.
    #[n(1)]
    Added {
        /// The item.
        #[n(0)]
        item: ItemId,
        /// Its UID (APPENDUID).
        #[n(1)]
        uid: Uid,
        /// The folder's UIDVALIDITY.
        #[n(2)]
        uid_validity: u32,
        /// Its mod-sequence.
        #[n(3)]
        modseq: ModSeq,
        /// The delivery key was known: nothing was added.
        #[n(4)]
        duplicate: bool,
    },
    /// `Store`. Both lists in UID order; messages the change did not alter are in `unaltered`.
    #[n(2)]
    Stored {
        /// Changed messages.
        #[n(0)]
        changed: Vec<StoredFlags>,
        /// Existing messages that already were as asked (not given a new mod-sequence).
        #[n(1)]
        unaltered: Vec<StoredFlags>,
        /// Left alone because of `unchanged_since` (RFC 7162 MODIFIED).
        #[n(2)]
        modified: UidSet,
        /// The mailbox's mod-sequence after.
        #[n(3)]
        modseq: ModSeq,
    },
    /// `Copy` and `Move`.
    #[n(3)]
    Copied {
        /// The target's UIDVALIDITY.
        #[n(0)]
        uid_validity: u32,
        /// (source, target), source rising (COPYUID).
        #[n(1)]
        pairs: Vec<(Uid, Uid)>,
        /// The mailbox's mod-sequence after.
        #[n(2)]
        modseq: ModSeq,
    },
    /// `Expunge`.
    #[n(4)]
    Expunged {
        /// What went.
        #[n(0)]
        uids: UidSet,
        /// The mailbox's mod-sequence after.
        #[n(1)]
        modseq: ModSeq,
    },
    /// `CreateFolder`, `RenameFolder`.
    #[n(5)]
    Folder(#[n(0)] Folder),
    /// `TakeRecent`: UIDs from `from` on are recent to this session.
    #[n(6)]
    Recent(#[n(0)] Uid),
    /// `DeleteFolder`, `DeleteMailbox`.
    #[n(7)]
    Deleted {
        /// Not finished: send the command again with a new request id.
        #[n(0)]
        more: bool,
    },
    /// `Deliver`.
    #[n(16)]
    Delivered(#[n(0)] Delivered),
    /// `ClaimOutgoing`: the message, unless somebody else has it.
    #[n(17)]
    Claimed(#[n(0)] Option<Box<Outgoing>>),
    /// `Enqueue`.
    #[n(60)]
    Enqueued {
        /// The key was known: nothing was done.
        #[n(0)]
        duplicate: bool,
    },
    /// `ClaimOutgoings`: the numbers, rising, of those that are the claimer's now.
    #[n(61)]
    ClaimedSome(#[n(0)] Vec<u64>),
    /// `AddMessages`.
    #[n(8)]
    AddedMany {
        /// Their UIDs, rising in the order of the messages.
        #[n(0)]
        uids: UidSet,
        /// The folder's UIDVALIDITY.
        #[n(1)]
        uid_validity: u32,
        /// The mailbox's mod-sequence after.
        #[n(2)]
        modseq: ModSeq,
    },
    /// `Replace`.
    #[n(9)]
    Replaced {
        /// The new message's UID.
        #[n(0)]
        uid: Uid,
        /// Its folder's UIDVALIDITY.
        #[n(1)]
        uid_validity: u32,
        /// The mailbox's mod-sequence after.
        #[n(2)]
        modseq: ModSeq,
    },
    /// `SetAcl`: what the directory is to be told with `SetShares`.
    #[n(12)]
    Shared {
        /// Everybody who is given a right on any folder of the mailbox, in order.
        #[n(0)]
        grantees: Vec<Grantee>,
        /// The mailbox's mod-sequence after.
        #[n(1)]
        modseq: ModSeq,
    },
    /// `Recover`.
    #[n(80)]
    Recovered {
        /// What came back.
        #[n(0)]
        messages: Vec<super::Recovered>,
        /// The mailbox's mod-sequence after.
        #[n(1)]
        modseq: ModSeq,
    },
    /// `PurgeDumpster`, `DropFromDumpster`, `PurgeFolder`.
    #[n(81)]
    Purged {
        /// Messages that went.
        #[n(0)]
        items: u64,
        /// Their sizes together, bytes.
        #[n(1)]
        bytes: u64,
        /// Not finished: send the command again with a new request id.
        #[n(2)]
        more: bool,
    },
}
