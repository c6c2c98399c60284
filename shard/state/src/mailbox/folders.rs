//! Commands about folders themselves: create, rename, subscribe, claim `\Recent`.

use super::create::{NewFolder, new_folder, next_validity};
use super::rows::{self, FolderRow};
use super::work::Work;
use super::{names, subscriptions};
use crate::kv::Table;
use std::collections::BTreeMap;
use zcluster_api::mailbox::folders::USER_ROOT;
use zcluster_api::mailbox::{FOLDER_PATH_BYTES_MAX, FOLDERS_MAX, Folder, FolderView, SpecialUse};
use zcluster_api::{Error, FolderId, Receipt, Result};

/// RFC 3501 §6.3.3, with a use (RFC 6154 §3).
pub(super) fn create(
    work: &mut Work<'_>,
    path: &str,
    view: FolderView,
    special_use: Option<SpecialUse>,
) -> Result<Receipt> {
    let names = names::split(path)?;
    let (parent, missing) = names::walk(work.view(), work.mailbox, &names)?;
    if missing.is_empty() {
        return Err(Error::Exists(format!("folder {path:?}")));
    }
    room_for_folders(work, missing.len())?;
    let id = make(work, parent, missing, view)?;
    work.folder_mut(id)?.special_use = special_use;
    Ok(Receipt::Folder(show(work, id)?))
}

pub(super) fn room_for_folders(work: &Work<'_>, count: usize) -> Result<()> {
    if work.header.folders as usize + count > FOLDERS_MAX {
        return Err(Error::TooLarge(format!("more than {FOLDERS_MAX} folders")));
    }
    work.room_for_items(count as u64)
}

/// Creates `names` below each other and returns the last one's id (`parent` when there are none).
pub(super) fn make(work: &mut Work<'_>, parent: FolderId, names: &[&str], view: FolderView) -> Result<FolderId> {
    let mut at = parent;
    for name in names {
        work.tree_changed();
        let id = FolderId(work.next_item());
        let new = NewFolder { parent: at, name: (*name).into(), view, subscribed: false };
        let row = new_folder(new, next_validity(work), work.modseq());
        work.put_folder(id, row);
        adopt(work, id)?;
        at = id;
    }
    Ok(at)
}

/// Gives a folder the subscription that its name had kept.
fn adopt(work: &mut Work<'_>, id: FolderId) -> Result<()> {
    let path = path(work, id)?;
    if subscriptions::take(work, &path) {
        work.folder_mut(id)?.subscribed = true;
    }
    Ok(())
}

/// The folder's path as this command leaves it.
pub(super) fn path(work: &mut Work<'_>, id: FolderId) -> Result<String> {
    let row = work.folder(id)?.clone();
    names::path(&row, |parent| work.folder(parent).cloned().map(Some))
}

/// The folder as this command leaves it.
fn show(work: &mut Work<'_>, id: FolderId) -> Result<Folder> {
    let path = path(work, id)?;
    Ok(names::show(id, work.folder(id)?, path))
}

/// A name is looked up before the command that names its folder gets here; others may have renamed the folder since.
///
/// # Errors
/// `NotFound` when the folder is not at the path that the caller looked up.
pub(super) fn check_path(work: &Work<'_>, id: FolderId, was: Option<&str>) -> Result<()> {
    let Some(was) = was else { return Ok(()) };
    match names::walk(work.view(), work.mailbox, &names::split(was)?)? {
        (there, []) if there == id => Ok(()),
        _ => Err(Error::NotFound(format!("folder {was:?}"))),
    }
}

/// RFC 3501 §6.3.5. Children follow by themselves: their paths are made from their parents.
pub(super) fn rename(work: &mut Work<'_>, id: FolderId, path: &str, was: Option<&str>) -> Result<Receipt> {
    check_path(work, id, was)?;
    let old = work.folder(id)?.clone();
    if names::is_reserved(id) {
        return Err(Error::Denied(format!("folder {:?} is the system's", old.name)));
    }
    let names = names::split(path)?;
    let (name, parents) = names.split_last().ok_or_else(|| Error::Invalid("empty path".into()))?;
    let (parent, missing) = names::walk(work.view(), work.mailbox, parents)?;
    check_target(work, id, (parent, missing, name), path)?;
    room_for_folders(work, missing.len())?;

    if work.actor.is_some() {
        super::sharing::pin(work, id)?;
    }
    let parent = make(work, parent, missing, old.view)?;
    work.tree_changed();
    work.kv.delete(Table::FolderName, &rows::name_key(work.mailbox, old.parent, &old.name));
    work.kv.put(Table::FolderName, &rows::name_key(work.mailbox, parent, name), id.0.to_be_bytes().to_vec());
    let row = work.folder_mut(id)?;
    (row.parent, row.name) = (parent, (*name).to_string());
    adopt(work, id)?;
    Ok(Receipt::Folder(show(work, id)?))
}

/// A folder may not go below itself, take another's place, or carry its descendants beyond the bound of paths.
fn check_target(
    work: &Work<'_>,
    id: FolderId,
    (parent, missing, name): (FolderId, &[&str], &str),
    path: &str,
) -> Result<()> {
    let all = names::all(work.view(), work.mailbox)?;
    if is_below(&all, parent, id) {
        return Err(Error::Invalid("a folder cannot be moved into itself".into()));
    }
    if missing.is_empty() {
        match names::child(work.view(), work.mailbox, parent, name)? {
            Some(other) if other != id => return Err(Error::Exists(format!("folder {path:?}"))),
            _ => {}
        }
    }
    let deepest = all.keys().map(|f| below(&all, *f, id)).max().unwrap_or(0);
    if path.len() + deepest > FOLDER_PATH_BYTES_MAX {
        return Err(Error::TooLarge("path of a subfolder".into()));
    }
    Ok(())
}

/// Whether `folder` is `top` or below it.
fn is_below(all: &BTreeMap<FolderId, FolderRow>, mut folder: FolderId, top: FolderId) -> bool {
    for _ in 0..=all.len() {
        match all.get(&folder) {
            _ if folder == top => return true,
            Some(row) if folder != USER_ROOT => folder = row.parent,
            _ => return false,
        }
    }
    false
}

/// Bytes of the path from `top` down to `folder`, without `top`'s own name; 0 when it is not below.
fn below(all: &BTreeMap<FolderId, FolderRow>, mut folder: FolderId, top: FolderId) -> usize {
    let mut bytes = 0;
    for _ in 0..=all.len() {
        if folder == top {
            return bytes;
        }
        let Some(row) = all.get(&folder) else { return 0 };
        bytes += row.name.len() + 1;
        folder = row.parent;
    }
    0
}

/// RFC 3501 §6.3.6 and §6.3.7.
pub(super) fn subscribe(work: &mut Work<'_>, id: FolderId, subscribed: bool) -> Result<Receipt> {
    if work.folder(id)?.subscribed != subscribed {
        work.tree_changed();
        work.folder_mut(id)?.subscribed = subscribed;
    }
    Ok(Receipt::Done)
}

/// RFC 3501 §2.3.2: one session, the first that selects read-write, sees a message as `\Recent`.
pub(super) fn take_recent(work: &mut Work<'_>, id: FolderId) -> Result<Receipt> {
    let row = work.folder(id)?;
    let (from, next) = (row.recent_from, row.uid_next);
    if from != next {
        work.folder_mut(id)?.recent_from = next;
    }
    Ok(Receipt::Recent(from))
}
