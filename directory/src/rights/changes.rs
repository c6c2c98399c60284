//! What making and changing entries needs.

use super::decide::Applied;
use super::gather::Upper;
use super::table::{Attrs, Want};
use super::{Asker, noun};
use crate::access::{denied, is_owned, is_person, require, spare_admins};
use crate::{Directory, Failure};
use zcluster_api::AccountId;
use zcluster_api::directory::{Modification, ModifyKind, Object, ObjectKind};

/// Changed by commands of their own, or by global administrators, whatever was granted.
const NEVER: [&str; 2] = ["zimbraIsAdminAccount", "zimbraACE"];
/// Name a COS, which must be assignable.
const NAMES_COS: [&str; 3] = ["zimbraCOSId", "zimbraDomainDefaultCOSId", "zimbraDomainDefaultExternalUserCOSId"];

impl Directory {
    pub(crate) async fn asker(&self, account: Object) -> Result<Asker, Failure> {
        let who = self.who(&account).await?;
        Ok(Asker { account, who, upper: Upper::default() })
    }

    pub(crate) async fn may_create(
        &self,
        asker: &Asker,
        kind: ObjectKind,
        name: &str,
        parent: Option<AccountId>,
        attrs: &[Modification],
    ) -> Result<(), Failure> {
        if matches!(kind, ObjectKind::Identity | ObjectKind::Signature | ObjectKind::DataSource) {
            return self.below(asker, parent).await;
        }
        let Some(noun) = noun(kind) else { return Err(denied("of an administrator", name)) };
        let right = format!("create{noun}");
        if kind.has_address() {
            let domain = name.rsplit_once('@').map_or("", |(_, d)| d).to_lowercase();
            let levels = self.levels_in(&domain, &asker.upper).await?;
            let applied = Applied::of(&levels, &asker.who);
            let list = matches!(kind, ObjectKind::DistributionList | ObjectKind::DynamicGroup);
            if list && applied.allows(Want::Preset("createDistList"), ObjectKind::Domain) {
                return owner_may(attrs, name);
            }
            require(&applied, &right, ObjectKind::Domain, &domain)?;
            return self.may_set(asker, &applied, (kind, name), attrs, true).await;
        }
        let global = self.levels_in("", &asker.upper).await?;
        let applied = Applied::of(&global, &asker.who);
        if kind != ObjectKind::Domain {
            require(&applied, &right, ObjectKind::GlobalGrant, name)?;
            return self.may_set(asker, &applied, (kind, name), attrs, true).await;
        }
        let above = match name.split_once('.') {
            Some((_, above)) => self.domain(above).await?,
            None => None,
        };
        match above {
            Some(above) => {
                let levels = self.levels(&above, &asker.upper).await?;
                require(&Applied::of(&levels, &asker.who), "createSubDomain", ObjectKind::Domain, &above.name)?;
            }
            None => require(&applied, "createTopDomain", ObjectKind::GlobalGrant, name)?,
        }
        // Nothing can have been granted on what is not there yet: only above it.
        let nothing = Object {
            kind,
            id: AccountId([0; 16]),
            name: name.to_lowercase(),
            parent: None,
            attrs: Default::default(),
            home: None,
        };
        let levels = self.levels(&nothing, &asker.upper).await?;
        self.may_set(asker, &Applied::of(&levels, &asker.who), (kind, name), attrs, true).await
    }

    pub(crate) async fn may_modify(
        &self,
        asker: &Asker,
        object: &Object,
        changes: &[Modification],
    ) -> Result<(), Failure> {
        if matches!(object.kind, ObjectKind::Identity | ObjectKind::Signature | ObjectKind::DataSource) {
            return self.below(asker, object.parent).await;
        }
        spare_admins(object)?;
        let levels = self.levels(object, &asker.upper).await?;
        let applied = Applied::of(&levels, &asker.who);
        if is_owned(&applied, object.kind) && owner_may(changes, &object.name).is_ok() {
            return Ok(());
        }
        self.may_set(asker, &applied, (object.kind, &object.name), changes, false).await
    }

    /// Whether the actor may change the members of a dynamic group.
    pub(crate) async fn may_change_members(
        &self,
        actor: zcluster_api::Actor,
        group: &Object,
        change: &Modification,
    ) -> Result<(), Failure> {
        let id = match actor {
            zcluster_api::Actor::System | zcluster_api::Actor::Admin(_) => return Ok(()),
            zcluster_api::Actor::Account(id) => id,
            zcluster_api::Actor::Delivery => return Err(denied("of an administrator", &group.name)),
        };
        let Some(account) = self.account(id).await? else { return Err(denied("of an account", &group.name)) };
        let asker = self.asker(account).await?;
        let levels = self.levels(group, &asker.upper).await?;
        let applied = Applied::of(&levels, &asker.who);
        if is_owned(&applied, group.kind) {
            return Ok(());
        }
        let right = if change.kind == ModifyKind::Add { "addGroupMember" } else { "removeGroupMember" };
        require(&applied, right, group.kind, &group.name)
    }

