//! Accounts: create, modify, delete.

use super::rows::{self, Address, Owner};
use super::{Work, attributes, catch_all, containers, entries, holds, index, shares};
use crate::kv::{KvRead, Table, load, save};
use crate::proposal::Effect;
use zcluster_api::directory::{Account, Attributes, Home, HomeState, Modification, ObjectKind};
use zcluster_api::{AccountId, DirectoryReply, Epoch, Error, GroupId, MailboxId, Result};

pub(super) fn create(
    work: &mut Work<'_>,
    id: AccountId,
    name: &str,
    changes: &[Modification],
    group: GroupId,
) -> Result<DirectoryReply> {
    let address = free_address(work, name)?;
    if entries::is_taken(work.kv, id) {
        return Err(Error::Exists(format!("account {id}")));
    }
    if group.0 == 0 || group.0 > work.counters.shards {
        return Err(Error::Invalid(format!("shard {group}")));
    }
    let mut attrs = Attributes::new();
    attrs.set("zimbraAccountStatus", vec!["active".into()]);
    attrs.set("zimbraMailStatus", vec!["enabled".into()]);
    let (created, changes) = attributes::created(changes, work.stamp.wall_ms)?;
    edit(work.kv, &mut attrs, &changes)?;
    attrs.set("zimbraId", vec![id.to_string()]);
    attrs.set("zimbraCreateTimestamp", vec![created]);
    set_name(&mut attrs, &address, None);
    catch_all::change(work.kv, id, &Attributes::new(), &attrs)?;

    let home =
        Home { mailbox: MailboxId(work.counters.next_mailbox), group, epoch: Epoch(1), state: HomeState::Active };
    work.counters.next_mailbox += 1;
    let count = mailboxes(work.kv, group)? + 1;
    save(work.kv, Table::MailboxCount, &group.0.to_be_bytes(), &count);
    save(work.kv, Table::Address, &address.key(), &Owner::account(id, true));
    let account = Account { id, name: address.text(), attrs, home, cos: None, domain: None };
    finish(work, None, account)
}

/// Parses an address that a new account or alias is to have.
///
/// # Errors
/// `Invalid`, `NotFound` (domain), `Exists`.
pub(super) fn free_address(work: &Work<'_>, text: &str) -> Result<Address> {
    let address = Address::parse(text)?;
    match rows::domain(work.kv, &address.domain)? {
        None => return Err(Error::NotFound(format!("domain {}", address.domain))),
        Some(d) if d.attrs.has("zimbraDomainRenameInfo") => {
            return Err(Error::Conflict(format!("domain {} is being renamed", address.domain)));
        }
        Some(_) => {}
    }
    if address.owner(work.kv)?.is_some() {
        return Err(Error::Exists(format!("address {}", address.text())));
    }
    Ok(address)
}

/// Makes changes to an account's attributes, with what follows from them.
fn edit(kv: &dyn KvRead, attrs: &mut Attributes, changes: &[Modification]) -> Result<()> {
    attributes::modify(attrs, changes)?;
    let touches = |name: &str| changes.iter().any(|c| c.name.eq_ignore_ascii_case(name));
    if touches("zimbraCOSId")
        && let Some(id) = attrs.get("zimbraCOSId")
    {
        containers::check_cos_id(kv, id)?;
    }
    // Data model §13: these two states take mail delivery away, any other gives it back.
    if touches("zimbraAccountStatus") && !touches("zimbraMailStatus") {
        let away = matches!(attrs.get("zimbraAccountStatus"), Some("closed" | "pending"));
        attrs.set("zimbraMailStatus", vec![if away { "disabled" } else { "enabled" }.into()]);
    }
    Ok(())
}

/// Sets what depends on the primary address, keeping the aliases.
pub(super) fn set_name(attrs: &mut Attributes, address: &Address, old: Option<&str>) {
    let rest = attrs.all("mail").iter().filter(|m| Some(m.as_str()) != old).cloned();
    let mail = std::iter::once(address.text()).chain(rest).collect();
    attrs.set("mail", mail);
    attrs.set("uid", vec![address.local.clone()]);
    attrs.set("zimbraMailDeliveryAddress", vec![address.text()]);
}

pub(super) fn modify(work: &mut Work<'_>, id: AccountId, changes: &[Modification]) -> Result<DirectoryReply> {
    let before = rows::account(work.kv, id)?;
    let mut account = before.clone();
    edit(work.kv, &mut account.attrs, changes)?;
    catch_all::change(work.kv, id, &before.attrs, &account.attrs)?;
    finish(work, Some(&before), account)
}

