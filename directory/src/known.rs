//! What administrators name and look at. A delegated administrator learns nothing of what he has no right to, not even
//! whether it is there: as in Zimbra, its name is refused, and so is that of an entry that does not exist.

use crate::access::{View, Wish, denied, is_person};
use crate::failure::noun;
use crate::rights::{Applied, Asker, Want};
use crate::{Directory, Failure};
use zcluster_api::directory::{Attributes, Modification, Object, ObjectBy, ObjectKind};
use zcluster_api::{AccountId, Actor};

fn hidden(kind: ObjectKind, name: &str) -> Failure {
    Failure::denied(format!("permission denied: can not access {} {name}", noun(kind)))
}

/// Somebody who looks at entries; what is looked up for that is looked up once.
pub struct Viewer(View);

impl Directory {
    /// The entry as whoever may name it names it; whole, for what asks for rights next.
    ///
    /// # Errors
    /// As [`Directory::named`]; `PERM_DENIED` for who has no right on it, or, if it is not there, on none of its kind
    /// where it would be.
    pub async fn named_for(
        &self,
        actor: Actor,
        kinds: &[ObjectKind],
        parent: Option<AccountId>,
        name: &str,
    ) -> Result<Object, Failure> {
        let found = self.named(kinds, parent, name).await;
        let kind = kinds.first().copied().unwrap_or(ObjectKind::Account);
        let id = match actor {
            Actor::System | Actor::Admin(_) => return found,
            Actor::Delivery => return Err(hidden(kind, name)),
            Actor::Account(id) => id,
        };
        let Some(account) = self.account(id).await? else { return Err(hidden(kind, name)) };
        let asker = self.asker(account).await?;
        let known = match &found {
            Ok(object) => self.knows(&asker, object, kinds).await?,
            Err(failure) if failure.code.contains("NO_SUCH") => self.knows(&asker, &missing(kind, name), kinds).await?,
            Err(_) => true,
        };
        if known { found } else { Err(hidden(kind, name)) }
    }

    /// Whether something was granted to the asker that reaches this entry, or would if it were there.
    async fn knows(&self, asker: &Asker, object: &Object, kinds: &[ObjectKind]) -> Result<bool, Failure> {
        if object.id == asker.account.id || object.parent == Some(asker.account.id) {
            return Ok(true);
        }
        if let Some(parent) = object.parent {
            return self.may_act_as(asker, &self.find(ObjectBy::Id(parent)).await?).await;
        }
        let levels = self.levels(object, &asker.upper).await?;
        let applied = Applied::of(&levels, &asker.who);
        Ok(kinds.iter().any(|kind| applied.reaches(*kind)))
    }

