//! A node grants its vote once per term, never goes back to an older term, and never forgets what it reported
//! (distributed.md §4.4). A vote for a candidate gives way to the knowledge that a quorum elected somebody in that term:
//! nothing else changes a vote within a term.

use super::{Check, broken};
use zcluster_raft::log::Vote;

const PROMISE: &str = "votes_are_never_taken_back";

/// A node replaces vote `old` by `new`.
///
/// # Errors
/// It may not.
pub fn follows(old: Option<Vote>, new: Vote) -> Check {
    let Some(old) = old else { return Ok(()) };
    let fine = new.term > old.term
        || (new.term == old.term
            && match (old.committed, new.committed) {
                (_, false) | (true, true) => old.node == new.node && old.committed == new.committed,
                (false, true) => true,
            });
    if fine { Ok(()) } else { broken(PROMISE, format!("{new:x?} after {old:x?}")) }
}

/// A node that comes back remembers `found` where it had reported `reported` as durable.
///
/// # Errors
/// It forgot.
pub fn remembered(reported: Option<Vote>, found: Option<Vote>) -> Check {
    match (reported, found) {
        (Some(r), None) => broken(PROMISE, format!("{r:x?} was reported durable and is gone")),
        (Some(r), Some(f)) if r != f => follows(Some(r), f),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vote(term: u64, node: u64, committed: bool) -> Vote {
        Vote { term, node, committed }
    }

    #[test]
    fn a_second_candidate_is_seen() {
        let old = Some(vote(4, 1, false));
        assert_eq!(follows(old, vote(4, 1, false)), Ok(()));
        assert_eq!(follows(old, vote(4, 1, true)), Ok(()));
        assert_eq!(follows(old, vote(4, 2, true)), Ok(()), "the others elected somebody else");
        assert_eq!(follows(old, vote(5, 2, false)), Ok(()));
        assert!(follows(old, vote(4, 2, false)).is_err());
        assert!(follows(old, vote(3, 1, true)).is_err());
        assert!(follows(Some(vote(4, 1, true)), vote(4, 1, false)).is_err());
        assert!(follows(Some(vote(4, 1, true)), vote(4, 2, true)).is_err());
    }

    #[test]
    fn forgetting_is_seen() {
        assert_eq!(remembered(None, None), Ok(()));
        assert_eq!(remembered(Some(vote(4, 1, false)), Some(vote(4, 1, false))), Ok(()));
        assert_eq!(remembered(Some(vote(4, 1, false)), Some(vote(5, 2, false))), Ok(()), "one that was not reported");
        assert!(remembered(Some(vote(4, 1, false)), None).is_err());
        assert!(remembered(Some(vote(4, 1, false)), Some(vote(3, 1, false))).is_err());
    }
}
