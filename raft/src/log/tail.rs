//! A group's log as it stands in memory: votes, marks, and the newest entries, which are all entries not yet synced
//! and as many older ones as the cache has room for. All engines answer from it, simulated ones too.

use super::{LogState, Op, weight};
use crate::{Entry, LogId};
use std::collections::VecDeque;
use std::io;

/// One group in memory.
#[derive(Default)]
pub struct Tail {
    state: LogState,
    /// The newest entries, without gaps, up to `state.last`.
    entries: VecDeque<Kept>,
    bytes: usize,
}

struct Kept {
    entry: Entry,
    /// Number of the operation that wrote it; durable when the writer has passed that number.
    seq: u64,
}

/// What a read finds in memory.
pub enum Found {
    /// All of it.
    All(Vec<Entry>),
    /// Only what lies at or behind this index; before it is the disk.
    From(u64),
    /// The range reaches outside the log.
    Outside,
}

impl Tail {
    /// A log that was found on disk: nothing of it is in memory yet.
    pub fn loaded(state: LogState) -> Self {
        Self { state, ..Self::default() }
    }

    /// The state with everything applied.
    pub fn state(&self) -> LogState {
        self.state
    }

    /// Bytes of the entries in memory.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes an operation into account.
    ///
    /// # Errors
    /// An append that does not continue the log.
    pub fn apply(&mut self, op: &Op, seq: u64) -> io::Result<()> {
        match op {
            Op::Vote(v) => self.state.vote = Some(*v),
            Op::Append(entries) => self.append(entries, seq)?,
            Op::TruncateAfter(last) => self.truncate_after(*last),
            Op::Purge(upto) => self.purge(*upto),
            Op::Committed(id) => self.state.committed = Some(*id),
            Op::Delete { left } => {
                *self = Self::loaded(LogState { vote: self.state.vote, left: *left, ..LogState::default() });
            }
        }
        Ok(())
    }

    fn append(&mut self, entries: &[Entry], seq: u64) -> io::Result<()> {
        for entry in entries {
            let next = self.state.last.map_or(0, |l| l.index + 1);
            // The first entry of a log may stand anywhere only when nothing is known before it.
            if entry.id.index != next {
                return Err(io::Error::other(format!("append of entry {} where {next} comes next", entry.id.index)));
            }
            self.bytes += weight(entry);
            self.state.last = Some(entry.id);
            self.entries.push_back(Kept { entry: entry.clone(), seq });
        }
        Ok(())
    }

    fn truncate_after(&mut self, last: Option<LogId>) {
        let keep = last.map_or(0, |l| l.index + 1);
        while self.entries.back().is_some_and(|k| k.entry.id.index >= keep) {
            self.pop_back();
        }
        self.state.last = last;
    }

    fn purge(&mut self, upto: LogId) {
        while self.entries.front().is_some_and(|k| k.entry.id.index <= upto.index) {
            self.pop_front();
        }
        self.state.purged = self.state.purged.max(Some(upto));
        if self.state.last.is_none_or(|l| l.index <= upto.index) {
            self.state.last = Some(upto);
        }
    }

    fn pop_front(&mut self) {
        if let Some(k) = self.entries.pop_front() {
            self.bytes -= weight(&k.entry);
        }
    }

    fn pop_back(&mut self) {
        if let Some(k) = self.entries.pop_back() {
            self.bytes -= weight(&k.entry);
        }
    }

    /// Drops the oldest entries that are durable until at most `bytes` are left.
    pub fn shrink(&mut self, bytes: usize, synced: u64) {
        while self.bytes > bytes && self.entries.front().is_some_and(|k| k.seq <= synced) {
            self.pop_front();
        }
        if self.entries.is_empty() {
            self.entries.shrink_to(16);
        }
    }

    /// Looks for `from..to`.
    pub fn find(&self, from: u64, to: u64, max_bytes: usize) -> Found {
        let first_kept = self.state.purged.map_or(0, |p| p.index + 1);
        let end = self.state.last.map_or(0, |l| l.index + 1);
        if from >= to || from < first_kept || from >= end {
            return Found::Outside;
        }
        match self.entries.front().map(|k| k.entry.id.index) {
            Some(first) if first <= from => Found::All(self.copy(from, to, max_bytes)),
            Some(first) => Found::From(first),
            None => Found::From(end),
        }
    }

    /// Entries in memory from `from` on.
    pub fn copy(&self, from: u64, to: u64, max_bytes: usize) -> Vec<Entry> {
        let Some(first) = self.entries.front().map(|k| k.entry.id.index) else { return Vec::new() };
        let skip = usize::try_from(from.saturating_sub(first)).unwrap_or(usize::MAX);
        let mut out = Vec::new();
        let mut bytes = 0;
        for k in self.entries.range(skip.min(self.entries.len())..) {
            if k.entry.id.index >= to || (bytes >= max_bytes && !out.is_empty()) {
                break;
            }
            bytes += weight(&k.entry);
            out.push(k.entry.clone());
        }
        out
    }
}
