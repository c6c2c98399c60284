//! Deleted messages that are kept: a message that leaves its folder for good goes on without one. Its content and its claim
//! on the body stay; its hot row moves into [`Table::Dumpster`], with the place it had. It is in no folder and in no quota.

use super::index::Columns;
use super::read::View;
use super::rows::{self, DumpsterRow, HotRow, Kept};
use super::tags::Names;
use super::work::Work;
use super::{folders, names};
use crate::bodies;
use crate::group::Group;
use crate::kv::{Kv, KvRead, Table, behind, each, key_u32, key_u64, load, save};
use std::collections::{BTreeMap, BTreeSet};
use zcluster_api::mailbox::{
    DELETED_PER_PAGE_MAX, Deleted, DumpsterPage, DumpsterPlace, DumpsterQuery, FolderView, PURGED_PER_COMMAND_MAX,
    Recovered, UIDS_PER_COMMAND_MAX,
};
use zcluster_api::{Bytes, Error, Flags, FolderId, ItemId, MailboxId, MailboxReply, Receipt, Result, Uid};

/// Bytes of summaries in one page, after which it ends.
const SUMMARY_BYTES_PER_PAGE: usize = 4 * 1024 * 1024;

/// What becomes of messages that leave a folder for good.
pub(super) enum Fate {
    /// They are kept, as having been in the folder of this path.
    Kept(String),
    /// They are gone.
    Gone,
}

/// What becomes of the folder's messages.
///
/// # Errors
/// `NotFound` (folder).
pub(super) fn fate(work: &mut Work<'_>, folder: FolderId) -> Result<Fate> {
    match work.header.traits {
        Some(traits) if traits.dumpster || traits.hold => Ok(Fate::Kept(folders::path(work, folder)?)),
        _ => Ok(Fate::Gone),
    }
}

/// What becomes of a message that another version takes the place of. Drafts are saved again and again: only a hold keeps
/// them all.
///
/// # Errors
/// `NotFound` (folder).
pub(super) fn fate_of_replaced(work: &mut Work<'_>, folder: FolderId, row: &HotRow) -> Result<Fate> {
    let is_held = work.header.traits.is_some_and(|t| t.hold);
    if row.flags.contains(Flags::DRAFT) && !is_held { Ok(Fate::Gone) } else { fate(work, folder) }
}

/// Takes a message out of its folder for good.
///
/// # Errors
/// `Internal`: damaged rows.
pub(super) fn remove(work: &mut Work<'_>, folder: FolderId, uid: Uid, row: &HotRow, fate: &Fate) -> Result<()> {
    work.remove(folder, uid, row)?;
    let Fate::Kept(path) = fate else { return work.forget_content(row.item) };
    let deleted_ms = work.stamp.wall_ms;
    let hot = HotRow { flags: row.flags.without(Flags::DELETED), ..row.clone() };
    let kept = DumpsterRow { hot, folder, uid, path: path.clone(), deleted_ms };
    save(work.kv, Table::Dumpster, &rows::number_key(work.mailbox, row.item.0), &kept);
    work.kv.put(Table::DumpsterOrder, &order_key(work.mailbox, deleted_ms, row.item.0), Vec::new());
    let all = work.header.kept.get_or_insert_default();
    (all.items, all.bytes) = (all.items + 1, all.bytes.saturating_add(row.size));
    Ok(())
}

fn order_key(mailbox: MailboxId, deleted_ms: u64, item: u32) -> Vec<u8> {
    let mut key = rows::long_key(mailbox, deleted_ms);
    key.extend_from_slice(&item.to_be_bytes());
    key
}

fn row(kv: &dyn KvRead, mailbox: MailboxId, item: u32) -> Result<Option<DumpsterRow>> {
    load(kv, Table::Dumpster, &rows::number_key(mailbox, item))
}

/// The row of an item that the order names.
fn ordered(kv: &dyn KvRead, mailbox: MailboxId, item: u32) -> Result<DumpsterRow> {
    let row = row(kv, mailbox, item)?;
    row.ok_or_else(|| Error::Internal(format!("deleted item {item} of mailbox {mailbox} has no row")))
}

