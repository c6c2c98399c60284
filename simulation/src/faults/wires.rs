//! What goes wrong with the network on the large scale.

use super::struck;
use crate::cluster::Cluster;
use crate::world::OUTSIDE;
use std::collections::BTreeSet;

fn are_there(cluster: &Cluster, nodes: &[u32]) -> bool {
    let members = cluster.members();
    nodes.iter().all(|n| members.contains(n))
}

pub(super) fn cut_one_way(cluster: &Cluster, from: u32, to: u32) -> bool {
    if from == to || !are_there(cluster, &[from, to]) {
        return false;
    }
    cluster.wires().cut(from, to);
    struck("fault.cut_one_way", from, &[u64::from(from), u64::from(to)], || format!("nothing gets to node {to}"))
}

pub(super) fn partition(cluster: &Cluster, side: &[u32]) -> bool {
    let (inside, outside): (BTreeSet<u32>, BTreeSet<u32>) =
        cluster.members().into_iter().partition(|n| side.contains(n));
    if inside.is_empty() || outside.is_empty() {
        return false;
    }
    for a in &inside {
        for b in &outside {
            cluster.wires().cut(*a, *b);
            cluster.wires().cut(*b, *a);
        }
    }
    let facts: Vec<u64> = inside.iter().map(|n| u64::from(*n)).collect();
    struck("fault.partition", OUTSIDE, &facts, || format!("{inside:?} and {outside:?} are cut off from each other"))
}

pub(super) fn cut_clients(cluster: &Cluster, node: u32) -> bool {
    if !are_there(cluster, &[node]) {
        return false;
    }
    cluster.wires().cut_clients(node);
    struck("fault.cut_clients", node, &[u64::from(node)], || "clients cannot reach it".into())
}

pub(super) fn heal(cluster: &Cluster) -> bool {
    cluster.wires().heal();
    struck("fault.heal_network", OUTSIDE, &[], || "all cuts and slow links are mended".into())
}

pub(super) fn slow_link(cluster: &Cluster, a: u32, b: u32, factor: u32) -> bool {
    if a == b || !are_there(cluster, &[a, b]) {
        return false;
    }
    cluster.wires().slow(a, b, factor);
    let facts = [u64::from(a), u64::from(b), u64::from(factor)];
    struck("fault.slow_link", OUTSIDE, &facts, || format!("nodes {a} and {b} are {factor} times as far apart"))
}

pub(super) fn reset_links(cluster: &Cluster, a: u32, b: u32) -> bool {
    if a == b || !are_there(cluster, &[a, b]) {
        return false;
    }
    cluster.wires().reset(a, b);
    struck("fault.reset_links", OUTSIDE, &[u64::from(a), u64::from(b)], || {
        format!("connections between nodes {a} and {b} break")
    })
}

pub(super) fn reset_clients(cluster: &Cluster, node: u32) -> bool {
    if !are_there(cluster, &[node]) {
        return false;
    }
    cluster.wires().reset_clients(node);
    struck("fault.reset_clients", node, &[u64::from(node)], || "clients lose their connections".into())
}
