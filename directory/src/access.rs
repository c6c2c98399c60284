//! Who may see and do what.
//!
//! The cluster itself and global administrators may do everything. A delegated administrator may what he was granted
//! (`rights`). An account sees its own entry and what is its own below it, and of others in its domain what an address
//! book shows; it changes its preferences and runs the lists that it owns.

use crate::rights::{Applied, Asker, Want, noun};
use crate::{Directory, Failure};
use zcluster_api::directory::{Attributes, Modification, Object, ObjectKind};
use zcluster_api::{AccountId, Actor};

/// What somebody wants to do.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wish<'a> {
    /// Make an entry.
    Create { kind: ObjectKind, name: &'a str, parent: Option<AccountId>, attrs: &'a [Modification] },
    /// Change attributes.
    Modify { object: &'a Object, changes: &'a [Modification] },
    /// Remove.
    Delete(&'a Object),
    /// Give another name.
    Rename { object: &'a Object, name: &'a str },
    /// Add or remove an address.
    Alias { object: &'a Object, alias: &'a str, add: bool },
}

/// What an address book shows.
pub(crate) const GAL_VIEW: [&str; 32] = [
    "cn",
    "displayName",
    "sn",
    "givenName",
    "gn",
    "initials",
    "mail",
    "uid",
    "title",
    "company",
    "ou",
    "o",
    "l",
    "st",
    "c",
    "co",
    "street",
    "postalCode",
    "telephoneNumber",
    "homePhone",
    "mobile",
    "pager",
    "facsimileTelephoneNumber",
    "description",
    "physicalDeliveryOfficeName",
    "zimbraCalResType",
    "zimbraCalResCapacity",
    "zimbraCalResLocationDisplayName",
    "zimbraPhoneticFirstName",
    "zimbraPhoneticLastName",
    "zimbraAccountCalendarUserType",
    "userCertificate",
];

/// What an administrator sees of an entry that he may find, whatever else he may see of it.
const LIST_VIEW: [&str; 6] = ["zimbraId", "uid", "mail", "cn", "zimbraDomainName", "zimbraAliasTargetId"];

/// What somebody may see.
pub(crate) enum View {
    /// Everything.
    All,
    /// His own, and the address book of his domain; what he was granted, if he is an administrator.
    Own { id: AccountId, domain: String, admin: Option<Box<Asker>> },
    /// Nothing.
    None,
}

impl View {
    /// Whether nothing is hidden.
    pub fn is_all(&self) -> bool {
        matches!(self, View::All)
    }

    /// The entry as it may be seen; nothing if he may not know of it.
    pub async fn show(&self, directory: &Directory, mut object: Object) -> Result<Option<Object>, Failure> {
        let (id, domain, admin) = match self {
            View::All => return Ok(Some(object)),
            View::None => return Ok(None),
            View::Own { id, domain, admin } => (id, domain, admin),
        };
        let secret = |name: &str| zcluster_schema::is_secret(name);
        if object.id == *id && object.kind != ObjectKind::Alias || object.parent == Some(*id) {
            object.attrs = object.attrs.keep(|name| !secret(name));
            return Ok(Some(object));
        }
        let listed = object.kind.has_address() && object.domain() == Some(domain) && !is_hidden(&object.attrs);
        let in_book = |name: &str| listed && GAL_VIEW.iter().any(|g| g.eq_ignore_ascii_case(name));
        let Some(asker) = admin else {
            object.attrs = object.attrs.keep(in_book);
            return Ok(Some(object).filter(|_| listed));
        };
        if let Some(parent) = object.parent {
            let parent = directory.find(zcluster_api::directory::ObjectBy::Id(parent)).await?;
            let shown = is_person(parent.kind) && directory.may_act_as(asker, &parent).await?;
            object.attrs = object.attrs.keep(|name| !secret(name));
            return Ok(Some(object).filter(|_| shown));
        }
        let levels = directory.levels(&object, &asker.upper).await?;
        let applied = Applied::of(&levels, &asker.who);
        let kind = object.kind;
        let found = match (kind, noun(kind)) {
            (ObjectKind::Alias, _) => applied.allows(Want::Preset("listAlias"), ObjectKind::Domain),
            (_, Some(noun)) => applied.allows(Want::Preset(&format!("list{noun}")), kind),
            _ => false,
        };
        let gets = |name: &str| !applied.is_empty() && applied.allows(Want::Get(name), kind);
        let some = found || object.attrs.iter().any(|a| gets(&a.name));
        if !some && !listed {
            return Ok(None);
        }
        let in_list = |name: &str| some && LIST_VIEW.iter().any(|l| l.eq_ignore_ascii_case(name));
        object.attrs = object.attrs.keep(|name| !secret(name) && (in_list(name) || in_book(name) || gets(name)));
        Ok(Some(object))
    }
}

