//! The three services as listener protocols.

use crate::config::SmtpConfig;
use crate::defence::Defence;
use crate::dns::Dns;
use crate::incoming::Budget;
use crate::session::Session;
use futures::future::BoxFuture;
use std::sync::Arc;
use zcluster_api::{DirectoryApi, MailboxApi};
use zcluster_auth::Authenticator;
use zcluster_delivery::Deliverer;
use zcluster_listener::{Connection, Protocol, Refusal};
use zcluster_screen::Screen;

/// Which conversation is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// RFC 2033: from an MTA, a reply for each recipient.
    Lmtp,
    /// RFC 5321: from anybody, for local recipients.
    Mx,
    /// RFC 6409: from users, who must sign in.
    Submission,
}

impl Service {
    /// Its name in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Service::Lmtp => "lmtp",
            Service::Mx => "smtp",
            Service::Submission => "submission",
        }
    }
}

/// What the services stand on; clones share it.
#[derive(Clone)]
pub struct Backend {
    /// What brings messages into mailboxes: one for all services of a node.
    pub delivery: Arc<Deliverer>,
    /// Who there is.
    pub directory: Arc<dyn DirectoryApi>,
    /// Who may submit.
    pub authenticator: Arc<Authenticator>,
    /// Memory for messages on their way in: one for all services of a node.
    pub budget: Budget,
    /// What deals with strangers.
    pub edge: Edge,
}

/// What the services have at the edge of a site, each part of it as far as there is one; clones share it.
#[derive(Clone, Default)]
pub struct Edge {
    /// What is remembered of clients.
    pub defence: Arc<Defence>,
    /// The DNS; without it nothing is asked there.
    pub dns: Option<Arc<dyn Dns>>,
    /// What looks at messages before they are taken.
    pub screen: Option<Arc<dyn Screen>>,
    /// Where quotas are looked up and BURL's messages read; without it neither is done.
    pub mailboxes: Option<Arc<dyn MailboxApi>>,
}

/// One service.
pub struct Smtp {
    pub(crate) service: Service,
    pub(crate) config: SmtpConfig,
    pub(crate) backend: Backend,
}

impl Smtp {
    /// LMTP (RFC 2033).
    pub fn lmtp(config: SmtpConfig, backend: Backend) -> Arc<Self> {
        Self::new(Service::Lmtp, config, backend)
    }

    /// SMTP for local recipients, port 25 (RFC 5321).
    pub fn mx(config: SmtpConfig, backend: Backend) -> Arc<Self> {
        Self::new(Service::Mx, config, backend)
    }

    /// Submission, ports 587 and 465 (RFC 6409, RFC 8314).
    pub fn submission(config: SmtpConfig, backend: Backend) -> Arc<Self> {
        Self::new(Service::Submission, config, backend)
    }

    fn new(service: Service, config: SmtpConfig, backend: Backend) -> Arc<Self> {
        Arc::new(Smtp { service, config, backend })
    }
}

impl Protocol for Smtp {
    fn name(&self) -> &'static str {
        self.service.name()
    }

    fn serve(self: Arc<Self>, connection: Connection) -> BoxFuture<'static, ()> {
        Box::pin(Session::new(self, connection).run())
    }

    fn refuse_text(&self, why: Refusal) -> String {
        let text = match why {
            Refusal::TooMany | Refusal::TooManyFromAddress => "too many connections, try again later",
            Refusal::ShuttingDown => "shutting down",
        };
        format!("421 4.3.2 {} {text}\r\n", self.config.hostname)
    }
}