    /// Who looks at entries.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub async fn viewer(&self, actor: Actor) -> Result<Viewer, Failure> {
        Ok(Viewer(self.view_for(actor).await?))
    }

    /// The entry with what the viewer may see of it: of its own attributes, or with those that it inherits.
    ///
    /// # Errors
    /// `PERM_DENIED` if that is nothing; the directory cannot be read.
    pub async fn seen(&self, viewer: &Viewer, object: &Object, own: bool) -> Result<Object, Failure> {
        if viewer.0.is_all() {
            let attrs = if own { object.attrs.clone() } else { self.effective(object).await? };
            return Ok(Object { attrs, ..object.clone() });
        }
        // It may have been cut down already.
        let by = match object.kind {
            ObjectKind::Config | ObjectKind::GlobalGrant | ObjectKind::Alias => {
                ObjectBy::Name { kind: object.kind, name: object.name.clone(), parent: None }
            }
            _ => ObjectBy::Id(object.id),
        };
        let mut whole = self.find(by).await?;
        if !own {
            whole.attrs = self.effective(&whole).await?;
        }
        let shown = viewer.0.show(self, whole).await?.filter(|o| o.attrs.iter().next().is_some());
        shown.ok_or_else(|| denied(&right_to_see(object.kind), &object.name))
    }

    /// `PERM_DENIED` unless the actor has one of the rights on the entry; an account has them on itself.
    ///
    /// # Errors
    /// `PERM_DENIED`; the directory cannot be read.
    pub async fn require_right(&self, actor: Actor, object: &Object, rights: &[&str]) -> Result<(), Failure> {
        if self.has_right(actor, object, rights).await? {
            return Ok(());
        }
        Err(denied(rights.first().copied().unwrap_or("of an administrator"), &object.name))
    }

    /// Whether the actor has one of the rights on the entry.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub async fn has_right(&self, actor: Actor, object: &Object, rights: &[&str]) -> Result<bool, Failure> {
        let id = match actor {
            Actor::System | Actor::Admin(_) => return Ok(true),
            Actor::Delivery => return Ok(false),
            Actor::Account(id) => id,
        };
        let Some(account) = self.account(id).await? else { return Ok(false) };
        if is_person(object.kind) && object.id == id {
            return Ok(true);
        }
        let asker = self.asker(account).await?;
        let levels = self.levels(object, &asker.upper).await?;
        let applied = Applied::of(&levels, &asker.who);
        Ok(rights.iter().any(|r| applied.allows(Want::Preset(r), object.kind)))
    }

    /// Whether the actor may change the entry so: for callers that write by themselves.
    ///
    /// # Errors
    /// `PERM_DENIED`.
    pub async fn may_change(&self, actor: Actor, object: &Object, changes: &[Modification]) -> Result<(), Failure> {
        self.allow(actor, Wish::Modify { object, changes }).await
    }

    /// Whether the actor may give the entry a further address.
    ///
    /// # Errors
    /// `PERM_DENIED`.
    pub async fn may_add_alias(&self, actor: Actor, object: &Object, alias: &str) -> Result<(), Failure> {
        self.allow(actor, Wish::Alias { object, alias, add: true }).await
    }

    /// Whether the actor may see an attribute of the entry.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub async fn sees(&self, actor: Actor, object: &Object, attr: &str) -> Result<bool, Failure> {
        let id = match actor {
            Actor::System | Actor::Admin(_) => return Ok(true),
            Actor::Delivery => return Ok(false),
            Actor::Account(id) => id,
        };
        let Some(account) = self.account(id).await? else { return Ok(false) };
        let asker = self.asker(account).await?;
        let levels = self.levels(object, &asker.upper).await?;
        Ok(Applied::of(&levels, &asker.who).allows(Want::Get(attr), object.kind))
    }

    /// `PERM_DENIED` unless the actor may act as the account (`adminLoginAs`): see and change what belongs to it.
    ///
    /// # Errors
    /// `PERM_DENIED`; the directory cannot be read.
    pub async fn require_acting(&self, actor: Actor, account: &Object) -> Result<(), Failure> {
        let id = match actor {
            Actor::System | Actor::Admin(_) => return Ok(()),
            Actor::Account(id) if id == account.id => return Ok(()),
            Actor::Account(id) => id,
            Actor::Delivery => return Err(denied("adminLoginAs", &account.name)),
        };
        if let Some(asking) = self.account(id).await? {
            let asker = self.asker(asking).await?;
            if self.may_act_as(&asker, account).await? {
                return Ok(());
            }
        }
        Err(denied("adminLoginAs", &account.name))
    }
}

/// An entry that is not there: what would stand over it.
fn missing(kind: ObjectKind, name: &str) -> Object {
    let id = AccountId([0; 16]);
    Object { kind, id, name: name.to_lowercase(), parent: None, attrs: Attributes::new(), home: None }
}

fn right_to_see(kind: ObjectKind) -> String {
    match kind {
        ObjectKind::Config => "getGlobalConfig".into(),
        kind => crate::rights::noun(kind).map_or_else(|| "of an administrator".into(), |noun| format!("get{noun}")),
    }
}
