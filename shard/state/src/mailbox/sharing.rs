//! Who may do what with whose folders: the grants' rows, what they amount to, and SETACL (docs/decisions/0015).
//!
//! A folder has the grants of its own row, or else those of the nearest folder above that has one.

use super::names::{self, DEPTH_MAX};
use super::rows::{self, FolderRow, HotRow};
use super::work::{Work, no_folder};
use crate::kv::{KvRead, Table, behind, each, key_u32, load, save};
use minicbor::{Decode, Encode};
use std::collections::{BTreeMap, BTreeSet};
use zcluster_api::mailbox::folders::USER_ROOT;
use zcluster_api::sharing::{GRANTS_PER_FOLDER_MAX, Grant, Grantee, Rights, RightsChange, effective};
use zcluster_api::{AccountId, Error, Flags, FolderId, MailboxId, MailboxReply, Receipt, Result};

/// Different grantees of one mailbox: the directory keeps a list of them.
const GRANTEES_MAX: usize = 5_000;

/// A row of [`Table::Acl`]. One without grants is a folder that is kept from those its parent is shared with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct AclRow {
    /// By grantee.
    #[n(0)]
    pub grants: Vec<Grant>,
}

/// All rows of a mailbox.
pub(super) fn all(kv: &dyn KvRead, mailbox: MailboxId) -> Result<BTreeMap<FolderId, AclRow>> {
    let prefix = rows::mailbox_key(mailbox);
    let mut out = BTreeMap::new();
    each(kv, Table::Acl, &prefix, &behind(&prefix), |key, row: AclRow| {
        out.insert(FolderId(key_u32(key, prefix.len())?), row);
        Ok(true)
    })?;
    Ok(out)
}

/// A folder's grants, and whether they are from above.
///
/// # Errors
/// `NotFound`.
pub(super) fn grants(kv: &dyn KvRead, mailbox: MailboxId, folder: FolderId) -> Result<(Vec<Grant>, bool)> {
    let mut at = folder;
    for depth in 0..=DEPTH_MAX {
        let row = if at == USER_ROOT { None } else { rows::folder(kv, mailbox, at)? };
        let Some(row) = row else {
            return if depth == 0 { Err(no_folder(folder)) } else { Ok((Vec::new(), true)) };
        };
        if let Some(acl) = load::<AclRow>(kv, Table::Acl, &rows::number_key(mailbox, at.0))? {
            return Ok((acl.grants, depth > 0));
        }
        at = row.parent;
    }
    Ok((Vec::new(), true))
}

/// What an account that is not the owner may do with a folder; nothing when there is no such folder.
pub(super) fn rights(kv: &dyn KvRead, mailbox: MailboxId, folder: FolderId, actor: AccountId) -> Result<Rights> {
    match grants(kv, mailbox, folder) {
        Ok((grants, _)) => Ok(effective(&grants, actor)),
        Err(Error::NotFound(_)) => Ok(Rights::NONE),
        Err(e) => Err(e),
    }
}

/// The same for a folder among all of the mailbox's, without reading more rows.
pub(super) fn rights_among(
    folders: &BTreeMap<FolderId, FolderRow>,
    acls: &BTreeMap<FolderId, AclRow>,
    folder: FolderId,
    actor: AccountId,
) -> Rights {
    let mut at = folder;
    for _ in 0..=DEPTH_MAX {
        if let Some(acl) = acls.get(&at) {
            return effective(&acl.grants, actor);
        }
        match folders.get(&at) {
            Some(row) => at = row.parent,
            None => break,
        }
    }
    Rights::NONE
}

/// What an account may do with some folder or other.
pub(super) fn rights_anywhere(kv: &dyn KvRead, mailbox: MailboxId, actor: AccountId) -> Result<Rights> {
    let acls = all(kv, mailbox)?;
    Ok(acls.values().fold(Rights::NONE, |sum, acl| sum.with(effective(&acl.grants, actor))))
}

/// Refuses who lacks a right: a folder that one may not see is none (RFC 4314 §6).
///
/// # Errors
/// `Denied` or `NotFound`.
pub(super) fn need(had: Rights, wanted: Rights, folder: FolderId) -> Result<()> {
    if had.has(wanted) {
        return Ok(());
    }
    if !had.has(Rights::LOOKUP) {
        return Err(no_folder(folder));
    }
    Err(Error::Denied(format!("right {wanted} is needed on folder {folder}")))
}

