//! What an auditor reads: every body that a shard knows, and every message's word for one.

use super::{body_key, object};
use crate::bodies::Blob;
use crate::kv::{KvRead, Table, each, key_u32, key_u64};
use crate::mailbox::rows::{ColdRef, OutgoingRow};
use std::collections::BTreeMap;
use zcluster_api::{BlobId, Error, MailboxId, Place, Result, codec};

/// A body that the shard knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownBlob {
    /// Content name.
    pub id: BlobId,
    /// Bytes as accepted.
    pub size: u64,
    /// Where it lies.
    pub place: Place,
    /// Of a body in an object: the object's number.
    pub object: Option<u64>,
    /// Messages that name it.
    pub refs: u64,
    /// The other rows agree: of a body in an object, that there is such an object, and that it lies within.
    pub entered: bool,
}

/// Bodies behind `after` in the order of their names, at most `most`.
///
/// # Errors
/// Damaged rows.
pub fn blobs(kv: &dyn KvRead, after: Option<BlobId>, most: usize) -> Result<Vec<KnownBlob>> {
    let from = after.map_or_else(Vec::new, |id| [&id.0[..], &[0]].concat());
    let mut out = Vec::new();
    each(kv, Table::Blob, &from, &[u8::MAX; 33], |key, row: Blob| {
        let id = key.try_into().map(BlobId).map_err(|_| Error::Internal("a blob's key".into()))?;
        let object = matches!(row.place, Place::Object { .. }).then_some(row.origin);
        let entered = is_entered(kv, id, &row)?;
        out.push(KnownBlob { id, size: row.size, place: row.place, object, refs: row.refs, entered });
        Ok(out.len() < most)
    })?;
    Ok(out)
}

fn is_entered(kv: &dyn KvRead, id: BlobId, row: &Blob) -> Result<bool> {
    let Place::Object { volume, object: name, offset, len, .. } = &row.place else { return Ok(true) };
    let Some(found) = object(kv, row.origin)? else { return Ok(false) };
    let within = offset.checked_add(*len).is_some_and(|end| end <= found.bytes);
    let listed = kv.get(Table::ObjectBody, &body_key(row.origin, *offset)).is_some_and(|there| there == id.0);
    Ok(within && listed && found.volume == *volume && found.object == *name)
}

/// A message (or one that waits to leave) whose body the shard does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissingBlob {
    /// The body.
    pub id: BlobId,
    /// The mailbox.
    pub mailbox: MailboxId,
    /// Item id, or number in the outbox.
    pub item: u64,
}

/// Looks for the bodies that messages name, from `at` on, at most `most` messages: how many, those that are not there, and
/// where to go on (`None`: at the end).
///
/// # Errors
/// Damaged rows.
pub fn references(kv: &dyn KvRead, at: &[u8], most: usize) -> Result<(u64, Vec<MissingBlob>, Option<Vec<u8>>)> {
    let (names, next) = named(kv, at, most)?;
    let mut missing = Vec::new();
    for (id, mailbox, item) in &names {
        if kv.get(Table::Blob, &id.0).is_none() {
            missing.push(MissingBlob { id: *id, mailbox: *mailbox, item: *item });
        }
    }
    Ok((names.len() as u64, missing, next))
}

/// Messages by the body that they have: the first few of each.
pub type Namesakes = BTreeMap<BlobId, Vec<(MailboxId, u64)>>;

/// Notes which messages, from `at` on and at most `most`, have one of these bodies (up to `few` of each); where to go on.
///
/// # Errors
/// Damaged rows.
pub fn namesakes(
    kv: &dyn KvRead,
    at: &[u8],
    most: usize,
    few: usize,
    wanted: &mut Namesakes,
) -> Result<Option<Vec<u8>>> {
    let (names, next) = named(kv, at, most)?;
    for (id, mailbox, item) in names {
        if let Some(found) = wanted.get_mut(&id).filter(|found| found.len() < few) {
            found.push((mailbox, item));
        }
    }
    Ok(next)
}

/// Which body, in which mailbox, of which item.
type Named = (BlobId, MailboxId, u64);

/// The bodies that messages name, then those that outboxes name: a page from `at` on, and where the next begins.
fn named(kv: &dyn KvRead, at: &[u8], most: usize) -> Result<(Vec<Named>, Option<Vec<u8>>)> {
    let (mut out, mut outcome, mut next) = (Vec::new(), Ok(()), None);
    let (first, from) = at.split_first().map_or((0, &[][..]), |(table, key)| (*table, key));
    for (code, table) in [(0, Table::Cold), (1, Table::Outgoing)] {
        if code < first || next.is_some() || outcome.is_err() {
            continue;
        }
        let from = if code == first { from } else { &[] };
        kv.scan(table, from, &[u8::MAX; 24], &mut |key, value| {
            if out.len() >= most {
                next = Some([&[code], key].concat());
                return false;
            }
            match one(table, key, value) {
                Ok(named) => out.push(named),
                Err(e) => outcome = Err(e),
            }
            outcome.is_ok()
        });
    }
    outcome.map(|()| (out, next))
}

fn one(table: Table, key: &[u8], value: &[u8]) -> Result<Named> {
    let mailbox = MailboxId(key_u64(key, 0)?);
    match table {
        Table::Cold => Ok((codec::decode::<ColdRef<'_>>(value)?.blob, mailbox, key_u32(key, 8)?.into())),
        _ => Ok((codec::decode::<OutgoingRow>(value)?.blob, mailbox, key_u64(key, 8)?)),
    }
}
