//! The inner API's errors in IMAP's words (RFC 5530, RFC 9051 §7.1, RFC 9208 §4.3).

use std::borrow::Cow;
use zcluster_api::Error;
use zcluster_listener::{ReadError, WriteError};

/// A tagged response: its text, with a response code at the front where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Done.
    Ok(Cow<'static, str>),
    /// Understood, but not done.
    No(Cow<'static, str>),
    /// Not understood, or not in this state.
    Bad(Cow<'static, str>),
    /// The command has answered by itself.
    Sent,
}

impl Reply {
    /// A word for metrics.
    pub fn outcome(&self) -> &'static str {
        match self {
            Reply::Ok(_) => "ok",
            Reply::No(_) => "no",
            Reply::Bad(_) => "bad",
            Reply::Sent => "ok",
        }
    }
}

/// Why a conversation is over.
#[derive(Debug)]
pub enum End {
    /// LOGOUT was answered, or a BYE was sent already.
    Over,
    /// The client is gone or does not read: nothing can be said any more.
    Lost,
    /// The client was silent for too long.
    Idle,
    /// The node stops.
    Shutdown,
    /// Nothing sensible can follow; the text tells the client why.
    Bye(&'static str),
    /// A response was begun that cannot be completed: only closing tells the client.
    Torn,
}

/// Why a command has no OK.
#[derive(Debug)]
pub enum Failure {
    /// A tagged NO or BAD.
    Reply(Reply),
    /// The inner API's error.
    Api(Error),
    /// The conversation is over.
    End(End),
}

/// What a command ends in.
pub type Answer = Result<Reply, Failure>;

impl Failure {
    /// A tagged NO.
    pub fn no(text: impl Into<Cow<'static, str>>) -> Self {
        Failure::Reply(Reply::No(text.into()))
    }
    /// A tagged BAD.
    pub fn bad(text: impl Into<Cow<'static, str>>) -> Self {
        Failure::Reply(Reply::Bad(text.into()))
    }
}

impl From<Error> for Failure {
    fn from(e: Error) -> Self {
        Failure::Api(e)
    }
}
impl From<End> for Failure {
    fn from(e: End) -> Self {
        Failure::End(e)
    }
}
impl From<WriteError> for Failure {
    fn from(e: WriteError) -> Self {
        Failure::End(e.into())
    }
}
impl From<ReadError> for Failure {
    fn from(e: ReadError) -> Self {
        Failure::End(e.into())
    }
}
impl From<WriteError> for End {
    fn from(e: WriteError) -> Self {
        tracing::debug!(error = %e, "cannot write to the client");
        End::Lost
    }
}
impl From<ReadError> for End {
    fn from(e: ReadError) -> Self {
        match e {
            ReadError::Timeout => End::Idle,
            ReadError::Shutdown => End::Shutdown,
            ReadError::TooLong(_) => End::Bye("line too long"),
            ReadError::Eof => End::Lost,
            ReadError::Injected => {
                tracing::info!("plain text sent behind STARTTLS");
                End::Lost
            }
            ReadError::Io(error) => {
                tracing::debug!(%error, "cannot read from the client");
                End::Lost
            }
        }
    }
}

/// The NO for an error of the inner API.
pub fn no(error: &Error) -> Reply {
    let text = match error {
        Error::NotFound(what) => format!("[NONEXISTENT] no such {what}"),
        Error::Exists(what) => format!("[ALREADYEXISTS] {what} exists already"),
        Error::Denied(why) => format!("[NOPERM] not allowed: {why}"),
        Error::QuotaExceeded => "[OVERQUOTA] mailbox is over its quota".into(),
        Error::Conflict(why) => format!("[INUSE] {why}"),
        Error::TooLarge(why) => format!("[LIMIT] too large: {why}"),
        Error::Invalid(why) => format!("[CANNOT] {why}"),
        Error::Unavailable(why) => {
            tracing::debug!(error = %why, "answering unavailable");
            "[UNAVAILABLE] temporarily unavailable, try again later".into()
        }
        Error::Internal(why) => {
            tracing::error!(error = %why, "internal error in an imap command");
            "[SERVERBUG] internal error".into()
        }
        Error::WrongHome { .. } => {
            tracing::warn!(%error, "a router let this through");
            "[UNAVAILABLE] temporarily unavailable, try again later".into()
        }
    };
    Reply::No(plain(text))
}

/// `text = 1*TEXT-CHAR`: 7-bit, no line breaks (RFC 3501 §9). Names from clients and errors may hold others.
pub fn plain(text: String) -> Cow<'static, str> {
    if text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return text.into();
    }
    text.chars().map(|c| if (' '..='~').contains(&c) { c } else { '?' }).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_one_plain_line() {
        assert_eq!(no(&Error::NotFound("folder ä\r\nx".into())), Reply::No("[NONEXISTENT] no such folder ???x".into()));
        assert_eq!(no(&Error::QuotaExceeded), Reply::No("[OVERQUOTA] mailbox is over its quota".into()));
        let secret = Reply::No("[SERVERBUG] internal error".into());
        assert_eq!(no(&Error::Internal("disk /x".into())), secret);
    }
}
