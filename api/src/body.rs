//! Message bodies: immutable, named by content, small ones inside the command, large ones uploaded before it.

use crate::ids::{BlobId, FolderId, RequestId, Uid};
use bytes::Bytes;
use minicbor::{Decode, Encode};

/// Stored bytes above this ride to the shard as chunks before the command that names them.
pub const INLINE_BODY_MAX: usize = 128 * 1024;
/// The largest chunk of an upload, bytes.
pub const CHUNK_MAX: usize = 256 * 1024;

/// How stored bytes are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Codec {
    /// As they are.
    #[n(0)]
    Plain,
    /// One zstd frame.
    #[n(1)]
    Zstd,
}

/// Where a body's bytes are.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Place {
    /// In the shard's own `body` table, on every replica.
    #[n(0)]
    Shard {
        /// Compression of the stored bytes.
        #[n(0)]
        codec: Codec,
        /// Stored bytes, over all chunks.
        #[n(1)]
        stored: u64,
        /// Number of stored chunks; each but the last holds [`CHUNK_MAX`] bytes.
        #[n(2)]
        chunks: u32,
    },
    /// In an object of a volume, perhaps among others (a pack).
    #[n(1)]
    Object {
        /// Volume name in cluster config.
        #[n(0)]
        volume: String,
        /// Object name within the volume.
        #[n(1)]
        object: String,
        /// First byte within the object.
        #[n(2)]
        offset: u64,
        /// Stored bytes.
        #[n(3)]
        len: u64,
        /// Compression of the stored bytes.
        #[n(4)]
        codec: Codec,
    },
}

/// A reference to a stored body.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct BlobRef {
    /// Content name.
    #[n(0)]
    pub id: BlobId,
    /// Bytes as accepted, uncompressed (RFC822.SIZE).
    #[n(1)]
    pub size: u64,
    /// Where the bytes are.
    #[n(2)]
    pub place: Place,
    /// The message that told of it, in a reply to an account that is not the owner: only by it such an account may read
    /// the body (docs/decisions/0015).
    #[n(3)]
    pub at: Option<BlobAt>,
}

/// A message that has a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct BlobAt {
    /// Its folder.
    #[n(0)]
    pub folder: FolderId,
    /// Its UID.
    #[n(1)]
    pub uid: Uid,
}

/// A body made ready by the edge (hashed, compressed) but not yet stored.
#[derive(Clone, Debug)]
pub struct PreparedBody {
    /// Content name.
    pub id: BlobId,
    /// Bytes as accepted.
    pub size: u64,
    /// Compression of `stored`.
    pub codec: Codec,
    /// The bytes to store.
    pub stored: Bytes,
}

/// A body as a command names it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Body {
    /// Small: the bytes are here.
    #[n(0)]
    Inline {
        /// Content name.
        #[n(0)]
        id: BlobId,
        /// Bytes as accepted.
        #[n(1)]
        size: u64,
        /// Compression of `stored`.
        #[n(2)]
        codec: Codec,
        /// At most [`INLINE_BODY_MAX`] bytes.
        #[cbor(n(3), with = "crate::codec::bytes_field")]
        stored: Bytes,
    },
    /// Large: `chunks` chunks were written under `upload` in the same shard before.
    #[n(1)]
    Uploaded {
        /// Content name.
        #[n(0)]
        id: BlobId,
        /// Bytes as accepted.
        #[n(1)]
        size: u64,
        /// Compression of the chunks, as one stream.
        #[n(2)]
        codec: Codec,
        /// Names the upload.
        #[n(3)]
        upload: RequestId,
        /// Number of chunks.
        #[n(4)]
        chunks: u32,
        /// Stored bytes over all chunks.
        #[n(5)]
        stored: u64,
    },
    /// Large, and on a volume already: alone in an object that was announced to the same shard before.
    #[n(2)]
    Placed {
        /// Content name.
        #[n(0)]
        id: BlobId,
        /// Bytes as accepted.
        #[n(1)]
        size: u64,
        /// Compression of the object's bytes.
        #[n(2)]
        codec: Codec,
        /// The object's number in the shard.
        #[n(3)]
        object: u64,
        /// The object's bytes.
        #[n(4)]
        stored: u64,
    },
}

impl Body {
    /// The content name.
    pub fn id(&self) -> BlobId {
        match self {
            Body::Inline { id, .. } | Body::Uploaded { id, .. } | Body::Placed { id, .. } => *id,
        }
    }
    /// Bytes as accepted.
    pub fn size(&self) -> u64 {
        match self {
            Body::Inline { size, .. } | Body::Uploaded { size, .. } | Body::Placed { size, .. } => *size,
        }
    }
}

impl PreparedBody {
    /// The inline form, or `None` when the body must be uploaded.
    pub fn inline(&self) -> Option<Body> {
        (self.stored.len() <= INLINE_BODY_MAX).then(|| Body::Inline {
            id: self.id,
            size: self.size,
            codec: self.codec,
            stored: self.stored.clone(),
        })
    }
}
