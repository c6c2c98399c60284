//! Handing one message over to its recipients' mailboxes.

use crate::errors;
use crate::service::{Service, Smtp};
use crate::session::Transaction;
use futures::stream::{self, StreamExt};
use tracing::Instrument;
use zcluster_api::{AccountId, Error, Result};
use zcluster_delivery::{Arrival, Fate, Identity, Peer, Recipient};
use zcluster_runtime::wall_ms;

/// Mailboxes written to at once for one message.
const CONCURRENT_MAX: usize = 16;

/// A message that was received and checked.
pub struct Mail {
    /// All of it, trace fields included.
    pub bytes: Vec<u8>,
    /// The hash of the bytes as received, when a repetition shall be recognised by them.
    pub content: Option<blake3::Hash>,
    /// Who brought it.
    pub peer: Peer,
    /// Who signed in to submit it.
    pub auth: Option<String>,
}

/// Delivers to each recipient's mailbox, each mailbox once; the results are in the order of the recipients.
pub async fn deliver(smtp: &Smtp, transaction: &Transaction, mail: Mail) -> Vec<Result<Fate>> {
    let Mail { bytes, content, peer, auth } = mail;
    let identity = content.map_or(Identity::None, Identity::Content);
    let (id, sender) = (transaction.id.clone(), transaction.sender.clone());
    let arrival = match Arrival::new(id, sender, bytes.into(), wall_ms() as i64, identity).await {
        // LMTP answers for each recipient; SMTP can say no only if there is no other.
        Ok(arrival) => {
            let refusable = smtp.service == Service::Lmtp || transaction.recipients.len() == 1;
            Arrival { peer, auth, refusable, ..arrival }
        }
        Err(error) => return vec![Err(error); transaction.recipients.len()],
    };
    // An account that is named twice gets the message once, under its first name.
    let mut first: Vec<(AccountId, &str)> = Vec::with_capacity(transaction.recipients.len());
    first.extend(transaction.recipients.iter().map(|r| (r.account, r.address.as_str())));
    first.sort_by_key(|(account, _)| *account);
    first.dedup_by_key(|(account, _)| *account);
    let mut deliveries = Vec::with_capacity(first.len());
    for (account, address) in &first {
        let span = tracing::info_span!("deliver", message = %transaction.id, %account);
        deliveries.push(add(smtp, &arrival, *account, address).instrument(span));
    }
    let results: Vec<Result<Fate>> = stream::iter(deliveries).buffered(CONCURRENT_MAX).collect().await;
    let result_of = |account: AccountId| {
        let at = first.binary_search_by_key(&account, |(account, _)| *account).ok();
        match at.and_then(|i| results.get(i)) {
            Some(result) => result.clone(),
            None => Err(Error::Internal("delivery without a result".into())),
        }
    };
    transaction.recipients.iter().map(|r| result_of(r.account)).collect()
}

async fn add(smtp: &Smtp, arrival: &Arrival, account: AccountId, address: &str) -> Result<Fate> {
    let result = smtp.backend.delivery.deliver(arrival, Recipient { account, address }).await;
    if let Err(error) = &result {
        if errors::is_our_fault(error) {
            tracing::error!(%error, "delivery failed");
        } else {
            tracing::info!(%error, "delivery failed");
        }
    }
    result
}