/// Takes from a message's flags what may not be set in a folder (RFC 4314 §4: APPEND, COPY).
pub(super) fn narrow(flags: Flags, rights: Rights) -> Flags {
    let mut flags = flags;
    if !rights.has(Rights::SEEN) {
        flags = flags.with(Flags::UNREAD);
    }
    if !rights.has(Rights::DELETE) {
        flags = flags.without(Flags::DELETED);
    }
    if !rights.has(Rights::WRITE) {
        flags = flags.without(Flags::IMAP.without(Flags::DELETED.with(Flags::UNREAD)));
    }
    flags
}

/// The same for a message that this command copies or moves to a folder.
pub(super) fn narrow_row(row: &mut HotRow, rights: Rights) {
    row.flags = narrow(row.flags, rights);
    if !rights.has(Rights::WRITE) {
        row.tags.clear();
    }
}

/// What the command's actor may do in a folder that it puts messages into; the owner everything.
pub(super) fn of_target(work: &Work<'_>, to: FolderId) -> Result<Rights> {
    match work.actor {
        Some(actor) => rights(work.view(), work.mailbox, to, actor),
        None => Ok(Rights::ALL),
    }
}

/// `SetAcl`.
pub(super) fn set(
    work: &mut Work<'_>,
    folder: FolderId,
    grantee: Grantee,
    negative: bool,
    change: RightsChange,
) -> Result<Receipt> {
    work.folder(folder)?;
    let (mut list, inherited) = grants(work.view(), work.mailbox, folder)?;
    let before = list.clone();
    let at = match list.binary_search_by_key(&grantee, |g| g.grantee) {
        Ok(at) => at,
        Err(at) => {
            list.insert(at, Grant { grantee, allow: Rights::NONE, deny: Rights::NONE });
            at
        }
    };
    let grant = list.get_mut(at).ok_or_else(|| Error::Internal("grant".into()))?;
    let side = if negative { &mut grant.deny } else { &mut grant.allow };
    *side = change.apply(*side);
    list.retain(|g| !g.allow.is_empty() || !g.deny.is_empty());
    if list.len() > GRANTS_PER_FOLDER_MAX {
        return Err(Error::TooLarge(format!("more than {GRANTS_PER_FOLDER_MAX} grants on a folder")));
    }
    let mut acls = all(work.view(), work.mailbox)?;
    acls.insert(folder, AclRow { grants: list.clone() });
    let grantees = grantees(&acls);
    if grantees.len() > GRANTEES_MAX {
        return Err(Error::TooLarge(format!("folders are shared with more than {GRANTEES_MAX}")));
    }
    if list != before || inherited {
        put(work, folder, list);
    }
    Ok(Receipt::Shared { grantees, modseq: work.header.modseq })
}

fn put(work: &mut Work<'_>, folder: FolderId, grants: Vec<Grant>) {
    work.tree_changed();
    save(work.kv, Table::Acl, &rows::number_key(work.mailbox, folder.0), &AclRow { grants });
}

fn grantees(acls: &BTreeMap<FolderId, AclRow>) -> Vec<Grantee> {
    let given = acls.values().flat_map(|acl| &acl.grants).filter(|g| !g.allow.is_empty());
    let all: BTreeSet<Grantee> = given.map(|g| g.grantee).collect();
    all.into_iter().collect()
}

/// Gives a folder a row of its own with the grants it has, before somebody else than the owner moves it: below another
/// parent it would follow that one's, and whoever has few rights here and more there would have helped himself.
pub(super) fn pin(work: &mut Work<'_>, folder: FolderId) -> Result<()> {
    let (list, inherited) = grants(work.view(), work.mailbox, folder)?;
    if inherited {
        put(work, folder, list);
    }
    Ok(())
}

/// Removes what was said about a folder that is deleted.
pub(super) fn forget(work: &mut Work<'_>, folder: FolderId) {
    work.kv.delete(Table::Acl, &rows::number_key(work.mailbox, folder.0));
}

/// `Acl`.
pub(super) fn read(kv: &dyn KvRead, mailbox: MailboxId, folder: FolderId) -> Result<MailboxReply> {
    let (grants, inherited) = grants(kv, mailbox, folder)?;
    Ok(MailboxReply::Acl { grants, inherited })
}

/// The nearest folder above which the rest of `names` is to be made.
pub(super) fn nearest(kv: &dyn KvRead, mailbox: MailboxId, names: &[&str]) -> Result<FolderId> {
    names::walk(kv, mailbox, names).map(|(folder, _)| folder)
}
