//! All that somebody may on an entry.

use super::ace::Ace;
use super::decide::Applied;
use super::table::{self, Body, Want, stands_on};
use crate::{Directory, Failure};
use std::collections::BTreeSet;
use zcluster_api::directory::{Filter, Kinds, Object, ObjectKind};
use zcluster_api::{AccountId, Actor};

/// Entries on which something was granted to one grantee, told of at once.
const PLACES_MAX: usize = 10_000;

/// Attributes that somebody may see or set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// All that such an entry has.
    pub all: bool,
    /// Which; with `all`, every one of them.
    pub attrs: BTreeSet<&'static str>,
}

/// What somebody may on one entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EffectiveRights {
    /// Rights by name.
    pub presets: BTreeSet<&'static str>,
    /// What he sets.
    pub set: Reach,
    /// What he sees.
    pub get: Reach,
}

/// What somebody may somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// Kind of the entry on which it was granted.
    pub kind: ObjectKind,
    /// Its id.
    pub id: AccountId,
    /// Its name.
    pub target: String,
    /// The grants.
    pub aces: Vec<Ace>,
}

/// Everything, for those who may everything.
fn everything(kind: ObjectKind) -> EffectiveRights {
    rights(kind, |_| true)
}

fn rights(kind: ObjectKind, allows: impl Fn(Want<'_>) -> bool) -> EffectiveRights {
    let preset = |r: &&table::Right| r.body == Body::Preset && r.targets.has(kind) && allows(Want::Preset(r.name));
    let presets = table::all().iter().filter(preset).map(|r| r.name).collect();
    let reach = |want: fn(&'static str) -> Want<'static>| {
        let known = || zcluster_schema::all().filter(|d| stands_on(d, kind));
        let attrs: BTreeSet<&'static str> = known().map(|d| d.name).filter(|name| allows(want(name))).collect();
        Reach { all: attrs.len() == known().count(), attrs }
    };
    EffectiveRights { presets, set: reach(Want::Set), get: reach(Want::Get) }
}

impl Directory {
    /// What `grantee` may on an entry.
    ///
    /// # Errors
    /// `PERM_DENIED`; the directory cannot be read.
    pub async fn effective_rights(
        &self,
        actor: Actor,
        target: &Object,
        grantee: &Object,
    ) -> Result<EffectiveRights, Failure> {
        self.may_ask(actor, grantee).await?;
        if crate::access::is_global_admin(grantee) {
            return Ok(everything(target.kind));
        }
        let asker = self.asker(grantee.clone()).await?;
        let levels = self.levels(target, &asker.upper).await?;
        let applied = Applied::of(&levels, &asker.who);
        Ok(rights(target.kind, |want| applied.allows(want, target.kind)))
    }

    /// What `grantee` may set when he makes an entry of this kind: in a domain where the kind has one.
    ///
    /// # Errors
    /// `INVALID_REQUEST` (a domain is needed), `PERM_DENIED`; the directory cannot be read.
    pub async fn create_attrs(
        &self,
        actor: Actor,
        kind: ObjectKind,
        domain: Option<&str>,
        grantee: &Object,
    ) -> Result<Reach, Failure> {
        self.may_ask(actor, grantee).await?;
        if crate::access::is_global_admin(grantee) {
            return Ok(everything(kind).set);
        }
        let asker = self.asker(grantee.clone()).await?;
        let domain = match (kind.has_address(), domain) {
            (true, Some(domain)) => domain.to_lowercase(),
            (true, None) => return Err(Failure::invalid("in which domain?")),
            (false, _) => String::new(),
        };
        let levels = self.levels_in(&domain, &asker.upper).await?;
        let applied = Applied::of(&levels, &asker.who);
        Ok(rights(kind, |want| applied.allows(want, kind)).set)
    }

    /// Where `grantee`, or a list that he is in, was granted something.
    ///
    /// # Errors
    /// `PERM_DENIED`; more than 10,000 places; the directory cannot be read.
    pub async fn all_effective_rights(&self, actor: Actor, grantee: &Object) -> Result<Vec<Allowed>, Failure> {
        self.may_ask(actor, grantee).await?;
        let mut ids = vec![grantee.id];
        ids.extend(self.static_memberships(grantee).await?.into_iter().map(|m| m.group.id));
        let of = |id: &AccountId| Filter::begins("zimbraACE", id.to_string());
        let any = Filter::Or(ids.iter().map(of).collect());
        let found = self.find_all(Kinds::ALL, None, any, PLACES_MAX).await?;
        let allowed = |object: Object| {
            let mut aces = Ace::all(object.attrs.all("zimbraACE"));
            aces.retain(|a| a.grantee_id().is_some_and(|id| ids.contains(&id)));
            Allowed { kind: object.kind, id: object.id, target: object.name, aces }
        };
        Ok(found.into_iter().map(allowed).filter(|a| !a.aces.is_empty()).collect())
    }
}
