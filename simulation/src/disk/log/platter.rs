//! What the platter holds of the log: everything synced, and the one record that is being written.
//!
//! The log is a write-ahead log of records, each an atomic batch of operations. A crash keeps the record that was being
//! written whole or not at all. Damage comes in two kinds, as with RocksDB: a row that does not pass its checksum when
//! it is read, and a wrong length in the last block of the write-ahead log, which reads like a torn tail: the log ends
//! there, and only the fence can tell.

use super::rows::{Rows, Undo};
use crate::world::{self, Stream};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use zcluster_raft::Entry;
use zcluster_raft::log::tail::Tail;
use zcluster_raft::log::{LogState, Op, weight};
use zcluster_runtime::planted::{Bug, planted};

/// Bytes of the write-ahead log's last block: a wrong length within it can look like the log's end.
const BLOCK_BYTES: usize = 32 << 10;
/// Bytes that a record costs besides its bodies.
const RECORD_BYTES: usize = 32;

/// One operation of one group.
#[derive(Clone, Debug)]
pub struct Write {
    pub group: u32,
    pub op: Op,
}

/// A record that can be taken back, because it lies in the last block.
struct Recent {
    number: u64,
    bytes: usize,
    undo: Vec<(u32, Undo)>,
}

/// A damaged place. Whatever was written there later has healed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Damage {
    /// The group's vote, written in this record.
    Vote { group: u32, at: u64 },
    /// The group's entry, written in this record.
    Entry { group: u32, index: u64, at: u64 },
    /// The length of this record.
    Length { number: u64 },
}

/// The log database's files.
#[derive(Default)]
pub struct Platter {
    groups: BTreeMap<u32, Rows>,
    /// Number of the last synced record; what the fence speaks of.
    synced: u64,
    /// The newest synced records, oldest first, together at most a block.
    recent: VecDeque<Recent>,
    recent_bytes: usize,
    /// The record that is being written.
    writing: Vec<Write>,
    damage: Vec<Damage>,
    /// Synced records were cut off because of damage. No later process can find the damage any more; only the fence
    /// tells that something is missing, until the log begins anew.
    cut: bool,
}

fn bytes(writes: &[Write]) -> usize {
    let of = |w: &Write| match &w.op {
        Op::Append(entries) => entries.iter().map(weight).sum(),
        _ => RECORD_BYTES,
    };
    writes.iter().map(of).sum()
}

impl Platter {
    /// Number of the last synced record.
    pub fn synced(&self) -> u64 {
        self.synced
    }

    /// Begins to write a record.
    pub fn begin(&mut self, writes: Vec<Write>) {
        debug_assert!(self.writing.is_empty(), "one record is written at a time");
        self.writing = writes;
    }

    /// Takes the record that was begun out, for a look at it before it is synced with [`write`](Self::write).
    pub fn take_begun(&mut self) -> Vec<Write> {
        std::mem::take(&mut self.writing)
    }

    /// A record is synced.
    pub fn write(&mut self, writes: Vec<Write>) {
        self.synced += 1;
        let (number, bytes) = (self.synced, bytes(&writes));
        let mut undo = Vec::with_capacity(writes.len());
        for Write { group, op } in writes {
            undo.push((group, self.groups.entry(group).or_default().apply(op, number)));
        }
        self.recent.push_back(Recent { number, bytes, undo });
        self.recent_bytes += bytes;
        // The last record stays, however long it is.
        while self.recent_bytes > BLOCK_BYTES && self.recent.len() > 1 {
            self.recent_bytes -= self.recent.pop_front().map_or(0, |r| r.bytes);
        }
    }

    fn take_back(&mut self) {
        let Some(last) = self.recent.pop_back() else { return };
        self.recent_bytes -= last.bytes;
        for (group, undo) in last.undo.into_iter().rev() {
            self.groups.entry(group).or_default().undo(undo);
        }
        self.synced = last.number - 1;
    }

    /// The power went: of the record that was being written all or nothing is left. `queued` is what still waited in
    /// memory, which only a log with a planted hole can keep.
    pub fn crash(&mut self, torn: bool, queued: Vec<Write>) {
        if planted(Bug::LogHole) {
            return self.crash_with_hole(queued);
        }
        if self.writing.is_empty() {
            return;
        }
        let kept = !torn && world::draw(Stream::Disk, |r| r.chance(500_000));
        world::count(match (torn, kept) {
            (true, _) => "disk.torn_record",
            (false, true) => "disk.unsynced_kept",
            (false, false) => "disk.unsynced_lost",
        });
        let writes = self.take_begun();
        if kept {
            self.write(writes);
        }
    }

    /// The planted defect: one of the operations not yet synced is gone, those behind it are there.
    fn crash_with_hole(&mut self, queued: Vec<Write>) {
        let mut writes = self.take_begun();
        writes.extend(queued);
        if writes.is_empty() {
            return;
        }
        let lost = world::draw(Stream::Disk, |r| r.below(writes.len() as u64)) as usize;
        writes.remove(lost);
        world::count("disk.planted_hole");
        self.write(writes);
    }

