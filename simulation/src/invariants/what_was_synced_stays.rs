//! What a log reported as durable is there after any crash: a node comes back with everything it reported and with a
//! prefix of what it had not (distributed.md §4.2, negative control (a)). Disks that were lost or damaged are told to the
//! audit beforehand and are excused.

use super::{Check, broken, votes_are_never_taken_back};
use crate::audit::Log;
use zcluster_raft::LogId;
use zcluster_raft::log::LogState;

const PROMISE: &str = "what_was_synced_stays";

/// A log came back as `found`; `reported` is what had been reported durable.
///
/// # Errors
/// Something is gone.
pub fn recovered(reported: &Log, found: &LogState) -> Check {
    votes_are_never_taken_back::remembered(reported.vote, found.vote)?;
    broken(
        PROMISE,
        format!(
            "found {found:x?}, but vote {:x?}, cut {:?} and last {:?} were reported durable, and what was not does not explain it",
            reported.vote,
            reported.purged(),
            reported.last()
        ),
    )
}

/// A replica whose log reached `had` is removed and keeps `left` in mind.
///
/// # Errors
/// It forgets how much it had.
pub fn left(had: Option<LogId>, left: Option<LogId>) -> Check {
    if left >= had {
        return Ok(());
    }
    broken(PROMISE, format!("a removed replica had {had:?} and remembers {left:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Mark;
    use zcluster_raft::log::Vote;

    #[test]
    fn a_lost_vote_and_a_lost_entry_are_named() {
        let mut log = Log::default();
        log.vote = Some(Vote { term: 2, node: 1, committed: false });
        log.append(Mark { term: 1, payload: 1 });
        let lost = recovered(&log, &LogState::default()).unwrap_err();
        assert_eq!(lost.promise, "votes_are_never_taken_back");
        let found = LogState { vote: log.vote, ..LogState::default() };
        assert_eq!(recovered(&log, &found).unwrap_err().promise, PROMISE);
        let found = LogState { vote: log.vote, last: Some(LogId { term: 1, index: 7 }), ..LogState::default() };
        assert!(recovered(&log, &found).is_err());
        assert!(left(found.last, log.last()).is_err() && left(log.last(), found.last).is_ok());
    }
}
