//! The member's side: decides, and writes what was decided into the directory.

use crate::Router;
use std::collections::BTreeMap;
use std::time::Duration;
use zcluster_api::directory::{Cluster, Node, NodeState};
use zcluster_api::{
    Actor, DirectoryApi, DirectoryCommand, DirectoryQuery, DirectoryReply, Error, Freshness, NodeId, RequestId, Result,
};

/// What a new node says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// What peers shall dial.
    pub rpc: String,
    /// What clients shall use.
    pub advertise: String,
    /// Services.
    pub ports: BTreeMap<String, u16>,
    /// Failure domain.
    pub zone: String,
    /// Software version.
    pub version: String,
}

async fn write(directory: &dyn DirectoryApi, command: DirectoryCommand) -> Result<DirectoryReply> {
    directory.write(Actor::System, RequestId(zcluster_runtime::random_bytes()), command).await
}

/// The cluster's record, as far as this node knows it.
///
/// # Errors
/// `Unavailable` when it does not (yet).
pub async fn known_cluster(directory: &dyn DirectoryApi) -> Result<Cluster> {
    match directory.read(DirectoryQuery::Cluster, Freshness::Local).await {
        Ok(DirectoryReply::Cluster(cluster)) => Ok(cluster),
        other => Err(unknown(&other)),
    }
}

/// All nodes' records.
///
/// # Errors
/// `Unavailable` when this node does not know them (yet).
pub async fn known_nodes(directory: &dyn DirectoryApi) -> Result<Vec<Node>> {
    match directory.read(DirectoryQuery::Nodes, Freshness::Recent).await {
        Ok(DirectoryReply::Nodes(nodes)) => Ok(nodes),
        other => Err(unknown(&other)),
    }
}

fn unknown(answer: &Result<DirectoryReply>) -> Error {
    Error::Unavailable(format!("this node does not know its cluster yet, try again soon ({answer:?})"))
}

/// Takes a number for a node that will listen on `rpc`.
///
/// # Errors
/// `Conflict` when a member has that address already; what writing the directory may meet.
pub async fn reserve(directory: &dyn DirectoryApi, rpc: &str) -> Result<u32> {
    let nodes = known_nodes(directory).await?;
    if let Some(other) = nodes.iter().find(|n| n.rpc == rpc && n.state != NodeState::Removed) {
        return Err(Error::Conflict(format!("node {} has the address {rpc} already", other.id.number())));
    }
    match write(directory, DirectoryCommand::TakeNodeNumber).await? {
        DirectoryReply::Number(number) => Ok(number),
        other => Err(Error::Internal(format!("expected a node number, got {other:?}"))),
    }
}

/// Makes the node with a [`reserve`]d number a member, which has to catch up first. Returns the peers' addresses by
/// raft node id, for the new node to dial.
///
/// # Errors
/// What writing the directory may meet.
pub async fn admit(directory: &dyn DirectoryApi, number: u32, new: Candidate) -> Result<BTreeMap<u64, String>> {
    let Candidate { rpc, advertise, ports, zone, version } = new;
    let nodes = known_nodes(directory).await?;
    let node = Node { id: NodeId::new(number, 0), rpc, advertise, ports, state: NodeState::Joining, zone, version };
    tracing::info!(node = number, rpc = node.rpc, "a node joins the cluster");
    write(directory, DirectoryCommand::PutNode(node, None)).await?;
    Ok(nodes.into_iter().filter(|n| n.state != NodeState::Removed).map(|n| (n.id.0, n.rpc)).collect())
}

