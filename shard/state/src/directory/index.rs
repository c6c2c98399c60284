//! Entries by the values of some attributes.
//!
//! A row's key is the attribute's code, the value in lower case, a NUL and the entry's id; its value is the entry's kind.
//! Long values are indexed by their beginning: whoever searches looks at the entry itself in any case.

use super::rows::Indexed;
use super::{Work, accounts, rows};
use crate::kv::{Kv, KvRead, Table, behind, each};
use std::collections::BTreeSet;
use zcluster_api::directory::{Account, Attributes, Object, ObjectKind, words};
use zcluster_api::{AccountId, DirectoryReply, Result};

/// Bytes of a value that are indexed.
const VALUE_BYTES: usize = 128;
/// Words of one entry's names that are indexed.
const WORDS_MAX: usize = 64;
/// The code of words of names (`anr`).
const WORD: u8 = 255;

/// Attribute, in lower case -> code. The codes are stored: only add, and let [`build`] begin anew then.
const CODES: [(&str, u8); 28] = [
    ("cn", 5),
    ("displayname", 8),
    ("employeenumber", 27),
    ("givenname", 7),
    ("gn", 21),
    ("mail", 2),
    ("sn", 6),
    ("telephonenumber", 25),
    ("uid", 1),
    ("zimbraace", 17),
    ("zimbraauthldapexternaldn", 26),
    ("zimbracalrestype", 24),
    ("zimbracosid", 12),
    ("zimbracreatetimestamp", 22),
    ("zimbradomainaliastargetid", 18),
    ("zimbraforeignprincipal", 15),
    ("zimbraisadminaccount", 13),
    ("zimbraisdelegatedadminaccount", 14),
    ("zimbralastlogontimestamp", 23),
    ("zimbramailalias", 3),
    ("zimbramailcatchalladdress", 11),
    ("zimbramaildeliveryaddress", 4),
    ("zimbramailforwardingaddress", 9),
    ("zimbramailhost", 16),
    ("zimbraprefmailforwardingaddress", 10),
    ("zimbravirtualhostname", 19),
    ("zimbramemberof", 20),
    ("memberurl", 28),
];

pub(super) fn code(attr: &str) -> Option<u8> {
    let attr = attr.to_ascii_lowercase();
    CODES.iter().find(|(name, _)| *name == attr).map(|(_, code)| *code)
}

/// What the keys of rows with this value begin with, the NUL left out if only the beginning is known.
fn prefix(code: u8, value: &str, whole: bool) -> Vec<u8> {
    let value = value.to_lowercase();
    let cut = value.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= VALUE_BYTES).last();
    let kept = &value.as_bytes()[..cut.unwrap_or(0)];
    let mut key = Vec::with_capacity(kept.len() + 18);
    key.push(code);
    key.extend_from_slice(kept);
    if whole {
        key.push(0);
    }
    key
}

fn keys(attrs: &Attributes, id: AccountId) -> BTreeSet<Vec<u8>> {
    let mut out = BTreeSet::new();
    let mut add = |code: u8, value: &str| {
        let mut key = prefix(code, value, true);
        key.extend_from_slice(&id.0);
        out.insert(key);
    };
    for attr in attrs.iter() {
        if let Some(code) = code(&attr.name) {
            attr.values.iter().for_each(|v| add(code, v));
        }
    }
    words(attrs).into_iter().take(WORDS_MAX).for_each(|w| add(WORD, &w));
    out
}

/// Brings the rows of an entry from what it was to what it is.
pub(super) fn update(kv: &mut dyn Kv, kind: ObjectKind, id: AccountId, before: &Attributes, now: &Attributes) {
    let (before, now) = (keys(before, id), keys(now, id));
    before.difference(&now).for_each(|k| kv.delete(Table::Index, k));
    now.difference(&before).for_each(|k| kv.put(Table::Index, k, vec![kind as u8]));
}

/// What is looked for in the index.
pub(super) struct Term<'a> {
    code: u8,
    value: &'a str,
    /// The value is that; else it begins so.
    whole: bool,
}

