//! What `zcluster status --json` prints.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use zcluster_api::directory::NodeState;
use zcluster_api::{GroupId, NodeId};
use zcluster_router::{ClusterStatus, GroupSummary, NodeStatus};

/// The whole cluster as one node sees it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StatusReply {
    /// The cluster's id.
    pub cluster: String,
    /// Number of the node that looked.
    pub seen_by: u32,
    /// Whether every group has a leader and a quorum.
    pub healthy: bool,
    /// By number.
    pub nodes: Vec<NodeView>,
    /// The directory's group.
    pub directory: GroupView,
    /// The mailbox shards.
    pub shards: Vec<GroupView>,
}

/// One node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeView {
    /// Node number; shards name nodes by it.
    pub id: u32,
    /// Disk incarnation.
    pub incarnation: u16,
    /// joining, active, draining, removed.
    pub state: String,
    /// Whether it answered.
    pub up: bool,
    /// What clients use.
    pub advertise: String,
    /// What peers dial.
    pub rpc: String,
    /// Services.
    pub ports: BTreeMap<String, u16>,
    /// Failure domain.
    pub zone: String,
    /// Software version.
    pub version: String,
    /// Groups it leads.
    pub leads: Vec<u32>,
    /// Groups it holds a voting replica of.
    pub holds: Vec<u32>,
    /// The largest number of entries one of its replicas lacks.
    pub lag: u64,
    /// Groups that could not write any more if it stopped now.
    pub stop_costs: Vec<u32>,
    /// Bodies of the shards it leads: how many wait to be packed, and how much lies on volumes. Empty without a volume.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub packing: BTreeMap<String, u64>,
}

/// One group.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct GroupView {
    /// Number; 0 is the directory.
    pub shard: u32,
    /// Number of the leading node.
    pub leader: Option<u32>,
    /// Its term.
    pub term: u64,
    /// Voting nodes.
    pub voters: Vec<u32>,
    /// Nodes that follow without a vote.
    pub learners: Vec<u32>,
    /// Nodes that should hold it.
    pub wanted: Vec<u32>,
    /// Voters that answered.
    pub live: usize,
    /// The largest lag of a voter, entries.
    pub lag: u64,
    /// Mailboxes in it.
    pub mailboxes: u64,
}

impl GroupView {
    /// Whether it can write.
    pub fn is_well(&self) -> bool {
        self.leader.is_some() && self.live * 2 > self.voters.len()
    }
}

impl From<ClusterStatus> for StatusReply {
    fn from(s: ClusterStatus) -> Self {
        let (directory, shards): (Vec<_>, Vec<_>) = s.groups.iter().map(group_view).partition(|g| g.shard == 0);
        let directory = directory.into_iter().next().unwrap_or_default();
        let nodes = s.nodes.iter().map(|n| node_view(n, &s.groups)).collect();
        let healthy = directory.is_well() && shards.iter().all(GroupView::is_well);
        StatusReply { cluster: s.cluster, seen_by: s.seen_by.number(), healthy, nodes, directory, shards }
    }
}

fn numbers(ids: &[NodeId]) -> Vec<u32> {
    ids.iter().map(|n| n.number()).collect()
}

fn group_view(g: &GroupSummary) -> GroupView {
    GroupView {
        shard: g.group.0,
        leader: g.leader.map(NodeId::number),
        term: g.term,
        voters: numbers(&g.voters),
        learners: numbers(&g.learners),
        wanted: g.shard.as_ref().map(|s| numbers(&s.replicas)).unwrap_or_default(),
        live: g.live,
        lag: g.lag,
        mailboxes: g.mailboxes,
    }
}

fn node_view(n: &NodeStatus, groups: &[GroupSummary]) -> NodeView {
    let ids = |groups: &[GroupId]| groups.iter().map(|g| g.0).collect();
    NodeView {
        id: n.node.id.number(),
        incarnation: n.node.id.incarnation(),
        state: state_name(n.node.state).into(),
        up: n.report.is_some(),
        advertise: n.node.advertise.clone(),
        rpc: n.node.rpc.clone(),
        ports: n.node.ports.clone(),
        zone: n.node.zone.clone(),
        version: n.node.version.clone(),
        leads: ids(&n.leads),
        holds: groups.iter().filter(|g| g.voters.contains(&n.node.id)).map(|g| g.group.0).collect(),
        lag: lag_of(n, groups),
        stop_costs: ids(&n.stop_costs),
        packing: packing_of(n),
    }
}

fn packing_of(n: &NodeStatus) -> BTreeMap<String, u64> {
    let figures = n.report.iter().flat_map(|report| report.storage.iter());
    let is_of_packing = |name: &str| name.starts_with("pack") || name.starts_with("volume_");
    figures.filter(|(name, _)| is_of_packing(name)).cloned().collect()
}

/// The worst of the node's replicas, measured against the highest index anybody reported.
fn lag_of(n: &NodeStatus, groups: &[GroupSummary]) -> u64 {
    let Some(report) = &n.report else { return 0 };
    let behind = |r: &zcluster_router::ReplicaReport| {
        let known = groups.iter().any(|g| g.group.0 == r.group);
        if known { r.committed.unwrap_or(0).saturating_sub(r.applied.unwrap_or(0)) } else { 0 }
    };
    report.replicas.iter().map(behind).max().unwrap_or(0)
}

fn state_name(state: NodeState) -> &'static str {
    match state {
        NodeState::Joining => "joining",
        NodeState::Active => "active",
        NodeState::Draining => "draining",
        NodeState::Removed => "removed",
    }
}
