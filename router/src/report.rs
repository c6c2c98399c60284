//! Gathering the cluster's status.

use crate::inner::Inner;
use crate::status::{ClusterStatus, GroupSummary, NodeReport, NodeStatus, Part, ReplicaReport};
use crate::wire;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::time::Duration;
use zcluster_api::directory::{Node, NodeState, Shard};
use zcluster_api::{DirectoryQuery, DirectoryReply, Error, GroupId, NodeId, Result, codec};
use zcluster_raft::Group;
use zcluster_rpc::Lane;

/// How long a leader may take to prove that it leads.
const PROOF_MAX: Duration = Duration::from_secs(1);

impl Inner {
    /// What this node says of itself.
    pub fn report(&self) -> NodeReport {
        NodeReport {
            node: self.me(),
            replicas: self.raft.groups().iter().map(|g| g.status().into()).collect(),
            storage: self
                .replicas
                .figures()
                .into_iter()
                .chain(self.packing_figures())
                .map(|(n, v)| (n.to_string(), v))
                .collect(),
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

    /// The groups that this node leads, each proved by a round that was sent after this call.
    pub async fn led_here(&self) -> Vec<ReplicaReport> {
        let led = self.raft.groups().into_iter().filter(|g| g.leadership().borrow().is_leader);
        let prove = |group: Group| async move {
            let proved = group.read_barrier(PROOF_MAX).await;
            proved.ok().map(|_| ReplicaReport::from(group.status()))
        };
        futures::future::join_all(led.map(prove)).await.into_iter().flatten().collect()
    }

    async fn led_by(&self, node: u64, timeout: Duration) -> Vec<ReplicaReport> {
        if node == self.me() {
            return self.led_here().await;
        }
        let answer = self.network.call(node, Lane::Data, wire::LED, Bytes::new(), timeout).await.ok();
        let answer = answer.and_then(|a| wire::open_answer(a).ok());
        answer.and_then(|a| codec::decode(&a).ok()).unwrap_or_default()
    }

    /// See [`crate::Router::groups_of`].
    pub async fn groups_of(&self, node: NodeId, timeout: Duration) -> Result<Vec<GroupId>> {
        let nodes = self.nodes().into_iter().filter(|n| n.state != NodeState::Removed).map(|n| n.id.0);
        let asked = nodes.map(|n| self.led_by(n, timeout));
        let led: Vec<ReplicaReport> = futures::future::join_all(asked).await.into_iter().flatten().collect();
        held_by(node, &self.shards(), &led)
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

/// Which groups a node votes in, or may still vote in while their membership changes, by the word of their leaders.
fn held_by(node: NodeId, shards: &[Shard], led: &[ReplicaReport]) -> Result<Vec<GroupId>> {
    let mut held = Vec::new();
    for group in std::iter::once(GroupId::DIRECTORY).chain(shards.iter().map(|s| s.group)) {
        let Some(led) = led.iter().filter(|r| r.group == group.0).max_by_key(|r| r.term) else {
            return Err(Error::Unavailable(format!(
                "the leader of group {} does not answer, so nobody can tell what node {} holds of it",
                group.0,
                node.number()
            )));
        };
        let named = shards.iter().any(|s| s.group == group && s.replicas.contains(&node));
        if led.joint || led.voters.contains(&node.0) || named {
            held.push(group);
        }
    }
    Ok(held)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn led(group: u32, voters: &[u64], joint: bool) -> ReplicaReport {
        let (leader, last_log, committed, applied) = Default::default();
        let (part, voters, learners, lags) = (Part::Leader, voters.to_vec(), Vec::new(), Vec::new());
        ReplicaReport { group, part, term: 1, leader, last_log, committed, applied, voters, learners, joint, lags }
    }

    #[test]
    fn a_node_holds_what_the_leaders_and_the_map_say() {
        let (node, other) = (NodeId::new(1, 0), NodeId::new(2, 0));
        let shard =
            |group, replicas: &[NodeId]| Shard { group: GroupId(group), replicas: replicas.to_vec(), version: 1 };
        let shards = [shard(1, &[other]), shard(2, &[other])];
        let all = |of_two: ReplicaReport| [led(0, &[other.0], false), led(1, &[other.0], false), of_two];
        assert_eq!(held_by(node, &shards, &all(led(2, &[other.0], false))), Ok(vec![]));
        assert_eq!(held_by(node, &shards, &all(led(2, &[other.0, node.0], false))), Ok(vec![GroupId(2)]));
        assert_eq!(held_by(node, &shards, &all(led(2, &[other.0], true))), Ok(vec![GroupId(2)]));
        let named = [shards[0].clone(), shard(2, &[other, node])];
        assert_eq!(held_by(node, &named, &all(led(2, &[other.0], false))), Ok(vec![GroupId(2)]));
        // Nobody speaks for group 2: it may be that this node is all that is left of it.
        assert!(matches!(held_by(node, &shards, &all(led(2, &[], false))[..2]), Err(Error::Unavailable(_))));
    }
}
