//! What may be asked of a mailbox.

use super::items::*;
use crate::delivery::*;
use crate::find::Find;
use crate::ids::*;
use crate::queue::{QueuePlace, QueueQuery};
use crate::search::SearchExpr;
use crate::sharing::Depth;
use crate::sort::{SortCriterion, Threading};
use crate::uids::UidSet;
use minicbor::{Decode, Encode};

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
    /// A page of the whole shard's queue; only through its queue account. -> `Queue`
    #[n(60)]
    Queue(#[n(0)] QueueQuery),
    /// Counts of the whole shard's queue, behind this place; only through its queue account. -> `QueueSummary`
    #[n(61)]
    QueueSummary(#[n(0)] Option<QueuePlace>),
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
    /// Which annotations changed after `since`: everybody's, and the asking owner's private ones. -> `MetadataNews`
    #[n(50)]
    MetadataNews(#[n(0)] ModSeq),
    /// Which messages of all folders match, in order; the owner's question. -> `Hits`
    #[n(70)]
    Find(#[n(0)] Find),
    /// Deleted messages that can be brought back; the owner's question. -> `Dumpster`
    #[n(80)]
    Dumpster(#[n(0)] super::DumpsterQuery),
}

impl MailboxQuery {
    /// Whether answering may rightly take longer than one look at a few rows does.
    pub fn is_search(&self) -> bool {
        matches!(
            self,
            MailboxQuery::Search { .. }
                | MailboxQuery::Sort { .. }
                | MailboxQuery::Thread { .. }
                | MailboxQuery::Find(_)
        )
    }
}
