//! What an operator or a test may set. Every bound of this crate that depends on load stands here.

use std::time::Duration;

/// Settings of one node's [`MultiRaft`](crate::MultiRaft); they hold for every group.
///
/// Failure detection: a follower refuses votes while its lease on the last leader runs (`election_max` after the last
/// message), and then waits a random time between `election_min` and `election_max`. With the defaults an election
/// starts 1.7 to 2.0 s after the last heartbeat of a killed leader, which leaves 2 s of the four promised seconds to
/// the election, the first commit and the client's retry.
#[derive(Clone, Debug)]
pub struct Config {
    /// This node's raft id: node number and disk incarnation.
    pub node: u64,
    /// Time between two heartbeats of a leader.
    pub heartbeat: Duration,
    /// A heartbeat is not sent to a follower that acknowledged something within this time. Zero: never suppressed.
    pub heartbeat_quiet: Duration,
    /// Shortest random wait before an election.
    pub election_min: Duration,
    /// Longest random wait before an election, and the length of a leader's lease.
    pub election_max: Duration,
    /// Entries applied since the last snapshot point before the log may be cut again.
    pub snapshot_every: u64,
    /// Entries kept behind the snapshot point, so that a follower that was away for a moment needs no snapshot.
    pub keep_entries: u64,
    /// A follower further behind than this gets a snapshot. Raised to `2 * snapshot_every` when it is below that.
    pub snapshot_lag: u64,
    /// How long a follower may take to receive and install a snapshot.
    pub snapshot_timeout: Duration,
    /// Entries in one replication message.
    pub max_payload_entries: u64,
    /// Bytes of entries in one replication message and in one read of the log.
    pub max_payload_bytes: usize,
    /// Entries applied to the machine in one call.
    pub max_apply_entries: usize,
    /// Bytes applied to the machine in one call.
    pub max_apply_bytes: usize,
    /// Replication messages on their way to one follower of one group.
    pub max_pipeline: usize,
    /// Proposals of one group that wait for their outcome; more are refused at once.
    pub max_proposals: usize,
    /// The largest proposal in bytes.
    pub max_proposal_bytes: usize,
    /// How often gauges (term, indexes, lag) are published. Zero: never.
    pub metrics_every: Duration,
}

impl Config {
    /// The defaults for production.
    pub fn new(node: u64) -> Self {
        Self {
            node,
            heartbeat: Duration::from_millis(250),
            heartbeat_quiet: Duration::from_millis(125),
            election_min: Duration::from_millis(700),
            election_max: Duration::from_millis(1000),
            snapshot_every: 50_000,
            keep_entries: 20_000,
            snapshot_lag: 100_000,
            snapshot_timeout: Duration::from_secs(1800),
            max_payload_entries: 512,
            max_payload_bytes: 1 << 20,
            max_apply_entries: 512,
            max_apply_bytes: 4 << 20,
            max_pipeline: 16,
            max_proposals: 4096,
            max_proposal_bytes: 8 << 20,
            metrics_every: Duration::from_secs(5),
        }
    }
}
