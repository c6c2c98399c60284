//! Finding and changing entries, whatever their kind.

use crate::access::Wish;
use crate::commands::{deletion, modification, with};
use crate::{Failure, changes, fresh_id, prepared, request_id};
use std::sync::Arc;
use zcluster_api::directory::{Attributes, Modification, Object, ObjectBy, ObjectKind, Page, Search};
use zcluster_api::{
    AccountId, Actor, DirectoryApi, DirectoryCommand, DirectoryQuery, DirectoryReply, Error, Freshness, GroupId,
};

/// The directory, with schema and rights. Cheap to clone.
#[derive(Clone)]
pub struct Directory {
    api: Arc<dyn DirectoryApi>,
    freshness: Freshness,
}

impl Directory {
    /// Over the API; `freshness` is that of every read: `Local` for many reads that may be a moment old (LDAP, GAL),
    /// `Recent` for administrators, who look at what they have just changed through another node.
    pub fn new(api: Arc<dyn DirectoryApi>, freshness: Freshness) -> Directory {
        Directory { api, freshness }
    }

    /// The API below: without schema and rights.
    pub fn api(&self) -> &Arc<dyn DirectoryApi> {
        &self.api
    }

    /// The same with another freshness.
    #[must_use]
    pub fn with_freshness(&self, freshness: Freshness) -> Directory {
        Directory { api: self.api.clone(), freshness }
    }

    pub(crate) async fn read(&self, query: DirectoryQuery) -> Result<DirectoryReply, Error> {
        self.api.read(query, self.freshness).await
    }

    /// Whoever asked was checked before: the cluster itself writes.
    pub(crate) async fn write(&self, command: DirectoryCommand) -> Result<DirectoryReply, Error> {
        self.api.write(Actor::System, request_id(), command).await
    }

    /// The entry, whoever asks: for the service's own use and for callers that check rights by themselves.
    ///
    /// # Errors
    /// `NO_SUCH_...`; the directory cannot be read.
    pub async fn find(&self, by: ObjectBy) -> Result<Object, Failure> {
        let (kind, name) = match &by {
            ObjectBy::Id(id) => (ObjectKind::Account, id.to_string()),
            ObjectBy::Address(address) => (ObjectKind::Account, address.clone()),
            ObjectBy::Name { kind, name, .. } => (*kind, name.clone()),
        };
        let found = self.read(DirectoryQuery::Object(by)).await.and_then(DirectoryReply::into_object);
        found.map_err(|e| Failure::of(&e, kind, &name))
    }

    /// The entry of one of these kinds by `zimbraId`, name or address, as administrators name things.
    ///
    /// # Errors
    /// `NO_SUCH_...` of the first of the kinds; the directory cannot be read.
    pub async fn named(&self, kinds: &[ObjectKind], parent: Option<AccountId>, name: &str) -> Result<Object, Failure> {
        let first = kinds.first().copied().unwrap_or(ObjectKind::Account);
        let fits = |o: &Object| kinds.contains(&o.kind) && (parent.is_none() || o.parent == parent);
        if let Ok(id) = name.parse::<AccountId>() {
            match self.read(DirectoryQuery::Object(ObjectBy::Id(id))).await.and_then(DirectoryReply::into_object) {
                Ok(object) if fits(&object) => return Ok(object),
                Ok(_) | Err(Error::NotFound(_)) => {}
                Err(e) => return Err(e.into()),
            }
        }
        let by = if kinds.iter().any(|k| k.has_address()) {
            ObjectBy::Address(name.to_string())
        } else {
            ObjectBy::Name { kind: first, name: name.to_string(), parent }
        };
        match self.read(DirectoryQuery::Object(by)).await.and_then(DirectoryReply::into_object) {
            Ok(object) if fits(&object) => Ok(object),
            Ok(_) | Err(Error::NotFound(_)) => Err(Failure::missing(first, name)),
            Err(e) => Err(e.into()),
        }
    }

    /// The entry as `actor` may see it: attributes that are not for him are left out.
    ///
    /// # Errors
    /// `NO_SUCH_...`, also when he may not know of it; the directory cannot be read.
    pub async fn get(&self, actor: Actor, by: ObjectBy) -> Result<Object, Failure> {
        let object = self.find(by).await?;
        let (kind, name) = (object.kind, object.name.clone());
        let view = self.view_for(actor).await?;
        view.show(self, object).await?.ok_or_else(|| Failure::missing(kind, &name))
    }