fn is_hidden(attrs: &Attributes) -> bool {
    attrs.get("zimbraHideInGal") == Some("TRUE")
}

pub(crate) fn is_person(kind: ObjectKind) -> bool {
    matches!(kind, ObjectKind::Account | ObjectKind::Resource)
}

fn is_below_account(kind: ObjectKind) -> bool {
    matches!(kind, ObjectKind::Identity | ObjectKind::Signature | ObjectKind::DataSource)
}

pub(crate) fn denied(what: &str, on: &str) -> Failure {
    Failure::denied(format!("permission denied: need right {what} on {on}"))
}

impl Directory {
    /// What the actor may see.
    pub(crate) async fn view_for(&self, actor: Actor) -> Result<View, Failure> {
        match actor {
            Actor::System | Actor::Admin(_) => Ok(View::All),
            Actor::Delivery => Ok(View::None),
            Actor::Account(id) => {
                let Some(account) = self.account(id).await? else { return Ok(View::None) };
                let domain = account.domain().unwrap_or_default().to_string();
                let admin = match account.attrs.get("zimbraIsDelegatedAdminAccount") {
                    Some("TRUE") => Some(Box::new(self.asker(account).await?)),
                    _ => None,
                };
                Ok(View::Own { id, domain, admin })
            }
        }
    }

    /// Whether the actor may do it.
    ///
    /// # Errors
    /// `PERM_DENIED`.
    pub(crate) async fn allow(&self, actor: Actor, wish: Wish<'_>) -> Result<(), Failure> {
        let id = match actor {
            Actor::System | Actor::Admin(_) => return Ok(()),
            Actor::Delivery => return Err(denied("of an administrator", "the directory")),
            Actor::Account(id) => id,
        };
        self.is_open(&wish).await?;
        if is_own(id, &wish) {
            return Ok(());
        }
        let Some(account) = self.account(id).await? else { return Err(denied("of an account", "the directory")) };
        let asker = self.asker(account).await?;
        match wish {
            Wish::Create { kind, name, parent, attrs } => self.may_create(&asker, kind, name, parent, attrs).await,
            Wish::Modify { object, changes } => self.may_modify(&asker, object, changes).await,
            Wish::Delete(object) => self.may_delete(&asker, object).await,
            Wish::Rename { object, name } => self.may_rename(&asker, object, name).await,
            Wish::Alias { object, alias, add } => self.may_alias(&asker, object, alias, add).await,
        }
    }

    /// Domain status (data model §13): in a suspended domain nothing is made, changed or removed but by global
    /// administrators; a shut down one is not changed itself either.
    async fn is_open(&self, wish: &Wish<'_>) -> Result<(), Failure> {
        let (kind, names) = match wish {
            Wish::Create { kind, name, .. } => (*kind, vec![*name]),
            Wish::Modify { object, .. } | Wish::Delete(object) => (object.kind, vec![object.name.as_str()]),
            Wish::Rename { object, name } => (object.kind, vec![object.name.as_str(), name]),
            Wish::Alias { object, alias, .. } => (object.kind, vec![object.name.as_str(), alias]),
        };
        let is_domain = kind == ObjectKind::Domain;
        for name in names {
            let domain = name.rsplit_once('@').map_or(name, |(_, d)| d);
            if !is_domain && !name.contains('@') {
                continue;
            }
            let Some(domain) = self.domain(domain).await? else { continue };
            let status = domain.attrs.get("zimbraDomainStatus").unwrap_or("active");
            if status == "shutdown" || status == "suspended" && !is_domain {
                return Err(Failure::denied(format!("permission denied: domain {} is {status}", domain.name)));
            }
        }
        Ok(())
    }

    /// Whether an administrator may act as an account: what is below it he may change then.
    pub(crate) async fn may_act_as(&self, asker: &Asker, account: &Object) -> Result<bool, Failure> {
        if is_global_admin(account) {
            return Ok(false);
        }
        let right = match account.kind {
            ObjectKind::Resource => "adminLoginCalendarResourceAs",
            _ => "adminLoginAs",
        };
        let levels = self.levels(account, &asker.upper).await?;
        Ok(Applied::of(&levels, &asker.who).allows(Want::Preset(right), account.kind))
    }

    async fn may_delete(&self, asker: &Asker, object: &Object) -> Result<(), Failure> {
        if is_below_account(object.kind) {
            return self.below(asker, object.parent).await;
        }
        spare_admins(object)?;
        let levels = self.levels(object, &asker.upper).await?;
        let applied = Applied::of(&levels, &asker.who);
        if object.kind == ObjectKind::Alias {
            require(&applied, "deleteAlias", ObjectKind::Domain, &object.name)?;
            let target = self.find(zcluster_api::directory::ObjectBy::Id(object.id)).await?;
            return self.alias_right(asker, &target, false).await;
        }
        let Some(noun) = noun(object.kind) else { return Err(denied("of an administrator", &object.name)) };
        if is_owned(&applied, object.kind) {
            return Ok(());
        }
        require(&applied, &format!("delete{noun}"), object.kind, &object.name)
    }

