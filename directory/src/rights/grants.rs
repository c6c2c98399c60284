//! Granting, revoking, and telling who was granted what.

use super::ace::{ALL, Ace, GranteeKind, Modifier, PUBLIC};
use super::decide::{Applied, Verdict};
use super::delegate::{every, fits};
use super::table::{self, Right, Want};
use crate::access::{denied, require};
use crate::{Directory, Failure};
use zcluster_api::directory::{Filter, Kinds, Modification, ModifyKind, Object, ObjectKind};
use zcluster_api::{AccountId, Actor, DirectoryCommand};

/// Grants on one entry.
const GRANTS_MAX: usize = 1_000;
/// Entries with grants told of at once.
const TOLD_MAX: usize = 10_000;

/// A grant and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Kind of the entry.
    pub kind: ObjectKind,
    /// Its id.
    pub id: AccountId,
    /// Its name.
    pub target: String,
    /// The grant.
    pub ace: Ace,
}

/// Whether somebody has a right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// He has.
    pub allowed: bool,
    /// By which grant (or refusal), and where it stands; none: by a default, or none at all.
    pub via: Option<(Ace, String)>,
}

/// Which rights are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Every one.
    All,
    /// Rights of users.
    User,
    /// Rights of administrators.
    Admin,
}

impl Directory {
    /// The grant as it will stand: grantee looked up, right with its modifier (`+domainAdminRights`, `-sendAs`) taken
    /// apart.
    ///
    /// # Errors
    /// `NO_SUCH_...` of the grantee, `INVALID_REQUEST`.
    pub async fn ace(
        &self,
        kind: GranteeKind,
        grantee: &str,
        secret: Option<String>,
        right: &str,
    ) -> Result<(Ace, Option<Object>), Failure> {
        let (modifier, right) = Modifier::split(right);
        let object = match kind {
            GranteeKind::User => Some(self.named(&[ObjectKind::Account, ObjectKind::Resource], None, grantee).await?),
            GranteeKind::Group => {
                Some(self.named(&[ObjectKind::DistributionList, ObjectKind::DynamicGroup], None, grantee).await?)
            }
            GranteeKind::Domain => Some(self.named(&[ObjectKind::Domain], None, grantee).await?),
            _ => None,
        };
        if let Some(group) = object.as_ref().filter(|o| o.kind == ObjectKind::DynamicGroup)
            && !crate::groups::is_acl_group(group)
        {
            return Err(Failure::invalid(format!("{} takes no part in rights (zimbraIsACLGroup)", group.name)));
        }
        let grantee = match (&object, kind) {
            (Some(object), _) => object.id.to_string(),
            (None, GranteeKind::All) => ALL.into(),
            (None, GranteeKind::Public) => PUBLIC.into(),
            (None, _) => grantee.trim().to_lowercase(),
        };
        let ace = Ace { grantee, kind, secret, modifier, right: right.to_string() };
        // What cannot be read again is not written.
        match Ace::parse(&ace.to_string()) {
            Ok(again) if again == ace => Ok((ace, object)),
            _ => Err(Failure::invalid(format!("{ace} is no grant"))),
        }
    }

    /// Grants; a grant of the same right to the same grantee is replaced.
    ///
    /// # Errors
    /// `PERM_DENIED`, `NO_SUCH_RIGHT`, `INVALID_REQUEST` (not on such a target, not to such a grantee).
    pub async fn grant(
        &self,
        actor: Actor,
        target: &Object,
        (kind, grantee): (GranteeKind, &str),
        secret: Option<String>,
        right: &str,
    ) -> Result<Ace, Failure> {
        let (ace, grantee) = self.ace(kind, grantee, secret, right).await?;
        fits(&ace, target, grantee.as_ref())?;
        self.may_grant(actor, target, &ace).await?;
        let values = target.attrs.all("zimbraACE");
        let old: Vec<String> =
            values.iter().filter(|v| Ace::parse(v).is_ok_and(|other| other.is_about(&ace))).cloned().collect();
        if values.len() - old.len() >= GRANTS_MAX {
            return Err(Failure::new("service.TOO_MANY", format!("{}: more than {GRANTS_MAX} grants", target.name)));
        }
        let change = |kind, values| Modification { name: "zimbraACE".into(), kind, values };
        let mut changes = Vec::new();
        if !old.is_empty() {
            changes.push(change(ModifyKind::Remove, old));
        }
        changes.push(change(ModifyKind::Add, vec![ace.to_string()]));
        self.change_grants(target, changes).await?;
        self.audit_done(actor, "grant", &format!("{:?} {}", target.kind, target.name), &told(&ace)).await;
        Ok(ace)
    }

