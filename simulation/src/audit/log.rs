//! A node's log of one group as the audit remembers it: positions and hashes, no payloads.

use crate::invariants::logs_have_no_holes::{continues, names};
use crate::invariants::{Check, what_was_synced_stays};
use std::collections::VecDeque;
use zcluster_raft::LogId;
use zcluster_raft::log::{LogState, Vote};

/// An entry: its term and the hash of its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Term.
    pub term: u64,
    /// Hash of kind and bytes.
    pub payload: u64,
}

/// A log.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// The vote.
    pub vote: Option<Vote>,
    purged: Option<LogId>,
    marks: VecDeque<Mark>,
    /// How far it reached when it was removed before.
    left: Option<LogId>,
}

impl Log {
    /// What is left of it when the replica is removed.
    ///
    /// # Errors
    /// `left` is less than what there was.
    pub fn delete(&mut self, left: Option<LogId>) -> Check {
        what_was_synced_stays::left(self.last().max(self.left), left)?;
        *self = Log { vote: self.vote, left, ..Log::default() };
        Ok(())
    }

    /// The first index that is not cut off.
    pub fn first(&self) -> u64 {
        self.purged.map_or(0, |p| p.index + 1)
    }
    /// What was cut off.
    pub fn purged(&self) -> Option<LogId> {
        self.purged
    }
    /// The last entry, or the last one cut off.
    pub fn last(&self) -> Option<LogId> {
        match self.marks.back() {
            Some(m) => Some(LogId { term: m.term, index: self.first() + self.marks.len() as u64 - 1 }),
            None => self.purged,
        }
    }
    /// The entry at an index, if it is not cut off.
    pub fn at(&self, index: u64) -> Option<Mark> {
        self.marks.get(usize::try_from(index.checked_sub(self.first())?).ok()?).copied()
    }
    /// The term at an index, also of the last entry cut off.
    pub fn term(&self, index: u64) -> Option<u64> {
        match self.purged {
            Some(p) if p.index == index => Some(p.term),
            _ => self.at(index).map(|m| m.term),
        }
    }
    /// Adds an entry.
    pub fn append(&mut self, mark: Mark) {
        self.marks.push_back(mark);
    }
    /// Whether an entry may come next.
    ///
    /// # Errors
    /// It leaves a hole or goes back.
    pub fn continues(&self, id: LogId) -> Check {
        continues(self.last(), id)
    }
    /// Drops what lies behind `last`.
    ///
    /// # Errors
    /// `last` is not in the log.
    pub fn truncate(&mut self, last: Option<LogId>) -> Check {
        if let Some(id) = last {
            names(self.term(id.index), id, "truncated behind")?;
        }
        let end = last.map_or(0, |l| l.index + 1);
        self.marks.truncate(end.saturating_sub(self.first()) as usize);
        Ok(())
    }
    /// Drops everything up to `upto`, which may lie behind the end.
    ///
    /// # Errors
    /// Another entry stands there.
    pub fn purge(&mut self, upto: LogId) -> Check {
        if self.purged.is_some_and(|p| p.index >= upto.index) {
            return names(self.purged.filter(|p| p.index == upto.index).map(|p| p.term), upto, "cut again up to");
        }
        if self.at(upto.index).is_some() {
            names(self.term(upto.index), upto, "cut up to")?;
        }
        let gone = (upto.index + 1 - self.first()).min(self.marks.len() as u64);
        self.marks.drain(..gone as usize);
        self.purged = Some(upto);
        Ok(())
    }
    /// Whether the log store's words describe this log (the mark of what is committed is a hint and not compared).
    pub fn is(&self, state: &LogState) -> bool {
        let is_there = self.vote == state.vote && self.purged == state.purged && self.last() == state.last;
        is_there && self.left == state.left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(term: u64, index: u64) -> LogId {
        LogId { term, index }
    }

    #[test]
    fn it_does_what_logs_do() {
        let mut log = Log::default();
        for n in 0..6 {
            log.continues(id(1, n)).unwrap();
            log.append(Mark { term: 1, payload: n });
        }
        log.purge(id(1, 2)).unwrap();
        assert_eq!((log.first(), log.at(2), log.at(3).unwrap().payload, log.term(2)), (3, None, 3, Some(1)));
        log.truncate(Some(id(1, 4))).unwrap();
        assert_eq!(log.last(), Some(id(1, 4)));
        assert!(log.truncate(Some(id(2, 3))).is_err() && log.truncate(Some(id(1, 9))).is_err());
        assert!(log.continues(id(2, 6)).is_err() && log.continues(id(2, 5)).is_ok());
        log.truncate(Some(id(1, 2))).unwrap();
        assert_eq!(log.last(), Some(id(1, 2)), "nothing but what was cut");
        log.purge(id(3, 10)).unwrap();
        assert_eq!((log.last(), log.first()), (Some(id(3, 10)), 11), "a snapshot lies beyond the end");
        assert!(log.purge(id(2, 10)).is_err() && log.purge(id(3, 10)).is_ok());
        assert!(log.is(&LogState { purged: Some(id(3, 10)), last: Some(id(3, 10)), ..LogState::default() }));
    }
}
