//! One node's part in one group: its log as it is now, as it would be after a power cut, and what lies between.

use super::log::{Log, Mark};
use crate::invariants::{Check, nothing_is_cut_before_it_is_kept, votes_are_never_taken_back, what_was_synced_stays};
use std::collections::VecDeque;
use zcluster_raft::LogId;
use zcluster_raft::log::{LogState, Op, Vote};

/// An operation that was not yet reported durable.
#[derive(Clone, Copy, Debug)]
enum Pending {
    Vote(Vote),
    /// So many of [`Replica::fresh`].
    Append(usize),
    Truncate(Option<LogId>),
    Purge(LogId),
    Delete(Option<LogId>),
}

/// What the audit remembers of a node's replica of a group.
#[derive(Debug, Default)]
pub struct Replica {
    /// With everything submitted.
    pub log: Log,
    /// With everything reported durable.
    durable: Log,
    /// The last vote reported durable, in whatever order.
    reported: Option<Vote>,
    pending: VecDeque<Pending>,
    /// Entries of pending appends, oldest first.
    fresh: VecDeque<Mark>,
    /// How far this process called its log committed.
    pub committed: Option<LogId>,
    /// Below this index the log was compared with what is committed.
    pub compared: u64,
    /// How far this process applied the log.
    pub applied: Option<LogId>,
    /// The last term in which this node wrote entries as the leader.
    pub led: Option<u64>,
    /// The process is new and has not told what it found in its log, ...
    pub log_unknown: bool,
    /// ... and in its state.
    pub state_unknown: bool,
}

impl Replica {
    /// A vote was submitted.
    pub fn vote(&mut self, vote: Vote) {
        self.log.vote = Some(vote);
        self.pending.push_back(Pending::Vote(vote));
    }
    /// An entry was submitted; [`appended`](Self::appended) ends the operation.
    pub fn append(&mut self, mark: Mark) {
        self.log.append(mark);
        self.fresh.push_back(mark);
    }
    /// The operation with the last `count` entries is complete.
    pub fn appended(&mut self, count: usize) {
        self.pending.push_back(Pending::Append(count));
    }
    /// A truncation was submitted.
    ///
    /// # Errors
    /// See [`Log::truncate`].
    pub fn truncate(&mut self, last: Option<LogId>) -> Check {
        self.pending.push_back(Pending::Truncate(last));
        self.log.truncate(last)
    }
    /// A cut was submitted.
    ///
    /// # Errors
    /// See [`Log::purge`].
    pub fn purge(&mut self, upto: LogId) -> Check {
        self.pending.push_back(Pending::Purge(upto));
        self.log.purge(upto)
    }
    /// The group's removal was submitted: whatever comes later is a new life, bound by the old one's vote.
    ///
    /// # Errors
    /// See [`Log::delete`].
    pub fn delete(&mut self, left: Option<LogId>) -> Check {
        self.pending.push_back(Pending::Delete(left));
        (self.committed, self.compared, self.applied) = (None, 0, None);
        self.log.delete(left)
    }

    /// An operation was reported durable. Operations of an earlier life are none of this one's.
    ///
    /// # Errors
    /// See [`Log`].
    pub fn synced(&mut self, op: &Op) -> Check {
        if let Op::Vote(vote) = op {
            self.reported = Some(*vote);
        }
        let is_next = match (op, self.pending.front()) {
            (Op::Vote(v), Some(Pending::Vote(p))) => v == p,
            (Op::Append(entries), Some(Pending::Append(count))) => entries.len() == *count,
            (Op::TruncateAfter(last), Some(Pending::Truncate(p))) => last == p,
            (Op::Purge(upto), Some(Pending::Purge(p))) => upto == p,
            (Op::Delete { left }, Some(Pending::Delete(p))) => left == p,
            _ => false,
        };
        if is_next { self.settle() } else { Ok(()) }
    }

    /// Carries the oldest pending operation over into what is durable.
    fn settle(&mut self) -> Check {
        match self.pending.pop_front() {
            None => Ok(()),
            Some(Pending::Vote(vote)) => {
                self.durable.vote = Some(vote);
                Ok(())
            }
            Some(Pending::Append(count)) => {
                self.fresh.drain(..count).for_each(|mark| self.durable.append(mark));
                Ok(())
            }
            Some(Pending::Truncate(last)) => self.durable.truncate(last),
            Some(Pending::Purge(upto)) => self.durable.purge(upto),
            Some(Pending::Delete(left)) => self.durable.delete(left),
        }
    }

