//! What may be done to a mailbox.

use super::items::*;
use crate::delivery::*;
use crate::ids::*;
use crate::queue::{Enqueue, OutgoingClaim, PlacedSettlement, QueueAction, QueuePlace};
use crate::sharing::{Annotation, Grantee, RightsChange};
use crate::uids::UidSet;
use bytes::Bytes;
use minicbor::{Decode, Encode};

/// How STORE treats keywords.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum KeywordChange {
    /// Add these.
    #[n(0)]
    Add(#[n(0)] Vec<String>),
    /// Take these away.
    #[n(1)]
    Remove(#[n(0)] Vec<String>),
    /// Exactly these.
    #[n(2)]
    Replace(#[n(0)] Vec<String>),
}

/// A change to one mailbox. All of a command happens, or nothing.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum MailboxCommand {
    /// Brings the mailbox into being with its reserved folders; again: no change. Routers send it. -> `Done`
    #[n(0)]
    CreateMailbox,
    /// Removes the mailbox and everything in it, in steps; repeat while the receipt says `more`. -> `Deleted`
    #[n(1)]
    DeleteMailbox,
    /// Adds a message (LMTP/SMTP delivery, APPEND). Errors: `NotFound`, `QuotaExceeded`, `Invalid` (unknown upload).
    /// -> `Added`
    #[n(2)]
    AddMessage(#[n(0)] NewMessage),
    /// Changes flags and keywords of at most [`UIDS_PER_COMMAND_MAX`] messages; unknown UIDs are ignored. -> `Stored`
    #[n(3)]
    Store {
        /// The folder.
        #[n(0)]
        folder: FolderId,
        /// The messages.
        #[n(1)]
        uids: UidSet,
        /// Bits to set (`\Seen` = take `UNREAD` away).
        #[n(2)]
        add: Flags,
        /// Bits to clear, before `add`.
        #[n(3)]
        remove: Flags,
        /// Keywords.
        #[n(4)]
        keywords: KeywordChange,
        /// RFC 7162 §3.1.3: leave messages changed after this alone and report them.
        #[n(5)]
        unchanged_since: Option<ModSeq>,
    },
    /// Copies messages, in UID order, sharing bodies. All or nothing (RFC 3501 §6.4.7). -> `Copied`
    #[n(4)]
    Copy {
        /// Source.
        #[n(0)]
        from: FolderId,
        /// Messages.
        #[n(1)]
        uids: UidSet,
        /// Target.
        #[n(2)]
        to: FolderId,
    },
    /// Moves messages (RFC 6851): item ids stay, UIDs are new. -> `Copied`
    #[n(5)]
    Move {
        /// Source.
        #[n(0)]
        from: FolderId,
        /// Messages.
        #[n(1)]
        uids: UidSet,
        /// Target.
        #[n(2)]
        to: FolderId,
    },
    /// Removes those of the messages that have `\Deleted` (or all named ones when `only_deleted` is false, as POP3
    /// does). -> `Expunged`
    #[n(6)]
    Expunge {
        /// The folder.
        #[n(0)]
        folder: FolderId,
        /// Candidates.
        #[n(1)]
        uids: UidSet,
        /// Whether `\Deleted` is required.
        #[n(2)]
        only_deleted: bool,
    },
    /// Creates a folder and its missing parents. Names compare without case within a parent. -> `Folder`
    #[n(7)]
    CreateFolder {
        /// UTF-8 path.
        #[n(0)]
        path: String,
        /// What for.
        #[n(1)]
        view: FolderView,
        /// RFC 6154 use.
        #[n(2)]
        special_use: Option<SpecialUse>,
    },
    /// Deletes a folder with its messages. Reserved ones: `Denied`; with children: `Conflict`. Large folders go in
    /// steps; repeat while the receipt says `more`, without `was`. -> `Deleted`
    #[n(8)]
    DeleteFolder {
        /// Which.
        #[n(0)]
        folder: FolderId,
        /// Only if this still is its path (else `NotFound`): who looked a name up must not delete what has got another
        /// one meanwhile.
        #[n(1)]
        was: Option<String>,
    },
    /// Renames (moves) a folder; children follow. Reserved ones: `Denied` (a front-end carries out RENAME INBOX by
    /// moving messages). -> `Folder`
    #[n(9)]
    RenameFolder {
        /// Which.
        #[n(0)]
        folder: FolderId,
        /// New full path; missing parents are created.
        #[n(1)]
        path: String,
        /// Only if this still is its path; else `NotFound`.
        #[n(2)]
        was: Option<String>,
    },
    /// Sets or clears the subscription. -> `Done`
    #[n(10)]
    Subscribe {
        /// Which.
        #[n(0)]
        folder: FolderId,
        /// On or off.
        #[n(1)]
        subscribed: bool,
    },
    /// Claims `\Recent` for the session that selects read-write. -> `Recent`
    #[n(11)]
    TakeRecent(#[n(0)] FolderId),
    /// One chunk of a large body, in order from 0; the same chunk again is no error. -> `Done`
    #[n(12)]
    Chunk {
        /// Names the upload.
        #[n(0)]
        upload: RequestId,
        /// Position.
        #[n(1)]
        seq: u32,
        /// At most [`crate::body::CHUNK_MAX`] bytes.
        #[cbor(n(2), with = "crate::codec::bytes_field")]
        bytes: Bytes,
    },
    /// Gives up an upload. -> `Done`
    #[n(13)]
    DropUpload(#[n(0)] RequestId),
    /// Delivers a message as filters decided. `Conflict` when the scripts have changed since; `QuotaExceeded` for the
    /// copies together; `TooLarge` when the outbox is full. -> `Delivered`
    #[n(30)]
    Deliver(#[n(0)] Box<Delivery>),
    /// Stores a script (RFC 5804 §2.6), replacing one of the same name. `TooLarge`, `Invalid` (name). -> `Done`
    #[n(31)]
    PutScript(#[n(0)] ScriptText),
    /// Removes a script (RFC 5804 §2.10). `Conflict` while it is active, `NotFound`. -> `Done`
    #[n(32)]
    DeleteScript(#[n(0)] String),
    /// Renames a script, which stays active if it was (RFC 5804 §2.11). `NotFound`, `Exists`, `Invalid`. -> `Done`
    #[n(33)]
    RenameScript {
        /// Old name.
        #[n(0)]
        from: String,
        /// New name.
        #[n(1)]
        to: String,
    },
    /// Makes a script the active one, or none (RFC 5804 §2.8). `NotFound`. -> `Done`
    #[n(34)]
    ActivateScript(#[n(0)] Option<String>),
    /// Claims an outgoing message that is due at exactly this time, until another. -> `Claimed`
    #[n(35)]
    ClaimOutgoing {
        /// Which.
        #[n(0)]
        number: u64,
        /// Its `due_ms` as the claimer saw it.
        #[n(1)]
        due_ms: u64,
        /// Its `due_ms` from now on: nobody else tries it before then.
        #[n(2)]
        until_ms: u64,
    },
    /// Reports what a try led to; unknown numbers are ignored. -> `Done`
    #[n(36)]
    SettleOutgoing(#[n(0)] Box<Settlement>),
    /// Puts a message into the outbox, whatever the scripts. `TooLarge` when the outbox is full, `Invalid`. -> `Enqueued`
    #[n(60)]
    Enqueue(#[n(0)] Box<Enqueue>),
    /// What an operator does to a waiting message of any mailbox of the shard; only through the shard's queue account.
    /// `NotFound`. -> `Done`
    #[n(61)]
    ManageOutgoing {
        /// Which.
        #[n(0)]
        place: QueuePlace,
        /// What.
        #[n(1)]
        action: QueueAction,
    },
    /// Claims up to [`CLAIMS_PER_COMMAND_MAX`](crate::queue::CLAIMS_PER_COMMAND_MAX) messages of the shard, each if it is
    /// due when the claimer thought so; only through the shard's queue account. `Invalid`, `TooLarge`. -> `ClaimedSome`
    #[n(62)]
    ClaimOutgoings {
        /// Which.
        #[n(0)]
        claims: Vec<OutgoingClaim>,
        /// Their `due_ms` from now on.
        #[n(1)]
        until_ms: u64,
    },
    /// Reports what up to [`SETTLEMENTS_PER_COMMAND_MAX`](crate::queue::SETTLEMENTS_PER_COMMAND_MAX) tries led to, without
    /// reports to senders; unknown messages are ignored, so that repeating it does no harm. Only through the shard's queue
    /// account. `Invalid` (a report), `TooLarge`. -> `Done`
    #[n(63)]
    SettleOutgoings(#[n(0)] Vec<PlacedSettlement>),
    /// Adds 1 to [`ADD_MESSAGES_MAX`] messages to one folder, all or none (RFC 3502), under rising UIDs in their order.
    /// Errors as for `AddMessage`; `Invalid` also when they name several folders, delivery keys, or an upload twice;
    /// `TooLarge` beyond [`ADD_MESSAGES_MAX`] or [`ADD_BYTES_MAX`]. -> `AddedMany`
    #[n(14)]
    AddMessages(#[n(0)] Vec<NewMessage>),
    /// Adds a message and removes another, or neither (RFC 8508). Only what the new one is larger by counts against the
    /// quota. Errors as for `AddMessage`, and `NotFound` when there is no old one. -> `Replaced`
    #[n(15)]
    Replace {
        /// The old message's folder.
        #[n(0)]
        folder: FolderId,
        /// The old message.
        #[n(1)]
        uid: Uid,
        /// The new message, with a folder of its own and without a delivery key.
        #[n(2)]
        message: NewMessage,
    },
    /// Gives a folder a mailbox access key (RFC 4467). -> `Done`
    #[n(16)]
    SetUrlAuthKey {
        /// Which.
        #[n(0)]
        folder: FolderId,
        /// The key, drawn by the caller.
        #[n(1)]
        key: UrlAuthKey,
        /// Leave a key that is there: the first one to draw it wins.
        #[n(2)]
        keep: bool,
    },
    /// Forgets all access keys of the mailbox (RFC 4467 §7, RESETKEY without a mailbox). -> `Done`
    #[n(17)]
    DropUrlAuthKeys,
    /// Drops the subscription of a name that no folder has (see [`MailboxQuery::LostSubscriptions`]); one that is not
    /// there is no error. -> `Done`
    #[n(40)]
    ForgetSubscription(#[n(0)] String),
    /// Changes what somebody may do with a folder (RFC 4314 §3.1, §3.2). A folder that followed its parent's grants goes
    /// on from a copy of them. -> `Shared`
    #[n(20)]
    SetAcl {
        /// The folder.
        #[n(0)]
        folder: FolderId,
        /// Who.
        #[n(1)]
        grantee: Grantee,
        /// What is denied, not what is given (RFC 4314 §2: identifiers that begin with `-`).
        #[n(2)]
        negative: bool,
        /// How. With no right left the entry goes.
        #[n(3)]
        change: RightsChange,
    },
    /// Sets and removes annotations (RFC 5464 §4.3), all or none. `TooLarge` (value, name), `Conflict` (too many of them),
    /// `QuotaExceeded` (all together). Private ones are the acting account's. -> `Done`
    #[n(21)]
    SetMetadata {
        /// The folder; none: the mailbox itself.
        #[n(0)]
        folder: Option<FolderId>,
        /// New values.
        #[n(1)]
        entries: Vec<Annotation>,
    },
    /// Adds or removes the name of another account's folder among those this account is subscribed to. -> `Done`
    #[n(22)]
    SubscribeName {
        /// As the front-end shows it.
        #[n(0)]
        name: String,
        /// On or off.
        #[n(1)]
        subscribed: bool,
    },
    /// Brings deleted messages back, with their item ids and under new UIDs, in the order they had; those that are not
    /// there (any more) are left out. A folder that is gone is made anew. `NotFound` (folder), `QuotaExceeded`, `TooLarge`.
    /// -> `Recovered`
    #[n(80)]
    Recover {
        /// Which; at most [`UIDS_PER_COMMAND_MAX`].
        #[n(0)]
        items: Vec<ItemId>,
        /// Where to; none: the folder that each was in.
        #[n(1)]
        folder: Option<FolderId>,
        /// Only those deleted at this time or later, Unix milliseconds.
        #[n(2)]
        since_ms: Option<u64>,
    },
    /// Removes for good what was deleted before a time, oldest first, in steps; repeat while the receipt says `more`.
    /// `Denied` under a legal hold. -> `Purged`
    #[n(81)]
    PurgeDumpster {
        /// Unix milliseconds.
        #[n(0)]
        before_ms: u64,
        /// At most so many (and never more than [`PURGED_PER_COMMAND_MAX`](super::PURGED_PER_COMMAND_MAX)).
        #[n(1)]
        most: u32,
    },
    /// Removes deleted messages for good; those that are not there are left out. `Denied` under a legal hold, `TooLarge`.
    /// -> `Purged`
    #[n(82)]
    DropFromDumpster {
        /// Which; at most [`PURGED_PER_COMMAND_MAX`](super::PURGED_PER_COMMAND_MAX).
        #[n(0)]
        items: Vec<ItemId>,
        /// Only those deleted at this time or later, Unix milliseconds.
        #[n(1)]
        since_ms: Option<u64>,
    },
    /// Deletes the messages that came into a folder before a time, oldest first, in steps; repeat while the receipt says
    /// `more`. `NotFound`. -> `Purged`
    #[n(83)]
    PurgeFolder {
        /// The folder.
        #[n(0)]
        folder: FolderId,
        /// Unix milliseconds.
        #[n(1)]
        before_ms: u64,
        /// At most so many (and never more than [`PURGED_PER_COMMAND_MAX`](super::PURGED_PER_COMMAND_MAX)).
        #[n(2)]
        most: u32,
    },
}
