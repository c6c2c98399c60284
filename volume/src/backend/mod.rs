//! What a volume is underneath: a folder or an object store. One try each, without repetition.

pub(crate) mod folder;
mod remote;

use crate::config::{Credentials, VolumeConfig};
use bytes::Bytes;
use futures::future::BoxFuture;
use std::ops::Range;
use zcluster_api::{Listed, Result};

/// How a try ended that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// There is no such object.
    #[error("no such object")]
    NotFound,
    /// There is one of that name already.
    #[error("the object exists already")]
    Exists,
    /// The object ends before the range begins.
    #[error("the object is shorter")]
    Short,
    /// The store will say the same again: wrong credentials, no permission, no such bucket.
    #[error("{0}")]
    Refused(String),
    /// It may be otherwise in a moment.
    #[error("{0}")]
    Away(String),
}

/// Bytes of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// From where they were asked for, up to where the range or the object ends.
    pub bytes: Bytes,
    /// Bytes of the whole object.
    pub size: u64,
}

/// One store. Names of objects were checked, or are ours.
pub(crate) trait Backend: Send + Sync + 'static {
    /// Bytes `range`, as far as the object goes.
    fn get(&self, object: &str, range: Range<u64>) -> BoxFuture<'_, Result<Piece, Fault>>;
    /// Writes it, durably, unless there is one of that name.
    fn put(&self, object: &str, bytes: Bytes) -> BoxFuture<'_, Result<(), Fault>>;
    /// Removes it; fine when it is not there.
    fn delete(&self, object: &str) -> BoxFuture<'_, Result<(), Fault>>;
    /// As [`zcluster_api::Volumes::list`], hidden names left out.
    fn list(&self, prefix: &str, after: &str, limit: usize) -> BoxFuture<'_, Result<Vec<Listed>, Fault>>;
    /// Whether it can vanish and leave an empty one in its place (a folder whose file system is not mounted), so that
    /// its mark is looked at before each write.
    fn may_be_replaced(&self) -> bool;
    /// How it makes what was written durable, for people.
    fn durability(&self) -> &'static str;
}

/// Opens a volume; no I/O.
///
/// # Errors
/// `Invalid`: its settings do not go together.
pub(crate) fn open(config: &VolumeConfig, credentials: &Credentials) -> Result<Box<dyn Backend>> {
    match config.is_folder() {
        true => Ok(Box::new(folder::Folder::new(config.folder.clone(), folder::Os))),
        false => Ok(Box::new(remote::Remote::open(config, credentials)?)),
    }
}

/// Whether a name is one of those that are not shown.
pub(crate) fn is_hidden(object: &str) -> bool {
    object.split('/').any(|part| part.starts_with('.'))
}