    /// Reads what a new process finds, group by group.
    ///
    /// # Errors
    /// What is damaged.
    pub fn open(&mut self) -> Result<BTreeMap<u32, LogState>, String> {
        self.cut_at_wrong_length()?;
        self.forget_healed();
        if let Some(damage) = self.damage.first() {
            return Err(format!("the log database is damaged: {damage:?}"));
        }
        self.groups.retain(|_, rows| !rows.is_empty());
        // What is recovered goes to a new file.
        self.recent.clear();
        self.recent_bytes = 0;
        Ok(self.groups.iter().map(|(group, rows)| (*group, rows.recovered())).collect())
    }

    /// A record whose length is wrong ends the log, if it reaches over the end of the file. Farther in front it is
    /// found out.
    fn cut_at_wrong_length(&mut self) -> Result<(), String> {
        let numbers = self.damage.iter().filter_map(|d| match d {
            Damage::Length { number } => Some(*number),
            _ => None,
        });
        let Some(number) = numbers.min() else { return Ok(()) };
        if self.recent.front().is_none_or(|first| first.number > number) {
            return Err(format!("record {number} in the middle of the write-ahead log is damaged"));
        }
        while self.synced >= number {
            self.take_back();
        }
        self.damage.retain(|d| !matches!(d, Damage::Length { .. }));
        self.cut = true;
        world::count("disk.log_cut");
        Ok(())
    }

    fn forget_healed(&mut self) {
        let groups = &self.groups;
        self.damage.retain(|d| match d {
            Damage::Vote { group, at } => groups.get(group).and_then(|r| r.vote).is_some_and(|v| v.at == *at),
            Damage::Entry { group, index, at } => {
                groups.get(group).and_then(|r| r.entries.get(index)).is_some_and(|e| e.at == *at)
            }
            Damage::Length { .. } => true,
        });
    }

    /// Whether something is damaged that has not healed, or is missing because it was.
    pub fn is_damaged(&mut self) -> bool {
        self.forget_healed();
        self.cut || !self.damage.is_empty()
    }

    /// Damages one synced record that the fence, which stands at `fenced`, covers. False when there is none.
    pub fn flip_bit(&mut self, fenced: u64) -> bool {
        let lengths: Vec<u64> = self.recent.iter().map(|r| r.number).filter(|n| *n <= fenced).collect();
        let damage = if world::draw(Stream::Disk, |r| r.chance(500_000)) && !lengths.is_empty() {
            world::draw(Stream::Disk, |r| r.pick(&lengths).copied()).map(|number| Damage::Length { number })
        } else {
            self.pick_row(fenced)
        };
        world::count(match damage {
            None => return false,
            Some(Damage::Length { .. }) => "disk.flip_length",
            Some(Damage::Vote { .. }) => "disk.flip_vote",
            Some(Damage::Entry { .. }) => "disk.flip_entry",
        });
        self.damage.extend(damage);
        true
    }

    fn pick_row(&self, fenced: u64) -> Option<Damage> {
        let with_rows: Vec<u32> = self.groups.iter().filter(|(_, r)| !r.is_empty()).map(|(g, _)| *g).collect();
        let group = world::draw(Stream::Disk, |r| r.pick(&with_rows).copied())?;
        let rows = self.groups.get(&group)?;
        let mut places = Vec::new();
        places.extend(rows.vote.map(|v| (v.at, Damage::Vote { group, at: v.at })));
        let entries = rows.entries.iter();
        places.extend(entries.map(|(index, e)| (e.at, Damage::Entry { group, index: *index, at: e.at })));
        places.retain(|(at, _)| *at <= fenced);
        world::draw(Stream::Disk, |r| r.pick(&places).map(|(_, damage)| *damage))
    }

    /// Entries `from..to` of a group, all of which must be there; stops early after `max_bytes`.
    ///
    /// # Errors
    /// A damaged entry, or one that is missing.
    pub fn read(&self, group: u32, from: u64, to: u64, max_bytes: usize) -> io::Result<(Vec<Entry>, usize)> {
        let (mut out, mut bytes, mut next) = (Vec::new(), 0, from);
        let rows = self.groups.get(&group).map(|r| r.entries.range(from..to));
        for (index, entry) in rows.into_iter().flatten() {
            // With the planted defect nobody looks whether the log is whole.
            if *index != next && !planted(Bug::LogHole) {
                break;
            }
            let place = Damage::Entry { group, index: *index, at: entry.at };
            if self.damage.contains(&place) {
                world::count("disk.damage_read");
                let what = format!("checksum of entry {index} of group {group} does not match");
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
            bytes += weight(&entry.value);
            out.push(entry.value.clone());
            next = index + 1;
            if bytes >= max_bytes {
                return Ok((out, bytes));
            }
        }
        if next < to {
            return Err(io::Error::other(format!("entry {next} of group {group} is missing on disk")));
        }
        Ok((out, bytes))
    }
}

/// The tails a new process begins with.
pub(super) fn tails(found: &BTreeMap<u32, LogState>) -> BTreeMap<u32, Tail> {
    found.iter().map(|(group, state)| (*group, Tail::loaded(*state))).collect()
}
