//! What the packer and auditors ask of the tables.

use super::{Count, Object, Ordered, Stage, body_key, object};
use crate::bodies::Blob;
use crate::group::Group;
use crate::kv::{KvRead, Table, behind, each, key_u64, load};
use zcluster_api::{BlobId, Codec, Error, Place, Result};

/// Bodies too young to be packed that are passed over in the order before the rest is taken to be younger still: a body
/// that was uploaded in pieces is as old as its first.
const YOUNG_MAX: u32 = 64;

/// How much of a group's bodies is where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// A packer has been here.
    pub known: bool,
    /// Bodies from before are still to be entered into the order.
    pub unordered: bool,
    /// Bodies in the shard that could be packed, and their stored bytes.
    pub loose: Count,
    /// When the oldest of them came, Unix milliseconds; 0: before there was an order.
    pub oldest_ms: Option<u64>,
    /// Bodies in objects.
    pub packed: Count,
    /// Objects, and their bytes on volumes.
    pub objects: Count,
    /// Bodies that wait for their chunks to be removed.
    pub garbage: u64,
}

/// See [`Backlog`].
///
/// # Errors
/// Damaged rows.
pub fn backlog(kv: &dyn KvRead) -> Result<Backlog> {
    let Some(group) = Group::now_all(kv)? else { return Ok(Backlog::default()) };
    let mut out = Backlog { garbage: group.garbage, ..Backlog::default() };
    if let Some(packing) = group.packing {
        (out.known, out.unordered) = (true, packing.cursor.is_some());
        (out.loose, out.packed, out.objects) = (packing.loose, packing.packed, packing.objects);
    }
    each(kv, Table::BodyOrder, &[], &[u8::MAX; 9], |_, row: Ordered| {
        out.oldest_ms = Some(row.at_ms);
        Ok(false)
    })?;
    Ok(out)
}

/// A body that could be packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LooseBody {
    /// Content name.
    pub id: BlobId,
    /// Bytes as accepted.
    pub size: u64,
    /// Stored bytes.
    pub stored: u64,
    /// When it came, Unix milliseconds; 0: before there was an order.
    pub at_ms: u64,
}

/// The oldest bodies in the shard that came before `before_ms` and are not larger than `bytes`, until they have as many
/// together.
///
/// # Errors
/// Damaged rows.
pub fn loose_bodies(kv: &dyn KvRead, before_ms: u64, bytes: u64, most: usize) -> Result<Vec<LooseBody>> {
    let (mut out, mut all, mut young) = (Vec::new(), 0, 0);
    each(kv, Table::BodyOrder, &[], &[u8::MAX; 9], |_, row: Ordered| {
        if row.at_ms >= before_ms {
            young += 1;
            return Ok(young < YOUNG_MAX);
        }
        if row.stored > bytes {
            return Ok(true);
        }
        let blob: Option<Blob> = load(kv, Table::Blob, &row.blob.0)?;
        let size = blob.ok_or_else(|| Error::Internal(format!("no blob {}", row.blob)))?.size;
        all += row.stored;
        out.push(LooseBody { id: row.blob, size, stored: row.stored, at_ms: row.at_ms });
        Ok(all < bytes && out.len() < most)
    })?;
    Ok(out)
}

/// An object that something is to be done with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueObject {
    /// Its number in the shard.
    pub number: u64,
    /// Since when, Unix milliseconds.
    pub since_ms: u64,
    /// Its bytes.
    pub bytes: u64,
}

