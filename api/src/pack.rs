//! Moving bodies between a shard and objects of a volume: the commands of the packer, which every replica applies.
//!
//! An object goes `Announce` (it may be about to be written) -> `Moved` (it is written, these bodies lie in it) -> when
//! nothing lies in it any more: trash -> `Claim` (it may be deleted from the volume now) -> `Forget` (it was).

use crate::body::Codec;
use crate::ids::BlobId;
use bytes::Bytes;
use minicbor::{Decode, Encode};

/// Bodies that one [`BodiesCommand::Moved`] may name.
pub const MOVED_MAX: usize = 1_024;
/// Objects of a shard that may be announced and neither filled nor given up.
pub const ANNOUNCED_MAX: u64 = 10_000;
/// An object of whose bodies' bytes less than this share is still needed is packed again, per cent.
pub const SPARSE_PERCENT: u64 = 50;

/// Stored bytes that one [`BodiesCommand::Return`] may carry.
pub const RETURNED_BYTES_MAX: usize = 1024 * 1024;

/// A body's place in an object.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Placed {
    /// Whose.
    #[n(0)]
    pub id: BlobId,
    /// First byte within the object.
    #[n(1)]
    pub offset: u64,
    /// Stored bytes.
    #[n(2)]
    pub len: u64,
    /// Their compression.
    #[n(3)]
    pub codec: Codec,
}

/// A change to where a shard's bodies are.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum BodiesCommand {
    /// From now on bodies that lie in the shard are kept in order of age; enters up to `max` that were there before.
    #[n(0)]
    Order {
        /// Rows looked at, at most.
        #[n(0)]
        max: u32,
    },
    /// An object of this fresh name may be written from now on. `TooLarge` beyond [`ANNOUNCED_MAX`].
    #[n(1)]
    Announce {
        /// Volume.
        #[n(0)]
        volume: String,
        /// Name within the volume.
        #[n(1)]
        object: String,
    },
    /// An announced object is durable on its volume, and holds these bodies: those of them that still exist, and lie in
    /// the shard or in one of the objects `from`, lie there from now on. `Conflict` when it was taken for complete
    /// meanwhile, `NotFound` when it was given up: nothing lies in it then, nor ever will.
    #[n(2)]
    Moved {
        /// The object's number.
        #[n(0)]
        object: u64,
        /// Its bytes.
        #[n(1)]
        bytes: u64,
        /// At most [`MOVED_MAX`].
        #[n(2)]
        entries: Vec<Placed>,
        /// Objects that it takes bodies over from.
        #[n(3)]
        from: Vec<u64>,
        /// Nothing more comes.
        #[n(4)]
        last: bool,
    },
    /// Asks leave to delete an object from its volume: given when it has been in the trash, or announced without a body
    /// in it, for `kept_ms`. One that was announced so long ago and holds bodies is taken for complete.
    #[n(3)]
    Claim {
        /// The object's number.
        #[n(0)]
        object: u64,
        /// How long it must have been so, milliseconds.
        #[n(1)]
        kept_ms: u64,
    },
    /// A claimed object was deleted. One that never held a body goes to the trash once more instead of being forgotten:
    /// a write that was given up may still have come after the deletion.
    #[n(4)]
    Forget {
        /// The object's number.
        #[n(0)]
        object: u64,
        /// When it was claimed.
        #[n(1)]
        claimed_ms: u64,
    },
    /// Removes up to so many chunks of dead bodies.
    #[n(5)]
    Sweep {
        /// Chunks.
        #[n(0)]
        chunks: u32,
    },
    /// Bodies come back from an object into the shard: those that still lie in it, and whose pieces came in order and are
    /// as many bytes as the object holds of them. Others stay where they are.
    #[n(6)]
    Return {
        /// The object's number.
        #[n(0)]
        object: u64,
        /// At most [`MOVED_MAX`], and [`RETURNED_BYTES_MAX`] bytes together.
        #[n(1)]
        pieces: Vec<Returned>,
    },
}

/// A piece of a body that comes back into its shard.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Returned {
    /// Whose.
    #[n(0)]
    pub id: BlobId,
    /// Its number; 0 begins anew.
    #[n(1)]
    pub seq: u32,
    /// No more come.
    #[n(2)]
    pub last: bool,
    /// Stored bytes: each piece but the last has [`crate::body::CHUNK_MAX`].
    #[cbor(n(3), with = "crate::codec::bytes_field")]
    pub bytes: Bytes,
}

/// The answer to a [`BodiesCommand`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum BodiesReceipt {
    /// To `Order`.
    #[n(0)]
    Ordered {
        /// There are bodies left to enter.
        #[n(0)]
        more: bool,
    },
    /// To `Announce`.
    #[n(1)]
    Announced {
        /// The object's number within the shard.
        #[n(0)]
        object: u64,
    },
    /// To `Moved` and `Return`.
    #[n(2)]
    Moved {
        /// Bodies that lie in the object, or in the shard again, because of this command.
        #[n(0)]
        bodies: u64,
    },
    /// To `Claim`.
    #[n(3)]
    Claimed(#[n(0)] Option<ClaimedObject>),
    /// To `Forget` and `Sweep`.
    #[n(4)]
    Done,
}

/// An object that may be deleted from its volume.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ClaimedObject {
    /// Volume.
    #[n(0)]
    pub volume: String,
    /// Name within the volume.
    #[n(1)]
    pub object: String,
    /// When leave was given, Unix milliseconds: to be told with `Forget`.
    #[n(2)]
    pub claimed_ms: u64,
}
