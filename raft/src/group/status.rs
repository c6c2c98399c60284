//! What a group looks like from outside.

use super::Inner;
use crate::types::{C, from_raft};
use crate::{FollowerLag, GroupStatus, Role};
use openraft::{RaftMetrics, ServerState};
use openraft_rt::WatchReceiver as _;

impl Inner {
    pub(crate) fn status(&self) -> GroupStatus {
        let metrics = self.raft.metrics();
        let m = metrics.borrow_watched();
        let membership = m.membership_config.membership();
        GroupStatus {
            group: self.id,
            node: self.config.node,
            role: role(&m),
            term: m.current_term,
            leader: m.current_leader,
            last_log: m.last_log_index,
            committed: m.local_committed.as_ref().map(from_raft),
            // Ahead of openraft's own notion, which follows by a message.
            applied: self.progress.applied(),
            snapshot: m.snapshot.as_ref().map(from_raft),
            purged: m.purged.as_ref().map(from_raft),
            voters: membership.voter_ids().collect(),
            learners: membership.learner_ids().collect(),
            joint: membership.get_joint_config().len() > 1,
            membership: m.membership_config.log_id().as_ref().map(from_raft),
            followers: followers(&m),
        }
    }
}

fn role(m: &RaftMetrics<C>) -> Role {
    if m.running_state.is_err() {
        return Role::Stopped;
    }
    match m.state {
        ServerState::Leader => Role::Leader,
        ServerState::Follower => Role::Follower,
        ServerState::Candidate => Role::Candidate,
        ServerState::Learner => Role::Learner,
        ServerState::Shutdown => Role::Stopped,
    }
}

fn followers(m: &RaftMetrics<C>) -> Vec<FollowerLag> {
    let end = m.last_log_index.map_or(0, |i| i + 1);
    let lag = |(node, matched): (&u64, &Option<crate::types::RaftId>)| {
        let matched = matched.as_ref().map(|id| id.index);
        FollowerLag { node: *node, matched, lag: end.saturating_sub(matched.map_or(0, |i| i + 1)) }
    };
    m.replication.iter().flatten().filter(|(node, _)| **node != m.id).map(lag).collect()
}
