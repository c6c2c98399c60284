//! Queries.

use super::rows::{self, Address, DEFAULT_COS, Owner};
use super::{catch_all, containers, secrets, shares};
use crate::kv::{KvRead, Table, behind, each, key_u32};
use minicbor::Decode;
use std::collections::BTreeMap;
use zcluster_api::directory::{Account, AccountBy, Attributes, Shard};
use zcluster_api::{DirectoryQuery, DirectoryReply, Error, GroupId, Result};

/// Accounts of one reply at most.
const ACCOUNTS_PER_PAGE_MAX: u32 = 1_000;
/// Above any key of the directory's tables.
const END: [u8; 40] = [u8::MAX; 40];

/// What describes a COS itself.
const NOT_INHERITED: [&str; 5] = ["cn", "description", "zimbraCreateTimestamp", "zimbraId", "zimbraNotes"];

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
        DirectoryQuery::Account(by) => DirectoryReply::Account(Box::new(with_cos(kv, account(kv, by)?)?)),
        DirectoryQuery::Accounts { domain, after, limit } => {
            DirectoryReply::Accounts(accounts(kv, domain.as_deref(), after.as_deref(), *limit)?)
        }
        DirectoryQuery::DeletingHomes => DirectoryReply::Homes(all(kv, Table::DeletingHome)?),
        DirectoryQuery::MailboxCounts => DirectoryReply::Counts(counts(kv)?),
        DirectoryQuery::SharedWith { account, after, limit } => {
            DirectoryReply::Sharers(shares::shared_with(kv, *account, *after, *limit)?)
        }
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
            // What cannot be an address is nobody's.
            let address = Address::parse(text).map_err(|_| missing())?;
            let owner = address.owner(kv)?.ok_or_else(missing)?;
            rows::account(kv, owner.account).map_err(|_| Error::Internal(format!("address {text} leads nowhere")))
        }
        AccountBy::CatchAll(domain) => {
            let owner = catch_all::owner(kv, domain)?.ok_or_else(|| Error::NotFound(format!("address @{domain}")))?;
            rows::account(kv, owner).map_err(|_| Error::Internal(format!("address @{domain} leads nowhere")))
        }
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
    ids.into_iter().map(|id| with_cos(kv, rows::account(kv, id)?)).collect()
}

/// What accounts inherit from their domain itself.
const OF_DOMAIN: &str = "zimbraMailDomainQuota";

/// Adds what the account inherits (data model §12): from its own COS, else from its domain's, else from `default`.
pub(super) fn with_cos(kv: &dyn KvRead, mut account: Account) -> Result<Account> {
    let domain = match account.name.rsplit_once('@') {
        Some((_, name)) => rows::domain(kv, name)?,
        None => None,
    };
    let of_domain = |name: &str| domain.as_ref().map_or(&[][..], |d| d.attrs.all(name));
    let id = account.attrs.get("zimbraCOSId").or(of_domain("zimbraDomainDefaultCOSId").first().map(String::as_str));
    let mut cos = id.map_or(Ok(None), |id| containers::cos_by_id(kv, id))?;
    if cos.is_none() {
        cos = rows::cos(kv, DEFAULT_COS)?;
    }
    let mut inherited = cos.map_or_else(Attributes::new, |c| c.attrs);
    NOT_INHERITED.iter().for_each(|name| inherited.set(name, Vec::new()));
    inherited.set(OF_DOMAIN, of_domain(OF_DOMAIN).to_vec());
    account.cos = Some(inherited);
    Ok(account)
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