impl<'a> Term<'a> {
    /// Entries whose attribute has this value, or one that begins so; nothing if there is no such index.
    pub fn of(attr: &str, value: &'a str, whole: bool) -> Option<Self> {
        code(attr).map(|code| Term { code, value, whole })
    }
    /// Entries with a word in their names that begins so.
    pub fn word(beginning: &'a str) -> Self {
        Term { code: WORD, value: beginning, whole: false }
    }
    fn range(&self) -> (Vec<u8>, Vec<u8>) {
        // A value that was cut has no end that could be compared.
        let whole = self.whole && self.value.to_lowercase().len() <= VALUE_BYTES;
        let prefix = prefix(self.code, self.value, whole);
        let end = behind(&prefix);
        (prefix, end)
    }
}

/// Entries that one of the terms finds; none at all when there are more than `most` rows.
pub(super) fn lookup(kv: &dyn KvRead, terms: &[Term<'_>], most: usize) -> Option<BTreeSet<AccountId>> {
    let mut ranges: Vec<(Vec<u8>, Vec<u8>)> = terms.iter().map(Term::range).collect();
    ranges.retain(|(from, to)| from < to);
    ranges.sort_unstable();
    // What begins like another one lies within its range.
    ranges.dedup_by(|later, earlier| later.1 <= earlier.1);
    let mut found = BTreeSet::new();
    let mut rows = 0;
    kv.scan_ranges(Table::Index, &ranges, &mut |key, _| {
        rows += 1;
        let id = key.len().checked_sub(16).and_then(|at| key[at..].try_into().ok());
        found.extend(id.map(AccountId));
        rows <= most
    });
    (rows <= most).then_some(found)
}

/// See [`zcluster_api::DirectoryCommand::BuildIndex`]. Accounts are taken by rising id; entries of other kinds are younger
/// than the index.
pub(super) fn build(work: &mut Work<'_>, limit: u32) -> Result<DirectoryReply> {
    let from = match work.counters.indexed {
        Some(Indexed::All) => return Ok(DirectoryReply::Number(0)),
        Some(Indexed::UpTo(last)) => [&last.0[..], &[0]].concat(),
        None => Vec::new(),
    };
    let limit = limit.clamp(1, 1_000) as usize;
    let mut accounts: Vec<Account> = Vec::new();
    each(work.kv, Table::Account, &from, &[u8::MAX; 17], |_, account: Account| {
        accounts.push(account);
        Ok(accounts.len() < limit)
    })?;
    for account in &accounts {
        accounts::index_anew(work, account)?;
    }
    if work.counters.indexed.is_none() {
        // Domains had no rows by id before, and neither they nor COS were in the index.
        let mut domains: Vec<zcluster_api::directory::Domain> = Vec::new();
        each(work.kv, Table::Domain, &[], &[u8::MAX; 40], |_, domain| {
            domains.push(domain);
            Ok(true)
        })?;
        domains.iter().for_each(|d| rows::save_domain(work.kv, None, d));
        let mut all: Vec<zcluster_api::directory::Cos> = Vec::new();
        each(work.kv, Table::Cos, &[], &[u8::MAX; 257], |_, cos| {
            all.push(cos);
            Ok(true)
        })?;
        all.iter().for_each(|c| update(work.kv, ObjectKind::Cos, c.id, &Attributes::new(), &c.attrs));
    }
    work.counters.indexed = match accounts.last() {
        Some(last) => Some(Indexed::UpTo(last.id)),
        None => Some(Indexed::All),
    };
    Ok(DirectoryReply::Number(u32::try_from(accounts.len()).unwrap_or(u32::MAX)))
}

/// Brings the rows of an entry that is no account from what it was to what it is.
pub(super) fn update_entry(kv: &mut dyn Kv, before: Option<&Object>, now: Option<&Object>) {
    let Some(some) = now.or(before) else { return };
    let none = Attributes::new();
    update(kv, some.kind, some.id, before.map_or(&none, |e| &e.attrs), now.map_or(&none, |e| &e.attrs));
}
