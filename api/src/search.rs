//! The one query type that IMAP SEARCH compiles to (and, later, Zimbra's search grammar).

use crate::ids::{ItemId, ModSeq};
use crate::mailbox::Flags;
use crate::uids::UidSet;
use minicbor::{Decode, Encode};

/// Nesting allowed in a [`SearchExpr`]; front-ends refuse deeper ones.
pub const SEARCH_DEPTH_MAX: usize = 50;

/// A condition on one message. Text compares as decoded UTF-8 without case, by containment (RFC 3501 §6.4.4).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum SearchExpr {
    /// Every message.
    #[n(0)]
    All,
    /// All of these.
    #[n(1)]
    And(#[n(0)] Vec<SearchExpr>),
    /// Any of these.
    #[n(2)]
    Or(#[n(0)] Vec<SearchExpr>),
    /// Not this.
    #[n(3)]
    Not(#[n(0)] Box<SearchExpr>),
    /// UID in the set.
    #[n(4)]
    Uids(#[n(0)] UidSet),
    /// All these flag bits set.
    #[n(5)]
    Flags(#[n(0)] Flags),
    /// Has the keyword (compared without case).
    #[n(6)]
    Keyword(#[n(0)] String),
    /// RFC822.SIZE greater than.
    #[n(7)]
    Larger(#[n(0)] u64),
    /// RFC822.SIZE less than.
    #[n(8)]
    Smaller(#[n(0)] u64),
    /// INTERNALDATE in `[from, to)`, Unix milliseconds (BEFORE, ON, SINCE, OLDER, YOUNGER).
    #[n(9)]
    Internal {
        /// Inclusive.
        #[n(0)]
        from_ms: i64,
        /// Exclusive.
        #[n(1)]
        to_ms: i64,
    },
    /// The `Date:` header's calendar date, as days since 1970-01-01 with its own zone disregarded (RFC 3501
    /// SENTBEFORE, SENTON, SENTSINCE), in `[from, to)`.
    #[n(10)]
    Sent {
        /// Inclusive.
        #[n(0)]
        from_day: i64,
        /// Exclusive.
        #[n(1)]
        to_day: i64,
    },
    /// A header field contains the text; empty text: the field is there.
    #[n(11)]
    Header {
        /// Field name, any case.
        #[n(0)]
        name: String,
        /// Text.
        #[n(1)]
        text: String,
    },
    /// Header or body contains the text.
    #[n(12)]
    Text(#[n(0)] String),
    /// The body's text parts contain the text.
    #[n(13)]
    Body(#[n(0)] String),
    /// Mod-sequence at least (RFC 7162 §3.1.5).
    #[n(14)]
    ModSeq(#[n(0)] ModSeq),
    /// SAVEDATE in `[from, to)`, Unix milliseconds (RFC 8514 §4.3).
    #[n(15)]
    Saved {
        /// Inclusive.
        #[n(0)]
        from_ms: i64,
        /// Exclusive.
        #[n(1)]
        to_ms: i64,
    },
    /// The message or a copy of it (RFC 8474 §6 EMAILID).
    #[n(16)]
    Email(#[n(0)] ItemId),
    /// In the thread that this message began (RFC 8474 §6 THREADID).
    #[n(17)]
    Thread(#[n(0)] ItemId),
}
