//! What an IMAP server can say, as far as our client understands it.

use std::collections::BTreeSet;

/// One response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// `+ ...`
    Continue,
    /// The end of the command with this tag.
    Tagged(String, Status),
    /// `* OK ...`, `* BYE ...`
    Untagged(Status),
    /// `* 5 EXISTS`
    Exists(u32),
    /// `* 5 RECENT`
    Recent(u32),
    /// `* 5 EXPUNGE`
    Expunge(u32),
    /// `* 5 FETCH (...)`
    Fetch(u32, Items),
    /// `* SEARCH ...` or `* ESEARCH ...`
    Found(Vec<u32>),
    /// `* STATUS name (...)`
    Status(Vec<(String, u64)>),
    /// Anything else (CAPABILITY, FLAGS, LIST, ENABLED): its name.
    Other(String),
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// OK.
    Ok,
    /// NO.
    No,
    /// BAD.
    Bad,
    /// BYE.
    Bye,
}

/// A status response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// How it went.
    pub kind: Kind,
    /// The response code.
    pub code: Option<Code>,
    /// The words for people.
    pub text: String,
}

impl Status {
    /// The response code, if it is one without values that we know.
    pub fn refusal(&self) -> &str {
        match &self.code {
            Some(Code::Other(name)) => name,
            _ => "",
        }
    }
}

/// A response code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code {
    /// UIDVALIDITY and UID of an appended message.
    AppendUid(u32, u32),
    /// UIDVALIDITY of the target, source UIDs, target UIDs.
    CopyUid(u32, Vec<u32>, Vec<u32>),
    /// HIGHESTMODSEQ.
    HighestModSeq(u64),
    /// MODIFIED.
    Modified(Vec<u32>),
    /// UIDVALIDITY.
    UidValidity(u32),
    /// UIDNEXT.
    UidNext(u32),
    /// Any other: its name.
    Other(String),
}

/// The items of a FETCH response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Items {
    /// UID.
    pub uid: Option<u32>,
    /// FLAGS without `\Recent`.
    pub flags: Option<BTreeSet<String>>,
    /// MODSEQ.
    pub modseq: Option<u64>,
    /// `BODY[...]`: the bytes of the one section that was asked for.
    pub section: Option<Vec<u8>>,
}
