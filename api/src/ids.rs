//! Names of things: small copyable ids, each its own type.

use minicbor::{Decode, Encode};
use std::fmt;

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident($t:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
        #[cbor(transparent)]
        pub struct $name(#[n(0)] pub $t);
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { self.0.fmt(f) }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{}({})", stringify!($name), self.0) }
        }
        impl From<$t> for $name { fn from(v: $t) -> Self { $name(v) } }
    };
}

number_id!(
    /// A Raft node id: `(node number << 16) | disk incarnation`. A disk that lost synced data gets a new incarnation
    /// and so a new id; the old id never votes again.
    NodeId(u64));
number_id!(
    /// A Raft group. Group 0 is the directory; group `n` (from 1) is mailbox shard `n`.
    GroupId(u32));
number_id!(
    /// A mailbox's short, never re-used number, handed out by the directory.
    MailboxId(u64));
number_id!(
    /// A folder within a mailbox: reserved ids below 256 (Zimbra's), then from the item counter.
    FolderId(u32));
number_id!(
    /// An item within a mailbox; one counter for messages, folders and tags, from 256 (Zimbra's data model §1).
    ItemId(u32));
number_id!(
    /// An IMAP UID (RFC 3501 §2.3.1.1), unique and rising within a folder and its UIDVALIDITY.
    Uid(u32));
number_id!(
    /// A mailbox change number (RFC 7162 mod-sequence; Zimbra's change id): one counter per mailbox.
    ModSeq(u64));
number_id!(
    /// The version of a mailbox's home; raised whenever the mailbox moves to another shard.
    Epoch(u64));

impl NodeId {
    /// Builds the id of disk incarnation `incarnation` of node `number`.
    pub fn new(number: u32, incarnation: u16) -> Self {
        NodeId((u64::from(number) << 16) | u64::from(incarnation))
    }
    /// The node number, which stays when the disk is replaced.
    pub fn number(self) -> u32 {
        (self.0 >> 16) as u32
    }
    /// The disk incarnation.
    pub fn incarnation(self) -> u16 {
        self.0 as u16
    }
}

impl GroupId {
    /// The directory's group.
    pub const DIRECTORY: GroupId = GroupId(0);
}

macro_rules! byte_id {
    ($(#[$doc:meta])* $name:ident($n:expr)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
        #[cbor(transparent)]
        pub struct $name(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; $n]);
        impl $name {
            /// Lower-case hexadecimal.
            pub fn hex(&self) -> String { self.0.iter().map(|b| format!("{b:02x}")).collect() }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.hex()) }
        }
    };
}

byte_id!(
    /// A request id, 128 random bits: the same id is the same intention, whoever carries it. The state machine keeps
    /// its reply, so a retry after an unknown outcome is answered, not repeated.
    RequestId(16));
byte_id!(
    /// An account's `zimbraId` (a UUID).
    AccountId(16));
byte_id!(
    /// BLAKE3 of a message's RFC 5322 bytes as accepted.
    BlobId(32));
byte_id!(
    /// Names one delivery of one message; a mailbox accepts each key once within its window.
    DeliveryKey(32));

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}
impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}
impl fmt::Display for AccountId {
    /// Hyphenated UUID form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let (mut text, mut at) = ([b'-'; 36], 0);
        for (i, b) in self.0.iter().enumerate() {
            at += usize::from(matches!(i, 4 | 6 | 8 | 10));
            (text[at], text[at + 1]) = (DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]);
            at += 2;
        }
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}
impl std::str::FromStr for AccountId {
    type Err = ();
    fn from_str(s: &str) -> Result<Self, ()> {
        let hex: Vec<u8> = s.bytes().filter(|b| *b != b'-').collect();
        if hex.len() != 32 || !matches!(s.len(), 32 | 36) {
            return Err(());
        }
        let mut out = [0; 16];
        for (i, pair) in hex.chunks(2).enumerate() {
            let digits = std::str::from_utf8(pair).map_err(|_| ())?;
            out[i] = u8::from_str_radix(digits, 16).map_err(|_| ())?;
        }
        Ok(AccountId(out))
    }
}
