//! An entry committed in a term stands in the log of every later term's leader (distributed.md §4.4; Raft's Leader
//! Completeness). Checked when a leader writes the first entry of its term.

use super::committed_is_forever::Committed;
use super::{Check, broken};
use crate::audit::Log;

const PROMISE: &str = "leaders_have_all_that_is_committed";

/// The leader of `term` has `log` when it begins.
///
/// # Errors
/// Something committed in an earlier term is not in it.
pub fn complete(log: &Log, committed: &Committed, term: u64) -> Check {
    for index in log.first()..committed.end() {
        let Some(known) = committed.at(index) else { continue };
        if known.term >= term {
            break;
        }
        match log.at(index) {
            Some(mark) if mark == known => {}
            other => {
                return broken(
                    PROMISE,
                    format!("the leader of term {term} has {other:x?} at index {index}, where {known:x?} is committed"),
                );
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Mark;

    #[test]
    fn a_leader_without_a_committed_entry_is_seen() {
        let mark = |term, payload| Mark { term, payload };
        let mut committed = Committed::default();
        for (index, payload) in [10, 11, 12].into_iter().enumerate() {
            committed.fix(index as u64, mark(1, payload)).unwrap();
        }
        let mut log = Log::default();
        log.append(mark(1, 10));
        log.append(mark(1, 11));
        assert_eq!(complete(&log, &committed, 2).unwrap_err().promise, PROMISE);
        assert_eq!(complete(&log, &committed, 1), Ok(()), "what its own term committed came later");
        log.append(mark(1, 12));
        assert_eq!(complete(&log, &committed, 2), Ok(()));
        let mut other = Log::default();
        [10, 99, 12].into_iter().for_each(|p| other.append(mark(1, p)));
        assert!(complete(&other, &committed, 2).is_err());
    }
}
