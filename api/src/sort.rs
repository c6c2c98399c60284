//! What SORT and THREAD (RFC 5256) compare: found once, when a message arrives, and kept beside it.

use minicbor::{Decode, Encode};

/// Bytes of a base subject that are kept and compared.
pub const SUBJECT_BYTES_MAX: usize = 255;
/// Bytes of an address or a display name that are kept and compared.
pub const NAME_BYTES_MAX: usize = 128;
/// References kept of one message: the first and the last ones.
pub const REFERENCES_MAX: usize = 64;
/// Criteria of one SORT.
pub const CRITERIA_MAX: usize = 16;
/// Messages that one SORT or THREAD puts in order; more are `TooLarge`.
pub const SORTED_MAX: usize = 1_000_000;

/// The sort keys of one message. Texts are in the form that i;unicode-casemap (RFC 5051) compares as bytes, cut to their
/// bounds; message ids are hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct SortKeys {
    /// `Date:`, Unix milliseconds.
    #[n(0)]
    pub sent_ms: Option<i64>,
    /// The calendar day that `Date:` names, days since 1970-01-01.
    #[n(1)]
    pub sent_day: Option<i64>,
    /// The base subject (RFC 5256 §2.1).
    #[n(2)]
    pub subject: String,
    /// Something was taken off that marks a reply or a forward (RFC 5256 §2.1).
    #[n(3)]
    pub reply: bool,
    /// The local part of the first From address.
    #[n(4)]
    pub from: String,
    /// Of the first To address.
    #[n(5)]
    pub to: String,
    /// Of the first Cc address.
    #[n(6)]
    pub cc: String,
    /// What is shown for From (RFC 5957 §3).
    #[n(7)]
    pub display_from: String,
    /// What is shown for To.
    #[n(8)]
    pub display_to: String,
    /// Hash of the message's own id.
    #[n(9)]
    pub id: Option<u64>,
    /// Hashes of References, else of In-Reply-To's first id (RFC 5256 §3), oldest first.
    #[n(10)]
    pub references: Vec<u64>,
}

/// What a SORT compares by (RFC 5256 §3, RFC 5957 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum SortBy {
    /// INTERNALDATE.
    #[n(0)]
    Arrival,
    /// The first Cc address's local part.
    #[n(1)]
    Cc,
    /// The sent date, INTERNALDATE where there is none.
    #[n(2)]
    Date,
    /// The first From address's local part.
    #[n(3)]
    From,
    /// RFC822.SIZE.
    #[n(4)]
    Size,
    /// The base subject.
    #[n(5)]
    Subject,
    /// The first To address's local part.
    #[n(6)]
    To,
    /// What is shown for From.
    #[n(7)]
    DisplayFrom,
    /// What is shown for To.
    #[n(8)]
    DisplayTo,
}

/// One criterion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SortCriterion {
    /// What is compared.
    #[n(0)]
    pub by: SortBy,
    /// Falling.
    #[n(1)]
    pub reverse: bool,
}

/// How THREAD makes threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Threading {
    /// By base subject alone (RFC 5256 §3).
    #[n(0)]
    OrderedSubject,
    /// By references, gathered by base subject (RFC 5256 §3).
    #[n(1)]
    References,
    /// By references alone; threads by their newest message (draft-ietf-morg-inthread).
    #[n(2)]
    Refs,
}

/// One message's place in a reply to `Thread`, or a missing parent's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ThreadNode {
    /// The message; 0: a parent that is not there, which has at least two children.
    #[n(0)]
    pub uid: u32,
    /// How many of the nodes behind this one are its children, each followed by its own.
    #[n(1)]
    pub children: u32,
}
