//! DELETE (RFC 3501 §6.3.4).

use super::names::{is_inbox, trimmed};
use crate::errors::{Answer, Failure, Reply};
use crate::session::Session;
use crate::session::sharing::require;
use zcluster_api::Error;
use zcluster_api::sharing::Rights;

pub async fn delete(s: &mut Session, name: &str) -> Answer {
    let name = trimmed(name);
    if is_inbox(name) {
        return Err(Failure::no("[CANNOT] INBOX cannot be deleted"));
    }
    let named = s.named(name).await?;
    if named.mailbox.is_others() {
        require(&named.folder().await?, Rights::DELETE_FOLDER)?;
    }
    match named.mailbox.delete(&named.path).await {
        Err(Error::Conflict(_)) => Err(Failure::no("[HASCHILDREN] mailbox has mailboxes inside")),
        Err(Error::Denied(_)) if !named.mailbox.is_others() => {
            Err(Failure::no("[CANNOT] this mailbox cannot be deleted"))
        }
        other => {
            other?;
            Ok(Reply::Ok("DELETE completed".into()))
        }
    }
}
