use super::*;
use proptest::prelude::*;

fn node(n: u32, zone: &str, state: NodeState) -> Node {
    Node {
        id: NodeId::new(n, 1),
        rpc: String::new(),
        advertise: String::new(),
        ports: BTreeMap::new(),
        state,
        zone: zone.into(),
        version: String::new(),
    }
}

fn active(n: u32) -> Vec<Node> {
    (1..=n).map(|i| node(i, "", NodeState::Active)).collect()
}

fn fresh(shards: u32) -> Vec<Shard> {
    (1..=shards).map(|g| Shard { group: GroupId(g), replicas: vec![NodeId::new(1, 1)], version: 1 }).collect()
}

fn carry_out(shards: &mut [Shard], changes: Vec<Shard>) -> usize {
    let mut moved = 0;
    for change in changes {
        let slot = shards.iter_mut().find(|s| s.group == change.group).unwrap();
        assert_eq!(change.version, slot.version + 1);
        moved += change.replicas.iter().filter(|n| !slot.replicas.contains(n)).count();
        *slot = change;
    }
    moved
}

fn counts(shards: &[Shard], pick: impl Fn(&Shard) -> Vec<NodeId>) -> BTreeMap<NodeId, usize> {
    let mut out = BTreeMap::new();
    for n in shards.iter().flat_map(pick) {
        *out.entry(n).or_default() += 1;
    }
    out
}

fn spread(counts: &BTreeMap<NodeId, usize>, nodes: usize) -> usize {
    let most = counts.values().max().copied().unwrap_or(0);
    let least = if counts.len() < nodes { 0 } else { counts.values().min().copied().unwrap_or(0) };
    most - least
}

#[test]
fn grows_evenly_and_moves_little() {
    let mut shards = fresh(64);
    for n in 2..=7 {
        let changes = plan(&active(n), &shards, 3);
        let before: usize = shards.iter().map(|s| s.replicas.len()).sum();
        let moved = carry_out(&mut shards, changes);
        let all: usize = shards.iter().map(|s| s.replicas.len()).sum();
        assert_eq!(all, 64 * (n as usize).min(3));
        // New replicas, and the new node's fair share of moves.
        assert!(moved <= all - before + all.div_ceil(n as usize), "{n} nodes: {moved} moved");
        assert!(spread(&counts(&shards, |s| s.replicas.clone()), n as usize) <= 1);
        assert!(spread(&counts(&shards, |s| s.replicas[..1].to_vec()), n as usize) <= 1);
        assert!(plan(&active(n), &shards, 3).is_empty(), "the plan is stable");
    }
}

#[test]
fn drains_and_spreads_over_zones() {
    let mut nodes: Vec<Node> = (1..=6).map(|i| node(i, ["a", "b", "c"][i as usize % 3], NodeState::Active)).collect();
    let mut shards = fresh(32);
    let changes = plan(&nodes, &shards, 3);
    carry_out(&mut shards, changes);
    let zone = |nodes: &[Node], id: NodeId| nodes.iter().find(|n| n.id == id).unwrap().zone.clone();
    for s in &shards {
        let zones: BTreeSet<String> = s.replicas.iter().map(|n| zone(&nodes, *n)).collect();
        assert_eq!(zones.len(), 3, "{s:?}");
    }
    nodes[0].state = NodeState::Draining;
    let changes = plan(&nodes, &shards, 3);
    carry_out(&mut shards, changes);
    assert!(shards.iter().all(|s| !s.replicas.contains(&nodes[0].id) && s.replicas.len() == 3));
}

#[test]
fn directory_votes_with_an_odd_number() {
    for (n, want) in [(1, 1), (2, 2), (3, 3), (4, 3), (5, 5), (9, 5)] {
        assert_eq!(directory_voters(&active(n), &BTreeSet::new()).len(), want);
    }
    let present: BTreeSet<u64> = [4, 5].map(|n| NodeId::new(n, 1).0).into();
    assert!(directory_voters(&active(5), &present).is_superset(&present));
    let mut nodes = active(3);
    nodes[1].state = NodeState::Removed;
    assert!(!directory_voters(&nodes, &present).contains(&NodeId::new(2, 1).0));
}

proptest! {
    /// Whatever nodes come and go, each shard has as many replicas as it can, on able nodes, and the plan is stable.
    #[test]
    fn always_settles(
        steps in prop::collection::vec(prop::collection::vec((0u8..4, 0u8..3), 1..7), 1..5),
        shard_count in 1u32..40, replication in 1u32..5,
    ) {
        let mut shards = fresh(shard_count);
        for step in steps {
            let nodes: Vec<Node> = step.iter().enumerate().map(|(i, (state, zone))| {
                let state = [NodeState::Active, NodeState::Active, NodeState::Draining, NodeState::Joining][*state as usize];
                node(i as u32 + 1, ["", "a", "b"][*zone as usize], state)
            }).collect();
            let able: BTreeSet<NodeId> = nodes.iter().filter(|n| n.state == NodeState::Active).map(|n| n.id).collect();
            let changes = plan(&nodes, &shards, replication);
            carry_out(&mut shards, changes);
            if !able.is_empty() {
                for s in &shards {
                    let distinct: BTreeSet<_> = s.replicas.iter().copied().collect();
                    prop_assert_eq!(distinct.len(), s.replicas.len());
                    prop_assert_eq!(s.replicas.len(), able.len().min(replication as usize));
                    prop_assert!(distinct.is_subset(&able));
                }
            }
            prop_assert!(plan(&nodes, &shards, replication).is_empty());
        }
    }
}
