//! The queue: putting submitted messages into an outbox, and what an operator sees of all the outboxes of the shard.

use super::deliver::Prepared;
use super::rows::{self, DeliveryRow, Life, OutgoingRow};
use super::work::Work;
use super::{Place, batches, deliveries, outgoing};
use crate::kv::{KvRead, Table, behind, each, key_u64};
use std::collections::BTreeMap;
use zcluster_api::queue::{
    CLAIM_MS_MAX, ENVID_BYTES_MAX, Enqueue, HELD_MS, ORCPT_BYTES_MAX, QUEUE_MAILBOX, QUEUE_ROWS_PER_PAGE,
    QUEUE_SHOWN_PER_PAGE, QueueCount, QueueEntry, QueuePage, QueuePlace, QueueQuery, QueueSummary, Send, Terms,
    domain_of,
};
use zcluster_api::{Error, ItemId, MailboxId, ModSeq, Receipt, Result, Uid};

/// Puts a message into the outbox once per key.
pub(super) fn enqueue(work: &mut Work<'_>, enqueue: &Enqueue) -> Result<Receipt> {
    if deliveries::known(work, enqueue.delivery_key)?.is_some() {
        return Ok(Receipt::Enqueued { duplicate: true });
    }
    if enqueue.sends.is_empty() {
        return Err(Error::Invalid("nothing to send".into()));
    }
    outgoing::room(work, enqueue.sends.len())?;
    for send in &enqueue.sends {
        outgoing::addresses(&send.sender, &send.recipients)?;
        send.terms.as_ref().map_or(Ok(()), |terms| check(terms, send))?;
    }
    if enqueue.claim_ms.is_some_and(|ms| ms == 0 || ms > CLAIM_MS_MAX) {
        return Err(Error::Invalid("a claim of no time, or of too much".into()));
    }
    let mut prepared = Prepared::new(work, std::slice::from_ref(&enqueue.content))?;
    // From here on nothing fails.
    for send in &enqueue.sends {
        let blob = prepared.claim(work, 0)?;
        let mut row = outgoing::new_row(work, (send.kind, &send.sender, &send.recipients), blob);
        row.held = send.not_before_ms == HELD_MS;
        if !row.held {
            row.due_ms = row.due_ms.max(send.not_before_ms);
        }
        if let Some(claim_ms) = enqueue.claim_ms.filter(|_| batches::is_due(send.not_before_ms, row.queued_ms)) {
            row.due_ms += claim_ms;
            row.claimed = true;
            row.attempts = 1;
        }
        row.terms = send.terms.clone().map(Box::new);
        outgoing::add(work, &row);
    }
    // No item of this mailbox came of it.
    let nothing = DeliveryRow { item: ItemId(0), uid: Uid(0), uid_validity: 0, modseq: ModSeq(0) };
    deliveries::remember(work, enqueue.delivery_key, &nothing)?;
    Ok(Receipt::Enqueued { duplicate: false })
}

fn check(terms: &Terms, send: &Send) -> Result<()> {
    let envid = terms.envid.as_ref().map_or(0, String::len);
    let orcpt = terms.recipients.iter().filter_map(|r| r.orcpt.as_ref()).map(String::len).max().unwrap_or(0);
    let strange = terms.recipients.iter().any(|r| !send.recipients.contains(&r.address));
    if strange || terms.recipients.len() > send.recipients.len() {
        return Err(Error::Invalid("terms of somebody who is no recipient".into()));
    }
    if envid > ENVID_BYTES_MAX || orcpt > ORCPT_BYTES_MAX {
        return Err(Error::TooLarge("ENVID or ORCPT".into()));
    }
    Ok(())
}

/// The mailbox that an operator's command is about, by way of the shard's queue account.
///
/// # Errors
/// `Denied` when it came by another account, `NotFound`.
pub(super) fn target(kv: &dyn KvRead, at: Place, place: QueuePlace) -> Result<(Place, rows::Header)> {
    only_queue(at.mailbox)?;
    let header = rows::header(kv, place.mailbox)?.filter(|header| header.life == Life::Live);
    let header = header.ok_or_else(|| Error::NotFound(format!("mailbox {}", place.mailbox)))?;
    Ok((Place { mailbox: place.mailbox, epoch: header.epoch, ..at }, header))
}

fn only_queue(mailbox: MailboxId) -> Result<()> {
    match mailbox {
        QUEUE_MAILBOX => Ok(()),
        _ => Err(Error::Denied("the queue of the shard".into())),
    }
}

/// Calls `visit` with the rows behind a place, at most [`QUEUE_ROWS_PER_PAGE`], until it returns `false`; says where the
/// next page begins.
fn walk(
    kv: &dyn KvRead,
    after: Option<QueuePlace>,
    mut visit: impl FnMut(QueuePlace, OutgoingRow) -> Result<bool>,
) -> Result<Option<QueuePlace>> {
    let first = after.map_or_else(Vec::new, |at| behind(&rows::long_key(at.mailbox, at.number)));
    let (mut seen, mut last, mut more) = (0u32, after, false);
    each(kv, Table::Outgoing, &first, &[u8::MAX; 17], |key, row: OutgoingRow| {
        let place = QueuePlace { mailbox: MailboxId(key_u64(key, 0)?), number: key_u64(key, 8)? };
        if seen >= QUEUE_ROWS_PER_PAGE {
            more = true;
            return Ok(false);
        }
        seen += 1;
        let go_on = visit(place, row)?;
        last = Some(place);
        more = !go_on;
        Ok(go_on)
    })?;
    Ok(if more { last } else { None })
}

/// A page of the shard's queue.
///
/// # Errors
/// `Denied` by another account than the queue's.
pub(super) fn page(kv: &dyn KvRead, mailbox: MailboxId, query: &QueueQuery) -> Result<QueuePage> {
    only_queue(mailbox)?;
    let limit = query.limit.clamp(1, QUEUE_SHOWN_PER_PAGE) as usize;
    let mut entries = Vec::new();
    let next = walk(kv, query.after, |place, row| {
        if query.filter.number.is_none_or(|n| n == place.number) {
            let message = outgoing::show(kv, place.number, row)?;
            if query.filter.matches(&message) {
                entries.push(QueueEntry { mailbox: place.mailbox, message });
            }
        }
        Ok(entries.len() < limit)
    })?;
    Ok(QueuePage { entries, next })
}

/// Counts of a page of the shard's queue.
///
/// # Errors
/// `Denied` by another account than the queue's.
pub(super) fn summary(kv: &dyn KvRead, mailbox: MailboxId, after: Option<QueuePlace>) -> Result<QueueSummary> {
    only_queue(mailbox)?;
    let mut counts: BTreeMap<String, QueueCount> = BTreeMap::new();
    let next = walk(kv, after, |_, row| {
        let bytes = crate::bodies::blob_ref(kv, row.blob)?.size;
        let mut domains: BTreeMap<String, u64> = BTreeMap::new();
        for recipient in &row.recipients {
            *domains.entry(domain_of(recipient).to_lowercase()).or_default() += 1;
        }
        for (domain, recipients) in domains {
            let first = || QueueCount { domain: domain.clone(), oldest_ms: u64::MAX, ..QueueCount::default() };
            let count = counts.entry(domain.clone()).or_insert_with(first);
            count.messages += 1;
            count.recipients += recipients;
            count.bytes += bytes;
            count.held += u64::from(row.held);
            count.deferred += u64::from(!row.note.is_empty());
            count.oldest_ms = count.oldest_ms.min(row.queued_ms);
        }
        Ok(true)
    })?;
    Ok(QueueSummary { counts: counts.into_values().collect(), next })
}