/// Takes an item out of the tables of deleted ones; what becomes of its content is the caller's.
fn take_out(work: &mut Work<'_>, row: &DumpsterRow) {
    let item = row.hot.item.0;
    work.kv.delete(Table::Dumpster, &rows::number_key(work.mailbox, item));
    work.kv.delete(Table::DumpsterOrder, &order_key(work.mailbox, row.deleted_ms, item));
    if let Some(all) = &mut work.header.kept {
        (all.items, all.bytes) = (all.items.saturating_sub(1), all.bytes.saturating_sub(row.hot.size));
    }
    work.header.kept = work.header.kept.take().filter(|all| all.items > 0);
}

/// Which of the items are there, deleted at `since_ms` or later.
fn named(work: &Work<'_>, items: &[ItemId], most: u64, since_ms: Option<u64>) -> Result<Vec<DumpsterRow>> {
    if items.len() as u64 > most {
        return Err(Error::TooLarge(format!("more than {most} messages in one command")));
    }
    let items: BTreeSet<ItemId> = items.iter().copied().collect();
    let mut found = Vec::new();
    for item in items {
        found.extend(row(work.view(), work.mailbox, item.0)?.filter(|r| r.deleted_ms >= since_ms.unwrap_or(0)));
    }
    Ok(found)
}

/// `Recover`.
pub(super) fn recover(
    work: &mut Work<'_>,
    items: &[ItemId],
    into: Option<FolderId>,
    since_ms: Option<u64>,
) -> Result<Receipt> {
    if let Some(folder) = into {
        work.folder(folder)?;
    }
    let mut found = named(work, items, UIDS_PER_COMMAND_MAX, since_ms)?;
    found.sort_by_key(|r| (r.folder, r.uid));
    work.room_in_quota(found.iter().fold(0u64, |sum, r| sum.saturating_add(r.hot.size)))?;
    let targets = targets(work, &found, into)?;
    // From here on nothing fails.
    let mut made: BTreeMap<&str, FolderId> = BTreeMap::new();
    let mut messages = Vec::with_capacity(found.len());
    for (row, target) in found.iter().zip(&targets) {
        let folder = match (target, made.get(row.path.as_str())) {
            (Some(folder), _) | (None, Some(folder)) => *folder,
            (None, None) => {
                let all = names::split(&row.path)?;
                let (parent, missing) = names::walk(work.view(), work.mailbox, &all)?;
                let folder = folders::make(work, parent, missing, FolderView::Message)?;
                made.insert(&row.path, folder);
                folder
            }
        };
        take_out(work, row);
        let uid = work.insert(folder, row.hot.clone())?;
        messages.push(Recovered { item: row.hot.item, folder, uid });
    }
    Ok(Receipt::Recovered { messages, modseq: work.header.modseq })
}

/// Where each of the messages is to go; `None`: a folder is to be made at its path.
///
/// # Errors
/// `TooLarge`: UIDs, or folders.
fn targets(work: &mut Work<'_>, found: &[DumpsterRow], into: Option<FolderId>) -> Result<Vec<Option<FolderId>>> {
    let mut targets = Vec::with_capacity(found.len());
    let (mut counts, mut paths): (BTreeMap<FolderId, u64>, BTreeSet<&str>) = (BTreeMap::new(), BTreeSet::new());
    for row in found {
        let target = match into {
            Some(folder) => Some(folder),
            None if rows::folder(work.view(), work.mailbox, row.folder)?.is_some() => Some(row.folder),
            None => match names::walk(work.view(), work.mailbox, &names::split(&row.path)?)? {
                (folder, []) => Some(folder),
                _ => None,
            },
        };
        match target {
            Some(folder) => *counts.entry(folder).or_default() += 1,
            None => _ = paths.insert(&row.path),
        }
        targets.push(target);
    }
    for (folder, count) in counts {
        work.room_for_messages(folder, count, 0)?;
    }
    let mut missing = 0;
    for path in paths {
        missing += names::walk(work.view(), work.mailbox, &names::split(path)?)?.1.len();
    }
    folders::room_for_folders(work, missing)?;
    Ok(targets)
}

