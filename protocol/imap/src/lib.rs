//! IMAP4rev1 (RFC 3501) and the extensions that mail programs use, over the inner API.
//!
//! Rooms: [`codec`] (bytes <-> types, no I/O), `session` (the conversation's state and the view of the selected
//! mailbox), `commands` (one file per verb), `errors` (the inner API's errors in IMAP's words).

pub mod codec;
mod commands;
mod config;
mod errors;
mod session;

pub use config::ImapConfig;

use futures::future::BoxFuture;
use std::sync::Arc;
use tokio::sync::Semaphore;
use zcluster_api::{DirectoryApi, MailboxApi};
use zcluster_auth::Authenticator;
use zcluster_listener::{Connection, Protocol, Refusal};

/// The IMAP service: serves each connection that a listener admits.
pub struct Imap {
    mailboxes: Arc<dyn MailboxApi>,
    directory: Arc<dyn DirectoryApi>,
    authenticator: Arc<Authenticator>,
    config: ImapConfig,
    /// Room for messages under way into APPEND, in KiB.
    append_memory: Arc<Semaphore>,
}

impl Imap {
    /// A service over the cluster's mailboxes. Accounts sign in by `authenticator`; the directory tells of others, whose
    /// folders may be shared and whom a URL names.
    pub fn new(
        mailboxes: Arc<dyn MailboxApi>,
        directory: Arc<dyn DirectoryApi>,
        authenticator: Arc<Authenticator>,
        config: ImapConfig,
    ) -> Self {
        // One message of the largest size must fit, rounded up to a step, beside what others of its command have become.
        let beside = 1024 * 1024 + zcluster_api::mailbox::ADD_BYTES_MAX as u64;
        let bytes = config.append_memory_bytes.max(config.append_bytes_max.saturating_add(beside));
        let kib = usize::try_from(bytes / 1024).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Imap { mailboxes, directory, authenticator, config, append_memory: Arc::new(Semaphore::new(kib)) }
    }
}

impl Protocol for Imap {
    fn name(&self) -> &'static str {
        "imap"
    }

    fn serve(self: Arc<Self>, connection: Connection) -> BoxFuture<'static, ()> {
        Box::pin(session::serve(self, connection))
    }

    fn refuse_text(&self, why: Refusal) -> String {
        match why {
            Refusal::TooMany => "* BYE [UNAVAILABLE] too many connections, try again later\r\n",
            Refusal::TooManyFromAddress => "* BYE [LIMIT] too many connections from your address\r\n",
            Refusal::ShuttingDown => "* BYE [UNAVAILABLE] server is shutting down\r\n",
        }
        .to_string()
    }
}
