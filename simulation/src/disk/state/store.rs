//! The rows, each with as many of its former values as somebody may still want: a view, or a crash that goes back to a
//! moment since the last flush.
//!
//! A persistent map would do the same with a few allocations per level of its tree for each write; this is the hottest
//! path of the simulator, and here a write costs one look-up in a plain map.

use super::sums::{self, Sums};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use zcluster_api::GroupId;
use zcluster_replica::engine::{Batch, Column, Op, Row};

/// Changes that may wait for a flush. With more the engine flushes by itself, as one with a full write buffer does.
const JOURNAL_MAX: usize = 200_000;

/// A value, or that there is none, since a write.
struct Version {
    /// Number of the write.
    seq: u64,
    value: Option<Bytes>,
    hash: u128,
}

struct Slot {
    column: Column,
    key: Box<[u8]>,
    newest: Version,
    /// Former versions, oldest first.
    older: VecDeque<Version>,
}

impl Slot {
    /// The value as of a write.
    fn at(&self, seq: u64) -> Option<&Bytes> {
        if self.newest.seq <= seq {
            return self.newest.value.as_ref();
        }
        self.older.iter().rev().find(|v| v.seq <= seq)?.value.as_ref()
    }
    /// Forgets what nobody can ask for who stands at `horizon` or later.
    fn forget(&mut self, horizon: u64) {
        if self.newest.seq <= horizon {
            return self.older.clear();
        }
        while self.older.get(1).is_some_and(|next| next.seq <= horizon) {
            self.older.pop_front();
        }
    }
    fn is_gone(&self, horizon: u64) -> bool {
        self.newest.value.is_none() && self.newest.seq <= horizon
    }
}

/// All rows of a node.
#[derive(Default)]
pub struct Store {
    /// Where each row is, per column.
    index: [BTreeMap<Box<[u8]>, u32>; 2],
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
    sums: Sums,
    /// Number of the last write.
    seq: u64,
    /// Number of the last write that survives a crash.
    flushed: u64,
    /// Which slots were written by which write, as far as it can still be taken back or is in view.
    journal: VecDeque<(u64, u32)>,
    /// How many views stand where.
    views: BTreeMap<u64, u32>,
    /// Which process has it open; rises with each.
    life: u64,
    /// A flush failed: nothing is taken any more.
    failed: bool,
}

fn column(c: Column) -> usize {
    usize::from(c.code())
}

impl Store {
    /// Which process has it open.
    pub fn life(&self) -> u64 {
        self.life
    }

    /// An empty store in place of this one.
    pub fn emptied(&self) -> Store {
        Store { life: self.life + 1, ..Store::default() }
    }

    /// A new process: those before are gone, their views too.
    pub fn begin_life(&mut self) -> u64 {
        self.views.clear();
        self.failed = false;
        self.life += 1;
        self.forget();
        self.life
    }

    pub fn has_failed(&self) -> bool {
        self.failed
    }

    pub fn fail(&mut self) {
        self.failed = true;
    }

    /// Number of the last write.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The last write that survives a crash.
    pub fn flushed(&self) -> u64 {
        self.flushed
    }

    /// The sum over a generation's rows.
    pub fn sum(&self, group: GroupId, generation: u32) -> u128 {
        self.sums.get(group, generation)
    }

    /// Groups that have any rows.
    pub fn groups(&self) -> BTreeSet<GroupId> {
        self.sums.groups()
    }

    /// Makes the changes.
    pub fn write(&mut self, batch: Batch) {
        self.seq += 1;
        for op in batch.0 {
            match op {
                Op::Put(c, key, value) => self.put(c, key, value),
                Op::Delete(c, key) => {
                    if let Some(at) = self.index[column(c)].get(key.as_slice()).copied() {
                        self.set(at, None);
                    }
                }
                Op::DeleteRange(c, from, to) => {
                    let range = (Bound::Included(from.as_slice()), Bound::Excluded(to.as_slice()));
                    if from >= to {
                        continue;
                    }
                    let slots: Vec<u32> = self.index[column(c)].range::<[u8], _>(range).map(|(_, at)| *at).collect();
                    slots.into_iter().for_each(|at| self.set(at, None));
                }
            }
        }
        if self.journal.len() > JOURNAL_MAX {
            self.flush();
        }
    }

