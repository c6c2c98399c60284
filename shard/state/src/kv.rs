//! The seam to storage: ordered tables of bytes, read and written without failure.
//!
//! A disk that fails stops the node inside the implementation; the state machines never see it, because a replica
//! that answered "disk error" where the others answered "done" would no longer be a replica.

use minicbor::{Decode, Encode};
use zcluster_api::{Error, Result, codec};

/// The tables of a group. The codes are stored on disk and sent in snapshots: never change or re-use one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Table {
    /// One row: the group's clock and counters.
    Group = 0,
    /// Request id -> the reply it was given.
    Reply = 1,
    /// Apply number -> request id and time, for pruning `Reply`.
    ReplyOrder = 2,
    /// Blob id -> where its bytes are and how many messages name it.
    Blob = 3,
    /// (origin, chunk number) -> stored bytes of a body. Large values: an implementation may keep it apart.
    Body = 4,
    /// Upload id -> an unfinished upload.
    Upload = 5,
    /// Origin -> upload id, oldest first, for reaping.
    UploadOrder = 6,
    /// Origin -> chunks of a dead body still to be deleted.
    Garbage = 7,
    /// Number -> object of a volume that bodies lie, lay or may come to lie in.
    Object = 8,
    /// (stage, since when, number) -> nothing: the objects that something is to be done with.
    ObjectDue = 9,
    /// (object, offset) -> the body that lies there.
    ObjectBody = 10,
    /// Origin -> body that lies in the shard, oldest first. Empty until a packer asks for it.
    BodyOrder = 11,
    /// Mailbox -> header: epoch and all counters of the mailbox.
    Mailbox = 16,
    /// (mailbox, folder) -> folder with its counters.
    Folder = 17,
    /// (mailbox, parent, lower-case name) -> folder id.
    FolderName = 18,
    /// (mailbox, tag) -> keyword as first spelled.
    Tag = 19,
    /// (mailbox, lower-case keyword) -> tag id.
    TagName = 20,
    /// (mailbox, folder, UID page) -> which UIDs of the page exist and which are unread, as bitmaps.
    Page = 21,
    /// (mailbox, folder, UID) -> what changes about a message, and what a listing needs.
    Hot = 22,
    /// (mailbox, item) -> what never changes about a message: blob, summary.
    Cold = 23,
    /// (mailbox, mod-sequence) -> what that change touched.
    Change = 24,
    /// (mailbox, delivery key) -> the message it became.
    Delivery = 25,
    /// (mailbox, number) -> delivery key and time, for pruning `Delivery`.
    DeliveryOrder = 26,
    /// (mailbox, name) -> script.
    Script = 27,
    /// (mailbox, number) -> message waiting to leave.
    Outgoing = 28,
    /// (due time, mailbox, number) -> nothing: the outbox of the whole group by time.
    OutgoingDue = 29,
    /// (mailbox, id) -> until when it is remembered.
    Seen = 30,
    /// (mailbox, time, id) -> nothing, for pruning `Seen`.
    SeenOrder = 31,
    /// (mailbox, folder) -> mailbox access key (RFC 4467).
    UrlAuthKey = 32,
    /// (mailbox, lower-case path) -> path of a deleted folder that was subscribed, and stays so by name.
    LostSubscription = 34,
    /// (mailbox, item) -> what SORT and THREAD compare of a message, apart from the rest because whole folders of it are
    /// read.
    Keys = 36,
    /// (mailbox, hash of a message id) -> the item that began the thread it belongs to.
    Thread = 37,
    /// (mailbox, number) -> hash of a message id, for pruning `Thread`.
    ThreadOrder = 38,
    /// (mailbox, folder) -> whom the folder is shared with; without a row: as the parent.
    Acl = 39,
    /// (mailbox, folder or 0, whose, name) -> value of an annotation, as it is.
    Annotation = 40,
    /// (mailbox, name) -> nothing: another account's folder that the owner is subscribed to.
    SubscribedName = 41,
    /// (mailbox, item) -> a deleted message that can be brought back, with the place it had.
    Dumpster = 42,
    /// (mailbox, time, item) -> nothing: the same by when they were deleted.
    DumpsterOrder = 43,
    /// One row: the cluster's facts and the directory's counters.
    Cluster = 48,
    /// Node id -> node.
    Node = 49,
    /// Token hash -> expiry.
    Token = 50,
    /// Group -> shard.
    Shard = 51,
    /// Name -> domain.
    Domain = 52,
    /// Lower-case name -> class of service.
    Cos = 53,
    /// COS id -> lower-case name.
    CosId = 54,
    /// Account id -> account.
    Account = 55,
    /// (domain, local part) -> account id and whether it is the primary address.
    Address = 56,
    /// Mailbox -> home that is still to be emptied.
    DeletingHome = 57,
    /// Group -> number of mailboxes.
    MailboxCount = 58,
    /// Account -> whom it shares folders with.
    ShareOwner = 59,
    /// (grantee, account) -> nothing: the same the other way round.
    ShareGrantee = 60,
    /// Entry id -> entry that is no account, domain or COS.
    Entry = 61,
    /// (kind, parent or nil, lower-case name) -> entry id.
    EntryName = 62,
    /// (attribute, value, entry id) -> kind of the entry.
    Index = 63,
    /// Domain id -> name.
    DomainId = 64,
    /// (domain, COS id or nil) -> number of accounts.
    AccountCount = 65,
    /// Name -> secret of the cluster and its version.
    Secret = 72,
}

