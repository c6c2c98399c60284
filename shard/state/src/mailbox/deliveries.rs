//! Delivery keys: a message handed over twice, by whatever retry, arrives once.

use super::rows::{self, DeliveryOrder, DeliveryRow};
use super::work::Work;
use crate::kv::{Table, load, save};
use zcluster_api::queue::QUEUE_MAILBOX;
use zcluster_api::{DeliveryKey, Result};

/// How long a key is kept, milliseconds.
const KEPT_MS: u64 = 60 * 60 * 1000;
/// The newest keys, so many, are kept however old they seem: the clock is the proposers', and a new leader's may be
/// hours ahead of the one before, just when a sender tries again.
const KEPT_MIN: u64 = 16;
/// Keys kept in a mailbox at most; beyond it the oldest go early.
const KEPT_MAX: u64 = 10_000;
/// The same in the mailbox that a whole shard's relayed mail goes through.
const QUEUE_KEPT_MAX: u64 = 200_000;
/// Steps of pruning per delivery: one key comes, so the list shrinks when it must.
const PRUNE_STEPS: usize = 3;

/// What the key's message became, if the key is still kept. A key names one delivery, so an old one that pruning has
/// not reached yet is as good as a young one.
pub(super) fn known(work: &Work<'_>, key: DeliveryKey) -> Result<Option<DeliveryRow>> {
    load(work.view(), Table::Delivery, &rows::text_key(work.mailbox, &key.0))
}

/// Keeps a key that is not kept yet, and forgets a few old ones.
pub(super) fn remember(work: &mut Work<'_>, key: DeliveryKey, row: &DeliveryRow) -> Result<()> {
    prune(work)?;
    save(work.kv, Table::Delivery, &rows::text_key(work.mailbox, &key.0), row);
    let order = DeliveryOrder { at_ms: work.stamp.wall_ms, key: key.0 };
    save(work.kv, Table::DeliveryOrder, &rows::long_key(work.mailbox, work.header.delivery_next), &order);
    work.header.delivery_next += 1;
    Ok(())
}

fn prune(work: &mut Work<'_>) -> Result<()> {
    let now = work.stamp.wall_ms;
    let kept = |work: &Work<'_>| work.header.delivery_next - work.header.delivery_from;
    let most = if work.mailbox == QUEUE_MAILBOX { QUEUE_KEPT_MAX } else { KEPT_MAX };
    let full = |work: &Work<'_>| kept(work) >= most;
    if !full(work) && now < work.header.delivery_due_ms {
        return Ok(());
    }
    for _ in 0..PRUNE_STEPS {
        // One more is about to be kept.
        if kept(work) < KEPT_MIN {
            break;
        }
        let at = rows::long_key(work.mailbox, work.header.delivery_from);
        if let Some(order) = load::<DeliveryOrder>(work.view(), Table::DeliveryOrder, &at)? {
            let due_ms = order.at_ms.saturating_add(KEPT_MS);
            if !full(work) && now < due_ms {
                work.header.delivery_due_ms = due_ms;
                break;
            }
            work.kv.delete(Table::Delivery, &rows::text_key(work.mailbox, &order.key));
            work.kv.delete(Table::DeliveryOrder, &at);
        }
        work.header.delivery_from += 1;
    }
    Ok(())
}
