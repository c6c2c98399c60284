//! What the mailbox tables hold, and under which keys.

use crate::kv::{KvRead, Table, load};
use minicbor::{Decode, Encode};
use zcluster_api::delivery::OutgoingKind;
use zcluster_api::mailbox::{FolderView, SpecialUse, Traits};
use zcluster_api::queue::Terms;
use zcluster_api::{AccountId, BlobId, Bytes, Epoch, Flags, FolderId, ItemId, MailboxId, ModSeq, Result, Uid, UidSet};

/// Whether a mailbox can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub(crate) enum Life {
    /// In use.
    #[n(0)]
    Live,
    /// Being emptied, for good.
    #[n(1)]
    Deleting,
    /// Empty; the row stays so that a late command cannot bring the mailbox back.
    #[n(2)]
    Gone,
}

/// A row of [`Table::Mailbox`]: all counters, so that a command reads and writes one row of them.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Header {
    /// Commands and queries must name this epoch.
    #[n(0)]
    pub epoch: Epoch,
    #[n(1)]
    pub life: Life,
    /// Last change.
    #[n(2)]
    pub modseq: ModSeq,
    /// Next item id (messages, folders, tags).
    #[n(3)]
    pub next_item: u32,
    /// Bytes counted against the quota.
    #[n(4)]
    pub used: u64,
    #[n(5)]
    pub messages: u64,
    /// The highest UIDVALIDITY ever given to a folder.
    #[n(6)]
    pub uid_validity: u32,
    #[n(7)]
    pub folders: u32,
    #[n(8)]
    pub tags: u32,
    /// Unfinished uploads.
    #[n(9)]
    pub uploads: u32,
    /// Numbers of the delivery keys kept: `[from, next)`.
    #[n(10)]
    pub delivery_from: u64,
    #[n(11)]
    pub delivery_next: u64,
    /// Before this time no delivery key is old enough to go.
    #[n(12)]
    pub delivery_due_ms: u64,
    /// Numbers of the message ids kept for threads: `[from, next)`.
    #[n(16)]
    pub thread_from: Option<u64>,
    #[n(17)]
    pub thread_next: Option<u64>,
    /// Bytes that annotations take.
    #[n(18)]
    pub annotation_bytes: Option<u64>,
    /// Names of others' folders subscribed to.
    #[n(19)]
    pub subscribed_names: Option<u32>,
    /// Scripts, outbox and what filters remember; absent in a mailbox that never had any.
    #[n(20)]
    pub filters: Option<Filters>,
    /// What the last command told of the account.
    #[n(21)]
    pub traits: Option<Traits>,
    /// Deleted messages that are kept, if there are any.
    #[n(22)]
    pub kept: Option<Kept>,
}

/// The part of a [`Header`] that is about deleted messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Kept {
    #[n(0)]
    pub items: u64,
    /// Of their bodies.
    #[n(1)]
    pub bytes: u64,
}

/// The part of a [`Header`] that is about filtering deliveries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Filters {
    /// Raised by each change of a script; 0: there never was one.
    #[n(0)]
    pub version: u64,
    /// The active script.
    #[n(1)]
    pub active: Option<String>,
    #[n(2)]
    pub scripts: u32,
    /// Bytes of all scripts.
    #[n(3)]
    pub bytes: u64,
    /// Remembered ids.
    #[n(4)]
    pub seen: u32,
    /// Messages in the outbox.
    #[n(5)]
    pub outgoing: u32,
    /// When the owner was last warned of the quota, Unix milliseconds.
    #[n(6)]
    pub warned_ms: u64,
}

