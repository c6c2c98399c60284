//! The one thread that writes the log. It takes whatever waits, makes one batch of it, syncs it, and reports: while
//! one fsync runs the next batch collects, so the fsync itself is the batching window and no timer is needed.

use super::record::{MetaKey, encode_entry, encode_id, encode_vote, entry_key, meta_key};
use super::rocks::{CF_LOG, CF_META, Shared, rocks_error};
use super::{Done, Op, weight};
use crate::LogId;
use rocksdb::{BoundColumnFamily, WriteBatch, WriteOptions};
use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use zcluster_runtime::Instant;

/// Bodies in one batch, in bytes: bounds how long one fsync takes.
const MAX_BATCH_BYTES: usize = 1 << 20;
/// Operations in one batch.
const MAX_BATCH_OPS: usize = 4096;
/// Entries deleted one by one when a log is truncated; more are deleted as a range.
const MAX_SINGLE_DELETES: u64 = 128;

/// What waits to be written.
#[derive(Default)]
pub(super) struct Queue {
    ops: VecDeque<Queued>,
    /// Groups whose commit mark moved; written with the next batch, never alone.
    committed: BTreeSet<u32>,
    last_seq: u64,
    /// The writer sleeps and must be woken.
    idle: bool,
    closed: bool,
    failure: Option<String>,
}

struct Queued {
    group: u32,
    op: Op,
    done: Option<Done>,
    seq: u64,
    bytes: usize,
    /// The index behind the log's last entry before this operation.
    end: u64,
}

impl Queue {
    pub(super) fn next_seq(&mut self) -> u64 {
        self.last_seq += 1;
        self.last_seq
    }
    pub(super) fn check_open(&self) -> io::Result<()> {
        match &self.failure {
            Some(e) => Err(io::Error::other(e.clone())),
            None if self.closed => Err(io::Error::other("the log is closed")),
            None => Ok(()),
        }
    }
    pub(super) fn note_committed(&mut self, group: u32) {
        self.committed.insert(group);
    }
    /// Queues an operation; true if the writer must be woken.
    /// `end` is the index behind the log's last entry as it was before.
    pub(super) fn push(&mut self, group: u32, op: Op, done: Option<Done>, seq: u64, end: u64) -> bool {
        let bytes = match &op {
            Op::Append(entries) => entries.iter().map(weight).sum(),
            _ => 32,
        };
        self.ops.push_back(Queued { group, op, done, seq, bytes, end });
        std::mem::take(&mut self.idle)
    }
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.idle = false;
    }
    pub(super) fn failure(&self) -> Option<String> {
        self.failure.clone()
    }
    fn take_batch(&mut self) -> Vec<Queued> {
        let mut bytes = 0;
        let n = self
            .ops
            .iter()
            .take(MAX_BATCH_OPS)
            .take_while(|q| {
                let fits = bytes < MAX_BATCH_BYTES;
                bytes += q.bytes;
                fits
            })
            .count();
        self.ops.drain(..n).collect()
    }
}

/// Starts the writer.
#[allow(clippy::disallowed_methods, reason = "the log's disk is an edge: it has a thread of its own")]
pub(super) fn start(shared: Arc<Shared>) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("raft-log".into()).spawn(move || Writer::new(shared).run())
}

struct Writer {
    shared: Arc<Shared>,
    scratch: Vec<u8>,
    fsync_seconds: metrics::Histogram,
    ops_per_fsync: metrics::Histogram,
}

