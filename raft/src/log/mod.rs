//! Where all groups' logs and votes of a node are kept.
//!
//! A [`LogEngine`] is asked to do things with [`submit`](LogEngine::submit), which returns at once: what was submitted
//! can be read when it returns, and is durable when its callback runs. All groups share one queue, so that a group's
//! operations are never reordered and one fsync serves whatever waits.

pub mod memory;
mod record;
pub mod rocks;
pub mod tail;
mod writer;

use crate::{Entry, Fatal, LogId};
use std::io;

pub(crate) use record::{kind_from_parts, kind_parts};

pub use memory::MemoryLog;
pub use rocks::{RocksLog, RocksOptions};

/// A group's vote: the highest term it knows, for whom it voted, and whether a quorum did the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vote {
    /// The term.
    pub term: u64,
    /// The candidate or leader.
    pub node: u64,
    /// A quorum granted it: `node` leads in `term`.
    pub committed: bool,
}

/// Something to do with a group's log.
#[derive(Clone, Debug)]
pub enum Op {
    /// Remembers a vote.
    Vote(Vote),
    /// Appends entries; their indexes continue the log.
    Append(Vec<Entry>),
    /// Drops all entries behind this one (`None`: all).
    TruncateAfter(Option<LogId>),
    /// Drops all entries up to this one. It may lie behind the last entry, after a snapshot was installed.
    Purge(LogId),
    /// Remembers that entries up to here are committed. A hint that saves work after a restart: it is never synced by
    /// itself, and a crash may lose it.
    Committed(LogId),
    /// Forgets the group, but not what the replica promised while it was a member: its vote stays, and so does the
    /// place of the last entry it ever had.
    Delete {
        /// Becomes [`LogState::left`]; no older than what that was before.
        left: Option<LogId>,
    },
}

/// Runs when an operation is durable (or has failed). It must not block and not call the engine.
pub type Done = Box<dyn FnOnce(io::Result<()>) + Send>;

/// What an engine knows of a group, with everything submitted taken into account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogState {
    /// The vote.
    pub vote: Option<Vote>,
    /// The last entry known to be committed.
    pub committed: Option<LogId>,
    /// The last entry cut off.
    pub purged: Option<LogId>,
    /// The last entry (or the last one cut off).
    pub last: Option<LogId>,
    /// The replica was once removed from this node, and its log reached up to here: it may have been counted for
    /// entries up to this one. As long as its new log is shorter it must have no say in elections, or members that
    /// have not heard of its removal could elect a leader without those entries.
    pub left: Option<LogId>,
}

impl LogState {
    /// Where the log must reach before the replica may take part in elections again; `None` when it may.
    pub fn owes(&self) -> Option<LogId> {
        self.left.filter(|_| self.last < self.left)
    }
}

/// A node's log store, shared by all its groups.
pub trait LogEngine: Send + Sync + 'static {
    /// Queues an operation. Its effect is visible when this returns; `done` runs when it is durable. Callbacks run in
    /// the order of submission.
    fn submit(&self, group: u32, op: Op, done: Option<Done>);

    /// The group's state, with everything submitted.
    fn state(&self, group: u32) -> LogState;

    /// Entries `from..to`, stopping early after `max_bytes` of bodies (never before one entry). May block on the disk.
    ///
    /// # Errors
    /// The disk, a checksum that does not match, or an entry that should be there and is not.
    fn read(&self, group: u32, from: u64, to: u64, max_bytes: usize) -> io::Result<Vec<Entry>>;

    /// The same if it needs no disk.
    fn read_cached(&self, group: u32, from: u64, to: u64, max_bytes: usize) -> Option<Vec<Entry>>;

    /// Groups of which anything is kept.
    fn groups(&self) -> Vec<u32>;

    /// Waits until everything submitted is durable, then refuses more. Blocks.
    ///
    /// # Errors
    /// The disk.
    fn close(&self) -> io::Result<()>;

    /// Where failures are reported.
    fn fatal(&self) -> &Fatal;
}

/// A body's weight in byte bounds: its bytes and what an entry costs besides.
pub fn weight(e: &Entry) -> usize {
    use crate::EntryKind::{Blank, Membership, Normal};
    64 + match &e.kind {
        Blank => 0,
        Normal(b) | Membership(b) => b.len(),
    }
}