/// Writes the account, with what is counted and indexed of it, and tells it (without what it inherits).
pub(super) fn finish(work: &mut Work<'_>, before: Option<&Account>, account: Account) -> Result<DirectoryReply> {
    put(work, before, &account)?;
    Ok(DirectoryReply::Account(Box::new(account)))
}

/// Writes the account, with what is counted and indexed of it.
pub(super) fn put(work: &mut Work<'_>, before: Option<&Account>, account: &Account) -> Result<()> {
    save(work.kv, Table::Account, &account.id.0, account);
    follow(work, account.id, before, Some(account))
}

/// Brings index and counts from what an account was to what it is.
fn follow(work: &mut Work<'_>, id: AccountId, before: Option<&Account>, now: Option<&Account>) -> Result<()> {
    // What the index has not come to yet it will find as it is by then.
    if !work.counters.is_indexed(id) {
        return Ok(());
    }
    let kind =
        if now.or(before).is_some_and(Account::is_resource) { ObjectKind::Resource } else { ObjectKind::Account };
    let none = Attributes::new();
    let attrs = |a: Option<&Account>| a.map_or(none.clone(), |a| a.attrs.clone());
    index::update(work.kv, kind, id, &attrs(before), &attrs(now));
    count(work, before, now)
}

/// Counts the account, which was written before there were counts.
pub(super) fn index_anew(work: &mut Work<'_>, account: &Account) -> Result<()> {
    let kind = if account.is_resource() { ObjectKind::Resource } else { ObjectKind::Account };
    index::update(work.kv, kind, account.id, &Attributes::new(), &account.attrs);
    count(work, None, Some(account))
}

/// Key of [`Table::AccountCount`].
fn count_key(account: &Account) -> Vec<u8> {
    let domain = account.name.rsplit_once('@').map_or("", |(_, d)| d);
    let cos = account.attrs.get("zimbraCOSId").and_then(|id| id.parse().ok()).unwrap_or(AccountId([0; 16]));
    [&rows::domain_prefix(domain)[..], &cos.0].concat()
}

fn count(work: &mut Work<'_>, before: Option<&Account>, now: Option<&Account>) -> Result<()> {
    let (before, now) = (before.map(count_key), now.map(count_key));
    if before == now {
        return Ok(());
    }
    if let Some(key) = before {
        match load::<u64>(work.kv, Table::AccountCount, &key)?.unwrap_or(0) {
            0 | 1 => work.kv.delete(Table::AccountCount, &key),
            n => save(work.kv, Table::AccountCount, &key, &(n - 1)),
        }
    }
    if let Some(key) = now {
        let n = load::<u64>(work.kv, Table::AccountCount, &key)?.unwrap_or(0);
        save(work.kv, Table::AccountCount, &key, &(n + 1));
    }
    Ok(())
}

pub(super) fn delete(work: &mut Work<'_>, id: AccountId) -> Result<DirectoryReply> {
    let account = rows::account(work.kv, id)?;
    holds::check(&account.name, &[&account.attrs, &domain_attrs(work.kv, &account.name)?])?;
    for address in std::iter::once(&account.name).chain(account.attrs.all("zimbraMailAlias")) {
        work.kv.delete(Table::Address, &Address::parse(address)?.key());
    }
    catch_all::change(work.kv, id, &account.attrs, &Attributes::new())?;
    entries::delete_children(work, id)?;
    follow(work, id, Some(&account), None)?;
    work.kv.delete(Table::Account, &id.0);
    shares::forget(work.kv, id)?;
    let home = Home { state: HomeState::Deleting, ..account.home };
    save(work.kv, Table::DeletingHome, &home.mailbox.0.to_be_bytes(), &home);
    work.effects.push(Effect::EmptyMailbox(home));
    Ok(DirectoryReply::Done)
}

/// The attributes of the domain of an address.
pub(super) fn domain_attrs(kv: &dyn KvRead, address: &str) -> Result<Attributes> {
    let domain = rows::domain(kv, &Address::parse(address)?.domain)?;
    Ok(domain.map_or_else(Attributes::new, |domain| domain.attrs))
}

pub(super) fn mailbox_deleted(work: &mut Work<'_>, mailbox: MailboxId) -> Result<DirectoryReply> {
    let key = mailbox.0.to_be_bytes();
    if let Some(home) = load::<Home>(work.kv, Table::DeletingHome, &key)? {
        let count = mailboxes(work.kv, home.group)?.saturating_sub(1);
        save(work.kv, Table::MailboxCount, &home.group.0.to_be_bytes(), &count);
        work.kv.delete(Table::DeletingHome, &key);
    }
    Ok(DirectoryReply::Done)
}

fn mailboxes(kv: &dyn KvRead, group: GroupId) -> Result<u64> {
    Ok(load(kv, Table::MailboxCount, &group.0.to_be_bytes())?.unwrap_or(0))
}
