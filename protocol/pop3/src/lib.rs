//! POP3 (RFC 1939) with CAPA (RFC 2449), STLS (RFC 2595), SASL (RFC 5034), response codes (RFC 2449, RFC 3206) and
//! UTF8 (RFC 6856).
//!
//! A session sees the Inbox (and, where `zimbraPrefPop3IncludeSpam` says so, the Junk folder behind it) as it
//! was at sign-in. Nothing is locked: messages are named by UID, so what other sessions do meanwhile can only make a
//! message go away earlier. DELE takes effect at QUIT, as `zimbraPrefPop3DeleteOption` says; QUIT also marks as read what
//! was retrieved. Messages stream from the shard to the client in bounded memory.
//!
//! Sizes in STAT, LIST and RETR are those of the messages as stored. A message that came in with bare line feeds (only
//! IMAP's APPEND takes such) is sent with CRLF, so a few octets more arrive than were told: counting them would mean to
//! read every body at LIST, and clients are told by RFC 1939 §11 to look for the final dot.

mod codec;
mod commands;
mod config;
mod delay;
mod errors;
mod session;

pub use config::Config;

use delay::Delays;
use futures::future::BoxFuture;
use std::sync::Arc;
use zcluster_api::MailboxApi;
use zcluster_auth::Authenticator;
use zcluster_listener::{Connection, Protocol, Refusal};

/// The service behind POP3 ports.
pub struct Pop3 {
    mailboxes: Arc<dyn MailboxApi>,
    authenticator: Arc<Authenticator>,
    config: Config,
    delays: Delays,
}

impl Pop3 {
    /// A service that signs in with `authenticator` and serves `mailboxes`.
    pub fn new(mailboxes: Arc<dyn MailboxApi>, authenticator: Arc<Authenticator>, config: Config) -> Self {
        Pop3 { mailboxes, authenticator, config, delays: Delays::default() }
    }
}

impl Protocol for Pop3 {
    fn name(&self) -> &'static str {
        "pop3"
    }

    fn serve(self: Arc<Self>, connection: Connection) -> BoxFuture<'static, ()> {
        Box::pin(session::serve(self, connection))
    }

    fn refuse_text(&self, why: Refusal) -> String {
        let text = match why {
            Refusal::TooMany => "too many connections, try again later",
            Refusal::TooManyFromAddress => "too many connections from your address",
            Refusal::ShuttingDown => "shutting down, try again later",
        };
        format!("-ERR [SYS/TEMP] {text}\r\n")
    }
}
