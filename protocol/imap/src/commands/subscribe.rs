//! SUBSCRIBE and UNSUBSCRIBE (RFC 3501 §6.3.6, §6.3.7).

use crate::errors::{Answer, Reply};
use crate::session::Session;

pub async fn subscribe(s: &mut Session, name: &str, on: bool) -> Answer {
    let named = s.named(name).await?;
    let folder = named.folder().await?;
    if folder.subscribed != on {
        named.mailbox.subscribe(folder.id, on).await?;
    }
    Ok(Reply::Ok(if on { "SUBSCRIBE completed" } else { "UNSUBSCRIBE completed" }.into()))
}
