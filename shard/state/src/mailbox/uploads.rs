//! `Chunk` and `DropUpload`: large bodies on their way in.

use super::rows::{self, Life};
use super::work::Work;
use crate::bodies;
use crate::kv::{Kv, Table, save};
use zcluster_api::{Bytes, Error, MailboxId, Receipt, RequestId, Result};

/// Uploads a mailbox may have open at once.
const UPLOADS_MAX: u32 = 32;

pub(super) fn chunk(work: &mut Work<'_>, upload: RequestId, seq: u32, bytes: &Bytes) -> Result<Receipt> {
    if seq == 0 && work.header.uploads >= UPLOADS_MAX && work.view().get(Table::Upload, &upload.0).is_none() {
        return Err(Error::TooLarge(format!("more than {UPLOADS_MAX} uploads at once")));
    }
    // A message's stored bytes are hardly ever more than its own: what does not fit now never will.
    let room = if work.quota == 0 { u64::MAX } else { work.quota.saturating_sub(work.header.used) };
    if bodies::add_chunk(work.kv, work.group, work.mailbox, upload, (seq, bytes), room)? {
        work.header.uploads += 1;
    }
    Ok(Receipt::Done)
}

pub(super) fn drop_upload(work: &mut Work<'_>, upload: RequestId) -> Result<Receipt> {
    if bodies::drop_upload(work.kv, work.group, work.mailbox, upload)? {
        work.header.uploads = work.header.uploads.saturating_sub(1);
    }
    Ok(Receipt::Done)
}

/// Counts an upload off that was reaped without a command.
pub(crate) fn forget_upload(kv: &mut dyn Kv, mailbox: MailboxId) -> Result<()> {
    if let Some(mut header) = rows::header(kv, mailbox)?.filter(|h| h.life == Life::Live) {
        header.uploads = header.uploads.saturating_sub(1);
        save(kv, Table::Mailbox, &rows::mailbox_key(mailbox), &header);
    }
    Ok(())
}