impl Table {
    /// Every table, by rising code: what a snapshot holds.
    pub const ALL: [Table; 57] = [
        Table::Group,
        Table::Reply,
        Table::ReplyOrder,
        Table::Blob,
        Table::Body,
        Table::Upload,
        Table::UploadOrder,
        Table::Garbage,
        Table::Object,
        Table::ObjectDue,
        Table::ObjectBody,
        Table::BodyOrder,
        Table::Mailbox,
        Table::Folder,
        Table::FolderName,
        Table::Tag,
        Table::TagName,
        Table::Page,
        Table::Hot,
        Table::Cold,
        Table::Change,
        Table::Delivery,
        Table::DeliveryOrder,
        Table::Script,
        Table::Outgoing,
        Table::OutgoingDue,
        Table::Seen,
        Table::SeenOrder,
        Table::UrlAuthKey,
        Table::LostSubscription,
        Table::Keys,
        Table::Thread,
        Table::ThreadOrder,
        Table::Acl,
        Table::Annotation,
        Table::SubscribedName,
        Table::Dumpster,
        Table::DumpsterOrder,
        Table::Cluster,
        Table::Node,
        Table::Token,
        Table::Shard,
        Table::Domain,
        Table::Cos,
        Table::CosId,
        Table::Account,
        Table::Address,
        Table::DeletingHome,
        Table::MailboxCount,
        Table::ShareOwner,
        Table::ShareGrantee,
        Table::Entry,
        Table::EntryName,
        Table::Index,
        Table::DomainId,
        Table::AccountCount,
        Table::Secret,
    ];

    /// The stable code.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The table with this code.
    pub fn from_code(code: u8) -> Option<Table> {
        Table::ALL.into_iter().find(|t| t.code() == code)
    }
}

/// Called with each row's key and value; returns whether to go on.
pub type Visit<'v> = dyn FnMut(&[u8], &[u8]) -> bool + 'v;

/// Reading.
pub trait KvRead {
    /// The value at `key`.
    fn get(&self, table: Table, key: &[u8]) -> Option<Vec<u8>>;
    /// Rows with `from <= key < to`, rising.
    fn scan(&self, table: Table, from: &[u8], to: &[u8], visit: &mut Visit<'_>);
    /// Rows with `from <= key < to`, falling.
    fn scan_back(&self, table: Table, from: &[u8], to: &[u8], visit: &mut Visit<'_>);
    /// The same as [`scan`](Self::scan), of many rows that are looked at in passing: they are not to push out of a cache
    /// what is needed again.
    fn pass(&self, table: Table, from: &[u8], to: &[u8], visit: &mut Visit<'_>) {
        self.scan(table, from, to, visit);
    }
    /// Rows of several ranges, one after the other, until `visit` has had enough: where a scan is dear to begin, one does
    /// for all. The ranges rise and do not overlap.
    fn scan_ranges(&self, table: Table, ranges: &[(Vec<u8>, Vec<u8>)], visit: &mut Visit<'_>) {
        let mut go_on = true;
        for (from, to) in ranges {
            self.scan(table, from, to, &mut |key, value| {
                go_on = visit(key, value);
                go_on
            });
            if !go_on {
                return;
            }
        }
    }
}

/// Reading and writing. Reads see this writer's own earlier puts and deletes.
pub trait Kv: KvRead {
    /// Sets the value.
    fn put(&mut self, table: Table, key: &[u8], value: Vec<u8>);
    /// Removes the row, if it is there.
    fn delete(&mut self, table: Table, key: &[u8]);
}

/// Reads and decodes a row. `Internal` means that the stored bytes are damaged or newer than this node.
pub(crate) fn load<T: for<'b> Decode<'b, ()>>(
    kv: &(impl KvRead + ?Sized),
    table: Table,
    key: &[u8],
) -> Result<Option<T>> {
    kv.get(table, key).map(|bytes| codec::decode(&bytes)).transpose()
}

/// Encodes and writes a row.
pub(crate) fn save<T: Encode<()>>(kv: &mut dyn Kv, table: Table, key: &[u8], value: &T) {
    kv.put(table, key, codec::encode(value));
}

/// Calls `visit` with each row's key and decoded value, `from <= key < to`, until it returns `false`.
pub(crate) fn each<T: for<'b> Decode<'b, ()>>(
    kv: &(impl KvRead + ?Sized),
    table: Table,
    from: &[u8],
    to: &[u8],
    mut visit: impl FnMut(&[u8], T) -> Result<bool>,
) -> Result<()> {
    let mut outcome = Ok(());
    kv.scan(table, from, to, &mut |key, value| match codec::decode(value).and_then(|v| visit(key, v)) {
        Ok(go_on) => go_on,
        Err(e) => {
            outcome = Err(e);
            false
        }
    });
    outcome
}

/// The first key that does not begin with `prefix`. Prefixes here are never all 0xFF; were one, nothing is above it.
pub(crate) fn behind(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            break;
        }
    }
    end
}

/// Reads a big-endian `u32` at `at` of a key.
pub(crate) fn key_u32(key: &[u8], at: usize) -> Result<u32> {
    let bytes = key.get(at..at + 4).and_then(|b| b.try_into().ok());
    bytes.map(u32::from_be_bytes).ok_or_else(|| Error::Internal("short key".into()))
}

/// Reads a big-endian `u64` at `at` of a key.
pub(crate) fn key_u64(key: &[u8], at: usize) -> Result<u64> {
    let bytes = key.get(at..at + 8).and_then(|b| b.try_into().ok());
    bytes.map(u64::from_be_bytes).ok_or_else(|| Error::Internal("short key".into()))
}
