//! Where replicas should be: pure functions from what is to what should be.
//!
//! The planner's answer goes into the shard map, one compare-and-set per shard; whoever leads a shard's group then
//! makes its membership so ([`crate::reconcile`]). Run again on the result, the planner has nothing more to say.

use hashring::HashRing;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hasher};
use zcluster_api::directory::{Node, NodeState, Shard};
use zcluster_api::{GroupId, NodeId};

/// Points of one node on the ring: with 256, loads differ by a tenth before the planner evens them out (distributed.md
/// §5).
const RING_POINTS: u32 = 256;
/// Voters of the directory's group; every other node follows it as a learner.
const DIRECTORY_VOTERS_MAX: usize = 5;

/// FNV-1a with a final mix: the same on every node and in every build. (The map is stored, so that even a change here
/// would only change where new replicas go.)
#[derive(Clone, Copy)]
struct StableHasher(u64);

impl Hasher for StableHasher {
    fn finish(&self) -> u64 {
        let mut h = self.0;
        h = (h ^ (h >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        h = (h ^ (h >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        h ^ (h >> 33)
    }
    fn write(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.0 = (self.0 ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[derive(Clone, Copy)]
struct StableBuild;

impl BuildHasher for StableBuild {
    type Hasher = StableHasher;
    fn build_hasher(&self) -> StableHasher {
        StableHasher(0xcbf2_9ce4_8422_2325)
    }
}

type Ring = HashRing<(u64, u32), StableBuild>;

/// The nodes in the order in which the ring proposes them for a group.
fn proposals(ring: &Ring, group: GroupId, nodes: usize) -> Vec<NodeId> {
    // Neighbouring points often are of one node: ask for all of them, drop repetitions.
    let points = ring.get_with_replicas(&group.0, ring.len().saturating_sub(1)).unwrap_or_default();
    let mut seen = BTreeSet::new();
    let firsts = points.into_iter().map(|(n, _)| NodeId(n)).filter(|n| seen.insert(*n));
    firsts.take(nodes).collect()
}

/// What is being planned.
struct Plan<'a> {
    zones: BTreeMap<NodeId, &'a str>,
    load: BTreeMap<NodeId, usize>,
    leads: BTreeMap<NodeId, usize>,
    /// What the ring proposes for each group.
    order: BTreeMap<GroupId, Vec<NodeId>>,
    target: usize,
}

/// The shards whose entry in the map should change, with their next version.
pub(crate) fn plan(nodes: &[Node], shards: &[Shard], replication: u32) -> Vec<Shard> {
    let able: Vec<&Node> = nodes.iter().filter(|n| n.state == NodeState::Active).collect();
    if able.is_empty() {
        return Vec::new();
    }
    let mut ring = HashRing::with_hasher(StableBuild);
    ring.batch_add(able.iter().flat_map(|n| (0..RING_POINTS).map(|i| (n.id.0, i))).collect());
    let mut plan = Plan {
        zones: able.iter().map(|n| (n.id, n.zone.as_str())).collect(),
        load: able.iter().map(|n| (n.id, 0)).collect(),
        leads: able.iter().map(|n| (n.id, 0)).collect(),
        order: shards.iter().map(|s| (s.group, proposals(&ring, s.group, able.len()))).collect(),
        target: able.len().min(usize::try_from(replication).unwrap_or(1).max(1)),
    };
    let mut wanted: Vec<(GroupId, Vec<NodeId>)> = shards.iter().map(|s| (s.group, plan.kept(&s.replicas))).collect();
    for (group, replicas) in &mut wanted {
        plan.fill(*group, replicas);
    }
    plan.even_out(&mut wanted);
    plan.choose_leaders(&mut wanted);
    let changed = shards.iter().zip(wanted).filter(|(now, (_, replicas))| now.replicas != *replicas);
    changed.map(|(now, (group, replicas))| Shard { group, replicas, version: now.version + 1 }).collect()
}

impl Plan<'_> {
    /// The replicas that may stay, in their order.
    fn kept(&mut self, replicas: &[NodeId]) -> Vec<NodeId> {
        let mut kept: Vec<NodeId> = Vec::new();
        for node in replicas {
            if self.zones.contains_key(node) && !kept.contains(node) && kept.len() < self.target {
                kept.push(*node);
            }
        }
        for node in &kept {
            *self.load.entry(*node).or_default() += 1;
        }
        kept
    }

    /// How many of `replicas` share the node's zone. Nodes without a zone share none.
    fn zone_mates(&self, node: NodeId, replicas: &[NodeId]) -> usize {
        let zone = |n: &NodeId| self.zones.get(n).copied().filter(|z| !z.is_empty());
        zone(&node).map_or(0, |z| replicas.iter().filter(|r| **r != node && zone(r) == Some(z)).count())
    }

    fn load_of(&self, node: NodeId) -> usize {
        self.load.get(&node).copied().unwrap_or(0)
    }

    /// Adds replicas until there are enough: other zones first, then less load, then the ring's order.
    fn fill(&mut self, group: GroupId, replicas: &mut Vec<NodeId>) {
        let order = self.order.get(&group).cloned().unwrap_or_default();
        while replicas.len() < self.target {
            let free = order.iter().enumerate().filter(|(_, n)| !replicas.contains(n));
            let best = free.min_by_key(|(i, n)| (self.zone_mates(**n, replicas), self.load_of(**n), *i));
            let Some((_, node)) = best else { return };
            replicas.push(*node);
            *self.load.entry(*node).or_default() += 1;
        }
    }

    /// Moves single replicas from the fullest to the emptiest nodes until they differ by one, as far as zones allow.
    /// Each step lessens the sum of squares of the loads, so that this ends.
    fn even_out(&mut self, wanted: &mut [(GroupId, Vec<NodeId>)]) {
        while self.even_out_once(wanted) {}
    }

    fn even_out_once(&mut self, wanted: &mut [(GroupId, Vec<NodeId>)]) -> bool {
        let mut by_load: Vec<(usize, NodeId)> = self.load.iter().map(|(n, l)| (*l, *n)).collect();
        by_load.sort_unstable();
        for &(high, from) in by_load.iter().rev() {
            for &(low, to) in by_load.iter().take_while(|(low, _)| low + 1 < high) {
                let movable = |replicas: &[NodeId]| {
                    let others: Vec<NodeId> = replicas.iter().copied().filter(|n| *n != from).collect();
                    replicas.contains(&from)
                        && !replicas.contains(&to)
                        && self.zone_mates(to, &others) <= self.zone_mates(from, &others)
                };
                let best = wanted.iter_mut().filter(|(_, r)| movable(r)).min_by_key(|(group, r)| {
                    let rank = self.order.get(group).and_then(|o| o.iter().position(|n| *n == to));
                    // A replica that is no leader, of a shard for which the ring likes the new node best.
                    (r.first() == Some(&from), rank)
                });
                if let Some((_, replicas)) = best {
                    if let Some(slot) = replicas.iter_mut().find(|n| **n == from) {
                        *slot = to;
                    }
                    self.load.insert(from, high - 1);
                    self.load.insert(to, low + 1);
                    return true;
                }
            }
        }
        false
    }

    /// Puts the preferred leader first, evenly over the nodes, and changes as few as it can.
    fn choose_leaders(&mut self, wanted: &mut [(GroupId, Vec<NodeId>)]) {
        for (_, replicas) in wanted.iter() {
            if let Some(first) = replicas.first() {
                *self.leads.entry(*first).or_default() += 1;
            }
        }
        // Hand over one leadership at a time, along a chain of shards if need be, until no chain gains.
        while self.lead_once(wanted) {}
    }

    /// Finds the shortest chain of handovers from the busiest leader to one with at least two leaderships less.
    fn lead_once(&mut self, wanted: &mut [(GroupId, Vec<NodeId>)]) -> bool {
        let mut starts: Vec<(usize, NodeId)> = self.leads.iter().map(|(n, l)| (*l, *n)).collect();
        starts.sort_unstable_by(|a, b| b.cmp(a));
        for (most, start) in starts {
            let mut came: BTreeMap<NodeId, (NodeId, usize)> = BTreeMap::new();
            let mut queue = std::collections::VecDeque::from([start]);
            while let Some(node) = queue.pop_front() {
                if self.leads.get(&node).copied().unwrap_or(0) + 1 < most {
                    self.hand_along(wanted, &came, start, node);
                    return true;
                }
                for (i, (_, replicas)) in wanted.iter().enumerate().filter(|(_, (_, r))| r.first() == Some(&node)) {
                    for next in replicas.iter().skip(1) {
                        if *next != start && !came.contains_key(next) {
                            came.insert(*next, (node, i));
                            queue.push_back(*next);
                        }
                    }
                }
            }
        }
        false
    }

    fn hand_along(
        &mut self,
        wanted: &mut [(GroupId, Vec<NodeId>)],
        came: &BTreeMap<NodeId, (NodeId, usize)>,
        start: NodeId,
        end: NodeId,
    ) {
        let mut to = end;
        while let Some((from, shard)) = came.get(&to).copied() {
            if let Some((_, replicas)) = wanted.get_mut(shard)
                && let Some(at) = replicas.iter().position(|n| *n == to)
            {
                replicas.swap(0, at);
            }
            to = from;
        }
        *self.leads.entry(start).or_default() -= 1;
        *self.leads.entry(end).or_default() += 1;
    }
}

/// Which nodes should vote in the directory's group: those that do and may stay, then others from new zones.
pub(crate) fn directory_voters(nodes: &[Node], present: &BTreeSet<u64>) -> BTreeSet<u64> {
    let able: Vec<&Node> = nodes.iter().filter(|n| n.state == NodeState::Active).collect();
    let target = match able.len() {
        n @ 0..=3 => n,
        // A fourth voter would cost a vote and survive no more failures than three.
        4 => 3,
        _ => DIRECTORY_VOTERS_MAX,
    };
    let mut voters: Vec<&Node> = able.iter().copied().filter(|n| present.contains(&n.id.0)).collect();
    voters.truncate(target);
    while voters.len() < target {
        let mates = |n: &Node| voters.iter().filter(|v| !n.zone.is_empty() && v.zone == n.zone).count();
        let free = able.iter().copied().filter(|n| !voters.iter().any(|v| v.id == n.id));
        let Some(best) = free.min_by_key(|n| (mates(n), n.id)) else { break };
        voters.push(best);
    }
    voters.iter().map(|n| n.id.0).collect()
}

#[cfg(test)]
#[path = "planner_tests.rs"]
mod tests;
