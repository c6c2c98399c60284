//! Finding entries of any kind.
//!
//! A search goes one of two ways. If the filter demands a value of an indexed attribute, and not too many entries have
//! it, those are looked at, by rising id. Otherwise all entries of the wanted kinds are: first what has an address, then
//! what has none, domains, COS, config, each in the order of their names; of what belongs to one entry, only that. But
//! accounts, lists and what has no address come later and by id if a filter is to find them in all domains: so they lie
//! in the store, and are read in one go instead of one by one, accounts without being decoded. Either way the cursor of a
//! page says where the next one begins, so that a search of any size runs in bounded steps and memory.

use super::index::Term;
use super::rows::{self, Address, Owner};
use super::{entries, index, read};
use crate::kv::{KvRead, Table, behind, load};
use std::collections::BTreeSet;
use zcluster_api::directory::{
    ANR, Account, AccountBy, Attributes, Cos, Domain, FILTER_DEPTH_MAX, Filter, Kinds, Object, ObjectBy, ObjectKind,
    Page, SEARCH_EXAMINE_MAX, SEARCH_PAGE_MAX, Search, may_fit,
};
use zcluster_api::{AccountId, Error, Result, codec};

/// A page is over when its entries have so many bytes: of lists with very many members it has fewer.
const PAGE_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Rows of the index read for one part of a filter; with more, another part or the whole is looked at.
const CANDIDATES_MAX: usize = 20_000;
/// First byte of a cursor: entries of the index by id.
const BY_ID: u8 = 0xFF;
/// The sections of a search without an index, in order.
const SECTIONS: [Table; 7] =
    [Table::Address, Table::EntryName, Table::Domain, Table::Cos, Table::Account, Table::Entry, Table::Cluster];

/// One entry.
pub(super) fn object(kv: &dyn KvRead, by: &ObjectBy) -> Result<Object> {
    let missing = || Error::NotFound(format!("entry {by:?}"));
    match by {
        ObjectBy::Id(id) => by_id(kv, *id)?.ok_or_else(missing),
        ObjectBy::Address(text) => match read::owner(kv, text)? {
            Some(owner) => by_id(kv, owner.account)?.ok_or_else(missing),
            None => Err(missing()),
        },
        ObjectBy::Name { kind, name, parent } => match kind {
            ObjectKind::Account | ObjectKind::Resource => {
                let found = read::read_account(kv, &AccountBy::Address(name.clone())).map_err(|_| missing())?;
                Ok(found.account.into())
            }
            ObjectKind::DistributionList | ObjectKind::DynamicGroup => {
                let owner = read::owner(kv, name)?.filter(|o| o.kind == Some(*kind)).ok_or_else(missing)?;
                by_id(kv, owner.account)?.ok_or_else(missing)
            }
            ObjectKind::Domain => {
                let key = rows::domain_name(name).map_err(|_| missing())?;
                rows::domain(kv, &key)?.map(of_domain).ok_or_else(missing)
            }
            ObjectKind::Cos => rows::cos(kv, name)?.map(of_cos).ok_or_else(missing),
            ObjectKind::Config => config(kv)?.ok_or_else(missing),
            ObjectKind::GlobalGrant => entries::by_name(kv, *kind, None, "globalgrant")?.ok_or_else(missing),
            ObjectKind::Alias => match Address::parse(name).map_err(|_| missing())?.owner(kv)? {
                Some(owner) if !owner.primary => Ok(alias(name, &owner)),
                _ => Err(missing()),
            },
            other => entries::by_name(kv, *other, *parent, name)?.ok_or_else(missing),
        },
    }
}

fn by_id(kv: &dyn KvRead, id: AccountId) -> Result<Option<Object>> {
    if let Ok(account) = rows::account(kv, id) {
        return Ok(Some(account.into()));
    }
    if let Some(entry) = rows::entry(kv, id)? {
        return Ok(Some(entry));
    }
    if let Some(domain) = rows::domain_by_id(kv, id)? {
        return Ok(Some(of_domain(domain)));
    }
    if let Some(name) = kv.get(Table::CosId, &id.0) {
        return Ok(load::<Cos>(kv, Table::Cos, &name)?.map(of_cos));
    }
    Ok(None)
}

fn of_domain(d: Domain) -> Object {
    Object { kind: ObjectKind::Domain, id: d.id, name: d.name, parent: None, attrs: d.attrs, home: None }
}