    /// One page of a search, as `actor` may see it. A page may be empty and yet have a next one.
    ///
    /// # Errors
    /// The filter is nested too deeply; the directory cannot be read.
    pub async fn search(&self, actor: Actor, search: Search) -> Result<Page, Failure> {
        let view = self.view_for(actor).await?;
        let filter = search.filter.clone();
        let page = self.read(DirectoryQuery::Search(Box::new(search))).await?.into_page()?;
        let mut shown = Vec::with_capacity(page.objects.len());
        for object in page.objects {
            let object = view.show(self, object).await?;
            // What he may not see he may not search by either.
            shown.extend(object.filter(|o| view.is_all() || filter.fits(o.kind, &o.attrs)));
        }
        Ok(Page { objects: shown, next: page.next })
    }

    /// Makes an entry. A password must be a hash already.
    ///
    /// # Errors
    /// `..._EXISTS`, `NO_SUCH_DOMAIN`, `INVALID_ATTR_...`, `PERM_DENIED`, `TOO_MANY_ACCOUNTS`.
    pub async fn create(
        &self,
        actor: Actor,
        kind: ObjectKind,
        name: &str,
        parent: Option<AccountId>,
        attrs: Vec<Modification>,
    ) -> Result<Object, Failure> {
        self.create_with_id(actor, kind, fresh_id(), name, parent, attrs).await
    }

    /// The same with a `zimbraId` that is known already: of what is imported.
    ///
    /// # Errors
    /// As [`Directory::create`].
    pub async fn create_with_id(
        &self,
        actor: Actor,
        kind: ObjectKind,
        id: AccountId,
        name: &str,
        parent: Option<AccountId>,
        attrs: Vec<Modification>,
    ) -> Result<Object, Failure> {
        let told = attrs.clone();
        let command = self.checked_creation(actor, kind, id, name, parent, attrs).await?;
        self.created(actor, command, (kind, name), &told).await
    }

    /// Makes an account, with what goes with its first password, which nobody may set by itself (`trusted`).
    ///
    /// # Errors
    /// As [`Directory::create`].
    pub async fn create_person(
        &self,
        actor: Actor,
        kind: ObjectKind,
        name: &str,
        attrs: Vec<Modification>,
        trusted: Vec<Modification>,
    ) -> Result<Object, Failure> {
        let told = attrs.clone();
        let command = self.checked_creation(actor, kind, fresh_id(), name, None, attrs).await?;
        self.created(actor, with(command, trusted), (kind, name), &told).await
    }

    async fn created(
        &self,
        actor: Actor,
        command: DirectoryCommand,
        (kind, name): (ObjectKind, &str),
        told: &[Modification],
    ) -> Result<Object, Failure> {
        let reply = self.write(command).await.map_err(|e| Failure::of(&e, kind, name))?;
        let object = object_of(reply)?;
        self.audit_changed(actor, "create", &object, told).await;
        Ok(object)
    }

    /// The checked command that makes an entry: for batches. A batch may pass the bounds on accounts of a domain by its
    /// own length: what it makes itself is not counted yet.
    ///
    /// # Errors
    /// As [`Directory::create`].
    pub async fn creation(
        &self,
        actor: Actor,
        kind: ObjectKind,
        id: AccountId,
        name: &str,
        parent: Option<AccountId>,
        attrs: Vec<Modification>,
    ) -> Result<DirectoryCommand, Failure> {
        let told = attrs.clone();
        let command = self.checked_creation(actor, kind, id, name, parent, attrs).await?;
        let object = Object { kind, id, name: name.to_string(), parent, attrs: Attributes::new(), home: None };
        self.audit_changed(actor, "create in a batch", &object, &told).await;
        Ok(command)
    }

    async fn checked_creation(
        &self,
        actor: Actor,
        kind: ObjectKind,
        id: AccountId,
        name: &str,
        parent: Option<AccountId>,
        mut attrs: Vec<Modification>,
    ) -> Result<DirectoryCommand, Failure> {
        self.allow(actor, Wish::Create { kind, name, parent, attrs: &attrs }).await?;
        if kind == ObjectKind::Resource {
            resource_defaults(&mut attrs);
        }
        let more = self.defaults_of(actor, kind, id, &mut attrs).await?;
        let mut attrs = prepared::at_creation(kind, attrs)?;
        attrs.extend(more);
        if kind == ObjectKind::Account {
            self.room_for(name, &attrs).await?;
        }
        let name = name.to_string();
        Ok(match kind {
            ObjectKind::Account | ObjectKind::Resource => {
                // Group 0: the router chooses a shard.
                DirectoryCommand::CreateAccount { id, name, attrs, group: GroupId::DIRECTORY }
            }
            ObjectKind::Domain => DirectoryCommand::CreateDomain { id, name, attrs },
            ObjectKind::Cos => DirectoryCommand::CreateCos { id, name, attrs },
            ObjectKind::Config | ObjectKind::Alias => {
                return Err(Failure::invalid(format!("an entry of kind {kind:?} is not created so")));
            }
            ObjectKind::GlobalGrant => {
                DirectoryCommand::CreateEntry { kind, id, name: "globalgrant".into(), parent: None, attrs }
            }
            _ => DirectoryCommand::CreateEntry { kind, id, name, parent, attrs },
        })
    }

