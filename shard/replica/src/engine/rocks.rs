//! The engine in production: one RocksDB for all groups of the node, without a write-ahead log.

use super::{Batch, Column, Op, Reader, Row, Rows, StateEngine};
use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, BoundColumnFamily, Cache, ColumnFamilyDescriptor, DB, DBCompressionType,
    DBIteratorWithThreadMode, DBRawIteratorWithThreadMode, IteratorMode, LogLevel, Options, ReadOptions,
    SnapshotWithThreadMode, WriteBatch, WriteBufferManager, WriteOptions,
};
use std::io;
use std::path::Path;
use std::sync::Arc;
use zcluster_state::Visit;

/// Values below this stay in the sorted files; longer ones go to blob files, so that compaction does not copy bodies.
const BLOB_MIN_BYTES: u64 = 1024;
/// Size of a blob file. Smaller ones are collected sooner, larger ones are fewer.
const BLOB_FILE_BYTES: u64 = 128 << 20;
/// Size of a block: rows are ~0.5 KiB, read in runs (a page of a folder) or one here and one there (accounts, for which a
/// block is read and decompressed).
const BLOCK_BYTES: usize = 8 << 10;
/// RocksDB's own log files kept.
const LOG_FILES: usize = 4;

/// Memory and files the engine may use.
#[derive(Clone, Debug)]
pub struct RocksConfig {
    /// Block cache over both columns, bytes.
    pub cache_bytes: usize,
    /// One write buffer (memtable), bytes. The engine flushes by itself when one is full.
    pub write_buffer_bytes: usize,
    /// All write buffers together, bytes (soft).
    pub write_buffers_bytes: usize,
    /// Files kept open; -1 = all.
    pub open_files: i32,
    /// Background flushes and compactions at a time.
    pub background_jobs: i32,
}

impl Default for RocksConfig {
    fn default() -> Self {
        RocksConfig {
            cache_bytes: 256 << 20,
            write_buffer_bytes: 64 << 20,
            write_buffers_bytes: 256 << 20,
            open_files: 4096,
            background_jobs: 2,
        }
    }
}

/// The database `state`.
pub struct RocksEngine {
    db: Arc<DB>,
    write: WriteOptions,
}

fn err(e: rocksdb::Error) -> io::Error {
    io::Error::other(format!("state database: {e}"))
}

fn name(column: Column) -> &'static str {
    match column {
        Column::State => "state",
        Column::Body => "body",
    }
}

fn handle(db: &DB, column: Column) -> io::Result<Arc<BoundColumnFamily<'_>>> {
    db.cf_handle(name(column)).ok_or_else(|| io::Error::other("state database: a column family is missing"))
}

fn column_options(column: Column, config: &RocksConfig, cache: &Cache) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_block_size(BLOCK_BYTES);
    table.set_bloom_filter(10.0, false);
    table.set_optimize_filters_for_memory(true);
    table.set_cache_index_and_filter_blocks(true);
    table.set_cache_index_and_filter_blocks_with_high_priority(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    // In parts: the filter of a large file is larger than what a shard of the cache keeps (a 64th of it), and would be read
    // whole, and its checksum made, for every row that is looked up.
    table.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    table.set_partition_filters(true);
    table.set_metadata_block_size(BLOCK_BYTES);
    table.set_pin_top_level_index_and_filter(true);
    let mut o = Options::default();
    o.set_block_based_table_factory(&table);
    o.set_write_buffer_size(config.write_buffer_bytes);
    o.set_max_write_buffer_number(4);
    o.set_level_compaction_dynamic_level_bytes(true);
    match column {
        Column::State => {
            // Most look-ups of a write are for what is not there (a request or a key seen before, a body stored before):
            // a bit array answers them without a walk through the memtable. Some ten bits for each row.
            o.set_memtable_prefix_bloom_ratio(0.02);
            o.set_memtable_whole_key_filtering(true);
            // Not zstd at the bottom, which wants a third less room: rows of accounts and messages are read one here and one
            // there, and a block of them takes three times as long to unpack then (docs/directory.md, "Scale").
            o.set_compression_type(DBCompressionType::Lz4);
        }
        Column::Body => {
            // Bodies come compressed from the edge (DESIGN §5): a second pass would only cost.
            o.set_compression_type(DBCompressionType::None);
            o.set_bottommost_compression_type(DBCompressionType::None);
            o.set_enable_blob_files(true);
            o.set_min_blob_size(BLOB_MIN_BYTES);
            o.set_blob_file_size(BLOB_FILE_BYTES);
            o.set_blob_compression_type(DBCompressionType::None);
            o.set_enable_blob_gc(true);
            o.set_blob_gc_age_cutoff(0.25);
            o.set_blob_gc_force_threshold(0.5);
        }
    }
    o
}

