//! A log is contiguous and its terms never fall: each entry follows the one before it, nothing is cut or dropped that is
//! not there (distributed.md §4.2, negative control (b): a disk that lost a write in the middle went unnoticed by
//! openraft itself).

use super::{Check, broken};
use zcluster_raft::LogId;

const PROMISE: &str = "logs_have_no_holes";

/// An entry comes behind `last`.
///
/// # Errors
/// It does not follow.
pub fn continues(last: Option<LogId>, entry: LogId) -> Check {
    let due = last.map_or(0, |l| l.index + 1);
    if entry.index != due {
        return broken(PROMISE, format!("entry {entry:?} came where index {due} was due"));
    }
    match last {
        Some(l) if l.term > entry.term => broken(PROMISE, format!("entry {entry:?} follows {l:?}")),
        _ => Ok(()),
    }
}

/// A node names an entry of its own log; `there` is the term it really has at that index.
///
/// # Errors
/// It is another one or none.
pub fn names(there: Option<u64>, id: LogId, what: &str) -> Check {
    match there {
        Some(term) if term == id.term => Ok(()),
        Some(term) => broken(PROMISE, format!("{what} {id:?}, but the log has term {term} there")),
        None => broken(PROMISE, format!("{what} {id:?}, which is not in the log")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_seen() {
        let id = |term, index| LogId { term, index };
        assert_eq!(continues(None, id(1, 0)), Ok(()));
        assert_eq!(continues(Some(id(1, 0)), id(3, 1)), Ok(()));
        assert!(continues(Some(id(1, 0)), id(1, 2)).is_err());
        assert!(continues(Some(id(1, 1)), id(1, 1)).is_err());
        assert!(continues(Some(id(3, 1)), id(2, 2)).is_err());
        assert_eq!(names(Some(3), id(3, 1), "keep"), Ok(()));
        assert!(names(Some(2), id(3, 1), "keep").is_err());
        assert!(names(None, id(3, 1), "keep").is_err());
    }
}
