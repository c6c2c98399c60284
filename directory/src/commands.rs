//! Checked changes as commands for the log.

use crate::Failure;
use zcluster_api::DirectoryCommand;
use zcluster_api::directory::{Modification, Object, ObjectKind};

/// What is made gets this too.
pub(crate) fn with(mut command: DirectoryCommand, more: Vec<Modification>) -> DirectoryCommand {
    if let DirectoryCommand::CreateAccount { attrs, .. } = &mut command {
        attrs.extend(more);
    }
    command
}

/// The command that changes an entry.
pub(crate) fn modification(object: &Object, changes: Vec<Modification>) -> Result<DirectoryCommand, Failure> {
    let name = object.name.clone();
    Ok(match object.kind {
        ObjectKind::Account | ObjectKind::Resource => DirectoryCommand::ModifyAccount { id: object.id, changes },
        ObjectKind::Domain => DirectoryCommand::ModifyDomain { name, changes },
        ObjectKind::Cos => DirectoryCommand::ModifyCos { name, changes },
        ObjectKind::Config => DirectoryCommand::ModifyConfig(changes),
        ObjectKind::Alias => return Err(Failure::invalid("an alias has no attributes of its own")),
        _ => DirectoryCommand::ModifyEntry { id: object.id, changes },
    })
}

/// The command that removes an entry.
pub(crate) fn deletion(object: &Object) -> Result<DirectoryCommand, Failure> {
    let name = object.name.clone();
    Ok(match object.kind {
        ObjectKind::Account | ObjectKind::Resource => DirectoryCommand::DeleteAccount(object.id),
        ObjectKind::Domain => DirectoryCommand::DeleteDomain(name),
        ObjectKind::Cos => DirectoryCommand::DeleteCos(name),
        ObjectKind::Alias => DirectoryCommand::RemoveAlias { id: object.id, alias: name },
        ObjectKind::Config => return Err(Failure::invalid("the global config stays")),
        _ => DirectoryCommand::DeleteEntry(object.id),
    })
}