/// The objects longest in a stage (other than `Live`), at most `most`, that have been since `before_ms` or longer.
///
/// # Errors
/// Damaged rows.
pub fn due_objects(kv: &dyn KvRead, stage: Stage, before_ms: u64, most: usize) -> Result<Vec<DueObject>> {
    let (mut out, mut outcome) = (Vec::new(), Ok(()));
    kv.scan(Table::ObjectDue, &[stage as u8], &behind(&[stage as u8]), &mut |key, _| match (
        key_u64(key, 1),
        key_u64(key, 9),
    ) {
        (Ok(since_ms), Ok(number)) if since_ms <= before_ms && out.len() < most => {
            out.push(DueObject { number, since_ms, bytes: 0 });
            true
        }
        (Err(e), _) | (_, Err(e)) => {
            outcome = Err(e);
            false
        }
        _ => false,
    });
    outcome?;
    for due in &mut out {
        due.bytes = object(kv, due.number)?.map_or(0, |row| row.bytes);
    }
    Ok(out)
}

/// An object as its row tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectAt {
    /// Its number in the shard.
    pub number: u64,
    /// Volume.
    pub volume: String,
    /// Name within the volume.
    pub object: String,
    /// How far it is in its life.
    pub stage: Stage,
    /// Its bytes; 0 as long as it is not known to have been written.
    pub bytes: u64,
    /// Bodies that lie in it.
    pub live: Count,
    /// Bytes of all bodies that it was told to hold.
    pub filled: u64,
}

/// All objects of a group.
///
/// # Errors
/// Damaged rows.
pub fn objects(kv: &dyn KvRead) -> Result<Vec<ObjectAt>> {
    let mut out = Vec::new();
    each(kv, Table::Object, &[], &[u8::MAX; 9], |key, row: Object| {
        let Object { volume, object, stage, bytes, live, filled, .. } = row;
        out.push(ObjectAt { number: key_u64(key, 0)?, volume, object, stage, bytes, live, filled });
        Ok(true)
    })?;
    Ok(out)
}

/// What lies on volumes and is needed by nobody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// Objects that hold no body, and wait to be deleted; their bytes.
    pub trash: Count,
    /// Bodies that are gone, in objects that hold others: their bytes come back when those are packed again.
    pub dead_bytes: u64,
}

/// See [`Space`]. Reads the rows of all objects.
///
/// # Errors
/// Damaged rows.
pub fn space(kv: &dyn KvRead) -> Result<Space> {
    let mut out = Space::default();
    each(kv, Table::Object, &[], &[u8::MAX; 9], |_, row: Object| {
        match row.stage {
            Stage::Trash | Stage::Doomed => out.trash.add(row.bytes),
            Stage::Sparse | Stage::Live => out.dead_bytes += row.filled.saturating_sub(row.live.bytes),
            Stage::Open => {}
        }
        Ok(true)
    })?;
    Ok(out)
}

/// A body in an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedBody {
    /// Content name.
    pub id: BlobId,
    /// Bytes as accepted.
    pub size: u64,
    /// First byte in the object.
    pub offset: u64,
    /// Stored bytes.
    pub len: u64,
    /// Their compression.
    pub codec: Codec,
}

/// What lies in an object, by rising offset, at most `most` from `offset` on; and the object's volume and name. `None`:
/// no such object.
///
/// # Errors
/// Damaged rows.
pub fn packed_bodies(
    kv: &dyn KvRead,
    number: u64,
    offset: u64,
    most: usize,
) -> Result<Option<(String, String, Vec<PackedBody>)>> {
    let Some(row) = object(kv, number)? else { return Ok(None) };
    let mut ids = Vec::new();
    kv.scan(Table::ObjectBody, &body_key(number, offset), &behind(&number.to_be_bytes()), &mut |_, id| {
        ids.push(id.to_vec());
        ids.len() < most
    });
    let mut out = Vec::with_capacity(ids.len());
    for id in ids {
        let id = id.try_into().map(BlobId).map_err(|_| Error::Internal("a body's name".into()))?;
        match load::<Blob>(kv, Table::Blob, &id.0)? {
            Some(Blob { size, place: Place::Object { offset, len, codec, .. }, origin, .. }) if origin == number => {
                out.push(PackedBody { id, size, offset, len, codec });
            }
            _ => return Err(Error::Internal(format!("body {id} is not in object {number}"))),
        }
    }
    Ok(Some((row.volume, row.object, out)))
}
