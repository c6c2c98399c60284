//! The inner API's errors in POP3's words (RFC 2449 §8, RFC 3206), and how conversations end.

use zcluster_api::Error;
use zcluster_auth::AuthError;
use zcluster_listener::{ReadError, WriteError};

/// A `-ERR` line's text, with its response code.
pub type Refusal = String;

/// Why a command has no `+OK`, or none that ends well.
#[derive(Debug)]
pub enum Failure {
    /// Say so and go on.
    Refused(Refusal),
    /// The connection cannot be used any more (or must not, because a response was left unfinished).
    Ended,
}

/// What a command ends in: whether the conversation goes on.
pub type Outcome = Result<Next, Failure>;

/// What comes after a command that was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The next command.
    Command,
    /// Goodbye was said.
    Close,
}

impl From<Error> for Failure {
    fn from(e: Error) -> Self {
        Failure::Refused(refusal(&e))
    }
}
impl From<WriteError> for Failure {
    fn from(_: WriteError) -> Self {
        Failure::Ended
    }
}

/// A refusal from its text.
pub fn refused(text: impl Into<String>) -> Failure {
    Failure::Refused(text.into())
}

/// An API error as a `-ERR` text. `[SYS/TEMP]` lets a client try again, `[SYS/PERM]` asks for help (RFC 3206 §4).
pub fn refusal(error: &Error) -> Refusal {
    match error {
        Error::NotFound(what) => format!("no such {}", clean(what)),
        Error::Exists(what) => format!("{} exists already", clean(what)),
        Error::Denied(why) => format!("[SYS/PERM] permission denied: {}", clean(why)),
        Error::QuotaExceeded => "over quota".into(),
        Error::Conflict(why) => format!("[SYS/TEMP] conflict: {}", clean(why)),
        Error::TooLarge(what) => format!("too large: {}", clean(what)),
        Error::Invalid(why) => format!("invalid: {}", clean(why)),
        Error::Unavailable(_) => "[SYS/TEMP] mailbox is not available now, try again later".into(),
        Error::Internal(why) => {
            tracing::error!(error = %why, "internal error while serving a mailbox");
            "[SYS/PERM] internal error".into()
        }
        // Routers resolve it; one that comes through means that a move is under way.
        Error::WrongHome { .. } => "[SYS/TEMP] mailbox is moving, try again later".into(),
    }
}

/// A failed sign-in as a `-ERR` text (RFC 3206 §4: `AUTH` is about credentials, `SYS/TEMP` is not).
pub fn auth_refusal(error: &AuthError) -> Refusal {
    match error {
        AuthError::Invalid => "[AUTH] invalid user name or password".into(),
        AuthError::Disabled(status) if status == "maintenance" => {
            "[SYS/TEMP] account is under maintenance, try again later".into()
        }
        // Other credentials would not help, but somebody who is asked may (RFC 3206 §4).
        AuthError::Disabled(status) => format!("[SYS/PERM] account is {}", clean(status)),
        AuthError::SwitchedOff => "[SYS/PERM] POP3 is not enabled for this account".into(),
        AuthError::ChangePassword => "[AUTH] the password has expired and must be changed".into(),
        AuthError::CodeRequired | AuthError::SetupRequired => "[AUTH] a second factor is required".into(),
        AuthError::TryLater => "[SYS/TEMP] temporary authentication failure, try again later".into(),
    }
}

/// Text that cannot break a response line.
fn clean(text: &str) -> String {
    const TEXT_MAX: usize = 200;
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TEXT_MAX).collect()
}

/// What a client is told when nothing more can be read, if anything (RFC 1939 §3: after a timeout nothing is said).
pub fn parting(error: &ReadError) -> Option<&'static str> {
    match error {
        ReadError::Shutdown => Some("[SYS/TEMP] shutting down, try again later"),
        ReadError::TooLong(_) => Some("line too long"),
        ReadError::Eof | ReadError::Timeout | ReadError::Injected | ReadError::Io(_) => None,
    }
}
