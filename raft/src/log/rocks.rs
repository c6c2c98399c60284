//! The production log: one RocksDB database for all groups, one thread that writes, one fsync for whatever waits.
//!
//! Settings follow what the log needs from a crash: a torn last record is normal (`TolerateCorruptedTailRecords` cuts
//! it), damage before it is not (opening fails), WAL files are never recycled, checks are paranoid. Reads of new
//! entries are served from memory and never reach RocksDB.

use super::record::{MetaKey, decode_entry, decode_id, decode_vote, entry_key, parse_entry_key, parse_meta_key};
use super::tail::{Found, Tail};
use super::writer::{self, Queue};
use super::{Done, LogEngine, LogState, Op, weight};
use crate::fence::{Fence, FenceKeeper};
use crate::{Entry, Fatal};
use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use rocksdb::{
    BoundColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, DBRecoveryMode, Direction, IteratorMode, Options,
    ReadOptions,
};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;

/// Column family of entries.
pub(super) const CF_LOG: &str = "raftlog";
/// Column family of votes and marks.
pub(super) const CF_META: &str = "raftmeta";

/// Sizes of the log database.
#[derive(Clone, Debug)]
pub struct RocksOptions {
    /// One memtable of the entries, in bytes. Entries that are purged before it is full never reach an SST file.
    pub write_buffer_bytes: usize,
    /// How many memtables there may be.
    pub write_buffers: i32,
    /// Newest entries of all groups kept in memory, in bytes, beyond those not yet synced.
    pub cache_bytes: usize,
    /// WAL bytes after which RocksDB flushes the column family that pins the oldest WAL.
    pub max_wal_bytes: u64,
}

impl Default for RocksOptions {
    fn default() -> Self {
        Self { write_buffer_bytes: 16 << 20, write_buffers: 4, cache_bytes: 32 << 20, max_wal_bytes: 1 << 30 }
    }
}

/// The log database.
pub struct RocksLog {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
    fence: Mutex<Option<FenceKeeper>>,
}

/// What the writer thread shares with everyone.
pub(super) struct Shared {
    pub(super) db: DB,
    pub(super) options: RocksOptions,
    groups: Mutex<BTreeMap<u32, Arc<Mutex<Tail>>>>,
    pub(super) queue: Mutex<Queue>,
    pub(super) wake: Condvar,
    /// Number of the last operation that is durable.
    pub(super) synced: AtomicU64,
    /// RocksDB's sequence number of the last synced batch, for the fence.
    pub(super) synced_sequence: Arc<AtomicU64>,
    /// Bytes of entries in memory.
    pub(super) cached: AtomicUsize,
    pub(super) fatal: Fatal,
}

pub(super) fn rocks_error(e: rocksdb::Error) -> io::Error {
    io::Error::other(e.to_string())
}

impl RocksLog {
    /// Opens or creates the database and starts its writer.
    ///
    /// # Errors
    /// The directory, a damaged database, or records that do not pass their checksums.
    pub fn open(path: &Path, options: RocksOptions, fatal: Fatal) -> io::Result<Self> {
        let db = open_db(path, &options)?;
        let groups = load_groups(&db)?;
        let sequence = db.latest_sequence_number();
        let shared = Arc::new(Shared {
            db,
            options,
            groups: Mutex::new(groups),
            queue: Mutex::default(),
            wake: Condvar::new(),
            synced: AtomicU64::new(0),
            synced_sequence: Arc::new(AtomicU64::new(sequence)),
            cached: AtomicUsize::new(0),
            fatal,
        });
        let writer = writer::start(shared.clone())?;
        Ok(Self { shared, writer: Mutex::new(Some(writer)), fence: Mutex::new(None) })
    }

    /// The sequence number of the last batch that is on disk; after opening, what was recovered. Compare it with the
    /// fence before anything is written.
    pub fn sequence(&self) -> u64 {
        self.shared.synced_sequence.load(Ordering::Acquire)
    }

    /// Keeps `fence` in step with this log from now on: once a second when something was synced, and at the end.
    ///
    /// # Errors
    /// The fence file cannot be written.
    pub fn keep_fence(&self, fence: Fence) -> io::Result<()> {
        let keeper = FenceKeeper::start(fence, self.shared.synced_sequence.clone(), self.shared.fatal.clone())?;
        *self.fence.lock() = Some(keeper);
        Ok(())
    }
}

