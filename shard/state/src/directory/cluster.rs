//! The cluster itself: nodes, join tokens, shard map, global config.

use super::rows::{self, Counters, DEFAULT_COS, Indexed};
use super::{Work, attributes, containers};
use crate::kv::{Kv, Table, each, load, save};
use crate::proposal::{Effect, Stamp};
use zcluster_api::directory::{Cluster, Modification, Node, NodeState, Shard};
use zcluster_api::{AccountId, DirectoryReply, Error, NodeId, Result};

/// Join tokens waiting at once.
const TOKENS_MAX: u32 = 1_000;
/// Expired tokens removed by one new one at most.
const TOKENS_PRUNED: usize = 16;
/// Nodes of a cluster, of all times.
const NODES_MAX: u32 = 65_535;

pub(super) fn init(
    kv: &mut dyn Kv,
    stamp: Stamp,
    cluster: &Cluster,
    node: &Node,
    default_cos: AccountId,
) -> Result<DirectoryReply> {
    if let Some(there) = rows::cluster(kv)? {
        return if there.id == cluster.id {
            Ok(DirectoryReply::Done)
        } else {
            Err(Error::Conflict(format!("this is cluster {}", there.id)))
        };
    }
    if cluster.shards == 0 || cluster.replication == 0 {
        return Err(Error::Invalid("a cluster has at least one shard and one replica".into()));
    }
    let next_node = node.id.number().saturating_add(1);
    rows::save_cluster(kv, cluster);
    let indexed = Some(Indexed::All);
    rows::save_counters(kv, &Counters { next_node, next_mailbox: 1, shards: cluster.shards, tokens: 0, indexed });
    save(kv, Table::Node, &node.id.0.to_be_bytes(), node);
    containers::put_cos(kv, stamp, default_cos, DEFAULT_COS, containers::default_attributes());
    Ok(DirectoryReply::Done)
}

pub(super) fn put_node(work: &mut Work<'_>, node: &Node, expect: Option<NodeState>) -> Result<DirectoryReply> {
    if node.id.number() == 0 || node.id.number() > NODES_MAX {
        return Err(Error::Invalid(format!("node number {}", node.id.number())));
    }
    let key = node.id.0.to_be_bytes();
    let there = load::<Node>(work.kv, Table::Node, &key)?;
    let state = there.as_ref().map(|n| n.state);
    let final_state = state == Some(NodeState::Removed) && node.state != NodeState::Removed;
    if final_state || expect.is_some() && state != expect {
        let is = state.map_or_else(|| "unknown".into(), |s| format!("{s:?}").to_lowercase());
        return Err(Error::Conflict(format!("node {} is {is} by now", node.id.number())));
    }
    if there.is_none() && node.state != NodeState::Removed && was_let_go(work, node)? {
        return Err(Error::Conflict(format!("node {} has left for good", node.id.number())));
    }
    if there.as_ref() != Some(node) {
        save(work.kv, Table::Node, &key, node);
        work.counters.next_node = work.counters.next_node.max(node.id.number() + 1);
        work.effects.push(Effect::NodesChanged);
    }
    Ok(DirectoryReply::Done)
}

/// Whether the node had other incarnations, all of which are removed: a decision that its next one must not undo, which
/// may have asked to join anew before it was taken.
fn was_let_go(work: &Work<'_>, node: &Node) -> Result<bool> {
    let (mut known, mut present) = (false, false);
    let from = NodeId::new(node.id.number(), 0).0.to_be_bytes();
    let to = NodeId::new(node.id.number() + 1, 0).0.to_be_bytes();
    each(work.kv, Table::Node, &from, &to, |_, other: Node| {
        known = true;
        present |= other.state != NodeState::Removed;
        Ok(true)
    })?;
    Ok(known && !present)
}

pub(super) fn take_node_number(work: &mut Work<'_>) -> Result<DirectoryReply> {
    let number = work.counters.next_node;
    if number > NODES_MAX {
        return Err(Error::TooLarge("node numbers are used up".into()));
    }
    work.counters.next_node += 1;
    Ok(DirectoryReply::Number(number))
}

pub(super) fn add_token(work: &mut Work<'_>, hash: &[u8; 32], expires_ms: u64) -> Result<DirectoryReply> {
    let new = load::<u64>(work.kv, Table::Token, hash)?.is_none();
    let expired = expired_tokens(work)?;
    if new && work.counters.tokens as usize - expired.len() >= TOKENS_MAX as usize {
        return Err(Error::TooLarge(format!("more than {TOKENS_MAX} tokens")));
    }
    for key in &expired {
        work.kv.delete(Table::Token, key);
        work.counters.tokens = work.counters.tokens.saturating_sub(1);
    }
    let there = load::<u64>(work.kv, Table::Token, hash)?.is_some();
    work.counters.tokens += u32::from(!there);
    save(work.kv, Table::Token, hash, &expires_ms);
    Ok(DirectoryReply::Done)
}

fn expired_tokens(work: &Work<'_>) -> Result<Vec<Vec<u8>>> {
    let mut out = Vec::new();
    each(&*work.kv, Table::Token, &[], &[u8::MAX; 33], |key, expires_ms: u64| {
        if expires_ms <= work.stamp.wall_ms {
            out.push(key.to_vec());
        }
        Ok(out.len() < TOKENS_PRUNED)
    })?;
    Ok(out)
}

/// A token admits once, before it expires.
pub(super) fn use_token(work: &mut Work<'_>, hash: &[u8; 32]) -> Result<DirectoryReply> {
    match load::<u64>(work.kv, Table::Token, hash)? {
        Some(expires_ms) if work.stamp.wall_ms < expires_ms => {
            work.kv.delete(Table::Token, hash);
            work.counters.tokens = work.counters.tokens.saturating_sub(1);
            Ok(DirectoryReply::Done)
        }
        Some(_) => Err(Error::Denied("the join token has expired: make a new one".into())),
        None => Err(Error::Denied("the join token is unknown or was used already: make a new one".into())),
    }
}

pub(super) fn put_shard(work: &mut Work<'_>, shard: &Shard, expect: u64) -> Result<DirectoryReply> {
    if shard.version != expect + 1 || shard.group.0 == 0 || shard.group.0 > work.counters.shards {
        return Err(Error::Invalid(format!("shard {} version {}", shard.group, shard.version)));
    }
    if shard.replicas.is_empty() {
        return Err(Error::Invalid("a shard without replicas".into()));
    }
    let key = shard.group.0.to_be_bytes();
    let version = load::<Shard>(work.kv, Table::Shard, &key)?.map_or(0, |s| s.version);
    if version != expect {
        return Err(Error::Conflict(format!("shard {} is at version {version}", shard.group)));
    }
    save(work.kv, Table::Shard, &key, shard);
    work.effects.push(Effect::ShardsChanged);
    Ok(DirectoryReply::Done)
}

pub(super) fn modify_config(work: &mut Work<'_>, changes: &[Modification]) -> Result<DirectoryReply> {
    let missing = || Error::Internal("the cluster's row is missing".into());
    let mut cluster = rows::cluster(work.kv)?.ok_or_else(missing)?;
    attributes::modify(&mut cluster.config, changes)?;
    rows::save_cluster(work.kv, &cluster);
    Ok(DirectoryReply::Done)
}
