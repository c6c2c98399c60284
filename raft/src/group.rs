//! A handle to one group.

use crate::{AdminError, GroupStatus, Leadership, LogId, ProposeError, ReadError};
use bytes::Bytes;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use zcluster_runtime::watch;

/// One group on this node. Clones are cheap and speak of the same group.
#[derive(Clone)]
pub struct Group(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) id: u32,
    pub(crate) node: u64,
    pub(crate) leadership: watch::Receiver<Leadership>,
}

impl Group {
    /// The group's number.
    pub fn id(&self) -> u32 {
        self.0.id
    }
    /// This node.
    pub fn node(&self) -> u64 {
        self.0.node
    }
    /// Appends a command on the leader and waits until it is committed and applied here; returns the machine's reply.
    ///
    /// # Errors
    /// See [`ProposeError`].
    pub async fn propose(&self, _command: Bytes, _timeout: Duration) -> Result<Bytes, ProposeError> {
        Err(ProposeError::Stopped)
    }
    /// Like [`propose`](Self::propose), but only while this node leads in `term`: for work that a leader does in steps.
    ///
    /// # Errors
    /// [`ProposeError::NotLeader`] when the term has passed.
    pub async fn propose_in_term(&self, _term: u64, _command: Bytes, _timeout: Duration) -> Result<Bytes, ProposeError> {
        Err(ProposeError::Stopped)
    }
    /// On the leader: after this, the local state holds everything acknowledged before the call.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn read_barrier(&self, _timeout: Duration) -> Result<LogId, ReadError> {
        Err(ReadError::Unavailable)
    }
    /// On any replica: asks the leader for its read position and waits until this node has applied it.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn read_barrier_anywhere(&self, _timeout: Duration) -> Result<LogId, ReadError> {
        Err(ReadError::Unavailable)
    }
    /// Who leads, if known here. A hint.
    pub fn leader(&self) -> Option<u64> {
        self.0.leadership.borrow().leader
    }
    /// Who leads, to follow.
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.0.leadership.clone()
    }
    /// The group's state here.
    pub fn status(&self) -> GroupStatus {
        todo_status(self)
    }
    /// Adds a replica without a vote (does nothing when it is there). Returns when the change is committed, not when
    /// the replica has caught up.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn add_learner(&self, _node: u64) -> Result<(), AdminError> {
        Err(AdminError::Stopped)
    }
    /// Drops replicas without a vote.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn remove_learners(&self, _nodes: BTreeSet<u64>) -> Result<(), AdminError> {
        Err(AdminError::Stopped)
    }
    /// Makes `voters` the voters, by joint consensus. Nodes that lose their vote are dropped. Asking again for the
    /// same voters finishes a change that was interrupted, and is otherwise free.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn change_voters(&self, _voters: BTreeSet<u64>) -> Result<(), AdminError> {
        Err(AdminError::Stopped)
    }
    /// Hands leadership to `to`, a voter that is up to date. Returns when another leader is known here.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn transfer_leader(&self, _to: u64) -> Result<(), AdminError> {
        Err(AdminError::Stopped)
    }
    /// Moves the snapshot point to the applied position, so that the log can be cut.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn trigger_snapshot(&self) -> Result<(), AdminError> {
        Err(AdminError::Stopped)
    }
    /// Waits until this node has applied `index`.
    ///
    /// # Errors
    /// [`ReadError::Unavailable`] when that takes longer than `timeout`.
    pub async fn wait_applied(&self, _index: u64, _timeout: Duration) -> Result<(), ReadError> {
        Err(ReadError::Unavailable)
    }
}

fn todo_status(g: &Group) -> GroupStatus {
    GroupStatus {
        group: g.0.id,
        node: g.0.node,
        role: crate::Role::Stopped,
        term: 0,
        leader: None,
        last_log: None,
        committed: None,
        applied: None,
        snapshot: None,
        purged: None,
        voters: BTreeSet::new(),
        learners: BTreeSet::new(),
        joint: false,
        followers: Vec::new(),
    }
}
