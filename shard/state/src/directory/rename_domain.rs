//! Renaming a domain: a step moves some of its addresses, so that no single command is long; who began it repeats the
//! step until nothing is left. Zimbra's `zimbraDomainRenameInfo` marks both names meanwhile.

use super::rows::{self, Address, Owner};
use super::{Work, accounts, containers, entries, index};
use crate::kv::{Table, behind, each, save};
use zcluster_api::directory::{Attributes, Domain};
use zcluster_api::{DirectoryReply, Error, Result};

/// Lists that name one address as a member, at most; further ones keep the old name.
const LISTS_MAX: usize = 10_000;
const INFO: &str = "zimbraDomainRenameInfo";

pub(super) fn begin(work: &mut Work<'_>, name: &str, new_name: &str) -> Result<DirectoryReply> {
    let mut old = containers::existing_domain(work, name)?;
    let new_name = rows::domain_name(new_name)?;
    if let Some(there) = rows::domain(work.kv, &new_name)? {
        // Begun before: go on.
        let begun = old.attrs.get(INFO) == Some(format!("TO:{new_name}").as_str());
        return if begun {
            Ok(DirectoryReply::Domain(there))
        } else {
            Err(Error::Exists(format!("domain {new_name}")))
        };
    }
    if old.attrs.has(INFO) {
        return Err(Error::Conflict(format!("domain {} is being renamed", old.name)));
    }
    // The index knows both by the one id that they share.
    let before = old.attrs.clone();
    let mut new = Domain { id: old.id, name: new_name.clone(), attrs: old.attrs.clone() };
    new.attrs.set("zimbraDomainName", vec![new_name.clone()]);
    new.attrs.set(INFO, vec![format!("FROM:{}", old.name)]);
    old.attrs.set(INFO, vec![format!("TO:{new_name}")]);
    old.attrs.set("zimbraDomainStatus", vec!["shutdown".into()]);
    save(work.kv, Table::Domain, old.name.as_bytes(), &old);
    rows::save_domain(work.kv, Some(&before), &new);
    Ok(DirectoryReply::Domain(new))
}

pub(super) fn step(work: &mut Work<'_>, name: &str, limit: u32) -> Result<DirectoryReply> {
    let old = containers::existing_domain(work, name)?;
    let to = old.attrs.get(INFO).and_then(|i| i.strip_prefix("TO:")).map(String::from);
    let to = to.ok_or_else(|| Error::Conflict(format!("domain {} is not being renamed", old.name)))?;
    let prefix = rows::domain_prefix(&old.name);
    let limit = limit.clamp(1, 1_000) as usize;
    let mut addresses: Vec<(Address, Owner)> = Vec::new();
    each(work.kv, Table::Address, &prefix, &behind(&prefix), |key, owner: Owner| {
        let local = String::from_utf8_lossy(&key[prefix.len()..]).into_owned();
        addresses.push((Address { local, domain: old.name.clone() }, owner));
        Ok(addresses.len() < limit)
    })?;
    for (address, owner) in &addresses {
        move_address(work, address, owner, &to)?;
    }
    if addresses.is_empty() {
        work.kv.delete(Table::Domain, old.name.as_bytes());
        if let Some(mut new) = rows::domain(work.kv, &to)? {
            let before = new.attrs.clone();
            new.attrs.set(INFO, Vec::new());
            rows::save_domain(work.kv, Some(&before), &new);
        }
    }
    Ok(DirectoryReply::Number(u32::try_from(addresses.len()).unwrap_or(u32::MAX)))
}

/// Gives an address, wherever it stands, its new domain.
fn move_address(work: &mut Work<'_>, address: &Address, owner: &Owner, to: &str) -> Result<()> {
    let new = Address { local: address.local.clone(), domain: to.to_string() };
    let (from_text, to_text) = (address.text(), new.text());
    let rewrite = |attrs: &mut Attributes| {
        for name in ["mail", "zimbraMailAlias", "zimbraMailDeliveryAddress", "zimbraMailCatchAllAddress"] {
            let values = attrs.all(name).iter().map(|v| if *v == from_text { to_text.clone() } else { v.clone() });
            let values = values.collect();
            attrs.set(name, values);
        }
    };
    work.kv.delete(Table::Address, &address.key());
    save(work.kv, Table::Address, &new.key(), owner);
    if owner.kind.is_some() {
        if let Some(before) = rows::entry(work.kv, owner.account)? {
            let mut entry = before.clone();
            rewrite(&mut entry.attrs);
            if owner.primary {
                entry.name = to_text.clone();
            }
            entries::put(work.kv, Some(&before), &entry);
        }
    } else {
        let before = rows::account(work.kv, owner.account)?;
        let mut account = before.clone();
        rewrite(&mut account.attrs);
        if owner.primary {
            account.name = to_text.clone();
        }
        accounts::put(work, Some(&before), &account)?;
    }
    rename_member(work, &from_text, &to_text)
}

/// Lists go on to reach a member whose address has changed.
fn rename_member(work: &mut Work<'_>, from: &str, to: &str) -> Result<()> {
    const MEMBER: &str = "zimbraMailForwardingAddress";
    let Some(member) = index::Term::of(MEMBER, from, true) else { return Ok(()) };
    for id in index::lookup(work.kv, &[member], LISTS_MAX).unwrap_or_default() {
        let Some(before) = rows::entry(work.kv, id)? else { continue };
        let mut list = before.clone();
        let rename = |v: &String| if v.eq_ignore_ascii_case(from) { to.to_string() } else { v.clone() };
        let members = list.attrs.all(MEMBER).iter().map(rename).collect();
        list.attrs.set(MEMBER, members);
        entries::put(work.kv, Some(&before), &list);
    }
    Ok(())
}
