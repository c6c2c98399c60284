//! Operations: who belongs to the cluster, who holds and who leads what.

use super::{meanwhile, struck};
use crate::cluster::Cluster;
use crate::world::{self, OUTSIDE, Stream};
use std::sync::Arc;
use std::time::Duration;
use zcluster_api::directory::{NodeState, Shard};
use zcluster_api::{Actor, DirectoryApi, DirectoryCommand, NodeId, RequestId};
use zcluster_runtime::{random_bytes, spawn_blocking};

/// Nodes that may belong to the cluster at a time; a longer run joins and leaves in turn.
const MEMBERS_MAX: usize = 9;
/// Pause before a command that was refused is given again.
const RETRY_PAUSE: Duration = Duration::from_secs(2);
/// How often it is given.
const ATTEMPTS: u32 = 15;

pub(super) fn join(cluster: &Arc<Cluster>) -> bool {
    if cluster.members().len() >= MEMBERS_MAX {
        return false;
    }
    let cluster = cluster.clone();
    meanwhile(async move {
        match cluster.join_node().await {
            Some(_) => world::count("node.joined"),
            None => world::count("node.not_admitted"),
        }
    });
    struck("fault.join", OUTSIDE, &[], || "a new node asks to join".into())
}

pub(super) fn leave(cluster: &Arc<Cluster>, node: u32) -> bool {
    let Some(machine) = cluster.machine(node).filter(|m| !m.has_left() && m.begin_leaving()) else { return false };
    let cluster = cluster.clone();
    meanwhile(async move {
        for _ in 0..ATTEMPTS {
            if cluster.leave_node(&machine).await {
                return world::count("node.left");
            }
            world::sleep(RETRY_PAUSE).await;
        }
        // The cluster refuses: nobody could take its share.
        machine.end_leaving();
        world::count("node.leave_refused");
    });
    struck("fault.leave", node, &[u64::from(node)], || "is to leave for good".into())
}

pub(super) fn move_replica(cluster: &Arc<Cluster>, shard: u32) -> bool {
    let Some((moved, from, to)) = choose_move(cluster, shard) else { return false };
    let group = moved.group.0;
    let cluster = cluster.clone();
    meanwhile(async move {
        let Some(by) = cluster.some_member(OUTSIDE) else { return };
        let done = cluster.ask(by, move |parts| async move {
            let command = DirectoryCommand::PutShard { expect: moved.version - 1, shard: moved };
            let request = RequestId(random_bytes());
            DirectoryApi::write(parts.router.as_ref(), Actor::System, request, command).await
        });
        if matches!(done.await, Some(Ok(_))) {
            world::count("shard.moved");
        }
    });
    let facts = [u64::from(group), from.0, to.0];
    struck("fault.move_replica", OUTSIDE, &facts, || {
        format!("shard {group} moves from node {} to node {}", from.number(), to.number())
    })
}

/// The shard's next entry in the map: one replica on an active node that has none. Often one that had: what comes back
/// must not have forgotten what it promised.
fn choose_move(cluster: &Cluster, shard: u32) -> Option<(Shard, NodeId, NodeId)> {
    let (nodes, shards) = cluster.directory_now()?;
    let mut shard = shards.into_iter().find(|s| s.group.0 == shard)?;
    let active = nodes.into_iter().filter(|n| n.state == NodeState::Active).map(|n| n.id);
    let mut free: Vec<NodeId> = active.filter(|n| !shard.replicas.contains(n)).collect();
    let known: Vec<NodeId> = free.iter().copied().filter(|n| cluster.had_replica(*n, shard.group)).collect();
    if !known.is_empty() && world::draw(Stream::Director, |r| r.chance(700_000)) {
        free = known;
    }
    let (to, at) =
        world::draw(Stream::Director, |r| (r.pick(&free).copied(), r.below(shard.replicas.len() as u64) as usize));
    let (to, slot) = (to?, shard.replicas.get_mut(at)?);
    let from = std::mem::replace(slot, to);
    cluster.note_move(from, shard.group);
    shard.version += 1;
    Some((shard, from, to))
}

pub(super) fn transfer(cluster: &Arc<Cluster>, group: u32) -> bool {
    let Some(leader) = cluster.leader_of(group) else { return false };
    let me = leader.status.node;
    let others: Vec<u64> = leader.status.voters.iter().copied().filter(|v| *v != me).collect();
    let Some(to) = world::draw(Stream::Director, |r| r.pick(&others).copied()) else { return false };
    let node = leader.node;
    let cluster = cluster.clone();
    meanwhile(async move {
        let done = cluster.ask(node, move |parts| async move {
            match parts.raft.group(group) {
                Some(group) => group.transfer_leader(to).await.is_ok(),
                None => false,
            }
        });
        if done.await == Some(true) {
            world::count("group.transferred");
        }
    });
    struck("fault.transfer", node, &[u64::from(group), me, to], || {
        format!("is to hand the leadership of group {group} to node {}", NodeId(to).number())
    })
}

pub(super) fn cut_log(cluster: &Arc<Cluster>, group: u32) -> bool {
    let replicas = cluster.replicas_of(group);
    if replicas.is_empty() {
        return false;
    }
    for node in replicas.into_iter().map(|r| r.node) {
        let cluster = cluster.clone();
        meanwhile(async move {
            let done = cluster.ask(node, move |parts| async move {
                let replicas = parts.replicas.clone();
                let _ = spawn_blocking(move || replicas.flush()).await;
                match parts.raft.group(group) {
                    Some(group) => group.trigger_snapshot().await.is_ok(),
                    None => false,
                }
            });
            if done.await == Some(true) {
                world::count("group.log_cut");
            }
        });
    }
    struck("fault.cut_log", OUTSIDE, &[u64::from(group)], || format!("all nodes cut the log of group {group}"))
}
