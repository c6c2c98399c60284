//! What goes to a worker and what comes back.

use minicbor::{Decode, Encode};

/// One attachment, decoded from its transfer encoding.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Document {
    /// The part's media type with its parameters (`text/plain; charset=iso-8859-2`); empty when it had none.
    #[n(0)]
    pub media_type: String,
    /// The part's file name, decoded; empty when it had none.
    #[n(1)]
    pub filename: String,
    /// The content.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub bytes: Vec<u8>,
}

/// What one document may cost. Time and memory are the worker's and the pool's to bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Limits {
    /// Bytes of the document, and of one member of an archive.
    #[n(0)]
    pub input_bytes: u64,
    /// Bytes of text returned; what follows is left out and `truncated` says so.
    #[n(1)]
    pub text_bytes: u64,
    /// Bytes unpacked from compressed containers, over all members and levels.
    #[n(2)]
    pub unpacked_bytes: u64,
    /// Members of archives that are looked at, over all levels.
    #[n(3)]
    pub members: u64,
    /// Archives within archives: 1 reads the members of an archive only.
    #[n(4)]
    pub depth: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { input_bytes: 32 << 20, text_bytes: 1 << 20, unpacked_bytes: 128 << 20, members: 1_000, depth: 3 }
    }
}

/// What a document says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Extracted {
    /// Its text: words separated by single spaces, lines and cells by `\n`, no control characters.
    #[n(0)]
    pub text: String,
    /// Statements about it, where the format has them: `title`, `author`, `subject`, `keywords`, `company`, `description`.
    #[n(1)]
    pub fields: Vec<(String, String)>,
    /// There is more than `text` holds: it met its bound, or a part of the document could not be read.
    #[n(2)]
    pub truncated: bool,
}

/// Why a document has no text.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum ExtractError {
    /// Not a format that is read; the text names it. Not a fault: most images end here.
    #[n(0)]
    #[error("not a format whose text is read: {0}")]
    Unsupported(#[n(0)] String),
    /// It needs a password.
    #[n(1)]
    #[error("encrypted")]
    Encrypted,
    /// It is not what it claims to be, or broken before its first word.
    #[n(2)]
    #[error("malformed: {0}")]
    Malformed(#[n(0)] String),
    /// Larger than a stated bound, or it would unpack to more.
    #[n(3)]
    #[error("too large: {0}")]
    TooLarge(#[n(0)] String),
    /// Its worker died or was killed over it. Trying again is useless.
    #[n(4)]
    #[error("the worker {0}")]
    Killed(#[n(0)] Killed),
    /// Too many documents wait already; try later.
    #[n(5)]
    #[error("too many documents wait")]
    Busy,
    /// No worker can be had; the text says why. Every document will end like this until an operator acts.
    #[n(6)]
    #[error("no worker: {0}")]
    NoWorker(#[n(0)] String),
}

/// How a worker ended over a document.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum Killed {
    /// The time for one document ran out.
    #[n(0)]
    #[error("was killed: time ran out")]
    Timeout,
    /// It tried what its cage forbids (opening a file or socket, starting a program).
    #[n(1)]
    #[error("was killed: it tried what it may not")]
    Forbidden,
    /// It died: out of memory or stack, or of a fault. The text has the signal and its last words.
    #[n(2)]
    #[error("died: {0}")]
    Died(#[n(0)] String),
    /// It answered something that is no answer.
    #[n(3)]
    #[error("was killed: {0}")]
    Protocol(#[n(0)] String),
}
