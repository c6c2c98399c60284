//! What was read of volumes, kept on this node: blocks of 64 KiB. New ones are in memory, in the order in which they
//! came; one that falls out goes to the disk if it was asked for more often than the one that would have to leave
//! (W-TinyLFU: what is read once, or only fetched along, does not displace what is read daily). The kernel's page cache
//! is what keeps the disk's blocks in memory.

mod disk;
mod frequency;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use disk::{Disk, Slot};
use frequency::Frequency;
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Semaphore;
use zcluster_runtime::{spawn, spawn_blocking};

/// Bytes of a block; the last one of an object is shorter.
pub(crate) const BLOCK: u64 = 64 * 1024;
/// Writes to the disk at a time; blocks that fall out while so many are under way are forgotten.
const WRITES: usize = 8;

/// Where and how large.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheConfig {
    /// Folder of this node's own; made when it is not there. None: memory only.
    pub folder: Option<PathBuf>,
    /// Bytes on the disk at most (beside them an index of a thousandth).
    pub disk_bytes: u64,
    /// Bytes in memory at most.
    pub memory_bytes: u64,
}

impl Default for CacheConfig {
    fn default() -> Self {
        CacheConfig { folder: None, disk_bytes: 1024 * 1024 * 1024, memory_bytes: 16 * 1024 * 1024 }
    }
}

/// Names a block: of which object of which volume, and the how many-eth.
pub(crate) type Key = [u8; 16];

/// The key of block `n`.
pub(crate) fn key(place: &str, object: &str, n: u64) -> Key {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(place.len() as u64).to_le_bytes()).update(place.as_bytes());
    hasher.update(&n.to_le_bytes()).update(object.as_bytes());
    let mut out = [0; 16];
    out.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    out
}

/// Blocks.
pub(crate) struct Cache {
    inner: Arc<Inner>,
}

struct Inner {
    state: Mutex<State>,
    disk: Option<Disk>,
    memory_bytes: u64,
    writes: Arc<Semaphore>,
}

struct State {
    blocks: BTreeMap<Key, Bytes>,
    /// Oldest first.
    order: VecDeque<Key>,
    bytes: u64,
    frequency: Frequency,
}

impl Cache {
    /// Opens it, with what was on the disk before. Without a usable disk it is in memory only, and says so in the log.
    pub(crate) fn open(config: &CacheConfig) -> Cache {
        let slots = config.disk_bytes / BLOCK;
        let disk = config.folder.as_ref().filter(|_| slots > 0).and_then(|folder| {
            let opened = Disk::open(folder, slots);
            if let Err(error) = &opened {
                tracing::warn!(%error, folder = %folder.display(), "volumes are read without a cache on the disk");
            }
            opened.ok()
        });
        let kept = slots + config.memory_bytes / BLOCK;
        let state = State {
            blocks: BTreeMap::new(),
            order: VecDeque::new(),
            bytes: 0,
            frequency: Frequency::new(usize::try_from(kept).unwrap_or(usize::MAX)),
        };
        let inner = Inner {
            state: Mutex::new(state),
            disk,
            memory_bytes: config.memory_bytes,
            writes: Arc::new(Semaphore::new(WRITES)),
        };
        Cache { inner: Arc::new(inner) }
    }

    /// Blocks that are there; what is asked for counts as asked for.
    pub(crate) async fn get(&self, keys: &[Key]) -> Vec<Option<Bytes>> {
        let mut out: Vec<_> = {
            let mut state = self.inner.state.lock();
            keys.iter()
                .map(|key| {
                    state.frequency.seen(key);
                    state.blocks.get(key).cloned()
                })
                .collect()
        };
        count("memory", out.iter().flatten().count());
        let Some(disk) = &self.inner.disk else {
            count("miss", out.iter().filter(|b| b.is_none()).count());
            return out;
        };
        let missing = keys.iter().enumerate().filter(|(i, _)| out[*i].is_none());
        let wanted: Vec<(usize, Key, Slot)> =
            missing.filter_map(|(i, key)| disk.find(key).map(|slot| (i, *key, slot))).collect();
        if !wanted.is_empty() {
            let inner = self.inner.clone();
            let read = spawn_blocking(move || {
                let Some(disk) = &inner.disk else { return Vec::new() };
                wanted.iter().map(|(i, key, slot)| (*i, disk.read(key, *slot))).collect()
            });
            for (i, block) in read.await.unwrap_or_default() {
                count(if block.is_some() { "disk" } else { "damaged" }, 1);
                out[i] = block;
            }
        }
        count("miss", out.iter().filter(|b| b.is_none()).count());
        out
    }

    /// Blocks that are in memory, without counting.
    pub(crate) fn peek(&self, key: &Key) -> Option<Bytes> {
        self.inner.state.lock().blocks.get(key).cloned()
    }

    /// Keeps blocks.
    pub(crate) fn put(&self, blocks: Vec<(Key, Bytes)>) {
        let mut out = Vec::new();
        let mut state = self.inner.state.lock();
        for (key, block) in blocks {
            // What is kept must not hold on to the whole answer that it came in.
            let block = Bytes::copy_from_slice(&block);
            let size = block.len() as u64;
            if state.blocks.insert(key, block).is_none() {
                state.order.push_back(key);
                state.bytes += size;
            }
            while state.bytes > self.inner.memory_bytes
                && let Some(oldest) = state.order.pop_front()
                && let Some(block) = state.blocks.remove(&oldest)
            {
                state.bytes -= block.len() as u64;
                if let Some(disk) = &self.inner.disk
                    && let Some(slot) = disk.admit(&oldest, &state.frequency)
                {
                    out.push((oldest, slot, block));
                }
            }
        }
        drop(state);
        self.write(out);
    }

    fn write(&self, blocks: Vec<(Key, Slot, Bytes)>) {
        if blocks.is_empty() {
            return;
        }
        let permit = self.inner.writes.clone().try_acquire_owned();
        let inner = self.inner.clone();
        let Ok(permit) = permit else {
            for (key, slot, _) in blocks {
                inner.disk.iter().for_each(|disk| disk.give_up(&key, slot));
            }
            return;
        };
        spawn(async move {
            let _ = spawn_blocking(move || {
                for (key, slot, block) in blocks {
                    inner.disk.iter().for_each(|disk| disk.write(&key, slot, &block));
                }
                drop(permit);
            })
            .await;
        });
    }

    /// Ends when nothing is being written.
    #[cfg(test)]
    pub(crate) async fn settle(&self) {
        let _ = self.inner.writes.acquire_many(WRITES as u32).await;
    }
}

fn count(result: &'static str, n: usize) {
    if n > 0 {
        metrics::counter!("zcluster_volume_cache_blocks_total", "result" => result).increment(n as u64);
    }
}
