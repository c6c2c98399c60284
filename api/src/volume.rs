//! The seam to volumes: object stores and folders outside the shards, in which packed bodies lie.

use crate::error::Result;
use bytes::Bytes;
use futures::future::BoxFuture;
use std::ops::Range;

/// An object as a listing tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub object: String,
    /// Bytes.
    pub bytes: u64,
    /// When it was last changed, Unix milliseconds by the store's clock.
    pub changed_ms: u64,
}

/// Where bodies lie outside the shards. Implemented by `volume/` over `object_store`, by the simulator in memory with
/// faults.
pub trait Volumes: Send + Sync + 'static {
    /// Bytes `range` of an object.
    ///
    /// # Errors
    /// `NotFound`: there is no such object (any more), or it ends before the range; `Unavailable`: the store cannot be
    /// asked now.
    fn read(&self, volume: &str, object: &str, range: Range<u64>) -> BoxFuture<'static, Result<Bytes>>;

    /// Writes a new object, durable when it returns. An object of that name is never overwritten with other bytes: names
    /// are fresh. After an error the object may be there, now or a little later.
    ///
    /// # Errors
    /// `Unavailable`.
    fn put(&self, volume: &str, object: &str, bytes: Bytes) -> BoxFuture<'static, Result<()>>;

    /// Removes it; no error when it is not there.
    ///
    /// # Errors
    /// `Unavailable`.
    fn delete(&self, volume: &str, object: &str) -> BoxFuture<'static, Result<()>>;

    /// Objects whose names begin with `prefix`, behind `after`, at most `limit`, by rising name. May lag behind.
    ///
    /// # Errors
    /// `Unavailable`.
    fn list(&self, volume: &str, prefix: &str, after: &str, limit: usize) -> BoxFuture<'static, Result<Vec<Listed>>>;

    /// The volume that bodies of this cluster go to by default, if one is configured.
    fn default_volume(&self) -> Option<String>;
}
