//! The mailbox: folders, items, commands that change them and queries that read them.

use crate::body::{BlobRef, Body};
use crate::delivery::*;
use crate::ids::*;
use crate::search::SearchExpr;
use crate::sharing::{Annotation, Depth, Grant, Grantee, Rights, RightsChange};
use crate::sort::{SortCriterion, SortKeys, ThreadNode, Threading};
use crate::uids::UidSet;
use bytes::Bytes;
use minicbor::{Decode, Encode};

/// UIDs one STORE, COPY, MOVE or EXPUNGE command may touch; front-ends split larger sets.
pub const UIDS_PER_COMMAND_MAX: u64 = 1_000;
/// Messages one [`MailboxCommand::AddMessages`] may bring.
pub const ADD_MESSAGES_MAX: usize = 500;
/// Bytes of inline bodies and summaries that they may have together; larger bodies are uploaded before.
pub const ADD_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Messages one [`MailboxQuery::Messages`] reply holds at most.
pub const MESSAGES_PER_PAGE_MAX: u32 = 1_000;
/// Bytes of a keyword (tag name), and how many one message may have.
pub const KEYWORD_BYTES_MAX: usize = 128;
/// Keywords on one message.
pub const KEYWORDS_PER_MESSAGE_MAX: usize = 128;
/// Bytes of one folder name, and of a whole path.
pub const FOLDER_NAME_BYTES_MAX: usize = 128;
/// Bytes of a folder path.
pub const FOLDER_PATH_BYTES_MAX: usize = 1_024;
/// Folders in one mailbox.
pub const FOLDERS_MAX: usize = 10_000;

/// Message flags, Zimbra's bits: bit `n-1` is the flag whose virtual tag id is `-n` (data model §3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(transparent)]
pub struct Flags(#[n(0)] pub u32);

impl Flags {
    /// From the mailbox's owner.
    pub const SENT: Flags = Flags(1 << 0);
    /// Has an attachment.
    pub const ATTACHED: Flags = Flags(1 << 1);
    /// `\Answered`.
    pub const ANSWERED: Flags = Flags(1 << 2);
    /// `$Forwarded`.
    pub const FORWARDED: Flags = Flags(1 << 3);
    /// `\Flagged`.
    pub const FLAGGED: Flags = Flags(1 << 5);
    /// `\Draft`.
    pub const DRAFT: Flags = Flags(1 << 6);
    /// `\Deleted`.
    pub const DELETED: Flags = Flags(1 << 7);
    /// `$MDNSent`.
    pub const NOTIFIED: Flags = Flags(1 << 8);
    /// The inverse of `\Seen`.
    pub const UNREAD: Flags = Flags(1 << 9);
    /// Deleted by a POP3 client, but kept; POP3 shows it no more.
    pub const POPPED: Flags = Flags(1 << 14);
    /// The bits IMAP's system flags and registered keywords stand for; STORE without +/- replaces exactly these.
    pub const IMAP: Flags = Flags(
        Self::ANSWERED.0
            | Self::FORWARDED.0
            | Self::FLAGGED.0
            | Self::DRAFT.0
            | Self::DELETED.0
            | Self::NOTIFIED.0
            | Self::UNREAD.0,
    );

    /// Whether all of `other` is set.
    pub fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }
    /// Union.
    #[must_use]
    pub fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
    /// Difference.
    #[must_use]
    pub fn without(self, other: Flags) -> Flags {
        Flags(self.0 & !other.0)
    }
}

/// Reserved folder ids (Zimbra's data model §1).
pub mod folders {
    use crate::ids::FolderId;
    /// The root clients see; never listed itself.
    pub const USER_ROOT: FolderId = FolderId(1);
    /// INBOX.
    pub const INBOX: FolderId = FolderId(2);
    /// `\Trash`.
    pub const TRASH: FolderId = FolderId(3);
    /// `\Junk`.
    pub const JUNK: FolderId = FolderId(4);
    /// `\Sent`.
    pub const SENT: FolderId = FolderId(5);
    /// `\Drafts`.
    pub const DRAFTS: FolderId = FolderId(6);
    /// First id of the common counter.
    pub const FIRST_FREE: u32 = 256;
}

