//! The directory without the service that checks rights and values: what its state machine says.

use futures::future::{FutureExt, ready};
use zcluster_api::directory::*;
use zcluster_api::*;
use zcluster_ldap::{Answer, Directory, Failure};
use zcluster_state::memory::Memory;

pub struct Direct(pub Memory);

fn failure(kind: ObjectKind, error: Error) -> Failure {
    let code = match &error {
        Error::NotFound(_) => "account.NO_SUCH_ACCOUNT",
        Error::Exists(_) => "account.ACCOUNT_EXISTS",
        Error::Denied(_) => "service.PERM_DENIED",
        Error::Invalid(_) => "account.INVALID_ATTR_VALUE",
        Error::Conflict(_) if kind == ObjectKind::Domain => "account.DOMAIN_NOT_EMPTY",
        Error::Conflict(_) => "account.NO_SUCH_ATTR_VALUE",
        Error::Unavailable(_) => "service.TEMPORARILY_UNAVAILABLE",
        _ => "service.FAILURE",
    };
    Failure::new(code, error.to_string())
}

fn changes_only(actor: Actor) -> Result<(), Failure> {
    match actor {
        Actor::Admin(_) | Actor::System => Ok(()),
        _ => Err(Failure::new("service.PERM_DENIED", "permission denied")),
    }
}

impl Direct {
    fn command(&self, actor: Actor, kind: ObjectKind, command: DirectoryCommand) -> Result<DirectoryReply, Failure> {
        changes_only(actor)?;
        self.0.command(command).map_err(|e| failure(kind, e))
    }
    fn object(&self, by: ObjectBy) -> Result<Object, Failure> {
        let found = self.0.directory(DirectoryQuery::Object(by)).and_then(DirectoryReply::into_object);
        found.map_err(|e| failure(ObjectKind::Account, e))
    }
}

impl Directory for Direct {
    fn get(&self, _: Actor, by: ObjectBy) -> Answer<'_, Object> {
        ready(self.object(by)).boxed()
    }
    fn search(&self, _: Actor, search: Search) -> Answer<'_, Page> {
        let page = self.0.directory(DirectoryQuery::Search(Box::new(search))).and_then(DirectoryReply::into_page);
        ready(page.map_err(|e| failure(ObjectKind::Account, e))).boxed()
    }
    fn create<'a>(
        &'a self,
        actor: Actor,
        kind: ObjectKind,
        name: &'a str,
        parent: Option<AccountId>,
        attrs: Vec<Modification>,
    ) -> Answer<'a, Object> {
        let id = AccountId(zcluster_runtime::random_bytes());
        let command = match kind {
            ObjectKind::Account | ObjectKind::Resource => {
                DirectoryCommand::CreateAccount { id, name: name.into(), attrs, group: GroupId(1) }
            }
            ObjectKind::Domain => DirectoryCommand::CreateDomain { id, name: name.into(), attrs },
            ObjectKind::Cos => DirectoryCommand::CreateCos { id, name: name.into(), attrs },
            ObjectKind::Alias => DirectoryCommand::AddAlias { id: parent.unwrap_or(id), alias: name.into() },
            kind => DirectoryCommand::CreateEntry { kind, id, name: name.into(), parent, attrs },
        };
        let done = self.command(actor, kind, command).and_then(|_| {
            self.object(match kind {
                ObjectKind::Alias => ObjectBy::Name { kind, name: name.into(), parent: None },
                _ => ObjectBy::Id(id),
            })
        });
        ready(done).boxed()
    }
    fn modify<'a>(&'a self, actor: Actor, object: &'a Object, changes: Vec<Modification>) -> Answer<'a, Object> {
        let command = match object.kind {
            ObjectKind::Account | ObjectKind::Resource => DirectoryCommand::ModifyAccount { id: object.id, changes },
            ObjectKind::Domain => DirectoryCommand::ModifyDomain { name: object.name.clone(), changes },
            ObjectKind::Cos => DirectoryCommand::ModifyCos { name: object.name.clone(), changes },
            ObjectKind::Config => DirectoryCommand::ModifyConfig(changes),
            _ => DirectoryCommand::ModifyEntry { id: object.id, changes },
        };
        let done = self.command(actor, object.kind, command).map(|_| object.clone());
        ready(done).boxed()
    }
    fn delete<'a>(&'a self, actor: Actor, object: &'a Object) -> Answer<'a, ()> {
        let command = match object.kind {
            ObjectKind::Account | ObjectKind::Resource => DirectoryCommand::DeleteAccount(object.id),
            ObjectKind::Domain => DirectoryCommand::DeleteDomain(object.name.clone()),
            ObjectKind::Cos => DirectoryCommand::DeleteCos(object.name.clone()),
            ObjectKind::Alias => DirectoryCommand::RemoveAlias { id: object.id, alias: object.name.clone() },
            _ => DirectoryCommand::DeleteEntry(object.id),
        };
        ready(self.command(actor, object.kind, command).map(|_| ())).boxed()
    }
    fn rename<'a>(&'a self, actor: Actor, object: &'a Object, name: &'a str) -> Answer<'a, Object> {
        let (id, name) = (object.id, name.to_string());
        let command = match object.kind {
            ObjectKind::Account | ObjectKind::Resource => DirectoryCommand::RenameAccount { id, name },
            _ => DirectoryCommand::RenameEntry { id, name },
        };
        ready(self.command(actor, object.kind, command).map(|_| object.clone())).boxed()
    }
    fn version(&self) -> Option<u64> {
        // What there is, in a number: enough to see that something has changed.
        let all =
            Search { kinds: Kinds::ALL, domain: None, parent: None, filter: Filter::all(), after: None, limit: 1_000 };
        let page = self.0.directory(DirectoryQuery::Search(Box::new(all))).and_then(DirectoryReply::into_page).ok()?;
        let bytes = codec::encode(&page);
        Some(bytes.iter().fold(7, |sum: u64, b| sum.wrapping_mul(31).wrapping_add(u64::from(*b))))
    }
}
