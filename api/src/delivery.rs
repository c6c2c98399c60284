//! Delivery with all that a recipient's filters decided, the scripts that decide, and what leaves the mailbox for
//! elsewhere (the outbox).

use crate::body::{BlobRef, Body};
use crate::ids::*;
use crate::mailbox::{Flags, Folder, Parsed, SpecialUse};
use crate::queue::Terms;
use bytes::Bytes;
use minicbor::{Decode, Encode};

/// Folders that one message may be filed into.
pub const FILINGS_MAX: usize = 32;
/// Different contents in one command: the message, edited forms of it, replies to it.
pub const CONTENTS_MAX: usize = 16;
/// Messages that one command may put into the outbox.
pub const OUTGOING_MAX: usize = 32;
/// Recipients of one outgoing message.
pub const OUTGOING_RECIPIENTS_MAX: usize = 100;
/// Bytes of an outgoing message's address.
pub const OUTGOING_ADDRESS_BYTES_MAX: usize = 320;
/// Outgoing messages that one mailbox may have waiting.
pub const OUTBOX_MAX: u32 = 10_000;
/// Ids that one command may have remembered.
pub const SEEN_PER_COMMAND_MAX: usize = 32;
/// Ids that a mailbox remembers; beyond it the ones that end first go.
pub const SEEN_MAX: u32 = 20_000;
/// How long an id can be remembered, milliseconds (RFC 5230 §4.1: at least 30 days; RFC 7352 §3.3 lets us bound it).
pub const SEEN_MS_MAX: u64 = 90 * 24 * 60 * 60 * 1000;
/// Scripts in a mailbox.
pub const SCRIPTS_MAX: u32 = 64;
/// Bytes of one script.
pub const SCRIPT_BYTES_MAX: usize = 256 * 1024;
/// Bytes of a mailbox's scripts together.
pub const SCRIPTS_BYTES_MAX: u64 = 1024 * 1024;
/// Bytes of a script's name: 128 characters are what RFC 5804 §1.6 asks for at least.
pub const SCRIPT_NAME_BYTES_MAX: usize = 512;

/// The name of something to be remembered: a hash that the edge makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(transparent)]
pub struct SeenId(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 32]);

/// Something to be remembered for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Remember {
    /// What.
    #[n(0)]
    pub id: SeenId,
    /// How long from now, milliseconds; at most [`SEEN_MS_MAX`].
    #[n(1)]
    pub for_ms: u64,
}

/// Bytes that a [`Delivery`] files or sends.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Content {
    /// The bytes.
    #[n(0)]
    pub body: Body,
    /// What parsing found; needed to file it.
    #[n(1)]
    pub parsed: Option<Parsed>,
}

/// The folder a message is to go into. What is not there, and not to be made, is the Inbox.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Target {
    /// By id.
    #[n(0)]
    Folder(#[n(0)] FolderId),
    /// By path.
    #[n(1)]
    Path {
        /// UTF-8, `/` between names.
        #[n(0)]
        path: String,
        /// Make it and its parents when missing (RFC 5490 §3.2).
        #[n(1)]
        create: bool,
    },
    /// The folder with this use (RFC 8579), else by path.
    #[n(2)]
    Use {
        /// The use.
        #[n(0)]
        special_use: SpecialUse,
        /// Otherwise.
        #[n(1)]
        path: String,
        /// Make that one, with the use, when missing.
        #[n(2)]
        create: bool,
    },
}

/// One copy to be filed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Filing {
    /// Which of the contents.
    #[n(0)]
    pub content: u32,
    /// Where to.
    #[n(1)]
    pub target: Target,
    /// Flags; a delivery that is not marked read sets [`Flags::UNREAD`].
    #[n(2)]
    pub flags: Flags,
    /// Keywords; ones the mailbox cannot take are left out.
    #[n(3)]
    pub keywords: Vec<String>,
}

/// Why a message leaves a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum OutgoingKind {
    /// Sieve `redirect`, or a forwarding address.
    #[n(0)]
    Redirect,
    /// Sieve `vacation`.
    #[n(1)]
    Vacation,
    /// Sieve `reject` by message.
    #[n(2)]
    Reject,
    /// Sieve `notify`.
    #[n(3)]
    Notify,
    /// A report of what became of another outgoing message (RFC 3464).
    #[n(4)]
    Report,
    /// A user's own message.
    #[n(5)]
    Submitted,
    /// Mail that belongs to no user here: for the other half of a split domain, an archive.
    #[n(6)]
    Relayed,
}

/// A message to put into the outbox.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct NewOutgoing {
    /// Which of the contents.
    #[n(0)]
    pub content: u32,
    /// Why.
    #[n(1)]
    pub kind: OutgoingKind,
    /// Reverse-path; empty is the null one.
    #[n(2)]
    pub sender: String,
    /// Forward-paths, at least one.
    #[n(3)]
    pub recipients: Vec<String>,
    /// Send it only if this id is not remembered, and remember it then (RFC 5230 §4.2).
    #[n(4)]
    pub once: Option<Remember>,
}