impl Shared {
    pub(super) fn cf(&self, name: &str) -> io::Result<Arc<BoundColumnFamily<'_>>> {
        self.db.cf_handle(name).ok_or_else(|| io::Error::other("a column family of the log is missing"))
    }

    pub(super) fn tail(&self, group: u32) -> Option<Arc<Mutex<Tail>>> {
        self.groups.lock().get(&group).cloned()
    }

    fn tail_or_new(&self, group: u32) -> Arc<Mutex<Tail>> {
        self.groups.lock().entry(group).or_default().clone()
    }

    pub(super) fn tails(&self) -> Vec<Arc<Mutex<Tail>>> {
        self.groups.lock().values().cloned().collect()
    }

    /// Keeps the count of cached bytes in step with a tail that had `before` bytes.
    pub(super) fn recount(&self, before: usize, after: usize) {
        if after >= before {
            self.cached.fetch_add(after - before, Ordering::Relaxed);
        } else {
            self.cached.fetch_sub(before - after, Ordering::Relaxed);
        }
    }
}

impl LogEngine for RocksLog {
    fn submit(&self, group: u32, op: Op, done: Option<Done>) {
        let tail = self.shared.tail_or_new(group);
        // The group's lock is held until the operation is queued, so that a group's order is the queue's order.
        let mut tail = tail.lock();
        let mut queue = self.shared.queue.lock();
        let seq = queue.next_seq();
        let before = tail.bytes();
        let end = tail.state().last.map_or(0, |l| l.index + 1);
        let result = queue.check_open().and_then(|()| tail.apply(&op, seq));
        self.shared.recount(before, tail.bytes());
        match result {
            Ok(()) if matches!(op, Op::Committed(_)) => {
                queue.note_committed(group);
                drop(queue);
                if let Some(done) = done {
                    done(Ok(()));
                }
            }
            Ok(()) => {
                if tail.state() == LogState::default() {
                    self.shared.groups.lock().remove(&group);
                }
                if queue.push(group, op, done, seq, end) {
                    self.shared.wake.notify_one();
                }
            }
            Err(e) => {
                drop(queue);
                self.shared.fatal.report(format!("log of group {group}: {e}"));
                if let Some(done) = done {
                    done(Err(e));
                }
            }
        }
    }

    fn state(&self, group: u32) -> LogState {
        self.shared.tail(group).map(|t| t.lock().state()).unwrap_or_default()
    }

    fn read(&self, group: u32, from: u64, to: u64, max_bytes: usize) -> io::Result<Vec<Entry>> {
        let Some(tail) = self.shared.tail(group) else { return Ok(Vec::new()) };
        let cf = self.shared.cf(CF_LOG)?;
        let guard = tail.lock();
        let first_kept = match guard.find(from, to, max_bytes) {
            Found::All(entries) => return Ok(entries),
            Found::Outside => return Ok(Vec::new()),
            Found::From(first) => first,
        };
        let in_memory = guard.copy(first_kept, to, max_bytes);
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(entry_key(group, to.min(first_kept)));
        // The iterator sees the database as of now. It is made under the group's lock: what is purged or overwritten
        // later cannot make a hole in what it reads.
        let mut rows = self.shared.db.raw_iterator_cf_opt(&cf, options);
        rows.seek(entry_key(group, from));
        drop(guard);
        let mut out = Vec::new();
        let mut bytes = 0;
        while let Some((key, value)) = rows.item() {
            let next = from + out.len() as u64;
            if parse_entry_key(key) != Some((group, next)) {
                break;
            }
            let entry = decode_entry(group, next, Bytes::copy_from_slice(value))?;
            bytes += weight(&entry);
            out.push(entry);
            if bytes >= max_bytes {
                return Ok(out);
            }
            rows.next();
        }
        rows.status().map_err(rocks_error)?;
        let next = from + out.len() as u64;
        if next != to.min(first_kept) {
            return Err(io::Error::other(format!("entry {next} of group {group} is missing on disk")));
        }
        for entry in in_memory {
            if bytes >= max_bytes {
                break;
            }
            bytes += weight(&entry);
            out.push(entry);
        }
        Ok(out)
    }

    fn read_cached(&self, group: u32, from: u64, to: u64, max_bytes: usize) -> Option<Vec<Entry>> {
        match self.shared.tail(group)?.lock().find(from, to, max_bytes) {
            Found::All(entries) => Some(entries),
            Found::From(_) | Found::Outside => None,
        }
    }

    fn groups(&self) -> Vec<u32> {
        self.shared.groups.lock().keys().copied().collect()
    }

