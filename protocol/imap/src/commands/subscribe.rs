//! SUBSCRIBE and UNSUBSCRIBE (RFC 3501 §6.3.6, §6.3.7).

use super::names::trimmed;
use crate::errors::{Answer, Reply};
use crate::session::Session;

pub async fn subscribe(s: &mut Session, name: &str, on: bool) -> Answer {
    let mailbox = s.mailbox()?;
    let folder = mailbox.folder(trimmed(name)).await?;
    if folder.subscribed != on {
        mailbox.subscribe(folder.id, on).await?;
    }
    Ok(Reply::Ok(if on { "SUBSCRIBE completed" } else { "UNSUBSCRIBE completed" }.into()))
}
