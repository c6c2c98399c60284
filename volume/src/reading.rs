//! Reads through the cache: what is missing is fetched once, however many wait for it, and with its neighbours where
//! somebody reads one body after the other (a folder's bodies lie side by side in their packs).

use crate::cache::{BLOCK, Cache, CacheConfig, Key, key};
use crate::store::Store;
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Weak};
use zcluster_api::{Error, Result};

/// What is fetched at once for one who reads in order; and what is longer is not kept, nor looked for.
const REGION: u64 = 1024 * 1024;
/// A read that begins so near to the one before is in order.
const NEAR: u64 = 128 * 1024;
/// Objects whose last read is remembered.
const TRACKS_MAX: usize = 4096;

/// The way to bytes of objects.
pub(crate) struct Reading {
    cache: Cache,
    tracks: Mutex<BTreeMap<Key, Track>>,
    /// Who fetches what, by region of an object.
    fetching: Mutex<BTreeMap<Key, Weak<tokio::sync::Mutex<()>>>>,
}

/// The last read of an object.
#[derive(Clone, Copy)]
struct Track {
    begin: u64,
    end: u64,
    way: Way,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Nothing is known.
    Here,
    Forward,
    /// Newest first, as many clients do.
    Backward,
}

impl Track {
    /// How `next` follows this one.
    fn follow(&self, next: &Range<u64>) -> Way {
        if next.start >= self.begin && next.start <= self.end.saturating_add(NEAR) && next.end > self.end {
            Way::Forward
        } else if next.end <= self.end && next.end.saturating_add(NEAR) >= self.begin && next.start < self.begin {
            Way::Backward
        } else if next.start >= self.begin && next.end <= self.end {
            // The same again, or a part of it: an envelope, then the body.
            self.way
        } else {
            Way::Here
        }
    }
}

impl Reading {
    pub(crate) fn new(config: &CacheConfig) -> Self {
        Reading { cache: Cache::open(config), tracks: Mutex::default(), fetching: Mutex::default() }
    }

    /// See [`zcluster_api::Volumes::read`].
    pub(crate) async fn read(&self, store: &Store, object: &str, range: Range<u64>) -> Result<Bytes> {
        if range.start >= range.end {
            return Ok(Bytes::new());
        }
        if range.end - range.start > REGION {
            let piece = store.get(object, range.clone()).await?;
            return exact(piece.bytes, &range, object);
        }
        let way = self.track(store, object, &range);
        let place = &store.config.url;
        let first = range.start / BLOCK;
        let numbers: Vec<u64> = (first..range.end.div_ceil(BLOCK)).collect();
        let keys: Vec<Key> = numbers.iter().map(|n| key(place, object, *n)).collect();
        let mut blocks = self.cache.get(&keys).await;
        if blocks.iter().any(Option::is_none) {
            let lock = self.lock(key(place, object, range.start / REGION));
            let _only = lock.lock().await;
            // Perhaps it came while this one waited.
            for (i, block) in blocks.iter_mut().enumerate().filter(|(_, b)| b.is_none()) {
                *block = self.cache.peek(&keys[i]);
            }
            let missing: Vec<u64> = numbers.iter().zip(&blocks).filter(|(_, b)| b.is_none()).map(|(n, _)| *n).collect();
            if let (Some(begin), Some(end)) = (missing.first(), missing.last()) {
                let wanted = begin * BLOCK..(end + 1) * BLOCK;
                let fetched = self.fetch(store, object, widen(&wanted, way), &wanted).await?;
                for (i, block) in blocks.iter_mut().enumerate().filter(|(_, b)| b.is_none()) {
                    *block = fetched.get(&numbers[i]).cloned();
                }
            }
        }
        exact(assemble(&blocks, range.start - first * BLOCK, range.end - range.start), &range, object)
    }

    fn track(&self, store: &Store, object: &str, range: &Range<u64>) -> Way {
        let mut tracks = self.tracks.lock();
        let key = key(&store.config.url, object, 0);
        let way = tracks.get(&key).map_or(Way::Here, |track| track.follow(range));
        if tracks.len() >= TRACKS_MAX && !tracks.contains_key(&key) {
            // Rare, and cheap to learn again.
            tracks.clear();
        }
        tracks.insert(key, Track { begin: range.start, end: range.end, way });
        way
    }

    fn lock(&self, key: Key) -> Arc<tokio::sync::Mutex<()>> {
        let mut fetching = self.fetching.lock();
        if let Some(lock) = fetching.get(&key).and_then(Weak::upgrade) {
            return lock;
        }
        fetching.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::default();
        fetching.insert(key, Arc::downgrade(&lock));
        lock
    }

