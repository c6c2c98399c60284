//! SETACTIVE (RFC 5804 §2.8).

use super::scripts;
use crate::codec::reply::Reply;
use crate::errors::Outcome;
use crate::session::Session;
use zcluster_api::{Error, MailboxCommand};

/// Makes a script the active one, or none. What was stored is checked again: the language may have been held to other
/// limits then.
pub async fn run(session: &mut Session, name: String) -> Outcome {
    let (reply, target) = if name.is_empty() {
        (Reply::ok(""), None)
    } else {
        let source = scripts::text(session, &name).await?;
        (scripts::check(session, &source).await?, Some(name.clone()))
    };
    match session.change(MailboxCommand::ActivateScript(target)).await? {
        Ok(_) => Ok(reply),
        // Removed in between.
        Err(Error::NotFound(_)) => Err(scripts::missing(&name)),
        Err(error) => Err(error.into()),
    }
}
