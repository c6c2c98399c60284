//! Taking a search's steps, page by page.

use super::plan::{Planner, Step, Steps};
use super::resolve::{self, Found};
use super::{in_scope, matching};
use crate::Ldap;
use crate::access::Who;
use crate::back_end::Failure;
use crate::codec::filter::Filter as Asked;
use crate::codec::request::Scope;
use crate::dn::Dn;
use crate::entry::Entry;
use crate::tree;
use std::collections::BTreeMap;
use std::sync::Arc;
use zcluster_api::AccountId;
use zcluster_api::directory::{Kinds, Object, ObjectKind};

/// Names of owners that are remembered during a search.
const OWNERS_MAX: usize = 1_000;

/// Where a search stands: which step, and where in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    step: usize,
    at: Option<Vec<u8>>,
}

impl Cursor {
    /// As bytes, for a cookie.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = u32::try_from(self.step).unwrap_or(u32::MAX).to_be_bytes().to_vec();
        match &self.at {
            Some(at) => {
                out.push(1);
                out.extend_from_slice(at);
            }
            None => out.push(0),
        }
        out
    }
    /// From such bytes.
    pub fn of(bytes: &[u8]) -> Option<Cursor> {
        let (step, rest) = bytes.split_at_checked(4)?;
        let step = u32::from_be_bytes(step.try_into().ok()?) as usize;
        match rest.split_first()? {
            (0, []) => Some(Cursor { step, at: None }),
            (1, at) => Some(Cursor { step, at: Some(at.to_vec()) }),
            _ => None,
        }
    }
}

/// A search under way.
pub struct Walk {
    ldap: Arc<Ldap>,
    who: Who,
    base: Dn,
    scope: Scope,
    filter: Arc<Asked>,
    steps: Steps,
    cursor: Cursor,
    owners: BTreeMap<AccountId, Option<Dn>>,
}

impl Walk {
    /// A search that begins at what was found; nothing: at the root.
    ///
    /// # Errors
    /// The directory's.
    pub async fn begin(
        ldap: Arc<Ldap>,
        who: Who,
        base: Dn,
        found: Option<Found>,
        scope: Scope,
        filter: Arc<Asked>,
        cursor: Cursor,
    ) -> Result<Walk, Failure> {
        let steps = Planner { ldap: &ldap, who: &who, base: &base, scope, filter: &filter }.plan(found).await?;
        Ok(Walk { ldap, who, base, scope, filter, steps, cursor, owners: BTreeMap::new() })
    }

    /// Where it stands.
    pub fn cursor(&self) -> &Cursor {
        &self.cursor
    }
    /// Whether all steps have been taken.
    pub fn is_over(&self) -> bool {
        self.cursor.step >= self.steps.len()
    }

    /// The next entries that fit, at most `limit`; perhaps none although there are more.
    ///
    /// # Errors
    /// The directory's.
    pub async fn page(&mut self, limit: u32) -> Result<Vec<Entry>, Failure> {
        let Some(step) = self.steps.get(self.cursor.step) else { return Ok(Vec::new()) };
        let candidates = match step {
            Step::Fixed(all) => {
                let digits = self.cursor.at.as_deref().and_then(|at| at.try_into().ok());
                let from = digits.map_or(0, |d| u32::from_be_bytes(d) as usize).min(all.len());
                let to = from.saturating_add(limit as usize).min(all.len());
                let entries = all[from..to].to_vec();
                let next = u32::try_from(to).ok().filter(|_| to < all.len()).map(|n| n.to_be_bytes().to_vec());
                self.advance(next);
                entries
            }
            Step::Scan(search) => {
                let mut search = search.clone();
                (search.after, search.limit) = (self.cursor.at.clone(), limit.max(1));
                let domains = search.kinds == Kinds::of(&[ObjectKind::Domain]);
                let actor = if domains { self.who.looks_as() } else { self.who.reads_as() };
                let page = self.ldap.directory.search(actor, search).await?;
                self.advance(page.next);
                self.entries(page.objects).await?
            }
            Step::Aliases(search, uid) => {
                let (mut search, uid) = (search.clone(), uid.clone());
                // An entry may have one such alias in each domain: the page is as long as it gets.
                (search.after, search.limit) = (self.cursor.at.clone(), limit.max(1));
                let page = self.ldap.directory.search(self.who.reads_as(), search).await?;
                self.advance(page.next);
                let objects = page.objects.iter().flat_map(|target| aliases_of(target, &uid)).collect();
                self.entries(objects).await?
            }
        };
        Ok(candidates.into_iter().filter_map(|e| self.admit(e)).collect())
    }

    fn advance(&mut self, next: Option<Vec<u8>>) {
        match next {
            Some(at) => self.cursor.at = Some(at),
            None => self.cursor = Cursor { step: self.cursor.step + 1, at: None },
        }
    }

    async fn entries(&mut self, objects: Vec<Object>) -> Result<Vec<Entry>, Failure> {
        let mut out = Vec::with_capacity(objects.len());
        for object in objects {
            let dn = match tree::dn_of(&object) {
                Some(dn) => Some(dn),
                None => self.owned_dn(&object).await?,
            };
            if let Some(dn) = dn {
                out.push(Entry::of(object, dn));
            }
        }
        Ok(out)
    }

    async fn owned_dn(&mut self, object: &Object) -> Result<Option<Dn>, Failure> {
        let Some(owner) = object.parent else { return Ok(None) };
        if !self.owners.contains_key(&owner) {
            if self.owners.len() >= OWNERS_MAX {
                self.owners.clear();
            }
            let dn = resolve::owned_dn(&self.ldap, self.who.reads_as(), object).await?;
            self.owners.insert(owner, dn.and_then(|dn| dn.parent()));
        }
        let above = self.owners.get(&owner).and_then(Option::as_ref);
        Ok(above.map(|above| tree::child_dn(above, object)))
    }

    /// What of a candidate is told, if anything.
    fn admit(&self, entry: Entry) -> Option<Entry> {
        if !in_scope(&entry.dn, &self.base, self.scope) {
            return None;
        }
        let entry = self.who.show(entry)?;
        (matching::fits(&self.filter, &entry) == Some(true)).then_some(entry)
    }
}

fn aliases_of(target: &Object, uid: &str) -> Vec<Object> {
    let all = target.attrs.all("zimbraMailAlias").iter();
    let wanted = |a: &&String| a.rsplit_once('@').is_some_and(|(local, _)| local.eq_ignore_ascii_case(uid));
    let mut out: Vec<Object> = all.filter(wanted).map(|a| resolve::alias(a, target)).collect();
    out.retain(|a| a.kind == ObjectKind::Alias && a.name != target.name);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn cursors(step in 0usize..1_000, at in prop::option::of(prop::collection::vec(any::<u8>(), 0..20)), noise in prop::collection::vec(any::<u8>(), 0..20)) {
            let cursor = Cursor { step, at };
            prop_assert_eq!(Cursor::of(&cursor.to_bytes()), Some(cursor));
            let _ = Cursor::of(&noise);
        }
    }
}
