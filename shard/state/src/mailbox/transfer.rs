//! `Copy` and `Move`.

use super::rows::{self, HotRow};
use super::sharing;
use super::work::Work;
use crate::bodies;
use crate::kv::{Table, save};
use zcluster_api::{FolderId, ItemId, Receipt, Result, Uid, UidSet};

/// RFC 3501 §6.4.7: all or nothing, keeping flags and internal date. Copies share the bodies but count in the quota.
pub(super) fn copy(work: &mut Work<'_>, from: FolderId, uids: &UidSet, to: FolderId) -> Result<Receipt> {
    let mut messages = super::messages(work, from, uids)?;
    let rights = sharing::of_target(work, to)?;
    messages.iter_mut().for_each(|(_, row)| sharing::narrow_row(row, rights));
    let bytes = messages.iter().fold(0u64, |sum, (_, row)| sum.saturating_add(row.size));
    work.room_for_messages(to, messages.len() as u64, bytes)?;
    work.room_for_items(messages.len() as u64)?;
    let mut pairs = Vec::with_capacity(messages.len());
    for (uid, row) in messages {
        pairs.push((uid, copy_one(work, row, to)?));
    }
    receipt(work, to, pairs)
}

fn copy_one(work: &mut Work<'_>, mut row: HotRow, to: FolderId) -> Result<Uid> {
    let cold = rows::cold(work.view(), work.mailbox, row.item)?;
    let keys = work.view().get(Table::Keys, &rows::number_key(work.mailbox, row.item.0));
    // RFC 8474 §5.1: a copy has its source's EMAILID.
    row.copy_of = row.copy_of.or(Some(row.item));
    row.item = ItemId(work.next_item());
    bodies::share(work.kv, cold.blob)?;
    let key = rows::number_key(work.mailbox, row.item.0);
    save(work.kv, Table::Cold, &key, &cold);
    if let Some(keys) = keys {
        work.kv.put(Table::Keys, &key, keys);
    }
    work.insert(to, row)
}

/// RFC 6851: item ids and contents stay where they are; only the UID rows move.
pub(super) fn move_messages(work: &mut Work<'_>, from: FolderId, uids: &UidSet, to: FolderId) -> Result<Receipt> {
    let messages = super::messages(work, from, uids)?;
    let rights = sharing::of_target(work, to)?;
    work.room_for_messages(to, messages.len() as u64, 0)?;
    let mut pairs = Vec::with_capacity(messages.len());
    for (uid, mut row) in messages {
        work.remove(from, uid, &row)?;
        sharing::narrow_row(&mut row, rights);
        pairs.push((uid, work.insert(to, row)?));
    }
    receipt(work, to, pairs)
}

fn receipt(work: &mut Work<'_>, to: FolderId, pairs: Vec<(Uid, Uid)>) -> Result<Receipt> {
    let uid_validity = work.folder(to)?.uid_validity;
    Ok(Receipt::Copied { uid_validity, pairs, modseq: work.header.modseq })
}
