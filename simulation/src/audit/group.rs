//! What is known of one group over all nodes and all time.

use super::hash::bytes_hash;
use super::log::Mark;
use super::replica::Replica;
use crate::invariants::committed_is_forever::{self, Committed};
use crate::invariants::leaders_have_all_that_is_committed::complete;
use crate::invariants::logs_have_no_holes::names;
use crate::invariants::one_leader_per_term::Leaders;
use crate::invariants::one_payload_per_position::{Positions, Seen};
use crate::invariants::replicas_are_equal::States;
use crate::invariants::{Check, votes_are_never_taken_back};
use bytes::Bytes;
use std::collections::BTreeMap;
use zcluster_raft::log::{Op, Vote};
use zcluster_raft::{Entry, EntryKind, LogId};

/// One group.
#[derive(Debug, Default)]
pub struct Group {
    /// Who led.
    pub leaders: Leaders,
    positions: Positions,
    /// What is committed.
    pub committed: Committed,
    /// Which rows that makes.
    pub states: States,
    /// What entries hold, by index and hash, for replaying.
    payloads: BTreeMap<(u64, u64), EntryKind>,
}

/// The hash of an entry's kind and bytes.
fn payload(kind: &EntryKind) -> u64 {
    match kind {
        EntryKind::Blank => bytes_hash(1, &[]),
        EntryKind::Normal(b) => bytes_hash(2, b),
        EntryKind::Membership(b) => bytes_hash(3, b),
    }
}

fn weight(kind: &EntryKind) -> usize {
    match kind {
        EntryKind::Blank => 64,
        EntryKind::Normal(b) | EntryKind::Membership(b) => 64 + b.len(),
    }
}

impl Group {
    /// `node` submits `op`. `room` is how many bytes of payloads may still be kept.
    ///
    /// # Errors
    /// It breaks a promise.
    pub fn op(&mut self, node: u32, replica: &mut Replica, op: &Op, room: &mut usize) -> Check {
        match op {
            Op::Vote(vote) => self.vote(replica, *vote),
            Op::Append(entries) => {
                entries.iter().try_for_each(|e| self.append(node, replica, e, room))?;
                replica.appended(entries.len());
                Ok(())
            }
            Op::TruncateAfter(last) => {
                committed_is_forever::keeps(replica.committed, *last)?;
                replica.truncate(*last)
            }
            Op::Purge(upto) => {
                self.committed.expect(*upto, "the log was cut up to")?;
                replica.purge(*upto)
            }
            Op::Committed(id) => self.commit(replica, *id),
            Op::Delete { left } => replica.delete(*left),
        }
    }

    fn vote(&mut self, replica: &mut Replica, vote: Vote) -> Check {
        votes_are_never_taken_back::follows(replica.log.vote, vote)?;
        if vote.committed {
            self.leaders.elected(vote.term, vote.node)?;
        }
        replica.vote(vote);
        Ok(())
    }

    fn append(&mut self, node: u32, replica: &mut Replica, entry: &Entry, room: &mut usize) -> Check {
        let LogId { term, index } = entry.id;
        replica.log.continues(entry.id)?;
        let mark = Mark { term, payload: payload(&entry.kind) };
        let before = replica.log.last().map(|l| l.term);
        if self.positions.appended(index, Seen { term, payload: mark.payload, before })? {
            self.made(node, replica, term)?;
            self.remember(index, mark, &entry.kind, room);
        }
        replica.append(mark);
        Ok(())
    }

    /// Nobody had the entry before: its maker leads in this term, and if it is its first, has all that is committed.
    fn made(&mut self, node: u32, replica: &mut Replica, term: u64) -> Check {
        Positions::made_by(term, self.leaders.of(term), node)?;
        if replica.led != Some(term) {
            replica.led = Some(term);
            complete(&replica.log, &self.committed, term)?;
        }
        Ok(())
    }

    fn remember(&mut self, index: u64, mark: Mark, kind: &EntryKind, room: &mut usize) {
        let weight = weight(kind);
        if weight > *room {
            return;
        }
        *room -= weight;
        // A copy: a slice would keep the whole message of a node alive that it came in.
        let kind = match kind {
            EntryKind::Blank => EntryKind::Blank,
            EntryKind::Normal(b) => EntryKind::Normal(Bytes::copy_from_slice(b)),
            EntryKind::Membership(b) => EntryKind::Membership(Bytes::copy_from_slice(b)),
        };
        self.payloads.insert((index, mark.payload), kind);
    }

    /// `replica` says that its log is committed up to `id`.
    fn commit(&mut self, replica: &mut Replica, id: LogId) -> Check {
        committed_is_forever::advances(replica.committed, id)?;
        names(replica.log.term(id.index), id, "committed")?;
        for index in replica.compared.max(replica.log.first())..=id.index {
            if let Some(mark) = replica.log.at(index) {
                self.committed.fix(index, mark)?;
            }
        }
        replica.committed = Some(id);
        replica.compared = id.index + 1;
        Ok(())
    }

    /// A replica's rows are now those of `applied`.
    ///
    /// # Errors
    /// That is not committed, lies before what it applied already, or others had other rows there.
    pub fn state(&mut self, node: u32, replica: &mut Replica, applied: Option<LogId>, rows: u128) -> Check {
        if let Some(id) = applied {
            self.committed.expect(id, "applied up to")?;
        }
        if replica.applied > applied {
            return committed_is_forever::advances(replica.applied, applied.unwrap_or_default());
        }
        replica.applied = applied;
        self.states.written(node, applied.map_or(0, |a| a.index + 1), rows)
    }

    /// The committed entries from the first on, as far as they are known, and whether that is all of them.
    pub fn entries(&self) -> (Vec<Entry>, bool) {
        let mut entries = Vec::new();
        for index in 0..self.committed.end() {
            let mark = self.committed.at(index);
            let Some((mark, kind)) = mark.and_then(|m| Some((m, self.payloads.get(&(index, m.payload))?))) else {
                return (entries, false);
            };
            entries.push(Entry { id: LogId { term: mark.term, index }, kind: kind.clone() });
        }
        (entries, true)
    }
}