    /// Fetches whole blocks, keeps them, and gives out all of them by number.
    async fn fetch(
        &self,
        store: &Store,
        object: &str,
        range: Range<u64>,
        wanted: &Range<u64>,
    ) -> Result<BTreeMap<u64, Bytes>> {
        let piece = store.get(object, range.clone()).await?;
        let extra = (piece.bytes.len() as u64).saturating_sub(wanted.end - wanted.start);
        metrics::counter!("zcluster_volume_prefetched_bytes_total", "volume" => store.name().to_string())
            .increment(extra);
        let first = range.start / BLOCK;
        let mut out = BTreeMap::new();
        let mut at = 0;
        while at < piece.bytes.len() {
            let end = (at + BLOCK as usize).min(piece.bytes.len());
            out.insert(first + out.len() as u64, piece.bytes.slice(at..end));
            at = end;
        }
        let place = &store.config.url;
        self.cache.put(out.iter().map(|(n, block)| (key(place, object, *n), block.clone())).collect());
        Ok(out)
    }
}

/// More of the object in the direction that is read in; whole blocks.
fn widen(wanted: &Range<u64>, way: Way) -> Range<u64> {
    match way {
        Way::Here => wanted.clone(),
        Way::Forward => wanted.start..wanted.end.max(wanted.start.saturating_add(REGION)),
        Way::Backward => wanted.start.min(wanted.end.saturating_sub(REGION))..wanted.end,
    }
}

/// `len` bytes from the `skip`-th of blocks that follow each other, or what there is of them.
fn assemble(blocks: &[Option<Bytes>], skip: u64, len: u64) -> Bytes {
    let (skip, len) = (skip as usize, len as usize);
    if let [Some(block)] = blocks {
        let end = (skip + len).min(block.len());
        return if skip < end { block.slice(skip..end) } else { Bytes::new() };
    }
    let mut out = BytesMut::with_capacity(len);
    for (i, block) in blocks.iter().enumerate() {
        let Some(block) = block else { break };
        let from = if i == 0 { skip.min(block.len()) } else { 0 };
        let take = (block.len() - from).min(len - out.len());
        out.extend_from_slice(&block[from..from + take]);
        if (block.len() as u64) < BLOCK {
            break;
        }
    }
    out.freeze()
}

fn exact(bytes: Bytes, range: &Range<u64>, object: &str) -> Result<Bytes> {
    match bytes.len() as u64 == range.end - range.start {
        true => Ok(bytes),
        false => Err(Error::NotFound(format!("so many bytes in object {object}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_seen_in_both_directions() {
        let track = Track { begin: 500_000, end: 520_000, way: Way::Here };
        assert_eq!(track.follow(&(520_000..530_000)), Way::Forward);
        assert_eq!(track.follow(&(600_000..630_000)), Way::Forward);
        assert_eq!(track.follow(&(490_000..500_000)), Way::Backward);
        assert_eq!(track.follow(&(500_000..520_000)), Way::Here);
        assert_eq!(Track { way: Way::Forward, ..track }.follow(&(500_000..501_000)), Way::Forward);
        for far in [0..10, 900_000..900_010] {
            assert_eq!(track.follow(&far), Way::Here, "{far:?}");
        }
    }

    #[test]
    fn what_is_fetched_along() {
        let wanted = 10 * BLOCK..11 * BLOCK;
        assert_eq!(widen(&wanted, Way::Here), wanted);
        assert_eq!(widen(&wanted, Way::Forward), 10 * BLOCK..26 * BLOCK);
        assert_eq!(widen(&wanted, Way::Backward), 0..11 * BLOCK);
        assert_eq!(widen(&(0..17 * BLOCK), Way::Forward), 0..17 * BLOCK);
    }

    #[test]
    fn blocks_are_put_together() {
        let full = Bytes::from(vec![1; BLOCK as usize]);
        let short = Bytes::from_static(b"end");
        let both = [Some(full.clone()), Some(short.clone())];
        assert_eq!(assemble(&both, BLOCK - 1, 3), Bytes::from_static(b"\x01en"));
        assert_eq!(assemble(&both, BLOCK - 1, 9).len(), 4);
        assert_eq!(assemble(&[Some(full), None], BLOCK - 1, 9).len(), 1);
        assert_eq!(assemble(&[Some(short.clone())], 1, 2), Bytes::from_static(b"nd"));
        assert_eq!(assemble(&[Some(short), None], 5, 2), Bytes::new());
    }
}
