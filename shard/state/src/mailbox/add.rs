//! `AddMessage`, `AddMessages` and `Replace`: delivery, APPEND and REPLACE.

use super::rows::{self, ColdRow, DeliveryRow, HotRow};
use super::tags::NewTags;
use super::work::Work;
use super::{deliveries, dumpster, thread_ids};
use crate::bodies;
use crate::kv::{Table, save};
use std::collections::BTreeSet;
use zcluster_api::mailbox::{ADD_BYTES_MAX, ADD_MESSAGES_MAX, NewMessage, Parsed};
use zcluster_api::{BlobId, Body, Error, Flags, FolderId, ItemId, ModSeq, Receipt, Result, Uid, UidSet};

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
    let (added, _) = insert_all(work, std::slice::from_ref(message), message.body.size())?;
    if let Some(key) = message.delivery_key {
        deliveries::remember(work, key, &added)?;
    }
    let DeliveryRow { item, uid, uid_validity, modseq } = added;
    Ok(Receipt::Added { item, uid, uid_validity, modseq, duplicate: false })
}

/// RFC 3502: all or none.
pub(super) fn add_messages(work: &mut Work<'_>, messages: &[NewMessage]) -> Result<Receipt> {
    check_together(messages)?;
    let bytes = messages.iter().fold(0u64, |sum, m| sum.saturating_add(m.body.size()));
    let (last, uids) = insert_all(work, messages, bytes)?;
    Ok(Receipt::AddedMany { uids, uid_validity: last.uid_validity, modseq: last.modseq })
}

/// RFC 8508: the new message comes before the old one goes. Only what it is larger by needs room in the quota.
pub(super) fn replace(work: &mut Work<'_>, folder: FolderId, uid: Uid, message: &NewMessage) -> Result<Receipt> {
    no_delivery_key(message)?;
    work.folder(folder)?;
    let old = rows::hot(work.view(), work.mailbox, folder, uid.0)?;
    let old = old.ok_or_else(|| Error::NotFound(format!("message {uid} of folder {folder}")))?;
    let fate = dumpster::fate_of_replaced(work, folder, &old)?;
    let growth = message.body.size().saturating_sub(old.size);
    let (DeliveryRow { uid: new, uid_validity, modseq, .. }, _) =
        insert_all(work, std::slice::from_ref(message), growth)?;
    dumpster::remove(work, folder, uid, &old, &fate)?;
    Ok(Receipt::Replaced { uid: new, uid_validity, modseq })
}

fn no_delivery_key(message: &NewMessage) -> Result<()> {
    match message.delivery_key {
        Some(_) => Err(Error::Invalid("a delivery key on a message that is not delivered".into())),
        None => Ok(()),
    }
}

/// What a command with several messages must keep to.
fn check_together(messages: &[NewMessage]) -> Result<()> {
    let first = messages.first().ok_or_else(|| Error::Invalid("no message to add".into()))?;
    if messages.len() > ADD_MESSAGES_MAX {
        return Err(Error::TooLarge(format!("more than {ADD_MESSAGES_MAX} messages in one command")));
    }
    if messages.iter().map(NewMessage::carried).sum::<usize>() > ADD_BYTES_MAX {
        return Err(Error::TooLarge(format!("more than {ADD_BYTES_MAX} bytes of messages in one command")));
    }
    if messages.iter().any(|m| m.folder != first.folder) {
        return Err(Error::Invalid("messages for several folders in one command".into()));
    }
    // An upload becomes one body: named again, it would be missing after the first.
    let (mut uploads, mut objects) = (BTreeSet::new(), BTreeSet::new());
    for message in messages {
        no_delivery_key(message)?;
        if let Body::Uploaded { upload, .. } = &message.body
            && !uploads.insert(upload.0)
        {
            return Err(Error::Invalid(format!("upload {upload} twice in one command")));
        }
        if let Body::Placed { object, .. } = &message.body
            && !objects.insert(*object)
        {
            return Err(Error::Invalid(format!("object {object} twice in one command")));
        }
    }
    Ok(())
}

