//! `AddMessage`: delivery and APPEND.

use super::rows::{self, ColdRow, DeliveryRow, HotRow};
use super::work::Work;
use super::{deliveries, tags, thread_ids};
use crate::bodies;
use crate::kv::{Table, save};
use zcluster_api::mailbox::NewMessage;
use zcluster_api::{Error, Flags, ItemId, ModSeq, Receipt, Result};

/// Bytes of a message's summary at most.
const SUMMARY_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of a message's sort keys at most.
const KEYS_BYTES_MAX: usize = 4 * 1024;

pub(super) fn add_message(work: &mut Work<'_>, message: &NewMessage) -> Result<Receipt> {
    if let Some(key) = message.delivery_key
        && let Some(before) = deliveries::known(work, key)?
    {
        let DeliveryRow { item, uid, uid_validity, modseq } = before;
        return Ok(Receipt::Added { item, uid, uid_validity, modseq, duplicate: true });
    }
    if message.parsed.summary.len() > SUMMARY_BYTES_MAX {
        return Err(Error::TooLarge("summary".into()));
    }
    work.room_for_messages(message.folder, 1, message.body.size())?;
    let keys = message.parsed.keys.as_deref().map(zcluster_api::codec::encode);
    if keys.as_ref().is_some_and(|k| k.len() > KEYS_BYTES_MAX) {
        return Err(Error::TooLarge("sort keys".into()));
    }
    let tags = tags::plan(work, &message.keywords)?;
    work.room_for_items(1 + tags.ids.len() as u64)?;
    let body = bodies::plan(work.view(), work.mailbox, &message.body)?;

    // From here on nothing fails.
    let tag_ids = tags.ids.clone();
    tags.create(work);
    if body.ends_upload() {
        work.header.uploads = work.header.uploads.saturating_sub(1);
    }
    bodies::store(work.kv, work.group, &message.body, body);
    let added = put(work, message, tag_ids, keys)?;
    if let Some(key) = message.delivery_key {
        deliveries::remember(work, key, &added)?;
    }
    let DeliveryRow { item, uid, uid_validity, modseq } = added;
    Ok(Receipt::Added { item, uid, uid_validity, modseq, duplicate: false })
}

fn put(work: &mut Work<'_>, message: &NewMessage, tags: Vec<u32>, keys: Option<Vec<u8>>) -> Result<DeliveryRow> {
    let item = ItemId(work.next_item());
    let parsed = &message.parsed;
    let cold = ColdRow { blob: message.body.id(), sent_ms: parsed.sent_ms, summary: parsed.summary.clone() };
    save(work.kv, Table::Cold, &rows::number_key(work.mailbox, item.0), &cold);
    if let Some(keys) = keys {
        work.kv.put(Table::Keys, &rows::number_key(work.mailbox, item.0), keys);
    }
    let thread = match &parsed.keys {
        Some(keys) => Some(thread_ids::assign(work, item, keys)?),
        None => None,
    };
    let attached = if parsed.has_attachment { Flags::ATTACHED } else { Flags::default() };
    let row = HotRow {
        item,
        modseq: ModSeq(0),
        flags: message.flags.with(attached),
        tags,
        size: message.body.size(),
        internal_ms: message.internal_ms,
        saved_ms: 0,
        thread,
        copy_of: None,
    };
    let uid = work.insert(message.folder, row)?;
    let (modseq, uid_validity) = (work.modseq(), work.folder(message.folder)?.uid_validity);
    Ok(DeliveryRow { item, uid, uid_validity, modseq })
}
