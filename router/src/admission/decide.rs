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

/// Gives a node whose disk lost data its new place: raft id `old` is out for good, `new` joins. Asked again, does
/// nothing.
///
/// # Errors
/// `Denied` when the node may not ask for that; what writing the directory may meet.
pub async fn admit_anew(directory: &dyn DirectoryApi, old: u64, new: u64) -> Result<()> {
    let (old, new) = (NodeId(old), NodeId(new));
    if old.number() != new.number() || old >= new {
        return Err(Error::Denied("a node may only replace its own older incarnation".into()));
    }
    let nodes = known_nodes(directory).await?;
    if nodes.iter().any(|n| n.id == new) {
        return Ok(());
    }
    let present = nodes.iter().filter(|n| n.id.number() == new.number() && n.state != NodeState::Removed);
    let Some(record) = present.max_by_key(|n| n.id) else {
        let text = "the cluster knows no such node (any more): join again with an empty data directory";
        return Err(Error::Denied(text.into()));
    };
    tracing::warn!(old = old.0, new = new.0, "a node's disk lost data; it joins anew");
    let removed = Node { state: NodeState::Removed, ..record.clone() };
    write(directory, DirectoryCommand::PutNode(removed, None)).await?;
    let joining = Node { id: new, state: NodeState::Joining, ..record.clone() };
    write(directory, DirectoryCommand::PutNode(joining, None)).await?;
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
    let Some(record) = records.iter().find(|n| n.id.number() == number) else {
        return Err(Error::Conflict(format!("there is no node {number}: see `zcluster status`")));
    };
    let others = records.iter().filter(|n| n.id != record.id && n.state == NodeState::Active).count();
    if state != NodeState::Active && others == 0 {
        return Err(Error::Conflict(format!("node {number} is the only active one: nobody could take its share")));
    }
    let holds = status.groups.iter().any(|g| g.voters.contains(&record.id));
    if state == NodeState::Removed && (holds || record.state != NodeState::Draining) {
        return Err(Error::Conflict(format!("node {number} still holds replicas: drain it first")));
    }
    let changed = Node { state, ..(*record).clone() };
    let request = RequestId(zcluster_runtime::random_bytes());
    DirectoryApi::write(router, actor, request, DirectoryCommand::PutNode(changed, Some(record.state))).await?;
    Ok(())
}