/// What a folder is made to hold. IMAP and POP3 show `Message` (and `Unknown`) folders only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum FolderView {
    /// Nothing special (a user's own folder).
    #[n(0)]
    Unknown,
    /// Mail.
    #[n(1)]
    Message,
    /// Contacts.
    #[n(2)]
    Contact,
    /// Calendar.
    #[n(3)]
    Appointment,
    /// Tasks.
    #[n(4)]
    Task,
    /// Files.
    #[n(5)]
    Document,
    /// Chats.
    #[n(6)]
    Chat,
}

/// RFC 6154 uses a user may give to a folder of their own. The reserved folders have theirs by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum SpecialUse {
    /// `\Archive`.
    #[n(0)]
    Archive,
    /// `\Drafts`.
    #[n(1)]
    Drafts,
    /// `\Junk`.
    #[n(2)]
    Junk,
    /// `\Sent`.
    #[n(3)]
    Sent,
    /// `\Trash`.
    #[n(4)]
    Trash,
}

/// A folder with its counters, at the position the reply was read at.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Folder {
    /// Its id, stable over renames.
    #[n(0)]
    pub id: FolderId,
    /// Parent; `USER_ROOT` at the top.
    #[n(1)]
    pub parent: FolderId,
    /// Full path in UTF-8, `/` between names, no leading slash: `Inbox`, `Work/2026`.
    #[n(2)]
    pub path: String,
    /// What it holds.
    #[n(3)]
    pub view: FolderView,
    /// A use the user gave it, or the reserved id's.
    #[n(4)]
    pub special_use: Option<SpecialUse>,
    /// IMAP subscription.
    #[n(5)]
    pub subscribed: bool,
    /// UIDVALIDITY (RFC 3501 §2.3.1.1).
    #[n(6)]
    pub uid_validity: u32,
    /// The next message's UID.
    #[n(7)]
    pub uid_next: Uid,
    /// Messages.
    #[n(8)]
    pub messages: u32,
    /// Messages without `\Seen`.
    #[n(9)]
    pub unread: u32,
    /// Messages with `\Deleted`.
    #[n(10)]
    pub deleted: u32,
    /// Sum of RFC822.SIZE.
    #[n(11)]
    pub bytes: u64,
    /// HIGHESTMODSEQ (RFC 7162); at least 1.
    #[n(12)]
    pub highest_modseq: ModSeq,
    /// UIDs from here on have not yet been shown as `\Recent` to any session.
    #[n(13)]
    pub recent_from: Uid,
    /// What the asking account may do here, when it is not the owner (who may do everything). Without `READ` the counters
    /// above are all zero.
    #[n(14)]
    pub rights: Option<Rights>,
}

/// What the edge learned by parsing a message once; apply stores it and never opens a body.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Parsed {
    /// An encoded `zcluster_mail::Summary` (envelope, structure, preview).
    #[cbor(n(0), with = "crate::codec::bytes_field")]
    pub summary: Bytes,
    /// The `Date:` header, Unix milliseconds.
    #[n(1)]
    pub sent_ms: Option<i64>,
    /// Whether the structure has an attachment: becomes [`Flags::ATTACHED`].
    #[n(2)]
    pub has_attachment: bool,
    /// What SORT and THREAD compare.
    #[n(3)]
    pub keys: Option<Box<SortKeys>>,
}

/// A message to add.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct NewMessage {
    /// Where to.
    #[n(0)]
    pub folder: FolderId,
    /// Initial flags; a delivery sets [`Flags::UNREAD`].
    #[n(1)]
    pub flags: Flags,
    /// Initial keywords (tag names).
    #[n(2)]
    pub keywords: Vec<String>,
    /// INTERNALDATE, Unix milliseconds.
    #[n(3)]
    pub internal_ms: i64,
    /// What parsing found.
    #[n(4)]
    pub parsed: Parsed,
    /// The bytes.
    #[n(5)]
    pub body: Body,
    /// Present on deliveries: a second message with the same key within the window is answered with the first's UID.
    #[n(6)]
    pub delivery_key: Option<DeliveryKey>,
}

impl NewMessage {
    /// What the message weighs inside a command, bytes: its inline body and its summary.
    pub fn carried(&self) -> usize {
        let inline = match &self.body {
            Body::Inline { stored, .. } => stored.len(),
            Body::Uploaded { .. } => 0,
        };
        inline + self.parsed.summary.len()
    }
}

