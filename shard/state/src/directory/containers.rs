//! Domains and classes of service.

use super::rows::{self, DEFAULT_COS, cos_key};
use super::{Work, attributes, entries, holds, index};
use crate::kv::{Kv, KvRead, Table, load, save};
use crate::proposal::Stamp;
use zcluster_api::directory::{Attributes, Cos, Domain, Modification, ObjectKind};
use zcluster_api::{AccountId, DirectoryReply, Error, Result};

/// Bytes of a COS name at most.
const COS_NAME_BYTES_MAX: usize = 256;

/// What the COS `default` begins with: Zimbra's defaults of the attributes that this cluster acts on. All accounts
/// carry them along in replies, so the list is kept short.
const DEFAULTS: [(&str, &str); 11] = [
    ("zimbraFeatureMailEnabled", "TRUE"),
    ("zimbraImapEnabled", "TRUE"),
    ("zimbraMailQuota", "0"),
    ("zimbraMailTrashLifetime", "30d"),
    ("zimbraMailSpamLifetime", "30d"),
    ("zimbraPasswordMaxLength", "64"),
    ("zimbraPasswordMinLength", "6"),
    ("zimbraPop3Enabled", "TRUE"),
    ("zimbraPrefImapEnabled", "TRUE"),
    ("zimbraPrefPop3Enabled", "TRUE"),
    ("zimbraQuotaWarnPercent", "90"),
];

pub(super) fn default_attributes() -> Attributes {
    let mut attrs = Attributes::new();
    DEFAULTS.iter().for_each(|(name, value)| attrs.set(name, vec![(*value).into()]));
    attrs
}

pub(super) fn create_domain(
    work: &mut Work<'_>,
    id: AccountId,
    name: &str,
    changes: &[Modification],
) -> Result<DirectoryReply> {
    let name = rows::domain_name(name)?;
    if rows::domain(work.kv, &name)?.is_some() {
        return Err(Error::Exists(format!("domain {name}")));
    }
    if entries::is_taken(work.kv, id) {
        return Err(Error::Exists(format!("entry {id}")));
    }
    let mut attrs = Attributes::new();
    attrs.set("zimbraDomainStatus", vec!["active".into()]);
    attrs.set("zimbraDomainType", vec!["local".into()]);
    let (created, changes) = attributes::created(changes, work.stamp.wall_ms)?;
    attributes::modify(&mut attrs, &changes)?;
    check_default_cos(work.kv, &attrs)?;
    attrs.set("zimbraId", vec![id.to_string()]);
    attrs.set("zimbraDomainName", vec![name.clone()]);
    attrs.set("zimbraCreateTimestamp", vec![created]);
    let domain = Domain { id, name, attrs };
    rows::save_domain(work.kv, None, &domain);
    Ok(DirectoryReply::Domain(domain))
}

pub(super) fn modify_domain(work: &mut Work<'_>, name: &str, changes: &[Modification]) -> Result<DirectoryReply> {
    let mut domain = existing_domain(work, name)?;
    let before = domain.attrs.clone();
    attributes::modify(&mut domain.attrs, changes)?;
    check_default_cos(work.kv, &domain.attrs)?;
    rows::save_domain(work.kv, Some(&before), &domain);
    Ok(DirectoryReply::Domain(domain))
}

pub(super) fn delete_domain(work: &mut Work<'_>, name: &str) -> Result<DirectoryReply> {
    let domain = existing_domain(work, name)?;
    if rows::has_addresses(work.kv, &domain.name) {
        return Err(Error::Conflict(format!("domain {} has accounts or aliases", domain.name)));
    }
    holds::check(&domain.name, &[&domain.attrs])?;
    entries::delete_children(work, domain.id)?;
    index::update(work.kv, ObjectKind::Domain, domain.id, &domain.attrs, &Attributes::new());
    work.kv.delete(Table::Domain, domain.name.as_bytes());
    work.kv.delete(Table::DomainId, &domain.id.0);
    Ok(DirectoryReply::Done)
}

pub(super) fn existing_domain(work: &Work<'_>, name: &str) -> Result<Domain> {
    let missing = || Error::NotFound(format!("domain {name}"));
    let key = rows::domain_name(name).map_err(|_| missing())?;
    rows::domain(work.kv, &key)?.ok_or_else(missing)
}

fn check_default_cos(kv: &dyn KvRead, attrs: &Attributes) -> Result<()> {
    attrs.get("zimbraDomainDefaultCOSId").map_or(Ok(()), |id| check_cos_id(kv, id))
}

/// Whether `id` names a class of service.
///
/// # Errors
/// `NotFound` otherwise.
pub(super) fn check_cos_id(kv: &dyn KvRead, id: &str) -> Result<()> {
    // Its row is long and need not be read: both come and go together.
    match id.parse::<AccountId>() {
        Ok(known) if kv.get(Table::CosId, &known.0).is_some() => Ok(()),
        _ => Err(Error::NotFound(format!("COS {id}"))),
    }
}

