//! Which steps a search takes.

use super::resolve::Found;
use super::translate::{self, demanded, is_never};
use super::{in_scope, matching};
use crate::Ldap;
use crate::access::Who;
use crate::attr::{Operational, Which};
use crate::back_end::Failure;
use crate::codec::filter::Filter as Asked;
use crate::codec::request::Scope;
use crate::dn::Dn;
use crate::domains::Names;
use crate::entry::Entry;
use crate::tree::{Container, Place, children_of};
use std::sync::LazyLock;
use zcluster_api::AccountId;
use zcluster_api::directory::{Filter, Kinds, ObjectKind, Search};

/// A step.
#[derive(Clone, Debug)]
pub enum Step {
    /// Entries that are known already.
    Fixed(Vec<Entry>),
    /// Entries that the directory finds.
    Scan(Search),
    /// Aliases with this user name: found at those that they lead to, of which there is an index.
    Aliases(Search, String),
}

/// The steps of a search, in order. The same search has the same steps, as long as no domain comes or goes.
pub type Steps = Vec<Step>;

const PEOPLE: Kinds = Kinds(
    1 | 1 << ObjectKind::Resource as u32 | 1 << ObjectKind::DistributionList as u32 | 1 << ObjectKind::Alias as u32,
);
const GROUP: Kinds = Kinds(1 << ObjectKind::DynamicGroup as u32);
const DOMAIN: Kinds = Kinds(1 << ObjectKind::Domain as u32);
const ALIAS: Kinds = Kinds(1 << ObjectKind::Alias as u32);
/// What belongs to accounts.
const OWNED: [ObjectKind; 3] = [ObjectKind::Identity, ObjectKind::Signature, ObjectKind::DataSource];
/// What belongs to accounts and domains.
const ALL_OWNED: [ObjectKind; 5] = [
    ObjectKind::Identity,
    ObjectKind::Signature,
    ObjectKind::DataSource,
    ObjectKind::AddressList,
    ObjectKind::HabGroup,
];

/// The fixed entries below `cn=zimbra`, and that itself: every search of the whole tree looks at them.
static CONTAINERS: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    let containers = Container::ALL.into_iter().map(Entry::container);
    containers.chain([Entry::ldap_admin()]).collect()
});
/// The fixed entries of some domain: `ou=people`, `cn=groups`, and a part of its name.
static SAMPLES: LazyLock<[Entry; 3]> = LazyLock::new(|| [Entry::people("x"), Entry::groups("x"), Entry::dc("x")]);

/// What a plan is made from.
pub struct Planner<'a> {
    pub ldap: &'a Ldap,
    pub who: &'a Who,
    pub base: &'a Dn,
    pub scope: Scope,
    pub filter: &'a Asked,
}

