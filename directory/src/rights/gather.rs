//! The grants that stand over an entry, and all by which a grant may mean somebody.

use super::ace::{Ace, Modifier};
use super::decide::{Level, Who};
use crate::{Directory, Failure};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use zcluster_api::directory::{Object, ObjectBy, ObjectKind};
use zcluster_api::{AccountId, DirectoryQuery, DirectoryReply, Error};

/// Domains above a domain that are looked at.
const ABOVE_MAX: usize = 10;

/// What stands over all entries of a domain, looked up once for many entries.
#[derive(Default)]
pub(crate) struct Upper(Mutex<BTreeMap<String, Arc<Vec<Level>>>>);

/// Grants of an entry that hold on itself.
fn own(object: &Object) -> Level {
    let mut aces = Ace::all(object.attrs.all("zimbraACE"));
    aces.retain(|a| a.modifier != Modifier::Subdomain);
    Level { place: place(object), aces }
}

fn place(object: &Object) -> String {
    let word = super::table::target_word(object.kind).unwrap_or("entry");
    format!("{word} {}", object.name)
}

impl Directory {
    /// An entry that may not be there.
    pub(crate) async fn maybe(&self, by: ObjectBy) -> Result<Option<Object>, Failure> {
        match self.read(DirectoryQuery::Object(by)).await.and_then(DirectoryReply::into_object) {
            Ok(object) => Ok(Some(object)),
            Err(Error::NotFound(_) | Error::Invalid(_)) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    pub(crate) async fn domain(&self, name: &str) -> Result<Option<Object>, Failure> {
        self.maybe(ObjectBy::Name { kind: ObjectKind::Domain, name: name.to_string(), parent: None }).await
    }

    /// What rights were granted on everything; the entry is made when the first one is.
    pub(crate) async fn global_grant(&self) -> Result<Option<Object>, Failure> {
        self.maybe(ObjectBy::Name { kind: ObjectKind::GlobalGrant, name: String::new(), parent: None }).await
    }

    /// An account as somebody who needs something.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub(crate) async fn who(&self, account: &Object) -> Result<Who, Failure> {
        let domain = match account.domain() {
            Some(name) => self.domain(name).await?.map(|d| d.id),
            None => None,
        };
        let admin = |group: &Object| group.attrs.get("zimbraIsAdminGroup") == Some("TRUE");
        let groups = self.static_memberships(account).await?;
        let groups =
            groups.iter().filter(|m| m.group.kind != ObjectKind::DynamicGroup || crate::groups::is_acl_group(&m.group));
        Ok(Who {
            id: Some(account.id),
            address: account.name.to_lowercase(),
            domain,
            groups: groups.map(|m| (m.group.id, admin(&m.group))).collect(),
            delegated: account.attrs.get("zimbraIsDelegatedAdminAccount") == Some("TRUE"),
        })
    }

    /// The account with this id; none: it is gone.
    pub(crate) async fn account(&self, id: AccountId) -> Result<Option<Object>, Failure> {
        let found = self.maybe(ObjectBy::Id(id)).await?;
        Ok(found.filter(|o| matches!(o.kind, ObjectKind::Account | ObjectKind::Resource)))
    }

    /// The grants over an entry, nearest first: its own; those of the lists it is in; its domain's; those of domains
    /// above that hold below; those on everything.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub(crate) async fn levels(&self, object: &Object, upper: &Upper) -> Result<Vec<Level>, Failure> {
        let mut out = vec![own(object)];
        if object.kind.has_address() {
            let groups = self.static_memberships(object).await?;
            let mut level = Level { place: String::new(), aces: Vec::new() };
            for membership in &groups {
                let mut one = own(&membership.group);
                one.aces.retain(|a| membership.direct || a.modifier != Modifier::DirectMembers);
                if !one.aces.is_empty() {
                    level.place = one.place;
                    level.aces.extend(one.aces);
                }
            }
            out.push(level);
        }
        match (object.kind, object.domain()) {
            (ObjectKind::Domain, Some(name)) => out.extend(self.over(name, false, upper).await?.iter().cloned()),
            (_, Some(name)) => out.extend(self.over(name, true, upper).await?.iter().cloned()),
            (ObjectKind::GlobalGrant, None) => {}
            (_, None) => out.extend(self.over("", false, upper).await?.iter().cloned()),
        }
        out.retain(|level| !level.aces.is_empty());
        Ok(out)
    }

    /// The grants over an entry that is to be made in a domain.
    pub(crate) async fn levels_in(&self, domain: &str, upper: &Upper) -> Result<Arc<Vec<Level>>, Failure> {
        self.over(domain, true, upper).await
    }

    async fn over(&self, domain: &str, itself: bool, upper: &Upper) -> Result<Arc<Vec<Level>>, Failure> {
        let key = format!("{domain} {itself}");
        if let Some(known) = upper.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(known.clone());
        }
        let mut out = Vec::new();
        if itself && let Some(domain) = self.domain(domain).await? {
            out.push(own(&domain));
        }
        for (at, _) in domain.match_indices('.').take(ABOVE_MAX) {
            if let Some(above) = self.domain(&domain[at + 1..]).await? {
                let mut aces = Ace::all(above.attrs.all("zimbraACE"));
                aces.retain(|a| matches!(a.modifier, Modifier::Subdomain | Modifier::Deny));
                out.push(Level { place: place(&above), aces });
            }
        }
        if let Some(global) = self.global_grant().await? {
            out.push(own(&global));
        }
        let out = Arc::new(out);
        upper.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, out.clone());
        Ok(out)
    }
}
