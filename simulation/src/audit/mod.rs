//! Sees every log operation and every written state of every node while it happens, and checks what raft promises.
//!
//! The simulated disks call the functions here, in the context of whatever runs. What is remembered is kept per thread
//! (one world at a time) and begins anew with [`begin`]. The promises themselves are in [`crate::invariants`], one file
//! each; here is who is asked about what, and when.

mod group;
mod hash;
mod log;
mod replica;

pub use hash::row_hash;
pub use log::{Log, Mark};

use crate::invariants::{Check, only_the_leader_acts};
use crate::world;
use group::Group;
use replica::Replica;
use std::cell::RefCell;
use std::collections::BTreeMap;
use zcluster_api::GroupId;
use zcluster_raft::log::{LogState, Op};
use zcluster_raft::{Entry, LogId};

/// Bytes of payloads kept for replaying; groups whose entries are not all kept are not replayed.
const PAYLOAD_BYTES_MAX: usize = 256 << 20;

/// What is remembered of one world.
struct Auditor {
    groups: BTreeMap<u32, Group>,
    replicas: BTreeMap<(u32, u32), Replica>,
    /// Bytes of payloads that may still be kept.
    room: usize,
    /// Nothing is checked.
    looks_away: bool,
}

impl Auditor {
    const fn new() -> Self {
        Auditor { groups: BTreeMap::new(), replicas: BTreeMap::new(), room: PAYLOAD_BYTES_MAX, looks_away: false }
    }
    /// The group, the node's replica of it, and the room for payloads.
    fn at(&mut self, node: u32, group: u32) -> (&mut Group, &mut Replica, &mut usize) {
        let replica = self.replicas.entry((node, group)).or_default();
        (self.groups.entry(group).or_default(), replica, &mut self.room)
    }
    fn of_node(&mut self, node: u32) -> impl Iterator<Item = &mut Replica> {
        self.replicas.range_mut((node, 0)..=(node, u32::MAX)).map(|(_, r)| r)
    }
}

thread_local! {
    static AUDITOR: RefCell<Auditor> = const { RefCell::new(Auditor::new()) };
}

fn with<R>(f: impl FnOnce(&mut Auditor) -> R) -> R {
    AUDITOR.with(|a| f(&mut a.borrow_mut()))
}

/// Checks, unless the audit looks away.
fn checked(f: impl FnOnce(&mut Auditor) -> Check) -> Check {
    with(|a| if a.looks_away { Ok(()) } else { f(a) })
}

/// Nothing is checked any more in this world: for operations drawn at random, as no raft would do them.
pub fn look_away() {
    with(|a| a.looks_away = true);
}

/// Reports what was broken, if anything; not from inside [`with`].
fn report(node: u32, group: u32, check: Check) {
    if let Err(broken) = check {
        world::violate(broken.promise, format!("group {group}, seen at node {node}: {}", broken.text));
    }
}

/// A new world: forgets everything, and listens to the software's probes. Call it after `world::enter`.
pub fn begin() {
    with(|a| *a = Auditor::new());
    world::listen(Box::new(|name, node, facts| {
        if let ("raft.leader.changed", [group, term, leader]) = (name, facts)
            && leader >> 16 == u64::from(node)
        {
            world::note(node, "leader", || format!("leads group {group} in term {term}"));
        }
        if let (only_the_leader_acts::PROBE, [group, term, ..]) = (name, facts) {
            let group = u32::try_from(*group).unwrap_or(u32::MAX);
            let check = with(|a| only_the_leader_acts::acts(&a.at(node, group).0.leaders, group, *term, node));
            report(node, group, check);
        }
    }));
}

/// A node's process submitted an operation to its log. Call it before the operation is carried out.
pub fn log_op(node: u32, group: u32, op: &Op) {
    let check = checked(|a| {
        let (facts, replica, room) = a.at(node, group);
        replica.opened()?;
        facts.op(node, replica, op, room)
    });
    report(node, group, check);
}

/// An operation is reported durable: call it just before its callback runs (or would run, when it has none), in the
/// order of submission. [`Op::Committed`] is a hint and need not be told.
pub fn log_synced(node: u32, group: u32, op: &Op) {
    report(node, group, checked(|a| a.at(node, group).1.synced(op)));
}

/// A node's process begins to open its disk after a crash or stop: until [`log_recovered`] and [`state_recovered`]
/// tell otherwise, nothing of any group is there. Call it before them.
pub fn log_opening(node: u32) {
    with(|a| a.of_node(node).for_each(Replica::opening));
}

/// A node's process opened its log and found this of a group.
pub fn log_recovered(node: u32, group: u32, state: LogState) {
    let check = checked(|a| {
        let (facts, replica, _) = a.at(node, group);
        if let Some(id) = state.committed {
            facts.committed.expect(id, "committed after recovery")?;
        }
        replica.recovered(&state)
    });
    report(node, group, check);
}

/// A node lost its disk (or an incarnation begins anew): what it promised is void.
pub fn log_wiped(node: u32) {
    with(|a| a.replicas.retain(|(n, _), _| *n != node));
}

/// A node's process opened its state and found a group at this position, with these rows (see [`state_written`]).
pub fn state_recovered(node: u32, group: GroupId, applied: Option<LogId>, rows: u128) {
    let check = checked(|a| {
        let (facts, replica, _) = a.at(node, group.0);
        replica.applied = None;
        facts.state(node, replica, applied, rows)
    });
    report(node, group.0, check);
}

/// A group's rows on a node are now those at position `applied` (a batch that holds the group's position record was
/// written). `rows` is the wrapping sum of [`row_hash`] over the rows of the group's present generation (that record and
/// what else lies in generation 0 left out), so that it depends neither on the generation nor on the way that led there.
pub fn state_written(node: u32, group: GroupId, applied: Option<LogId>, rows: u128) {
    let check = checked(|a| {
        let (facts, replica, _) = a.at(node, group.0);
        facts.state(node, replica, applied, rows)
    });
    report(node, group.0, check);
}

/// All committed entries of a group from the first on; `None` when some of them were not kept.
pub fn committed_entries(group: GroupId) -> Option<Vec<Entry>> {
    let (entries, is_all) = with(|a| a.groups.entry(group.0).or_default().entries());
    is_all.then_some(entries)
}

/// The hashes of a group's rows that replicas had, by position (index + 1 of the last applied entry).
pub fn states(group: GroupId) -> BTreeMap<u64, u128> {
    with(|a| a.groups.get(&group.0).map(|g| g.states.iter().collect()).unwrap_or_default())
}

/// The groups that were seen.
pub fn groups() -> Vec<GroupId> {
    with(|a| a.groups.keys().copied().map(GroupId).collect())
}

#[cfg(test)]
mod tests;
