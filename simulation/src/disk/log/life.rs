//! What a process keeps in memory of its log: the tails of all groups and the queue of what is to be written.

use super::platter::Write;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::poll_fn;
use std::io;
use std::task::{Poll, Waker};
use zcluster_raft::log::tail::Tail;
use zcluster_raft::log::{Done, LogState, Op, weight};

/// Bodies in one batch, in bytes, as in the real writer.
const MAX_BATCH_BYTES: usize = 1 << 20;
/// Operations in one batch, as in the real writer.
const MAX_BATCH_OPS: usize = 4096;
/// What an operation without entries weighs.
const OP_BYTES: usize = 32;

/// What waits to be written.
struct Queued {
    write: Write,
    done: Option<Done>,
    seq: u64,
    bytes: usize,
}

/// A batch on its way to the platter.
pub(super) struct Batch {
    /// Its number in this life.
    pub number: u64,
    pub dones: Vec<Done>,
    /// Its last operation.
    last_seq: Option<u64>,
}

/// The log of one process.
pub(super) struct Life {
    pub tails: BTreeMap<u32, Tail>,
    queue: VecDeque<Queued>,
    /// Groups whose commit mark moved; written with the next batch, never alone.
    committed: BTreeSet<u32>,
    last_seq: u64,
    synced_seq: u64,
    batches: u64,
    writing: Option<Batch>,
    /// Bytes of entries in memory, and how many there may be.
    cached: usize,
    cache_bytes: usize,
    closed: bool,
    failure: Option<String>,
    /// The process is gone: nothing has any effect.
    pub dead: bool,
    waker: Option<Waker>,
}

impl Life {
    pub fn new(tails: BTreeMap<u32, Tail>, cache_bytes: usize) -> Self {
        Life {
            tails,
            queue: VecDeque::new(),
            committed: BTreeSet::new(),
            last_seq: 0,
            synced_seq: 0,
            batches: 0,
            writing: None,
            cached: 0,
            cache_bytes,
            closed: false,
            failure: None,
            dead: false,
            waker: None,
        }
    }

    /// # Errors
    /// A write failed, or the log was closed.
    pub fn check_open(&self) -> io::Result<()> {
        match &self.failure {
            Some(e) => Err(io::Error::other(e.clone())),
            None if self.closed => Err(io::Error::other("the log is closed")),
            None => Ok(()),
        }
    }

    pub fn failure(&self) -> Option<String> {
        self.failure.clone()
    }

    pub fn close(&mut self) {
        self.closed = true;
    }

    /// The process is gone. What is left of it is given back, to be dropped where no lock is held.
    pub fn die(&mut self) -> (Vec<Write>, Vec<Done>, Option<Waker>) {
        self.dead = true;
        let mut dones = self.writing.take().map(|b| b.dones).unwrap_or_default();
        let mut writes = Vec::with_capacity(self.queue.len());
        for queued in self.queue.drain(..) {
            writes.push(queued.write);
            dones.extend(queued.done);
        }
        (writes, dones, self.waker.take())
    }

    fn recount(&mut self, before: usize, after: usize) {
        self.cached = (self.cached + after).saturating_sub(before);
    }

    /// Takes an operation into account.
    ///
    /// # Errors
    /// An append that does not continue the log.
    pub fn apply(&mut self, group: u32, op: &Op) -> io::Result<()> {
        self.last_seq += 1;
        let seq = self.last_seq;
        let tail = self.tails.entry(group).or_default();
        let before = tail.bytes();
        let result = tail.apply(op, seq);
        let after = tail.bytes();
        if tail.state() == LogState::default() {
            self.tails.remove(&group);
        }
        self.recount(before, after);
        result
    }

    /// Remembers that a group's commit mark moved.
    pub fn note_committed(&mut self, group: u32) {
        self.committed.insert(group);
    }

    /// Queues the operation that was taken into account last. The writer is to be woken.
    pub fn push(&mut self, group: u32, op: Op, done: Option<Done>) -> Option<Waker> {
        let bytes = match &op {
            Op::Append(entries) => entries.iter().map(weight).sum(),
            _ => OP_BYTES,
        };
        self.queue.push_back(Queued { write: Write { group, op }, done, seq: self.last_seq, bytes });
        self.waker.take()
    }

    /// Whether the writer has something to do.
    pub fn is_due(&self) -> bool {
        !self.queue.is_empty() || (self.closed && !self.committed.is_empty())
    }

    /// Takes the next batch out of the queue, and the commit marks along with it.
    pub fn take_batch(&mut self) -> Vec<Write> {
        let mut bytes = 0;
        let fits = |q: &&Queued| {
            let fits = bytes < MAX_BATCH_BYTES;
            bytes += q.bytes;
            fits
        };
        let n = self.queue.iter().take(MAX_BATCH_OPS).take_while(fits).count();
        let mut writes = Vec::with_capacity(n + self.committed.len());
        let mut dones = Vec::with_capacity(n);
        let mut last_seq = None;
        for queued in self.queue.drain(..n) {
            last_seq = Some(queued.seq);
            writes.push(queued.write);
            dones.extend(queued.done);
        }
        for group in std::mem::take(&mut self.committed) {
            // The mark as it is now: it may run ahead of the entries in this batch.
            let mark = self.tails.get(&group).and_then(|t| t.state().committed);
            writes.extend(mark.map(|id| Write { group, op: Op::Committed(id) }));
        }
        self.batches += 1;
        self.writing = Some(Batch { number: self.batches, dones, last_seq });
        writes
    }

    /// Number of the batch that is being written.
    pub fn writing(&self) -> Option<u64> {
        self.writing.as_ref().map(|b| b.number)
    }

    /// The batch that was being written is durable.
    pub fn written(&mut self) -> Vec<Done> {
        let Some(batch) = self.writing.take() else { return Vec::new() };
        self.synced_seq = batch.last_seq.unwrap_or(self.synced_seq);
        self.evict();
        batch.dones
    }

    /// Brings the cache back under its bound, as the real writer does. Only what is synced may go.
    fn evict(&mut self) {
        if self.cached <= self.cache_bytes {
            return;
        }
        let share = self.cache_bytes / self.tails.len().max(1);
        for tail in self.tails.values_mut() {
            let before = tail.bytes();
            tail.shrink(share / 2, self.synced_seq);
            self.cached = (self.cached + tail.bytes()).saturating_sub(before);
        }
    }

    /// After a failed write nobody knows what is on disk: nothing is taken any more.
    pub fn fail(&mut self, what: String) -> Vec<Done> {
        self.failure = Some(what);
        let mut dones = self.writing.take().map(|b| b.dones).unwrap_or_default();
        dones.extend(self.queue.drain(..).filter_map(|q| q.done));
        dones
    }

    /// The writer has nothing left to do, ever.
    pub fn is_over(&self) -> bool {
        self.dead || self.failure.is_some() || (self.closed && !self.is_due() && self.writing.is_none())
    }
}

/// Ends when there is something to write (true), or when there never will be (false).
pub(super) async fn due(life: &parking_lot::Mutex<Life>) -> bool {
    poll_fn(|cx| {
        let mut life = life.lock();
        if life.is_over() {
            return Poll::Ready(false);
        }
        if life.is_due() && life.writing.is_none() {
            return Poll::Ready(true);
        }
        let before = life.waker.replace(cx.waker().clone());
        drop(life);
        drop(before);
        Poll::Pending
    })
    .await
}