impl Planner<'_> {
    /// The steps of a search that begins at what was found; nothing: at the root.
    ///
    /// # Errors
    /// The directory's.
    pub async fn plan(&self, found: Option<Found>) -> Result<Steps, Failure> {
        match (self.scope, found) {
            (Scope::Base, found) => Ok(vec![Step::Fixed(found.map(|f| f.entry).into_iter().collect())]),
            (Scope::One, found) => self.one(found).await,
            (Scope::Sub | Scope::Children, found) => self.sub(found).await,
        }
    }

    async fn names(&self) -> Result<std::sync::Arc<Names>, Failure> {
        self.ldap.domains.names(&*self.ldap.directory, self.who.looks_as()).await
    }

    async fn one(&self, found: Option<Found>) -> Result<Steps, Failure> {
        let mut steps = Vec::new();
        let Some(found) = found else {
            let mut fixed = vec![Entry::container(Container::Zimbra)];
            self.dcs(&mut steps, &mut fixed, "").await?;
            self.fixed(&mut steps, fixed);
            return Ok(steps);
        };
        let id = found.object.as_ref().map(|o| o.id);
        match &found.place {
            Place::Container(Container::Zimbra) => {
                let below = Container::ALL.into_iter().filter(|c| !matches!(c, Container::Zimbra | Container::Mime));
                self.fixed(&mut steps, below.map(Entry::container).collect());
                self.scan(&mut steps, Kinds::of(&[ObjectKind::Config, ObjectKind::GlobalGrant]), None, None);
            }
            Place::Container(Container::Admins) => self.fixed(&mut steps, vec![Entry::ldap_admin()]),
            Place::Container(container) => {
                let kinds = container.kind().map_or(Kinds(0), |k| Kinds::of(&[k]));
                self.scan(&mut steps, kinds, None, None);
            }
            Place::Named(ObjectKind::Config, _) => self.fixed(&mut steps, vec![Entry::container(Container::Mime)]),
            Place::Dc(name) => {
                let mut fixed = Vec::new();
                if let Some(id) = id {
                    fixed.extend([Entry::people(name), Entry::groups(name)]);
                    self.scan(&mut steps, Kinds::of(children_of(&found.place)), None, Some(id));
                }
                self.dcs(&mut steps, &mut fixed, name).await?;
                self.fixed(&mut steps, fixed);
            }
            Place::People(domain) => self.scan(&mut steps, PEOPLE, Some(domain), None),
            Place::Groups(domain) => self.scan(&mut steps, GROUP, Some(domain), None),
            place => self.owned(&mut steps, place, id),
        }
        Ok(steps)
    }

    /// The parts of domains' names directly below one: those that are domains are asked for.
    async fn dcs(&self, steps: &mut Steps, fixed: &mut Vec<Entry>, above: &str) -> Result<(), Failure> {
        let names = self.names().await?;
        for name in names.next_below(above) {
            if names.has(&name) {
                let filter = translate::translate(self.filter, ObjectKind::Domain);
                if !is_never(&filter) {
                    steps.push(Step::Scan(search(DOMAIN, Some(&name), None, filter)));
                }
            } else {
                fixed.push(Entry::dc(&name));
            }
        }
        Ok(())
    }

    fn owned(&self, steps: &mut Steps, place: &Place, id: Option<AccountId>) {
        if let Some(id) = id {
            self.scan(steps, Kinds::of(children_of(place)), None, Some(id));
        }
    }

    async fn sub(&self, found: Option<Found>) -> Result<Steps, Failure> {
        let mut steps = Vec::new();
        let Some(found) = found else {
            let mut fixed = Vec::new();
            self.tree(&mut fixed, None).await?;
            self.fixed_of(&mut steps, &CONTAINERS, fixed);
            // Who sees one domain only is not made to look through all.
            let kinds = Kinds(u32::MAX).0 & !Kinds::of(&ALL_OWNED).0;
            self.scan(&mut steps, Kinds(kinds), self.who.domain(), None);
            self.scan(&mut steps, Kinds::of(&ALL_OWNED), None, None);
            return Ok(steps);
        };
        let id = found.object.as_ref().map(|o| o.id);
        match &found.place {
            Place::Container(Container::Zimbra) => {
                self.fixed_of(&mut steps, &CONTAINERS, Vec::new());
                let kinds = ObjectKind::ALL.into_iter().filter(|k| Container::ALL.iter().any(|c| c.kind() == Some(*k)));
                let kinds: Vec<ObjectKind> = kinds.chain([ObjectKind::Config, ObjectKind::GlobalGrant]).collect();
                self.scan(&mut steps, Kinds::of(&kinds), None, None);
            }
            Place::Container(Container::Admins) => self.fixed(&mut steps, vec![found.entry, Entry::ldap_admin()]),
            Place::Container(container) => {
                let kinds = container.kind().map_or(Kinds(0), |k| Kinds::of(&[k]));
                self.fixed(&mut steps, vec![found.entry]);
                self.scan(&mut steps, kinds, None, None);
            }
            Place::Named(ObjectKind::Config, _) => {
                self.fixed(&mut steps, vec![found.entry, Entry::container(Container::Mime)]);
                self.scan(&mut steps, Kinds::of(&[ObjectKind::MimeType]), None, None);
            }
            Place::Dc(name) => {
                let mut fixed = Vec::new();
                if found.object.is_none() {
                    fixed.push(found.entry);
                }
                self.tree(&mut fixed, Some(name)).await?;
                self.fixed(&mut steps, fixed);
                // One domain, or all of them if there are some below it: what is elsewhere is left out afterwards.
                let alone = found.object.is_some() && !self.names().await?.below(name);
                let domain = if alone { Some(name.as_str()) } else { self.who.domain() };
                self.scan(&mut steps, PEOPLE.and(GROUP).and(DOMAIN), domain, None);
                self.scan(&mut steps, Kinds::of(&ALL_OWNED), None, None);
            }
            Place::People(domain) => {
                self.fixed(&mut steps, vec![found.entry]);
                self.scan(&mut steps, PEOPLE, Some(domain), None);
                self.scan(&mut steps, Kinds::of(&OWNED), None, None);
            }
            Place::Groups(domain) => {
                self.fixed(&mut steps, vec![found.entry]);
                self.scan(&mut steps, GROUP, Some(domain), None);
            }
            Place::Child { kind: ObjectKind::HabGroup, .. } => {
                self.fixed(&mut steps, vec![found.entry]);
                self.scan(&mut steps, Kinds::of(&[ObjectKind::HabGroup]), None, None);
            }
            place => {
                self.fixed(&mut steps, vec![found.entry.clone()]);
                self.owned(&mut steps, place, id);
            }
        }
        Ok(steps)
    }

    /// The fixed entries of domains, below `above` or all, as far as the filter may fit them.
    async fn tree(&self, fixed: &mut Vec<Entry>, above: Option<&str>) -> Result<(), Failure> {
        let named = mentions_names(self.filter);
        let may_fit = |sample: &Entry| named || matching::fits(self.filter, sample) == Some(true);
        let [people, groups, dcs] = SAMPLES.each_ref().map(may_fit);
        if !people && !groups && !dcs {
            return Ok(());
        }
        let names = self.names().await?;
        if dcs {
            fixed.extend(names.parts().iter().map(|part| Entry::dc(part)));
        }
        let within = |n: &&String| above.is_none_or(|a| n.ends_with(a));
        for name in names.all().iter().filter(within) {
            fixed.extend(people.then(|| Entry::people(name)));
            fixed.extend(groups.then(|| Entry::groups(name)));
        }
        Ok(())
    }

    /// Fixed entries that fit.
    fn fixed(&self, steps: &mut Steps, entries: Vec<Entry>) {
        self.fixed_of(steps, &[], entries);
    }

    /// The same, of some that are there always and others.
    fn fixed_of(&self, steps: &mut Steps, always: &[Entry], entries: Vec<Entry>) {
        let fits = |e: &Entry| in_scope(&e.dn, self.base, self.scope) && matching::fits(self.filter, e) == Some(true);
        let mut fitting: Vec<Entry> = always.iter().filter(|e| fits(e)).cloned().collect();
        fitting.extend(entries.into_iter().filter(|e| fits(e)));
        if !fitting.is_empty() {
            steps.push(Step::Fixed(fitting));
        }
    }

    /// Entries that the directory finds: kinds that the filter means the same for are looked for together.
    fn scan(&self, steps: &mut Steps, kinds: Kinds, domain: Option<&str>, parent: Option<AccountId>) {
        let mut groups: Vec<(Filter, Kinds)> = Vec::new();
        let visible = self.who.sees().and(DOMAIN);
        for kind in ObjectKind::ALL.into_iter().filter(|k| kinds.has(*k) && visible.has(*k)) {
            let filter = translate::translate(self.filter, kind);
            if is_never(&filter) {
                continue;
            }
            // Aliases have no index of their own, and would keep others from theirs.
            if kind == ObjectKind::Alias {
                steps.push(aliases(filter, domain));
                continue;
            }
            // Those are looked for in another's name, see `Who::looks_as`.
            if kind == ObjectKind::Domain && !self.who.administers() {
                steps.push(Step::Scan(search(DOMAIN, domain, parent, filter)));
                continue;
            }
            match groups.iter_mut().find(|(f, _)| *f == filter) {
                Some((_, kinds)) => *kinds = kinds.and(Kinds::of(&[kind])),
                None => groups.push((filter, Kinds::of(&[kind]))),
            }
        }
        steps.extend(groups.into_iter().map(|(filter, kinds)| Step::Scan(search(kinds, domain, parent, filter))));
    }
}

