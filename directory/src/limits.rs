//! How many accounts a domain may have: in all (`zimbraDomainMaxAccounts`), of a COS (`zimbraDomainCOSMaxAccounts`:
//! `COSID:n`), with a feature (`zimbraDomainFeatureMaxAccounts`: `zimbraFeatureXEnabled:n`).
//!
//! Counted before the change is proposed: two changes at the same moment may both find the last place free.

use crate::{Directory, Failure, defaults};
use std::collections::BTreeMap;
use zcluster_api::directory::{Attributes, Filter, Kinds, Modification, ModifyKind, Object, ObjectBy, Search};
use zcluster_api::{AccountId, DirectoryQuery, DirectoryReply};

/// The bounds of a domain.
const BOUNDS: [&str; 3] = ["zimbraDomainMaxAccounts", "zimbraDomainCOSMaxAccounts", "zimbraDomainFeatureMaxAccounts"];
/// The nil id: accounts that name no COS.
const NO_COS: AccountId = AccountId([0; 16]);

/// `name:n`.
fn bounds<'a>(domain: &'a Object, attr: &str) -> impl Iterator<Item = (&'a str, u64)> {
    let of = |value: &'a String| {
        let (name, n) = value.rsplit_once(':')?;
        Some((name.trim(), n.trim().parse().ok()?))
    };
    domain.attrs.all(attr).iter().filter_map(of)
}

fn too_many(domain: &Object, what: &str, most: u64) -> Failure {
    Failure::new("account.TOO_MANY_ACCOUNTS", format!("too many accounts: domain={}[{what}{most}]", domain.name))
}

/// What an attribute is after the changes; `None`: they do not touch it.
fn set<'a>(changes: &'a [Modification], attr: &str) -> Option<Option<&'a str>> {
    let change = changes.iter().rev().find(|m| m.name.eq_ignore_ascii_case(attr))?;
    let removes = matches!(change.kind, ModifyKind::Remove | ModifyKind::Take);
    Some(change.values.first().map(String::as_str).filter(|v| !v.is_empty() && !removes))
}

impl Directory {
    async fn bounded_domain(&self, address: &str) -> Result<Option<Object>, Failure> {
        let name = address.rsplit_once('@').map_or("", |(_, d)| d).to_lowercase();
        Ok(self.domain(&name).await?.filter(|d| BOUNDS.iter().any(|b| d.attrs.has(b))))
    }

    /// Whether the domain has room for a new account.
    ///
    /// # Errors
    /// `TOO_MANY_ACCOUNTS`.
    pub(crate) async fn room_for(&self, address: &str, attrs: &[Modification]) -> Result<(), Failure> {
        let Some(domain) = self.bounded_domain(address).await? else { return Ok(()) };
        let counts = self.counts(&domain).await?;
        let most: u64 = domain.attrs.get(BOUNDS[0]).and_then(|v| v.parse().ok()).unwrap_or(0);
        if most > 0 && counts.values().sum::<u64>() >= most {
            return Err(too_many(&domain, "", most));
        }
        let cos = self.cos_of(&domain, set(attrs, "zimbraCOSId").flatten()).await?;
        self.room_in_cos(&domain, &counts, cos).await?;
        for (feature, most) in bounds(&domain, BOUNDS[2]) {
            let on = match set(attrs, feature).flatten() {
                Some(value) => value == "TRUE",
                None => self.cos_has(cos, feature).await?,
            };
            if on {
                self.room_for_feature(&domain, feature, most).await?;
            }
        }
        Ok(())
    }

