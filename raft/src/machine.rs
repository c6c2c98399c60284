//! What a group's log is applied to: the seam between agreement and meaning.

use bytes::Bytes;
use std::io;

/// A position in a group's log. `leader_id_std`: one leader per term, so the term alone is the fencing token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogId {
    /// Term of the leader that wrote the entry.
    pub term: u64,
    /// Position, from 0.
    pub index: u64,
}

/// A committed entry.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where.
    pub id: LogId,
    /// What.
    pub kind: EntryKind,
}

/// What an entry holds.
#[derive(Clone, Debug)]
pub enum EntryKind {
    /// A leader's first entry.
    Blank,
    /// A proposal.
    Normal(Bytes),
    /// A membership, encoded by this crate; the machine stores it beside the applied position.
    Membership(Bytes),
}

/// What a machine has applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The last applied entry.
    pub last: Option<LogId>,
    /// The last applied membership: the bytes of [`EntryKind::Membership`] and the position it was at.
    pub membership: Option<(LogId, Bytes)>,
}

/// A group's state on this node. Every method is synchronous and called from one task at a time. An `Err` means that
/// this node's disk is not to be trusted: the process stops.
pub trait StateMachine: Send + 'static {
    /// What has been applied and will survive a restart (together with the log that is kept).
    fn applied(&mut self) -> io::Result<Applied>;

    /// Applies entries in order and returns one reply each (empty for `Blank` and `Membership`). Indexes are
    /// contiguous: the implementation asserts it.
    fn apply(&mut self, entries: Vec<Entry>) -> io::Result<Vec<Bytes>>;

    /// The last applied index that is flushed to disk: the log may be purged up to it, never beyond.
    fn durable_index(&mut self) -> io::Result<Option<u64>>;

    /// The log waits for a flush to be cut: flush soon, without blocking here. Machines that flush by themselves often
    /// enough need not listen.
    fn request_flush(&mut self) {}

    /// A consistent view of the state as of now, to be read in chunks while `apply` goes on.
    fn snapshot(&mut self) -> io::Result<Box<dyn SnapshotSource>>;

    /// Begins to receive a snapshot into a new generation beside the present state.
    fn begin_install(&mut self, manifest: Bytes) -> io::Result<Box<dyn SnapshotSink>>;

    /// Makes a completely received snapshot the state, atomically and durably (flip of the generation).
    fn finish_install(&mut self, sink: Box<dyn SnapshotSink>, applied: Applied) -> io::Result<()>;
}

/// A snapshot to send. Used from a blocking thread.
pub trait SnapshotSource: Send + Sync + 'static {
    /// What the view has applied.
    fn applied(&self) -> Applied;
    /// Describes the chunks (opaque to this crate).
    fn manifest(&self) -> Bytes;
    /// Chunk `n`, at most 1 MiB; `None` behind the last one. Asked for in order; the last one may be asked for again.
    fn chunk(&self, n: u64) -> io::Result<Option<Bytes>>;
}

/// A snapshot being received. Dropped unfinished, it leaves junk that is removed at the next start, never damage.
pub trait SnapshotSink: Send + 'static {
    /// Takes chunk `n`, in order.
    fn put(&mut self, n: u64, chunk: Bytes) -> io::Result<()>;
    /// For the machine to recognise its own sink.
    fn as_any(self: Box<Self>) -> Box<dyn std::any::Any + Send>;
}