fn aliases(filter: Filter, domain: Option<&str>) -> Step {
    let owners = Kinds::ACCOUNTS.and(Kinds::GROUPS);
    match demanded(&filter, "uid").map(str::to_lowercase) {
        Some(uid) => {
            let begins = Filter::begins("zimbraMailAlias", format!("{uid}@"));
            // An alias may stand in another domain than whose it is.
            Step::Aliases(search(owners, None, None, begins), uid)
        }
        None => Step::Scan(search(ALIAS, domain, None, filter)),
    }
}

fn search(kinds: Kinds, domain: Option<&str>, parent: Option<AccountId>, filter: Filter) -> Search {
    Search { kinds, domain: domain.map(str::to_string), parent, filter, after: None, limit: 0 }
}

/// Whether the filter asks for what differs among the fixed entries of domains.
fn mentions_names(filter: &Asked) -> bool {
    let names = |attr: &str| match Which::of(attr) {
        Which::Operational(o) => o == Operational::EntryDn || o == Operational::HasSubordinates,
        Which::Plain { name, .. } => ["dc", "o"].iter().any(|n| n.eq_ignore_ascii_case(name)),
        Which::Class | Which::Secret(_) | Which::Unknown => false,
    };
    match filter {
        Asked::And(all) | Asked::Or(all) => all.iter().any(mentions_names),
        Asked::Not(one) => mentions_names(one),
        Asked::Present(_) => false,
        Asked::Equal(attr, _) | Asked::Approx(attr, _) | Asked::AtLeast(attr, _) | Asked::AtMost(attr, _) => {
            names(attr)
        }
        Asked::Substring { attr, .. } => names(attr),
        Asked::Extensible { attr, dn, .. } => *dn || attr.as_deref().is_none_or(names),
    }
}
