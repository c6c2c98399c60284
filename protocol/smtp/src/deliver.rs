//! Handing one message over: to the mailboxes that are here, and into the queue for everybody else.

use crate::codec::{BodyType, Return};
use crate::errors;
use crate::journal;
use crate::service::{Service, Smtp};
use crate::session::{Recipient as Accepted, Transaction};
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use tracing::Instrument;
use zcluster_api::queue::{BodyKind, Notify, RecipientTerms, Ret};
use zcluster_api::{AccountId, Error, Result};
use zcluster_delivery::{Arrival, Fate, Identity, Peer, Recipient, Submission};
use zcluster_runtime::{random_bytes, wall_ms};

/// Mailboxes written to at once for one message.
const CONCURRENT_MAX: usize = 16;
/// Sets the names of submissions apart from other uses of BLAKE3.
const SUBMISSION_CONTEXT: &str = "zcluster smtp submission: content, sender, owner, recipients; v1";

/// A message that was received and checked.
pub struct Mail {
    /// All of it, trace fields included, Return-Path first.
    pub bytes: Bytes,
    /// Bytes of the Return-Path field: what leaves again goes without it.
    pub return_path: usize,
    /// The hash of the bytes as received, when a repetition shall be recognised by them.
    pub content: Option<blake3::Hash>,
    /// Who brought it.
    pub peer: Peer,
    /// Who signed in to submit it.
    pub auth: Option<String>,
    /// It is no text although it came as such: BODY=BINARYMIME must go with it.
    pub binary: bool,
}

/// Delivers to each mailbox once; the results are in the order of `to`.
pub async fn deliver(
    smtp: &Smtp,
    transaction: &Transaction,
    mail: &Mail,
    to: &[(AccountId, &str)],
) -> Vec<Result<Fate>> {
    if to.is_empty() {
        return Vec::new();
    }
    let identity = mail.content.map_or(Identity::None, Identity::Content);
    let (id, sender) = (transaction.id.clone(), transaction.sender.clone());
    let arrival = match Arrival::new(id, sender, mail.bytes.clone(), wall_ms() as i64, identity).await {
        // LMTP answers for each recipient; SMTP can say no only if there is no other.
        Ok(arrival) => {
            let refusable = smtp.service == Service::Lmtp || transaction.recipients.len() == 1;
            Arrival { peer: mail.peer.clone(), auth: mail.auth.clone(), refusable, ..arrival }
        }
        Err(error) => return vec![Err(error); to.len()],
    };
    // An account that is named twice gets the message once, under its first name.
    let mut first = to.to_vec();
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
    to.iter().map(|(account, _)| result_of(*account)).collect()
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

/// Puts the message into the queue for these recipients: a user's own into the user's outbox.
///
/// # Errors
/// The queue's; then none of them has it for certain.
pub async fn submit(
    smtp: &Smtp,
    transaction: &Transaction,
    mail: &Mail,
    owner: Option<AccountId>,
    to: &[&Accepted],
) -> Result<()> {
    let raw = mail.bytes.slice(mail.return_path..);
    let key = key(transaction, mail, owner, to.iter().map(|r| r.queued_as.as_str()));
    let body = match (transaction.body, mail.binary) {
        (BodyType::Binary, true) => BodyKind::Binary,
        // What RFC 3030 allowed was not made use of.
        (BodyType::Binary | BodyType::EightBit, _) => BodyKind::EightBit,
        (BodyType::SevenBit, _) if raw.is_ascii() => BodyKind::SevenBit,
        (BodyType::SevenBit, _) => BodyKind::EightBit,
    };
    let submission = Submission {
        recipients: to.iter().map(|r| terms(r)).collect(),
        ret: transaction.ret.map(|ret| match ret {
            Return::Full => Ret::Full,
            Return::Headers => Ret::Headers,
        }),
        envid: transaction.envid.clone(),
        hold_until_ms: transaction.hold_until_ms,
        smtputf8: transaction.utf8,
        require_tls: transaction.require_tls,
        body,
        ..Submission::new(owner, transaction.sender.clone(), [], raw, key)
    };
    send(smtp, submission).await
}

/// Puts a journal copy into the queue.
///
/// # Errors
/// The queue's.
pub async fn archive(smtp: &Smtp, transaction: &Transaction, mail: &Mail, from: &str, to: Vec<String>) -> Result<()> {
    let mut copy = journal::envelope_fields(transaction).into_bytes();
    copy.extend_from_slice(&mail.bytes[mail.return_path..]);
    let key = key(transaction, mail, None, to.iter().map(String::as_str));
    let submission = Submission {
        smtputf8: transaction.utf8,
        require_tls: transaction.require_tls,
        // Who keeps it is no correspondent: the sender hears nothing of it.
        recipients: to
            .into_iter()
            .map(|address| RecipientTerms { address, orcpt: None, notify: Some(Notify::NEVER) })
            .collect(),
        body: BodyKind::EightBit,
        ..Submission::new(None, from, [], copy.into(), key)
    };
    send(smtp, submission).await
}

async fn send(smtp: &Smtp, submission: Submission) -> Result<()> {
    let result = smtp.backend.delivery.submit(submission).await;
    if let Err(error) = &result {
        tracing::error!(%error, "cannot queue a message");
    }
    result
}

fn terms(recipient: &Accepted) -> RecipientTerms {
    let notify = recipient.notify.map(|n| {
        let words = [(n.success, Notify::SUCCESS), (n.failure, Notify::FAILURE), (n.delay, Notify::DELAY)];
        words.into_iter().filter(|(on, _)| *on).fold(Notify::NEVER, |all, (_, word)| all.with(word))
    });
    RecipientTerms { address: recipient.queued_as.clone(), orcpt: recipient.orcpt.clone(), notify }
}

/// A client that lost our 250 sends the same again: it is queued once. Without a Message-ID two messages may well be the
/// same words said twice.
fn key<'a>(
    transaction: &'a Transaction,
    mail: &Mail,
    owner: Option<AccountId>,
    to: impl Iterator<Item = &'a str>,
) -> [u8; 32] {
    let Some(content) = mail.content else { return random_bytes() };
    let mut hasher = blake3::Hasher::new_derive_key(SUBMISSION_CONTEXT);
    hasher.update(content.as_bytes());
    hasher.update(&owner.map_or([0; 16], |id| id.0));
    for part in std::iter::once(transaction.sender.as_str()).chain(to) {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    *hasher.finalize().as_bytes()
}
