//! Whether somebody may pass a right on: only what he may pass on himself, on all that the grant would reach.

use super::ace::{Ace, Modifier};
use super::decide::Applied;
use super::table::{self, Want};
use super::{Asker, GranteeKind};
use crate::access::{denied, is_owned, spare_admins};
use crate::{Directory, Failure};
use zcluster_api::Actor;
use zcluster_api::directory::{Filter, Kinds, Object, ObjectKind};

/// Rights on a list that its owner grants.
const LIST_RIGHTS: [&str; 5] =
    ["sendToDistList", "viewDistList", "sendAsDistList", "sendOnBehalfOfDistList", "ownDistList"];
/// Entries with grants of their own below one, looked at when something is granted there.
const BELOW_MAX: usize = 10_000;

/// Kinds of entries that a grant on an entry of this kind reaches.
pub(super) fn reach(kind: ObjectKind) -> Kinds {
    use ObjectKind::{Account, DistributionList, Domain, DynamicGroup, GlobalGrant, Resource};
    match kind {
        GlobalGrant => Kinds::ALL,
        Domain => Kinds::of(&[Domain, Account, Resource, DistributionList, DynamicGroup]),
        DistributionList => Kinds::of(&[DistributionList, Account, Resource, DynamicGroup]),
        DynamicGroup => Kinds::of(&[DynamicGroup, Account, Resource]),
        other => Kinds::of(&[other]),
    }
}

/// The kinds among them that rights are granted on.
fn kinds(of: Kinds) -> impl Iterator<Item = ObjectKind> {
    ObjectKind::ALL.into_iter().filter(move |k| of.has(*k) && table::target_word(*k).is_some())
}

impl Directory {
    /// Whether the actor may grant or revoke this on the entry.
    ///
    /// # Errors
    /// `PERM_DENIED`.
    pub(super) async fn may_grant(&self, actor: Actor, target: &Object, ace: &Ace) -> Result<(), Failure> {
        let id = match actor {
            Actor::System | Actor::Admin(_) => return Ok(()),
            Actor::Delivery => return Err(denied("of an administrator", &target.name)),
            Actor::Account(id) => id,
        };
        let user = table::find(&ace.right).is_some_and(|r| r.user);
        if user && target.id == id {
            return Ok(());
        }
        let Some(account) = self.account(id).await? else { return Err(denied("of an account", &target.name)) };
        let asker = self.asker(account).await?;
        let levels = self.levels(target, &asker.upper).await?;
        let applied = Applied::of(&levels, &asker.who);
        if LIST_RIGHTS.contains(&ace.right.as_str()) && is_owned(&applied, target.kind) {
            return Ok(());
        }
        spare_admins(target)?;
        let above;
        let applied = if ace.modifier == Modifier::Subdomain {
            // It holds on domains below, which what was granted on this domain does not reach.
            above = self.levels_in("", &asker.upper).await?;
            Applied::of(&above, &asker.who)
        } else {
            applied
        };
        let wants = every(&ace.right, target.kind);
        for (kind, want) in &wants {
            if !applied.decide(*want, *kind, true).allows() {
                return Err(denied(&format!("+{}", text(*want, *kind)), &target.name));
            }
        }
        self.none_denied(&asker, target, ace.modifier == Modifier::Subdomain, &wants).await
    }

