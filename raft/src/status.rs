//! What a group looks like from outside.

use crate::LogId;
use std::collections::BTreeSet;

/// Who leads a group, as this node sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leadership {
    /// The term; a fencing token when `is_leader`.
    pub term: u64,
    /// The leader, if one is known.
    pub leader: Option<u64>,
    /// This node is the leader of `term` and holds a quorum's word for it.
    pub is_leader: bool,
}

/// A node's part in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Leads.
    Leader,
    /// Votes and follows.
    Follower,
    /// Asks for votes.
    Candidate,
    /// Follows without a vote.
    Learner,
    /// Was stopped or died.
    Stopped,
}

/// How far a follower is, seen from the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerLag {
    /// The follower.
    pub node: u64,
    /// The last entry it is known to have; `None` until it first answered.
    pub matched: Option<u64>,
    /// Entries it lacks.
    pub lag: u64,
}

/// A group's state on this node.
#[derive(Clone, Debug)]
pub struct GroupStatus {
    /// The group.
    pub group: u32,
    /// This node.
    pub node: u64,
    /// This node's part.
    pub role: Role,
    /// The term.
    pub term: u64,
    /// The leader, if known.
    pub leader: Option<u64>,
    /// The last entry in the log.
    pub last_log: Option<u64>,
    /// The last committed entry known here.
    pub committed: Option<LogId>,
    /// The last applied entry.
    pub applied: Option<LogId>,
    /// The point up to which the log may be cut.
    pub snapshot: Option<LogId>,
    /// The last entry cut off.
    pub purged: Option<LogId>,
    /// Members with a vote.
    pub voters: BTreeSet<u64>,
    /// Members without one.
    pub learners: BTreeSet<u64>,
    /// A membership change is half done: `voters` holds old and new ones.
    pub joint: bool,
    /// Where the membership stands in the log. It holds from there on, but may still be lost until it is committed.
    pub membership: Option<LogId>,
    /// The followers, if this node leads.
    pub followers: Vec<FollowerLag>,
}