/// Gives a node whose disk lost data its new place: raft id `old` is out for good, `new` joins. Asked again, it
/// finishes what was begun: the new place is written first, so that an interruption leaves the node one.
///
/// # Errors
/// `Denied` when the node may not ask for that; what writing the directory may meet.
pub async fn admit_anew(directory: &dyn DirectoryApi, old: u64, new: u64) -> Result<()> {
    let (old, new) = (NodeId(old), NodeId(new));
    if old.number() != new.number() || old >= new {
        return Err(Error::Denied("a node may only replace its own older incarnation".into()));
    }
    let nodes = known_nodes(directory).await?;
    let mut present: Vec<Node> = nodes.into_iter().filter(|n| n.id.number() == new.number()).collect();
    present.retain(|n| n.state != NodeState::Removed);
    let Some(record) = present.iter().max_by_key(|n| n.id) else {
        let text = "the cluster knows no such node (any more): join again with an empty data directory";
        return Err(Error::Denied(text.into()));
    };
    if record.id < new {
        tracing::warn!(old = old.0, new = new.0, "a node's disk lost data; it joins anew");
        // Whoever was told to go stays told.
        let state = if record.state == NodeState::Draining { NodeState::Draining } else { NodeState::Joining };
        let renewed = Node { id: new, state, ..record.clone() };
        write(directory, DirectoryCommand::PutNode(renewed, None)).await?;
    }
    for older in present.into_iter().filter(|n| n.id < new) {
        write(directory, DirectoryCommand::PutNode(Node { state: NodeState::Removed, ..older }, None)).await?;
    }
    Ok(())
}