    /// What is refused to him below the entry he cannot give to somebody there either.
    async fn none_denied(
        &self,
        asker: &Asker,
        target: &Object,
        everywhere: bool,
        wants: &[(ObjectKind, Want<'static>)],
    ) -> Result<(), Failure> {
        let domain = match target.kind {
            ObjectKind::Domain if everywhere => None,
            ObjectKind::Domain => Some(target.name.clone()),
            ObjectKind::GlobalGrant => None,
            ObjectKind::DistributionList | ObjectKind::DynamicGroup => {
                for member in self.members_of(target, true).await? {
                    let Some(id) = member.id else { continue };
                    let Some(object) = self.maybe(zcluster_api::directory::ObjectBy::Id(id)).await? else { continue };
                    self.not_denied(asker, &object, wants).await?;
                }
                return Ok(());
            }
            _ => return Ok(()),
        };
        let with_grants = Filter::Present("zimbraACE".into());
        for object in self.find_all(Kinds::ALL, domain.clone(), with_grants, BELOW_MAX).await? {
            self.not_denied(asker, &object, wants).await?;
            // What is refused on a list or domain is refused on all in it, with grants of their own or without.
            if Kinds::GROUPS.has(object.kind) || object.kind == ObjectKind::Domain {
                self.none_refused_by(asker, &object, wants)?;
            }
        }
        if domain.is_some() {
            // Lists of other domains may have members here.
            let with_grants = Filter::Present("zimbraACE".into());
            for list in self.find_all(Kinds::GROUPS, None, with_grants, BELOW_MAX).await? {
                self.none_refused_by(asker, &list, wants)?;
            }
        }
        Ok(())
    }

    async fn not_denied(
        &self,
        asker: &Asker,
        object: &Object,
        wants: &[(ObjectKind, Want<'static>)],
    ) -> Result<(), Failure> {
        let levels = self.levels(object, &asker.upper).await?;
        let applied = Applied::of(&levels, &asker.who);
        for (kind, want) in wants.iter().filter(|(kind, _)| *kind == object.kind) {
            if let super::Verdict::Deny(..) = applied.decide(*want, *kind, true) {
                return Err(denied(&format!("+{}", text(*want, *kind)), &object.name));
            }
        }
        Ok(())
    }

    fn none_refused_by(
        &self,
        asker: &Asker,
        list: &Object,
        wants: &[(ObjectKind, Want<'static>)],
    ) -> Result<(), Failure> {
        let level = super::Level { place: String::new(), aces: Ace::all(list.attrs.all("zimbraACE")) };
        let levels = [level];
        let applied = Applied::of(&levels, &asker.who);
        for (kind, want) in wants {
            if let super::Verdict::Deny(..) = applied.decide(*want, *kind, true) {
                return Err(denied(&format!("+{}", text(*want, *kind)), &list.name));
            }
        }
        Ok(())
    }
}

/// All that a right, granted on an entry of this kind, allows on entries that it reaches.
pub(super) fn every(right: &str, target: ObjectKind) -> Vec<(ObjectKind, Want<'static>)> {
    let mut out = Vec::new();
    for leaf in table::leaves(right) {
        for kind in kinds(reach(target)) {
            out.extend(table::wants(&leaf, kind).into_iter().map(|w| (kind, w)));
        }
    }
    out
}

fn text(want: Want<'_>, kind: ObjectKind) -> String {
    let word = table::target_word(kind).unwrap_or("entry");
    match want {
        Want::Preset(name) => name.to_string(),
        Want::Get(attr) => format!("get.{word}.{attr}"),
        Want::Set(attr) => format!("set.{word}.{attr}"),
    }
}

/// Whether a right may be granted there to such a grantee; why not.
pub(super) fn fits(ace: &Ace, target: &Object, grantee: Option<&Object>) -> Result<(), Failure> {
    let Some((about, user)) = table::scope(&ace.right) else {
        return Err(Failure::new("account.NO_SUCH_RIGHT", format!("no such right: {}", ace.right)));
    };
    let invalid = |text: String| Err(Failure::invalid(text));
    let (right, on) = (&ace.right, target.kind);
    let Some(word) = table::target_word(on) else { return invalid(format!("{} is no target", target.name)) };
    if about.0 & reach(on).0 == 0 {
        return invalid(format!("right {right} cannot be granted on target type {word}"));
    }
    match ace.modifier {
        Modifier::Subdomain if on != ObjectKind::Domain => {
            return invalid("only on a domain a right can be granted for subdomains".into());
        }
        Modifier::DirectMembers if on != ObjectKind::DistributionList => {
            return invalid("only on a list a right can be granted for its own members alone".into());
        }
        _ => {}
    }
    let true_on = |attr: &str| grantee.is_some_and(|g| g.attrs.get(attr) == Some("TRUE"));
    match ace.kind {
        _ if user => Ok(()),
        GranteeKind::User if true_on("zimbraIsDelegatedAdminAccount") || ace.denies() => Ok(()),
        GranteeKind::User => invalid(format!(
            "right {right} is for administrators: {} is none (zimbraIsDelegatedAdminAccount)",
            ace.grantee
        )),
        GranteeKind::Group if true_on("zimbraIsAdminGroup") || ace.denies() => Ok(()),
        GranteeKind::Group => invalid(format!(
            "right {right} is for administrators: {} is none of theirs (zimbraIsAdminGroup)",
            ace.grantee
        )),
        GranteeKind::Domain if right == "crossDomainAdmin" => Ok(()),
        kind => invalid(format!("right {right} cannot be granted to grantee type {}", kind.code())),
    }
}
