//! SEARCH, SORT, THREAD and ESEARCH, as types.

use super::{Fetch, MailboxFilter};
use crate::codec::sequence::SequenceSet;
use zcluster_api::Flags;
use zcluster_api::sort::{SortCriterion, Threading};

bit_set!(
    /// SEARCH's result options (RFC 4731 §3.1, RFC 5182 §2).
    SearchReturn {
        /// The lowest.
        MIN = 0;
        /// The highest.
        MAX = 1;
        /// All, as a set.
        ALL = 2;
        /// How many.
        COUNT = 3;
        /// Keep the result for `$`.
        SAVE = 4;
        /// Some of them, by position (RFC 9394).
        PARTIAL = 5;
        /// Tell changes of the result from now on (RFC 5267 §4.3).
        UPDATE = 6;
        /// A hint that the search will come again (RFC 5267 §4.2).
        CONTEXT = 7;
    }
);

/// Positions in a result, from 1 (RFC 9394 §4 `partial-range`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partial {
    /// The ends as written.
    pub from: u32,
    /// The other one.
    pub to: u32,
    /// Counted from the end.
    pub backwards: bool,
}

impl Partial {
    /// The positions, from 0, within a result of `len`.
    pub fn within(self, len: usize) -> std::ops::Range<usize> {
        let (low, high) = (self.from.min(self.to) as usize, self.from.max(self.to) as usize);
        if self.backwards {
            len.saturating_sub(high)..(len + 1).saturating_sub(low).min(len)
        } else {
            low.saturating_sub(1).min(len)..high.min(len)
        }
    }
}

impl std::fmt::Display for Partial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.backwards { "-" } else { "" };
        write!(f, "{sign}{}:{sign}{}", self.from, self.to)
    }
}

/// THREAD and UID THREAD (RFC 5256).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Tell UIDs.
    pub uid: bool,
    /// How.
    pub threading: Threading,
    /// What to look for.
    pub key: SearchKey,
}

/// SEARCH and SORT, with UID or without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// Tell UIDs.
    pub uid: bool,
    /// `RETURN`; `None`: the plain SEARCH response.
    pub ret: Option<SearchReturn>,
    /// For `PARTIAL`.
    pub partial: Option<Partial>,
    /// For `UPDATE`: what is told of new messages in the result (RFC 5465 §7).
    pub update: Option<Box<Fetch>>,
    /// SORT's criteria.
    pub order: Option<Vec<SortCriterion>>,
    /// What to look for.
    pub key: SearchKey,
}

/// ESEARCH (RFC 7377).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MultiSearch {
    /// Where; nothing: in the selected mailbox.
    pub sources: Vec<MailboxFilter>,
    /// What, by UID.
    pub search: Search,
}

/// A search key (RFC 3501 §6.4.4), alike ones folded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SearchKey {
    /// Every message.
    All,
    /// All of these.
    And(Vec<SearchKey>),
    /// Either.
    Or(Box<SearchKey>, Box<SearchKey>),
    /// Not this.
    Not(Box<SearchKey>),
    /// Sequence numbers.
    Numbers(SequenceSet),
    /// UIDs.
    Uids(SequenceSet),
    /// These bits set (`\Seen` is the absence of `UNREAD`).
    Flags(Flags),
    /// Has the keyword.
    Keyword(String),
    /// `\Recent` to this session.
    Recent,
    /// Size greater.
    Larger(u64),
    /// Size less.
    Smaller(u64),
    /// INTERNALDATE's day in `[from, to)`.
    Internal(i64, i64),
    /// Came in within (`true`) or before the last so many seconds (RFC 5032).
    Within(u64, bool),
    /// `Date:`'s day in `[from, to)`.
    Sent(i64, i64),
    /// SAVEDATE's day in `[from, to)` (RFC 8514).
    Saved(i64, i64),
    /// A header field contains.
    Header(String, String),
    /// Header or body contains.
    Text(String),
    /// Body contains.
    Body(String),
    /// RFC 7162 §3.1.5.
    ModSeq(u64),
    /// RFC 8474 §6.
    EmailId(String),
    /// RFC 8474 §6.
    ThreadId(String),
}
