//! Volumes: where bodies lie outside of the shards.
//!
//! A volume is a folder or a bucket that every node reaches, known by a name (`docs/storage.md`). What lies there is
//! written once under a fresh name, never changed, read in ranges, and removed when nothing refers to it.

use crate::error::{Error, Result};
use bytes::Bytes;
use futures::future::BoxFuture;
use std::ops::Range;

/// Characters of a volume's name at most.
pub const VOLUME_NAME_MAX: usize = 63;
/// Bytes of an object's name at most.
pub const OBJECT_NAME_MAX: usize = 512;
/// Bytes of an object at most: what is larger stays in its shard.
pub const OBJECT_MAX: u64 = 256 * 1024 * 1024;

/// An object of a volume, as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name within the volume.
    pub object: String,
    /// Its bytes.
    pub bytes: u64,
    /// When it was written by the store's clock, Unix milliseconds.
    pub changed_ms: u64,
}

/// Requests sent to stores: what they are paid for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// Reads of objects.
    pub gets: u64,
    /// Writes of objects.
    pub puts: u64,
    /// Deletions of objects.
    pub deletes: u64,
    /// Lists of names.
    pub lists: u64,
}

/// The volumes of this cluster, from this node. Implemented by `volume/`, and by the simulator in memory with faults.
/// Futures borrow nothing: they may outlive the call.
///
/// Every call ends within a bounded time and may be repeated. `Unavailable` says that the store cannot be asked now
/// (also: that this node does not know the volume yet), and nothing about what lies there.
pub trait Volumes: Send + Sync + 'static {
    /// Exactly the bytes `range` of an object.
    ///
    /// # Errors
    /// `NotFound`: the store answers, and there is no such object, or it ends before the range does.
    fn read(&self, volume: &str, object: &str, range: Range<u64>) -> BoxFuture<'static, Result<Bytes>>;

    /// The same as [`read`](Self::read), surely from the store and not from a copy that is kept nearby.
    fn fetch(&self, volume: &str, object: &str, range: Range<u64>) -> BoxFuture<'static, Result<Bytes>> {
        self.read(volume, object, range)
    }

    /// Writes a new object, durable when it returns; again with the same bytes: fine. After an error it may be there.
    ///
    /// # Errors
    /// `Exists`: there is one of that name with other bytes (names are fresh: random or by content). `TooLarge`: see
    /// [`OBJECT_MAX`].
    fn put(&self, volume: &str, object: &str, bytes: Bytes) -> BoxFuture<'static, Result<()>>;

    /// Removes an object; no error when it is not there. After an error it may be gone.
    fn delete(&self, volume: &str, object: &str) -> BoxFuture<'static, Result<()>>;

    /// Objects whose names begin with `prefix`, behind `after` (empty: from the first), at most `limit`, in the bytewise
    /// order of names. `prefix` is empty or ends with `/`. Fewer than `limit`: these are the last.
    fn list(&self, volume: &str, prefix: &str, after: &str, limit: usize) -> BoxFuture<'static, Result<Vec<Listed>>>;

    /// The volume that bodies go to where no rule says otherwise, if there is one.
    fn default_volume(&self) -> Option<String>;

    /// Requests that this node has sent to volumes since it started, repetitions included.
    fn requests(&self) -> Requests {
        Requests::default()
    }

    /// All volumes, by name.
    fn names(&self) -> Vec<String> {
        self.default_volume().into_iter().collect()
    }
}

/// What is known of a volume by those who refer to it. Implemented by the router over all shards.
pub trait VolumeUse: Send + Sync + 'static {
    /// How many bodies lie on a volume, by what all shards say now.
    ///
    /// # Errors
    /// `Unavailable` when a shard does not answer: it may have some.
    fn bodies(&self, volume: &str) -> BoxFuture<'static, Result<u64>>;
}

/// # Errors
/// `Invalid`: not a name for a volume (small letters, digits, `-`; at most [`VOLUME_NAME_MAX`]).
pub fn check_volume_name(name: &str) -> Result<()> {
    let fit = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    match !name.is_empty() && name.len() <= VOLUME_NAME_MAX && !name.starts_with('-') && name.bytes().all(fit) {
        true => Ok(()),
        false => Err(Error::Invalid(format!(
            "a volume's name is made of small letters, digits and -, at most {VOLUME_NAME_MAX}: {name:?}"
        ))),
    }
}

/// # Errors
/// `Invalid`: not a name for an object (parts of letters, digits, `.`, `_`, `-`, apart by `/`, no part beginning with `.`;
/// at most [`OBJECT_NAME_MAX`] bytes).
pub fn check_object_name(name: &str) -> Result<()> {
    let fit = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let part = |p: &str| !p.is_empty() && !p.starts_with('.') && p.len() <= 255 && p.bytes().all(fit);
    match name.len() <= OBJECT_NAME_MAX && name.split('/').all(part) {
        true => Ok(()),
        false => Err(Error::Invalid(format!("not a name of an object: {name:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "cold-2", "0"] {
            assert!(check_volume_name(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "A", "a b", "a/b", "ä", &"a".repeat(64)] {
            assert!(check_volume_name(bad).is_err(), "{bad}");
        }
        for good in ["a", "packs/17/0A.zp", "a-b_c.d"] {
            assert!(check_object_name(good).is_ok(), "{good}");
        }
        for bad in ["", "/a", "a/", "a//b", "..", "a/../b", ".hidden", "a b", "a\0", "%2e", &"a".repeat(513)] {
            assert!(check_object_name(bad).is_err(), "{bad}");
        }
    }
}
