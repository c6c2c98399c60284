//! What of a node survives its process: the Raft log, the state engine, the fence, the node file.
//!
//! A [`NodeDisk`] outlives the processes that open it, one after the other. Each new one ends the one before: whatever
//! is still done through its engines has no effect. The log keeps what was synced and, after a crash, perhaps the
//! record that was being written; the state engine goes back to some moment since its last flush.

mod files;
mod health;
mod log;
mod state;
#[cfg(test)]
mod tests;

use crate::audit;
use crate::world;
use files::Fence;
pub use files::NodeFile;
use health::Health;
use log::{Platter, Process, SimLog};
use parking_lot::Mutex;
use state::{SimState, Store};
use std::io;
use std::sync::Arc;
use zcluster_raft::{Fatal, LogEngine};
use zcluster_replica::StateEngine;

/// The databases of a process that has just started.
pub struct Opened {
    /// The Raft log of all groups.
    pub log: Arc<dyn LogEngine>,
    /// The state of all groups.
    pub engine: Arc<dyn StateEngine>,
    /// Synced data is gone, says the fence (and what). The node must be admitted anew under the next incarnation; then
    /// [`NodeDisk::renew`], and open again.
    pub lost: Option<String>,
    /// The incarnation the fence knows.
    pub fence_incarnation: u64,
}

/// Why a node's databases cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// A record does not pass its checksum: an operator must replace the disk ([`NodeDisk::wipe`]) or have the node
    /// admitted anew ([`NodeDisk::renew`]).
    Damaged(String),
    /// No space.
    Full,
}

/// A node's disk.
pub struct NodeDisk {
    node: u32,
    inner: Mutex<Inner>,
    state: Arc<Mutex<Store>>,
}

/// All of it but the state's rows. Nothing that is called under its lock may come back to the disk.
#[derive(Default)]
struct Inner {
    log: Platter,
    /// None on an empty disk.
    fence: Option<Fence>,
    file: Option<NodeFile>,
    health: Health,
    /// The process that has it open.
    process: Option<Process>,
}

impl Inner {
    /// Moves the fence on.
    ///
    /// # Errors
    /// The disk.
    fn advance_fence(&mut self, synced: u64) -> io::Result<()> {
        if let Some(fence) = self.fence.as_mut().filter(|f| synced > f.synced) {
            self.health.overwrite()?;
            fence.synced = synced;
        }
        Ok(())
    }

    /// How far the log is known to have been synced.
    fn fenced(&self) -> u64 {
        self.fence.map_or(0, |f| f.synced)
    }

    /// Looks whether the log is all there; says what is lost.
    fn check_fence(&mut self) -> Option<String> {
        // A node that had a fence once, and now has none, has lost its disk: nothing is made, so that the next start
        // finds the same.
        if self.fence.is_none() && self.file.as_ref().is_some_and(|f| f.started) {
            return Some("the fence file is gone".into());
        }
        self.fence.get_or_insert_default().check(self.log.synced())
    }
}

impl NodeDisk {
    /// An empty disk.
    pub fn new(node: u32) -> Arc<Self> {
        Arc::new(NodeDisk { node, inner: Mutex::default(), state: Arc::default() })
    }

    fn node(&self) -> u32 {
        self.node
    }

