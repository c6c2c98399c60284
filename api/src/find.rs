//! Searching a whole mailbox: Zimbra's `SearchRequest`.

use crate::ids::*;
use crate::mailbox::Flags;
use crate::search::SearchExpr;
use minicbor::{Decode, Encode};

/// Hits of one page at most (Zimbra's bound on `limit`).
pub const FIND_LIMIT_MAX: u32 = 1_000;

/// A search over all folders of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Find {
    /// What to look for.
    #[n(0)]
    pub expr: SearchExpr,
    /// The order of the hits.
    #[n(1)]
    pub order: FindOrder,
    /// Conversations instead of messages: each once, where its first hit is.
    #[n(2)]
    pub conversations: bool,
    /// Hits behind this one.
    #[n(3)]
    pub after: Option<FindCursor>,
    /// Hits to leave out first.
    #[n(4)]
    pub offset: u32,
    /// Hits at most; at most [`FIND_LIMIT_MAX`].
    #[n(5)]
    pub limit: u32,
    /// Also messages that carry `\\Deleted`.
    #[n(6)]
    pub deleted: bool,
    /// Zimbra's `inDumpster`: instead of what is in folders, what was deleted at this time (Unix milliseconds; 0: ever) or
    /// later and can be brought back. Conditions about folders are about those that the messages were in.
    #[n(7)]
    pub dumpster: Option<u64>,
}

/// What hits are in order of; equal ones by item id, in the same direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum FindBy {
    /// As it comes (Zimbra's `none`): by item id.
    #[n(0)]
    Id,
    /// INTERNALDATE.
    #[n(1)]
    Date,
    /// The subject without `Re:` and the like.
    #[n(2)]
    Subject,
    /// The sender as shown.
    #[n(3)]
    Name,
    /// The first recipient as shown.
    #[n(4)]
    Recipient,
    /// The size.
    #[n(5)]
    Size,
    /// Whether it has attachments.
    #[n(6)]
    Attachment,
    /// Whether it is flagged.
    #[n(7)]
    Flag,
    /// Low, normal, high.
    #[n(8)]
    Priority,
    /// Whether it is read.
    #[n(9)]
    Read,
}

/// An order of hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct FindOrder {
    /// What is compared.
    #[n(0)]
    pub by: FindBy,
    /// Falling.
    #[n(1)]
    pub descending: bool,
}

impl Default for FindOrder {
    /// Zimbra's `dateDesc`.
    fn default() -> Self {
        FindOrder { by: FindBy::Date, descending: true }
    }
}

/// A place in the order of hits.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct FindCursor {
    /// A hit's [`Hit::key`].
    #[n(0)]
    pub key: FindKey,
    /// Its item.
    #[n(1)]
    pub item: ItemId,
}

/// What a hit was sorted by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum FindKey {
    /// Dates, sizes, states.
    #[n(0)]
    Number(#[n(0)] i64),
    /// Texts, folded.
    #[n(1)]
    Text(#[n(0)] String),
}

/// A message that matches.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Hit {
    /// The message.
    #[n(0)]
    pub item: ItemId,
    /// Its folder.
    #[n(1)]
    pub folder: FolderId,
    /// Its UID there.
    #[n(2)]
    pub uid: Uid,
    /// The conversation it belongs to; itself when it is alone.
    #[n(3)]
    pub conversation: ItemId,
    /// What it was sorted by.
    #[n(4)]
    pub key: FindKey,
    /// Flags.
    #[n(5)]
    pub flags: Flags,
    /// Keywords.
    #[n(6)]
    pub keywords: Vec<String>,
    /// RFC822.SIZE.
    #[n(7)]
    pub size: u64,
    /// INTERNALDATE, Unix milliseconds.
    #[n(8)]
    pub internal_ms: i64,
    /// Of a conversation: how many of its messages are in the mailbox; 1 for messages.
    #[n(9)]
    pub messages: u32,
}
