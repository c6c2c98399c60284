//! Gathering the cluster's status.

use crate::inner::Inner;
use crate::status::{ClusterStatus, GroupSummary, NodeReport, NodeStatus, Part, ReplicaReport};
use crate::wire;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::time::Duration;
use zcluster_api::directory::{Node, NodeState, Shard};
use zcluster_api::{DirectoryQuery, DirectoryReply, Error, GroupId, NodeId, Result, codec};
use zcluster_rpc::Lane;

impl Inner {
    /// What this node says of itself.
    pub fn report(&self) -> NodeReport {
        NodeReport {
            node: self.me(),
            replicas: self.raft.groups().iter().map(|g| g.status().into()).collect(),
            storage: self.replicas.figures().into_iter().map(|(n, v)| (n.to_string(), v)).collect(),
            followed: self.replicas.followed() as u64,
        }
    }

    async fn report_of(&self, node: u64, timeout: Duration) -> Option<NodeReport> {
        if node == self.me() {
            return Some(self.report());
        }
        let answer = self.network.call(node, Lane::Data, wire::REPORT, Bytes::new(), timeout).await.ok()?;
        codec::decode(&wire::open_answer(answer).ok()?).ok()
    }

    /// See [`crate::Router::status`].
    pub async fn cluster_status(&self, timeout: Duration) -> Result<ClusterStatus> {
        let DirectoryReply::Cluster(cluster) = self.replicas.read_directory(&DirectoryQuery::Cluster)? else {
            return Err(Error::Internal("expected the cluster".into()));
        };
        let nodes: Vec<Node> = self.nodes().into_iter().filter(|n| n.state != NodeState::Removed).collect();
        let asked = nodes.iter().map(|n| self.report_of(n.id.0, timeout));
        let reports: Vec<Option<NodeReport>> = futures::future::join_all(asked).await;
        let counts = match self.replicas.read_directory(&DirectoryQuery::MailboxCounts)? {
            DirectoryReply::Counts(counts) => counts.into_iter().collect(),
            _ => BTreeMap::new(),
        };
        let groups = summarise(&self.shards(), &reports, &counts);
        let with = nodes.into_iter().zip(reports).map(|(node, report)| node_status(node, report, &groups)).collect();
        Ok(ClusterStatus { seen_by: self.config.node, cluster: cluster.id, nodes: with, groups })
    }
}

fn node_status(node: Node, report: Option<NodeReport>, groups: &[GroupSummary]) -> NodeStatus {
    let leads = groups.iter().filter(|g| g.leader == Some(node.id)).map(|g| g.group).collect();
    // Without this node, fewer than a majority would be left.
    let costs = |g: &&GroupSummary| {
        let live = g.live - usize::from(report.is_some() && g.voters.contains(&node.id)).min(g.live);
        g.voters.contains(&node.id) && live <= g.voters.len() / 2
    };
    let stop_costs = groups.iter().filter(costs).map(|g| g.group).collect();
    NodeStatus { node, report, leads, stop_costs }
}

fn summarise(shards: &[Shard], reports: &[Option<NodeReport>], counts: &BTreeMap<GroupId, u64>) -> Vec<GroupSummary> {
    let ids = std::iter::once(GroupId::DIRECTORY).chain(shards.iter().map(|s| s.group));
    let one = |group: GroupId| {
        let told: Vec<(u64, &ReplicaReport)> = reports
            .iter()
            .flatten()
            .flat_map(|r| r.replicas.iter().map(|x| (r.node, x)))
            .filter(|(_, x)| x.group == group.0)
            .collect();
        let leader = told.iter().filter(|(_, r)| r.part == Part::Leader).max_by_key(|(_, r)| r.term);
        let best = leader.or_else(|| told.iter().max_by_key(|(_, r)| (r.term, r.applied))).map(|(_, r)| *r);
        let nodes = |ids: &[u64]| ids.iter().map(|n| NodeId(*n)).collect::<Vec<_>>();
        let voters = best.map_or_else(Vec::new, |r| nodes(&r.voters));
        let lags = best.iter().flat_map(|r| r.lags.iter()).filter(|l| voters.contains(&NodeId(l.node)));
        GroupSummary {
            group,
            shard: shards.iter().find(|s| s.group == group).cloned(),
            leader: leader.map(|(node, _)| NodeId(*node)),
            term: best.map_or(0, |r| r.term),
            live: told.iter().filter(|(n, _)| voters.contains(&NodeId(*n))).count(),
            lag: lags.map(|l| l.entries).max().unwrap_or(0),
            learners: best.map_or_else(Vec::new, |r| nodes(&r.learners)),
            mailboxes: counts.get(&group).copied().unwrap_or(0),
            voters,
        }
    };
    ids.map(one).collect()
}
