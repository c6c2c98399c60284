//! The one query type that IMAP SEARCH and Zimbra's search grammar compile to.
//!
//! Two kinds of conditions look at text. [`SearchExpr::Header`], [`SearchExpr::Text`] and [`SearchExpr::Body`] are IMAP's:
//! the text is contained somewhere. [`SearchExpr::Words`] is Zimbra's: words as a reader sees them, the same whether they
//! are looked up in an index or in the message.

use crate::ids::{FolderId, ItemId, ModSeq};
use crate::mailbox::Flags;
use crate::sort::SortBy;
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
    /// Lies in a folder.
    #[n(18)]
    In(#[n(0)] InFolder),
    /// Has the words.
    #[n(19)]
    Words(#[n(0)] Words),
    /// Is one of these items (by item id, not UID).
    #[n(20)]
    Items(#[n(0)] UidSet),
    /// Has a part, other than its own text, of one of these media types: `major/minor` or `major/*`, lower case.
    #[n(21)]
    Attachment(#[n(0)] Vec<String>),
    /// The urgency that its sender gave it: `X-Priority`, `Importance`, `Priority`.
    #[n(22)]
    Priority(#[n(0)] Priority),
    /// So many messages of its conversation are in the mailbox: in `[from, to)`.
    #[n(23)]
    ConversationSize {
        /// Inclusive.
        #[n(0)]
        from: u32,
        /// Exclusive.
        #[n(1)]
        to: u32,
    },
    /// What it would be sorted by compares so with a text, both folded as for sorting.
    #[n(24)]
    Compare {
        /// [`SortBy::Subject`] or [`SortBy::DisplayFrom`].
        #[n(0)]
        by: SortBy,
        /// How.
        #[n(1)]
        is: Comparison,
        /// With what.
        #[n(2)]
        text: String,
    },
    /// Its text holds something that was recognised: `phone`, `url`.
    #[n(25)]
    Recognised(#[n(0)] String),
}

/// A place in the tree of folders. One that is not there is an error of the search.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct InFolder {
    /// Where the path begins; none: at the root.
    #[n(0)]
    pub id: Option<FolderId>,
    /// UTF-8, `/` between names, compared without case; empty: the folder `id` itself.
    #[n(1)]
    pub path: String,
    /// Also in folders below it.
    #[n(2)]
    pub below: bool,
}

/// Words to be found in a message.
///
/// The text is taken apart as messages' texts are (words without case and accents; addresses, host names and numbers also
/// whole; runs of Chinese, Japanese, Korean or Thai as pairs). What it comes to must stand in one of the fields in that
/// order and without anything between. A text that comes to nothing (only punctuation) matches every message.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Words {
    /// In any of these; not empty.
    #[n(0)]
    pub fields: Vec<TextField>,
    /// What to look for, as the user wrote it, without wildcards.
    #[n(1)]
    pub text: String,
    /// The last word may go on (`invoic*`).
    #[n(2)]
    pub prefix: bool,
    /// Something may stand before the first word (`*voice`); only for a text of one word.
    #[n(3)]
    pub suffix: bool,
}

/// Where words stand.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum TextField {
    /// Everything that a reader sees: subject, names and addresses, text, texts of attachments and their names.
    #[n(0)]
    Content,
    /// `Subject`.
    #[n(1)]
    Subject,
    /// `From` and `Sender`: names and addresses.
    #[n(2)]
    From,
    /// `To`.
    #[n(3)]
    To,
    /// `Cc`.
    #[n(4)]
    Cc,
    /// The sender in the envelope (`X-Envelope-From`, `Return-Path`).
    #[n(5)]
    EnvelopeFrom,
    /// The recipient in the envelope (`X-Envelope-To`, `Delivered-To`).
    #[n(6)]
    EnvelopeTo,
    /// `Message-ID`, whole, without its brackets.
    #[n(7)]
    MessageId,
    /// Names of attachments.
    #[n(8)]
    FileName,
    /// A property of an attached document (`author`, `title`, `keywords`, `company`), lower case.
    #[n(9)]
    Property(#[n(0)] String),
}

/// How urgent its sender said a message was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Priority {
    /// `X-Priority` 1 or 2, `Importance: high`.
    #[n(0)]
    High,
    /// `X-Priority` 4 or 5, `Importance: low`.
    #[n(1)]
    Low,
}

/// How two texts compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Comparison {
    /// `<`
    #[n(0)]
    Less,
    /// `<=`
    #[n(1)]
    LessOrEqual,
    /// `>`
    #[n(2)]
    Greater,
    /// `>=`
    #[n(3)]
    GreaterOrEqual,
}