    /// Takes a grant back: of this right to this grantee, whatever its modifier if none is named.
    ///
    /// # Errors
    /// `NO_SUCH_GRANT`, `PERM_DENIED`.
    pub async fn revoke(
        &self,
        actor: Actor,
        target: &Object,
        (kind, grantee): (GranteeKind, &str),
        right: &str,
    ) -> Result<Ace, Failure> {
        let ace = match self.ace(kind, grantee, None, right).await {
            Ok((ace, _)) => ace,
            // The grantee may be gone: then his id still says who it was.
            Err(e) if e.code.starts_with("account.NO_SUCH_") && grantee.parse::<AccountId>().is_ok() => {
                let (modifier, right) = Modifier::split(right);
                Ace { grantee: grantee.into(), kind, secret: None, modifier, right: right.into() }
            }
            Err(e) => return Err(e),
        };
        let fits =
            |other: &Ace| other.is_about(&ace) && (ace.modifier == Modifier::None || ace.modifier == other.modifier);
        let values = target.attrs.all("zimbraACE");
        let old: Vec<String> = values.iter().filter(|v| Ace::parse(v).is_ok_and(|a| fits(&a))).cloned().collect();
        let Some(found) = old.first().and_then(|v| Ace::parse(v).ok()) else {
            return Err(Failure::new("account.NO_SUCH_GRANT", format!("no such grant: {ace}")));
        };
        self.may_grant(actor, target, &found).await?;
        self.change_grants(
            target,
            vec![Modification { name: "zimbraACE".into(), kind: ModifyKind::Remove, values: old }],
        )
        .await?;
        self.audit_done(actor, "revoke", &format!("{:?} {}", target.kind, target.name), &told(&found)).await;
        Ok(found)
    }

    /// Rights were checked: written as they are.
    async fn change_grants(&self, target: &Object, changes: Vec<Modification>) -> Result<(), Failure> {
        let missing = target.kind == ObjectKind::GlobalGrant && self.global_grant().await?.is_none();
        let command = if missing {
            let attrs = changes.into_iter().filter(|c| c.kind == ModifyKind::Add).collect();
            let (kind, name) = (ObjectKind::GlobalGrant, "globalgrant".to_string());
            DirectoryCommand::CreateEntry { kind, id: crate::fresh_id(), name, parent: None, attrs }
        } else {
            crate::commands::modification(target, changes)?
        };
        self.write(command).await.map(|_| ()).map_err(|e| Failure::of(&e, target.kind, &target.name))
    }

