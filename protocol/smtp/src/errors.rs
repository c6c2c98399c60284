//! Our errors in SMTP's words.

use crate::codec::{Reply, SyntaxError};
use crate::config::SmtpConfig;
use crate::incoming::Problem;
use zcluster_api::Error;
use zcluster_auth::{AuthError, SaslError};

/// A failed delivery or lookup. What is our own fault or may pass is temporary: the sender keeps the message.
pub fn api(error: &Error, config: &SmtpConfig) -> Reply {
    match error {
        Error::NotFound(_) => Reply::new(550, "5.1.1", "no such user here"),
        Error::Denied(_) => Reply::new(550, "5.7.1", "delivery not authorized"),
        Error::QuotaExceeded if config.quota_failure_permanent => full_for_good(),
        Error::QuotaExceeded => Reply::new(452, "4.2.2", "mailbox is full"),
        Error::TooLarge(_) => Reply::new(552, "5.3.4", "message too large for this mailbox"),
        Error::Exists(_)
        | Error::Conflict(_)
        | Error::Invalid(_)
        | Error::Unavailable(_)
        | Error::Internal(_)
        | Error::WrongHome { .. } => Reply::new(451, "4.3.0", "mailbox temporarily unavailable, try again later"),
    }
}

/// A message that cannot be queued.
pub fn queue(error: &Error) -> Reply {
    match error {
        Error::TooLarge(_) => Reply::new(452, "4.3.1", "too many messages are waiting to be sent, try again later"),
        Error::Invalid(_) => Reply::new(550, "5.1.3", "an address that cannot be sent to"),
        _ => Reply::new(451, "4.3.0", "cannot queue the message now, try again later"),
    }
}

/// A mailbox that is full, where that is a reason to send the message back.
pub fn full_for_good() -> Reply {
    Reply::new(552, "5.2.2", "mailbox is full")
}

/// Whether an error of the inner API shows a fault of ours that somebody should look at.
pub fn is_our_fault(error: &Error) -> bool {
    match error {
        Error::Exists(_) | Error::Conflict(_) | Error::Invalid(_) | Error::Internal(_) | Error::WrongHome { .. } => {
            true
        }
        Error::NotFound(_) | Error::Denied(_) | Error::QuotaExceeded | Error::TooLarge(_) | Error::Unavailable(_) => {
            false
        }
    }
}

/// A message refused for its own sake.
pub fn problem(problem: Problem) -> Reply {
    match problem {
        Problem::TooLarge => Reply::new(552, "5.3.4", "message is larger than allowed"),
        Problem::NoRoom => Reply::new(452, "4.3.1", "too many messages in transit, try again later"),
        Problem::BareLf => Reply::new(554, "5.6.0", "message has a bare LF: lines must end with CR LF"),
        Problem::Nul => Reply::new(554, "5.6.0", "message has a NUL character"),
        Problem::LongLine => Reply::new(554, "5.6.0", "message has a line that is too long"),
        Problem::Loop => Reply::new(554, "5.4.6", "message has passed too many hosts: mail loop"),
    }
}

/// A line that was not understood.
pub fn syntax(error: SyntaxError) -> Reply {
    match error {
        SyntaxError::Characters => Reply::new(500, "5.5.2", "command has characters that are not allowed"),
        SyntaxError::Unknown => Reply::new(500, "5.5.1", "command not recognized"),
        SyntaxError::NotOffered => Reply::new(502, "5.5.1", "command not implemented"),
        SyntaxError::Http => Reply::new(421, "4.7.0", "this is not a web server"),
        SyntaxError::Usage(usage) => Reply::new(501, "5.5.4", format!("syntax: {usage}")),
        SyntaxError::ReversePath => Reply::new(501, "5.1.7", "bad sender address, expected <local@domain> or <>"),
        SyntaxError::ForwardPath => Reply::new(501, "5.1.3", "bad recipient address, expected <local@domain>"),
        SyntaxError::NeedsUtf8 => Reply::new(553, "5.6.7", "address needs the SMTPUTF8 parameter"),
        SyntaxError::UnknownParameter => Reply::new(555, "5.5.4", "parameter not supported"),
        SyntaxError::BadParameter => Reply::new(501, "5.5.4", "bad parameter value"),
    }
}

/// RFC 4954 §6.
pub fn sasl(error: &SaslError) -> Reply {
    match error {
        SaslError::Unsupported => Reply::new(504, "5.5.4", "authentication mechanism not supported"),
        SaslError::PrivacyRequired => Reply::new(538, "5.7.11", "encryption required: say STARTTLS first"),
        SaslError::Cancelled => Reply::new(501, "5.7.0", "authentication cancelled"),
        SaslError::Malformed => Reply::new(501, "5.5.2", "malformed authentication response"),
        SaslError::Refused(error) => auth(error),
    }
}

/// RFC 4954 §6.
fn auth(error: &AuthError) -> Reply {
    match error {
        AuthError::Invalid => Reply::new(535, "5.7.8", "authentication credentials invalid"),
        AuthError::Disabled(status) if status == "maintenance" => {
            Reply::new(454, "4.7.0", "account is under maintenance, try again later")
        }
        AuthError::Disabled(status) => Reply::new(535, "5.7.13", format!("account is {status}")),
        AuthError::SwitchedOff => Reply::new(535, "5.7.13", "submission is not enabled for this account"),
        AuthError::ChangePassword => Reply::new(535, "5.7.8", "password has expired and must be changed"),
        AuthError::CodeRequired | AuthError::SetupRequired => Reply::new(535, "5.7.8", "a second factor is required"),
        AuthError::TryLater => Reply::new(454, "4.7.0", "temporary authentication failure"),
    }
}
