//! The directory machine.
use crate::kv::KvRead;
use zcluster_api::{DirectoryQuery, DirectoryReply, Error, Result};

/// Answers a question about the directory.
///
/// # Errors
/// What the query documents.
pub fn read_directory(kv: &dyn KvRead, query: &DirectoryQuery) -> Result<DirectoryReply> {
    let _ = (kv, query);
    Err(Error::Unavailable("in work".into()))
}
