//! What `zcluster status` shows: every node's view of its groups, gathered by any of them.

use minicbor::{Decode, Encode};
use serde::Serialize;
use zcluster_api::directory::{Node, Shard};
use zcluster_api::{GroupId, NodeId};
use zcluster_raft::{GroupStatus, Role};

/// A replica's part in its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
#[cbor(index_only)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Leads.
    #[n(0)]
    Leader,
    /// Votes and follows.
    #[n(1)]
    Follower,
    /// Asks for votes.
    #[n(2)]
    Candidate,
    /// Follows without a vote.
    #[n(3)]
    Learner,
    /// Not running.
    #[n(4)]
    Stopped,
}

impl From<Role> for Part {
    fn from(role: Role) -> Self {
        match role {
            Role::Leader => Part::Leader,
            Role::Follower => Part::Follower,
            Role::Candidate => Part::Candidate,
            Role::Learner => Part::Learner,
            Role::Stopped => Part::Stopped,
        }
    }
}

/// A follower as its leader sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Lag {
    /// The follower (raft id).
    #[n(0)]
    pub node: u64,
    /// Entries it lacks.
    #[n(1)]
    pub entries: u64,
    /// It never answered this leader.
    #[n(2)]
    pub silent: bool,
}

/// One replica of one group.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct ReplicaReport {
    /// The group.
    #[n(0)]
    pub group: u32,
    /// Its part here.
    #[n(1)]
    pub part: Part,
    /// Term.
    #[n(2)]
    pub term: u64,
    /// The leader (raft id) as this node knows it.
    #[n(3)]
    pub leader: Option<u64>,
    /// Last entry in the log.
    #[n(4)]
    pub last_log: Option<u64>,
    /// Last committed entry.
    #[n(5)]
    pub committed: Option<u64>,
    /// Last applied entry.
    #[n(6)]
    pub applied: Option<u64>,
    /// Members with a vote (raft ids).
    #[n(7)]
    pub voters: Vec<u64>,
    /// Members without one.
    #[n(8)]
    pub learners: Vec<u64>,
    /// A membership change is half done: there are two sets of voters, or the new one is not committed yet.
    #[n(9)]
    pub joint: bool,
    /// The followers, told by a leader.
    #[n(10)]
    pub lags: Vec<Lag>,
}

impl From<GroupStatus> for ReplicaReport {
    fn from(s: GroupStatus) -> Self {
        let lag = |f: &zcluster_raft::FollowerLag| Lag { node: f.node, entries: f.lag, silent: f.matched.is_none() };
        ReplicaReport {
            group: s.group,
            part: s.role.into(),
            term: s.term,
            leader: s.leader,
            last_log: s.last_log,
            committed: s.committed.map(|l| l.index),
            applied: s.applied.map(|l| l.index),
            voters: s.voters.into_iter().collect(),
            learners: s.learners.into_iter().collect(),
            joint: s.joint || s.membership > s.committed,
            lags: s.followers.iter().map(lag).collect(),
        }
    }
}

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct NodeReport {
    /// The node (raft id).
    #[n(0)]
    pub node: u64,
    /// Its replicas.
    #[n(1)]
    pub replicas: Vec<ReplicaReport>,
    /// Storage figures: name and value.
    #[n(2)]
    pub storage: Vec<(String, u64)>,
    /// Mailboxes that sessions or peers follow here.
    #[n(3)]
    pub followed: u64,
}

/// A node in the cluster's status.
#[derive(Clone, Debug)]
pub struct NodeStatus {
    /// What the directory knows.
    pub node: Node,
    /// What it said; `None` when it did not answer in time.
    pub report: Option<NodeReport>,
    /// Shards (and the directory) it leads.
    pub leads: Vec<GroupId>,
    /// Groups that could not commit any more if this node stopped now.
    pub stop_costs: Vec<GroupId>,
}

/// A group in the cluster's status.
#[derive(Clone, Debug)]
pub struct GroupSummary {
    /// The group.
    pub group: GroupId,
    /// The shard map's word; `None` for the directory.
    pub shard: Option<Shard>,
    /// The leader with the highest term that was heard of.
    pub leader: Option<NodeId>,
    /// Its term.
    pub term: u64,
    /// Members with a vote, as the leader (else any replica) says.
    pub voters: Vec<NodeId>,
    /// Members without one.
    pub learners: Vec<NodeId>,
    /// Voters that answered.
    pub live: usize,
    /// The largest lag of a voter, in entries.
    pub lag: u64,
    /// Mailboxes that live there.
    pub mailboxes: u64,
}

/// The whole cluster, as one node sees it.
#[derive(Clone, Debug)]
pub struct ClusterStatus {
    /// Who looked.
    pub seen_by: NodeId,
    /// Cluster name (UUID text); empty before `init`.
    pub cluster: String,
    /// Nodes by id.
    pub nodes: Vec<NodeStatus>,
    /// Group 0 first, then the shards.
    pub groups: Vec<GroupSummary>,
}
