//! Who belongs to a group, and who leads it.

use super::{Group, Inner};
use crate::AdminError;
use crate::types::C;
use openraft::errors::{ChangeMembershipError, ClientWriteError, RaftError};
use openraft::{ChangeMembers, EmptyNode};
use openraft_rt::Instant as _;
use openraft_rt::WatchReceiver as _;
use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;
use zcluster_runtime::{Instant, probe};

/// How long a membership entry may take to be committed.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a trigger waits for its effect.
const TRIGGER_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a condition without a signal is looked at.
const POLL_EVERY: Duration = Duration::from_millis(10);

/// The members as this node knows them.
struct Members {
    configs: Vec<BTreeSet<u64>>,
    nodes: BTreeSet<u64>,
}

impl Inner {
    fn members(&self) -> Members {
        let metrics = self.raft.server_metrics();
        let metrics = metrics.borrow_watched();
        let membership = metrics.membership_config.membership();
        Members { configs: membership.get_joint_config().clone(), nodes: membership.nodes().map(|(n, _)| *n).collect() }
    }

    async fn change(&self, change: ChangeMembers<u64, EmptyNode>) -> Result<(), AdminError> {
        // Whoever loses a vote is dropped, not kept as a learner.
        let change = self.raft.change_membership(change, false);
        match zcluster_runtime::timeout(CHANGE_TIMEOUT, change).await {
            Ok(Ok(_)) => {
                probe("raft.membership.changed", &[u64::from(self.id)]);
                Ok(())
            }
            Ok(Err(e)) => Err(admin_error(e)),
            Err(_) => Err(AdminError::Timeout),
        }
    }

    /// Whether most of `voters` have answered this leader within an election's time.
    fn hears_most_of(&self, voters: &BTreeSet<u64>) -> bool {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let heard = |node: &&u64| {
            let last = metrics.heartbeat.as_ref().and_then(|h| h.get(*node)).and_then(Option::as_ref);
            **node == self.config.node || last.is_some_and(|at| at.elapsed() <= self.config.election_max)
        };
        voters.iter().filter(heard).count() > voters.len() / 2
    }

    fn need_leader(&self) -> Result<(), AdminError> {
        let now = *self.leadership.borrow();
        if now.is_leader { Ok(()) } else { Err(AdminError::NotLeader { leader: now.leader }) }
    }
}

fn admin_error(e: RaftError<C, ClientWriteError<C>>) -> AdminError {
    match e {
        RaftError::APIError(ClientWriteError::ForwardToLeader(to)) => AdminError::NotLeader { leader: to.leader_id },
        RaftError::APIError(ClientWriteError::ChangeMembershipError(ChangeMembershipError::InProgress(_))) => {
            AdminError::InProgress
        }
        RaftError::APIError(ClientWriteError::ChangeMembershipError(ChangeMembershipError::UncommittedLeaderLog(
            _,
        ))) => AdminError::InProgress,
        RaftError::APIError(ClientWriteError::LogEntryDiscarded(_)) => AdminError::Timeout,
        RaftError::APIError(e) => AdminError::Refused(e.to_string()),
        RaftError::Fatal(_) => AdminError::Stopped,
    }
}

impl Group {
    /// Adds a replica without a vote (does nothing when it is a member). Returns when the change is committed, not when
    /// the replica has caught up.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn add_learner(&self, node: u64) -> Result<(), AdminError> {
        self.0.need_leader()?;
        if self.0.members().nodes.contains(&node) {
            return Ok(());
        }
        self.0.change(ChangeMembers::AddNodes([(node, EmptyNode {})].into())).await
    }

    /// Drops replicas without a vote.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn remove_learners(&self, nodes: BTreeSet<u64>) -> Result<(), AdminError> {
        self.0.need_leader()?;
        let members = self.0.members();
        if members.nodes.is_disjoint(&nodes) {
            return Ok(());
        }
        if members.configs.iter().any(|c| !c.is_disjoint(&nodes)) {
            return Err(AdminError::Refused("a voter must lose its vote before it is removed".into()));
        }
        self.0.change(ChangeMembers::RemoveNodes(nodes)).await
    }

    /// Makes `voters` the voters, by joint consensus; all of them must be members already (see
    /// [`add_learner`](Self::add_learner)). Nodes that lose their vote are dropped. Asking again for the same voters
    /// finishes a change that was interrupted, and is otherwise free.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn change_voters(&self, voters: BTreeSet<u64>) -> Result<(), AdminError> {
        if voters.is_empty() {
            return Err(AdminError::Refused("a group needs a voter".into()));
        }
        self.0.need_leader()?;
        // A change that is half done can only be finished; one that is not begun must not be, or the group stands still
        // until the silent are back, if ever they are.
        if self.0.members().configs.len() == 1 && !self.0.hears_most_of(&voters) {
            return Err(AdminError::Refused(format!("most of the new voters {voters:?} do not answer")));
        }
        match &self.0.members().configs[..] {
            [only] if *only == voters => return Ok(()),
            [_, _, ..] => probe("raft.joint.resumed", &[u64::from(self.0.id)]),
            _ => {}
        }
        self.0.change(ChangeMembers::ReplaceAllVoters(voters)).await
    }

    /// Hands leadership to `to`, a voter. Returns when it is known here that `to` leads. Writes are refused meanwhile.
    ///
    /// # Errors
    /// [`AdminError::Timeout`] when another node, or still this one, leads after ten seconds; see [`AdminError`].
    pub async fn transfer_leader(&self, to: u64) -> Result<(), AdminError> {
        self.0.need_leader()?;
        if to == self.node() {
            return Ok(());
        }
        if !self.0.members().configs.iter().all(|c| c.contains(&to)) {
            return Err(AdminError::Refused(format!("node {to} is not a voter")));
        }
        self.0.raft.trigger().transfer_leader(to).await.map_err(|_| AdminError::Stopped)?;
        let mut leadership = self.leadership();
        let led = async {
            while leadership.borrow_and_update().leader != Some(to) {
                leadership.changed().await.map_err(|_| AdminError::Stopped)?;
            }
            Ok(())
        };
        zcluster_runtime::timeout(TRIGGER_TIMEOUT, led).await.map_err(|_| AdminError::Timeout)?
    }

    /// Cuts the log as far as the state machine's flushed state allows, without leaving entries for slow followers.
    /// Returns when the cut is decided, or nothing more can be cut now.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn trigger_snapshot(&self) -> Result<(), AdminError> {
        let Some(applied) = self.0.progress.applied() else { return Ok(()) };
        let deadline = Instant::now() + TRIGGER_TIMEOUT;
        // The machine may have to flush first: it is asked by the attempt, and the attempt is repeated.
        while Instant::now() < deadline {
            self.0.progress.cut_all.store(true, Ordering::Release);
            self.0.raft.trigger().snapshot().await.map_err(|_| AdminError::Stopped)?;
            zcluster_runtime::sleep(POLL_EVERY).await;
            let at = self.0.raft.data_metrics().borrow_watched().snapshot;
            if at.is_some_and(|s| s.index >= applied.index) {
                return Ok(());
            }
        }
        Err(AdminError::Timeout)
    }

    /// Stops the group's core and waits for its end.
    pub(crate) async fn stop(&self) -> io::Result<()> {
        self.0.raft.shutdown().await.map_err(io::Error::other)
    }
}
