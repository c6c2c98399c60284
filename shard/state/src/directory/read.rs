//! Queries.

use super::rows::{self, Address, DEFAULT_COS, Owner};
use super::{catch_all, containers, search, secrets, shares};
use crate::kv::{KvRead, Table, behind, each, key_u32};
use minicbor::Decode;
use std::collections::BTreeMap;
use std::sync::Arc;
use zcluster_api::directory::{Account, AccountBy, Attributes, Shard, inheritable};
use zcluster_api::{AccountId, DirectoryQuery, DirectoryReply, Error, GroupId, Result};

/// Accounts of one reply at most.
const ACCOUNTS_PER_PAGE_MAX: u32 = 1_000;
/// Above any key of the directory's tables.
const END: [u8; 40] = [u8::MAX; 40];

/// Answers a question about the directory.
///
/// # Errors
/// What the query documents.
pub fn read_directory(kv: &dyn KvRead, query: &DirectoryQuery) -> Result<DirectoryReply> {
    Ok(match query {
        DirectoryQuery::Cluster => {
            DirectoryReply::Cluster(rows::cluster(kv)?.ok_or_else(|| Error::NotFound("cluster".into()))?)
        }
        DirectoryQuery::Nodes => DirectoryReply::Nodes(all(kv, Table::Node)?),
        DirectoryQuery::Shards => DirectoryReply::Shards(all(kv, Table::Shard)?),
        DirectoryQuery::Domain(name) => DirectoryReply::Domain(domain(kv, name)?),
        DirectoryQuery::Domains => DirectoryReply::Domains(all(kv, Table::Domain)?),
        DirectoryQuery::Cos(name) => {
            DirectoryReply::Cos(rows::cos(kv, name)?.ok_or_else(|| Error::NotFound(format!("COS {name}")))?)
        }
        DirectoryQuery::CosList => DirectoryReply::CosList(all(kv, Table::Cos)?),
        DirectoryQuery::Account(by) => DirectoryReply::Account(Box::new(with_inherited(kv, account(kv, by)?)?)),
        DirectoryQuery::Accounts { domain, after, limit } => {
            DirectoryReply::Accounts(accounts(kv, domain.as_deref(), after.as_deref(), *limit)?)
        }
        DirectoryQuery::DeletingHomes => DirectoryReply::Homes(all(kv, Table::DeletingHome)?),
        DirectoryQuery::MailboxCounts => DirectoryReply::Counts(counts(kv)?),
        DirectoryQuery::SharedWith { account, after, limit } => {
            DirectoryReply::Sharers(shares::shared_with(kv, *account, *after, *limit)?)
        }
        DirectoryQuery::Object(by) => DirectoryReply::Object(Box::new(search::object(kv, by)?)),
        DirectoryQuery::Search(wanted) => DirectoryReply::Page(search::page(kv, wanted)?),
        DirectoryQuery::AccountCounts(domain) => DirectoryReply::CosCounts(cos_counts(kv, domain)?),
        DirectoryQuery::Secret(name) => secrets::get(kv, name)?,
        DirectoryQuery::Secrets { prefix, after, limit } => secrets::names(kv, prefix, after.as_deref(), *limit)?,
    })
}

fn all<T: for<'b> Decode<'b, ()>>(kv: &dyn KvRead, table: Table) -> Result<Vec<T>> {
    let mut out = Vec::new();
    each(kv, table, &[], &END, |_, row| {
        out.push(row);
        Ok(true)
    })?;
    Ok(out)
}

fn domain(kv: &dyn KvRead, name: &str) -> Result<zcluster_api::directory::Domain> {
    let missing = || Error::NotFound(format!("domain {name}"));
    let key = rows::domain_name(name).map_err(|_| missing())?;
    rows::domain(kv, &key)?.ok_or_else(missing)
}

fn account(kv: &dyn KvRead, by: &AccountBy) -> Result<Account> {
    match by {
        AccountBy::Id(id) => rows::account(kv, *id),
        AccountBy::Address(text) => {
            let missing = || Error::NotFound(format!("account {text}"));
            let owner = owner(kv, text)?.filter(|o| o.kind.is_none()).ok_or_else(missing)?;
            rows::account(kv, owner.account).map_err(|_| Error::Internal(format!("address {text} leads nowhere")))
        }
        AccountBy::CatchAll(domain) => {
            let owner = catch_all::owner(kv, domain)?.ok_or_else(|| Error::NotFound(format!("address @{domain}")))?;
            rows::account(kv, owner).map_err(|_| Error::Internal(format!("address @{domain} leads nowhere")))
        }
    }
}

/// Who has an address; in an alias domain, else, who has it in the domain that it stands for (data model §14).
pub(super) fn owner(kv: &dyn KvRead, text: &str) -> Result<Option<Owner>> {
    // What cannot be an address is nobody's.
    let Ok(address) = Address::parse(text) else { return Ok(None) };
    if let Some(owner) = address.owner(kv)? {
        return Ok(Some(owner));
    }
    let Some(domain) = rows::domain(kv, &address.domain)? else { return Ok(None) };
    if domain.attrs.get("zimbraDomainType") != Some("alias") {
        return Ok(None);
    }
    let target = domain.attrs.get("zimbraDomainAliasTargetId").and_then(|id| id.parse().ok());
    match target.map_or(Ok(None), |id| rows::domain_by_id(kv, id))? {
        Some(target) => Address { local: address.local, domain: target.name }.owner(kv),
        None => Ok(None),
    }
}