impl Writer {
    fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            scratch: Vec::new(),
            fsync_seconds: metrics::histogram!("zcluster_raft_fsync_seconds"),
            ops_per_fsync: metrics::histogram!("zcluster_raft_ops_per_fsync"),
        }
    }

    fn run(mut self) {
        while let Some((ops, committed)) = self.wait() {
            let last_seq = ops.last().map(|q| q.seq);
            let result = self.write(&ops, &committed);
            match result {
                Ok(()) => {
                    if let Some(seq) = last_seq {
                        self.shared.synced.store(seq, Ordering::Release);
                    }
                    ops.into_iter().filter_map(|q| q.done).for_each(|done| done(Ok(())));
                    self.evict();
                }
                // After a failed write nobody knows what is on disk: nothing is retried, the process must stop.
                Err(e) => return self.fail(ops, &e),
            }
        }
    }

    /// What to write next; `None` when the log was closed and everything is written.
    fn wait(&self) -> Option<(Vec<Queued>, BTreeSet<u32>)> {
        let mut queue = self.shared.queue.lock();
        loop {
            let last = queue.closed && !queue.committed.is_empty();
            if !queue.ops.is_empty() || last {
                let ops = queue.take_batch();
                return Some((ops, std::mem::take(&mut queue.committed)));
            }
            if queue.closed {
                return None;
            }
            queue.idle = true;
            self.shared.wake.wait(&mut queue);
        }
    }

    fn write(&mut self, ops: &[Queued], committed: &BTreeSet<u32>) -> io::Result<()> {
        let shared = self.shared.clone();
        let (log, meta) = (shared.cf(CF_LOG)?, shared.cf(CF_META)?);
        let mut batch = WriteBatch::default();
        for q in ops {
            self.add(&mut batch, &log, &meta, q);
        }
        for group in committed {
            let state = shared.tail(*group).map(|t| t.lock().state());
            if let Some(id) = state.and_then(|s| s.committed) {
                batch.put_cf(&meta, meta_key(*group, MetaKey::Committed), encode_id(id));
            }
        }
        let mut options = WriteOptions::default();
        options.set_sync(true);
        let start = Instant::now();
        shared.db.write_opt(batch, &options).map_err(rocks_error)?;
        self.fsync_seconds.record(start.elapsed().as_secs_f64());
        self.ops_per_fsync.record(ops.len() as f64);
        shared.synced_sequence.store(shared.db.latest_sequence_number(), Ordering::Release);
        Ok(())
    }

    fn add(
        &mut self,
        batch: &mut WriteBatch,
        log: &Arc<BoundColumnFamily<'_>>,
        meta: &Arc<BoundColumnFamily<'_>>,
        q: &Queued,
    ) {
        let group = q.group;
        match &q.op {
            Op::Vote(v) => batch.put_cf(meta, meta_key(group, MetaKey::Vote), encode_vote(*v)),
            Op::Append(entries) => {
                for entry in entries {
                    encode_entry(group, entry, &mut self.scratch);
                    batch.put_cf(log, entry_key(group, entry.id.index), &self.scratch);
                }
            }
            Op::TruncateAfter(last) => truncate(batch, log, group, *last, q.end),
            Op::Purge(upto) => {
                batch.put_cf(meta, meta_key(group, MetaKey::Purged), encode_id(*upto));
                batch.delete_range_cf(log, entry_key(group, 0), entry_key(group, upto.index.saturating_add(1)));
            }
            // Written through the set of moved marks.
            Op::Committed(_) => {}
            Op::Delete { left } => {
                batch.delete_range_cf(log, entry_key(group, 0), entry_key(group, u64::MAX));
                for key in [MetaKey::Committed, MetaKey::Purged] {
                    batch.delete_cf(meta, meta_key(group, key));
                }
                match left {
                    Some(id) => batch.put_cf(meta, meta_key(group, MetaKey::Left), encode_id(*id)),
                    None => batch.delete_cf(meta, meta_key(group, MetaKey::Left)),
                }
            }
        }
    }

    /// Brings the cache back under its bound. Only what is synced may go: what is not stands nowhere else.
    fn evict(&self) {
        let shared = &self.shared;
        if shared.cached.load(Ordering::Relaxed) <= shared.options.cache_bytes {
            return;
        }
        let synced = shared.synced.load(Ordering::Acquire);
        let tails = shared.tails();
        let share = shared.options.cache_bytes / tails.len().max(1);
        for tail in tails {
            let mut tail = tail.lock();
            let before = tail.bytes();
            // Half of a fair share: the next sweep is then some time away.
            tail.shrink(share / 2, synced);
            shared.recount(before, tail.bytes());
        }
    }

    fn fail(&self, ops: Vec<Queued>, e: &io::Error) {
        let what = format!("writing the log failed: {e}");
        self.shared.fatal.report(what.clone());
        let rest = {
            let mut queue = self.shared.queue.lock();
            queue.failure = Some(what.clone());
            std::mem::take(&mut queue.ops)
        };
        for done in ops.into_iter().chain(rest).filter_map(|q| q.done) {
            done(Err(io::Error::other(what.clone())));
        }
    }
}

/// Drops the entries behind `last`, of which `end` is the first that never was. A truncated tail is nearly always
/// short, and single deletes are kinder to later reads than a range.
fn truncate(batch: &mut WriteBatch, log: &Arc<BoundColumnFamily<'_>>, group: u32, last: Option<LogId>, end: u64) {
    let from = last.map_or(0, |l| l.index + 1);
    if end.saturating_sub(from) > MAX_SINGLE_DELETES {
        batch.delete_range_cf(log, entry_key(group, from), entry_key(group, end));
        return;
    }
    for index in from..end {
        batch.delete_cf(log, entry_key(group, index));
    }
}
