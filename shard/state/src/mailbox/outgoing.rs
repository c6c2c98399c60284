//! The outbox: messages that wait to leave the shard. A row stays until every recipient has the message or never will;
//! who tries to send it claims it first by moving its due time, so that two carriers do not try at once, and what is
//! forgotten by one that died is tried again.

use super::batches;
use super::deliver::Prepared;
use super::rows::{self, OutgoingRow};
use super::seen;
use super::work::Work;
use crate::bodies;
use crate::group::Group;
use crate::kv::{Kv, KvRead, Table, behind, each, key_u64, load, save};
use std::collections::BTreeMap;
use zcluster_api::delivery::{
    NewOutgoing, OUTBOX_MAX, OUTGOING_ADDRESS_BYTES_MAX, OUTGOING_MAX, OUTGOING_RECIPIENTS_MAX, Outgoing, OutgoingKind,
    Settlement,
};
use zcluster_api::queue::{QUEUE_MAILBOX, QUEUE_MAX, QueueAction};
use zcluster_api::{BlobId, Epoch, Error, MailboxCommand, MailboxId, Receipt, Result};

/// Bytes of a failure's text that are kept.
const NOTE_BYTES_MAX: usize = 500;
/// Messages that one `Outgoing` query tells of.
const PER_PAGE: usize = 1_000;

fn due_key(due_ms: u64, mailbox: MailboxId, number: u64) -> Vec<u8> {
    let mut key = due_ms.to_be_bytes().to_vec();
    key.extend_from_slice(&rows::long_key(mailbox, number));
    key
}

/// Checks what a command wants to send.
///
/// # Errors
/// `Invalid` (content, recipients), `TooLarge` (counts, a full outbox).
pub(super) fn check(work: &Work<'_>, outgoing: &[NewOutgoing], contents: usize) -> Result<()> {
    if outgoing.is_empty() {
        return Ok(());
    }
    room(work, outgoing.len())?;
    for new in outgoing {
        if new.content as usize >= contents {
            return Err(Error::Invalid("outgoing message without content".into()));
        }
        addresses(&new.sender, &new.recipients)?;
    }
    Ok(())
}

/// Whether so many more may wait.
///
/// # Errors
/// `TooLarge` when not.
pub(super) fn room(work: &Work<'_>, more: usize) -> Result<()> {
    let waiting = work.header.filters.as_ref().map_or(0, |f| f.outgoing);
    let most = if work.mailbox == QUEUE_MAILBOX { QUEUE_MAX } else { OUTBOX_MAX };
    if more > OUTGOING_MAX || waiting as usize + more > most as usize {
        return Err(Error::TooLarge("outbox".into()));
    }
    Ok(())
}

/// Bounds of an envelope.
///
/// # Errors
/// `Invalid` without recipients, `TooLarge`.
pub(super) fn addresses(sender: &String, recipients: &[String]) -> Result<()> {
    if recipients.is_empty() {
        return Err(Error::Invalid("outgoing message without recipients".into()));
    }
    let long = |a: &String| a.len() > OUTGOING_ADDRESS_BYTES_MAX;
    if recipients.len() > OUTGOING_RECIPIENTS_MAX || recipients.iter().any(long) || long(sender) {
        return Err(Error::TooLarge("addresses of an outgoing message".into()));
    }
    Ok(())
}

/// Whether a message that is to be sent once has been sent already.
pub(super) fn is_wanted(work: &Work<'_>, new: &NewOutgoing) -> Result<bool> {
    match new.once {
        Some(once) => Ok(!seen::is_known(work.view(), work.mailbox, once.id, work.stamp.wall_ms)?),
        None => Ok(true),
    }
}

/// Puts a checked and wanted message into the outbox.
pub(super) fn put(work: &mut Work<'_>, new: &NewOutgoing, prepared: &mut Prepared<'_>) -> Result<()> {
    if let Some(once) = new.once {
        seen::remember(work, once)?;
    }
    let blob = prepared.claim(work, new.content)?;
    let row = new_row(work, (new.kind, &new.sender, &new.recipients), blob);
    add(work, &row);
    Ok(())
}