impl RocksEngine {
    /// Opens or makes the database in `dir`.
    ///
    /// # Errors
    /// The disk, or a database that is open elsewhere or damaged.
    pub fn open(dir: &Path, config: &RocksConfig) -> io::Result<Arc<Self>> {
        let cache = Cache::new_lru_cache(config.cache_bytes);
        let mut o = Options::default();
        o.create_if_missing(true);
        o.create_missing_column_families(true);
        // Both columns are cut at one point, so that a batch never survives in part.
        o.set_atomic_flush(true);
        o.set_paranoid_checks(true);
        o.set_max_open_files(config.open_files);
        o.set_max_background_jobs(config.background_jobs);
        o.set_bytes_per_sync(1 << 20);
        o.set_keep_log_file_num(LOG_FILES);
        o.set_log_level(LogLevel::Warn);
        o.set_stats_dump_period_sec(0);
        o.set_avoid_unnecessary_blocking_io(true);
        o.set_write_buffer_manager(&WriteBufferManager::new_write_buffer_manager(config.write_buffers_bytes, false));
        let columns = Column::ALL.map(|c| ColumnFamilyDescriptor::new(name(c), column_options(c, config, &cache)));
        let db = DB::open_cf_descriptors(&o, dir, columns).map_err(err)?;
        let mut write = WriteOptions::default();
        write.disable_wal(true);
        Ok(Arc::new(RocksEngine { db: Arc::new(db), write }))
    }

    fn int_property(&self, column: Column, property: &'static str) -> u64 {
        let value = handle(&self.db, column).ok().and_then(|cf| self.db.property_int_value_cf(&cf, property).ok());
        value.flatten().unwrap_or(0)
    }
}

/// Bounds a scan, and tells RocksDB to read ahead no further than needed.
fn scan_options(from: &[u8], to: &[u8]) -> ReadOptions {
    let mut o = ReadOptions::default();
    o.set_iterate_lower_bound(from);
    o.set_iterate_upper_bound(to);
    o
}

/// The same for a walk that leaves the cache as it is.
fn passing(from: &[u8], to: &[u8]) -> ReadOptions {
    let mut o = scan_options(from, to);
    o.fill_cache(false);
    o
}

fn rows(iter: DBIteratorWithThreadMode<'_, DB>) -> Rows<'_> {
    Box::new(iter.map(|r| r.map(|(k, v)| -> Row { (k.into_vec(), v.into_vec()) }).map_err(err)))
}

/// Shows the rows that the iterator is bounded to.
fn walk(mut iter: DBRawIteratorWithThreadMode<'_, DB>, reverse: bool, visit: &mut Visit<'_>) -> io::Result<()> {
    if reverse {
        iter.seek_to_last()
    } else {
        iter.seek_to_first()
    }
    while let Some((key, value)) = iter.item() {
        if !visit(key, value) {
            return Ok(());
        }
        if reverse { iter.prev() } else { iter.next() }
    }
    // An iterator that met an error ends, too.
    iter.status().map_err(err)
}

/// Shows the rows of the ranges, between the first and last of which the iterator is bounded.
fn walk_ranges(
    mut iter: DBRawIteratorWithThreadMode<'_, DB>,
    ranges: &[(Vec<u8>, Vec<u8>)],
    visit: &mut Visit<'_>,
) -> io::Result<()> {
    for (from, to) in ranges {
        iter.seek(from);
        while let Some((key, value)) = iter.item().filter(|(key, _)| *key < to.as_slice()) {
            if !visit(key, value) {
                return Ok(());
            }
            iter.next();
        }
        iter.status().map_err(err)?;
    }
    Ok(())
}

fn mode(reverse: bool) -> IteratorMode<'static> {
    if reverse { IteratorMode::End } else { IteratorMode::Start }
}

fn failed<'a>(e: io::Error) -> Rows<'a> {
    Box::new(std::iter::once(Err(e)))
}

impl Reader for RocksEngine {
    fn get(&self, column: Column, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        self.db.get_cf(&handle(&self.db, column)?, key).map_err(err)
    }
    fn scan<'a>(&'a self, column: Column, from: &[u8], to: &[u8], reverse: bool) -> Rows<'a> {
        if from >= to {
            return Box::new(std::iter::empty());
        }
        match handle(&self.db, column) {
            Ok(cf) => rows(self.db.iterator_cf_opt(&cf, scan_options(from, to), mode(reverse))),
            Err(e) => failed(e),
        }
    }
    fn each(&self, column: Column, from: &[u8], to: &[u8], reverse: bool, visit: &mut Visit<'_>) -> io::Result<()> {
        if from >= to {
            return Ok(());
        }
        let cf = handle(&self.db, column)?;
        walk(self.db.raw_iterator_cf_opt(&cf, scan_options(from, to)), reverse, visit)
    }
    fn pass(&self, column: Column, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> io::Result<()> {
        if from >= to {
            return Ok(());
        }
        let cf = handle(&self.db, column)?;
        walk(self.db.raw_iterator_cf_opt(&cf, passing(from, to)), false, visit)
    }
    fn each_of(&self, column: Column, ranges: &[(Vec<u8>, Vec<u8>)], visit: &mut Visit<'_>) -> io::Result<()> {
        let (Some((from, _)), Some((_, to))) = (ranges.first(), ranges.last()) else { return Ok(()) };
        if from >= to {
            return Ok(());
        }
        let cf = handle(&self.db, column)?;
        walk_ranges(self.db.raw_iterator_cf_opt(&cf, scan_options(from, to)), ranges, visit)
    }
}

