//! The outbox: messages that wait to leave the shard. A row stays until every recipient has the message or never will;
//! who tries to send it claims it first by moving its due time, so that two carriers do not try at once, and what is
//! forgotten by one that died is tried again.

use super::deliver::Prepared;
use super::rows::{self, OutgoingRow};
use super::seen;
use super::work::Work;
use crate::bodies;
use crate::group::Group;
use crate::kv::{Kv, KvRead, Table, behind, each, key_u64, load, save};
use zcluster_api::delivery::{
    NewOutgoing, OUTBOX_MAX, OUTGOING_ADDRESS_BYTES_MAX, OUTGOING_MAX, OUTGOING_RECIPIENTS_MAX, Outgoing, Settlement,
};
use zcluster_api::{Epoch, Error, MailboxId, Receipt, Result};

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
    let waiting = work.header.filters.as_ref().map_or(0, |f| f.outgoing);
    if outgoing.len() > OUTGOING_MAX || waiting as usize + outgoing.len() > OUTBOX_MAX as usize {
        return Err(Error::TooLarge("outbox".into()));
    }
    for new in outgoing {
        if new.content as usize >= contents || new.recipients.is_empty() {
            return Err(Error::Invalid("outgoing message without content or recipients".into()));
        }
        let long = |a: &String| a.len() > OUTGOING_ADDRESS_BYTES_MAX;
        if new.recipients.len() > OUTGOING_RECIPIENTS_MAX || new.recipients.iter().any(long) || long(&new.sender) {
            return Err(Error::TooLarge("addresses of an outgoing message".into()));
        }
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
    let number = work.group.outgoing.unwrap_or(1);
    work.group.outgoing = Some(number + 1);
    work.filters().outgoing += 1;
    let now = work.stamp.wall_ms;
    let row = OutgoingRow {
        kind: new.kind,
        queued_ms: now,
        due_ms: now,
        attempts: 0,
        sender: new.sender.clone(),
        recipients: new.recipients.clone(),
        blob,
        note: String::new(),
    };
    write(work.kv, work.mailbox, number, &row);
    Ok(())
}

fn write(kv: &mut dyn Kv, mailbox: MailboxId, number: u64, row: &OutgoingRow) {
    save(kv, Table::Outgoing, &rows::long_key(mailbox, number), row);
    kv.put(Table::OutgoingDue, &due_key(row.due_ms, mailbox, number), Vec::new());
}

fn row(kv: &dyn KvRead, mailbox: MailboxId, number: u64) -> Result<Option<OutgoingRow>> {
    load(kv, Table::Outgoing, &rows::long_key(mailbox, number))
}

fn show(kv: &dyn KvRead, number: u64, row: OutgoingRow) -> Result<Outgoing> {
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
    })
}

/// Gives the message to the claimer if it is due when the claimer thought it was.
pub(super) fn claim(work: &mut Work<'_>, number: u64, due_ms: u64, until_ms: u64) -> Result<Receipt> {
    let Some(mut row) = row(work.view(), work.mailbox, number)?.filter(|row| row.due_ms == due_ms) else {
        return Ok(Receipt::Claimed(None));
    };
    if until_ms <= due_ms {
        return Err(Error::Invalid("a claim that ends before it begins".into()));
    }
    work.kv.delete(Table::OutgoingDue, &due_key(row.due_ms, work.mailbox, number));
    row.due_ms = until_ms;
    // A claim that is renewed before it ends is no new try.
    if due_ms <= work.stamp.wall_ms {
        row.attempts = row.attempts.saturating_add(1);
    }
    write(work.kv, work.mailbox, number, &row);
    let claimed = show(work.view(), number, row)?;
    Ok(Receipt::Claimed(Some(Box::new(claimed))))
}

/// Takes note of a try. Who has the message has it, whoever says so; when to try again is the present claimer's word.
pub(super) fn settle(work: &mut Work<'_>, settlement: &Settlement) -> Result<Receipt> {
    let Settlement { number, claim, done, retry_ms, note, contents, outgoing } = settlement;
    let Some(mut row) = row(work.view(), work.mailbox, *number)? else { return Ok(Receipt::Done) };
    check(work, outgoing, contents.len())?;
    let mut prepared = Prepared::new(work, contents)?;
    let before = row.recipients.len();
    row.recipients.retain(|r| !done.contains(r));
    // A report that comes twice (a claim that ran out) is about recipients that are gone by now.
    if row.recipients.len() < before || done.is_empty() {
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
    }
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

/// The group's outgoing messages that are due at `now_ms`, the longest due first, at most `max`; and when the next one
/// after them is due.
///
/// # Errors
/// `Internal`: damaged rows.
pub fn due_outgoing(kv: &dyn KvRead, now_ms: u64, max: usize) -> Result<(Vec<DueOutgoing>, Option<u64>)> {
    let (mut due, mut next, mut outcome) = (Vec::new(), None, Ok(()));
    kv.scan(Table::OutgoingDue, &[], &[u8::MAX; 25], &mut |key, _| {
        let parts = (|| Ok((key_u64(key, 0)?, MailboxId(key_u64(key, 8)?), key_u64(key, 16)?)))();
        match parts {
            Ok((due_ms, _, _)) if due_ms > now_ms || due.len() >= max => {
                next = Some(due_ms);
                false
            }
            Ok(found) => {
                due.push(found);
                true
            }
            Err(e) => {
                outcome = Err(e);
                false
            }
        }
    });
    outcome?;
    let mut out = Vec::with_capacity(due.len());
    for (due_ms, mailbox, number) in due {
        let header = rows::header(kv, mailbox)?.filter(|h| h.life == rows::Life::Live);
        // What a deleted mailbox leaves behind is removed with it.
        out.extend(header.map(|h| DueOutgoing { mailbox, epoch: h.epoch, number, due_ms }));
    }
    Ok((out, next))
}