/// A row that is due at once.
pub(super) fn new_row(
    work: &Work<'_>,
    (kind, sender, recipients): (OutgoingKind, &str, &[String]),
    blob: BlobId,
) -> OutgoingRow {
    let now = work.stamp.wall_ms;
    OutgoingRow {
        kind,
        queued_ms: now,
        due_ms: now,
        attempts: 0,
        sender: sender.to_string(),
        recipients: recipients.to_vec(),
        blob,
        note: String::new(),
        terms: None,
        held: false,
        warned: false,
        claimed: false,
    }
}

/// Writes a row under the shard's next number.
pub(super) fn add(work: &mut Work<'_>, row: &OutgoingRow) {
    let number = work.group.outgoing.unwrap_or(1);
    work.group.outgoing = Some(number + 1);
    work.filters().outgoing += 1;
    write(work.kv, work.mailbox, number, row);
}

fn write(kv: &mut dyn Kv, mailbox: MailboxId, number: u64, row: &OutgoingRow) {
    save(kv, Table::Outgoing, &rows::long_key(mailbox, number), row);
    if !row.held {
        kv.put(Table::OutgoingDue, &due_key(row.due_ms, mailbox, number), Vec::new());
    }
}

fn row(kv: &dyn KvRead, mailbox: MailboxId, number: u64) -> Result<Option<OutgoingRow>> {
    load(kv, Table::Outgoing, &rows::long_key(mailbox, number))
}

pub(super) fn show(kv: &dyn KvRead, number: u64, row: OutgoingRow) -> Result<Outgoing> {
    Ok(Outgoing {
        number,
        kind: row.kind,
        queued_ms: row.queued_ms,
        due_ms: row.due_ms,
        attempts: row.attempts,
        sender: row.sender,
        recipients: row.recipients,
        blob: bodies::blob_ref(kv, row.blob)?,
        note: row.note,
        terms: row.terms,
        held: row.held,
        warned: row.warned,
    })
}

/// What an operator wants.
///
/// # Errors
/// `NotFound`.
pub(super) fn manage(work: &mut Work<'_>, number: u64, action: QueueAction) -> Result<Receipt> {
    let missing = || Error::NotFound(format!("outgoing message {number}"));
    let mut row = row(work.view(), work.mailbox, number)?.ok_or_else(missing)?;
    let now = work.stamp.wall_ms;
    work.kv.delete(Table::OutgoingDue, &due_key(row.due_ms, work.mailbox, number));
    // Who tries it now goes on with that: a second try beside his might send it twice.
    let busy = row.claimed && row.due_ms > now;
    match action {
        QueueAction::Delete => {
            remove(work, number, &row)?;
            return Ok(Receipt::Done);
        }
        QueueAction::Hold => row.held = true,
        QueueAction::Release => {
            row.held = false;
            row.due_ms = if busy { row.due_ms } else { now };
        }
        QueueAction::Retry => row.due_ms = if busy { row.due_ms } else { now },
    }
    write(work.kv, work.mailbox, number, &row);
    Ok(Receipt::Done)
}

/// Gives the message to the claimer if it is due when the claimer thought it was.
pub(super) fn claim(work: &mut Work<'_>, number: u64, due_ms: u64, until_ms: u64) -> Result<Receipt> {
    let Some(row) = take(work, number, due_ms, until_ms)? else { return Ok(Receipt::Claimed(None)) };
    let claimed = show(work.view(), number, row)?;
    Ok(Receipt::Claimed(Some(Box::new(claimed))))
}

/// Claims a row; `None` when it is not the claimer's to have.
///
/// # Errors
/// `Invalid` for a claim that ends before it begins.
pub(super) fn take(work: &mut Work<'_>, number: u64, due_ms: u64, until_ms: u64) -> Result<Option<OutgoingRow>> {
    let Some(mut row) = row(work.view(), work.mailbox, number)?.filter(|row| row.due_ms == due_ms && !row.held) else {
        return Ok(None);
    };
    if until_ms <= due_ms {
        return Err(Error::Invalid("a claim that ends before it begins".into()));
    }
    work.kv.delete(Table::OutgoingDue, &due_key(row.due_ms, work.mailbox, number));
    row.due_ms = until_ms;
    row.claimed = true;
    // A claim that is renewed before it ends is no new try.
    if due_ms <= work.stamp.wall_ms {
        row.attempts = row.attempts.saturating_add(1);
    }
    write(work.kv, work.mailbox, number, &row);
    Ok(Some(row))
}