/// Primary addresses in order of domain, then local part; `after` goes on behind one of them.
fn accounts(kv: &dyn KvRead, domain: Option<&str>, after: Option<&str>, limit: u32) -> Result<Vec<Account>> {
    let (mut from, to) = match domain {
        Some(name) => {
            let prefix = rows::domain_prefix(&rows::domain_name(name)?);
            let end = behind(&prefix);
            (prefix, end)
        }
        None => (Vec::new(), END.to_vec()),
    };
    if let Some(after) = after {
        // The first possible key behind an address is that address and a NUL.
        let mut key = Address::parse(after)?.key();
        key.push(0);
        from = from.max(key);
    }
    let limit = limit.clamp(1, ACCOUNTS_PER_PAGE_MAX) as usize;
    let mut ids = Vec::new();
    each(kv, Table::Address, &from, &to, |_, owner: Owner| {
        if owner.primary {
            ids.push(owner.account);
        }
        Ok(ids.len() < limit)
    })?;
    let accounts = ids.into_iter().map(|id| read_account(kv, &AccountBy::Id(id)));
    // Accounts of a page share the few COS and domains that they have.
    let mut known = Known::default();
    accounts.map(|bare| bare.and_then(|b| known.fill(kv, b))).collect()
}

/// An account without what it inherits, and from where it inherits.
#[derive(Clone, Debug)]
pub struct Bare {
    /// The account.
    pub account: Account,
    /// Its COS: its own, else its domain's, else `default`; by `zimbraId`.
    pub cos: Option<AccountId>,
    /// Its domain's name.
    pub domain: String,
}

/// Reads an account alone, for a caller that keeps COS and domains by itself.
///
/// # Errors
/// `NotFound`; `Internal` for damaged rows.
pub fn read_account(kv: &dyn KvRead, by: &AccountBy) -> Result<Bare> {
    let account = account(kv, by)?;
    let domain = account.name.rsplit_once('@').map_or("", |(_, d)| d).to_string();
    let known = |id: Option<&str>| -> Option<AccountId> {
        let id = id.and_then(|id| id.parse::<AccountId>().ok())?;
        kv.get(Table::CosId, &id.0).map(|_| id)
    };
    let cos = match account.attrs.get("zimbraCOSId") {
        Some(id) => known(Some(id)),
        None => known(rows::domain(kv, &domain)?.as_ref().and_then(|d| d.attrs.get("zimbraDomainDefaultCOSId"))),
    };
    let cos = match cos {
        Some(id) => Some(id),
        None => rows::cos_id(kv, DEFAULT_COS)?,
    };
    Ok(Bare { account, cos, domain })
}

/// COS and domains read for one answer.
#[derive(Default)]
struct Known {
    cos: BTreeMap<AccountId, Arc<Attributes>>,
    domains: BTreeMap<String, Arc<Attributes>>,
}

impl Known {
    fn fill(&mut self, kv: &dyn KvRead, bare: Bare) -> Result<Account> {
        let Bare { mut account, cos, domain } = bare;
        if let Some(id) = cos {
            let known = match self.cos.get(&id) {
                Some(known) => known.clone(),
                None => {
                    let cos = containers::cos_by_id(kv, &id.to_string())?;
                    let attrs = Arc::new(cos.map_or_else(Attributes::new, |c| inheritable(c.attrs)));
                    self.cos.insert(id, attrs.clone());
                    attrs
                }
            };
            account.cos = Some(known);
        }
        let known = match self.domains.get(&domain) {
            Some(known) => known.clone(),
            None => {
                let attrs = Arc::new(rows::domain(kv, &domain)?.map_or_else(Attributes::new, |d| d.attrs));
                self.domains.insert(domain, attrs.clone());
                attrs
            }
        };
        account.domain = Some(known);
        Ok(account)
    }
}

/// Adds what the account inherits (data model §12).
fn with_inherited(kv: &dyn KvRead, account: Account) -> Result<Account> {
    Known::default().fill(kv, read_account(kv, &AccountBy::Id(account.id))?)
}

fn cos_counts(kv: &dyn KvRead, domain: &str) -> Result<Vec<(AccountId, u64)>> {
    let prefix = rows::domain_prefix(&rows::domain_name(domain)?);
    let mut out = Vec::new();
    each(kv, Table::AccountCount, &prefix, &behind(&prefix), |key, count: u64| {
        let id = key.get(prefix.len()..).and_then(|k| k.try_into().ok()).map(AccountId);
        out.extend(id.map(|id| (id, count)));
        Ok(true)
    })?;
    Ok(out)
}

/// Every shard of the map, also the empty ones.
fn counts(kv: &dyn KvRead) -> Result<Vec<(GroupId, u64)>> {
    let shards: Vec<Shard> = all(kv, Table::Shard)?;
    let mut out: BTreeMap<GroupId, u64> = shards.into_iter().map(|s| (s.group, 0)).collect();
    each(kv, Table::MailboxCount, &[], &END, |key, count: u64| {
        out.insert(GroupId(key_u32(key, 0)?), count);
        Ok(true)
    })?;
    Ok(out.into_iter().collect())
}
