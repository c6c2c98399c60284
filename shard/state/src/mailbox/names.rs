//! Folder names and paths.

use super::rows::{self, FolderRow};
use crate::kv::{KvRead, Table, behind, each, key_u32};
use std::collections::BTreeMap;
use zcluster_api::mailbox::folders::{DRAFTS, FIRST_FREE, JUNK, SENT, TRASH, USER_ROOT};
use zcluster_api::mailbox::{FOLDER_NAME_BYTES_MAX, FOLDER_PATH_BYTES_MAX, Folder, SpecialUse};
use zcluster_api::{Error, FolderId, MailboxId, Result};

/// Parents a path can have at most: each takes a letter and a slash.
pub(crate) const DEPTH_MAX: usize = FOLDER_PATH_BYTES_MAX;

/// Splits a path into names.
///
/// # Errors
/// `Invalid` for an empty name or a control character, `TooLarge` beyond the bounds of names and paths.
pub(crate) fn split(path: &str) -> Result<Vec<&str>> {
    if path.len() > FOLDER_PATH_BYTES_MAX {
        return Err(Error::TooLarge(format!("folder path of {} bytes", path.len())));
    }
    path.split('/').map(|name| check(name).map(|()| name)).collect()
}

fn check(name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(Error::Invalid("empty folder name".into()));
    }
    if name.len() > FOLDER_NAME_BYTES_MAX {
        return Err(Error::TooLarge(format!("folder name of {} bytes", name.len())));
    }
    if name.chars().any(char::is_control) {
        return Err(Error::Invalid("control character in a folder name".into()));
    }
    Ok(())
}

/// The child of `parent` with this name, in any case. The Inbox answers to `INBOX` (RFC 3501 §5.1) by that rule.
pub(crate) fn child(kv: &dyn KvRead, mailbox: MailboxId, parent: FolderId, name: &str) -> Result<Option<FolderId>> {
    match kv.get(Table::FolderName, &rows::name_key(mailbox, parent, name)) {
        Some(id) => Ok(Some(FolderId(key_u32(&id, 0)?))),
        None => Ok(None),
    }
}

/// Whether any folder has `parent` as its parent.
pub(crate) fn has_children(kv: &dyn KvRead, mailbox: MailboxId, parent: FolderId) -> bool {
    let prefix = rows::number_key(mailbox, parent.0);
    let mut found = false;
    kv.scan(Table::FolderName, &prefix, &behind(&prefix), &mut |_, _| {
        found = true;
        false
    });
    found
}

/// Follows `names` down from the root: the deepest folder there is, and the names that are missing below it.
pub(crate) fn walk<'n>(kv: &dyn KvRead, mailbox: MailboxId, names: &'n [&'n str]) -> Result<(FolderId, &'n [&'n str])> {
    let mut at = USER_ROOT;
    for (i, name) in names.iter().enumerate() {
        match child(kv, mailbox, at, name)? {
            Some(id) => at = id,
            None => return Ok((at, &names[i..])),
        }
    }
    Ok((at, &[]))
}

/// A folder's path, by asking `row_of` for its parents.
pub(crate) fn path(row: &FolderRow, mut row_of: impl FnMut(FolderId) -> Result<Option<FolderRow>>) -> Result<String> {
    let mut names = vec![row.name.clone()];
    let mut parent = row.parent;
    while parent != USER_ROOT && names.len() < DEPTH_MAX {
        let row = row_of(parent)?.ok_or_else(|| Error::Internal(format!("folder {parent} is missing")))?;
        parent = row.parent;
        names.push(row.name);
    }
    names.reverse();
    Ok(names.join("/"))
}

/// All folders but the root, by id.
pub(crate) fn all(kv: &dyn KvRead, mailbox: MailboxId) -> Result<BTreeMap<FolderId, FolderRow>> {
    let prefix = rows::mailbox_key(mailbox);
    let mut out = BTreeMap::new();
    each(kv, Table::Folder, &prefix, &behind(&prefix), |key, row: FolderRow| {
        out.insert(FolderId(key_u32(key, prefix.len())?), row);
        Ok(true)
    })?;
    out.remove(&USER_ROOT);
    Ok(out)
}

/// A folder as callers see it.
pub(crate) fn show(id: FolderId, row: &FolderRow, path: String) -> Folder {
    Folder {
        id,
        parent: row.parent,
        path,
        view: row.view,
        special_use: row.special_use.or_else(|| reserved_use(id)),
        subscribed: row.subscribed,
        uid_validity: row.uid_validity,
        uid_next: row.uid_next,
        messages: row.messages,
        unread: row.unread,
        deleted: row.deleted,
        bytes: row.bytes,
        highest_modseq: row.highest_modseq,
        recent_from: row.recent_from,
        rights: None,
    }
}

/// The folder with this use, the one with the lowest id of several.
pub(crate) fn with_use(kv: &dyn KvRead, mailbox: MailboxId, wanted: SpecialUse) -> Result<Option<FolderId>> {
    let mut all = all(kv, mailbox)?.into_iter();
    Ok(all.find(|(id, row)| row.special_use.or_else(|| reserved_use(*id)) == Some(wanted)).map(|(id, _)| id))
}

/// The use that a reserved folder has by its id.
fn reserved_use(id: FolderId) -> Option<SpecialUse> {
    match id {
        TRASH => Some(SpecialUse::Trash),
        JUNK => Some(SpecialUse::Junk),
        SENT => Some(SpecialUse::Sent),
        DRAFTS => Some(SpecialUse::Drafts),
        _ => None,
    }
}

/// Whether a folder is the system's: never renamed or deleted.
pub(crate) fn is_reserved(id: FolderId) -> bool {
    id.0 < FIRST_FREE
}
