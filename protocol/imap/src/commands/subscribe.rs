//! SUBSCRIBE and UNSUBSCRIBE (RFC 3501 §6.3.6, §6.3.7).

use super::names::trimmed;
use crate::errors::{Answer, Reply};
use crate::session::named::OTHERS;
use crate::session::{Mailbox, Session};
use zcluster_api::Error;

pub async fn subscribe(s: &mut Session, name: &str, on: bool) -> Answer {
    if name.starts_with(OTHERS) {
        return subscribe_others(s, trimmed(name), on).await;
    }
    let mailbox = s.mailbox()?;
    let name = trimmed(name);
    let folder = match mailbox.folder(name).await {
        // A subscription outlives its mailbox (RFC 3501 §6.3.6), until it is taken away.
        Err(Error::NotFound(_)) if !on && is_kept(&mailbox, name).await? => {
            mailbox.forget_subscription(name).await?;
            return Ok(Reply::Ok("UNSUBSCRIBE completed".into()));
        }
        other => other?,
    };
    if folder.subscribed != on {
        mailbox.subscribe(folder.id, on).await?;
    }
    Ok(Reply::Ok(if on { "SUBSCRIBE completed" } else { "UNSUBSCRIBE completed" }.into()))
}

/// Whether the name of a deleted mailbox is still subscribed.
async fn is_kept(mailbox: &Mailbox, name: &str) -> Result<bool, Error> {
    let name = name.to_lowercase();
    Ok(mailbox.lost_subscriptions().await?.iter().any(|n| n.to_lowercase() == name))
}

/// Subscriptions to others' folders are kept by name in the user's own mailbox: the folder may go, or be shared no more.
async fn subscribe_others(s: &mut Session, name: &str, on: bool) -> Answer {
    if on {
        s.named(name).await?.folder().await?;
    }
    s.mailbox()?.subscribe_name(name, on).await?;
    Ok(Reply::Ok(if on { "SUBSCRIBE completed" } else { "UNSUBSCRIBE completed" }.into()))
}