    async fn may_rename(&self, asker: &Asker, object: &Object, name: &str) -> Result<(), Failure> {
        if is_below_account(object.kind) {
            return self.below(asker, object.parent).await;
        }
        spare_admins(object)?;
        let levels = self.levels(object, &asker.upper).await?;
        let applied = Applied::of(&levels, &asker.who);
        let Some(noun) = noun(object.kind) else { return Err(denied("of an administrator", &object.name)) };
        let to = name.rsplit_once('@').map(|(_, d)| d.to_lowercase());
        let same = !object.kind.has_address() || to.as_deref() == object.domain();
        if !(same && is_owned(&applied, object.kind)) {
            // There is no right to rename a domain: it concerns all that is in it.
            require(&applied, &format!("rename{noun}"), object.kind, &object.name)?;
        }
        if !same {
            // Into another domain: it is gone here, and new there.
            require(&applied, &format!("delete{noun}"), object.kind, &object.name)?;
            let to = to.unwrap_or_default();
            let there = self.levels_in(&to, &asker.upper).await?;
            require(&Applied::of(&there, &asker.who), &format!("create{noun}"), ObjectKind::Domain, &to)?;
        }
        Ok(())
    }

    async fn may_alias(&self, asker: &Asker, object: &Object, alias: &str, add: bool) -> Result<(), Failure> {
        spare_admins(object)?;
        self.alias_right(asker, object, add).await?;
        let domain = alias.rsplit_once('@').map_or("", |(_, d)| d).to_lowercase();
        let there = self.levels_in(&domain, &asker.upper).await?;
        let right = if add { "createAlias" } else { "deleteAlias" };
        require(&Applied::of(&there, &asker.who), right, ObjectKind::Domain, &domain)
    }

    async fn alias_right(&self, asker: &Asker, object: &Object, add: bool) -> Result<(), Failure> {
        let Some(noun) = noun(object.kind) else { return Err(denied("of an administrator", &object.name)) };
        let right = format!("{}{noun}Alias", if add { "add" } else { "remove" });
        let levels = self.levels(object, &asker.upper).await?;
        require(&Applied::of(&levels, &asker.who), &right, object.kind, &object.name)
    }

    /// An entry below an account: whoever may act as the account.
    pub(crate) async fn below(&self, asker: &Asker, parent: Option<AccountId>) -> Result<(), Failure> {
        if let Some(id) = parent
            && let Some(account) = self.account(id).await?
            && self.may_act_as(asker, &account).await?
        {
            return Ok(());
        }
        Err(denied("adminLoginAs", "the account"))
    }
}

/// `PERM_DENIED` unless the right was granted.
pub(crate) fn require(applied: &Applied<'_>, right: &str, kind: ObjectKind, on: &str) -> Result<(), Failure> {
    if applied.allows(Want::Preset(right), kind) { Ok(()) } else { Err(denied(right, on)) }
}

/// Whether somebody runs the list.
pub(crate) fn is_owned(applied: &Applied<'_>, kind: ObjectKind) -> bool {
    let list = matches!(kind, ObjectKind::DistributionList | ObjectKind::DynamicGroup);
    list && applied.allows(Want::Preset("ownDistList"), kind)
}

/// Whether it is the account of a global administrator.
pub(crate) fn is_global_admin(object: &Object) -> bool {
    is_person(object.kind) && object.attrs.get("zimbraIsAdminAccount") == Some("TRUE")
}

/// What was granted on a domain does not reach its global administrators.
pub(crate) fn spare_admins(object: &Object) -> Result<(), Failure> {
    match is_global_admin(object) {
        true => Err(Failure::denied(format!("permission denied: {} is a global administrator", object.name))),
        false => Ok(()),
    }
}

/// Whether it is a preference of the account itself, or an entry below it.
fn is_own(id: AccountId, wish: &Wish<'_>) -> bool {
    match wish {
        Wish::Create { kind, parent, .. } => is_below_account(*kind) && *parent == Some(id),
        Wish::Modify { object, changes } => {
            object.parent == Some(id) && is_below_account(object.kind)
                || object.id == id && changes.iter().all(|m| m.name.to_ascii_lowercase().starts_with("zimbrapref"))
        }
        Wish::Delete(object) | Wish::Rename { object, .. } => {
            object.parent == Some(id) && is_below_account(object.kind)
        }
        Wish::Alias { .. } => false,
    }
}
