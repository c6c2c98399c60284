//! A handle to one group.

mod membership;
mod propose;
mod read;
mod status;

use crate::network::Peers;
use crate::service::Session;
use crate::state_machine::{Machine, Progress};
use crate::types::{C, RaftVote};
use crate::{Config, GroupStatus, Leadership, LogEngine};
use openraft::Raft;
use openraft_rt::WatchReceiver as _;
use read::Gate;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use zcluster_runtime::watch;

/// One group on this node. Clones are cheap and speak of the same group.
#[derive(Clone)]
pub struct Group(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) id: u32,
    pub(crate) config: Arc<Config>,
    pub(crate) raft: Raft<C, Machine>,
    pub(crate) log: Arc<dyn LogEngine>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) leadership: watch::Receiver<Leadership>,
    /// Proposals that wait for their outcome.
    pub(crate) proposals: AtomicUsize,
    /// Appends from a leader that wait for their fsync.
    pub(crate) appends: AtomicUsize,
    pub(crate) gate: Gate,
    /// A snapshot on its way in.
    pub(crate) snapshot: tokio::sync::Mutex<Option<Session>>,
    pub(crate) propose_seconds: metrics::Histogram,
}

impl Group {
    /// The group's number.
    pub fn id(&self) -> u32 {
        self.0.id
    }

    /// This node.
    pub fn node(&self) -> u64 {
        self.0.config.node
    }

    /// Who leads, if known here. A hint.
    pub fn leader(&self) -> Option<u64> {
        self.0.leadership.borrow().leader
    }

    /// Who leads, to follow. A change to `is_leader` says that an election was won, not that everything committed
    /// before is applied here: pass a [`read_barrier`](Self::read_barrier) before acting on local state.
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.0.leadership.clone()
    }

    /// The group's state here.
    pub fn status(&self) -> GroupStatus {
        self.0.status()
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("id", &self.0.id).field("leadership", &*self.0.leadership.borrow()).finish()
    }
}

impl Inner {
    /// This node's vote, as far as it is on disk.
    pub(crate) fn vote(&self) -> RaftVote {
        self.raft.server_metrics().borrow_watched().vote
    }
}
