//! What an all-seeing eye sees of groups: every running node's own view, side by side.

use super::Cluster;
use super::machine::Machine;
use super::process::Parts;
use crate::world;
use std::collections::BTreeSet;
use std::sync::Arc;
use zcluster_api::directory::{Node, Shard};
use zcluster_api::{DirectoryQuery, DirectoryReply, GroupId};
use zcluster_raft::{GroupStatus, Role};

/// One replica that runs.
pub(crate) struct Replica {
    /// The node's number.
    pub node: u32,
    /// What serves there.
    pub parts: Arc<Parts>,
    /// The group as it sees it.
    pub status: GroupStatus,
}

impl Cluster {
    /// The replicas of a group that run.
    pub(crate) fn replicas_of(&self, group: u32) -> Vec<Replica> {
        let serving = self.all().into_iter().filter_map(|m| m.parts().map(|p| (m.number, p)));
        let running = serving.filter_map(|(node, parts)| {
            let status = parts.raft.group(group)?.status();
            Some(Replica { node, parts, status })
        });
        running.collect()
    }

    /// The replica that leads a group in the highest term that anybody leads in.
    pub(crate) fn leader_of(&self, group: u32) -> Option<Replica> {
        let leads = |r: &Replica| r.status.role == Role::Leader && r.status.leader == Some(r.status.node);
        self.replicas_of(group).into_iter().filter(leads).max_by_key(|r| r.status.term)
    }

    /// All groups that run anywhere, the directory's included.
    pub(crate) fn groups(&self) -> BTreeSet<u32> {
        let serving = self.all().into_iter().filter_map(|m| m.parts());
        serving.flat_map(|p| p.raft.groups().into_iter().map(|g| g.id()).collect::<Vec<_>>()).collect()
    }

    /// The nodes and the shard map, as the directory's leader has them (else whoever has applied most).
    pub(crate) fn directory_now(&self) -> Option<(Vec<Node>, Vec<Shard>)> {
        let group = GroupId::DIRECTORY.0;
        let newest = || self.replicas_of(group).into_iter().max_by_key(|r| r.status.applied.map(|a| a.index));
        let parts = self.leader_of(group).or_else(newest)?.parts;
        let Ok(DirectoryReply::Nodes(nodes)) = parts.replicas.read_directory(&DirectoryQuery::Nodes) else {
            return None;
        };
        let Ok(DirectoryReply::Shards(shards)) = parts.replicas.read_directory(&DirectoryQuery::Shards) else {
            return None;
        };
        Some((nodes, shards))
    }

    /// Whether every group in which the node votes would keep everything it has acknowledged if the node lost its
    /// disk: a majority of the voters, without it, is up, has all entries, and no flaw that waits to be found. Only one
    /// disk at a time is bad, because replicas move: two could be most of a group tomorrow.
    pub(crate) fn can_spare_disk(&self, node: u32) -> bool {
        let is_bad = |m: &Arc<Machine>| m.number != node && !m.has_left() && (m.is_damaged() || m.is_emptied());
        !self.all().iter().any(is_bad) && self.groups().into_iter().all(|group| self.group_can_spare(group, node))
    }

    fn group_can_spare(&self, group: u32, node: u32) -> bool {
        let Some(leader) = self.leader_of(group) else { return false };
        let GroupStatus { voters, joint, last_log, followers, .. } = &leader.status;
        if *joint {
            return false;
        }
        let of = |id: u64| zcluster_api::NodeId(id).number();
        if !voters.iter().any(|v| of(*v) == node) {
            // A learner's data is nobody's promise; but that of one about to vote may be soon.
            return true;
        }
        let is_well = |id: u64| {
            let serving = self.parts(of(id)).is_some_and(|p| p.id.0 == id);
            serving && !world::is_frozen(of(id)) && self.machine(of(id)).is_some_and(|m| !m.is_damaged())
        };
        let has_all = |id: u64| {
            let matched = followers.iter().find(|f| f.node == id).and_then(|f| f.matched);
            id == leader.status.node || (matched.is_some() && matched == *last_log)
        };
        let good = voters.iter().filter(|v| of(**v) != node && is_well(**v) && has_all(**v)).count();
        good > voters.len() / 2
    }
}
