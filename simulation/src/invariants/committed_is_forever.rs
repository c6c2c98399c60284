//! What is committed stays: each index of a group is committed once, with one term and one payload, and every node that
//! calls it committed or applies it means that entry (distributed.md §4.4; Raft's State Machine Safety). No node drops
//! from its log what it has called committed, none takes back how far that is, and no log is cut (nor a state applied)
//! beyond what is committed.

use super::{Check, broken};
use crate::audit::Mark;
use zcluster_raft::LogId;

const PROMISE: &str = "committed_is_forever";

/// What is committed in a group, by index. `None`: beyond the first mention, but nobody has yet said what it is.
#[derive(Clone, Debug, Default)]
pub struct Committed(Vec<Option<Mark>>);

impl Committed {
    /// A node calls `mark` at `index` committed.
    ///
    /// # Errors
    /// Something else was.
    pub fn fix(&mut self, index: u64, mark: Mark) -> Check {
        let at = index as usize;
        if self.0.len() <= at {
            self.0.resize(at + 1, None);
        }
        match *self.0[at].get_or_insert(mark) {
            known if known == mark => Ok(()),
            known => broken(PROMISE, format!("index {index} was committed as {known:x?} and now is {mark:x?}")),
        }
    }

    /// What is committed at `index`.
    pub fn at(&self, index: u64) -> Option<Mark> {
        self.0.get(index as usize).copied().flatten()
    }

    /// The first index that nobody called committed.
    pub fn end(&self) -> u64 {
        self.0.len() as u64
    }

    /// A node does something (`what`) that only a committed position allows.
    ///
    /// # Errors
    /// It is not committed, or another entry is.
    pub fn expect(&self, id: LogId, what: &str) -> Check {
        match self.at(id.index) {
            Some(mark) if mark.term == id.term => Ok(()),
            Some(mark) => broken(PROMISE, format!("{what} {id:?}, but what is committed there has term {}", mark.term)),
            None => broken(PROMISE, format!("{what} {id:?}, but only what lies below {} is committed", self.end())),
        }
    }
}

/// A node says how far its log is committed.
///
/// # Errors
/// It said more before.
pub fn advances(before: Option<LogId>, now: LogId) -> Check {
    match before {
        Some(b) if b.index > now.index || b.term > now.term => {
            broken(PROMISE, format!("committed {now:?} after {b:?}"))
        }
        _ => Ok(()),
    }
}

/// A node drops what lies behind `last`.
///
/// # Errors
/// It called some of it committed.
pub fn keeps(committed: Option<LogId>, last: Option<LogId>) -> Check {
    match committed {
        Some(c) if last.is_none_or(|l| l.index < c.index) => {
            broken(PROMISE, format!("log truncated behind {last:?} although {c:?} was called committed"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(term: u64, index: u64) -> LogId {
        LogId { term, index }
    }

    #[test]
    fn another_entry_is_seen() {
        let mut committed = Committed::default();
        committed.fix(0, Mark { term: 1, payload: 5 }).unwrap();
        committed.fix(2, Mark { term: 1, payload: 6 }).unwrap();
        committed.fix(1, Mark { term: 1, payload: 7 }).unwrap();
        assert!(committed.fix(2, Mark { term: 1, payload: 7 }).is_err());
        assert!(committed.fix(2, Mark { term: 2, payload: 6 }).is_err());
        assert_eq!(committed.expect(id(1, 2), "cut"), Ok(()));
        assert!(committed.expect(id(2, 2), "cut").is_err());
        assert!(committed.expect(id(1, 3), "cut").is_err());
    }

    #[test]
    fn going_back_is_seen() {
        assert_eq!(advances(None, id(1, 1)), Ok(()));
        assert_eq!(advances(Some(id(1, 1)), id(2, 1)), Ok(()));
        assert!(advances(Some(id(1, 2)), id(2, 1)).is_err());
    }

    #[test]
    fn dropping_is_seen() {
        assert_eq!(keeps(Some(id(1, 4)), Some(id(1, 4))), Ok(()));
        assert_eq!(keeps(None, None), Ok(()));
        assert!(keeps(Some(id(1, 4)), Some(id(1, 3))).is_err());
        assert!(keeps(Some(id(1, 0)), None).is_err());
    }
}