/// A folder's mailbox access key (RFC 4467 §3): who has it can make URLs that open the folder's messages.
#[derive(Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct UrlAuthKey(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 32]);

impl std::fmt::Debug for UrlAuthKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UrlAuthKey(..)")
    }
}

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
}

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
}

/// Which parts of messages a query wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Want {
    /// The encoded summary (ENVELOPE, BODYSTRUCTURE, header fields): read from another table, so ask only if needed.
    #[n(0)]
    pub summary: bool,
    /// The body reference.
    #[n(1)]
    pub blob: bool,
}

/// A message as stored.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Message {
    /// Item id, stable over moves.
    #[n(0)]
    pub item: ItemId,
    /// UID.
    #[n(1)]
    pub uid: Uid,
    /// Last change.
    #[n(2)]
    pub modseq: ModSeq,
    /// Flags.
    #[n(3)]
    pub flags: Flags,
    /// Keywords (tag names).
    #[n(4)]
    pub keywords: Vec<String>,
    /// INTERNALDATE, Unix milliseconds.
    #[n(5)]
    pub internal_ms: i64,
    /// RFC822.SIZE.
    #[n(6)]
    pub size: u64,
    /// When it came into this folder, Unix milliseconds (RFC 8514 SAVEDATE).
    #[n(7)]
    pub saved_ms: i64,
    /// If wanted: an encoded `zcluster_mail::Summary`.
    #[cbor(n(8), with = "crate::codec::bytes_field")]
    pub summary: Bytes,
    /// If wanted.
    #[n(9)]
    pub blob: Option<BlobRef>,
    /// The first message of its thread (RFC 8474 THREADID); messages from before threads were kept have none.
    #[n(10)]
    pub thread: Option<ItemId>,
    /// The message it is a copy of, if it is one: the two have one EMAILID (RFC 8474 §5.1).
    #[n(11)]
    pub copy_of: Option<ItemId>,
}

