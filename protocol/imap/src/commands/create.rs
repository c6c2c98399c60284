//! CREATE (RFC 3501 §6.3.3) with a special use (RFC 6154 §3) and a MAILBOXID (RFC 8474 §4.2).

use super::names::{is_inbox, trimmed, write_renamed};
use crate::errors::{Answer, Failure, Reply};
use crate::session::Session;
use zcluster_api::mailbox::SpecialUse;

pub async fn create(s: &mut Session, name: &str, special_use: Option<SpecialUse>) -> Answer {
    let (given, name) = (name, trimmed(name));
    if is_inbox(name) {
        return Err(Failure::no("[ALREADYEXISTS] INBOX is always there"));
    }
    let named = s.named(name).await?;
    let folder = named.mailbox.create(&named.path, special_use).await?;
    // A name that was taken otherwise than it was given (RFC 9051 §6.3.4).
    let shown = named.shown(&folder);
    if s.dialect.rev2 && shown != given {
        write_renamed(&shown, Some(given), s.utf8, &mut s.out);
    }
    let suffix = named.mailbox.object_suffix();
    Ok(Reply::Ok(format!("[MAILBOXID (F{}{suffix})] CREATE completed", folder.id).into()))
}