    fn close(&self) -> io::Result<()> {
        self.shared.queue.lock().close();
        self.shared.wake.notify_one();
        if let Some(writer) = self.writer.lock().take() {
            writer.join().map_err(|_| io::Error::other("the log writer panicked"))?;
        }
        if let Some(fence) = self.fence.lock().take() {
            fence.stop()?;
        }
        match self.shared.queue.lock().failure() {
            Some(e) => Err(io::Error::other(e)),
            None => Ok(()),
        }
    }

    fn fatal(&self) -> &Fatal {
        &self.shared.fatal
    }
}

impl Drop for RocksLog {
    fn drop(&mut self) {
        let _ = self.close();
    }
}

fn open_db(path: &Path, o: &RocksOptions) -> io::Result<DB> {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    options.set_recycle_log_file_num(0);
    options.set_track_and_verify_wals_in_manifest(true);
    options.set_paranoid_checks(true);
    options.set_max_total_wal_size(o.max_wal_bytes);
    options.set_bytes_per_sync(1 << 20);
    options.set_max_background_jobs(2);
    options.set_keep_log_file_num(4);
    options.set_max_log_file_size(16 << 20);
    options.set_stats_dump_period_sec(0);
    let mut log = Options::default();
    log.set_write_buffer_size(o.write_buffer_bytes);
    log.set_max_write_buffer_number(o.write_buffers);
    // Two memtables are merged when flushed: entries that were purged meanwhile die there.
    log.set_min_write_buffer_number_to_merge(2.min(o.write_buffers - 1).max(1));
    log.set_level_zero_file_num_compaction_trigger(8);
    // Bodies come compressed; a second attempt costs CPU and saves nothing.
    log.set_compression_type(DBCompressionType::None);
    let mut meta = Options::default();
    meta.set_write_buffer_size(4 << 20);
    meta.set_compression_type(DBCompressionType::None);
    let families = [ColumnFamilyDescriptor::new(CF_LOG, log), ColumnFamilyDescriptor::new(CF_META, meta)];
    DB::open_cf_descriptors(&options, path, families).map_err(rocks_error)
}

/// Reads every group's marks, and finds its last entry.
fn load_groups(db: &DB) -> io::Result<BTreeMap<u32, Arc<Mutex<Tail>>>> {
    let (Some(meta), Some(log)) = (db.cf_handle(CF_META), db.cf_handle(CF_LOG)) else {
        return Err(io::Error::other("a column family of the log is missing"));
    };
    let mut states: BTreeMap<u32, LogState> = BTreeMap::new();
    for row in db.iterator_cf(&meta, IteratorMode::Start) {
        let (key, value) = row.map_err(rocks_error)?;
        let Some((group, key)) = parse_meta_key(&key) else {
            return Err(io::Error::other("an unknown record in the log database"));
        };
        let state = states.entry(group).or_default();
        let value = Bytes::from(value.into_vec());
        match key {
            MetaKey::Vote => state.vote = Some(decode_vote(value)?),
            MetaKey::Committed => state.committed = Some(decode_id(value)?),
            MetaKey::Purged => state.purged = Some(decode_id(value)?),
            MetaKey::Left => state.left = Some(decode_id(value)?),
        }
    }
    // A group has a vote before it has entries; should it not, its entries are still its entries.
    let mut rows = db.raw_iterator_cf(&log);
    rows.seek_to_first();
    while let Some((group, _)) = rows.key().and_then(parse_entry_key) {
        states.entry(group).or_default();
        rows.seek(entry_key(group, u64::MAX));
    }
    rows.status().map_err(rocks_error)?;
    for (group, state) in &mut states {
        let end = entry_key(*group, u64::MAX);
        let mut rows = db.iterator_cf(&log, IteratorMode::From(&end, Direction::Reverse));
        let last = rows.next().transpose().map_err(rocks_error)?;
        let entry = match last.and_then(|(key, value)| Some((parse_entry_key(&key)?, value))) {
            Some(((g, index), value)) if g == *group => Some(decode_entry(g, index, value.into_vec().into())?.id),
            _ => None,
        };
        state.last = match (entry, state.purged) {
            (Some(e), Some(p)) if e.index <= p.index => Some(p),
            (Some(e), _) => Some(e),
            (None, purged) => purged,
        };
        // The mark may run ahead of what the disk kept; then it says nothing.
        state.committed = state.committed.filter(|c| state.last.is_some_and(|l| c.index <= l.index));
    }
    Ok(states.into_iter().map(|(g, s)| (g, Arc::new(Mutex::new(Tail::loaded(s))))).collect())
}
