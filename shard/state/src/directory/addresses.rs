//! Addresses: names and aliases. Each address has one owner, over all accounts, lists and groups.

use super::rows::{self, Address, Owner};
use super::{Work, accounts, entries, holds};
use crate::kv::{Table, save};
use zcluster_api::directory::Attributes;
use zcluster_api::{AccountId, DirectoryReply, Error, Result};

/// Aliases of one account or list.
const ALIASES_MAX: usize = 1_000;

pub(super) fn rename(work: &mut Work<'_>, id: AccountId, name: &str) -> Result<DirectoryReply> {
    let before = rows::account(work.kv, id)?;
    let mut account = before.clone();
    if Address::parse(name)?.text() == account.name {
        return accounts::finish(work, Some(&before), account);
    }
    let address = accounts::free_address(work, name)?;
    let domains = [&account.name, &address.text()].map(|name| accounts::domain_attrs(work.kv, name));
    let [old, new] = domains;
    holds::check_move(&account.name, &old?, &new?)?;
    work.kv.delete(Table::Address, &Address::parse(&account.name)?.key());
    save(work.kv, Table::Address, &address.key(), &Owner::account(id, true));
    accounts::set_name(&mut account.attrs, &address, Some(&account.name));
    account.name = address.text();
    accounts::finish(work, Some(&before), account)
}

pub(super) fn add_alias(work: &mut Work<'_>, id: AccountId, alias: &str) -> Result<DirectoryReply> {
    let address = accounts::free_address(work, alias)?;
    let with = |attrs: &mut Attributes| {
        if attrs.all("zimbraMailAlias").len() >= ALIASES_MAX {
            return Err(Error::TooLarge(format!("more than {ALIASES_MAX} aliases")));
        }
        for name in ["zimbraMailAlias", "mail"] {
            let values = [attrs.all(name), &[address.text()]].concat();
            attrs.set(name, values);
        }
        Ok(())
    };
    change(work, id, with, |work, kind| {
        let owner = Owner { account: id, primary: false, kind };
        save(work.kv, Table::Address, &address.key(), &owner);
    })
}

pub(super) fn remove_alias(work: &mut Work<'_>, id: AccountId, alias: &str) -> Result<DirectoryReply> {
    let address = Address::parse(alias)?;
    if address.owner(work.kv)?.is_none_or(|o| o.account != id || o.primary) {
        rows::account(work.kv, id).map(|_| ()).or_else(|e| rows::entry(work.kv, id)?.map(|_| ()).ok_or(e))?;
        return Err(Error::NotFound(format!("alias {}", address.text())));
    }
    let without = |attrs: &mut Attributes| {
        for name in ["zimbraMailAlias", "mail"] {
            let left = attrs.all(name).iter().filter(|v| **v != address.text()).cloned().collect();
            attrs.set(name, left);
        }
        Ok(())
    };
    change(work, id, without, |work, _| work.kv.delete(Table::Address, &address.key()))
}

/// Changes the attributes of an account or list, and the table of addresses once that is known to go well.
fn change(
    work: &mut Work<'_>,
    id: AccountId,
    edit: impl Fn(&mut Attributes) -> Result<()>,
    then: impl Fn(&mut Work<'_>, Option<zcluster_api::directory::ObjectKind>),
) -> Result<DirectoryReply> {
    if let Some(before) = rows::entry(work.kv, id)?.filter(|e| e.kind.has_address()) {
        let mut entry = before.clone();
        edit(&mut entry.attrs)?;
        then(work, Some(entry.kind));
        return entries::finish(work, Some(&before), entry);
    }
    let before = rows::account(work.kv, id)?;
    let mut account = before.clone();
    edit(&mut account.attrs)?;
    then(work, None);
    accounts::finish(work, Some(&before), account)
}