    /// Whether all these attributes may be set. `new`: at the making of the entry.
    async fn may_set(
        &self,
        asker: &Asker,
        applied: &Applied<'_>,
        (kind, name): (ObjectKind, &str),
        changes: &[Modification],
        new: bool,
    ) -> Result<(), Failure> {
        for change in changes {
            let attr = change.name.as_str();
            let is = |other: &str| attr.eq_ignore_ascii_case(other);
            if NEVER.iter().any(|n| is(n)) {
                return Err(Failure::denied(format!("permission denied: {attr} is for global administrators")));
            }
            if is("userPassword") && is_person(kind) {
                let rights = match kind {
                    ObjectKind::Resource => ["setCalendarResourcePassword", "changeCalendarResourcePassword"],
                    _ => ["setAccountPassword", "changeAccountPassword"],
                };
                if !new && !rights.iter().any(|r| applied.allows(Want::Preset(r), kind)) {
                    return Err(denied(rights[0], name));
                }
                continue;
            }
            if is("zimbraMailForwardingAddress") && kind == ObjectKind::DistributionList {
                let may = |right| applied.allows(Want::Preset(right), kind);
                let (add, remove) = ("addDistributionListMember", "removeDistributionListMember");
                let fits = match change.kind {
                    _ if new => may(add),
                    ModifyKind::Add | ModifyKind::Increment => may(add),
                    ModifyKind::Remove | ModifyKind::Take => may(remove),
                    ModifyKind::Replace => may(add) && may(remove),
                };
                if fits {
                    continue;
                }
            }
            if !applied.allows(Want::Set(attr), kind) {
                let word = super::target_word(kind).unwrap_or("entry");
                return Err(denied(&format!("set.{word}.{attr}"), name));
            }
            if NAMES_COS.iter().any(|n| is(n)) {
                self.may_assign(asker, &change.values).await?;
            }
            if is("zimbraMailQuota") {
                self.within_quota(asker, &change.values).await?;
            }
        }
        Ok(())
    }

    async fn may_assign(&self, asker: &Asker, cos: &[String]) -> Result<(), Failure> {
        for value in cos.iter().filter(|v| !v.is_empty()) {
            let cos = self.named(&[ObjectKind::Cos], None, value).await?;
            let levels = self.levels(&cos, &asker.upper).await?;
            require(&Applied::of(&levels, &asker.who), "assignCos", ObjectKind::Cos, &cos.name)?;
        }
        Ok(())
    }

    /// `zimbraDomainAdminMaxMailQuota` of the administrator: the largest quota that he gives; 0 or none: any.
    async fn within_quota(&self, asker: &Asker, values: &[String]) -> Result<(), Failure> {
        let own = self.effective(&asker.account).await?;
        let max: u64 = own.get("zimbraDomainAdminMaxMailQuota").and_then(|v| v.parse().ok()).unwrap_or(0);
        let Some(definition) = zcluster_schema::find("zimbraMailQuota").filter(|_| max > 0) else { return Ok(()) };
        // No quota at all is more than any.
        let fits = |v: &String| {
            let stored = zcluster_schema::check(definition, v).ok().and_then(|v| v.parse::<u64>().ok());
            stored.is_some_and(|q| q > 0 && q <= max)
        };
        if !values.is_empty() && values.iter().all(fits) {
            return Ok(());
        }
        let text = format!("permission denied: quotas from 1 to {max} bytes (zimbraDomainAdminMaxMailQuota)");
        Err(Failure::denied(text))
    }
}

/// What the owner of a list may set: its members, and what a domain administrator may.
fn owner_may(changes: &[Modification], name: &str) -> Result<(), Failure> {
    const MORE: [&str; 5] = [
        "zimbraMailForwardingAddress",
        "displayName",
        "description",
        "zimbraDistributionListSubscriptionPolicy",
        "zimbraDistributionListUnsubscriptionPolicy",
    ];
    let may = Attrs::DomainAdmin(MORE.to_vec());
    match changes.iter().find(|m| NEVER.iter().any(|n| n.eq_ignore_ascii_case(&m.name)) || !may.has(&m.name)) {
        None => Ok(()),
        Some(change) => Err(denied(&format!("set.dl.{}", change.name), name)),
    }
}
