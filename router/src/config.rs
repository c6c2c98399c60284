//! What a node sets about its router.

use crate::packer::PackingConfig;
use std::time::Duration;
use zcluster_api::NodeId;

/// Settings and bounds of one node's router.
#[derive(Clone, Debug)]
pub struct RouterConfig {
    /// This node.
    pub node: NodeId,
    /// Calls forwarded to peers at a time; more wait within their deadline.
    pub forwards_max: usize,
    /// Calls of peers carried out at a time; more are refused (their router tries again).
    pub served_max: usize,
    /// One try of a call at a peer waits at most this long before the router looks for another leader. (A dead peer
    /// is noticed sooner: its connection ends, or the local replica hears of another leader.)
    pub attempt: Duration,
    /// First wait between two tries; doubled up to [`backoff_max`](Self::backoff_max), with jitter.
    pub backoff_min: Duration,
    /// Longest wait between two tries.
    pub backoff_max: Duration,
    /// Accounts kept decoded in memory.
    pub accounts_max: usize,
    /// How often the reconciler compares what is with what should be.
    pub reconcile_every: Duration,
    /// Membership changes this node drives at a time, over the groups it leads.
    pub moves_max: usize,
    /// A new replica may lack so many entries when it is given its vote.
    pub promote_lag: u64,
    /// How often mailboxes are looked through for messages that are kept no longer.
    pub retention_every: Duration,
    /// When bodies go to volumes, and what becomes of objects there.
    pub packing: PackingConfig,
}

impl RouterConfig {
    /// The defaults for production.
    pub fn new(node: NodeId) -> Self {
        RouterConfig {
            node,
            forwards_max: 4096,
            served_max: 4096,
            attempt: Duration::from_secs(5),
            backoff_min: Duration::from_millis(10),
            backoff_max: Duration::from_millis(500),
            accounts_max: 100_000,
            reconcile_every: Duration::from_secs(1),
            moves_max: 4,
            promote_lag: 1000,
            retention_every: Duration::from_secs(3_600),
            packing: PackingConfig::default(),
        }
    }
}