/// # Errors
/// `Denied` under a legal hold.
fn not_held(work: &Work<'_>) -> Result<()> {
    match work.header.traits {
        Some(traits) if traits.hold => {
            Err(Error::Denied("the account is under legal hold: nothing is removed for good".into()))
        }
        _ => Ok(()),
    }
}

fn drop_all(work: &mut Work<'_>, rows: &[DumpsterRow], more: bool) -> Result<Receipt> {
    for row in rows {
        take_out(work, row);
        work.forget_content(row.hot.item)?;
    }
    let bytes = rows.iter().fold(0u64, |sum, r| sum.saturating_add(r.hot.size));
    Ok(Receipt::Purged { items: rows.len() as u64, bytes, more })
}

/// `PurgeDumpster`.
pub(super) fn purge(work: &mut Work<'_>, before_ms: u64, most: u32) -> Result<Receipt> {
    not_held(work)?;
    let most = most.clamp(1, PURGED_PER_COMMAND_MAX) as usize;
    let (from, to) = (rows::mailbox_key(work.mailbox), rows::long_key(work.mailbox, before_ms));
    let (items, more) = first(work.view(), &from, &to, most)?;
    let rows: Vec<_> =
        items.iter().map(|(_, item)| ordered(work.view(), work.mailbox, *item)).collect::<Result<_>>()?;
    drop_all(work, &rows, more)
}

/// The first `most` rows of the order, and whether there are others.
fn first(kv: &dyn KvRead, from: &[u8], to: &[u8], most: usize) -> Result<(Vec<(u64, u32)>, bool)> {
    let (mut keys, mut outcome) = (Vec::new(), Ok(()));
    kv.scan(Table::DumpsterOrder, from, to, &mut |key, _| {
        match key_u64(key, 8).and_then(|at| Ok((at, key_u32(key, 16)?))) {
            Ok(key) => keys.push(key),
            Err(e) => outcome = Err(e),
        }
        outcome.is_ok() && keys.len() <= most
    });
    outcome?;
    let more = keys.len() > most;
    keys.truncate(most);
    Ok((keys, more))
}

/// `DropFromDumpster`.
pub(super) fn drop_named(work: &mut Work<'_>, items: &[ItemId], since_ms: Option<u64>) -> Result<Receipt> {
    not_held(work)?;
    let rows = named(work, items, PURGED_PER_COMMAND_MAX.into(), since_ms)?;
    drop_all(work, &rows, false)
}

/// `PurgeFolder`. UIDs rise with the time at which messages came, so the oldest are in front.
pub(super) fn purge_folder(work: &mut Work<'_>, folder: FolderId, before_ms: u64, most: u32) -> Result<Receipt> {
    let fate = fate(work, folder)?;
    work.folder(folder)?;
    let most = most.clamp(1, PURGED_PER_COMMAND_MAX) as usize;
    let (mut old, prefix) = (Vec::new(), rows::number_key(work.mailbox, folder.0));
    each(work.view(), Table::Hot, &prefix, &behind(&prefix), |key, row: HotRow| {
        let is_old = saved_ms(&row) < before_ms;
        if is_old {
            old.push((Uid(key_u32(key, 12)?), row));
        }
        Ok(is_old && old.len() <= most)
    })?;
    let more = old.len() > most;
    old.truncate(most);
    for (uid, row) in &old {
        remove(work, folder, *uid, row, &fate)?;
    }
    let bytes = old.iter().fold(0u64, |sum, (_, row)| sum.saturating_add(row.size));
    Ok(Receipt::Purged { items: old.len() as u64, bytes, more })
}

pub(super) fn saved_ms(row: &HotRow) -> u64 {
    u64::try_from(row.saved_ms).unwrap_or(0)
}

