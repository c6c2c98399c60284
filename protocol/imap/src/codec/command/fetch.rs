//! FETCH and STORE, as types.

use super::Partial;
use crate::codec::sequence::SequenceSet;
use zcluster_api::Flags;

/// Flags as a client names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlagList {
    /// System flags and registered keywords, `\Seen` apart.
    pub flags: Flags,
    /// `\Seen`.
    pub seen: bool,
    /// Keywords.
    pub keywords: Vec<String>,
}

bit_set!(
    /// FETCH items without arguments.
    FetchItems {
        /// RFC 3501 §6.4.5.
        UID = 0;
        /// RFC 3501 §6.4.5.
        FLAGS = 1;
        /// RFC 3501 §6.4.5.
        INTERNALDATE = 2;
        /// RFC 3501 §6.4.5.
        SIZE = 3;
        /// RFC 3501 §6.4.5.
        ENVELOPE = 4;
        /// The short structure, `BODY` (RFC 3501 §6.4.5).
        BODY = 5;
        /// RFC 3501 §6.4.5.
        BODYSTRUCTURE = 6;
        /// RFC 7162 §3.1.4.2.
        MODSEQ = 7;
        /// RFC 8970.
        PREVIEW = 8;
        /// RFC 8514 §4.2.
        SAVEDATE = 9;
        /// RFC 8474 §5.1.
        EMAILID = 10;
        /// RFC 8474 §5.2.
        THREADID = 11;
    }
);

/// How a piece of the body is asked for, and so named in the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyForm {
    /// `BODY[...]` and `BODY.PEEK[...]`.
    Body,
    /// `RFC822`.
    Rfc822,
    /// `RFC822.HEADER`.
    Rfc822Header,
    /// `RFC822.TEXT`.
    Rfc822Text,
    /// `BINARY[...]` and `BINARY.PEEK[...]` (RFC 3516 §4.2): transfer encoding taken away.
    Binary,
    /// `BINARY.SIZE[...]` (RFC 3516 §4.3).
    BinarySize,
}

/// Which part of the part (RFC 3501 §6.4.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SectionText {
    /// All of it.
    Whole,
    /// `HEADER`.
    Header,
    /// `HEADER.FIELDS (...)`.
    Fields(Vec<String>),
    /// `HEADER.FIELDS.NOT (...)`.
    FieldsNot(Vec<String>),
    /// `TEXT`.
    Text,
    /// `MIME`.
    Mime,
}

/// A piece of the body to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyItem {
    /// Its form.
    pub form: BodyForm,
    /// Does not set `\Seen`.
    pub peek: bool,
    /// Part numbers.
    pub path: Vec<u32>,
    /// Which part of it.
    pub text: SectionText,
    /// `<first.count>`.
    pub partial: Option<(u32, u32)>,
}

/// FETCH and UID FETCH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// The set holds UIDs.
    pub uid: bool,
    /// Messages.
    pub set: SequenceSet,
    /// Items without arguments.
    pub items: FetchItems,
    /// Pieces of the body.
    pub bodies: Vec<BodyItem>,
    /// RFC 7162 §3.1.4.1.
    pub changed_since: Option<u64>,
    /// Tell what went as well (RFC 7162 §3.2.6).
    pub vanished: bool,
    /// Of the set only these (RFC 9394 §3.3).
    pub partial: Option<Partial>,
}

/// How STORE changes flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreMode {
    /// `FLAGS`.
    Replace,
    /// `+FLAGS`.
    Add,
    /// `-FLAGS`.
    Remove,
}

/// STORE and UID STORE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// The set holds UIDs.
    pub uid: bool,
    /// Messages.
    pub set: SequenceSet,
    /// How.
    pub mode: StoreMode,
    /// No FETCH responses.
    pub silent: bool,
    /// Flags.
    pub flags: FlagList,
    /// RFC 7162 §3.1.3.
    pub unchanged_since: Option<u64>,
}
