//! A log is cut only up to what the state has on disk: behind that point the log is the only copy. After any crash the log
//! that is left begins where the state ends, or before (distributed.md §4.4: purged <= snapshot <= applied).

use super::{Check, broken};
use zcluster_raft::LogId;

const PROMISE: &str = "nothing_is_cut_before_it_is_kept";

/// A process found its log cut up to `purged`, and its state at `applied`.
///
/// # Errors
/// Entries between them are gone.
pub fn joined(purged: Option<LogId>, applied: Option<LogId>) -> Check {
    match purged {
        Some(p) if applied.is_none_or(|a| a.index < p.index) => {
            broken(PROMISE, format!("the log begins behind {p:?}, but the state ends at {applied:?}"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_seen() {
        let id = |index| Some(LogId { term: 1, index });
        assert_eq!(joined(None, None), Ok(()));
        assert_eq!(joined(id(4), id(4)), Ok(()));
        assert_eq!(joined(id(4), id(9)), Ok(()));
        assert!(joined(id(4), id(3)).is_err());
        assert!(joined(id(0), None).is_err());
    }
}