    fn put(&mut self, c: Column, key: Vec<u8>, value: Bytes) {
        if let Some(at) = self.index[column(c)].get(key.as_slice()).copied() {
            return self.set(at, Some(value));
        }
        let hash = sums::row(&key, &value);
        self.sums.add(&key, hash);
        let key = key.into_boxed_slice();
        let newest = Version { seq: self.seq, value: Some(value), hash };
        let slot = Slot { column: c, key: key.clone(), newest, older: VecDeque::new() };
        let at = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            (self.slots.len() - 1) as u32
        });
        self.slots[at as usize] = Some(slot);
        self.index[column(c)].insert(key, at);
        self.journal.push_back((self.seq, at));
    }

    fn set(&mut self, at: u32, value: Option<Bytes>) {
        let Some(slot) = self.slots[at as usize].as_mut() else { return };
        if value.is_none() && slot.newest.value.is_none() {
            return;
        }
        if slot.newest.value.is_some() {
            self.sums.remove(&slot.key, slot.newest.hash);
        }
        let hash = value.as_ref().map_or(0, |v| sums::row(&slot.key, v));
        if value.is_some() {
            self.sums.add(&slot.key, hash);
        }
        let before = std::mem::replace(&mut slot.newest, Version { seq: self.seq, value, hash });
        // What was written earlier in the same batch was never to be seen.
        if before.seq < self.seq {
            slot.older.push_back(before);
            self.journal.push_back((self.seq, at));
        }
    }

    /// Everything written until now survives a crash.
    pub fn flush(&mut self) {
        self.flushed = self.seq;
        self.forget();
    }

    /// Goes back to how things were after write number `to`.
    pub fn go_back(&mut self, to: u64) {
        while self.journal.back().is_some_and(|(seq, _)| *seq > to) {
            let Some((_, at)) = self.journal.pop_back() else { break };
            self.take_back(at);
        }
        self.seq = to;
        self.views.clear();
        self.forget();
    }

    fn take_back(&mut self, at: u32) {
        let Some(slot) = self.slots[at as usize].as_mut() else { return };
        if slot.newest.value.is_some() {
            self.sums.remove(&slot.key, slot.newest.hash);
        }
        match slot.older.pop_back() {
            Some(before) => {
                if before.value.is_some() {
                    self.sums.add(&slot.key, before.hash);
                }
                slot.newest = before;
            }
            None => self.vacate(at),
        }
    }

    fn vacate(&mut self, at: u32) {
        if let Some(slot) = self.slots[at as usize].take() {
            self.index[column(slot.column)].remove(&slot.key);
            self.free.push(at);
        }
    }

    /// Forgets versions that neither a crash nor a view can bring back.
    fn forget(&mut self) {
        let oldest_view = self.views.first_key_value().map_or(u64::MAX, |(seq, _)| *seq);
        let horizon = self.flushed.min(oldest_view);
        while self.journal.front().is_some_and(|(seq, _)| *seq <= horizon) {
            let Some((_, at)) = self.journal.pop_front() else { break };
            let Some(slot) = self.slots[at as usize].as_mut() else { continue };
            slot.forget(horizon);
            if slot.is_gone(horizon) {
                self.vacate(at);
            }
        }
    }

    /// A view of the present state begins.
    pub fn begin_view(&mut self) -> u64 {
        *self.views.entry(self.seq).or_default() += 1;
        self.seq
    }

    /// A view ends. Those of a process that is gone have ended already.
    pub fn end_view(&mut self, life: u64, seq: u64) {
        if life != self.life {
            return;
        }
        let was_oldest = self.views.first_key_value().is_some_and(|(oldest, _)| *oldest == seq);
        if let Some(n) = self.views.get_mut(&seq) {
            *n -= 1;
            if *n == 0 {
                self.views.remove(&seq);
                if was_oldest {
                    self.forget();
                }
            }
        }
    }

    /// Rows and former versions in memory.
    #[cfg(test)]
    pub fn kept(&self) -> (usize, usize) {
        (self.slots.iter().flatten().count(), self.slots.iter().flatten().map(|s| s.older.len()).sum())
    }

    /// A row's value as of a write.
    pub fn get(&self, c: Column, key: &[u8], seq: u64) -> Option<&Bytes> {
        let at = *self.index[column(c)].get(key)?;
        self.slots[at as usize].as_ref()?.at(seq)
    }

    /// At most `max` rows of a range as of a write, rising, or falling when `reverse`.
    pub fn range(
        &self,
        c: Column,
        bounds: (Bound<&[u8]>, Bound<&[u8]>),
        seq: u64,
        reverse: bool,
        max: usize,
    ) -> Vec<Row> {
        let rows = self.index[column(c)].range::<[u8], _>(bounds);
        let rows = rows.filter_map(|(key, at)| {
            let value = self.slots[*at as usize].as_ref()?.at(seq)?;
            Some((key.to_vec(), value.to_vec()))
        });
        if reverse { rows.rev().take(max).collect() } else { rows.take(max).collect() }
    }
}
