//! What is to be done with a message.

use std::fmt;
use zcluster_api::Bytes;

/// How a run ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// In the order in which they were said, duplicates merged, with the implicit keep at the end if it stands; never
    /// empty.
    pub actions: Vec<Action>,
    /// Ids for [`crate::Context::seen`]: to be stored together with the delivery, dropped if that fails (RFC 7352 §3.4).
    pub remember: Vec<Remember>,
    /// What went wrong. The actions then are those of scripts before the failed one, and the implicit keep of the
    /// message as it came (RFC 5228 §2.10.6); nothing else that the failed script said is done.
    pub error: Option<RuntimeError>,
    /// Steps that the run took, of [`crate::Limits::instructions`].
    pub instructions: u64,
}

/// One thing to do. In `message` stand the bytes that a script made of the message; `None` means exactly as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Store in INBOX.
    Keep {
        /// IMAP flags and keywords as written: `\Seen`, `$label1`.
        flags: Vec<String>,
        /// The script did not say so.
        implicit: bool,
        /// Edited bytes.
        message: Option<Bytes>,
    },
    /// Store in another mailbox.
    FileInto {
        /// Which.
        target: Target,
        /// It did not cancel the implicit keep (RFC 3894).
        copy: bool,
        /// IMAP flags and keywords.
        flags: Vec<String>,
        /// Edited bytes.
        message: Option<Bytes>,
    },
    /// Send on (RFC 5228 §4.2).
    Redirect {
        /// `local@domain`.
        address: String,
        /// It did not cancel the implicit keep.
        copy: bool,
        /// Edited bytes.
        message: Option<Bytes>,
    },
    /// Refuse: at the protocol level if it can still be done and the reason is ASCII or the client takes UTF-8, else by
    /// a message ([`crate::render_reject`]); RFC 5429.
    Reject {
        /// For the sender; may have several lines.
        reason: String,
        /// `ereject`: prefers the protocol level. `reject` prefers a message.
        ereject: bool,
    },
    /// Drop silently: nothing else stores the message.
    Discard,
    /// Reply, unless that sender had this reply within the interval.
    Vacation(Vacation),
    /// Tell somebody.
    Notify(Notification),
}

/// Where to store: the first that exists of the id, the special use and the name; else, with `create`, a new mailbox of
/// that name (and special use), else INBOX.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Its name, UTF-8, as the script has it.
    pub mailbox: String,
    /// Its id (RFC 9042).
    pub mailbox_id: Option<String>,
    /// Its special use, such as `\Junk` (RFC 8579).
    pub special_use: Option<String>,
    /// Make it if it does not exist (RFC 5490 §3.2).
    pub create: bool,
}

/// Where to keep a copy of what is sent (RFC 8580).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fcc {
    /// Which mailbox.
    pub target: Target,
    /// IMAP flags and keywords.
    pub flags: Vec<String>,
}

/// A reply in absence (RFC 5230). All that its §4 asks of the message was found: it is to be sent unless `handle` was
/// answered to `to` within the interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vacation {
    /// To whom: the envelope's sender, `local@domain`.
    pub to: String,
    /// `From:`, an address with or without a name; not encoded.
    pub from: String,
    /// Replies with the same handle to the same sender are the same reply.
    pub handle: [u8; 32],
    /// Seconds within which the reply is not sent again; 0: always sent (RFC 6131 §2).
    pub interval_seconds: u64,
    /// `Subject:`, decoded.
    pub subject: String,
    /// What it says.
    pub body: ReplyBody,
    /// The message's id with its `<>`.
    pub in_reply_to: Option<String>,
    /// `References:`, ids with their `<>`, oldest first.
    pub references: Vec<String>,
    /// Keep a copy there.
    pub fcc: Option<Fcc>,
}

/// What a reply says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyBody {
    /// Text.
    Text(String),
    /// A MIME entity: header fields, empty line, body (RFC 5230 §4.8).
    Mime(String),
}

/// A notification by mail (RFC 5436).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notification {
    /// The URI that the script gave.
    pub method: String,
    /// Recipients of `To:`, `local@domain`.
    pub to: Vec<String>,
    /// Recipients of `Cc:`.
    pub cc: Vec<String>,
    /// Recipients that no field names.
    pub bcc: Vec<String>,
    /// `From:` if the script gave it; else the owner's address.
    pub from: String,
    /// 1 high, 2 normal, 3 low.
    pub importance: u8,
    /// `Subject:`, decoded.
    pub subject: String,
    /// The text.
    pub body: String,
    /// More header fields that the URI asks for: names that are safe, values decoded.
    pub headers: Vec<(String, String)>,
    /// For `Auto-Submitted: auto-notified; owner-email=` (RFC 5436 §2.7.1).
    pub owner: String,
    /// `:id` of the old `notify`, by which `denotify` finds it.
    pub id: Option<String>,
    /// Keep a copy there.
    pub fcc: Option<Fcc>,
}

/// An id that `duplicate` asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remember {
    /// The id, of a message and a handle.
    pub id: [u8; 32],
    /// For how long, seconds from now.
    pub seconds: u64,
}

/// Why a script failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeError {
    /// The included script's name; `None`: the script itself.
    pub script: Option<String>,
    /// Which one of `run_sequence`'s, from 0.
    pub number: usize,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
    /// One sentence.
    pub message: String,
}

impl fmt::Display for RuntimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(script) = &self.script {
            write!(f, "script \"{}\", ", crate::diagnostic::shown(script))?;
        }
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

/// Why evaluating stops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// With what went wrong; the place is added where it is known.
    Error(String),
    /// With its place.
    Placed(Box<RuntimeError>),
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Failure::Error(message)
    }
}
impl From<&str> for Failure {
    fn from(message: &str) -> Self {
        Failure::Error(message.into())
    }
}
