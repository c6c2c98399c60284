//! Annotations of folders and of the mailbox itself (RFC 5464), and the names of others' folders that the owner is
//! subscribed to.

use super::missed::{each_change, reaches};
use super::read::View;
use super::rows;
use super::work::Work;
use crate::kv::{KvRead, Table, behind};
use std::collections::{BTreeMap, BTreeSet};
use zcluster_api::mailbox::FOLDER_PATH_BYTES_MAX;
use zcluster_api::sharing::{
    ANNOTATION_BYTES_MAX, ANNOTATION_NAME_BYTES_MAX, ANNOTATION_VALUE_BYTES_MAX, ANNOTATIONS_PER_FOLDER_MAX,
    Annotation, Depth, METADATA_NEWS_MAX, MetadataChange, SUBSCRIBED_NAMES_MAX,
};
use zcluster_api::{AccountId, Bytes, Error, FolderId, MailboxId, MailboxReply, ModSeq, Receipt, Result};

/// Bytes of the values that one reader sees of one folder: they fit into one reply.
const SEEN_BYTES_MAX: usize = 1024 * 1024;
/// What a row costs besides its name and value.
const ROW_BYTES: u64 = 256;
/// What stands for the mailbox itself among folders.
const NO_FOLDER: u32 = 0;

/// Whether an annotation is one reader's own (RFC 5464 §3.2).
pub(super) fn is_private(name: &str) -> bool {
    name == "/private" || name.starts_with("/private/")
}

/// Checks the name of an annotation to be set (RFC 5464 §3.2): `/private/...` or `/shared/...` in lower case.
fn check_name(name: &str) -> Result<()> {
    let bad = || Error::Invalid(format!("annotation name {name:?}"));
    let rest = name.strip_prefix("/private/").or_else(|| name.strip_prefix("/shared/")).ok_or_else(bad)?;
    let plain = name.bytes().all(|b| (b' '..=b'~').contains(&b) && !b.is_ascii_uppercase() && !b"*%".contains(&b));
    if rest.is_empty() || rest.ends_with('/') || name.contains("//") || !plain {
        return Err(bad());
    }
    if name.len() > ANNOTATION_NAME_BYTES_MAX {
        return Err(Error::TooLarge(format!("annotation name of {} bytes", name.len())));
    }
    Ok(())
}

/// (mailbox, folder, whose): 0 everybody's, 1 the owner's, 2 and an id another account's.
fn prefix(mailbox: MailboxId, folder: Option<FolderId>, private: bool, actor: Option<AccountId>) -> Vec<u8> {
    let mut key = rows::number_key(mailbox, folder.map_or(NO_FOLDER, |f| f.0));
    match (private, actor) {
        (false, _) => key.push(0),
        (true, None) => key.push(1),
        (true, Some(account)) => {
            key.push(2);
            key.extend_from_slice(&account.0);
        }
    }
    key
}

fn cost(name: &str, value: &[u8]) -> u64 {
    (name.len() + value.len()) as u64 + ROW_BYTES
}

/// All annotations with this prefix.
fn load(kv: &dyn KvRead, prefix: &[u8]) -> Result<BTreeMap<String, Bytes>> {
    let (mut out, mut damaged) = (BTreeMap::new(), false);
    kv.scan(Table::Annotation, prefix, &behind(prefix), &mut |key, value| {
        match key.get(prefix.len()..).map(std::str::from_utf8) {
            Some(Ok(name)) => {
                out.insert(name.to_string(), Bytes::copy_from_slice(value));
            }
            _ => damaged = true,
        }
        !damaged
    });
    if damaged { Err(Error::Internal("name of an annotation".into())) } else { Ok(out) }
}

/// `SetMetadata`.
pub(super) fn set(work: &mut Work<'_>, folder: Option<FolderId>, entries: &[Annotation]) -> Result<Receipt> {
    if let Some(folder) = folder {
        work.folder(folder)?;
    }
    for entry in entries {
        check_name(&entry.name)?;
        let bytes = entry.value.as_ref().map_or(0, Bytes::len);
        if bytes > ANNOTATION_VALUE_BYTES_MAX {
            return Err(Error::TooLarge(format!("annotation of {bytes} bytes")));
        }
    }
    let mut used = work.header.annotation_bytes.unwrap_or(0);
    let mut writes: Vec<(Vec<u8>, Option<Bytes>)> = Vec::new();
    for private in [false, true] {
        let prefix = prefix(work.mailbox, folder, private, work.actor);
        let mine = || entries.iter().filter(|e| is_private(&e.name) == private);
        if mine().next().is_none() {
            continue;
        }
        let mut kept = load(work.view(), &prefix)?;
        for entry in mine() {
            let old = match &entry.value {
                Some(value) => kept.insert(entry.name.clone(), value.clone()),
                None => kept.remove(&entry.name),
            };
            used = used.saturating_sub(old.as_ref().map_or(0, |v| cost(&entry.name, v)));
            used = used.saturating_add(entry.value.as_ref().map_or(0, |v| cost(&entry.name, v)));
            writes.push(([&prefix[..], entry.name.as_bytes()].concat(), entry.value.clone()));
        }
        let grows = mine().any(|e| e.value.is_some());
        if grows && kept.len() > ANNOTATIONS_PER_FOLDER_MAX {
            return Err(Error::Conflict(format!("more than {ANNOTATIONS_PER_FOLDER_MAX} annotations")));
        }
        if grows && kept.values().map(Bytes::len).sum::<usize>() > SEEN_BYTES_MAX {
            return Err(Error::QuotaExceeded);
        }
    }
    let before = work.header.annotation_bytes.unwrap_or(0);
    if used > before && used > ANNOTATION_BYTES_MAX {
        return Err(Error::QuotaExceeded);
    }
    for (key, value) in writes {
        match value {
            Some(value) => work.kv.put(Table::Annotation, &key, value.to_vec()),
            None => work.kv.delete(Table::Annotation, &key),
        }
    }
    work.header.annotation_bytes = (used > 0).then_some(used);
    let names: BTreeSet<&String> = entries.iter().map(|e| &e.name).collect();
    if !names.is_empty() {
        work.metadata_changed(folder, names.into_iter().cloned().collect());
    }
    Ok(Receipt::Done)
}

