//! SUBSCRIBE and UNSUBSCRIBE (RFC 3501 §6.3.6, §6.3.7).

use super::names::trimmed;
use crate::errors::{Answer, Reply};
use crate::session::Session;
use crate::session::named::OTHERS;

pub async fn subscribe(s: &mut Session, name: &str, on: bool) -> Answer {
    if name.starts_with(OTHERS) {
        return subscribe_others(s, trimmed(name), on).await;
    }
    let named = s.named(name).await?;
    let folder = named.folder().await?;
    if folder.subscribed != on {
        named.mailbox.subscribe(folder.id, on).await?;
    }
    Ok(Reply::Ok(if on { "SUBSCRIBE completed" } else { "UNSUBSCRIBE completed" }.into()))
}

/// Subscriptions to others' folders are kept by name in the user's own mailbox: the folder may go, or be shared no more.
async fn subscribe_others(s: &mut Session, name: &str, on: bool) -> Answer {
    if on {
        s.named(name).await?.folder().await?;
    }
    s.mailbox()?.subscribe_name(name, on).await?;
    Ok(Reply::Ok(if on { "SUBSCRIBE completed" } else { "UNSUBSCRIBE completed" }.into()))
}
