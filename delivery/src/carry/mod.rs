//! Carrying the outbox: to mailboxes here, or to other hosts through a [`Relay`]; and telling senders what became of it.

mod lists;
mod local;
mod report;
mod schedule;
mod site;
pub mod srs;
pub mod transport;

use crate::deliverer::Deliverer;
use bytes::Bytes;
use futures::future::BoxFuture;
use site::Site;
use std::collections::BTreeMap;
use std::sync::Arc;
use transport::Transport;
use zcluster_api::delivery::OutgoingKind;
use zcluster_api::queue::{Terms, domain_of};
use zcluster_api::{Carried, Carrier, Letter};
use zcluster_runtime::wall_ms;

/// Hosts that a message may have come through; more of them are a loop (RFC 5321 §6.3; Postfix's `hopcount_limit`).
const HOPS_MAX: usize = 50;

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
    /// It is about this cluster or this node, and may be over in a moment.
    pub near: bool,
}

impl Failure {
    /// For good.
    pub fn permanent(status: &str, text: impl Into<String>) -> Self {
        Failure { permanent: true, status: status.into(), text: text.into(), host: None, near: false }
    }
    /// For now.
    pub fn temporary(status: &str, text: impl Into<String>) -> Self {
        Failure { permanent: false, status: status.into(), text: text.into(), host: None, near: false }
    }
    /// For a moment.
    pub fn near(status: &str, text: impl Into<String>) -> Self {
        Failure { near: true, ..Failure::temporary(status, text) }
    }
}

/// How a recipient got a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// The other host; none: a mailbox here.
    pub host: Option<String>,
    /// Its reply.
    pub text: String,
    /// It took over to report on it (RFC 3461 §5.2.2).
    pub reports: bool,
}

/// What became of each recipient.
pub type Results = Vec<(String, Result<Taken, Failure>)>;

/// A message for other hosts.
#[derive(Clone, Debug)]
pub struct Parcel<'a> {
    /// Reverse-path; empty is the null one.
    pub sender: String,
    /// Forward-paths.
    pub recipients: Vec<String>,
    /// The way that an account or a domain names (`zimbraMailTransport`); none: the relay finds it.
    pub via: Option<Transport>,
    /// What the sender asked for.
    pub terms: Option<&'a Terms>,
    /// The bytes.
    pub raw: Bytes,
}

/// Hands messages to other hosts.
pub trait Relay: Send + Sync + 'static {
    /// Tries once; a result for each recipient.
    fn send<'a>(&'a self, parcel: Parcel<'a>) -> BoxFuture<'a, Results>;
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

    async fn try_all(&self, letter: &Letter, site: &Site) -> Results {
        if zcluster_mail::fields(&letter.raw).filter(|f| f.is("Received")).count() > HOPS_MAX {
            let failure = Failure::permanent("5.4.6", "too many hops: a mail loop");
            return letter.message.recipients.iter().map(|r| (r.clone(), Err(failure.clone()))).collect();
        }
        let (mut results, mut elsewhere) = (Results::new(), BTreeMap::<Option<Transport>, Vec<String>>::new());
        for recipient in &letter.message.recipients {
            match local::place(&self.deliverer, recipient).await {
                local::Place::Account(account) => {
                    let result = local::hand_over(&self.deliverer, letter, recipient, account).await;
                    results.push((recipient.clone(), result.map(|()| Taken::default())));
                }
                local::Place::List(list) => {
                    let result = Box::pin(lists::spread(&self.deliverer, letter, recipient, &list)).await;
                    results.push((recipient.clone(), result.map(|()| Taken::default())));
                }
                local::Place::Nobody(failure) => results.push((recipient.clone(), Err(failure))),
                local::Place::Elsewhere(via) => elsewhere.entry(via).or_default().push(recipient.clone()),
            }
        }
        if elsewhere.is_empty() {
            return results;
        }
        let (sender, raw) = (self.sender(letter, site).await, self.signed(letter).await);
        for (via, recipients) in elsewhere {
            let terms = letter.message.terms.as_deref();
            let parcel = Parcel { sender: sender.clone(), recipients, via, terms, raw: raw.clone() };
            results.extend(self.relay(parcel).await);
        }
        results
    }

    async fn relay(&self, parcel: Parcel<'_>) -> Results {
        match &self.relay {
            Some(relay) => relay.send(parcel).await,
            None => {
                let failure = Failure::temporary("4.4.4", "this node has no way to other hosts");
                parcel.recipients.into_iter().map(|r| (r, Err(failure.clone()))).collect()
            }
        }
    }

    /// The reverse-path that other hosts see: what is sent on for somebody else goes under an address of ours (SRS),
    /// which SPF allows us, and from which a report finds its way back.
    async fn sender(&self, letter: &Letter, site: &Site) -> String {
        let message = &letter.message;
        let (Some(srs), OutgoingKind::Redirect, false) = (&site.srs, message.kind, message.sender.is_empty()) else {
            return message.sender.clone();
        };
        if local::is_ours(&self.deliverer, domain_of(&message.sender)).await {
            return message.sender.clone();
        }
        // The address that sends on, as the message says of itself.
        let owner = zcluster_mail::fields(&letter.raw).find(|f| f.is("Delivered-To"));
        let owner = owner.map(|f| String::from_utf8_lossy(f.value).trim().to_lowercase()).unwrap_or_default();
        let domain = site.srs_domain.clone().unwrap_or_else(|| domain_of(&owner).to_string());
        srs.forward(&message.sender, &domain, wall_ms()).unwrap_or_else(|| message.sender.clone())
    }

    /// What this cluster writes itself is signed on its way out; what users submit was when they did.
    async fn signed(&self, letter: &Letter) -> Bytes {
        match letter.message.kind {
            OutgoingKind::Vacation | OutgoingKind::Notify | OutgoingKind::Reject | OutgoingKind::Report => {
                self.deliverer.signed(&letter.raw).await
            }
            OutgoingKind::Redirect | OutgoingKind::Submitted | OutgoingKind::Relayed => letter.raw.clone(),
        }
    }
}

impl Carrier for Courier {
    fn carry(&self, letter: Letter) -> BoxFuture<'_, Carried> {
        Box::pin(async move {
            let site = Site::of(&self.deliverer).await;
            let results = self.try_all(&letter, &site).await;
            for (recipient, result) in &results {
                note(&letter, recipient, result);
            }
            let carried = schedule::settle(&letter, results, wall_ms(), &site.times, &self.deliverer.config().hostname);
            for (name, count) in [("done", carried.done.len()), ("reports", carried.reports.len())] {
                metrics::counter!("zcluster_outbox_total", "what" => name).increment(count as u64);
            }
            carried
        })
    }
}

/// A line for each recipient, as Postfix's: who looks for a message finds what became of it.
fn note(letter: &Letter, recipient: &str, result: &Result<Taken, Failure>) {
    let message = &letter.message;
    let id = format!("{}.{}", letter.group.0, message.number);
    let (sender, attempts) = (&message.sender, message.attempts);
    match result {
        Ok(taken) => {
            let host = taken.host.as_deref().unwrap_or("mailbox");
            tracing::info!(id, from = sender, to = recipient, host, attempts, kind = ?message.kind, reply = taken.text, "sent");
        }
        Err(f) => {
            let (host, status) =
                (f.host.as_deref().unwrap_or("none"), if f.permanent { "bounced" } else { "deferred" });
            tracing::info!(id, from = sender, to = recipient, host, attempts, kind = ?message.kind, code = f.status, reply = f.text, "{status}");
        }
    }
}
