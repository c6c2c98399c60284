//! What the simulator's planted bug `UidBeforeCommit` needs of the tables (`zcluster_runtime::planted`, which this crate
//! must not know). No command does any of this: a UID is given by applying, and only there.

use crate::kv::{Kv, KvRead, Table, save};
use crate::mailbox::rows;
use zcluster_api::{FolderId, MailboxId, Result, Uid};

/// The UID that the next message of a folder gets; `None` when there is no such folder.
///
/// # Errors
/// Damaged rows.
pub fn uid_next(kv: &dyn KvRead, mailbox: MailboxId, folder: FolderId) -> Result<Option<Uid>> {
    Ok(rows::folder(kv, mailbox, folder)?.map(|row| row.uid_next))
}

/// Makes the next message of a folder get this UID.
///
/// # Errors
/// Damaged rows.
pub fn set_uid_next(kv: &mut dyn Kv, mailbox: MailboxId, folder: FolderId, uid: Uid) -> Result<()> {
    if let Some(mut row) = rows::folder(kv, mailbox, folder)? {
        row.uid_next = uid;
        save(kv, Table::Folder, &rows::number_key(mailbox, folder.0), &row);
    }
    Ok(())
}
