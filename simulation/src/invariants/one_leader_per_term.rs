//! A group has at most one leader in a term (distributed.md §4.4; Raft's Election Safety). Two leaders of one term may
//! give the same position to two different entries, and both call it committed.

use super::{Check, broken};
use std::collections::BTreeMap;

const PROMISE: &str = "one_leader_per_term";

/// Who led a group when.
#[derive(Clone, Debug, Default)]
pub struct Leaders(BTreeMap<u64, u64>);

impl Leaders {
    /// Some node knows that a quorum elected raft id `leader` in `term`.
    ///
    /// # Errors
    /// Another one was elected in that term.
    pub fn elected(&mut self, term: u64, leader: u64) -> Check {
        match *self.0.entry(term).or_insert(leader) {
            known if known == leader => Ok(()),
            known => broken(PROMISE, format!("term {term} has two leaders, {known:#x} and {leader:#x}")),
        }
    }

    /// The leader of a term, if one is known.
    pub fn of(&self, term: u64) -> Option<u64> {
        self.0.get(&term).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_leader_is_seen() {
        let mut leaders = Leaders::default();
        assert_eq!(leaders.elected(1, 10), Ok(()));
        assert_eq!(leaders.elected(1, 10), Ok(()));
        assert_eq!(leaders.elected(2, 20), Ok(()));
        assert_eq!(leaders.elected(1, 20).unwrap_err().promise, PROMISE);
        assert_eq!((leaders.of(2), leaders.of(3)), (Some(20), None));
    }
}
