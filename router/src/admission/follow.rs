//! What a node makes of the directory's list of nodes.

use std::collections::{BTreeMap, BTreeSet};
use zcluster_api::directory::{Node, NodeState};
use zcluster_rpc::node_number;

/// The cluster's nodes, as one of them should treat them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// This node has left: its process ends.
    pub left: bool,
    /// Raft ids that have left for good: they are refused.
    pub removed: BTreeSet<u64>,
    /// Where the peers are, by raft id; empty as long as this node has not received the directory: it keeps what it
    /// was told when it joined.
    pub peers: Option<BTreeMap<u64, String>>,
}

impl Topology {
    /// As node `me` (a raft id) should treat `nodes`.
    pub fn of(me: u64, nodes: Vec<Node>) -> Topology {
        let removed: BTreeSet<u64> = nodes.iter().filter(|n| n.state == NodeState::Removed).map(|n| n.id.0).collect();
        let all: BTreeMap<u64, String> =
            nodes.into_iter().filter(|n| n.state != NodeState::Removed).map(|n| (n.id.0, n.rpc)).collect();
        let peers = (!all.is_empty()).then(|| others(&all, node_number(me)));
        Topology { left: removed.contains(&me), removed, peers }
    }
}

/// All but node `number`.
pub fn others(peers: &BTreeMap<u64, String>, number: u32) -> BTreeMap<u64, String> {
    peers.iter().filter(|(id, _)| node_number(**id) != number).map(|(id, a)| (*id, a.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use zcluster_api::NodeId;

    fn node(number: u32, incarnation: u16, state: NodeState) -> Node {
        Node {
            id: NodeId::new(number, incarnation),
            rpc: format!("node{number}:7007"),
            advertise: String::new(),
            ports: BTreeMap::new(),
            state,
            zone: String::new(),
            version: String::new(),
        }
    }

    #[test]
    fn the_left_are_refused_and_peers_are_the_others() {
        use NodeState::{Active, Joining, Removed};
        let nodes = vec![node(1, 0, Active), node(2, 0, Removed), node(2, 1, Joining), node(3, 0, Active)];
        let me = NodeId::new(1, 0).0;
        let seen = Topology::of(me, nodes.clone());
        assert!(!seen.left);
        assert_eq!(seen.removed, BTreeSet::from([NodeId::new(2, 0).0]));
        let peers: Vec<u64> = seen.peers.unwrap().into_keys().collect();
        assert_eq!(peers, [NodeId::new(2, 1).0, NodeId::new(3, 0).0]);
        assert!(Topology::of(NodeId::new(2, 0).0, nodes).left);
        assert_eq!(Topology::of(me, Vec::new()).peers, None);
    }
}
