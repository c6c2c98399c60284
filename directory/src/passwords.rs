//! Who may set an account's password, and by which rules. The rules themselves are the authenticator's.

use crate::access::{Wish, denied, is_person, spare_admins};
use crate::rights::{Applied, Want};
use crate::{Directory, Failure, fresh_id};
use std::sync::Arc;
use zcluster_api::directory::{
    Account, AccountBy, Attributes, Home, HomeState, Modification, ModifyKind, Object, ObjectBy, ObjectKind,
    inheritable, split_address,
};
use zcluster_api::{AccountId, Actor, DirectoryQuery, Epoch, GroupId, MailboxId};

/// By which of an account's rules somebody sets its password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordRules {
    /// Length, characters, the list of common ones: administrators, and whoever has `setAccountPassword`.
    Strength,
    /// Those for its owner too: age, history, lock (`changeAccountPassword`).
    All,
}

impl Directory {
    /// Whether the actor may make this account; the account as it will be, by whose rules its first password goes.
    ///
    /// # Errors
    /// `PERM_DENIED`, `NO_SUCH_DOMAIN`; the directory cannot be read.
    pub async fn for_first_password(
        &self,
        actor: Actor,
        kind: ObjectKind,
        name: &str,
        attrs: &[Modification],
    ) -> Result<Account, Failure> {
        self.allow(actor, Wish::Create { kind, name, parent: None, attrs }).await?;
        let (local, domain) = split_address(name).map_err(|e| Failure::invalid(e.to_string()))?;
        let Some(domain) = self.domain(&domain).await? else {
            return Err(Failure::missing(ObjectKind::Domain, &domain));
        };
        let name = format!("{local}@{}", domain.name);
        let own = after(&Attributes::new(), attrs);
        let cos = match own.get("zimbraCOSId").or_else(|| domain.attrs.get("zimbraDomainDefaultCOSId")) {
            Some(id) => id.parse().ok(),
            None => None,
        };
        let cos = self.cos_attrs(cos).await?;
        Ok(Account {
            id: fresh_id(),
            name,
            attrs: own,
            home: nowhere(),
            cos: Some(cos),
            domain: Some(Arc::new(domain.attrs)),
        })
    }

    /// Whether the actor may set the account's password; the account as these changes will leave it, and which rules
    /// count.
    ///
    /// # Errors
    /// `PERM_DENIED`; the directory cannot be read.
    pub async fn for_password(
        &self,
        actor: Actor,
        object: &Object,
        changes: &[Modification],
    ) -> Result<(Account, PasswordRules), Failure> {
        let rules = self.password_rules(actor, object).await?;
        let read = self.read(DirectoryQuery::Account(AccountBy::Id(object.id))).await;
        let read = read.map_err(|e| Failure::of(&e, object.kind, &object.name))?;
        let mut account = read.into_account()?;
        if changes.iter().any(|m| m.name.eq_ignore_ascii_case("zimbraCOSId")) {
            let now = after(&account.attrs, changes);
            account.cos = Some(self.cos_attrs(now.get("zimbraCOSId").and_then(|id| id.parse().ok())).await?);
        }
        let rules_changed = |m: &&Modification| m.name.to_ascii_lowercase().starts_with("zimbrapassword");
        let changed: Vec<Modification> = changes.iter().filter(rules_changed).cloned().collect();
        account.attrs = after(&account.attrs, &changed);
        Ok((account, rules))
    }

    async fn password_rules(&self, actor: Actor, object: &Object) -> Result<PasswordRules, Failure> {
        let id = match actor {
            Actor::System | Actor::Admin(_) => return Ok(PasswordRules::Strength),
            Actor::Delivery => return Err(denied("setAccountPassword", &object.name)),
            Actor::Account(id) => id,
        };
        let (set, change) = match object.kind {
            ObjectKind::Resource => ("setCalendarResourcePassword", "changeCalendarResourcePassword"),
            _ => ("setAccountPassword", "changeAccountPassword"),
        };
        let account = self.account(id).await?.filter(|_| is_person(object.kind));
        let Some(account) = account else { return Err(denied(set, &object.name)) };
        spare_admins(object)?;
        let asker = self.asker(account).await?;
        let levels = self.levels(object, &asker.upper).await?;
        let applied = Applied::of(&levels, &asker.who);
        match (applied.allows(Want::Preset(set), object.kind), applied.allows(Want::Preset(change), object.kind)) {
            (true, _) => Ok(PasswordRules::Strength),
            (false, true) => Ok(PasswordRules::All),
            (false, false) => Err(denied(set, &object.name)),
        }
    }

    /// What accounts of a COS inherit; of `default` where there is none.
    async fn cos_attrs(&self, id: Option<AccountId>) -> Result<Arc<Attributes>, Failure> {
        let default = ObjectBy::Name { kind: ObjectKind::Cos, name: "default".into(), parent: None };
        for by in id.map(ObjectBy::Id).into_iter().chain([default]) {
            if let Some(cos) = self.maybe(by).await?.filter(|o| o.kind == ObjectKind::Cos) {
                return Ok(Arc::new(inheritable(cos.attrs)));
            }
        }
        Ok(Arc::new(Attributes::new()))
    }
}

/// An account that is not there yet lives nowhere.
fn nowhere() -> Home {
    Home { mailbox: MailboxId(0), group: GroupId::DIRECTORY, epoch: Epoch(0), state: HomeState::Active }
}

/// Attributes as they will be.
fn after(now: &Attributes, changes: &[Modification]) -> Attributes {
    let mut out = now.clone();
    for change in changes {
        let mut values = out.all(&change.name).to_vec();
        match change.kind {
            ModifyKind::Replace => values = change.values.clone(),
            ModifyKind::Add => values.extend(change.values.iter().cloned()),
            ModifyKind::Remove | ModifyKind::Take => values.retain(|v| !change.values.contains(v)),
            ModifyKind::Increment => {}
        }
        values.retain(|v| !v.is_empty());
        out.set(&change.name, values);
    }
    out
}
