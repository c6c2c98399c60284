//! Messages as those see them who derive something from their content: text indexes.

use super::rows::{self, ColdRow};
use crate::bodies;
use crate::kv::{KvRead, Table, load};
use zcluster_api::{BlobRef, Bytes, Error, ItemId, MailboxId, Result};

/// What never changes about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColdMessage {
    /// An encoded `zcluster_mail::Summary`.
    pub summary: Bytes,
    /// Its body; `None` when there is none, which is damage.
    pub blob: Option<BlobRef>,
}

/// A message, by item; `None` when there is none of that number any more.
///
/// # Errors
/// `Internal` when the row cannot be read.
pub fn cold_message(kv: &dyn KvRead, mailbox: MailboxId, item: ItemId) -> Result<Option<ColdMessage>> {
    let row: Option<ColdRow> = load(kv, Table::Cold, &rows::number_key(mailbox, item.0))?;
    row.map(|row| {
        let blob = match bodies::blob_ref(kv, row.blob) {
            Ok(blob) => Some(blob),
            Err(Error::Internal(_)) => None,
            Err(e) => return Err(e),
        };
        Ok(ColdMessage { summary: row.summary, blob })
    })
    .transpose()
}
