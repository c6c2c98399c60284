//! The inner API's errors in ManageSieve's words (RFC 5804 §1.3), and how conversations end.

use crate::codec::reply::{Code, Reply};
use crate::config::TEXT_CHARS_MAX;
use zcluster_api::Error;
use zcluster_auth::AuthError;
use zcluster_listener::{ReadError, WriteError};

/// How a conversation ends.
#[derive(Debug)]
pub enum End {
    /// The last answer was given.
    Over,
    /// There is nobody to talk to any more.
    Lost,
    /// With a `BYE` that no command asked for.
    Bye(Reply),
}

/// Why a command does not end in `OK`.
#[derive(Debug)]
pub enum Failure {
    /// Say so and go on.
    Refused(Reply),
    /// The conversation ends.
    End(End),
}

/// What a command ends in.
pub type Outcome = Result<Reply, Failure>;

impl From<Error> for Failure {
    fn from(e: Error) -> Self {
        Failure::Refused(refusal(&e))
    }
}
impl From<End> for Failure {
    fn from(e: End) -> Self {
        Failure::End(e)
    }
}
impl From<WriteError> for Failure {
    fn from(_: WriteError) -> Self {
        Failure::End(End::Lost)
    }
}
impl From<ReadError> for End {
    fn from(e: ReadError) -> Self {
        match e {
            ReadError::Shutdown => End::Bye(Reply::bye("shutting down, try again later").with(Code::TryLater)),
            ReadError::Timeout => End::Bye(Reply::bye("silent for too long")),
            ReadError::TooLong(_) | ReadError::Eof | ReadError::Injected | ReadError::Io(_) => End::Lost,
        }
    }
}

/// A plain refusal.
pub fn refused(text: impl Into<String>) -> Failure {
    Failure::Refused(Reply::no(text))
}

/// A refusal with a response code.
pub fn refused_with(code: Code, text: impl Into<String>) -> Failure {
    Failure::Refused(Reply::no(text).with(code))
}

/// An API error as an answer. What a missing or present thing means is for the commands to say.
pub fn refusal(error: &Error) -> Reply {
    match error {
        Error::NotFound(what) => Reply::no(format!("no such {}", clean(what))),
        Error::Exists(what) => Reply::no(format!("{} exists already", clean(what))),
        Error::Denied(why) => Reply::no(format!("permission denied: {}", clean(why))),
        Error::QuotaExceeded => Reply::no("over quota").with(Code::Quota),
        Error::Conflict(why) => Reply::no(format!("conflict: {}", clean(why))),
        Error::TooLarge(what) => Reply::no(format!("too large: {}", clean(what))).with(Code::Quota),
        Error::Invalid(why) => Reply::no(format!("invalid: {}", clean(why))),
        Error::Unavailable(_) => Reply::no("the mailbox is not available now, try again later").with(Code::TryLater),
        Error::Internal(why) => {
            tracing::error!(error = %why, "internal error while serving scripts");
            Reply::no("internal error")
        }
        // Routers resolve it; one that comes through means that a move is under way.
        Error::WrongHome { .. } => Reply::no("the mailbox is moving, try again later").with(Code::TryLater),
    }
}

/// A failed sign-in as an answer.
pub fn auth_refusal(error: &AuthError) -> Reply {
    match error {
        AuthError::Invalid => Reply::no("invalid user name or password"),
        AuthError::Disabled(status) => Reply::no(format!("the account is {}", clean(status))),
        AuthError::SwitchedOff => Reply::no("managing scripts is switched off for this account"),
        AuthError::ChangePassword => Reply::no("the password has expired and must be changed"),
        AuthError::CodeRequired | AuthError::SetupRequired => Reply::no("a second factor is required"),
        AuthError::TryLater => Reply::no("temporary authentication failure, try again later").with(Code::TryLater),
    }
}

/// Text from elsewhere as part of a line.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TEXT_CHARS_MAX).collect()
}