    /// Changes an entry. A password must be a hash already.
    ///
    /// # Errors
    /// `INVALID_ATTR_...`, `PERM_DENIED`, `NO_SUCH_...`.
    pub async fn modify(&self, actor: Actor, object: &Object, changes: Vec<Modification>) -> Result<Object, Failure> {
        self.modify_with(actor, object, changes, Vec::new()).await
    }

    /// The same with what goes with a new password, which nobody may set by itself (`trusted`).
    ///
    /// # Errors
    /// As [`Directory::modify`].
    pub async fn modify_with(
        &self,
        actor: Actor,
        object: &Object,
        changes: Vec<Modification>,
        trusted: Vec<Modification>,
    ) -> Result<Object, Failure> {
        self.allow(actor, Wish::Modify { object, changes: &changes }).await?;
        let changes = changes::modifications(object.kind, &object.attrs, changes)?;
        if changes.is_empty() {
            return Ok(object.clone());
        }
        if object.kind == ObjectKind::Account {
            self.room_after(object, &changes).await?;
        }
        let command = modification(object, changes.iter().cloned().chain(trusted).collect())?;
        let changed = match self.write(command).await.map_err(|e| Failure::of(&e, object.kind, &object.name))? {
            DirectoryReply::Done => {
                self.find(ObjectBy::Name { kind: object.kind, name: object.name.clone(), parent: object.parent }).await
            }
            reply => object_of(reply),
        };
        self.audit_changed(actor, "modify", object, &changes).await;
        changed
    }

    /// The checked command that changes an entry; nothing if there is nothing to change. What is `trusted` is not held
    /// against the schema.
    ///
    /// # Errors
    /// As [`Directory::modify`].
    pub async fn change_of(
        &self,
        actor: Actor,
        object: &Object,
        changes: Vec<Modification>,
        trusted: Vec<Modification>,
    ) -> Result<Option<DirectoryCommand>, Failure> {
        self.allow(actor, Wish::Modify { object, changes: &changes }).await?;
        let mut changes = changes::modifications(object.kind, &object.attrs, changes)?;
        changes.extend(trusted);
        if changes.is_empty() {
            return Ok(None);
        }
        if object.kind == ObjectKind::Account {
            self.room_after(object, &changes).await?;
        }
        self.audit_changed(actor, "modify in a batch", object, &changes).await;
        modification(object, changes).map(Some)
    }

    /// Removes an entry, and what belongs to it.
    ///
    /// # Errors
    /// `PERM_DENIED`, `NO_SUCH_...`, `DOMAIN_NOT_EMPTY`.
    pub async fn delete(&self, actor: Actor, object: &Object) -> Result<(), Failure> {
        self.allow(actor, Wish::Delete(object)).await?;
        let command = deletion(object)?;
        self.write(command).await.map_err(|e| Failure::of(&e, object.kind, &object.name))?;
        self.audit_changed(actor, "delete", object, &[]).await;
        Ok(())
    }

    /// Carries out checked commands in one step of the log, each by itself; why each failed, in order.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub async fn batch(&self, commands: Vec<DirectoryCommand>) -> Result<Vec<Option<Error>>, Failure> {
        match self.write(DirectoryCommand::Batch(commands)).await? {
            DirectoryReply::Outcomes(outcomes) => Ok(outcomes),
            other => Err(unexpected(&other)),
        }
    }
}

/// What a resource is without being told.
fn resource_defaults(attrs: &mut Vec<Modification>) {
    for (name, value) in [("zimbraAccountCalendarUserType", "RESOURCE"), ("zimbraCalResType", "Location")] {
        if !attrs.iter().any(|m| m.name.eq_ignore_ascii_case(name)) {
            attrs.push(Modification::set(name, value));
        }
    }
}

pub(crate) fn object_of(reply: DirectoryReply) -> Result<Object, Failure> {
    let of = |kind, id, name, attrs| Object { kind, id, name, parent: None, attrs, home: None };
    match reply {
        DirectoryReply::Account(account) => Ok((*account).into()),
        DirectoryReply::Object(object) => Ok(*object),
        DirectoryReply::Domain(d) => Ok(of(ObjectKind::Domain, d.id, d.name, d.attrs)),
        DirectoryReply::Cos(c) => Ok(of(ObjectKind::Cos, c.id, c.name, c.attrs)),
        other => Err(unexpected(&other)),
    }
}

fn unexpected(reply: &DirectoryReply) -> Failure {
    Failure::new("service.FAILURE", format!("unexpected answer {reply:?}"))
}