/// Adds the messages, which go into one folder and need `bytes` of room in the quota. Returns the last one's row and all
/// UIDs.
fn insert_all(work: &mut Work<'_>, messages: &[NewMessage], bytes: u64) -> Result<(DeliveryRow, UidSet)> {
    let first = messages.first().ok_or_else(|| Error::Invalid("no message to add".into()))?;
    let count = messages.len() as u64;
    work.room_for_messages(first.folder, count, bytes)?;
    let mut new_tags = NewTags::default();
    let mut tags = Vec::with_capacity(messages.len());
    for message in messages {
        if message.parsed.summary.len() > SUMMARY_BYTES_MAX {
            return Err(Error::TooLarge("summary".into()));
        }
        encoded_keys(&message.parsed)?;
        tags.push(new_tags.plan(work, &message.keywords)?);
        bodies::plan(work.view(), work.mailbox, &message.body)?;
    }
    work.room_for_items(count + new_tags.count())?;

    // From here on nothing fails: what one message stores makes the next one's body known at worst.
    new_tags.create(work);
    let (mut last, mut uids) = (None, UidSet::new());
    for (message, tags) in messages.iter().zip(tags) {
        if last.is_some() {
            work.group.next_origin();
        }
        let body = bodies::plan(work.view(), work.mailbox, &message.body)?;
        if body.ends_upload() {
            work.header.uploads = work.header.uploads.saturating_sub(1);
        }
        bodies::store(work.kv, work.group, &message.body, body)?;
        let added = put(work, message, tags)?;
        uids.insert(added.uid.0);
        last = Some(added);
    }
    let last = last.ok_or_else(|| Error::Invalid("no message to add".into()))?;
    Ok((last, uids))
}

/// The sort keys as they are stored.
///
/// # Errors
/// `TooLarge`.
pub(super) fn encoded_keys(parsed: &Parsed) -> Result<Option<Vec<u8>>> {
    let keys = parsed.keys.as_deref().map(zcluster_api::codec::encode);
    if keys.as_ref().is_some_and(|k| k.len() > KEYS_BYTES_MAX) {
        return Err(Error::TooLarge("sort keys".into()));
    }
    Ok(keys)
}

/// What makes a message, its body stored.
pub(super) struct NewItem<'a> {
    pub blob: BlobId,
    pub size: u64,
    pub parsed: &'a Parsed,
    pub flags: Flags,
    /// Tag ids, rising.
    pub tags: Vec<u32>,
    pub internal_ms: i64,
}

/// Puts a new message into a folder. Its summary and keys were found to be within bounds.
pub(super) fn put_item(work: &mut Work<'_>, folder: FolderId, new: NewItem<'_>) -> Result<(ItemId, Uid)> {
    let item = ItemId(work.next_item());
    let parsed = new.parsed;
    let cold = ColdRow { blob: new.blob, sent_ms: parsed.sent_ms, summary: parsed.summary.clone() };
    save(work.kv, Table::Cold, &rows::number_key(work.mailbox, item.0), &cold);
    if let Some(keys) = encoded_keys(parsed)? {
        work.kv.put(Table::Keys, &rows::number_key(work.mailbox, item.0), keys);
    }
    let thread = thread_ids::assign(work, item, parsed)?;
    let attached = if parsed.has_attachment { Flags::ATTACHED } else { Flags::default() };
    let row = HotRow {
        item,
        modseq: ModSeq(0),
        flags: new.flags.with(attached),
        tags: new.tags,
        size: new.size,
        internal_ms: new.internal_ms,
        saved_ms: 0,
        thread,
        copy_of: None,
    };
    Ok((item, work.insert(folder, row)?))
}

fn put(work: &mut Work<'_>, message: &NewMessage, tags: Vec<u32>) -> Result<DeliveryRow> {
    let new = NewItem {
        blob: message.body.id(),
        size: message.body.size(),
        parsed: &message.parsed,
        flags: message.flags,
        tags,
        internal_ms: message.internal_ms,
    };
    let (item, uid) = put_item(work, message.folder, new)?;
    let (modseq, uid_validity) = (work.modseq(), work.folder(message.folder)?.uid_validity);
    Ok(DeliveryRow { item, uid, uid_validity, modseq })
}
