//! Deleted messages that can be brought back (Zimbra's dumpster), and what of an account decides whether there are any.

use super::items::{Flags, Want};
use crate::body::BlobRef;
use crate::ids::*;
use bytes::Bytes;
use minicbor::{Decode, Encode};

/// Deleted messages of one page at most.
pub const DELETED_PER_PAGE_MAX: u32 = 1_000;
/// Messages that one command removes for good at most.
pub const PURGED_PER_COMMAND_MAX: u32 = 500;

/// What a mailbox must know of its account. Routers fill it in with every command, from the account's effective
/// attributes, as they do with the quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Traits {
    /// Whose mailbox it is.
    #[n(0)]
    pub account: AccountId,
    /// What is deleted stays recoverable (`zimbraDumpsterEnabled`).
    #[n(1)]
    pub dumpster: bool,
    /// Nothing may be removed for good (`zclusterLegalHold` of the account or its domain).
    #[n(2)]
    pub hold: bool,
    /// The texts of attached files are not to be found (`zimbraAttachmentsIndexingEnabled` is FALSE).
    #[n(3)]
    pub no_files: bool,
}

/// A place in the order of deleted messages: by time, then item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct DumpsterPlace {
    /// When it was deleted, Unix milliseconds.
    #[n(0)]
    pub deleted_ms: u64,
    /// Which.
    #[n(1)]
    pub item: ItemId,
}

/// Which deleted messages to list, those deleted first in front.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct DumpsterQuery {
    /// Those behind this place.
    #[n(0)]
    pub after: Option<DumpsterPlace>,
    /// At most so many (and never more than [`DELETED_PER_PAGE_MAX`]).
    #[n(1)]
    pub limit: u32,
    /// Those deleted at this time or later, Unix milliseconds.
    #[n(2)]
    pub since_ms: Option<u64>,
    /// Those deleted before this time, Unix milliseconds.
    #[n(3)]
    pub until_ms: Option<u64>,
    /// Which parts.
    #[n(4)]
    pub want: Want,
}

/// A deleted message.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Deleted {
    /// The item: the one it was, and will be again.
    #[n(0)]
    pub item: ItemId,
    /// The folder it was in, which may be gone.
    #[n(1)]
    pub folder: FolderId,
    /// That folder's path then.
    #[n(2)]
    pub path: String,
    /// Its UID there.
    #[n(3)]
    pub uid: Uid,
    /// When it was deleted, Unix milliseconds.
    #[n(4)]
    pub deleted_ms: u64,
    /// Its flags, without `\Deleted`.
    #[n(5)]
    pub flags: Flags,
    /// Its keywords.
    #[n(6)]
    pub keywords: Vec<String>,
    /// INTERNALDATE, Unix milliseconds.
    #[n(7)]
    pub internal_ms: i64,
    /// RFC822.SIZE.
    #[n(8)]
    pub size: u64,
    /// If wanted: an encoded `zcluster_mail::Summary`.
    #[cbor(n(9), with = "crate::codec::bytes_field")]
    pub summary: Bytes,
    /// If wanted.
    #[n(10)]
    pub blob: Option<BlobRef>,
}

impl Deleted {
    /// Its place in the order.
    pub fn place(&self) -> DumpsterPlace {
        DumpsterPlace { deleted_ms: self.deleted_ms, item: self.item }
    }
}

/// A page of deleted messages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct DumpsterPage {
    /// In order.
    #[n(0)]
    pub deleted: Vec<Deleted>,
    /// Ask again behind this place; `None` at the end.
    #[n(1)]
    pub next: Option<DumpsterPlace>,
    /// How many there are in the mailbox, whatever was asked for.
    #[n(2)]
    pub items: u64,
    /// Their sizes together, bytes: in no quota.
    #[n(3)]
    pub bytes: u64,
}

/// A message that was brought back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Recovered {
    /// Which.
    #[n(0)]
    pub item: ItemId,
    /// Where it is now.
    #[n(1)]
    pub folder: FolderId,
    /// Its new UID there.
    #[n(2)]
    pub uid: Uid,
}
