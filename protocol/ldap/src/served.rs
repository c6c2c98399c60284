//! The directory's service as this crate wants it.

use crate::back_end::{Answer, Directory};
use futures::future::FutureExt;
use zcluster_api::directory::{Account, Modification, Object, ObjectBy, ObjectKind, Page, Search};
use zcluster_api::{AccountId, Actor};
use zcluster_directory::{Failure, PasswordRules};

/// Tells how often the directory has changed.
pub type Version = Box<dyn Fn() -> Option<u64> + Send + Sync>;

/// The directory with its schema and rights.
pub struct Served {
    directory: zcluster_directory::Directory,
    version: Version,
}

impl Served {
    /// Over the service; `version` is a number that rises with every change of this node's copy.
    pub fn new(directory: zcluster_directory::Directory, version: Version) -> Self {
        Served { directory, version }
    }

    async fn add_alias(&self, actor: Actor, parent: Option<AccountId>, alias: &str) -> Result<Object, Failure> {
        let target = parent.ok_or_else(|| Failure::invalid("an alias needs whose it is"))?;
        let target = self.directory.find(ObjectBy::Id(target)).await?;
        self.directory.add_alias(actor, &target, alias).await?;
        let (kind, name) = (ObjectKind::Alias, alias.to_string());
        self.directory.find(ObjectBy::Name { kind, name, parent: None }).await
    }
}

impl Directory for Served {
    fn get(&self, actor: Actor, by: ObjectBy) -> Answer<'_, Object> {
        self.directory.get(actor, by).boxed()
    }

    fn search(&self, actor: Actor, search: Search) -> Answer<'_, Page> {
        self.directory.search(actor, search).boxed()
    }

    fn create<'a>(
        &'a self,
        actor: Actor,
        kind: ObjectKind,
        name: &'a str,
        parent: Option<AccountId>,
        attrs: Vec<Modification>,
    ) -> Answer<'a, Object> {
        if kind == ObjectKind::Alias {
            return self.add_alias(actor, parent, name).boxed();
        }
        self.directory.create(actor, kind, name, parent, attrs).boxed()
    }

    fn create_person<'a>(
        &'a self,
        actor: Actor,
        kind: ObjectKind,
        name: &'a str,
        attrs: Vec<Modification>,
        with: Vec<Modification>,
    ) -> Answer<'a, Object> {
        self.directory.create_person(actor, kind, name, attrs, with).boxed()
    }

    fn for_first_password<'a>(
        &'a self,
        actor: Actor,
        kind: ObjectKind,
        name: &'a str,
        attrs: &'a [Modification],
    ) -> Answer<'a, Account> {
        self.directory.for_first_password(actor, kind, name, attrs).boxed()
    }

    fn for_password<'a>(
        &'a self,
        actor: Actor,
        object: &'a Object,
        changes: &'a [Modification],
    ) -> Answer<'a, (Account, PasswordRules)> {
        self.directory.for_password(actor, object, changes).boxed()
    }

    fn modify<'a>(
        &'a self,
        actor: Actor,
        object: &'a Object,
        changes: Vec<Modification>,
        with: Vec<Modification>,
    ) -> Answer<'a, Object> {
        self.directory.modify_with(actor, object, changes, with).boxed()
    }

    fn delete<'a>(&'a self, actor: Actor, object: &'a Object) -> Answer<'a, ()> {
        self.directory.delete(actor, object).boxed()
    }

    fn rename<'a>(&'a self, actor: Actor, object: &'a Object, name: &'a str) -> Answer<'a, Object> {
        self.directory.rename(actor, object, name).boxed()
    }

    fn version(&self) -> Option<u64> {
        (self.version)()
    }
}
