//! "Sometimes" assertions: rare situations that a test run is worth little without. Every one that a run of many seeds
//! never met is named at its end, because a fault that never strikes and a race that never happens prove nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A situation that a run of many seeds must meet.
pub struct Sometimes {
    /// The name it is counted or probed under.
    pub name: &'static str,
    /// What it is.
    pub what: &'static str,
}

const fn sometimes(name: &'static str, what: &'static str) -> Sometimes {
    Sometimes { name, what }
}

/// All of them.
#[rustfmt::skip]
pub const EXPECTED: &[Sometimes] = &[
    // Large faults.
    sometimes("fault.cut_one_way", "a link was cut in one direction"),
    sometimes("fault.partition", "nodes were cut off from the others"),
    sometimes("fault.cut_clients", "a node could not be reached by clients"),
    sometimes("fault.slow_link", "a link became slow"),
    sometimes("fault.reset_links", "connections between nodes were reset"),
    sometimes("fault.reset_clients", "clients lost their connections"),
    sometimes("fault.crash", "a node's power was cut"),
    sometimes("fault.crash_all", "the power of all nodes was cut at once"),
    sometimes("fault.restart", "a node was restarted in order"),
    sometimes("fault.rolling_restart", "all nodes were restarted in turn"),
    sometimes("fault.lose_disk", "a node came back with an empty disk"),
    sometimes("fault.flip_bit", "a bit of a synced record flipped"),
    sometimes("fault.no_space", "a disk was full"),
    sometimes("fault.io_error", "a write failed"),
    sometimes("fault.slow_disk", "a disk became slow"),
    sometimes("fault.clock_jump", "a wall clock jumped"),
    sometimes("fault.clock_rate", "a clock's rate changed"),
    sometimes("fault.suspend", "a machine was suspended"),
    sometimes("fault.pause", "a process stood still"),
    sometimes("fault.join", "a node joined"),
    sometimes("fault.leave", "a node left"),
    sometimes("fault.move_replica", "a replica was moved"),
    sometimes("fault.transfer", "a leadership was handed over"),
    sometimes("fault.cut_log", "logs were cut short"),
    // Small ones.
    sometimes("net.drop", "a call was lost"),
    sometimes("net.drop_answer", "an answer was lost"),
    sometimes("net.duplicate", "a call arrived twice"),
    sometimes("net.delay", "a call came late"),
    sometimes("net.stale", "a call arrived after its connection broke"),
    sometimes("net.reset", "calls under way were broken off"),
    sometimes("net.stream_broken", "a stream between nodes broke in the middle"),
    sometimes("net.client_reset", "a client's connection was reset in the middle of its stream"),
    sometimes("net.fragments", "a client's bytes came in pieces"),
    sometimes("volume.refused", "a volume refused a call"),
    sometimes("volume.answer_lost", "a volume's answer was lost"),
    sometimes("volume.late", "a call to a volume had its effect after it failed"),
    sometimes("packer.packed", "bodies went to a volume"),
    sometimes("packer.drained", "a volume was emptied into a shard"),
    sometimes("packer.packed_again", "sparse or small packs were packed again"),
    sometimes("fault.verify_bodies", "bodies were verified"),
    sometimes("volume.verified", "a look at all bodies came to its end while things went wrong"),
    sometimes("fault.drain_volume", "the volume was to be emptied"),
    sometimes("packer.put_failed", "a pack was not written"),
    sometimes("packer.object_removed", "an object was removed from a volume"),
    sometimes("packer.backs_off", "a packer left its volume alone for a while"),
    sometimes("disk.slow_fsync", "an fsync was slow"),
    sometimes("disk.torn_record", "the last record was torn by a crash"),
    sometimes("disk.unsynced_lost", "un-synced writes were lost in a crash"),
    sometimes("disk.unsynced_kept", "un-synced writes survived a crash"),
    sometimes("disk.state_went_back", "rows that were not yet flushed were lost in a crash"),
    sometimes("disk.fence_lost", "a node found that synced data is gone"),
    sometimes("disk.damage_read", "a damaged record was read"),
    // What the software met.
    sometimes("raft.leader.changed_with_tail", "a leader changed while a follower had an uncommitted tail"),
    sometimes("raft.proposal.overtaken", "another leader's entry stands where a proposal stood"),
    sometimes("raft.log.truncated", "an uncommitted tail was displaced"),
    sometimes("raft.log.cut", "a log was cut off at the front"),
    sometimes("raft.log.read_disk", "entries were read back from the disk"),
    sometimes("raft.read.shared", "one round served several reads"),
    sometimes("raft.membership.changed", "a membership changed"),
    sometimes("raft.joint.resumed", "a membership change was found half done"),
    sometimes("raft.removed.returned", "a replica came back to a node it had been removed from"),
    sometimes("raft.snapshot.sent", "a snapshot was sent"),
    sometimes("raft.snapshot.sent_during_writes", "a snapshot was sent while entries were applied"),
    sometimes("raft.snapshot.broken", "a snapshot's transfer was broken off"),
    sometimes("raft.snapshot.superseded", "an unfinished snapshot made room for a newer one"),
    sometimes("raft.snapshot.installed", "a snapshot became the state"),
    sometimes("replica.snapshot.swept", "rows of an unfinished snapshot were swept after a crash"),
    sometimes("replica.request.repeated", "a repeated request was answered from memory"),
    sometimes("replica.delivery.repeated", "a repeated delivery was recognised"),
    sometimes("router.redirected", "a node said who leads"),
    sometimes("router.hint.dropped", "a remembered leader was wrong"),
    sometimes("router.retry.answered", "a retried write was answered"),
    sometimes("router.failover.survived", "a session survived a change of leaders"),
    sometimes("router.read.follower", "a follower answered a read"),
    sometimes("router.watch.moved", "a watched mailbox was followed to another node"),
    sometimes("reconciler.promoted", "a learner got its vote"),
    sometimes("courier.emptied", "a deleted account's mailbox was emptied"),
    sometimes("retention.purged", "messages went because they were too old"),
    sometimes("check.deleted_message", "a deleted message was kept in the end"),
    // What clients and operators met.
    sometimes("node.joined", "a joining node was admitted"),
    sometimes("node.left", "a node that left is gone"),
    sometimes("node.lost_data", "a node that lost data did not take part under its old name"),
    sometimes("shard.moved", "a replica's move was begun"),
    sometimes("group.transferred", "a leadership was really handed over"),
    sometimes("client.delivery_retried", "a delivery without an answer was tried again"),
    sometimes("client.delivery_deferred", "a delivery was deferred and tried again"),
    sometimes("client.hung_up_before_reply", "a client lost its connection between its message and the answer"),
    sometimes("client.unknown_outcome", "a client never learned an outcome"),
    sometimes("client.reconnect", "a mail program signed in anew"),
    sometimes("client.idle_news", "an idle client was told something new"),
    sometimes("client.command_repeated", "an administrator repeated a command"),
    sometimes("linear.decided", "a history was proven linearizable"),
    sometimes("replay.group", "a group's log was replayed from its beginning"),
];