/// Writes what an operator wants of node `number`: `Active` (takes its share), `Draining` (gives it away) or `Removed`
/// (left for good; only when it holds nothing any more).
///
/// # Errors
/// `Conflict` with a text for the operator when that may not be; what asking and writing may meet.
pub async fn set_state(router: &Router, actor: Actor, number: u32, state: NodeState, timeout: Duration) -> Result<()> {
    // What is decided here must not rest on what this node knew a while ago.
    known_nodes(router).await?;
    let status = router.status(timeout).await?;
    let records: Vec<_> = status.nodes.iter().map(|n| &n.node).filter(|n| n.state != NodeState::Removed).collect();
    let Some(record) = records.iter().filter(|n| n.id.number() == number).max_by_key(|n| n.id) else {
        return Err(Error::Conflict(format!("there is no node {number}: see `zcluster status`")));
    };
    let others = records.iter().filter(|n| n.id != record.id && n.state == NodeState::Active).count();
    if state != NodeState::Active && others == 0 {
        return Err(Error::Conflict(format!("node {number} is the only active one: nobody could take its share")));
    }
    if state == NodeState::Removed {
        if record.state != NodeState::Draining {
            return Err(Error::Conflict(format!("node {number} may still be given replicas: drain it first")));
        }
        let holds = router.groups_of(record.id, timeout).await?;
        if !holds.is_empty() {
            return Err(Error::Conflict(format!("node {number} still holds replicas of {} groups", holds.len())));
        }
    }
    let changed = Node { state, ..(*record).clone() };
    let request = RequestId(zcluster_runtime::random_bytes());
    DirectoryApi::write(router, actor, request, DirectoryCommand::PutNode(changed, Some(record.state))).await?;
    if state == NodeState::Removed {
        // A node that lost its disk may have joined anew between the look and the write: then only its old incarnation
        // is gone. From here on there can be no new one.
        let nodes = known_nodes(router).await?;
        if nodes.iter().any(|n| n.id.number() == number && n.state != NodeState::Removed) {
            return Err(Error::Conflict(format!(
                "node {number} has just joined anew after it lost its disk: try again"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::{BoxFuture, ready};
    use parking_lot::Mutex;

    /// A directory of nodes that fails at the writes it is told to.
    #[derive(Default)]
    struct Nodes {
        nodes: Mutex<BTreeMap<NodeId, Node>>,
        fail: Mutex<Vec<bool>>,
    }

    impl DirectoryApi for Nodes {
        fn read(&self, query: DirectoryQuery, _: Freshness) -> BoxFuture<'_, Result<DirectoryReply>> {
            assert_eq!(query, DirectoryQuery::Nodes);
            Box::pin(ready(Ok(DirectoryReply::Nodes(self.nodes.lock().values().cloned().collect()))))
        }
        fn write(&self, _: Actor, _: RequestId, command: DirectoryCommand) -> BoxFuture<'_, Result<DirectoryReply>> {
            let mut nodes = self.nodes.lock();
            let answer = match command {
                _ if self.fail.lock().pop() == Some(true) => Err(Error::Unavailable("told to".into())),
                DirectoryCommand::PutNode(node, None) => {
                    nodes.insert(node.id, node);
                    Ok(DirectoryReply::Done)
                }
                DirectoryCommand::TakeNodeNumber => {
                    Ok(DirectoryReply::Number(nodes.keys().map(|n| n.number()).max().unwrap_or(0) + 1))
                }
                other => panic!("{other:?}"),
            };
            Box::pin(ready(answer))
        }
    }

    fn candidate(rpc: &str) -> Candidate {
        let (advertise, zone, version) = Default::default();
        Candidate { rpc: rpc.into(), advertise, ports: BTreeMap::new(), zone, version }
    }

    async fn with_one_node() -> Nodes {
        let directory = Nodes::default();
        assert_eq!(reserve(&directory, "a:1").await, Ok(1));
        assert_eq!(admit(&directory, 1, candidate("a:1")).await, Ok(BTreeMap::new()));
        directory
    }

    fn states(directory: &Nodes) -> Vec<(u16, NodeState)> {
        directory.nodes.lock().values().map(|n| (n.id.incarnation(), n.state)).collect()
    }

    #[tokio::test]
    async fn addresses_are_taken_once_and_the_new_are_told_of_the_old() {
        let directory = with_one_node().await;
        assert!(matches!(reserve(&directory, "a:1").await, Err(Error::Conflict(_))));
        assert_eq!(reserve(&directory, "b:1").await, Ok(2));
        let peers = admit(&directory, 2, candidate("b:1")).await.unwrap();
        assert_eq!(peers, BTreeMap::from([(NodeId::new(1, 0).0, "a:1".to_string())]));
    }

    #[tokio::test]
    async fn a_rejoin_that_was_interrupted_is_finished() {
        use NodeState::{Joining, Removed};
        let (old, new) = (NodeId::new(1, 0).0, NodeId::new(1, 1).0);
        for failing in 0..2 {
            let directory = with_one_node().await;
            *directory.fail.lock() = [vec![true], vec![false; failing]].concat();
            assert!(matches!(admit_anew(&directory, old, new).await, Err(Error::Unavailable(_))));
            assert_eq!(admit_anew(&directory, old, new).await, Ok(()));
            assert_eq!(states(&directory), [(0, Removed), (1, Joining)]);
            assert_eq!(admit_anew(&directory, old, new).await, Ok(()));
        }
    }

    #[tokio::test]
    async fn whoever_is_told_to_go_stays_told() {
        let directory = with_one_node().await;
        directory.nodes.lock().values_mut().for_each(|n| n.state = NodeState::Draining);
        assert_eq!(admit_anew(&directory, NodeId::new(1, 0).0, NodeId::new(1, 1).0).await, Ok(()));
        assert_eq!(states(&directory), [(0, NodeState::Removed), (1, NodeState::Draining)]);
    }

    #[tokio::test]
    async fn the_removed_and_strangers_do_not_rejoin() {
        let directory = with_one_node().await;
        let id = |number, incarnation| NodeId::new(number, incarnation).0;
        assert!(matches!(admit_anew(&directory, id(2, 0), id(2, 1)).await, Err(Error::Denied(_))));
        assert!(matches!(admit_anew(&directory, id(2, 0), id(1, 1)).await, Err(Error::Denied(_))));
        assert!(matches!(admit_anew(&directory, id(1, 1), id(1, 1)).await, Err(Error::Denied(_))));
        directory.nodes.lock().values_mut().for_each(|n| n.state = NodeState::Removed);
        assert!(matches!(admit_anew(&directory, id(1, 0), id(1, 1)).await, Err(Error::Denied(_))));
    }
}