impl StateEngine for RocksEngine {
    fn view(&self) -> Arc<dyn Reader> {
        Arc::new(RocksView::new(self.db.clone()))
    }
    fn write(&self, batch: Batch) -> io::Result<()> {
        let (state, body) = (handle(&self.db, Column::State)?, handle(&self.db, Column::Body)?);
        let cf = |c: Column| match c {
            Column::State => &state,
            Column::Body => &body,
        };
        let mut out = WriteBatch::with_capacity_bytes(batch.bytes() as usize + 16 * batch.0.len());
        for op in &batch.0 {
            match op {
                Op::Put(c, k, v) => out.put_cf(cf(*c), k, v),
                Op::Delete(c, k) => out.delete_cf(cf(*c), k),
                Op::DeleteRange(c, from, to) => out.delete_range_cf(cf(*c), from, to),
            }
        }
        self.db.write_opt(out, &self.write).map_err(err)
    }
    fn flush(&self) -> io::Result<()> {
        let (state, body) = (handle(&self.db, Column::State)?, handle(&self.db, Column::Body)?);
        let mut o = rocksdb::FlushOptions::default();
        o.set_wait(true);
        self.db.flush_cfs_opt(&[&state, &body], &o).map_err(err)
    }
    fn figures(&self) -> Vec<(&'static str, u64)> {
        let both = |p| Column::ALL.iter().map(|c| self.int_property(*c, p)).sum();
        vec![
            ("memtable_bytes", both("rocksdb.cur-size-all-mem-tables")),
            ("sst_bytes", both("rocksdb.total-sst-files-size")),
            ("blob_bytes", both("rocksdb.total-blob-file-size")),
            ("cache_bytes", self.int_property(Column::State, "rocksdb.block-cache-usage")),
            ("pending_compaction_bytes", both("rocksdb.estimate-pending-compaction-bytes")),
        ]
    }
}

/// A RocksDB snapshot that keeps its database open.
struct RocksView {
    // Declared, and so dropped, before `db`.
    snapshot: SnapshotWithThreadMode<'static, DB>,
    db: Arc<DB>,
}

impl RocksView {
    fn new(db: Arc<DB>) -> Self {
        let snapshot = db.snapshot();
        // SAFETY: the snapshot borrows the `DB` inside the `Arc`, whose address is stable; `db` below keeps it alive,
        // and the field order drops the snapshot first. The extended lifetime never leaves this struct.
        let snapshot = unsafe {
            std::mem::transmute::<SnapshotWithThreadMode<'_, DB>, SnapshotWithThreadMode<'static, DB>>(snapshot)
        };
        RocksView { snapshot, db }
    }
}

impl Reader for RocksView {
    fn get(&self, column: Column, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        self.snapshot.get_cf(&handle(&self.db, column)?, key).map_err(err)
    }
    fn scan<'a>(&'a self, column: Column, from: &[u8], to: &[u8], reverse: bool) -> Rows<'a> {
        if from >= to {
            return Box::new(std::iter::empty());
        }
        match handle(&self.db, column) {
            Ok(cf) => rows(self.snapshot.iterator_cf_opt(&cf, scan_options(from, to), mode(reverse))),
            Err(e) => failed(e),
        }
    }
    fn each(&self, column: Column, from: &[u8], to: &[u8], reverse: bool, visit: &mut Visit<'_>) -> io::Result<()> {
        if from >= to {
            return Ok(());
        }
        let cf = handle(&self.db, column)?;
        walk(self.snapshot.raw_iterator_cf_opt(&cf, scan_options(from, to)), reverse, visit)
    }
    fn pass(&self, column: Column, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> io::Result<()> {
        if from >= to {
            return Ok(());
        }
        let cf = handle(&self.db, column)?;
        walk(self.snapshot.raw_iterator_cf_opt(&cf, passing(from, to)), false, visit)
    }
    fn each_of(&self, column: Column, ranges: &[(Vec<u8>, Vec<u8>)], visit: &mut Visit<'_>) -> io::Result<()> {
        let (Some((from, _)), Some((_, to))) = (ranges.first(), ranges.last()) else { return Ok(()) };
        if from >= to {
            return Ok(());
        }
        let cf = handle(&self.db, column)?;
        walk_ranges(self.snapshot.raw_iterator_cf_opt(&cf, scan_options(from, to)), ranges, visit)
    }
}