    /// A new process found `state`: what was durable, and a prefix of what was pending.
    ///
    /// # Errors
    /// Something durable is gone.
    pub fn recovered(&mut self, state: &LogState) -> Check {
        self.log_unknown = false;
        let reported = if self.durable.is(state) { Log::default() } else { self.durable.clone() };
        while !self.durable.is(state) {
            if self.pending.is_empty() {
                return what_was_synced_stays::recovered(&reported, state);
            }
            self.settle()?;
        }
        votes_are_never_taken_back::remembered(self.reported, state.vote)?;
        self.reported = state.vote;
        self.pending.clear();
        self.fresh.clear();
        self.log = self.durable.clone();
        (self.committed, self.compared) = (state.committed, 0);
        Ok(())
    }

    /// A new process begins.
    pub fn opening(&mut self) {
        (self.log_unknown, self.state_unknown, self.applied) = (true, true, None);
    }

    /// A new process does something: whatever it has not told by now was not there.
    ///
    /// # Errors
    /// It should have been.
    pub fn opened(&mut self) -> Check {
        if self.log_unknown {
            self.recovered(&LogState::default())?;
        }
        if self.state_unknown {
            self.state_unknown = false;
            nothing_is_cut_before_it_is_kept::joined(self.log.purged(), self.applied)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zcluster_raft::{Entry, EntryKind};

    fn id(term: u64, index: u64) -> LogId {
        LogId { term, index }
    }
    fn state(vote: Option<Vote>, last: Option<LogId>) -> LogState {
        LogState { vote, last, ..LogState::default() }
    }
    fn add(replica: &mut Replica, term: u64) -> Op {
        let index = replica.log.last().map_or(0, |l| l.index + 1);
        replica.append(Mark { term, payload: index });
        replica.appended(1);
        Op::Append(vec![Entry { id: id(term, index), kind: EntryKind::Blank }])
    }

    #[test]
    fn a_prefix_of_what_was_pending_may_survive() {
        let vote = Vote { term: 1, node: 1, committed: true };
        for survived in 0..3u64 {
            let mut replica = Replica::default();
            replica.vote(vote);
            replica.synced(&Op::Vote(vote)).unwrap();
            let first = add(&mut replica, 1);
            replica.synced(&first).unwrap();
            add(&mut replica, 1);
            add(&mut replica, 1);
            replica.recovered(&state(Some(vote), Some(id(1, survived)))).unwrap();
            assert_eq!(replica.log.last(), Some(id(1, survived)));
        }
    }

    #[test]
    fn what_was_reported_must_survive() {
        let mut replica = Replica::default();
        let first = add(&mut replica, 1);
        add(&mut replica, 1);
        replica.synced(&first).unwrap();
        assert!(replica.recovered(&state(None, None)).is_err());
    }

    #[test]
    fn a_vote_that_was_reported_out_of_turn_must_survive_too() {
        let vote = Vote { term: 1, node: 1, committed: false };
        let mut replica = Replica::default();
        add(&mut replica, 0);
        replica.vote(vote);
        replica.synced(&Op::Vote(vote)).unwrap();
        assert!(replica.recovered(&state(None, Some(id(0, 0)))).is_err());
    }

    #[test]
    fn a_truncation_that_was_lost_brings_the_old_tail_back() {
        let mut replica = Replica::default();
        for _ in 0..3 {
            let op = add(&mut replica, 1);
            replica.synced(&op).unwrap();
        }
        replica.truncate(Some(id(1, 0))).unwrap();
        add(&mut replica, 2);
        replica.recovered(&state(None, Some(id(1, 2)))).unwrap();
        assert_eq!(replica.log.at(2), Some(Mark { term: 1, payload: 2 }));
        assert!(replica.log.continues(id(2, 3)).is_ok());
    }

    #[test]
    fn a_group_that_was_removed_begins_anew() {
        let mut replica = Replica::default();
        let op = add(&mut replica, 1);
        replica.synced(&op).unwrap();
        let left = Some(id(1, 0));
        assert!(replica.delete(None).is_err());
        replica.pending.clear();
        replica.log = replica.durable.clone();
        replica.delete(left).unwrap();
        let again = add(&mut replica, 5);
        replica.synced(&Op::Delete { left }).unwrap();
        replica.synced(&again).unwrap();
        replica.recovered(&LogState { left, ..state(None, Some(id(5, 0))) }).unwrap();
    }
}