fn of_cos(c: Cos) -> Object {
    Object { kind: ObjectKind::Cos, id: c.id, name: c.name, parent: None, attrs: c.attrs, home: None }
}

fn config(kv: &dyn KvRead) -> Result<Option<Object>> {
    let of = |c: zcluster_api::directory::Cluster| Object {
        kind: ObjectKind::Config,
        id: AccountId([0; 16]),
        name: "config".into(),
        parent: None,
        attrs: c.config,
        home: None,
    };
    Ok(rows::cluster(kv)?.map(of))
}

fn alias(address: &str, owner: &Owner) -> Object {
    let mut attrs = Attributes::new();
    attrs.set("uid", vec![address.split('@').next().unwrap_or_default().to_string()]);
    attrs.set("zimbraAliasTargetId", vec![owner.account.to_string()]);
    // An alias has no id of its own here; its target's stands in.
    let (kind, id) = (ObjectKind::Alias, owner.account);
    Object { kind, id, name: address.to_string(), parent: None, attrs, home: None }
}

/// A page of a search.
pub(super) fn page(kv: &dyn KvRead, search: &Search) -> Result<Page> {
    if search.filter.depth() > FILTER_DEPTH_MAX {
        return Err(Error::Invalid(format!("filters inside filters, more than {FILTER_DEPTH_MAX}")));
    }
    let domain = search.domain.as_deref().map(rows::domain_name).transpose()?;
    let mut work = Work {
        kv,
        search,
        domain,
        limit: search.limit.clamp(1, SEARCH_PAGE_MAX) as usize,
        left: SEARCH_EXAMINE_MAX,
        bytes: 0,
        page: Page::default(),
    };
    match search.after.as_deref() {
        Some([BY_ID, last @ ..]) => {
            let last = last.try_into().map(AccountId).map_err(|_| Error::Invalid("cursor".into()))?;
            // Values may have come or gone since; none too many would be a surprise, and is looked at all the same.
            let ids = candidates(kv, &search.filter, usize::MAX).unwrap_or_default();
            work.by_id(&ids, Some(last))?;
        }
        Some(cursor) => work.all(cursor)?,
        None => match candidates(kv, &search.filter, CANDIDATES_MAX) {
            Some(ids) if !search.kinds.has(ObjectKind::Alias) => work.by_id(&ids, None)?,
            _ => work.all(&[])?,
        },
    }
    Ok(work.page)
}

/// Ids of all entries that the filter can fit, if the index tells, and tells no more than `most`.
fn candidates(kv: &dyn KvRead, filter: &Filter, most: usize) -> Option<BTreeSet<AccountId>> {
    match filter {
        Filter::Equal(attr, value)
            if attr.eq_ignore_ascii_case("zimbraId") || attr.eq_ignore_ascii_case("entryUUID") =>
        {
            Some(value.parse().ok().into_iter().collect())
        }
        // Equality first: it promises least.
        Filter::And(all) => {
            let equal = |f: &&Filter| matches!(f, Filter::Equal(..));
            let order = all.iter().filter(equal).chain(all.iter().filter(|f| !equal(f)));
            order.filter_map(|f| candidates(kv, f, most)).min_by_key(BTreeSet::len)
        }
        Filter::Or(all) if !all.is_empty() => {
            let (mut union, mut terms) = (BTreeSet::new(), Vec::new());
            for one in all {
                match term(one) {
                    Some(term) => terms.push(term),
                    None => union.extend(candidates(kv, one, most)?),
                }
            }
            union.extend(index::lookup(kv, &terms, most)?);
            (union.len() <= most).then_some(union)
        }
        other => index::lookup(kv, &[term(other)?], most),
    }
}

/// A comparison that the index answers by itself.
fn term(filter: &Filter) -> Option<Term<'_>> {
    match filter {
        Filter::Equal(attr, value) if attr.eq_ignore_ascii_case(ANR) => {
            // The longest word is the rarest.
            Some(Term::word(value.split_whitespace().max_by_key(|w| w.len()).unwrap_or_default()))
        }
        Filter::Equal(attr, value) => Term::of(attr, value, true),
        Filter::Substring { attr, initial, .. } if !initial.is_empty() => Term::of(attr, initial, false),
        // A value that is there at all may be rare.
        Filter::Present(attr) => Term::of(attr, "", false),
        _ => None,
    }
}

