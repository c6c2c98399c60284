//! DELETESCRIPT (RFC 5804 §2.10).

use super::scripts::missing;
use crate::codec::reply::{Code, Reply};
use crate::errors::{Outcome, refused_with};
use crate::session::Session;
use zcluster_api::{Error, MailboxCommand};

/// Removes a script that is not active.
pub async fn run(session: &mut Session, name: String) -> Outcome {
    match session.change(MailboxCommand::DeleteScript(name.clone())).await? {
        Ok(_) => Ok(Reply::ok("")),
        Err(Error::NotFound(_)) => Err(missing(&name)),
        Err(Error::Conflict(_)) => Err(refused_with(Code::Active, "the active script cannot be deleted")),
        Err(error) => Err(error.into()),
    }
}