/// A row of [`Table::Outgoing`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct OutgoingRow {
    #[n(0)]
    pub kind: OutgoingKind,
    #[n(1)]
    pub queued_ms: u64,
    /// Also in the key of its row of [`Table::OutgoingDue`].
    #[n(2)]
    pub due_ms: u64,
    #[n(3)]
    pub attempts: u32,
    #[n(4)]
    pub sender: String,
    #[n(5)]
    pub recipients: Vec<String>,
    #[n(6)]
    pub blob: BlobId,
    #[n(7)]
    pub note: String,
    #[n(8)]
    pub terms: Option<Box<Terms>>,
    /// Has no row of [`Table::OutgoingDue`].
    #[cbor(n(9), default)]
    pub held: bool,
    #[cbor(n(10), default)]
    pub warned: bool,
    /// `due_ms` is a claim's end.
    #[cbor(n(11), default)]
    pub claimed: bool,
}

/// A row of [`Table::Folder`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct FolderRow {
    #[n(0)]
    pub parent: FolderId,
    /// Own name; the path is made from the parents', so renaming a parent changes one row.
    #[n(1)]
    pub name: String,
    #[n(2)]
    pub view: FolderView,
    #[n(3)]
    pub special_use: Option<SpecialUse>,
    #[n(4)]
    pub subscribed: bool,
    #[n(5)]
    pub uid_validity: u32,
    #[n(6)]
    pub uid_next: Uid,
    #[n(7)]
    pub messages: u32,
    #[n(8)]
    pub unread: u32,
    #[n(9)]
    pub deleted: u32,
    #[n(10)]
    pub bytes: u64,
    #[n(11)]
    pub highest_modseq: ModSeq,
    #[n(12)]
    pub recent_from: Uid,
}

/// A row of [`Table::Hot`]: about 40 bytes, rewritten by each flag change.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct HotRow {
    #[n(0)]
    pub item: ItemId,
    #[n(1)]
    pub modseq: ModSeq,
    #[n(2)]
    pub flags: Flags,
    /// Tag ids, rising.
    #[n(3)]
    pub tags: Vec<u32>,
    #[n(4)]
    pub size: u64,
    #[n(5)]
    pub internal_ms: i64,
    /// When it entered the folder.
    #[n(6)]
    pub saved_ms: i64,
    /// The item that began its thread.
    #[n(7)]
    pub thread: Option<ItemId>,
    /// The item it was first copied from, if it is a copy.
    #[n(8)]
    pub copy_of: Option<ItemId>,
}

/// A row of [`Table::Dumpster`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct DumpsterRow {
    /// As it was, but for `\\Deleted`.
    #[n(0)]
    pub hot: HotRow,
    #[n(1)]
    pub folder: FolderId,
    #[n(2)]
    pub uid: Uid,
    /// The folder's, when the message was deleted.
    #[n(3)]
    pub path: String,
    /// Also in the key of its row of [`Table::DumpsterOrder`].
    #[n(4)]
    pub deleted_ms: u64,
}

/// A row of [`Table::Cold`]: written once per item.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct ColdRow {
    #[n(0)]
    pub blob: BlobId,
    #[n(1)]
    pub sent_ms: Option<i64>,
    /// An encoded `zcluster_mail::Summary`.
    #[cbor(n(2), with = "zcluster_api::codec::bytes_field")]
    pub summary: Bytes,
}

/// A [`ColdRow`] read where it lies.
#[derive(Debug, Decode)]
pub(crate) struct ColdRef<'b> {
    #[n(0)]
    pub blob: BlobId,
    #[n(1)]
    pub sent_ms: Option<i64>,
    #[cbor(n(2), with = "minicbor::bytes")]
    pub summary: &'b [u8],
}

/// A row of [`Table::Change`]: what one command touched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct ChangeRow {
    /// By folder id.
    #[n(0)]
    pub folders: Vec<FolderChange>,
    /// Folders were created, deleted, renamed or (un)subscribed.
    #[n(1)]
    pub tree: bool,
    /// Annotations were set or removed.
    #[n(2)]
    pub metadata: Option<MetadataRow>,
}

