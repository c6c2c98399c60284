//! Sees every log operation and every written state of every node while it happens, and checks what raft promises.
//!
//! The simulated disks call the functions here, in the context of whatever runs. State is kept per thread (one world
//! at a time) and begins anew with [`begin`].

use zcluster_api::GroupId;
use zcluster_raft::LogId;
use zcluster_raft::log::{LogState, Op};

/// A new world: forgets everything, and listens to the software's probes. Call it after `world::enter`.
pub fn begin() {}

/// A node's process submitted an operation to its log. Call it before the operation is carried out.
pub fn log_op(node: u32, group: u32, op: &Op) {
    let _ = (node, group, op);
}

/// An operation is durable and is about to be reported so.
pub fn log_synced(node: u32, group: u32, op: &Op) {
    let _ = (node, group, op);
}

/// A node's process opened its log and found this of a group.
pub fn log_recovered(node: u32, group: u32, state: LogState) {
    let _ = (node, group, state);
}

/// A node lost its disk (or an incarnation begins anew): what it promised is void.
pub fn log_wiped(node: u32) {
    let _ = node;
}

/// A group's rows on a node are now those at position `applied`; `rows` is a hash of them that does not depend on
/// where they lie (generation) nor on the way they came there.
pub fn state_written(node: u32, group: GroupId, applied: Option<LogId>, rows: u128) {
    let _ = (node, group, applied, rows);
}
