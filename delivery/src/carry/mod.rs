//! Carrying the outbox: to mailboxes here, or to other hosts through a [`Relay`]; and telling senders what became of it.

mod local;
mod report;
mod schedule;

use crate::deliverer::Deliverer;
use futures::future::BoxFuture;
use std::sync::Arc;
use zcluster_api::{Carried, Carrier, Letter};
use zcluster_runtime::wall_ms;

/// Why a recipient did not get a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Nobody should try again.
    pub permanent: bool,
    /// Enhanced status code (RFC 3463), `5.1.1`.
    pub status: String,
    /// In words; the other host's reply when there was one.
    pub text: String,
    /// The host that said so.
    pub host: Option<String>,
}

impl Failure {
    /// For good.
    pub fn permanent(status: &str, text: impl Into<String>) -> Self {
        Failure { permanent: true, status: status.into(), text: text.into(), host: None }
    }
    /// For now.
    pub fn temporary(status: &str, text: impl Into<String>) -> Self {
        Failure { permanent: false, status: status.into(), text: text.into(), host: None }
    }
}

/// What became of each recipient.
pub type Results = Vec<(String, Result<(), Failure>)>;

/// Hands messages to other hosts.
pub trait Relay: Send + Sync + 'static {
    /// Tries once; a result for each recipient.
    fn send<'a>(&'a self, sender: &'a str, recipients: Vec<String>, raw: bytes::Bytes) -> BoxFuture<'a, Results>;
}

/// The carrier of a node.
pub struct Courier {
    deliverer: Arc<Deliverer>,
    relay: Option<Arc<dyn Relay>>,
}

impl Courier {
    /// Carries to mailboxes by `deliverer` and elsewhere by `relay`; without one, messages for elsewhere wait until they
    /// are too old.
    pub fn new(deliverer: Arc<Deliverer>, relay: Option<Arc<dyn Relay>>) -> Arc<Self> {
        Arc::new(Courier { deliverer, relay })
    }

    async fn try_all(&self, letter: &Letter) -> Results {
        let (mut results, mut elsewhere) = (Results::new(), Vec::new());
        for recipient in &letter.message.recipients {
            match local::place(&self.deliverer, recipient).await {
                local::Place::Account(account) => {
                    let result = local::hand_over(&self.deliverer, letter, recipient, account).await;
                    results.push((recipient.clone(), result));
                }
                local::Place::Nobody(failure) => results.push((recipient.clone(), Err(failure))),
                local::Place::Elsewhere => elsewhere.push(recipient.clone()),
            }
        }
        if !elsewhere.is_empty() {
            results.extend(self.relay(letter, elsewhere).await);
        }
        results
    }

    async fn relay(&self, letter: &Letter, recipients: Vec<String>) -> Results {
        match &self.relay {
            Some(relay) => relay.send(&letter.message.sender, recipients, letter.raw.clone()).await,
            None => {
                let failure = Failure::temporary("4.4.4", "no way to other hosts is configured (zimbraMtaRelayHost)");
                recipients.into_iter().map(|r| (r, Err(failure.clone()))).collect()
            }
        }
    }
}

impl Carrier for Courier {
    fn carry(&self, letter: Letter) -> BoxFuture<'_, Carried> {
        Box::pin(async move {
            let results = self.try_all(&letter).await;
            let carried = schedule::settle(&letter, results, wall_ms(), &self.deliverer.config().hostname);
            for (name, count) in [("done", carried.done.len()), ("reports", carried.reports.len())] {
                metrics::counter!("zcluster_outbox_total", "what" => name).increment(count as u64);
            }
            tracing::info!(
                shard = letter.group.0,
                number = letter.message.number,
                kind = ?letter.message.kind,
                done = carried.done.len(),
                left = letter.message.recipients.len() - carried.done.len(),
                note = %carried.note,
                "outgoing message tried"
            );
            carried
        })
    }
}