/// A message that arrived for a mailbox, with what is to be done about it: all of it happens, or nothing.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Delivery {
    /// INTERNALDATE, Unix milliseconds.
    #[n(0)]
    pub internal_ms: i64,
    /// The bytes, at most [`CONTENTS_MAX`].
    #[n(1)]
    pub contents: Vec<Content>,
    /// Where they go, at most [`FILINGS_MAX`]; none: the message is discarded.
    #[n(2)]
    pub filings: Vec<Filing>,
    /// What leaves, at most [`OUTGOING_MAX`].
    #[n(3)]
    pub outgoing: Vec<NewOutgoing>,
    /// Ids to remember (RFC 7352), at most [`SEEN_PER_COMMAND_MAX`].
    #[n(4)]
    pub remember: Vec<Remember>,
    /// A second message with the same key within the window is answered as a duplicate.
    #[n(5)]
    pub delivery_key: DeliveryKey,
    /// The version of the mailbox's scripts that decided; 0: it had none. Another one now: `Conflict`.
    #[n(6)]
    pub scripts: u64,
    /// Tell when the quota's warning level is reached.
    #[n(7)]
    pub warn: Option<QuotaWarning>,
}

/// When an owner is told that the mailbox fills up (`zimbraQuotaWarnPercent`, `zimbraQuotaWarnInterval`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct QuotaWarning {
    /// Level in percent of the quota, 1 to 100.
    #[n(0)]
    pub percent: u32,
    /// At least so long between two warnings, milliseconds.
    #[n(1)]
    pub interval_ms: u64,
}

/// A copy that was filed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Filed {
    /// The item.
    #[n(0)]
    pub item: ItemId,
    /// Where.
    #[n(1)]
    pub folder: FolderId,
    /// As what.
    #[n(2)]
    pub uid: Uid,
}

/// What became of a [`Delivery`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Delivered {
    /// Copies filed.
    #[n(0)]
    pub filed: Vec<Filed>,
    /// Messages put into the outbox (those with `once` may have been left out).
    #[n(1)]
    pub outgoing: u32,
    /// The delivery key was known: nothing was done.
    #[n(2)]
    pub duplicate: bool,
    /// The owner is to be warned: bytes used and the quota.
    #[n(3)]
    pub warn: Option<(u64, u64)>,
}

/// A message in the outbox.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Outgoing {
    /// Its number in the shard.
    #[n(0)]
    pub number: u64,
    /// Why it leaves.
    #[n(1)]
    pub kind: OutgoingKind,
    /// When it was put there, Unix milliseconds.
    #[n(2)]
    pub queued_ms: u64,
    /// When it may be tried next; a claim moves it on.
    #[n(3)]
    pub due_ms: u64,
    /// Tries begun.
    #[n(4)]
    pub attempts: u32,
    /// Reverse-path.
    #[n(5)]
    pub sender: String,
    /// Recipients that do not have it yet.
    #[n(6)]
    pub recipients: Vec<String>,
    /// The bytes.
    #[n(7)]
    pub blob: BlobRef,
    /// Why the last try failed; empty before the first.
    #[n(8)]
    pub note: String,
    /// What it asks for on its way.
    #[n(9)]
    pub terms: Option<Box<Terms>>,
    /// An operator holds it.
    #[cbor(n(10), default)]
    pub held: bool,
    /// Its sender was told that it is late.
    #[cbor(n(11), default)]
    pub warned: bool,
}

/// What a try to send an outgoing message led to.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Settlement {
    /// Which message.
    #[n(0)]
    pub number: u64,
    /// The claim under which it was tried: the message's `due_ms` since.
    #[n(1)]
    pub claim: u64,
    /// Recipients that need no more tries.
    #[n(2)]
    pub done: Vec<String>,
    /// When to try again for the others, Unix milliseconds.
    #[n(3)]
    pub retry_ms: u64,
    /// Why they failed, at most 500 bytes of it are kept.
    #[n(4)]
    pub note: String,
    /// Reports for the sender: put into the outbox with the same command.
    #[n(5)]
    pub contents: Vec<Content>,
    /// The reports.
    #[n(6)]
    pub outgoing: Vec<NewOutgoing>,
    /// One of the reports tells the sender that the message is late.
    #[cbor(n(7), default)]
    pub warned: bool,
}

/// A script as listed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ScriptInfo {
    /// Its name.
    #[n(0)]
    pub name: String,
    /// Bytes.
    #[n(1)]
    pub size: u64,
    /// Whether it decides about deliveries.
    #[n(2)]
    pub active: bool,
}

/// A script with its text.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ScriptText {
    /// Its name.
    #[n(0)]
    pub name: String,
    /// UTF-8 text.
    #[cbor(n(1), with = "crate::codec::bytes_field")]
    pub source: Bytes,
}

/// What running a mailbox's filters needs to know of it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct FilterView {
    /// The scripts' version: goes into [`Delivery::scripts`].
    #[n(0)]
    pub version: u64,
    /// The active script's name.
    #[n(1)]
    pub active: Option<String>,
    /// The active script, and the others when they were asked for.
    #[n(2)]
    pub scripts: Vec<ScriptText>,
    /// The folders, when they were asked for.
    #[n(3)]
    pub folders: Vec<Folder>,
    /// Whether each of the ids asked for is remembered.
    #[n(4)]
    pub seen: Vec<bool>,
}