    /// What global grants stand on; an empty entry before the first grant.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub async fn global_target(&self) -> Result<Object, Failure> {
        let (kind, id, name) = (ObjectKind::GlobalGrant, AccountId([0; 16]), "globalgrant".to_string());
        let empty = Object { kind, id, name, parent: None, attrs: Default::default(), home: None };
        Ok(self.global_grant().await?.unwrap_or(empty))
    }

    /// Whether `grantee` has a right on an entry. Global administrators have every one.
    ///
    /// # Errors
    /// `NO_SUCH_RIGHT`; `PERM_DENIED` (about others than oneself only administrators ask, with `checkRightUsr`).
    pub async fn check(&self, actor: Actor, target: &Object, grantee: &Object, right: &str) -> Result<Answer, Failure> {
        self.may_ask(actor, grantee).await?;
        if table::scope(right).is_none() {
            return Err(Failure::new("account.NO_SUCH_RIGHT", format!("no such right: {right}")));
        }
        if crate::access::is_global_admin(grantee) {
            return Ok(Answer { allowed: true, via: None });
        }
        let asker = self.asker(grantee.clone()).await?;
        let levels = self.levels(target, &asker.upper).await?;
        let applied = Applied::of(&levels, &asker.who);
        let own = target.kind;
        let mut wants: Vec<(ObjectKind, Want<'static>)> = every(right, own);
        // What it says on the entry itself, if it says anything there.
        if wants.iter().any(|(kind, _)| *kind == own) {
            wants.retain(|(kind, _)| *kind == own);
        }
        let user = table::find(right).is_some_and(|r| r.user);
        let mut via = None;
        for (kind, want) in &wants {
            match applied.decide(*want, *kind, false) {
                Verdict::Allow(ace, place) => via = Some((ace.clone(), place.to_string())),
                Verdict::Deny(ace, place) => {
                    return Ok(Answer { allowed: false, via: Some((ace.clone(), place.to_string())) });
                }
                Verdict::Silent { .. } if user && (grantee.id == target.id || applied.allows(*want, *kind)) => {}
                Verdict::Silent { .. } => return Ok(Answer { allowed: false, via: None }),
            }
        }
        Ok(Answer { allowed: !wants.is_empty(), via })
    }

    /// Whether the actor may ask what rights somebody has.
    pub(super) async fn may_ask(&self, actor: Actor, about: &Object) -> Result<(), Failure> {
        match actor {
            Actor::System | Actor::Admin(_) => Ok(()),
            Actor::Account(id) if id == about.id => Ok(()),
            Actor::Delivery => Err(denied("of an administrator", &about.name)),
            Actor::Account(id) => {
                let Some(account) = self.account(id).await? else { return Err(denied("of an account", &about.name)) };
                let asker = self.asker(account).await?;
                let levels = self.levels(about, &asker.upper).await?;
                let right = if Kinds::GROUPS.has(about.kind) { "checkRightGrp" } else { "checkRightUsr" };
                require(&Applied::of(&levels, &asker.who), right, about.kind, &about.name)
            }
        }
    }

    /// Grants on a target, to a grantee, or both; with `groups` also those to lists that the grantee is in. The actor
    /// sees those on entries whose grants he may see (`viewGrants`).
    ///
    /// # Errors
    /// `INVALID_REQUEST` (neither is named); the directory cannot be read.
    pub async fn grants(
        &self,
        actor: Actor,
        target: Option<&Object>,
        grantee: Option<&Object>,
        groups: bool,
    ) -> Result<Vec<Grant>, Failure> {
        let mut ids = Vec::new();
        if let Some(grantee) = grantee {
            ids.push(grantee.id);
            if groups {
                ids.extend(self.static_memberships(grantee).await?.into_iter().map(|m| m.group.id));
            }
        }
        let targets = match (target, grantee) {
            (Some(target), _) => vec![target.clone()],
            (None, Some(_)) => {
                // The index knows the beginnings of grants: the grantees' ids.
                let of = |id: &AccountId| Filter::begins("zimbraACE", id.to_string());
                self.find_all(Kinds::ALL, None, Filter::Or(ids.iter().map(of).collect()), TOLD_MAX).await?
            }
            (None, None) => return Err(Failure::invalid("neither a target nor a grantee is named")),
        };
        let view = self.view_for(actor).await?;
        let mut out = Vec::new();
        for object in targets {
            let (kind, id) = (object.kind, object.id);
            let Some(shown) = view.show(self, object).await? else { continue };
            for ace in Ace::all(shown.attrs.all("zimbraACE")) {
                if grantee.is_none() || ace.grantee_id().is_some_and(|g| ids.contains(&g)) {
                    out.push(Grant { kind, id, target: shown.name.clone(), ace });
                }
            }
        }
        Ok(out)
    }

    /// The rights that there are: those on a kind of target, of a class.
    pub fn all_rights(&self, target: Option<ObjectKind>, class: Class) -> Vec<&'static Right> {
        let fits = |r: &&Right| match class {
            Class::All => true,
            Class::User => r.user,
            Class::Admin => !r.user,
        };
        let on = |r: &&Right| target.is_none_or(|k| table::scope(r.name).is_some_and(|(kinds, _)| kinds.has(k)));
        table::all().iter().filter(fits).filter(on).collect()
    }

    /// A right of the table.
    ///
    /// # Errors
    /// `NO_SUCH_RIGHT`.
    pub fn right(&self, name: &str) -> Result<&'static Right, Failure> {
        table::find(name).ok_or_else(|| Failure::new("account.NO_SUCH_RIGHT", format!("no such right: {name}")))
    }
}

/// A grant without its secret.
fn told(ace: &Ace) -> String {
    Ace { secret: ace.secret.as_ref().map(|_| "(secret)".into()), ..ace.clone() }.to_string()
}