/// A question to one mailbox, answered at one position not older than the question.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum MailboxQuery {
    /// Usage and position. -> `Info`
    #[n(0)]
    Info,
    /// All folders, by path. -> `Folders`
    #[n(1)]
    Folders,
    /// One folder by path (names compare without case; `INBOX` is the Inbox). -> `Folders` with one, or `NotFound`
    #[n(2)]
    FolderByPath(#[n(0)] String),
    /// One folder by id. -> `Folders` with one, or `NotFound`
    #[n(3)]
    Folder(#[n(0)] FolderId),
    /// All UIDs of a folder, and what SELECT tells. -> `Uids`
    #[n(4)]
    Uids(#[n(0)] FolderId),
    /// Messages in UID order. -> `Messages`
    #[n(5)]
    Messages {
        /// The folder.
        #[n(0)]
        folder: FolderId,
        /// Which; missing ones are left out.
        #[n(1)]
        uids: UidSet,
        /// Which parts.
        #[n(2)]
        want: Want,
        /// Only those with a higher mod-sequence (CHANGEDSINCE).
        #[n(3)]
        changed_since: Option<ModSeq>,
        /// At most so many (and never more than [`MESSAGES_PER_PAGE_MAX`]).
        #[n(4)]
        limit: u32,
    },
    /// What happened in a folder after `since`. -> `Changes`
    #[n(6)]
    Changes {
        /// The folder.
        #[n(0)]
        folder: FolderId,
        /// The position the session has seen.
        #[n(1)]
        since: ModSeq,
    },
    /// Which messages match. -> `Found`
    #[n(7)]
    Search {
        /// The folder.
        #[n(0)]
        folder: FolderId,
        /// Restrict to these.
        #[n(1)]
        within: Option<UidSet>,
        /// What to look for.
        #[n(2)]
        expr: SearchExpr,
    },
    /// The scripts, by name. -> `Scripts`
    #[n(30)]
    Scripts,
    /// One script. -> `Script` or `NotFound`
    #[n(31)]
    Script(#[n(0)] String),
    /// What running the filters needs. -> `Filters`
    #[n(32)]
    Filters {
        /// The texts of all scripts, for `include`.
        #[n(0)]
        all: bool,
        /// The folders.
        #[n(1)]
        folders: bool,
        /// Whether these are remembered.
        #[n(2)]
        seen: Vec<SeenId>,
    },
    /// The outbox from this number on, at most 1,000 messages. -> `Outgoing`
    #[n(33)]
    Outgoing(#[n(0)] u64),
    /// A folder's access key (RFC 4467). -> `UrlAuthKey`
    #[n(8)]
    UrlAuthKey(#[n(0)] FolderId),
    /// What a client that knew the folder as it was at `since` has missed (RFC 7162 QRESYNC). -> `Missed`
    #[n(10)]
    Missed {
        /// The folder.
        #[n(0)]
        folder: FolderId,
        /// The position the client has seen.
        #[n(1)]
        since: ModSeq,
        /// Only these matter to the client; all if there is no such set.
        #[n(2)]
        known: Option<UidSet>,
    },
    /// Which folders changed after `since` (NOTIFY). -> `FolderNews`
    #[n(11)]
    FolderNews(#[n(0)] ModSeq),
    /// Subscribed names whose folders were deleted (RFC 9051 §6.3.7: a subscription outlives its mailbox). -> `Names`
    #[n(12)]
    LostSubscriptions,
    /// Which messages match, in order (RFC 5256 SORT); equal ones by UID. -> `Sorted`
    #[n(15)]
    Sort {
        /// The folder.
        #[n(0)]
        folder: FolderId,
        /// Restrict to these.
        #[n(1)]
        within: Option<UidSet>,
        /// What to look for.
        #[n(2)]
        expr: SearchExpr,
        /// What is compared, first things first; at most [`crate::sort::CRITERIA_MAX`].
        #[n(3)]
        by: Vec<SortCriterion>,
    },
    /// Which messages match, in threads (RFC 5256 THREAD). -> `Threads`
    #[n(16)]
    Thread {
        /// The folder.
        #[n(0)]
        folder: FolderId,
        /// Restrict to these.
        #[n(1)]
        within: Option<UidSet>,
        /// What to look for.
        #[n(2)]
        expr: SearchExpr,
        /// How.
        #[n(3)]
        threading: Threading,
    },
    /// Whether the asker may read a message, and which body it has. -> `Blob` or `NotFound`
    #[n(20)]
    Blob(#[n(0)] crate::body::BlobAt),
    /// A folder's grants (RFC 4314 §3.3). -> `Acl`
    #[n(21)]
    Acl(#[n(0)] FolderId),
    /// Annotations (RFC 5464 §4.2); private ones are the asking account's. -> `Metadata`
    #[n(22)]
    Metadata {
        /// The folder; none: the mailbox itself.
        #[n(0)]
        folder: Option<FolderId>,
        /// Names, in lower case. `/private` and `/shared` alone name all below, with a depth.
        #[n(1)]
        entries: Vec<String>,
        /// What else below them.
        #[n(2)]
        depth: Depth,
        /// Values longer than so many bytes are left out.
        #[n(3)]
        max_size: Option<u64>,
    },
    /// Names of other accounts' folders that this account is subscribed to. -> `SubscribedNames`
    #[n(23)]
    SubscribedNames,
}

impl MailboxQuery {
    /// Whether answering may rightly take longer than one look at a few rows does.
    pub fn is_search(&self) -> bool {
        matches!(self, MailboxQuery::Search { .. } | MailboxQuery::Sort { .. } | MailboxQuery::Thread { .. })
    }
}

/// The answer to a [`MailboxQuery`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum MailboxReply {
    /// `Info`.
    #[n(0)]
    Info {
        /// Bytes counted against the quota.
        #[n(0)]
        used: u64,
        /// The limit in bytes; 0 = none.
        #[n(1)]
        limit: u64,
        /// Messages in all folders.
        #[n(2)]
        messages: u64,
        /// The mailbox's mod-sequence.
        #[n(3)]
        modseq: ModSeq,
    },
    /// `Folders`, `Folder`, `FolderByPath`.
    #[n(1)]
    Folders(#[n(0)] Vec<Folder>),
    /// `Uids`.
    #[n(2)]
    Uids {
        /// The folder.
        #[n(0)]
        folder: Folder,
        /// Its UIDs.
        #[n(1)]
        uids: UidSet,
        /// The first message without `\Seen`.
        #[n(2)]
        first_unseen: Option<Uid>,
        /// All keywords in use in the mailbox.
        #[n(3)]
        keywords: Vec<String>,
        /// The mailbox's mod-sequence: pass it to `Changes` and `watch`.
        #[n(4)]
        modseq: ModSeq,
    },
    /// `Messages`.
    #[n(3)]
    Messages {
        /// In UID order.
        #[n(0)]
        messages: Vec<Message>,
        /// Ask again with UIDs from here on; `None` at the end.
        #[n(1)]
        next: Option<Uid>,
    },
    /// `Changes`. Apply in this order: expunged, then added, then flags.
    #[n(4)]
    Changes {
        /// Gone from the folder.
        #[n(0)]
        expunged: UidSet,
        /// New in the folder (and still there).
        #[n(1)]
        added: UidSet,
        /// Changed or added, still there, in UID order.
        #[n(2)]
        flags: Vec<StoredFlags>,
        /// The position now: the next `since`.
        #[n(3)]
        modseq: ModSeq,
        /// The log does not reach back to `since`, or too much changed: read `Uids` afresh.
        #[n(4)]
        resync: bool,
        /// The folder is gone.
        #[n(5)]
        folder_gone: bool,
        /// Position after this reply is not `modseq` of the mailbox yet: ask again.
        #[n(6)]
        more: bool,
    },
    /// `Search`.
    #[n(5)]
    Found {
        /// Matching UIDs.
        #[n(0)]
        uids: UidSet,
        /// The highest mod-sequence among them (RFC 7162 §3.1.5).
        #[n(1)]
        highest_modseq: Option<ModSeq>,
    },
    /// `Scripts`.
    #[n(30)]
    Scripts(#[n(0)] Vec<ScriptInfo>),
    /// `Script`.
    #[n(31)]
    Script(#[n(0)] ScriptText),
    /// `Filters`.
    #[n(32)]
    Filters(#[n(0)] FilterView),
    /// `Outgoing`.
    #[n(33)]
    Outgoing(#[n(0)] Vec<Outgoing>),
    /// `UrlAuthKey`; `None` when the folder has none.
    #[n(6)]
    UrlAuthKey(#[n(0)] Option<UrlAuthKey>),
    /// `Missed`.
    #[n(10)]
    Missed {
        /// All that went after `since`. When the log does not reach back: every UID below UIDNEXT that has no message,
        /// whenever it went (RFC 7162 §3.2.5.2 allows to tell too much).
        #[n(0)]
        vanished: UidSet,
        /// Messages that may have come or changed after `since`, all of them there: the changed ones are among these.
        #[n(1)]
        touched: UidSet,
        /// The mailbox's mod-sequence.
        #[n(2)]
        modseq: ModSeq,
        /// The change log reached back: both sets are exact.
        #[n(3)]
        exact: bool,
    },
    /// `FolderNews`.
    #[n(11)]
    FolderNews {
        /// The folders with changed messages that still are there, as they are now.
        #[n(0)]
        folders: Vec<Folder>,
        /// Folders were created, deleted, renamed or (un)subscribed: read `Folders`.
        #[n(1)]
        tree: bool,
        /// The position now: the next `since`.
        #[n(2)]
        modseq: ModSeq,
        /// The log does not reach back to `since`: read `Folders`.
        #[n(3)]
        resync: bool,
    },
    /// `LostSubscriptions`: paths.
    #[n(12)]
    Names(#[n(0)] Vec<String>),
    /// `Sort`.
    #[n(15)]
    Sorted {
        /// Matching UIDs, in order.
        #[n(0)]
        uids: Vec<u32>,
        /// The highest mod-sequence among them.
        #[n(1)]
        highest_modseq: Option<ModSeq>,
    },
    /// `Thread`.
    #[n(16)]
    Threads(#[n(0)] Vec<ThreadNode>),
    /// `Blob`.
    #[n(20)]
    Blob(#[n(0)] BlobId),
    /// `Acl`.
    #[n(21)]
    Acl {
        /// In order of grantee.
        #[n(0)]
        grants: Vec<Grant>,
        /// They are a parent's, and change with it.
        #[n(1)]
        inherited: bool,
    },
    /// `Metadata`.
    #[n(22)]
    Metadata {
        /// Those that are there, by name.
        #[n(0)]
        entries: Vec<Annotation>,
        /// The size of the longest value left out because of `max_size`, bytes.
        #[n(1)]
        longest: Option<u64>,
    },
    /// `SubscribedNames`, in order.
    #[n(23)]
    SubscribedNames(#[n(0)] Vec<String>),
}
