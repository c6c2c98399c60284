//! Entries with the same term and index are the same entry, in every log, for all time, and so is everything before them
//! (distributed.md §4.4; Raft's Log Matching). openraft's own assertions compare positions only; this compares what
//! stands there, and so names at once a leader that went on in its old term after losing its last entries. An entry is
//! first written by the leader of its term.

use super::{Broken, broken};

const PROMISE: &str = "one_payload_per_position";

/// An entry as some log has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its term.
    pub term: u64,
    /// Hash of its kind and bytes.
    pub payload: u64,
    /// The term of the entry before it in the same log: if it is always the same, all that lies before is, by induction.
    pub before: Option<u64>,
}

/// All entries that ever stood in any log of a group, by index. Nearly every index has seen one term only.
#[derive(Clone, Debug, Default)]
pub struct Positions(Vec<Vec<Seen>>);

impl Positions {
    /// A log gets `entry` at `index`. Whether nobody had it before.
    ///
    /// # Errors
    /// The position has held something else.
    pub fn appended(&mut self, index: u64, entry: Seen) -> Result<bool, Broken> {
        let at = index as usize;
        if self.0.len() <= at {
            self.0.resize_with(at + 1, || Vec::with_capacity(1));
        }
        let seen = &mut self.0[at];
        match seen.iter().find(|s| s.term == entry.term) {
            None => {
                seen.push(entry);
                Ok(true)
            }
            Some(known) if *known == entry => Ok(false),
            Some(known) if known.payload != entry.payload => broken(
                PROMISE,
                format!(
                    "index {index} of term {} holds two entries ({:016x}, {:016x})",
                    entry.term, known.payload, entry.payload
                ),
            ),
            Some(known) => broken(
                PROMISE,
                format!(
                    "index {index} of term {} follows an entry of term {:?} in one log and of term {:?} in another",
                    entry.term, known.before, entry.before
                ),
            ),
        }
    }

    /// Whether raft id `leader` may be the first to have an entry of `term`; a term of 0 is that of a new group.
    ///
    /// # Errors
    /// Somebody else leads in that term, or nobody.
    pub fn made_by(term: u64, leader: Option<u64>, node: u32) -> Result<(), Broken> {
        let is_leader = leader.is_some_and(|l| zcluster_api::NodeId(l).number() == node);
        if term == 0 || is_leader {
            return Ok(());
        }
        broken(PROMISE, format!("node {node} made an entry of term {term}, whose leader is {leader:x?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(term: u64, payload: u64, before: Option<u64>) -> Seen {
        Seen { term, payload, before }
    }

    #[test]
    fn another_payload_is_seen() {
        let mut positions = Positions::default();
        assert_eq!(positions.appended(7, seen(3, 1, Some(2))), Ok(true));
        assert_eq!(positions.appended(7, seen(3, 1, Some(2))), Ok(false));
        assert_eq!(positions.appended(7, seen(4, 9, Some(2))), Ok(true));
        assert_eq!(positions.appended(7, seen(3, 2, Some(2))).unwrap_err().promise, PROMISE);
    }

    #[test]
    fn another_past_is_seen() {
        let mut positions = Positions::default();
        positions.appended(7, seen(3, 1, Some(2))).unwrap();
        assert!(positions.appended(7, seen(3, 1, Some(1))).unwrap_err().text.contains("follows"));
    }

    #[test]
    fn only_leaders_make_entries() {
        let leader = zcluster_api::NodeId::new(2, 1).0;
        assert_eq!(Positions::made_by(5, Some(leader), 2), Ok(()));
        assert_eq!(Positions::made_by(0, None, 1), Ok(()));
        assert!(Positions::made_by(5, Some(leader), 1).is_err());
        assert!(Positions::made_by(5, None, 2).is_err());
    }
}
