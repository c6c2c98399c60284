//! `DeleteFolder` and `DeleteMailbox`: in steps, so that no single log entry takes long to apply.

use super::rows::{self, HotRow, Life};
use super::work::Work;
use super::{Place, create, dumpster, folders, metadata, names, outgoing, sharing, subscriptions};
use crate::bodies;
use crate::group::Group;
use crate::kv::{Kv, Table, behind, each, save};
use zcluster_api::{Epoch, Error, FolderId, ItemId, MailboxId, ModSeq, Receipt, Result, UidSet};

/// Messages removed by one command at most.
const MESSAGES_PER_STEP: usize = 500;
/// Other rows of a mailbox removed by one command at most.
const ROWS_PER_STEP: usize = 5_000;
/// The tables of a mailbox that are emptied after its messages.
const TABLES: [Table; 19] = [
    Table::Page,
    Table::Folder,
    Table::FolderName,
    Table::Tag,
    Table::TagName,
    Table::Change,
    Table::Delivery,
    Table::DeliveryOrder,
    Table::Script,
    Table::Seen,
    Table::SeenOrder,
    Table::UrlAuthKey,
    Table::LostSubscription,
    Table::Keys,
    Table::Thread,
    Table::ThreadOrder,
    Table::Acl,
    Table::Annotation,
    Table::SubscribedName,
];

/// RFC 3501 §6.3.4.
pub(super) fn delete_folder(work: &mut Work<'_>, id: FolderId, was: Option<&str>) -> Result<Receipt> {
    folders::check_path(work, id, was)?;
    let row = work.folder(id)?;
    let (name, messages) = (row.name.clone(), row.messages as usize);
    if names::is_reserved(id) {
        return Err(Error::Denied(format!("folder {name:?} is the system's")));
    }
    if names::has_children(work.view(), work.mailbox, id) {
        return Err(Error::Conflict(format!("folder {name:?} has subfolders")));
    }
    let mut batch = Vec::new();
    super::each_message(work.view(), (work.mailbox, id), &UidSet::range(1, u32::MAX), |uid, row| {
        batch.push((uid, row));
        Ok(batch.len() < MESSAGES_PER_STEP)
    })?;
    let fate = dumpster::fate(work, id)?;
    for (uid, row) in &batch {
        dumpster::remove(work, id, *uid, row, &fate)?;
    }
    if messages > batch.len() {
        return Ok(Receipt::Deleted { more: true });
    }
    let (path, subscribed) = (folders::path(work, id)?, work.folder(id)?.subscribed);
    work.tree_changed();
    sharing::forget(work, id);
    metadata::forget(work, id);
    work.remove_folder(id)?;
    if subscribed {
        subscriptions::keep(work, &path);
    }
    Ok(Receipt::Deleted { more: false })
}

/// The first step raises the epoch, which shuts everyone else out; the last one leaves a tombstone.
pub(super) fn delete_mailbox(kv: &mut dyn Kv, group: &mut Group, at: Place) -> Result<(Receipt, Option<ModSeq>)> {
    let next = Epoch(at.epoch.0 + 1);
    let key = rows::mailbox_key(at.mailbox);
    let Some(mut header) = rows::header(kv, at.mailbox)? else {
        // Never used. A late `CreateMailbox` must not bring it into being.
        save(kv, Table::Mailbox, &key, &create::tombstone(next));
        return Ok((Receipt::Deleted { more: false }, None));
    };
    let mut risen = None;
    match header.life {
        Life::Live if header.epoch == at.epoch => {
            (header.epoch, header.life) = (next, Life::Deleting);
            header.modseq.0 += 1;
            risen = Some(header.modseq);
        }
        Life::Deleting if header.epoch == next => {}
        Life::Gone if header.epoch == next => return Ok((Receipt::Deleted { more: false }, None)),
        _ => return Err(Error::WrongHome { group: at.group, epoch: header.epoch }),
    }
    let more = !empty(kv, group, at.mailbox)?;
    if !more {
        header = create::tombstone(next);
    }
    save(kv, Table::Mailbox, &key, &header);
    Ok((Receipt::Deleted { more }, risen))
}

/// One step; says whether nothing is left.
fn empty(kv: &mut dyn Kv, group: &mut Group, mailbox: MailboxId) -> Result<bool> {
    let prefix = rows::mailbox_key(mailbox);
    let mut messages: Vec<(Vec<u8>, ItemId)> = Vec::new();
    each(kv, Table::Hot, &prefix, &behind(&prefix), |key, row: HotRow| {
        messages.push((key.to_vec(), row.item));
        Ok(messages.len() < MESSAGES_PER_STEP)
    })?;
    for (key, item) in &messages {
        let cold = rows::cold(kv, mailbox, *item)?;
        kv.delete(Table::Hot, key);
        kv.delete(Table::Cold, &rows::number_key(mailbox, item.0));
        kv.delete(Table::Keys, &rows::number_key(mailbox, item.0));
        bodies::release(kv, group, cold.blob)?;
    }
    if messages.len() == MESSAGES_PER_STEP {
        return Ok(false);
    }
    if dumpster::empty(kv, group, mailbox, MESSAGES_PER_STEP)? == MESSAGES_PER_STEP {
        return Ok(false);
    }
    if outgoing::empty(kv, group, mailbox, MESSAGES_PER_STEP)? == MESSAGES_PER_STEP {
        return Ok(false);
    }
    let mut left = ROWS_PER_STEP;
    for table in TABLES {
        let mut keys = Vec::new();
        kv.scan(table, &prefix, &behind(&prefix), &mut |key, _| {
            let go_on = keys.len() < left;
            if go_on {
                keys.push(key.to_vec());
            }
            go_on
        });
        keys.iter().for_each(|key| kv.delete(table, key));
        left -= keys.len();
    }
    Ok(left > 0)
}