/// Bytes of an entry's names and values, about.
fn bytes_of(object: &Object) -> usize {
    let of = |a: &zcluster_api::directory::Attribute| a.name.len() + a.values.iter().map(String::len).sum::<usize>();
    object.attrs.iter().map(of).sum::<usize>() + object.name.len()
}

struct Work<'a> {
    kv: &'a dyn KvRead,
    search: &'a Search,
    domain: Option<String>,
    limit: usize,
    /// Entries that may still be looked at.
    left: u32,
    /// Bytes of the entries on the page.
    bytes: usize,
    page: Page,
}

impl Work<'_> {
    /// Takes the entry if it is wanted.
    fn look(&mut self, object: Object) {
        let search = self.search;
        let here = match &self.domain {
            Some(domain) => object.domain() == Some(domain),
            None => true,
        };
        let parent = search.parent.is_none_or(|p| object.parent == Some(p));
        if here && parent && search.kinds.has(object.kind) && search.filter.fits(object.kind, &object.attrs) {
            self.bytes += bytes_of(&object);
            self.page.objects.push(object);
        }
    }

    /// Whether the page is over; if so, `cursor` is where the next one begins behind.
    fn is_full(&mut self, cursor: impl FnOnce() -> Vec<u8>) -> bool {
        self.left = self.left.saturating_sub(1);
        let full = self.page.objects.len() >= self.limit || self.left == 0 || self.bytes >= PAGE_BYTES_MAX;
        if full {
            self.page.next = Some(cursor());
        }
        full
    }

    fn by_id(&mut self, ids: &BTreeSet<AccountId>, after: Option<AccountId>) -> Result<()> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        for id in ids.range((from, Unbounded)) {
            if let Some(object) = by_id(self.kv, *id)? {
                self.look(object);
            }
            if self.is_full(|| [&[BY_ID][..], &id.0].concat()) {
                return Ok(());
            }
        }
        // The config is one, and not in the index.
        if self.is_wanted(Table::Cluster) {
            config(self.kv)?.into_iter().for_each(|c| self.look(c));
        }
        Ok(())
    }

    fn all(&mut self, cursor: &[u8]) -> Result<()> {
        let (first, key) = cursor.split_first().map_or((0, &[][..]), |(s, k)| (usize::from(*s), k));
        for (number, table) in SECTIONS.into_iter().enumerate().skip(first) {
            if !self.is_wanted(table) {
                continue;
            }
            let behind_key = [key, &[0]].concat();
            let after = (number == first && !cursor.is_empty()).then_some(&behind_key[..]);
            if table == Table::Cluster {
                config(self.kv)?.into_iter().for_each(|c| self.look(c));
            } else if self.section(number as u8, table, after)? {
                break;
            }
        }
        Ok(())
    }

    /// Whether accounts, lists and other entries are looked at in the order of their ids. A list of all of them is read by
    /// people.
    fn is_as_stored(&self) -> bool {
        self.domain.is_none() && self.search.parent.is_none() && self.search.filter != Filter::all()
    }

    fn is_wanted(&self, table: Table) -> bool {
        let Search { kinds, parent, .. } = self.search;
        let wants = |k: Kinds| kinds.0 & k.0 != 0;
        let addresses = Kinds::ACCOUNTS.and(Kinds::GROUPS).and(Kinds::of(&[ObjectKind::Alias]));
        let own = Kinds::of(&[ObjectKind::Domain, ObjectKind::Cos, ObjectKind::Config]);
        match table {
            Table::Address if self.is_as_stored() => kinds.has(ObjectKind::Alias),
            Table::Address => parent.is_none() && wants(addresses),
            Table::Account => self.is_as_stored() && wants(Kinds::ACCOUNTS),
            Table::Entry => {
                self.is_as_stored() && kinds.0 & !Kinds::ACCOUNTS.0 & !own.0 & !Kinds::of(&[ObjectKind::Alias]).0 != 0
            }
            Table::EntryName if self.is_as_stored() => false,
            Table::EntryName => self.domain.is_none() && kinds.0 & !addresses.0 & !own.0 != 0,
            Table::Domain => parent.is_none() && kinds.has(ObjectKind::Domain),
            Table::Cos => parent.is_none() && self.domain.is_none() && kinds.has(ObjectKind::Cos),
            _ => parent.is_none() && self.domain.is_none() && kinds.has(ObjectKind::Config),
        }
    }

    /// Looks at the rows of a table; whether the page is over then.
    fn section(&mut self, number: u8, table: Table, after: Option<&[u8]>) -> Result<bool> {
        for (from, to) in self.ranges(table) {
            if self.range(number, table, from, &to, after)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Where rows of a table can be that are wanted, in order.
    fn ranges(&self, table: Table) -> Vec<(Vec<u8>, Vec<u8>)> {
        let below = |prefix: Vec<u8>| {
            let end = behind(&prefix);
            (prefix, end)
        };
        match (table, &self.domain, self.search.parent) {
            (Table::Address, Some(domain), _) => vec![below(rows::domain_prefix(domain))],
            (Table::EntryName, _, Some(parent)) => {
                let kinds = ObjectKind::ALL.into_iter().filter(|k| k.has_parent() && self.search.kinds.has(*k));
                kinds.map(|k| below(entries::name_key(k, Some(parent), ""))).collect()
            }
            _ => vec![(Vec::new(), vec![u8::MAX; 320])],
        }
    }

    fn range(&mut self, number: u8, table: Table, mut from: Vec<u8>, to: &[u8], after: Option<&[u8]>) -> Result<bool> {
        if let Some(after) = after {
            from = from.max(after.to_vec());
        }
        if from.as_slice() >= to {
            return Ok(false);
        }
        if table == Table::Account {
            return self.accounts(number, &from, to);
        }
        loop {
            // Rows first, then what they lead to: a store does not like to be read while it is scanned.
            let mut rows: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
            self.kv.scan(table, &from, to, &mut |key, value| {
                rows.push((key.to_vec(), value.to_vec()));
                rows.len() < 256
            });
            for (key, value) in &rows {
                if let Some(object) = self.of_row(table, key, value)? {
                    self.look(object);
                }
                if self.is_full(|| [&[number][..], key].concat()) {
                    return Ok(true);
                }
            }
            match rows.last() {
                Some((key, _)) if rows.len() >= 256 => from = [key, &[0][..]].concat(),
                _ => return Ok(false),
            }
        }
    }

    /// Looks at accounts as they lie in the store: most do not fit, which shows without decoding them.
    fn accounts(&mut self, number: u8, from: &[u8], to: &[u8]) -> Result<bool> {
        let (kv, search) = (self.kv, self.search);
        let mut over = Ok(false);
        kv.pass(Table::Account, from, to, &mut |key, row| {
            if may_fit(&search.filter, row) {
                match codec::decode::<Account>(row) {
                    Ok(account) => self.look(account.into()),
                    Err(e) => {
                        over = Err(e);
                        return false;
                    }
                }
            }
            if self.is_full(|| [&[number][..], key].concat()) {
                over = Ok(true);
                return false;
            }
            true
        });
        over
    }

    fn of_row(&self, table: Table, key: &[u8], value: &[u8]) -> Result<Option<Object>> {
        match table {
            Table::Address => {
                let owner: Owner = codec::decode(value)?;
                if owner.primary {
                    if self.is_as_stored() {
                        // Its turn comes.
                        return Ok(None);
                    }
                    let kinds = owner.kind.map_or(Kinds::ACCOUNTS, |k| Kinds::of(&[k]));
                    return if kinds.0 & self.search.kinds.0 == 0 { Ok(None) } else { by_id(self.kv, owner.account) };
                }
                let text = String::from_utf8_lossy(key);
                // A row with an empty local part says who gets what is for nobody: no alias.
                let parts = text.split_once('\0').filter(|(_, local)| !local.is_empty());
                let address = parts.map(|(domain, local)| format!("{local}@{domain}"));
                Ok(address.filter(|_| self.search.kinds.has(ObjectKind::Alias)).map(|a| alias(&a, &owner)))
            }
            Table::EntryName => match value.try_into().map(AccountId) {
                Ok(id) => rows::entry(self.kv, id),
                Err(_) => Ok(None),
            },
            Table::Entry => codec::decode(value).map(Some),
            Table::Domain => codec::decode(value).map(|d| Some(of_domain(d))),
            _ => codec::decode(value).map(|c| Some(of_cos(c))),
        }
    }
}
