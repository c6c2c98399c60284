//! Entries that are no accounts, domains or classes of service: lists, groups, servers, identities, ...

use super::rows::{self, Address, Owner};
use super::{Work, accounts, attributes, index};
use crate::kv::{Kv, KvRead, Table, behind, save};
use zcluster_api::directory::{Attributes, Modification, Object, ObjectKind};
use zcluster_api::{AccountId, DirectoryReply, Error, Result};

/// Bytes of a name at most.
const NAME_BYTES_MAX: usize = 256;
/// Entries that belong to one other entry, of one kind.
const CHILDREN_MAX: usize = 1_000;
/// Kinds that are stored as accounts, domains or COS, or not at all.
const ELSEWHERE: [ObjectKind; 6] = [
    ObjectKind::Account,
    ObjectKind::Resource,
    ObjectKind::Domain,
    ObjectKind::Cos,
    ObjectKind::Config,
    ObjectKind::Alias,
];

/// Key of [`Table::EntryName`].
pub(super) fn name_key(kind: ObjectKind, parent: Option<AccountId>, name: &str) -> Vec<u8> {
    [&[kind as u8][..], &parent.unwrap_or(AccountId([0; 16])).0, name.to_lowercase().as_bytes()].concat()
}

pub(super) fn by_name(
    kv: &dyn KvRead,
    kind: ObjectKind,
    parent: Option<AccountId>,
    name: &str,
) -> Result<Option<Object>> {
    match kv.get(Table::EntryName, &name_key(kind, parent, name)).and_then(|id| id.try_into().ok()) {
        Some(id) => rows::entry(kv, AccountId(id)),
        None => Ok(None),
    }
}

pub(super) fn create(
    work: &mut Work<'_>,
    kind: ObjectKind,
    id: AccountId,
    name: &str,
    parent: Option<AccountId>,
    changes: &[Modification],
) -> Result<DirectoryReply> {
    if ELSEWHERE.contains(&kind) {
        return Err(Error::Invalid(format!("an entry of kind {kind:?} is created by its own command")));
    }
    if is_taken(work.kv, id) {
        return Err(Error::Exists(format!("entry {id}")));
    }
    check_parent(work, kind, parent)?;
    let address = free_name(work, kind, parent, name)?;
    let mut attrs = Attributes::new();
    if kind.has_address() {
        attrs.set("zimbraMailStatus", vec!["enabled".into()]);
    }
    let (created, changes) = attributes::created(changes, work.stamp.wall_ms)?;
    attributes::modify(&mut attrs, &changes)?;
    attrs.set("zimbraId", vec![id.to_string()]);
    attrs.set("zimbraCreateTimestamp", vec![created]);
    let name = address.as_ref().map_or_else(|| name.trim().to_string(), Address::text);
    let mut entry = Object { kind, id, name, parent, attrs, home: None };
    set_name(work.kv, &mut entry, address.as_ref(), None);
    finish(work, None, entry)
}

/// Whether any entry has this `zimbraId`.
pub(super) fn is_taken(kv: &dyn KvRead, id: AccountId) -> bool {
    [Table::Account, Table::Entry, Table::CosId, Table::DomainId].into_iter().any(|t| kv.get(t, &id.0).is_some())
}

fn check_parent(work: &Work<'_>, kind: ObjectKind, parent: Option<AccountId>) -> Result<()> {
    let Some(parent) = parent else {
        return if kind.has_parent() { Err(Error::Invalid(format!("{kind:?} belongs to an entry"))) } else { Ok(()) };
    };
    if !kind.has_parent() {
        return Err(Error::Invalid(format!("{kind:?} belongs to no other entry")));
    }
    if !is_taken(work.kv, parent) {
        return Err(Error::NotFound(format!("entry {parent}")));
    }
    let mut count = 0;
    let prefix = name_key(kind, Some(parent), "");
    work.kv.scan(Table::EntryName, &prefix, &behind(&prefix), &mut |_, _| {
        count += 1;
        count < CHILDREN_MAX
    });
    if count >= CHILDREN_MAX {
        return Err(Error::TooLarge(format!("more than {CHILDREN_MAX} entries of kind {kind:?}")));
    }
    Ok(())
}

/// Whether the name may be taken; its address, if it is one.
fn free_name(work: &Work<'_>, kind: ObjectKind, parent: Option<AccountId>, name: &str) -> Result<Option<Address>> {
    if kind.has_address() {
        return accounts::free_address(work, name).map(Some);
    }
    let name = name.trim();
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
        return Err(Error::Invalid(format!("name {name:?}")));
    }
    if by_name(work.kv, kind, parent, name)?.is_some() {
        return Err(Error::Exists(format!("{kind:?} {name}")));
    }
    Ok(None)
}