    fn with<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        f(&mut self.inner.lock())
    }

    /// Opens the databases for a new process of the node, which must be started ([`crate::world::start_node`]): the
    /// tasks that write run on it. If the process before has not closed them in order, this is as after
    /// [`crash`](Self::crash).
    ///
    /// # Errors
    /// See [`OpenError`]. Nothing is changed then, and the next attempt finds the same.
    pub fn open(self: &Arc<Self>, fatal: Fatal) -> Result<Opened, OpenError> {
        self.crash(false);
        audit::log_opening(self.node);
        let groups = self.with(|d| {
            d.health.excused = d.health.full || d.health.fail_next || d.log.is_damaged();
            if d.health.full {
                return Err(OpenError::Full);
            }
            d.log.open().map_err(OpenError::Damaged)
        })?;
        let lost = self.with(Inner::check_fence);
        let engine = SimState::open(self.clone(), self.state.clone());
        if lost.is_some() {
            world::count("disk.fence_lost");
        } else {
            groups.iter().for_each(|(group, state)| audit::log_recovered(self.node, *group, *state));
            engine.tell_recovered().map_err(|e| OpenError::Damaged(e.to_string()))?;
        }
        let (log, process) = SimLog::start(self.clone(), &groups, fatal);
        self.with(|d| d.process = Some(process));
        let fence_incarnation = self.with(|d| d.fence.map_or(0, |f| f.incarnation));
        Ok(Opened { log, engine, lost, fence_incarnation })
    }

    /// Ends the process that has the disk open; says what its log had not yet begun to write.
    fn end_process(&self) -> Vec<log::Write> {
        let process = self.with(|d| d.process.take());
        process.map(|p| p.end()).unwrap_or_default()
    }

    /// The process is gone, as in a power cut: the record that was being written is kept or not (`torn`: only a part
    /// of it reached the platter, which amounts to nothing), the state goes back to a moment since its last flush.
    pub fn crash(&self, torn: bool) {
        let queued = self.end_process();
        self.with(|d| d.log.crash(torn, queued));
        state::crash(&self.state);
    }

    /// The disk is lost: everything, the node file too. An empty one is in its place. Should the node file be put back
    /// as it was, the node knows that it has lost its data.
    pub fn wipe(&self) {
        self.start_over(None);
        self.with(|d| d.file = None);
    }

    /// Throws log and state away and begins a new incarnation. The node file stays: write it first.
    pub fn renew(&self, incarnation: u16) {
        self.start_over(Some(Fence { incarnation: u64::from(incarnation), synced: 0 }));
    }

    fn start_over(&self, fence: Option<Fence>) {
        self.end_process();
        let before = self.with(|d| {
            d.fence = fence;
            d.health.excused = d.health.full || d.health.fail_next;
            std::mem::take(&mut d.log)
        });
        drop(before);
        state::wipe(&self.state);
        audit::log_wiped(self.node);
    }

    /// Every sync takes so many times as long (1: as usual).
    pub fn set_slow(&self, factor: u32) {
        self.with(|d| d.health.factor = factor.max(1));
    }

    /// Writes fail with ENOSPC from now on, or no longer. The next write then stops the node.
    pub fn set_full(&self, full: bool) {
        self.with(|d| {
            d.health.full = full;
            d.health.excused |= full;
        });
    }

    /// The next write or sync fails with EIO, which stops the node.
    pub fn fail_next_write(&self) {
        self.with(|d| {
            d.health.fail_next = true;
            d.health.excused = true;
        });
    }

    /// Damages a synced record of the log that the fence covers, so that it can be found out; false when there is none.
    /// It is found when it is read or at the next start, if nothing was written over it until then.
    pub fn flip_bit(&self) -> bool {
        self.with(|d| {
            let fenced = d.fenced();
            let flipped = d.log.flip_bit(fenced);
            d.health.excused |= flipped;
            flipped
        })
    }

    /// How long a sync takes, base and spread in microseconds, and how often (parts per million) one takes 20-400 ms.
    pub fn set_fsync(&self, us: (u32, u32), slow_ppm: u32) {
        self.with(|d| (d.health.fsync_us, d.health.slow_ppm) = (us, slow_ppm));
    }

    /// The node file.
    pub fn node_file(&self) -> Option<NodeFile> {
        self.with(|d| d.file.clone())
    }

    /// Writes the node file, durably.
    pub fn write_node_file(&self, file: NodeFile) {
        self.with(|d| d.file = Some(file));
    }

    /// A fault that may stop the node was injected since its process started, or still waits to be met. It holds until
    /// the next [`open`](Self::open).
    pub fn is_excused(&self) -> bool {
        self.with(|d| d.health.excused)
    }
}
