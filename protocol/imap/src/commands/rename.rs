//! RENAME (RFC 3501 §6.3.5).

use super::names::{is_inbox, shown, trimmed, write_renamed};
use crate::errors::{Answer, Failure, Reply};
use crate::session::{Mailbox, Session, numbers::pieces, sharing::require};
use zcluster_api::mailbox::{UIDS_PER_COMMAND_MAX, folders};
use zcluster_api::sharing::Rights;
use zcluster_api::{Error, FolderId};

pub async fn rename(s: &mut Session, from: &str, to: &str) -> Answer {
    let (from, to) = (trimmed(from), trimmed(to));
    if is_inbox(to) {
        return Err(Failure::no("[ALREADYEXISTS] INBOX is always there"));
    }
    let (old, new) = (s.named(from).await?, s.named(to).await?);
    if old.mailbox.owner() != new.mailbox.owner() {
        return Err(Failure::no("[CANNOT] a mailbox cannot be moved from one account to another"));
    }
    if is_inbox(from) {
        rename_inbox(&new.mailbox, folders::INBOX, &new.path).await?;
        return Ok(Reply::Ok("RENAME completed, INBOX is empty now".into()));
    }
    if old.mailbox.is_others() {
        require(&old.folder().await?, Rights::DELETE_FOLDER)?;
    }
    match old.mailbox.rename(&old.path, &new.path).await {
        Err(Error::Denied(_)) if !old.mailbox.is_others() => {
            Err(Failure::no("[CANNOT] this mailbox cannot be renamed"))
        }
        other => {
            let folder = other?;
            if s.dialect.rev2 {
                // RFC 9051 §6.3.6.
                write_renamed(&shown(&folder), Some(from), s.utf8, &mut s.out);
            }
            Ok(Reply::Ok("RENAME completed".into()))
        }
    }
}

/// "Renaming INBOX is permitted and treated specially: it moves all messages in INBOX to a new mailbox with the given
/// name, leaving INBOX empty" (RFC 3501 §6.3.5).
async fn rename_inbox(mailbox: &Mailbox, inbox: FolderId, to: &str) -> Result<(), Failure> {
    let target = mailbox.create(to, None).await?;
    let all = mailbox.uids(inbox).await?.uids;
    for piece in pieces(&all, UIDS_PER_COMMAND_MAX) {
        mailbox.copy(inbox, piece, target.id, true).await?;
    }
    Ok(())
}
