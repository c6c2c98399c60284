//! Mailbox access keys (RFC 4467 §3): one per folder, drawn by an edge, gone with the folder.

use super::rows;
use super::work::Work;
use crate::kv::{KvRead, Table, behind, load, save};
use zcluster_api::mailbox::UrlAuthKey;
use zcluster_api::{FolderId, MailboxId, Receipt, Result};

/// `SetUrlAuthKey`. Keys are no news to anybody: the mod-sequence stays.
pub(super) fn set_key(work: &mut Work<'_>, folder: FolderId, key: UrlAuthKey, keep: bool) -> Result<Receipt> {
    work.folder(folder)?;
    let at = rows::number_key(work.mailbox, folder.0);
    if !(keep && work.view().get(Table::UrlAuthKey, &at).is_some()) {
        save(work.kv, Table::UrlAuthKey, &at, &key);
    }
    Ok(Receipt::Done)
}

/// `DropUrlAuthKeys`. There is at most one row per folder.
pub(super) fn drop_keys(work: &mut Work<'_>) -> Result<Receipt> {
    let prefix = rows::mailbox_key(work.mailbox);
    let mut keys = Vec::new();
    work.view().scan(Table::UrlAuthKey, &prefix, &behind(&prefix), &mut |key, _| {
        keys.push(key.to_vec());
        true
    });
    keys.iter().for_each(|key| work.kv.delete(Table::UrlAuthKey, key));
    Ok(Receipt::Done)
}

/// A folder's key.
pub(super) fn key(kv: &dyn KvRead, mailbox: MailboxId, folder: FolderId) -> Result<Option<UrlAuthKey>> {
    load(kv, Table::UrlAuthKey, &rows::number_key(mailbox, folder.0))
}
