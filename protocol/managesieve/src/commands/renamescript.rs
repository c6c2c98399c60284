//! RENAMESCRIPT (RFC 5804 §2.11).

use super::scripts::{check_name, missing};
use crate::codec::reply::{Code, Reply};
use crate::errors::{Outcome, refused_with};
use crate::session::Session;
use zcluster_api::{Error, MailboxCommand};

/// Renames a script; it stays active if it was.
pub async fn run(session: &mut Session, from: String, to: String) -> Outcome {
    session.user()?;
    check_name(&to)?;
    let command = MailboxCommand::RenameScript { from: from.clone(), to: to.clone() };
    match session.change(command).await? {
        Ok(_) => Ok(Reply::ok("")),
        Err(Error::NotFound(_)) => Err(missing(&from)),
        Err(Error::Exists(_)) => Err(refused_with(Code::AlreadyExists, format!("there is a script {to:?} already"))),
        Err(error) => Err(error.into()),
    }
}
