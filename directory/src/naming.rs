//! Other names: renaming entries, and the further addresses of accounts and lists.

use crate::access::Wish;
use crate::service::object_of;
use crate::{Directory, Failure};
use zcluster_api::directory::{Object, ObjectKind};
use zcluster_api::{Actor, DirectoryCommand, DirectoryReply};

/// Addresses moved by one step when a domain is renamed.
const RENAME_STEP: u32 = 200;

impl Directory {
    /// Gives an entry another name. A domain's addresses follow in steps, all of which are done when this returns;
    /// called again after an interruption with the old name it goes on.
    ///
    /// # Errors
    /// `PERM_DENIED`, `..._EXISTS`, `NO_SUCH_...`.
    pub async fn rename(&self, actor: Actor, object: &Object, name: &str) -> Result<Object, Failure> {
        self.allow(actor, Wish::Rename { object, name }).await?;
        let renamed = self.renamed(object, name).await?;
        self.audit_done(actor, "rename", &format!("{:?} {}", object.kind, object.name), name).await;
        Ok(renamed)
    }

    async fn renamed(&self, object: &Object, name: &str) -> Result<Object, Failure> {
        let (id, name) = (object.id, name.to_string());
        let command = match object.kind {
            ObjectKind::Account | ObjectKind::Resource => DirectoryCommand::RenameAccount { id, name: name.clone() },
            ObjectKind::Domain => DirectoryCommand::RenameDomain { name: object.name.clone(), new_name: name.clone() },
            ObjectKind::Cos => return self.rename_cos(object, &name).await,
            ObjectKind::Config | ObjectKind::GlobalGrant | ObjectKind::Alias => {
                return Err(Failure::invalid(format!("{} cannot be renamed", object.name)));
            }
            _ => DirectoryCommand::RenameEntry { id, name: name.clone() },
        };
        let reply = self.write(command).await.map_err(|e| Failure::of(&e, object.kind, &name))?;
        if object.kind == ObjectKind::Domain {
            let step = DirectoryCommand::RenameDomainStep { name: object.name.clone(), limit: RENAME_STEP };
            while let DirectoryReply::Number(1..) =
                self.write(step.clone()).await.map_err(|e| Failure::of(&e, object.kind, &object.name))?
            {}
            return self.named(&[ObjectKind::Domain], None, &name).await;
        }
        object_of(reply)
    }

    /// A COS keeps its id: accounts name it by that.
    async fn rename_cos(&self, object: &Object, name: &str) -> Result<Object, Failure> {
        let command = DirectoryCommand::RenameCos { name: object.name.clone(), new_name: name.to_string() };
        let reply = self.write(command).await.map_err(|e| Failure::of(&e, ObjectKind::Cos, name))?;
        object_of(reply)
    }

    /// Gives an account or list a further address.
    ///
    /// # Errors
    /// `ACCOUNT_EXISTS`, `NO_SUCH_DOMAIN`, `PERM_DENIED`.
    pub async fn add_alias(&self, actor: Actor, object: &Object, alias: &str) -> Result<Object, Failure> {
        self.allow(actor, Wish::Alias { object, alias, add: true }).await?;
        let command = DirectoryCommand::AddAlias { id: object.id, alias: alias.to_string() };
        let reply = self.write(command).await.map_err(|e| Failure::of(&e, ObjectKind::Alias, alias))?;
        self.audit_done(actor, "add alias", &format!("{:?} {}", object.kind, object.name), alias).await;
        object_of(reply)
    }

    /// Takes a further address away.
    ///
    /// # Errors
    /// `NO_SUCH_ALIAS`, `PERM_DENIED`.
    pub async fn remove_alias(&self, actor: Actor, object: &Object, alias: &str) -> Result<Object, Failure> {
        self.allow(actor, Wish::Alias { object, alias, add: false }).await?;
        let command = DirectoryCommand::RemoveAlias { id: object.id, alias: alias.to_string() };
        let reply = self.write(command).await.map_err(|e| Failure::of(&e, ObjectKind::Alias, alias))?;
        self.audit_done(actor, "remove alias", &format!("{:?} {}", object.kind, object.name), alias).await;
        object_of(reply)
    }
}
