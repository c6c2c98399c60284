//! Housekeeping of all groups by one task: publishes gauges, drops transfers whose sender is gone. Nothing of this
//! runs per message.

use crate::multi::MultiRaft;
use crate::{GroupStatus, Role};
use std::sync::Weak;
use std::time::Duration;

/// How often house is kept when gauges are off.
const IDLE_EVERY: Duration = Duration::from_secs(60);

/// Runs until the node's groups are gone.
pub(crate) async fn keep_house(multi: Weak<MultiRaft>, every: Duration) {
    let publish_gauges = !every.is_zero();
    let every = if publish_gauges { every } else { IDLE_EVERY };
    loop {
        zcluster_runtime::sleep(every).await;
        let Some(multi) = multi.upgrade() else { return };
        for group in multi.groups() {
            if publish_gauges {
                publish(&group.status());
            }
            if let Ok(mut transfer) = group.0.snapshot.try_lock()
                && transfer.as_ref().is_some_and(|t| t.is_stale())
            {
                *transfer = None;
            }
        }
    }
}

fn publish(s: &GroupStatus) {
    let group = s.group.to_string();
    let set = |name: &'static str, value: u64| metrics::gauge!(name, "group" => group.clone()).set(value as f64);
    set("zcluster_raft_term", s.term);
    set("zcluster_raft_is_leader", u64::from(s.role == Role::Leader));
    set("zcluster_raft_last_log_index", s.last_log.unwrap_or(0));
    set("zcluster_raft_committed_index", s.committed.map_or(0, |id| id.index));
    set("zcluster_raft_applied_index", s.applied.map_or(0, |id| id.index));
    set("zcluster_raft_replication_lag", s.followers.iter().map(|f| f.lag).max().unwrap_or(0));
}
