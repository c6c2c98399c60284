//! PUTSCRIPT (RFC 5804 §2.6).

use super::scripts;
use crate::errors::{Failure, Outcome, refusal};
use crate::session::Session;
use zcluster_api::delivery::ScriptText;
use zcluster_api::{Bytes, Error, MailboxCommand};

/// Stores a script that makes sense. If it is the active one, it decides from the next delivery on.
pub async fn run(session: &mut Session, name: String, source: Bytes) -> Outcome {
    session.user()?;
    scripts::check_name(&name)?;
    let reply = scripts::check(session, &source).await?;
    let size = source.len() as u64;
    match session.change(MailboxCommand::PutScript(ScriptText { name: name.clone(), source })).await? {
        Ok(_) => Ok(reply),
        Err(error @ Error::TooLarge(_)) => {
            // Which bound it was can be seen from what there is; the mailbox decided all the same.
            let list = scripts::list(session).await?;
            scripts::check_room(&list, &name, size)?;
            Err(Failure::Refused(refusal(&error)))
        }
        Err(error) => Err(error.into()),
    }
}