    /// Whether it has room for the account as it will be.
    ///
    /// # Errors
    /// `TOO_MANY_ACCOUNTS`.
    pub(crate) async fn room_after(&self, account: &Object, changes: &[Modification]) -> Result<(), Failure> {
        let new_cos = set(changes, "zimbraCOSId");
        let feature = |m: &Modification| m.name.to_ascii_lowercase().starts_with("zimbrafeature");
        if new_cos.is_none() && !changes.iter().any(feature) {
            return Ok(());
        }
        let Some(domain) = self.bounded_domain(&account.name).await? else { return Ok(()) };
        let old = self.cos_of(&domain, account.attrs.get("zimbraCOSId")).await?;
        let new = match new_cos {
            Some(cos) => self.cos_of(&domain, cos).await?,
            None => old,
        };
        if new != old {
            let counts = self.counts(&domain).await?;
            self.room_in_cos(&domain, &counts, new).await?;
        }
        for (feature, most) in bounds(&domain, BOUNDS[2]) {
            let before = match account.attrs.get(feature) {
                Some(value) => value == "TRUE",
                None => self.cos_has(old, feature).await?,
            };
            let own = set(changes, feature).unwrap_or_else(|| account.attrs.get(feature));
            let after = match own {
                Some(value) => value == "TRUE",
                None => self.cos_has(new, feature).await?,
            };
            if after && !before {
                self.room_for_feature(&domain, feature, most).await?;
            }
        }
        Ok(())
    }

    async fn counts(&self, domain: &Object) -> Result<BTreeMap<AccountId, u64>, Failure> {
        match self.read(DirectoryQuery::AccountCounts(domain.name.clone())).await? {
            DirectoryReply::CosCounts(counts) => Ok(counts.into_iter().collect()),
            other => Err(Failure::new("service.FAILURE", format!("unexpected answer {other:?}"))),
        }
    }

    /// The COS of an account that names this one, or none.
    async fn cos_of(&self, domain: &Object, own: Option<&str>) -> Result<AccountId, Failure> {
        let named = own.or_else(|| domain.attrs.get("zimbraDomainDefaultCOSId"));
        let Some(named) = named.and_then(|v| v.parse().ok()) else { return Ok(defaults::default_cos_id()) };
        Ok(named)
    }

    async fn room_in_cos(
        &self,
        domain: &Object,
        counts: &BTreeMap<AccountId, u64>,
        cos: AccountId,
    ) -> Result<(), Failure> {
        for (name, most) in bounds(domain, BOUNDS[1]) {
            if name.parse() != Ok(cos) {
                continue;
            }
            let of = |id: AccountId| counts.get(&id).copied().unwrap_or(0);
            let inherits = self.cos_of(domain, None).await? == cos;
            if of(cos) + if inherits { of(NO_COS) } else { 0 } >= most {
                return Err(too_many(domain, &format!("{name}:"), most));
            }
        }
        Ok(())
    }

    async fn cos_has(&self, cos: AccountId, feature: &str) -> Result<bool, Failure> {
        let cos = match self.maybe(ObjectBy::Id(cos)).await? {
            Some(cos) => cos.attrs,
            None => Attributes::new(),
        };
        Ok(cos.get(feature) == Some("TRUE"))
    }

    /// Accounts with the feature, by their own value or their COS's; looked through in pages.
    async fn room_for_feature(&self, domain: &Object, feature: &str, most: u64) -> Result<(), Failure> {
        let mut known: BTreeMap<AccountId, bool> = BTreeMap::new();
        let (kinds, filter) = (Kinds::ACCOUNTS, Filter::all());
        let mut search =
            Search { kinds, domain: Some(domain.name.clone()), parent: None, filter, after: None, limit: 1_000 };
        let mut on = 0;
        loop {
            let page = self.read(DirectoryQuery::Search(Box::new(search.clone()))).await?.into_page()?;
            for account in &page.objects {
                let has = match account.attrs.get(feature) {
                    Some(value) => value == "TRUE",
                    None => {
                        let cos = self.cos_of(domain, account.attrs.get("zimbraCOSId")).await?;
                        match known.get(&cos) {
                            Some(has) => *has,
                            None => *known.entry(cos).or_insert(self.cos_has(cos, feature).await?),
                        }
                    }
                };
                on += u64::from(has);
            }
            if on >= most {
                return Err(too_many(domain, &format!("{feature}:"), most));
            }
            match page.next {
                Some(next) => search.after = Some(next),
                None => return Ok(()),
            }
        }
    }
}
