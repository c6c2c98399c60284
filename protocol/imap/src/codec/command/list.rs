//! LIST and STATUS, as types.

bit_set!(
    /// What STATUS is to tell.
    StatusItems {
        /// RFC 3501 §6.3.10.
        MESSAGES = 0;
        /// RFC 3501 §6.3.10.
        RECENT = 1;
        /// RFC 3501 §6.3.10.
        UIDNEXT = 2;
        /// RFC 3501 §6.3.10.
        UIDVALIDITY = 3;
        /// RFC 3501 §6.3.10.
        UNSEEN = 4;
        /// RFC 9051 §6.3.11.
        DELETED = 5;
        /// RFC 8438.
        SIZE = 6;
        /// RFC 7162 §3.1.7.
        HIGHESTMODSEQ = 7;
        /// RFC 7889 §3.
        APPENDLIMIT = 8;
        /// RFC 8474 §4.3.
        MAILBOXID = 9;
        /// RFC 9208 §4.1.4.
        DELETED_STORAGE = 16;
    }
);

bit_set!(
    /// LIST's selection options (RFC 5258 §3.1, RFC 6154 §2).
    ListSelect {
        /// Only subscribed ones.
        SUBSCRIBED = 0;
        /// No effect: there are no remote mailboxes.
        REMOTE = 1;
        /// Also parents of matching ones.
        RECURSIVEMATCH = 2;
        /// Only ones with a use.
        SPECIAL_USE = 3;
    }
);

bit_set!(
    /// LIST's return options (RFC 5258 §3.2, RFC 6154 §2, RFC 5819).
    ListReturn {
        /// `\Subscribed`.
        SUBSCRIBED = 0;
        /// `\HasChildren`, `\HasNoChildren`.
        CHILDREN = 1;
        /// Uses.
        SPECIAL_USE = 2;
        /// STATUS responses.
        STATUS = 3;
        /// MYRIGHTS responses (RFC 8440).
        MYRIGHTS = 8;
        /// METADATA responses (RFC 9590).
        METADATA = 9;
    }
);

/// LIST (RFC 3501 §6.3.8, RFC 5258).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// Prefix of the patterns.
    pub reference: String,
    /// With `*` and `%`.
    pub patterns: Vec<String>,
    /// The extended form was used: the single empty pattern has no special meaning.
    pub extended: bool,
    /// Which mailboxes.
    pub select: ListSelect,
    /// What is told of them.
    pub ret: ListReturn,
    /// For `STATUS`.
    pub status: StatusItems,
    /// For `METADATA`: names of entries in lower case.
    pub metadata: Vec<String>,
}