/// `MetadataNews`, for the owner: the private annotations of others are not the owner's to know.
pub(super) fn news(view: &View<'_>, since: ModSeq) -> Result<MailboxReply> {
    let now = view.position();
    let (mut changes, mut resync) = (Vec::new(), !reaches(since, now));
    if !resync {
        each_change(view, since, |row| {
            if let Some(changed) = &row.metadata {
                let known = |name: &&String| changed.actor.is_none() || !is_private(name);
                let names: Vec<String> = changed.names.iter().filter(known).cloned().collect();
                if !names.is_empty() {
                    changes.push(MetadataChange { folder: changed.folder, names });
                }
            }
            changes.len() <= METADATA_NEWS_MAX
        })?;
        resync = changes.len() > METADATA_NEWS_MAX;
    }
    if resync {
        changes.clear();
    }
    Ok(MailboxReply::MetadataNews { changes, modseq: now, resync })
}

/// Removes the annotations of a folder that is deleted, everybody's.
pub(super) fn forget(work: &mut Work<'_>, folder: FolderId) {
    let prefix = rows::number_key(work.mailbox, folder.0);
    let (mut keys, mut freed) = (Vec::new(), 0u64);
    work.kv.scan(Table::Annotation, &prefix, &behind(&prefix), &mut |key, value| {
        // The name begins behind whose it is.
        let whose = if key.get(prefix.len()) == Some(&2) { 17 } else { 1 };
        freed += key.len().saturating_sub(prefix.len() + whose) as u64 + value.len() as u64 + ROW_BYTES;
        keys.push(key.to_vec());
        true
    });
    keys.iter().for_each(|key| work.kv.delete(Table::Annotation, key));
    let left = work.header.annotation_bytes.unwrap_or(0).saturating_sub(freed);
    work.header.annotation_bytes = (left > 0).then_some(left);
}

/// `Metadata`.
pub(super) fn read(
    kv: &dyn KvRead,
    (mailbox, actor): (MailboxId, Option<AccountId>),
    folder: Option<FolderId>,
    entries: &[String],
    depth: Depth,
    max_size: Option<u64>,
) -> Result<MailboxReply> {
    let mut found: BTreeMap<String, Bytes> = BTreeMap::new();
    for private in [false, true] {
        let wanted: Vec<&String> = entries.iter().filter(|e| is_private(e) == private).collect();
        if wanted.is_empty() {
            continue;
        }
        let mut there = load(kv, &prefix(mailbox, folder, private, actor))?;
        there.retain(|name, _| wanted.iter().any(|w| is_wanted(name, w, depth)));
        found.append(&mut there);
    }
    let mut longest = None;
    found.retain(|_, value| {
        let fits = max_size.is_none_or(|max| value.len() as u64 <= max);
        if !fits {
            longest = longest.max(Some(value.len() as u64));
        }
        fits
    });
    let entries = found.into_iter().map(|(name, value)| Annotation { name, value: Some(value) }).collect();
    Ok(MailboxReply::Metadata { entries, longest })
}

/// RFC 5464 §4.2.2.
fn is_wanted(name: &str, wanted: &str, depth: Depth) -> bool {
    let below = name.strip_prefix(wanted).and_then(|rest| rest.strip_prefix('/'));
    match (depth, below) {
        _ if name == wanted => true,
        (Depth::Zero, _) | (_, None) => false,
        (Depth::One, Some(rest)) => !rest.contains('/'),
        (Depth::Infinity, Some(_)) => true,
    }
}

/// `SubscribeName`.
pub(super) fn subscribe_name(work: &mut Work<'_>, name: &str, subscribed: bool) -> Result<Receipt> {
    // What comes before the path: a prefix and an address.
    if name.is_empty() || name.len() > FOLDER_PATH_BYTES_MAX + 512 || name.chars().any(char::is_control) {
        return Err(Error::Invalid("name of a subscription".into()));
    }
    let key = rows::text_key(work.mailbox, name.as_bytes());
    let there = work.view().get(Table::SubscribedName, &key).is_some();
    let count = work.header.subscribed_names.unwrap_or(0);
    match (there, subscribed) {
        (false, true) if count as usize >= SUBSCRIBED_NAMES_MAX => {
            return Err(Error::TooLarge(format!("more than {SUBSCRIBED_NAMES_MAX} subscriptions")));
        }
        (false, true) => {
            work.kv.put(Table::SubscribedName, &key, vec![1]);
            work.header.subscribed_names = Some(count + 1);
        }
        (true, false) => {
            work.kv.delete(Table::SubscribedName, &key);
            work.header.subscribed_names = Some(count.saturating_sub(1)).filter(|n| *n > 0);
        }
        _ => {}
    }
    Ok(Receipt::Done)
}

/// `SubscribedNames`.
pub(super) fn subscribed_names(kv: &dyn KvRead, mailbox: MailboxId) -> MailboxReply {
    let prefix = rows::mailbox_key(mailbox);
    let mut names = Vec::new();
    kv.scan(Table::SubscribedName, &prefix, &behind(&prefix), &mut |key, _| {
        names.extend(key.get(prefix.len()..).map(|n| String::from_utf8_lossy(n).into_owned()));
        true
    });
    MailboxReply::SubscribedNames(names)
}