/// The annotations' part of a [`ChangeRow`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct MetadataRow {
    /// Whose; none: the mailbox's own.
    #[n(0)]
    pub folder: Option<FolderId>,
    /// Names, in order.
    #[n(1)]
    pub names: Vec<String>,
    /// Whose the private ones among them are, when it is not the owner.
    #[n(2)]
    pub actor: Option<AccountId>,
}

/// One folder's part of a [`ChangeRow`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct FolderChange {
    #[n(0)]
    pub folder: FolderId,
    #[n(1)]
    pub added: UidSet,
    #[n(2)]
    pub flags: UidSet,
    #[n(3)]
    pub expunged: UidSet,
}

/// A row of [`Table::Delivery`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct DeliveryRow {
    #[n(0)]
    pub item: ItemId,
    #[n(1)]
    pub uid: Uid,
    #[n(2)]
    pub uid_validity: u32,
    #[n(3)]
    pub modseq: ModSeq,
}

/// A row of [`Table::DeliveryOrder`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct DeliveryOrder {
    #[n(0)]
    pub at_ms: u64,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub key: [u8; 32],
}

impl FolderChange {
    pub fn new(folder: FolderId) -> Self {
        FolderChange { folder, added: UidSet::new(), flags: UidSet::new(), expunged: UidSet::new() }
    }
}

/// Key of a mailbox's header, and prefix of all its rows.
pub(crate) fn mailbox_key(mailbox: MailboxId) -> Vec<u8> {
    mailbox.0.to_be_bytes().to_vec()
}

/// Mailbox and a 32-bit number: folders, tags, items.
pub(crate) fn number_key(mailbox: MailboxId, number: u32) -> Vec<u8> {
    let mut key = mailbox_key(mailbox);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// Mailbox and a 64-bit number: changes, delivery order, outgoing messages.
pub(crate) fn long_key(mailbox: MailboxId, number: u64) -> Vec<u8> {
    let mut key = mailbox_key(mailbox);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// Mailbox, folder and a number: messages by UID, pages.
pub(crate) fn folder_key(mailbox: MailboxId, folder: FolderId, number: u32) -> Vec<u8> {
    let mut key = number_key(mailbox, folder.0);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// Mailbox and text or bytes: keywords, delivery keys, scripts, remembered ids.
pub(crate) fn text_key(mailbox: MailboxId, text: &[u8]) -> Vec<u8> {
    let mut key = mailbox_key(mailbox);
    key.extend_from_slice(text);
    key
}

/// Mailbox, parent and folded name.
pub(crate) fn name_key(mailbox: MailboxId, parent: FolderId, name: &str) -> Vec<u8> {
    let mut key = number_key(mailbox, parent.0);
    key.extend_from_slice(fold(name).as_bytes());
    key
}

/// The form in which names are compared: Zimbra compares folder and tag names without case. Unicode promises not to
/// change the mapping of characters it has assigned, so nodes of different versions agree on all names in use.
pub(crate) fn fold(name: &str) -> String {
    name.to_lowercase()
}

pub(crate) fn header(kv: &dyn KvRead, mailbox: MailboxId) -> Result<Option<Header>> {
    load(kv, Table::Mailbox, &mailbox_key(mailbox))
}

pub(crate) fn folder(kv: &dyn KvRead, mailbox: MailboxId, id: FolderId) -> Result<Option<FolderRow>> {
    load(kv, Table::Folder, &number_key(mailbox, id.0))
}

pub(crate) fn hot(kv: &dyn KvRead, mailbox: MailboxId, folder: FolderId, uid: u32) -> Result<Option<HotRow>> {
    load(kv, Table::Hot, &folder_key(mailbox, folder, uid))
}

pub(crate) fn cold(kv: &dyn KvRead, mailbox: MailboxId, item: ItemId) -> Result<ColdRow> {
    let row = load(kv, Table::Cold, &number_key(mailbox, item.0))?;
    row.ok_or_else(|| zcluster_api::Error::Internal(format!("item {item} of mailbox {mailbox} has no content")))
}
