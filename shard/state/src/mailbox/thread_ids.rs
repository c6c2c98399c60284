//! THREADID (RFC 8474 §5.2): which thread a message joins is decided when it arrives, from message ids alone, and stays.
//!
//! A mailbox remembers the newest message ids it has seen (own ones and those referred to) with the item that began
//! their thread, so that an answer joins its question, and a question that comes late joins its answers.

use super::rows;
use super::work::Work;
use crate::kv::{Table, key_u32, key_u64};
use zcluster_api::sort::SortKeys;
use zcluster_api::{ItemId, Result};

/// Message ids kept in a mailbox; the oldest go first.
const KEPT_MAX: u64 = 200_000;
/// References of one message that are looked at: the first, which began the thread, and the last ones.
const REFERENCES_MAX: usize = 16;

/// The thread of a new message with these keys.
pub(super) fn assign(work: &mut Work<'_>, item: ItemId, keys: &SortKeys) -> Result<ItemId> {
    let mut ids: Vec<u64> = Vec::new();
    let skip = keys.references.len().saturating_sub(REFERENCES_MAX - 1).max(1);
    let references = keys.references.iter().take(1).chain(keys.references.iter().skip(skip));
    for id in references.chain(&keys.id) {
        if !ids.contains(id) {
            ids.push(*id);
        }
    }
    let mut unknown = Vec::new();
    let mut thread: Option<ItemId> = None;
    for id in ids {
        match work.view().get(Table::Thread, &rows::long_key(work.mailbox, id)) {
            // Of two threads that a message ties together it joins the older one; neither can change any more.
            Some(known) => {
                let known = ItemId(key_u32(&known, 0)?);
                thread = Some(thread.map_or(known, |t| t.min(known)));
            }
            None => unknown.push(id),
        }
    }
    let thread = thread.unwrap_or(item);
    for id in unknown {
        remember(work, id, thread)?;
    }
    Ok(thread)
}

/// Keeps one id, and forgets the oldest one when there are too many.
fn remember(work: &mut Work<'_>, id: u64, thread: ItemId) -> Result<()> {
    let (mut from, next) = (work.header.thread_from.unwrap_or(0), work.header.thread_next.unwrap_or(0));
    if next - from >= KEPT_MAX {
        let at = rows::long_key(work.mailbox, from);
        if let Some(old) = work.view().get(Table::ThreadOrder, &at) {
            let old = key_u64(&old, 0)?;
            work.kv.delete(Table::Thread, &rows::long_key(work.mailbox, old));
            work.kv.delete(Table::ThreadOrder, &at);
        }
        from += 1;
    }
    work.kv.put(Table::Thread, &rows::long_key(work.mailbox, id), thread.0.to_be_bytes().to_vec());
    work.kv.put(Table::ThreadOrder, &rows::long_key(work.mailbox, next), id.to_be_bytes().to_vec());
    (work.header.thread_from, work.header.thread_next) = (Some(from), Some(next + 1));
    Ok(())
}