/// Adds one run's counters to those of many.
pub fn add(all: &mut BTreeMap<&'static str, u64>, one: &BTreeMap<&'static str, u64>) {
    for (name, n) in one {
        *all.entry(name).or_default() += n;
    }
}

/// How many large faults really struck (mending is none).
pub fn faults_struck(counters: &BTreeMap<&'static str, u64>) -> u64 {
    const NONE: [&str; 2] = ["fault.skipped", "fault.heal_network"];
    let is_fault = |name: &str| name.starts_with("fault.") && !NONE.contains(&name);
    counters.iter().filter(|(name, _)| is_fault(name)).map(|(_, n)| n).sum()
}

/// What was expected and never met.
pub fn never_met(counters: &BTreeMap<&'static str, u64>) -> Vec<&'static Sometimes> {
    EXPECTED.iter().filter(|s| !counters.contains_key(s.name)).collect()
}

/// The counters in three columns, in the order of their names.
pub fn table(counters: &BTreeMap<&'static str, u64>) -> String {
    const COLUMNS: usize = 3;
    let cells: Vec<String> = counters.iter().map(|(name, n)| format!("{name:<30} {n:>9}")).collect();
    let rows = cells.len().div_ceil(COLUMNS);
    let mut text = String::new();
    for row in 0..rows {
        let line: Vec<&str> = cells.iter().skip(row).step_by(rows).map(String::as_str).collect();
        let _ = writeln!(text, "  {}", line.join("   "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_listed_once() {
        for (at, s) in EXPECTED.iter().enumerate() {
            assert!(EXPECTED[..at].iter().all(|other| other.name != s.name), "{}", s.name);
        }
    }

    #[test]
    fn what_was_never_met_is_named() {
        let mut all = BTreeMap::new();
        assert_eq!(never_met(&all).len(), EXPECTED.len());
        add(&mut all, &BTreeMap::from([(EXPECTED[0].name, 2), ("else", 1)]));
        assert_eq!(never_met(&all).len(), EXPECTED.len() - 1);
        assert!(table(&all).contains("else"));
    }
}
