//! Whether the cluster has come to rest as it should be.

use super::Cluster;
use super::census::Replica;
use crate::world;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use zcluster_api::directory::{Node, NodeState, Shard};
use zcluster_api::{GroupId, NodeId};
use zcluster_raft::Role;

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(200);
/// Replicas that a shard should have where there are enough nodes.
const REPLICATION: usize = 3;

type Check = Result<(), String>;

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err(what()) }
}

impl Cluster {
    /// Waits until the cluster is at rest and as it should be: every member up and active, every group with one leader
    /// known to all its replicas, membership as the shard map says, all replicas at one position with equal contents.
    ///
    /// # Errors
    /// What is not, when the time is over.
    pub async fn settled(self: &Arc<Self>, within: Duration) -> Result<(), String> {
        let until = world::now() + within.as_nanos() as u64;
        loop {
            let seen = self.look();
            if seen.is_ok() || world::now() >= until {
                return seen;
            }
            world::sleep(LOOK).await;
        }
    }

    fn look(&self) -> Check {
        let mut wrong: Vec<String> = self.all_serve().err().into_iter().collect();
        let Some((nodes, shards)) = self.directory_now() else { return Err("nobody knows the cluster".into()) };
        wrong.extend(self.nodes_are_active(&nodes).err());
        let expected = self.shape().shards as usize;
        wrong.extend(ensure(shards.len() == expected, || format!("{} of {expected} shards exist", shards.len())).err());
        let present: BTreeSet<u64> = nodes.iter().filter(|n| n.state == NodeState::Active).map(|n| n.id.0).collect();
        wrong.extend(self.group_is_well(GroupId::DIRECTORY.0, &present, None).err());
        for shard in &shards {
            let members: BTreeSet<u64> = shard.replicas.iter().map(|n| n.0).collect();
            wrong.extend(self.group_is_well(shard.group.0, &members, Some((shard, present.len()))).err());
        }
        if wrong.is_empty() {
            wrong.extend(self.groups().into_iter().find_map(|group| self.contents_are_equal(group).err()));
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
    }

    fn all_serve(&self) -> Check {
        for machine in self.all() {
            let n = machine.number;
            if machine.has_left() {
                ensure(!machine.is_up(), || format!("node {n} has left but its process runs"))?;
            } else {
                ensure(machine.parts().is_some(), || format!("node {n} does not serve"))?;
            }
        }
        Ok(())
    }

    fn nodes_are_active(&self, nodes: &[Node]) -> Check {
        let present: Vec<&Node> = nodes.iter().filter(|n| n.state != NodeState::Removed).collect();
        for node in &present {
            let (number, state) = (node.id.number(), node.state);
            ensure(state == NodeState::Active, || format!("node {number} is {state:?}"))?;
            let serves = self.parts(number).is_some_and(|p| p.id == node.id);
            ensure(serves, || format!("node {number} does not serve as incarnation {}", node.id.incarnation()))?;
        }
        let members = self.members();
        ensure(present.len() == members.len(), || {
            let known: Vec<u32> = present.iter().map(|n| n.id.number()).collect();
            format!("the directory knows the nodes {known:?}, there are {members:?}")
        })
    }

    /// `shard`: its entry in the map and the number of active nodes; `None` for the directory.
    fn group_is_well(&self, group: u32, members: &BTreeSet<u64>, shard: Option<(&Shard, usize)>) -> Check {
        let replicas = self.replicas_of(group);
        let named = numbers(members);
        let run: BTreeSet<u64> = replicas.iter().map(|r| r.status.node).collect();
        ensure(run == *members, || format!("group {group} runs on {:?} and belongs on {named:?}", numbers(&run)))?;
        let leaders: Vec<&Replica> = replicas.iter().filter(|r| r.status.role == Role::Leader).collect();
        let [leader] = leaders[..] else {
            let led: Vec<u32> = leaders.iter().map(|r| r.node).collect();
            let known = |r: &Replica| (r.node, r.status.term, numbers(&r.status.voters), r.status.last_log);
            let known: Vec<_> = replicas.iter().map(known).collect();
            return Err(format!("group {group} has the leaders {led:?}; node, term, voters, last entry: {known:?}"));
        };
        let s = &leader.status;
        ensure(!s.joint, || format!("group {group} is between two memberships"))?;
        match shard {
            Some((shard, nodes)) => {
                ensure(s.voters == *members && s.learners.is_empty(), || {
                    format!("group {group} has the voters {:?} and learners {:?}", s.voters, s.learners)
                })?;
                let wanted = nodes.min(REPLICATION);
                ensure(shard.replicas.len() == wanted, || format!("group {group} has not {wanted} replicas"))?;
            }
            None => {
                let all: BTreeSet<u64> = s.voters.union(&s.learners).copied().collect();
                ensure(all == *members, || format!("the directory's members are {:?}, not {named:?}", numbers(&all)))?;
                let wanted = directory_voters(members.len());
                ensure(s.voters.len() == wanted, || format!("the directory has not {wanted} voters"))?;
            }
        }
        for replica in &replicas {
            let r = &replica.status;
            let node = replica.node;
            ensure(r.leader == s.leader && r.term == s.term, || {
                format!("node {node} follows {:?} in term {} of group {group}, not {:?}", r.leader, r.term, s.leader)
            })?;
            let applied = r.applied.map(|a| a.index);
            ensure(applied.is_some() && applied == s.last_log, || {
                format!("node {node} has applied {applied:?} of {:?} in group {group}", s.last_log)
            })?;
        }
        Ok(())
    }

    fn contents_are_equal(&self, group: u32) -> Check {
        let mut first = None;
        for replica in self.replicas_of(group) {
            let node = replica.node;
            let hash = world::within(node, || replica.parts.replicas.state_hash(GroupId(group)));
            let hash = hash.map_err(|e| format!("node {node} cannot read group {group}: {e}"))?;
            let (other, expected) = *first.get_or_insert((node, hash));
            ensure(hash == expected, || format!("group {group} differs on nodes {other} and {node}"))?;
        }
        Ok(())
    }
}

/// Voters of the directory among so many nodes (the planner's rule).
fn directory_voters(nodes: usize) -> usize {
    match nodes {
        0..=3 => nodes,
        4 => 3,
        _ => 5,
    }
}

fn numbers(ids: &BTreeSet<u64>) -> Vec<u32> {
    ids.iter().map(|n| NodeId(*n).number()).collect()
}
