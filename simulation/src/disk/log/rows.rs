//! A group's log as it lies on the platter, and how each record that is written changes it.

use std::collections::BTreeMap;
use zcluster_raft::log::{LogState, Op, Vote};
use zcluster_raft::{Entry, LogId};

/// Something written, and in which record of the write-ahead log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written<T> {
    pub value: T,
    /// The record's number.
    pub at: u64,
}

/// One group on the platter.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    pub vote: Option<Written<Vote>>,
    pub committed: Option<LogId>,
    pub purged: Option<LogId>,
    pub entries: BTreeMap<u64, Written<Entry>>,
    pub left: Option<LogId>,
}

/// How a record's effect is taken back.
#[derive(Debug)]
pub(super) enum Undo {
    Vote(Option<Written<Vote>>),
    Committed(Option<LogId>),
    /// What was appended, and what stood there before.
    Append {
        from: u64,
        to: u64,
        before: BTreeMap<u64, Written<Entry>>,
    },
    Removed {
        purged: Option<LogId>,
        entries: BTreeMap<u64, Written<Entry>>,
    },
    Deleted(Rows),
}

impl Rows {
    /// Whether anything is kept of the group.
    pub fn is_empty(&self) -> bool {
        self.recovered() == LogState::default()
    }

    /// Writes an operation, as record number `at`.
    pub fn apply(&mut self, op: Op, at: u64) -> Undo {
        match op {
            Op::Vote(value) => Undo::Vote(self.vote.replace(Written { value, at })),
            Op::Committed(id) => Undo::Committed(self.committed.replace(id)),
            Op::Append(entries) => {
                let from = entries.first().map_or(0, |e| e.id.index);
                let to = entries.last().map_or(0, |e| e.id.index + 1);
                let mut before = BTreeMap::new();
                for value in entries {
                    let index = value.id.index;
                    before.extend(self.entries.insert(index, Written { value, at }).map(|w| (index, w)));
                }
                Undo::Append { from, to, before }
            }
            Op::TruncateAfter(last) => {
                let entries = self.entries.split_off(&last.map_or(0, |l| l.index + 1));
                Undo::Removed { purged: self.purged, entries }
            }
            Op::Purge(upto) => {
                let kept = self.entries.split_off(&upto.index.saturating_add(1));
                let entries = std::mem::replace(&mut self.entries, kept);
                Undo::Removed { purged: self.purged.replace(upto), entries }
            }
            Op::Delete { left } => {
                let rows = Rows { vote: self.vote, left, ..Rows::default() };
                Undo::Deleted(std::mem::replace(self, rows))
            }
        }
    }

    /// Takes back what was applied last.
    pub fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::Vote(before) => self.vote = before,
            Undo::Committed(before) => self.committed = before,
            Undo::Append { from, to, before } => {
                (from..to).for_each(|index| drop(self.entries.remove(&index)));
                self.entries.extend(before);
            }
            Undo::Removed { purged, entries } => {
                self.purged = purged;
                self.entries.extend(entries);
            }
            Undo::Deleted(before) => *self = before,
        }
    }

    /// What an engine that opens the log finds of the group, by the rules of the real one.
    pub fn recovered(&self) -> LogState {
        let entry = self.entries.last_key_value().map(|(_, e)| e.value.id);
        let last = match (entry, self.purged) {
            (Some(e), Some(p)) if e.index <= p.index => Some(p),
            (Some(e), _) => Some(e),
            (None, purged) => purged,
        };
        LogState {
            vote: self.vote.map(|v| v.value),
            // The mark may run ahead of what the disk kept; then it says nothing.
            committed: self.committed.filter(|c| last.is_some_and(|l| c.index <= l.index)),
            purged: self.purged,
            last,
            left: self.left,
        }
    }
}
