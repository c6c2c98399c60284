//! Folders, messages and what they are made of.

use crate::body::{BlobRef, Body};
use crate::ids::*;
use crate::sharing::Rights;
use crate::sort::SortKeys;
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

    /// The bits that IMAP names, as printed: system flags and registered keywords. `\Seen` is the absence of
    /// [`Flags::UNREAD`] and stands apart.
    pub const NAMED: [(&'static str, Flags); 6] = [
        ("\\Answered", Self::ANSWERED),
        ("\\Flagged", Self::FLAGGED),
        ("\\Deleted", Self::DELETED),
        ("\\Draft", Self::DRAFT),
        ("$Forwarded", Self::FORWARDED),
        ("$MDNSent", Self::NOTIFIED),
    ];

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
    /// How its conversation is found. `None`: as [`Conversations::Strict`] does (edges from before there were others).
    #[n(4)]
    pub conversation: Option<ConversationKeys>,
}

/// What binds a message to a conversation besides its message ids, which are in [`SortKeys`]. Not kept: where a message
/// belongs is decided once, when it arrives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct ConversationKeys {
    /// How the account wants it.
    #[n(0)]
    pub mode: Conversations,
    /// Hash of the base subject, in another domain than hashes of message ids; `None`: there is no subject.
    #[n(1)]
    pub subject: Option<u64>,
    /// Hash of what the `Thread-Index` fields of one conversation have in common, in a domain of its own.
    #[n(2)]
    pub index: Option<u64>,
}

/// How conversations are built: `zimbraMailThreadingAlgorithm` of the account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Conversations {
    /// By message ids alone: `References`, `In-Reply-To`, `Message-ID`.
    #[default]
    #[n(0)]
    Strict,
    /// By message ids and `Thread-Index`; an answer that has no references, by its subject.
    #[n(1)]
    References,
    /// As by references, but a changed subject begins another conversation.
    #[n(2)]
    SubjectReferences,
    /// By the subject alone.
    #[n(3)]
    Subject,
    /// Not at all.
    #[n(4)]
    None,
}

impl Conversations {
    /// The value of `zimbraMailThreadingAlgorithm`; what is not set or unknown is the attribute's default.
    pub fn named(value: Option<&str>) -> Conversations {
        match value.map(str::trim).unwrap_or_default() {
            v if v.eq_ignore_ascii_case("strict") => Conversations::Strict,
            v if v.eq_ignore_ascii_case("subjrefs") => Conversations::SubjectReferences,
            v if v.eq_ignore_ascii_case("subject") => Conversations::Subject,
            v if v.eq_ignore_ascii_case("none") => Conversations::None,
            _ => Conversations::References,
        }
    }
}

impl Parsed {
    /// Has the message's conversation found as its mailbox wants it.
    pub fn set_conversations(&mut self, mode: Conversations) {
        self.conversation.get_or_insert_default().mode = mode;
    }
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
            Body::Uploaded { .. } | Body::Placed { .. } => 0,
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
