//! What a mailbox answers.

use super::items::*;
use super::receipt::StoredFlags;
use crate::delivery::*;
use crate::find::Hit;
use crate::ids::*;
use crate::queue::{QueuePage, QueueSummary};
use crate::sharing::{Annotation, Grant, MetadataChange};
use crate::sort::ThreadNode;
use crate::uids::UidSet;
use minicbor::{Decode, Encode};

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
    /// `Queue`.
    #[n(60)]
    Queue(#[n(0)] QueuePage),
    /// `QueueSummary`.
    #[n(61)]
    QueueSummary(#[n(0)] QueueSummary),
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
    /// `MetadataNews`.
    #[n(50)]
    MetadataNews {
        /// What each command changed, in order.
        #[n(0)]
        changes: Vec<MetadataChange>,
        /// Position.
        #[n(1)]
        modseq: ModSeq,
        /// The log does not reach back to `since`, or too much happened: any may have changed.
        #[n(2)]
        resync: bool,
    },
    /// `Find`.
    #[n(70)]
    Hits {
        /// In order.
        #[n(0)]
        hits: Vec<Hit>,
        /// There are more behind them.
        #[n(1)]
        more: bool,
        /// How many there are in all.
        #[n(2)]
        total: u64,
    },
    /// `Dumpster`.
    #[n(80)]
    Dumpster(#[n(0)] super::DumpsterPage),
}
