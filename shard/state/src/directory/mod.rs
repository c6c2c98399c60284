//! The directory machine.
use crate::kv::{Kv, KvRead};
use crate::proposal::{Effect, Stamp};
use zcluster_api::{DirectoryCommand, DirectoryQuery, DirectoryReply, Error, Result};

pub(crate) fn apply(
    kv: &mut dyn Kv,
    stamp: Stamp,
    command: &DirectoryCommand,
    effects: &mut Vec<Effect>,
) -> Result<DirectoryReply> {
    let _ = (kv, stamp, command, effects);
    Err(Error::Unavailable("in work".into()))
}

/// Answers a question about the directory.
///
/// # Errors
/// What the query documents.
pub fn read_directory(kv: &dyn KvRead, query: &DirectoryQuery) -> Result<DirectoryReply> {
    let _ = (kv, query);
    Err(Error::Unavailable("in work".into()))
}
