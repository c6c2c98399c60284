//! What of a node survives its process: the Raft log, the state engine, the fence, the node file.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use zcluster_raft::{Fatal, LogEngine, log::MemoryLog};
use zcluster_replica::{MemoryEngine, StateEngine};

/// What a node writes beside its databases; see `DataDir` of the real node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeFile {
    /// The node's number.
    pub number: u32,
    /// Which of its disks this is.
    pub incarnation: u16,
    /// It has greeted its peers once.
    pub started: bool,
    /// Where the others are.
    pub peers: BTreeMap<u64, String>,
}

/// The databases of a process that has just started.
pub struct Opened {
    /// The Raft log of all groups.
    pub log: Arc<dyn LogEngine>,
    /// The state of all groups.
    pub engine: Arc<dyn StateEngine>,
    /// Synced data is gone, says the fence (and what): take a new incarnation, [`NodeDisk::renew`], open again.
    pub lost: Option<String>,
    /// The incarnation the fence knows.
    pub fence_incarnation: u64,
}

/// Why a node's databases cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// A record does not pass its checksum: an operator must replace the disk ([`NodeDisk::wipe`] or
    /// [`NodeDisk::renew`]).
    Damaged(String),
    /// No space.
    Full,
}

/// A node's disk.
pub struct NodeDisk {
    node: u32,
    file: Mutex<Option<NodeFile>>,
}

impl NodeDisk {
    /// An empty disk.
    pub fn new(node: u32) -> Arc<Self> {
        Arc::new(NodeDisk { node, file: Mutex::default() })
    }
    /// Opens the databases for a new process of the node, which must be started ([`crate::world::start_node`]): tasks
    /// that write run on it.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(self: &Arc<Self>, fatal: Fatal) -> Result<Opened, OpenError> {
        let _ = (fatal, self.node);
        Ok(Opened { log: Arc::new(MemoryLog::new()), engine: MemoryEngine::new(), lost: None, fence_incarnation: 0 })
    }
    /// The process is gone, as in a power cut.
    pub fn crash(&self, torn: bool) {
        let _ = torn;
    }
    /// The disk is lost: everything, the node file too.
    pub fn wipe(&self) {
        *self.file.lock() = None;
    }
    /// Throws log and state away and begins a new incarnation; the node file stays (write it first).
    pub fn renew(&self, incarnation: u64) {
        let _ = incarnation;
    }
    /// Everything takes so many times as long (1: as usual).
    pub fn set_slow(&self, factor: u32) {
        let _ = factor;
    }
    /// Writes fail with ENOSPC from now on, or no longer.
    pub fn set_full(&self, full: bool) {
        let _ = full;
    }
    /// The next write or fsync fails with EIO.
    pub fn fail_next_write(&self) {}
    /// Damages a synced record that the fence covers; false when there is none.
    pub fn flip_bit(&self) -> bool {
        false
    }
    /// How long an fsync takes, base and spread in microseconds, and how often one takes 20-400 ms.
    pub fn set_fsync(&self, us: (u32, u32), slow_ppm: u32) {
        let _ = (us, slow_ppm);
    }
    /// The node file.
    pub fn node_file(&self) -> Option<NodeFile> {
        self.file.lock().clone()
    }
    /// Writes the node file, durably.
    pub fn write_node_file(&self, file: NodeFile) {
        *self.file.lock() = Some(file);
    }
    /// A disk fault was injected in this life that may stop the node.
    pub fn is_excused(&self) -> bool {
        false
    }
}
