//! ManageSieve (RFC 5804): a user's Sieve scripts, listed, read, checked, stored, switched on and off.
//!
//! Scripts live in the mailbox they are about; this crate speaks the protocol and lets `zcluster-sieve` say whether a
//! script makes sense before it is stored or switched on. Capabilities beyond the obligatory ones: `STARTTLS`,
//! `MAXREDIRECTS`, `NOTIFY`, `LANGUAGE`, `OWNER` and `UNAUTHENTICATE`.
//!
//! Nothing that a client sends is kept beyond the bounds in `config`: what is too long is read over, so that the
//! session stays in step, and answered with `NO`.

mod codec;
mod commands;
mod config;
mod errors;
mod session;

pub use config::Config;

use codec::reply::{Code, Reply};
use futures::future::BoxFuture;
use std::sync::Arc;
use zcluster_api::{AccountId, Actor, Call, MailboxApi, RequestId};
use zcluster_auth::Authenticator;
use zcluster_listener::{Connection, Protocol, Refusal};

/// The service behind ManageSieve ports.
pub struct ManageSieve {
    mailboxes: Arc<dyn MailboxApi>,
    authenticator: Arc<Authenticator>,
    config: Config,
}

impl ManageSieve {
    /// A service that signs in with `authenticator` and keeps scripts in `mailboxes`.
    pub fn new(mailboxes: Arc<dyn MailboxApi>, authenticator: Arc<Authenticator>, config: Config) -> Self {
        ManageSieve { mailboxes, authenticator, config }
    }

    /// A call on an account's behalf. Its request id is drawn here, once per command: the router's retries repeat it.
    fn call<T>(&self, account: AccountId, body: T) -> Call<T> {
        let request = RequestId(zcluster_runtime::random_bytes());
        Call { actor: Actor::Account(account), account, request, timeout: self.config.call_timeout, body }
    }
}

impl Protocol for ManageSieve {
    fn name(&self) -> &'static str {
        "managesieve"
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
        Reply::bye(text).with(Code::TryLater).to_string()
    }
}