/// Takes note of a try. Who has the message has it, whoever says so; when to try again is the present claimer's word.
pub(super) fn settle(work: &mut Work<'_>, settlement: &Settlement) -> Result<Receipt> {
    let Settlement { number, claim, done, retry_ms, note, contents, outgoing, warned } = settlement;
    let Some(mut row) = row(work.view(), work.mailbox, *number)? else { return Ok(Receipt::Done) };
    check(work, outgoing, contents.len())?;
    let mut prepared = Prepared::new(work, contents)?;
    let before = row.recipients.len();
    row.recipients.retain(|r| !done.contains(r));
    // A report that comes twice (a claim that ran out) is about recipients that are gone by now.
    let told_before = *warned && row.warned;
    if row.recipients.len() < before || (done.is_empty() && !told_before) {
        for new in outgoing {
            put(work, new, &mut prepared)?;
        }
    }
    work.kv.delete(Table::OutgoingDue, &due_key(row.due_ms, work.mailbox, *number));
    if row.recipients.is_empty() {
        remove(work, *number, &row)?;
        return Ok(Receipt::Done);
    }
    if row.due_ms == *claim {
        row.due_ms = *retry_ms;
        row.note = clip(note);
        row.claimed = false;
    }
    row.warned |= *warned;
    write(work.kv, work.mailbox, *number, &row);
    Ok(Receipt::Done)
}

fn clip(note: &str) -> String {
    let mut end = note.len().min(NOTE_BYTES_MAX);
    while !note.is_char_boundary(end) {
        end -= 1;
    }
    note[..end].to_string()
}

fn remove(work: &mut Work<'_>, number: u64, row: &OutgoingRow) -> Result<()> {
    work.kv.delete(Table::Outgoing, &rows::long_key(work.mailbox, number));
    let filters = work.filters();
    filters.outgoing = filters.outgoing.saturating_sub(1);
    bodies::release(work.kv, work.group, row.blob)
}

/// A message of a mailbox's outbox.
///
/// # Errors
/// `Internal`: damaged rows.
pub fn outgoing(kv: &dyn KvRead, mailbox: MailboxId, number: u64) -> Result<Option<Outgoing>> {
    row(kv, mailbox, number)?.map(|row| show(kv, number, row)).transpose()
}

/// The mailbox's outbox from `from` on, by number.
pub(super) fn list(kv: &dyn KvRead, mailbox: MailboxId, from: u64) -> Result<Vec<Outgoing>> {
    let (first, prefix) = (rows::long_key(mailbox, from), rows::mailbox_key(mailbox));
    let mut found = Vec::new();
    each(kv, Table::Outgoing, &first, &behind(&prefix), |key, row: OutgoingRow| {
        found.push((key_u64(key, prefix.len())?, row));
        Ok(found.len() < PER_PAGE)
    })?;
    found.into_iter().map(|(number, row)| show(kv, number, row)).collect()
}

/// Removes up to `max` messages of a mailbox that is being deleted; says how many.
pub(super) fn empty(kv: &mut dyn Kv, group: &mut Group, mailbox: MailboxId, max: usize) -> Result<usize> {
    let prefix = rows::mailbox_key(mailbox);
    let mut found = Vec::new();
    each(kv, Table::Outgoing, &prefix, &behind(&prefix), |key, row: OutgoingRow| {
        found.push((key_u64(key, prefix.len())?, row));
        Ok(found.len() < max)
    })?;
    for (number, row) in &found {
        kv.delete(Table::Outgoing, &rows::long_key(mailbox, *number));
        kv.delete(Table::OutgoingDue, &due_key(row.due_ms, mailbox, *number));
        bodies::release(kv, group, row.blob)?;
    }
    Ok(found.len())
}

