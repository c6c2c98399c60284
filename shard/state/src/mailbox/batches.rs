//! Claims and settlements of many outgoing messages, in whatever outboxes of the shard: one log entry for all that a
//! leader has begun or ended at a time. Each is what the command for one would be; none hinders another.

use super::work::Work;
use super::{Place, outgoing, rows};
use crate::group::Group;
use crate::kv::Kv;
use crate::proposal::Stamp;
use zcluster_api::queue::{
    CLAIMS_PER_COMMAND_MAX, HELD_MS, OutgoingClaim, PlacedSettlement, QUEUE_MAILBOX, SETTLEMENTS_PER_COMMAND_MAX,
};
use zcluster_api::{Error, MailboxCommand, MailboxId, Receipt, Result};

/// Runs `work` in a mailbox of the shard; `None` when there is no such mailbox (any more).
fn within<T>(
    kv: &mut dyn Kv,
    group: &mut Group,
    (stamp, at, mailbox): (Stamp, Place, MailboxId),
    work: impl FnOnce(&mut Work<'_>) -> Result<T>,
) -> Result<Option<T>> {
    let Some(header) = rows::header(kv, mailbox)?.filter(|header| header.life == rows::Life::Live) else {
        return Ok(None);
    };
    let at = Place { mailbox, epoch: header.epoch, ..at };
    let mut inside = Work::new(kv, group, stamp, at, header);
    let done = work(&mut inside)?;
    inside.finish();
    Ok(Some(done))
}

/// # Errors
/// `Denied` when it came by another account than the shard's.
fn only_queue(at: Place) -> Result<()> {
    match (at.mailbox, at.actor) {
        (QUEUE_MAILBOX, None) => Ok(()),
        _ => Err(Error::Denied("the queue of the shard".into())),
    }
}

/// See [`MailboxCommand::ClaimOutgoings`].
pub(super) fn claim(
    kv: &mut dyn Kv,
    group: &mut Group,
    stamp: Stamp,
    at: Place,
    (claims, until_ms): (&[OutgoingClaim], u64),
) -> Result<Receipt> {
    only_queue(at)?;
    if claims.len() > CLAIMS_PER_COMMAND_MAX {
        return Err(Error::TooLarge(format!("more than {CLAIMS_PER_COMMAND_MAX} claims")));
    }
    if claims.iter().any(|claim| until_ms <= claim.due_ms) {
        return Err(Error::Invalid("a claim that ends before it begins".into()));
    }
    let mut got = Vec::new();
    for OutgoingClaim { place, due_ms } in claims {
        let context = (stamp, at, place.mailbox);
        let taken = within(kv, group, context, |work| outgoing::take(work, place.number, *due_ms, until_ms))?;
        if taken.flatten().is_some() {
            got.push(place.number);
        }
    }
    got.sort_unstable();
    Ok(Receipt::ClaimedSome(got))
}

/// See [`MailboxCommand::SettleOutgoings`].
pub(super) fn settle(
    kv: &mut dyn Kv,
    group: &mut Group,
    stamp: Stamp,
    at: Place,
    settlements: &[PlacedSettlement],
) -> Result<Receipt> {
    only_queue(at)?;
    if settlements.len() > SETTLEMENTS_PER_COMMAND_MAX {
        return Err(Error::TooLarge(format!("more than {SETTLEMENTS_PER_COMMAND_MAX} settlements")));
    }
    if settlements.iter().any(|s| !s.settlement.outgoing.is_empty() || !s.settlement.contents.is_empty()) {
        return Err(Error::Invalid("a report among several settlements".into()));
    }
    for PlacedSettlement { mailbox, settlement } in settlements {
        // Without a report nothing can be in its way but damage.
        within(kv, group, (stamp, at, *mailbox), |work| outgoing::settle(work, settlement))?;
    }
    Ok(Receipt::Done)
}

/// The messages that a command has claimed by queueing them, with the end of the claim; `first` is the number of its
/// first row. Rows that wait, or are held, are nobody's.
pub(crate) fn claimed_at_once(command: &MailboxCommand, first: u64, now_ms: u64) -> Vec<(u64, u64)> {
    let MailboxCommand::Enqueue(enqueue) = command else { return Vec::new() };
    let Some(claim_ms) = enqueue.claim_ms else { return Vec::new() };
    let due_now = enqueue.sends.iter().zip(first..).filter(|(send, _)| is_due(send.not_before_ms, now_ms));
    due_now.map(|(_, number)| (number, now_ms + claim_ms)).collect()
}

/// Whether a row that is not to be sent before a time may be sent now.
pub(super) fn is_due(not_before_ms: u64, now_ms: u64) -> bool {
    not_before_ms != HELD_MS && not_before_ms <= now_ms
}