/// The class of service with this `zimbraId`.
pub(super) fn cos_by_id(kv: &dyn KvRead, id: &str) -> Result<Option<Cos>> {
    let Ok(id) = id.parse::<AccountId>() else { return Ok(None) };
    match kv.get(Table::CosId, &id.0) {
        Some(key) => load(kv, Table::Cos, &key),
        None => Ok(None),
    }
}

pub(super) fn create_cos(
    work: &mut Work<'_>,
    id: AccountId,
    name: &str,
    changes: &[Modification],
) -> Result<DirectoryReply> {
    check_cos_name(name)?;
    if rows::cos(work.kv, name)?.is_some() || entries::is_taken(work.kv, id) {
        return Err(Error::Exists(format!("COS {name}")));
    }
    let mut attrs = Attributes::new();
    let (created, changes) = attributes::created(changes, work.stamp.wall_ms)?;
    attributes::modify(&mut attrs, &changes)?;
    attrs.set("zimbraCreateTimestamp", vec![created]);
    Ok(DirectoryReply::Cos(put_cos(work.kv, work.stamp, id, name, attrs)))
}

/// Writes a new class of service.
pub(super) fn put_cos(kv: &mut dyn Kv, stamp: Stamp, id: AccountId, name: &str, mut attrs: Attributes) -> Cos {
    attrs.set("cn", vec![name.into()]);
    attrs.set("zimbraId", vec![id.to_string()]);
    if !attrs.has("zimbraCreateTimestamp") {
        attrs.set("zimbraCreateTimestamp", vec![attributes::generalized_time(stamp.wall_ms)]);
    }
    let cos = Cos { id, name: name.into(), attrs };
    index::update(kv, ObjectKind::Cos, id, &Attributes::new(), &cos.attrs);
    save(kv, Table::Cos, &cos_key(name), &cos);
    kv.put(Table::CosId, &id.0, cos_key(name));
    cos
}

pub(super) fn modify_cos(work: &mut Work<'_>, name: &str, changes: &[Modification]) -> Result<DirectoryReply> {
    let mut cos = existing_cos(work, name)?;
    let before = cos.attrs.clone();
    attributes::modify(&mut cos.attrs, changes)?;
    index::update(work.kv, ObjectKind::Cos, cos.id, &before, &cos.attrs);
    save(work.kv, Table::Cos, &cos_key(name), &cos);
    Ok(DirectoryReply::Cos(cos))
}

/// Accounts that name it fall back by themselves: its id is looked up at each reading.
pub(super) fn delete_cos(work: &mut Work<'_>, name: &str) -> Result<DirectoryReply> {
    let cos = existing_cos(work, name)?;
    if cos_key(name) == DEFAULT_COS.as_bytes() {
        return Err(Error::Denied("COS default always exists".into()));
    }
    index::update(work.kv, ObjectKind::Cos, cos.id, &cos.attrs, &Attributes::new());
    work.kv.delete(Table::Cos, &cos_key(name));
    work.kv.delete(Table::CosId, &cos.id.0);
    Ok(DirectoryReply::Done)
}

pub(super) fn rename_cos(work: &mut Work<'_>, name: &str, new_name: &str) -> Result<DirectoryReply> {
    let mut cos = existing_cos(work, name)?;
    check_cos_name(new_name)?;
    if cos_key(name) == DEFAULT_COS.as_bytes() {
        return Err(Error::Denied("COS default always exists".into()));
    }
    if cos_key(new_name) != cos_key(name) && rows::cos(work.kv, new_name)?.is_some() {
        return Err(Error::Exists(format!("COS {new_name}")));
    }
    work.kv.delete(Table::Cos, &cos_key(name));
    cos.name = new_name.to_string();
    let before = cos.attrs.clone();
    cos.attrs.set("cn", vec![new_name.into()]);
    index::update(work.kv, ObjectKind::Cos, cos.id, &before, &cos.attrs);
    save(work.kv, Table::Cos, &cos_key(new_name), &cos);
    work.kv.put(Table::CosId, &cos.id.0, cos_key(new_name));
    Ok(DirectoryReply::Cos(cos))
}

fn check_cos_name(name: &str) -> Result<()> {
    if name.trim().is_empty() || name.len() > COS_NAME_BYTES_MAX || name.chars().any(char::is_control) {
        return Err(Error::Invalid(format!("COS name {name:?}")));
    }
    Ok(())
}

fn existing_cos(work: &Work<'_>, name: &str) -> Result<Cos> {
    rows::cos(work.kv, name)?.ok_or_else(|| Error::NotFound(format!("COS {name}")))
}
