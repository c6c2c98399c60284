//! The types openraft is instantiated with, and conversions between its vocabulary and ours.

use crate::codec::{Reader, Writer};
use crate::log::Vote;
use crate::runtime::Rt;
use crate::{Applied, Entry, EntryKind, LogId};
use bytes::Bytes;
use openraft::alias::{EntryOf, LogIdOf, SnapshotMetaOf, StoredMembershipOf, VoteOf};
use openraft::impls::{EmptyNode, leader_id_std};
use openraft::{EntryPayload, Membership, StoredMembership};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};
use std::{fmt, io};

openraft::declare_raft_types!(
    /// One configuration for all groups: opaque commands and replies, numbers as nodes, one leader per term.
    pub(crate) C:
        D = Command,
        R = Reply,
        NodeId = u64,
        Node = EmptyNode,
        LeaderId = leader_id_std::LeaderId<u64, u64>,
        AsyncRuntime = Rt,
);

pub(crate) type RaftId = LogIdOf<C>;
pub(crate) type RaftEntry = EntryOf<C>;
pub(crate) type RaftVote = VoteOf<C>;
pub(crate) type Members = Membership<u64, EmptyNode>;
pub(crate) type StoredMembers = StoredMembershipOf<C>;
pub(crate) type Meta = SnapshotMetaOf<C>;

/// A proposal's bytes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Command(pub Bytes);

/// A reply's bytes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Reply(pub Bytes);

// Payloads may be mail: logs show only how long they are.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

// openraft's `serde` feature asks for these; our own codec is what goes to disk and to peers.
impl Serialize for Command {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_bytes(&self.0)
    }
}
impl<'de> Deserialize<'de> for Command {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Vec::<u8>::deserialize(d).map(|v| Command(v.into()))
    }
}
impl Serialize for Reply {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_bytes(&self.0)
    }
}
impl<'de> Deserialize<'de> for Reply {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Vec::<u8>::deserialize(d).map(|v| Reply(v.into()))
    }
}

pub(crate) fn to_raft(id: LogId) -> RaftId {
    RaftId::new_term_index(id.term, id.index)
}

pub(crate) fn from_raft(id: &RaftId) -> LogId {
    LogId { term: id.leader_id.term, index: id.index }
}

pub(crate) fn vote_to_raft(v: Vote) -> RaftVote {
    if v.committed { RaftVote::new_committed(v.term, v.node) } else { RaftVote::new(v.term, v.node) }
}

pub(crate) fn vote_from_raft(v: &RaftVote) -> Vote {
    Vote { term: v.leader_id.term, node: v.leader_id.voted_for, committed: v.committed }
}

pub(crate) fn entry_from_raft(e: RaftEntry) -> Entry {
    let id = from_raft(&e.log_id);
    let kind = match e.payload {
        EntryPayload::Blank => EntryKind::Blank,
        EntryPayload::Normal(c) => EntryKind::Normal(c.0),
        EntryPayload::Membership(m) => EntryKind::Membership(encode_members(&m)),
    };
    Entry { id, kind }
}

pub(crate) fn entry_to_raft(e: Entry) -> io::Result<RaftEntry> {
    let payload = match e.kind {
        EntryKind::Blank => EntryPayload::Blank,
        EntryKind::Normal(b) => EntryPayload::Normal(Command(b)),
        EntryKind::Membership(b) => EntryPayload::Membership(decode_members(b)?),
    };
    Ok(RaftEntry { log_id: to_raft(e.id), payload })
}

/// Version of the membership encoding.
const MEMBERS_VERSION: u8 = 1;
/// Most members a group may have; a bound for decoding.
const MAX_MEMBERS: u64 = 4096;

/// Version, number of configurations, each with its voters; then all nodes.
pub(crate) fn encode_members(m: &Members) -> Bytes {
    let mut w = Writer::with_capacity(64);
    w.u8(MEMBERS_VERSION);
    w.u32(m.get_joint_config().len() as u32);
    for config in m.get_joint_config() {
        w.u32(config.len() as u32);
        config.iter().for_each(|n| w.u64(*n));
    }
    w.u32(m.nodes().count() as u32);
    m.nodes().for_each(|(n, _)| w.u64(*n));
    w.finish()
}

pub(crate) fn decode_members(bytes: Bytes) -> io::Result<Members> {
    let mut r = Reader::new(bytes);
    r.version(MEMBERS_VERSION)?;
    let mut configs = Vec::new();
    for _ in 0..r.count(2)? {
        configs.push(read_nodes(&mut r)?);
    }
    let nodes: BTreeMap<u64, EmptyNode> = read_nodes(&mut r)?.into_iter().map(|n| (n, EmptyNode {})).collect();
    r.end()?;
    // The membership of a group that was never initialized has no configuration at all, and is valid.
    Members::new(configs, nodes).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e.to_string()))
}

fn read_nodes(r: &mut Reader) -> io::Result<BTreeSet<u64>> {
    (0..r.count(MAX_MEMBERS)?).map(|_| r.u64()).collect()
}

/// What a machine says it has applied, in openraft's words.
pub(crate) fn meta_from_applied(applied: &Applied) -> io::Result<Meta> {
    let membership = match &applied.membership {
        None => StoredMembership::default(),
        Some((at, bytes)) => StoredMembership::new(Some(to_raft(*at)), decode_members(bytes.clone())?),
    };
    Ok(Meta { last_log_id: applied.last.map(to_raft), last_membership: membership })
}

pub(crate) fn applied_from_meta(meta: &Meta) -> Applied {
    Applied {
        last: meta.last_log_id.as_ref().map(from_raft),
        membership: meta
            .last_membership
            .log_id()
            .as_ref()
            .map(|at| (from_raft(at), encode_members(meta.last_membership.membership()))),
    }
}
