//! Sieve scripts (RFC 5804): stored beside the mail they are about, so that they move, fail over and are backed up with
//! it. Whether a script makes sense was found out at the edge.

use super::rows::{self, Filters};
use super::work::Work;
use crate::kv::{KvRead, Table, behind};
use zcluster_api::delivery::{
    FilterView, SCRIPT_BYTES_MAX, SCRIPT_NAME_BYTES_MAX, SCRIPTS_BYTES_MAX, SCRIPTS_MAX, ScriptInfo, ScriptText,
};
use zcluster_api::{Bytes, Error, MailboxId, Receipt, Result};

/// RFC 5804 §1.6: no control characters, none of the line and paragraph separators.
fn check_name(name: &str) -> Result<()> {
    if name.len() > SCRIPT_NAME_BYTES_MAX {
        return Err(Error::TooLarge(format!("script name of {} bytes", name.len())));
    }
    let bad = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '/');
    if name.is_empty() || name.chars().any(bad) {
        return Err(Error::Invalid(format!("script name {name:?}")));
    }
    Ok(())
}

fn missing(name: &str) -> Error {
    Error::NotFound(format!("script {name:?}"))
}

pub(super) fn text(kv: &dyn KvRead, mailbox: MailboxId, name: &str) -> Option<ScriptText> {
    let source = kv.get(Table::Script, &rows::text_key(mailbox, name.as_bytes()))?;
    Some(ScriptText { name: name.into(), source: Bytes::from(source) })
}

pub(super) fn put(work: &mut Work<'_>, script: &ScriptText) -> Result<Receipt> {
    check_name(&script.name)?;
    if script.source.len() > SCRIPT_BYTES_MAX {
        return Err(Error::TooLarge(format!("script of {} bytes", script.source.len())));
    }
    if std::str::from_utf8(&script.source).is_err() {
        return Err(Error::Invalid("script is not UTF-8".into()));
    }
    let key = rows::text_key(work.mailbox, script.name.as_bytes());
    let before = work.view().get(Table::Script, &key);
    let filters = work.header.filters.clone().unwrap_or_default();
    let scripts = filters.scripts + u32::from(before.is_none());
    let bytes = filters.bytes.saturating_sub(before.map_or(0, |b| b.len() as u64)) + script.source.len() as u64;
    if scripts > SCRIPTS_MAX || bytes > SCRIPTS_BYTES_MAX {
        return Err(Error::TooLarge(format!("{scripts} scripts of {bytes} bytes")));
    }
    changed(work, Filters { scripts, bytes, ..filters });
    work.kv.put(Table::Script, &key, script.source.to_vec());
    Ok(Receipt::Done)
}

pub(super) fn delete(work: &mut Work<'_>, name: &str) -> Result<Receipt> {
    let Some(script) = text(work.view(), work.mailbox, name) else { return Err(missing(name)) };
    let mut filters = work.header.filters.clone().unwrap_or_default();
    if filters.active.as_deref() == Some(name) {
        return Err(Error::Conflict(format!("script {name:?} is active")));
    }
    filters.scripts = filters.scripts.saturating_sub(1);
    filters.bytes = filters.bytes.saturating_sub(script.source.len() as u64);
    changed(work, filters);
    work.kv.delete(Table::Script, &rows::text_key(work.mailbox, name.as_bytes()));
    Ok(Receipt::Done)
}

pub(super) fn rename(work: &mut Work<'_>, from: &str, to: &str) -> Result<Receipt> {
    check_name(to)?;
    let Some(script) = text(work.view(), work.mailbox, from) else { return Err(missing(from)) };
    if from == to {
        return Ok(Receipt::Done);
    }
    if text(work.view(), work.mailbox, to).is_some() {
        return Err(Error::Exists(format!("script {to:?}")));
    }
    let mut filters = work.header.filters.clone().unwrap_or_default();
    if filters.active.as_deref() == Some(from) {
        filters.active = Some(to.into());
    }
    changed(work, filters);
    work.kv.delete(Table::Script, &rows::text_key(work.mailbox, from.as_bytes()));
    work.kv.put(Table::Script, &rows::text_key(work.mailbox, to.as_bytes()), script.source.to_vec());
    Ok(Receipt::Done)
}

pub(super) fn activate(work: &mut Work<'_>, name: Option<&str>) -> Result<Receipt> {
    if let Some(name) = name
        && text(work.view(), work.mailbox, name).is_none()
    {
        return Err(missing(name));
    }
    let filters = work.header.filters.clone().unwrap_or_default();
    if filters.active.as_deref() != name {
        changed(work, Filters { active: name.map(str::to_string), ..filters });
    }
    Ok(Receipt::Done)
}

/// Any change makes whoever knows the scripts read them again: also one of a script that is not active, which the
/// active one may include.
fn changed(work: &mut Work<'_>, filters: Filters) {
    work.header.filters = Some(Filters { version: filters.version + 1, ..filters });
}

/// All scripts of a mailbox, by name.
fn each(kv: &dyn KvRead, mailbox: MailboxId, mut visit: impl FnMut(String, &[u8])) -> Result<()> {
    let prefix = rows::mailbox_key(mailbox);
    let mut outcome = Ok(());
    kv.scan(Table::Script, &prefix, &behind(&prefix), &mut |key, value| {
        match std::str::from_utf8(key.get(prefix.len()..).unwrap_or_default()) {
            Ok(name) => visit(name.to_string(), value),
            Err(_) => outcome = Err(Error::Internal("script name is not UTF-8".into())),
        }
        outcome.is_ok()
    });
    outcome
}

pub(super) fn list(kv: &dyn KvRead, mailbox: MailboxId, filters: Option<&Filters>) -> Result<Vec<ScriptInfo>> {
    let active = filters.and_then(|f| f.active.as_deref());
    let mut out = Vec::new();
    each(kv, mailbox, |name, source| {
        let active = active == Some(name.as_str());
        out.push(ScriptInfo { name, size: source.len() as u64, active });
    })?;
    Ok(out)
}

pub(super) fn one(kv: &dyn KvRead, mailbox: MailboxId, name: &str) -> Result<ScriptText> {
    text(kv, mailbox, name).ok_or_else(|| missing(name))
}

/// The scripts' part of a [`FilterView`].
pub(super) fn view(kv: &dyn KvRead, mailbox: MailboxId, filters: Option<&Filters>, all: bool) -> Result<FilterView> {
    let active = filters.and_then(|f| f.active.clone());
    let mut scripts = Vec::new();
    match &active {
        Some(_) if all => each(kv, mailbox, |name, source| {
            scripts.push(ScriptText { name, source: Bytes::copy_from_slice(source) });
        })?,
        Some(name) => scripts.extend(text(kv, mailbox, name)),
        None => {}
    }
    let version = filters.map_or(0, |f| f.version);
    Ok(FilterView { version, active, scripts, folders: Vec::new(), seen: Vec::new() })
}
