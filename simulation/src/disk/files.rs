//! The small files beside the databases: the node file and the fence.

use std::collections::BTreeMap;

/// What a node writes beside its databases; `node.json` of the real node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeFile {
    /// The node's number.
    pub number: u32,
    /// Which of its disks this is: raised when the log has lost data.
    pub incarnation: u16,
    /// It has greeted its peers once.
    pub started: bool,
    /// Where the others are, by raft id.
    pub peers: BTreeMap<u64, String>,
}

/// How far the log was synced, says a file that is written in place, one slot after the other, so that a crash leaves
/// the newest whole one. See [`zcluster_raft::fence`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fence {
    /// The incarnation of the disk.
    pub incarnation: u64,
    /// Number of the last record known to be synced.
    pub synced: u64,
}

impl Fence {
    /// What is missing of a log that reaches up to `recovered`.
    pub fn check(&self, recovered: u64) -> Option<String> {
        let fenced = self.synced;
        let lost = recovered < fenced;
        lost.then(|| format!("the log was synced up to {fenced} but reaches only {recovered}"))
    }
}
