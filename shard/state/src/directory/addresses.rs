//! An account's addresses: its name and its aliases. Each address has one owner, over all accounts and aliases.

use super::rows::{self, Address, Owner};
use super::{Work, accounts};
use crate::kv::{Table, save};
use zcluster_api::{AccountId, DirectoryReply, Error, Result};

/// Aliases of one account.
const ALIASES_MAX: usize = 1_000;

pub(super) fn rename(work: &mut Work<'_>, id: AccountId, name: &str) -> Result<DirectoryReply> {
    let mut account = rows::account(work.kv, id)?;
    if Address::parse(name)?.text() == account.name {
        return accounts::finish(work, account);
    }
    let address = accounts::free_address(work, name)?;
    work.kv.delete(Table::Address, &Address::parse(&account.name)?.key());
    save(work.kv, Table::Address, &address.key(), &Owner { account: id, primary: true });
    accounts::set_name(&mut account.attrs, &address, Some(&account.name));
    account.name = address.text();
    accounts::finish(work, account)
}

pub(super) fn add_alias(work: &mut Work<'_>, id: AccountId, alias: &str) -> Result<DirectoryReply> {
    let mut account = rows::account(work.kv, id)?;
    let address = accounts::free_address(work, alias)?;
    let aliases = account.attrs.all("zimbraMailAlias");
    if aliases.len() >= ALIASES_MAX {
        return Err(Error::TooLarge(format!("more than {ALIASES_MAX} aliases")));
    }
    let with = |values: &[String]| [values, &[address.text()]].concat();
    let (aliases, mail) = (with(aliases), with(account.attrs.all("mail")));
    account.attrs.set("zimbraMailAlias", aliases);
    account.attrs.set("mail", mail);
    save(work.kv, Table::Address, &address.key(), &Owner { account: id, primary: false });
    accounts::finish(work, account)
}

pub(super) fn remove_alias(work: &mut Work<'_>, id: AccountId, alias: &str) -> Result<DirectoryReply> {
    let mut account = rows::account(work.kv, id)?;
    let address = Address::parse(alias)?;
    if address.owner(work.kv)? != Some(Owner { account: id, primary: false }) {
        return Err(Error::NotFound(format!("alias {}", address.text())));
    }
    for name in ["zimbraMailAlias", "mail"] {
        let left = account.attrs.all(name).iter().filter(|v| **v != address.text()).cloned().collect();
        account.attrs.set(name, left);
    }
    work.kv.delete(Table::Address, &address.key());
    accounts::finish(work, account)
}
