//! The mailbox machine.
use crate::content::Content;
use crate::kv::KvRead;
use zcluster_api::{Epoch, Error, GroupId, MailboxId, MailboxQuery, MailboxReply, Result};

/// Answers a question about a mailbox. `quota` (bytes, 0 = none) is told back in `Info`.
///
/// # Errors
/// `WrongHome` when the mailbox is not in this group at this epoch; else what the query documents.
pub fn read_mailbox(
    kv: &dyn KvRead,
    group: GroupId,
    mailbox: MailboxId,
    epoch: Epoch,
    quota: u64,
    query: &MailboxQuery,
    content: &dyn Content,
) -> Result<MailboxReply> {
    let _ = (kv, group, mailbox, epoch, quota, query, content);
    Err(Error::Unavailable("in work".into()))
}