/// Writes the tables of names, and the attributes that follow the name.
fn set_name(kv: &mut dyn Kv, entry: &mut Object, address: Option<&Address>, old: Option<&str>) {
    let Some(address) = address else {
        if let Some(old) = old {
            kv.delete(Table::EntryName, &name_key(entry.kind, entry.parent, old));
        }
        kv.put(Table::EntryName, &name_key(entry.kind, entry.parent, &entry.name), entry.id.0.to_vec());
        entry.attrs.set(name_attribute(entry.kind), vec![entry.name.clone()]);
        return;
    };
    if let Some(old) = old.and_then(|o| Address::parse(o).ok()) {
        kv.delete(Table::Address, &old.key());
    }
    let owner = Owner { account: entry.id, primary: true, kind: Some(entry.kind) };
    save(kv, Table::Address, &address.key(), &owner);
    accounts::set_name(&mut entry.attrs, address, old);
    if entry.kind == ObjectKind::DynamicGroup {
        entry.attrs.set("cn", vec![address.local.clone()]);
    }
}

/// The attribute that holds the name.
fn name_attribute(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::DataSource => "zimbraDataSourceName",
        ObjectKind::Identity => "zimbraPrefIdentityName",
        ObjectKind::Signature => "zimbraSignatureName",
        ObjectKind::HabGroup => "ou",
        _ => "cn",
    }
}

fn existing(work: &Work<'_>, id: AccountId) -> Result<Object> {
    rows::entry(work.kv, id)?.ok_or_else(|| Error::NotFound(format!("entry {id}")))
}

pub(super) fn modify(work: &mut Work<'_>, id: AccountId, changes: &[Modification]) -> Result<DirectoryReply> {
    let before = existing(work, id)?;
    let mut entry = before.clone();
    attributes::modify(&mut entry.attrs, changes)?;
    if !entry.kind.has_address() {
        // The name changes by its own command only.
        entry.attrs.set(name_attribute(entry.kind), vec![entry.name.clone()]);
    }
    finish(work, Some(&before), entry)
}

/// Writes the entry with its index.
pub(super) fn finish(work: &mut Work<'_>, before: Option<&Object>, entry: Object) -> Result<DirectoryReply> {
    put(work.kv, before, &entry);
    Ok(DirectoryReply::Object(Box::new(entry)))
}

pub(super) fn put(kv: &mut dyn Kv, before: Option<&Object>, entry: &Object) {
    save(kv, Table::Entry, &entry.id.0, entry);
    index::update_entry(kv, before, Some(entry));
}

pub(super) fn rename(work: &mut Work<'_>, id: AccountId, name: &str) -> Result<DirectoryReply> {
    let before = existing(work, id)?;
    let mut entry = before.clone();
    if entry.kind.has_address() && Address::parse(name)?.text() == entry.name {
        return finish(work, Some(&before), entry);
    }
    let same = !entry.kind.has_address() && name.trim().to_lowercase() == entry.name.to_lowercase();
    let address = if same { None } else { free_name(work, entry.kind, entry.parent, name)? };
    entry.name = address.as_ref().map_or_else(|| name.trim().to_string(), Address::text);
    set_name(work.kv, &mut entry, address.as_ref(), Some(&before.name));
    finish(work, Some(&before), entry)
}

pub(super) fn delete(work: &mut Work<'_>, id: AccountId) -> Result<DirectoryReply> {
    let entry = existing(work, id)?;
    delete_children(work, id)?;
    remove(work.kv, &entry);
    Ok(DirectoryReply::Done)
}

fn remove(kv: &mut dyn Kv, entry: &Object) {
    if entry.kind.has_address() {
        let names = std::iter::once(&entry.name).chain(entry.attrs.all("zimbraMailAlias"));
        names.filter_map(|n| Address::parse(n).ok()).for_each(|a| kv.delete(Table::Address, &a.key()));
    } else {
        kv.delete(Table::EntryName, &name_key(entry.kind, entry.parent, &entry.name));
    }
    index::update_entry(kv, Some(entry), None);
    kv.delete(Table::Entry, &entry.id.0);
}

/// Removes what belongs to an entry that goes.
pub(super) fn delete_children(work: &mut Work<'_>, parent: AccountId) -> Result<()> {
    for kind in ObjectKind::ALL.into_iter().filter(|k| k.has_parent()) {
        let prefix = name_key(kind, Some(parent), "");
        let mut ids: Vec<AccountId> = Vec::new();
        work.kv.scan(Table::EntryName, &prefix, &behind(&prefix), &mut |_, id| {
            ids.extend(id.try_into().ok().map(AccountId));
            true
        });
        for id in ids {
            if let Some(child) = rows::entry(work.kv, id)? {
                remove(work.kv, &child);
            }
        }
    }
    Ok(())
}
