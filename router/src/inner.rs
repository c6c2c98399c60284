//! What all parts of a router share.

use crate::accounts::Accounts;
use crate::hsm::Hsm;
use crate::packer::{Packed, Waste};
use crate::{RouterConfig, hub::Hub};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use tokio::sync::Semaphore;
use zcluster_api::{GroupId, Volumes};
use zcluster_raft::{Group, MultiRaft};
use zcluster_replica::Replicas;
use zcluster_rpc::Network;
use zcluster_runtime::planted::{Bug, planted};
use zcluster_runtime::{probe, watch};

/// The router's parts.
pub(crate) struct Inner {
    pub config: RouterConfig,
    pub raft: Arc<MultiRaft>,
    pub replicas: Arc<Replicas>,
    pub network: Arc<dyn Network>,
    pub accounts: Accounts,
    pub hub: Arc<Hub>,
    /// Who led a group when last heard of, for groups that do not run here.
    pub hints: Mutex<BTreeMap<GroupId, u64>>,
    /// Groups whose replica here was too far behind to answer a read; until when not to ask it.
    pub lagging: Mutex<BTreeMap<GroupId, zcluster_runtime::Instant>>,
    pub forwards: Semaphore,
    pub served: Arc<Semaphore>,
    /// Held while a group is started or removed.
    pub starting: tokio::sync::Mutex<()>,
    pub stopped: watch::Sender<bool>,
    /// Rounds of packing that failed since the last that did not: the volume cannot be asked.
    pub packing_failures: AtomicU64,
    /// What the packer has done.
    pub packed: Packed,
    /// What is on volumes and needed by nobody.
    pub waste: Mutex<Waste>,
    /// The volume policies' run.
    pub hsm: Hsm,
    /// Held by who has a pack in memory: one at a time on a node.
    pub pack_slot: tokio::sync::Mutex<()>,
    /// Where bodies lie outside of the shards, once that is known.
    pub volumes: OnceLock<Arc<dyn Volumes>>,
}

impl Inner {
    pub fn new(
        config: RouterConfig,
        raft: Arc<MultiRaft>,
        replicas: Arc<Replicas>,
        network: Arc<dyn Network>,
    ) -> Arc<Self> {
        Arc::new(Inner {
            accounts: Accounts::new(replicas.clone(), config.accounts_max),
            hub: Hub::new(),
            hints: Mutex::default(),
            lagging: Mutex::default(),
            forwards: Semaphore::new(config.forwards_max),
            served: Arc::new(Semaphore::new(config.served_max)),
            starting: tokio::sync::Mutex::new(()),
            stopped: watch::channel(false).0,
            packing_failures: AtomicU64::new(0),
            packed: Packed::default(),
            waste: Mutex::default(),
            hsm: Hsm::default(),
            pack_slot: tokio::sync::Mutex::new(()),
            volumes: OnceLock::new(),
            config,
            raft,
            replicas,
            network,
        })
    }

    /// The group, if it runs here.
    pub fn group(&self, group: GroupId) -> Option<Group> {
        self.raft.group(group.0)
    }

    /// This node's raft id.
    pub fn me(&self) -> u64 {
        self.config.node.0
    }

    pub fn is_stopped(&self) -> bool {
        *self.stopped.borrow()
    }

    /// Whether this node leads the directory.
    pub fn leads_directory(&self) -> bool {
        self.group(GroupId::DIRECTORY).is_some_and(|g| leads(&g))
    }
}

/// Whether this node leads the group, as far as it knows: good enough to begin work that is the leader's, since every
/// step of such work is agreed on by the group, and harmless when it is taken twice.
pub(crate) fn leads(group: &Group) -> bool {
    group.leadership().borrow().is_leader || planted(Bug::SideEffectOnFollower)
}

/// Asked right before a step of the leader's work: whether this node still leads, for it may have been deposed since it
/// decided on the step. Tells a simulator of the act.
pub(crate) fn acts_as_leader(group: &Group) -> bool {
    let now = *group.leadership().borrow();
    let acts = now.is_leader || planted(Bug::SideEffectOnFollower);
    if acts {
        probe("leader.acts", &[u64::from(group.id()), now.term]);
    }
    acts
}
