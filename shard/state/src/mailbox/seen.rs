//! What filters remember: who was sent a vacation reply (RFC 5230 §4.2), which messages came before (RFC 7352).

use super::rows;
use super::work::Work;
use crate::kv::{KvRead, Table, behind, key_u64, load, save};
use zcluster_api::delivery::{Remember, SEEN_MAX, SEEN_MS_MAX, SeenId};
use zcluster_api::{MailboxId, Result};

/// Rows that one command prunes: it adds at most as many as it is allowed to name, so the table shrinks when it must.
const PRUNE_STEPS: usize = 4;

/// Until when an id is remembered, Unix milliseconds.
fn until(kv: &dyn KvRead, mailbox: MailboxId, id: SeenId) -> Result<Option<u64>> {
    load(kv, Table::Seen, &rows::text_key(mailbox, &id.0))
}

/// Whether an id is remembered by the group's clock. A row that pruning has not reached does not count.
pub(super) fn is_known(kv: &dyn KvRead, mailbox: MailboxId, id: SeenId, now_ms: u64) -> Result<bool> {
    Ok(until(kv, mailbox, id)?.is_some_and(|until| until > now_ms))
}

fn order_key(mailbox: MailboxId, until_ms: u64, id: SeenId) -> Vec<u8> {
    let mut key = rows::long_key(mailbox, until_ms);
    key.extend_from_slice(&id.0);
    key
}

/// Remembers an id from now on; again: for the longer of both times.
pub(super) fn remember(work: &mut Work<'_>, what: Remember) -> Result<()> {
    prune(work)?;
    let until_ms = work.stamp.wall_ms.saturating_add(what.for_ms.min(SEEN_MS_MAX));
    match until(work.view(), work.mailbox, what.id)? {
        Some(before) if before >= until_ms => return Ok(()),
        Some(before) => work.kv.delete(Table::SeenOrder, &order_key(work.mailbox, before, what.id)),
        None => work.filters().seen += 1,
    }
    save(work.kv, Table::Seen, &rows::text_key(work.mailbox, &what.id.0), &until_ms);
    work.kv.put(Table::SeenOrder, &order_key(work.mailbox, until_ms, what.id), Vec::new());
    Ok(())
}

fn prune(work: &mut Work<'_>) -> Result<()> {
    let prefix = rows::mailbox_key(work.mailbox);
    let mut first = Vec::new();
    work.view().scan(Table::SeenOrder, &prefix, &behind(&prefix), &mut |key, _| {
        first.push(key.to_vec());
        first.len() < PRUNE_STEPS
    });
    for key in first {
        let full = work.filters().seen >= SEEN_MAX;
        if !full && key_u64(&key, prefix.len())? > work.stamp.wall_ms {
            break;
        }
        let id = key.get(prefix.len() + 8..).unwrap_or_default();
        work.kv.delete(Table::Seen, &rows::text_key(work.mailbox, id));
        work.kv.delete(Table::SeenOrder, &key);
        let filters = work.filters();
        filters.seen = filters.seen.saturating_sub(1);
    }
    Ok(())
}
