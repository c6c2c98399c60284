//! Sees every log operation and every written state of every node while it happens, and checks what raft promises.
//!
//! The simulated disks call the functions here, in the context of whatever runs. State is kept per thread (one world
//! at a time) and begins anew with [`begin`].

mod hash;

pub use hash::row_hash;

use zcluster_api::GroupId;
use zcluster_raft::LogId;
use zcluster_raft::log::{LogState, Op};

/// A new world: forgets everything, and listens to the software's probes. Call it after `world::enter`.
pub fn begin() {}

/// A node's process submitted an operation to its log. Call it before the operation is carried out.
pub fn log_op(node: u32, group: u32, op: &Op) {
    let _ = (node, group, op);
}

/// An operation is reported durable: call it just before its callback runs (or would run, when it has none), in the
/// order of submission. [`Op::Committed`] is a hint and need not be told.
pub fn log_synced(node: u32, group: u32, op: &Op) {
    let _ = (node, group, op);
}

/// A node's process begins to open its disk after a crash or stop: until [`log_recovered`] and [`state_recovered`]
/// tell otherwise, nothing of any group is there. Call it before them.
pub fn log_opening(node: u32) {
    let _ = node;
}

/// A node's process opened its log and found this of a group.
pub fn log_recovered(node: u32, group: u32, state: LogState) {
    let _ = (node, group, state);
}

/// A node lost its disk (or an incarnation begins anew): what it promised is void.
pub fn log_wiped(node: u32) {
    let _ = node;
}

/// A node's process opened its state and found a group at this position.
pub fn state_recovered(node: u32, group: GroupId, applied: Option<LogId>, rows: u128) {
    let _ = (node, group, applied, rows);
}

/// A group's rows on a node are now those at position `applied` (a batch that holds the group's position record was
/// written). `rows` is the wrapping sum of [`row_hash`] over the rows of the group's present generation (that record and
/// what else lies in generation 0 left out), so that it depends neither on the generation nor on the way that led there.
pub fn state_written(node: u32, group: GroupId, applied: Option<LogId>, rows: u128) {
    let _ = (node, group, applied, rows);
}