/// Removes up to `most` of a mailbox that is being emptied; says how many.
pub(super) fn empty(kv: &mut dyn Kv, group: &mut Group, mailbox: MailboxId, most: usize) -> Result<usize> {
    let prefix = rows::mailbox_key(mailbox);
    let mut items = Vec::new();
    each(kv, Table::Dumpster, &prefix, &behind(&prefix), |_, row: DumpsterRow| {
        items.push((row.hot.item, row.deleted_ms));
        Ok(items.len() < most)
    })?;
    for (item, deleted_ms) in &items {
        let cold = rows::cold(kv, mailbox, *item)?;
        for table in [Table::Dumpster, Table::Cold, Table::Keys] {
            kv.delete(table, &rows::number_key(mailbox, item.0));
        }
        kv.delete(Table::DumpsterOrder, &order_key(mailbox, *deleted_ms, item.0));
        bodies::release(kv, group, cold.blob)?;
    }
    Ok(items.len())
}

/// `Dumpster`.
pub(super) fn list(view: &View<'_>, query: &DumpsterQuery) -> Result<MailboxReply> {
    let since = rows::long_key(view.mailbox, query.since_ms.unwrap_or(0));
    let after = query.after.map_or(Vec::new(), |DumpsterPlace { deleted_ms, item }| {
        let mut key = order_key(view.mailbox, deleted_ms, item.0);
        key.push(0);
        key
    });
    let to = match query.until_ms {
        Some(until_ms) => rows::long_key(view.mailbox, until_ms),
        None => behind(&rows::mailbox_key(view.mailbox)),
    };
    let limit = query.limit.clamp(1, DELETED_PER_PAGE_MAX) as usize;
    let (keys, mut more) = first(view.kv, &since.max(after), &to, limit)?;
    let Kept { items, bytes } = view.kept();
    let (mut deleted, mut read) = (Vec::with_capacity(keys.len()), 0);
    let mut names = Names::new(view.kv, view.mailbox);
    for (_, item) in keys {
        if read >= SUMMARY_BYTES_PER_PAGE {
            more = true;
            break;
        }
        let one = show(view, ordered(view.kv, view.mailbox, item)?, query, &mut names)?;
        read += one.summary.len();
        deleted.push(one);
    }
    let next = deleted.last().filter(|_| more).map(Deleted::place);
    Ok(MailboxReply::Dumpster(DumpsterPage { deleted, next, items, bytes }))
}

fn show(view: &View<'_>, row: DumpsterRow, query: &DumpsterQuery, names: &mut Names<'_>) -> Result<Deleted> {
    let DumpsterRow { hot, folder, uid, path, deleted_ms } = row;
    let (mut summary, mut blob) = (Bytes::new(), None);
    if query.want.summary || query.want.blob {
        let cold = rows::cold(view.kv, view.mailbox, hot.item)?;
        blob = if query.want.blob { Some(bodies::blob_ref(view.kv, cold.blob)?) } else { None };
        summary = if query.want.summary { cold.summary } else { summary };
    }
    Ok(Deleted {
        item: hot.item,
        folder,
        path,
        uid,
        deleted_ms,
        flags: hot.flags,
        keywords: names.of(&hot.tags)?,
        internal_ms: hot.internal_ms,
        size: hot.size,
        summary,
        blob,
    })
}

/// What was deleted at a time or later, by the folder that it was in, as a search works on it.
pub(super) fn columns(view: &View<'_>, since_ms: u64) -> Result<Vec<(FolderId, Columns)>> {
    let prefix = rows::mailbox_key(view.mailbox);
    let mut folders: BTreeMap<FolderId, Vec<(u32, HotRow)>> = BTreeMap::new();
    each(view.kv, Table::Dumpster, &prefix, &behind(&prefix), |_, row: DumpsterRow| {
        if row.deleted_ms >= since_ms {
            folders.entry(row.folder).or_default().push((row.uid.0, row.hot));
        }
        Ok(true)
    })?;
    let turned = folders.into_iter().map(|(folder, mut rows)| {
        // A folder gives each UID once.
        rows.sort_unstable_by_key(|(uid, _)| *uid);
        let mut columns = Columns::default();
        rows.into_iter().for_each(|(uid, row)| columns.push(uid, row));
        (folder, columns)
    });
    Ok(turned.collect())
}