/// An outgoing message whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueOutgoing {
    /// Whose.
    pub mailbox: MailboxId,
    /// The epoch to name in commands about it.
    pub epoch: Epoch,
    /// Which.
    pub number: u64,
    /// Since when, Unix milliseconds: a claim names it.
    pub due_ms: u64,
}

/// Which due times are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// From here on: what is known to be empty need not be walked through again. Deleted rows cost time until they are
    /// compacted away, and an outbox deletes all it ever holds.
    pub from_ms: u64,
    /// Now.
    pub now_ms: u64,
    /// At most so many messages.
    pub max: usize,
    /// Look for the next one behind them, too.
    pub ahead: bool,
}

/// What a [`Look`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DuePage {
    /// The longest due first.
    pub due: Vec<DueOutgoing>,
    /// The first due time at all from `from_ms` on, wanted or not; none: there was none as far as it was looked.
    pub first_ms: Option<u64>,
    /// Looked ahead: when the next one is due that is not yet.
    pub next_ms: Option<u64>,
}

/// The group's outgoing messages that are due and that `wanted` wants by their numbers.
///
/// # Errors
/// `Internal`: damaged rows.
pub fn due_outgoing(kv: &dyn KvRead, look: Look, wanted: &mut dyn FnMut(u64) -> bool) -> Result<DuePage> {
    let Look { from_ms, now_ms, max, ahead } = look;
    let (mut page, mut found, mut outcome) = (DuePage::default(), Vec::new(), Ok(()));
    let end = if ahead { [u8::MAX; 25].to_vec() } else { now_ms.saturating_add(1).to_be_bytes().to_vec() };
    kv.scan(Table::OutgoingDue, &from_ms.to_be_bytes(), &end, &mut |key, _| match (|| {
        Ok((key_u64(key, 0)?, MailboxId(key_u64(key, 8)?), key_u64(key, 16)?))
    })() {
        Ok((due_ms, mailbox, number)) => {
            page.first_ms.get_or_insert(due_ms);
            if due_ms > now_ms {
                page.next_ms = Some(due_ms);
            } else if wanted(number) {
                found.push((due_ms, mailbox, number));
            }
            due_ms <= now_ms && found.len() < max
        }
        Err(e) => {
            outcome = Err(e);
            false
        }
    });
    outcome?;
    let mut epochs: BTreeMap<MailboxId, Option<Epoch>> = BTreeMap::new();
    for (due_ms, mailbox, number) in found {
        let epoch = match epochs.get(&mailbox) {
            Some(known) => *known,
            None => {
                // What a deleted mailbox leaves behind is removed with it.
                let header = rows::header(kv, mailbox)?.filter(|h| h.life == rows::Life::Live);
                *epochs.entry(mailbox).or_insert(header.map(|h| h.epoch))
            }
        };
        page.due.extend(epoch.map(|epoch| DueOutgoing { mailbox, epoch, number, due_ms }));
    }
    Ok(page)
}

/// The time from which on a command, carried out at `now_ms`, may have put rows among those by time. A claim only moves a
/// row behind where it was; what is claimed as it is queued is due again at the claim's end.
pub(crate) fn outbox_due(command: &MailboxCommand, now_ms: u64, grown: bool) -> Option<u64> {
    match command {
        MailboxCommand::SettleOutgoing(s) if grown => Some(s.retry_ms.min(now_ms)),
        MailboxCommand::SettleOutgoing(s) => Some(s.retry_ms),
        MailboxCommand::SettleOutgoings(all) => all.iter().map(|s| s.settlement.retry_ms).min(),
        MailboxCommand::Enqueue(e) if grown => {
            let claimed_until = |claim_ms| now_ms.saturating_add(claim_ms);
            let all_claimed = e.sends.iter().all(|send| batches::is_due(send.not_before_ms, now_ms));
            Some(e.claim_ms.filter(|_| all_claimed).map_or(now_ms, claimed_until))
        }
        MailboxCommand::ManageOutgoing { action: QueueAction::Release | QueueAction::Retry, .. } => Some(now_ms),
        _ => grown.then_some(now_ms),
    }
}
