//! The cluster's own facts: nodes, shards, config.

use super::Attributes;
use crate::ids::*;
use minicbor::{Decode, Encode};
use std::collections::BTreeMap;

/// What a node is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum NodeState {
    /// Known, catching up.
    #[n(0)]
    Joining,
    /// Taking its share.
    #[n(1)]
    Active,
    /// Giving its share away.
    #[n(2)]
    Draining,
    /// Gone; its id is never used again.
    #[n(3)]
    Removed,
}

/// A node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Node {
    /// Raft id (number and disk incarnation).
    #[n(0)]
    pub id: NodeId,
    /// What peers dial for node-to-node traffic, `host:port`.
    #[n(1)]
    pub rpc: String,
    /// Host name or address shown to clients and operators.
    #[n(2)]
    pub advertise: String,
    /// Service name -> port (`imap`, `lmtp`, ...).
    #[n(3)]
    pub ports: BTreeMap<String, u16>,
    /// State.
    #[n(4)]
    pub state: NodeState,
    /// Failure domain; replicas of a shard avoid sharing one.
    #[n(5)]
    pub zone: String,
    /// Software version it last started with.
    #[n(6)]
    pub version: String,
}

/// Which nodes hold a shard.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Shard {
    /// The group.
    #[n(0)]
    pub group: GroupId,
    /// Nodes that should be voters; the first is the preferred leader.
    #[n(1)]
    pub replicas: Vec<NodeId>,
    /// Raised at each change; changes compare it first.
    #[n(2)]
    pub version: u64,
}

/// The cluster's own facts.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Cluster {
    /// Random name made at `init` (UUID text).
    #[n(0)]
    pub id: String,
    /// Number of mailbox shards.
    #[n(1)]
    pub shards: u32,
    /// Replicas a shard should have.
    #[n(2)]
    pub replication: u32,
    /// The cluster CA's certificate, PEM.
    #[n(3)]
    pub ca_cert_pem: String,
    /// The cluster CA's key, PEM, so that any node can admit another. Never shown.
    #[n(4)]
    pub ca_key_pem: String,
    /// Global config attributes (`zimbra...`).
    #[n(5)]
    pub config: Attributes,
}
