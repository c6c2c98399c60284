//! What an operator or a test may set. Every bound of this crate that depends on load stands here.

use std::io;
use std::time::Duration;
use zcluster_runtime::planted::{Bug, planted};

/// Messages waiting for a group's core. Everything that feeds it is bounded below this (proposals by
/// `max_proposals`, a peer's appends by `service::append`), so that sending to it never has to wait.
pub(crate) const API_QUEUE: u64 = 65_536;

/// Settings of one node's [`MultiRaft`](crate::MultiRaft); they hold for every group.
///
/// Failure detection: a follower refuses votes while its lease on the last leader runs (`election_max` after the last
/// message), and then waits a random time between `election_min` and `election_max`. With the defaults an election
/// starts 2.0 to 2.4 s after the last message of a killed leader, which leaves 1.6 s of the four promised seconds to a
/// second round, the first commit and the client's retry. Shorter heartbeats detect sooner and cost every idle group
/// CPU all day; and a lease must outlive a few lost heartbeats and a stall of a busy machine.
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
    /// Entries applied since the last cut of the log before it is cut again.
    pub snapshot_every: u64,
    /// Bytes applied since the last cut of the log before it is cut again.
    pub snapshot_bytes: u64,
    /// A cut leaves at least this many of the newest entries, so that a follower that was away for a moment needs no
    /// snapshot; or `keep_bytes` of them, whichever is less.
    pub keep_entries: u64,
    /// See `keep_entries`.
    pub keep_bytes: u64,
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
            heartbeat: Duration::from_millis(400),
            heartbeat_quiet: Duration::from_millis(150),
            election_min: Duration::from_millis(800),
            election_max: Duration::from_millis(1200),
            snapshot_every: 20_000,
            snapshot_bytes: 64 << 20,
            keep_entries: 20_000,
            keep_bytes: 64 << 20,
            snapshot_lag: 200_000,
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

    /// openraft's settings for a group.
    ///
    /// # Errors
    /// Settings that contradict each other.
    pub(crate) fn openraft(&self) -> io::Result<openraft::Config> {
        let ms = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        let config = openraft::Config {
            cluster_name: "zcluster".into(),
            heartbeat_interval: ms(self.heartbeat),
            heartbeat_min_interval: Some(ms(self.heartbeat_quiet)),
            election_timeout_min: ms(self.election_min),
            election_timeout_max: ms(self.election_max),
            install_snapshot_timeout: ms(self.snapshot_timeout),
            max_payload_entries: self.max_payload_entries,
            replication_lag_threshold: self.snapshot_lag.max(self.snapshot_every.saturating_mul(2)),
            snapshot_policy: openraft::SnapshotPolicy::LogsSinceLast(self.snapshot_every),
            // What stays behind a cut is decided where the point is chosen, by entries and bytes.
            max_in_snapshot_log_to_keep: 0,
            api_channel_size: Some(API_QUEUE),
            enable_pre_vote: Some(true),
            // A restarted leader that goes on in its old term may put another entry at a (term, index) it already
            // replicated: acknowledged mail is lost. It must stand for election like everyone.
            enable_leader_restore: Some(planted(Bug::LeaderRestore)),
            allow_log_reversion: Some(false),
            ..openraft::Config::default()
        };
        let config = config.validate().map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e.to_string()))?;
        check(&config)?;
        Ok(config)
    }
}

/// The switches that safety hangs on, asserted where every group starts: a change of the struct above, or of
/// openraft's meaning of `None`, must not go unnoticed.
fn check(config: &openraft::Config) -> io::Result<()> {
    let safe = config.enable_leader_restore == Some(planted(Bug::LeaderRestore))
        && config.enable_pre_vote == Some(true)
        && config.allow_log_reversion == Some(false);
    if safe { Ok(()) } else { Err(io::Error::other("openraft is not configured safely")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_safe() {
        let config = Config::new(1).openraft().unwrap();
        assert_eq!(config.enable_leader_restore, Some(false));
        assert_eq!(config.enable_pre_vote, Some(true));
        assert!(config.install_snapshot_timeout >= 60_000);
    }

    #[test]
    fn openraft_defaults_are_refused() {
        assert!(check(&openraft::Config::default()).is_err());
    }
}
