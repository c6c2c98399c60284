//! Bodies in objects of volumes: which lie in which, what is to be packed, and when an object may be deleted.
//!
//! An object that holds no body any more is never used again: content that comes anew is stored in the shard like any
//! other. So nothing can begin to refer to an object in the trash, and its deletion races with nobody.

mod audit;
mod back;
mod look;

pub use audit::{KnownBlob, MissingBlob, Namesakes, blobs, namesakes, references};
pub use look::{Backlog, DueObject, LooseBody, ObjectAt, PackedBody, Space};
pub use look::{backlog, due_objects, loose_bodies, objects, packed_bodies, space};

use crate::bodies::{self, Blob};
use crate::group::Group;
use crate::kv::{Kv, KvRead, Table, each, load, save};
use minicbor::{Decode, Encode};
use zcluster_api::pack::{ANNOUNCED_MAX, ClaimedObject, MOVED_MAX, Placed, SPARSE_PERCENT};
use zcluster_api::volume::{check_object_name, check_volume_name};
use zcluster_api::{BlobId, BodiesCommand, BodiesReceipt, Error, Place, Result};

/// Rows that one `Order` looks at, at most.
const ORDER_MAX: u32 = 4_096;
/// Chunks that one `Sweep` removes, at most.
const SWEEP_MAX: u32 = 1_024;

/// What is known of packing in a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Packing {
    /// Objects ever announced: the next one's number.
    #[n(0)]
    pub announced: u64,
    /// Rows of [`Table::BodyOrder`], and their stored bytes.
    #[n(1)]
    pub loose: Count,
    /// Bodies in objects.
    #[n(2)]
    pub packed: Count,
    /// Objects, and their bytes on volumes; one that is only announced counts without bytes.
    #[n(3)]
    pub objects: Count,
    /// Objects announced and neither filled nor given up.
    #[n(4)]
    pub open: u64,
    /// Bodies up to this one have been entered into the order, as far as they were there before; `None`: all.
    #[n(5)]
    pub cursor: Option<BlobId>,
}

/// A number of things and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Count {
    /// How many.
    #[n(0)]
    pub number: u64,
    /// Bytes of all.
    #[n(1)]
    pub bytes: u64,
}

impl Count {
    fn add(&mut self, bytes: u64) {
        self.number += 1;
        self.bytes += bytes;
    }
    fn take(&mut self, bytes: u64) {
        self.number = self.number.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// How far an object is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Stage {
    /// It may be deleted from its volume, and perhaps was.
    #[n(0)]
    Doomed,
    /// It may be written now; bodies may be said to lie in it.
    #[n(1)]
    Open,
    /// No body lies in it.
    #[n(2)]
    Trash,
    /// Few bodies are left in it.
    #[n(3)]
    Sparse,
    /// Bodies lie in it.
    #[n(4)]
    Live,
}

/// A row of [`Table::Object`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Object {
    #[n(0)]
    pub volume: String,
    #[n(1)]
    pub object: String,
    #[n(2)]
    pub stage: Stage,
    /// Since when, by the group's clock.
    #[n(3)]
    pub since_ms: u64,
    /// Its bytes; 0 as long as it is not known to have been written.
    #[n(4)]
    pub bytes: u64,
    /// What lies in it.
    #[n(5)]
    pub live: Count,
    /// It may have been written after it was deleted, and was deleted once already.
    #[n(6)]
    pub again: bool,
    /// Bytes of all bodies that it was told to hold, whether they still existed or not.
    #[n(7)]
    pub filled: u64,
}

/// A row of [`Table::BodyOrder`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Ordered {
    #[n(0)]
    blob: BlobId,
    /// When it came; 0: before there was an order.
    #[n(1)]
    at_ms: u64,
    #[n(2)]
    stored: u64,
}

fn due_key(stage: Stage, since_ms: u64, number: u64) -> Vec<u8> {
    let mut key = vec![stage as u8];
    key.extend_from_slice(&since_ms.to_be_bytes());
    key.extend_from_slice(&number.to_be_bytes());
    key
}

fn body_key(number: u64, offset: u64) -> Vec<u8> {
    [number.to_be_bytes(), offset.to_be_bytes()].concat()
}

pub(crate) fn object(kv: &(impl KvRead + ?Sized), number: u64) -> Result<Option<Object>> {
    load(kv, Table::Object, &number.to_be_bytes())
}

fn put(kv: &mut dyn Kv, number: u64, row: &Object) {
    save(kv, Table::Object, &number.to_be_bytes(), row);
}

fn enter(kv: &mut dyn Kv, now_ms: u64, number: u64, row: &mut Object, stage: Stage) {
    if row.stage == stage {
        return;
    }
    leave_stage(kv, number, row);
    (row.stage, row.since_ms) = (stage, now_ms);
    if stage != Stage::Live {
        kv.put(Table::ObjectDue, &due_key(stage, now_ms, number), Vec::new());
    }
}

fn leave_stage(kv: &mut dyn Kv, number: u64, row: &Object) {
    if row.stage != Stage::Live {
        kv.delete(Table::ObjectDue, &due_key(row.stage, row.since_ms, number));
    }
}

/// Puts an object that nothing more comes into where it belongs by what lies in it.
fn settle(kv: &mut dyn Kv, now_ms: u64, number: u64, row: &mut Object) {
    let stage = if row.live.number == 0 {
        Stage::Trash
    } else if row.live.bytes.saturating_mul(100) < row.filled.saturating_mul(SPARSE_PERCENT) {
        Stage::Sparse
    } else {
        Stage::Live
    };
    enter(kv, now_ms, number, row, stage);
}

/// A body was stored in the shard.
pub(crate) fn keep_order(kv: &mut dyn Kv, group: &mut Group, blob: BlobId, origin: u64, stored: u64) {
    let at_ms = group.wall_ms;
    // There is nothing to move of an empty body.
    if let (Some(packing), true) = (&mut group.packing, stored > 0) {
        packing.loose.add(stored);
        save(kv, Table::BodyOrder, &origin.to_be_bytes(), &Ordered { blob, at_ms, stored });
    }
}

/// A body in the shard is no more, or no more there.
pub(crate) fn leave_order(kv: &mut dyn Kv, group: &mut Group, origin: u64) -> Result<()> {
    let Some(packing) = &mut group.packing else { return Ok(()) };
    // One that was there before the order may not have been entered yet.
    if let Some(row) = load::<Ordered>(kv, Table::BodyOrder, &origin.to_be_bytes())? {
        packing.loose.take(row.stored);
        kv.delete(Table::BodyOrder, &origin.to_be_bytes());
    }
    Ok(())
}

/// A body in an object is no more, or no more there.
pub(crate) fn leave(kv: &mut dyn Kv, group: &mut Group, number: u64, offset: u64, len: u64) -> Result<()> {
    let row = object(kv, number)?;
    let mut row = row.ok_or_else(|| Error::Internal(format!("no object {number}")))?;
    kv.delete(Table::ObjectBody, &body_key(number, offset));
    row.live.take(len);
    group.packing.get_or_insert_default().packed.take(len);
    if matches!(row.stage, Stage::Live | Stage::Sparse) {
        settle(kv, group.wall_ms, number, &mut row);
    }
    put(kv, number, &row);
    Ok(())
}

/// Carries out a command.
///
/// # Errors
/// What the command documents; nothing was changed then. `Internal` means damaged rows.
pub(crate) fn apply(kv: &mut dyn Kv, group: &mut Group, command: &BodiesCommand) -> Result<BodiesReceipt> {
    match command {
        BodiesCommand::Order { max } => order(kv, group, (*max).min(ORDER_MAX)),
        BodiesCommand::Announce { volume, object } => announce(kv, group, volume, object),
        BodiesCommand::Moved { object, bytes, entries, from, last } => {
            moved(kv, group, (*object, *bytes), entries, from, *last)
        }
        BodiesCommand::Claim { object, kept_ms } => claim(kv, group, *object, *kept_ms),
        BodiesCommand::Forget { object, claimed_ms } => forget(kv, group, *object, *claimed_ms),
        BodiesCommand::Sweep { chunks } => {
            let mut left = (*chunks).min(SWEEP_MAX);
            while left > 0 && group.garbage > 0 {
                // A row without chunks costs as much as a chunk.
                left = left.saturating_sub(bodies::sweep(kv, group, left)?.max(1));
            }
            Ok(BodiesReceipt::Done)
        }
        BodiesCommand::Return { object, pieces } => back::returned(kv, group, *object, pieces),
    }
}

fn order(kv: &mut dyn Kv, group: &mut Group, max: u32) -> Result<BodiesReceipt> {
    let first = group.packing.is_none();
    let packing = group.packing.get_or_insert_default();
    let from = match packing.cursor {
        Some(cursor) => [&cursor.0[..], &[0]].concat(),
        None if first => Vec::new(),
        None => return Ok(BodiesReceipt::Ordered { more: false }),
    };
    let (mut rows, mut last, mut seen) = (Vec::new(), None, 0u32);
    each(&*kv, Table::Blob, &from, &[u8::MAX; 33], |key, row: Blob| {
        let id = key.try_into().map(BlobId).map_err(|_| Error::Internal("a blob's key".into()))?;
        if seen >= max {
            return Ok(false);
        }
        (seen, last) = (seen + 1, Some(id));
        if let Place::Shard { stored, .. } = row.place
            && stored > 0
        {
            rows.push((row.origin, Ordered { blob: id, at_ms: 0, stored }));
        }
        Ok(true)
    })?;
    // A full look may have been the last one: the next finds nothing then.
    packing.cursor = if seen >= max { last.or(packing.cursor).or(Some(BlobId([0; 32]))) } else { None };
    let more = packing.cursor.is_some();
    for (origin, row) in rows {
        if kv.get(Table::BodyOrder, &origin.to_be_bytes()).is_none() {
            packing.loose.add(row.stored);
            save(kv, Table::BodyOrder, &origin.to_be_bytes(), &row);
        }
    }
    Ok(BodiesReceipt::Ordered { more })
}

fn announce(kv: &mut dyn Kv, group: &mut Group, volume: &str, object: &str) -> Result<BodiesReceipt> {
    check_volume_name(volume)?;
    check_object_name(object)?;
    if group.packing.as_ref().is_some_and(|p| p.open >= ANNOUNCED_MAX) {
        return Err(Error::TooLarge(format!("more than {ANNOUNCED_MAX} objects are announced")));
    }
    let packing = group.packing.get_or_insert_default();
    let number = packing.announced;
    packing.announced += 1;
    packing.open += 1;
    packing.objects.add(0);
    let (since_ms, stage) = (group.wall_ms, Stage::Open);
    let (volume, object) = (volume.to_string(), object.to_string());
    let row = Object { volume, object, stage, since_ms, bytes: 0, live: Count::default(), again: false, filled: 0 };
    kv.put(Table::ObjectDue, &due_key(stage, since_ms, number), Vec::new());
    put(kv, number, &row);
    Ok(BodiesReceipt::Announced { object: number })
}

fn moved(
    kv: &mut dyn Kv,
    group: &mut Group,
    (number, bytes): (u64, u64),
    entries: &[Placed],
    from: &[u64],
    last: bool,
) -> Result<BodiesReceipt> {
    if entries.len() > MOVED_MAX || from.len() > MOVED_MAX {
        return Err(Error::TooLarge(format!("more than {MOVED_MAX} bodies in one command")));
    }
    let within = |e: &Placed| e.len > 0 && e.offset.checked_add(e.len).is_some_and(|end| end <= bytes);
    if !entries.iter().all(within) || from.contains(&number) {
        return Err(Error::Invalid("a body that is not in its object".into()));
    }
    let mut row = match object(kv, number)? {
        Some(row) if row.stage == Stage::Open => row,
        Some(row) if row.bytes > 0 => return Err(Error::Conflict(format!("object {number} is complete"))),
        _ => return Err(Error::NotFound(format!("object {number}"))),
    };
    // From here on nothing fails.
    let packing = group.packing.get_or_insert_default();
    packing.objects.bytes += bytes.saturating_sub(row.bytes);
    row.bytes = row.bytes.max(bytes);
    row.filled = entries.iter().fold(row.filled, |sum, e| sum.saturating_add(e.len));
    // The rows of other objects change on the way, this one's does not.
    let mut bodies = 0;
    for entry in entries {
        if let Some(blob) = movable(kv, number, entry, from)? {
            take_from(kv, group, &blob)?;
            row.live.add(entry.len);
            group.packing.get_or_insert_default().packed.add(entry.len);
            let (volume, object) = (row.volume.clone(), row.object.clone());
            let place = Place::Object { volume, object, offset: entry.offset, len: entry.len, codec: entry.codec };
            save(kv, Table::Blob, &entry.id.0, &Blob { place, origin: number, ..blob });
            kv.put(Table::ObjectBody, &body_key(number, entry.offset), entry.id.0.to_vec());
            bodies += 1;
        }
    }
    if last {
        close(kv, group, number, &mut row);
    }
    put(kv, number, &row);
    Ok(BodiesReceipt::Moved { bodies })
}

/// The body, if it is still where it is to be moved from.
fn movable(kv: &dyn Kv, number: u64, entry: &Placed, from: &[u64]) -> Result<Option<Blob>> {
    let Some(blob) = load::<Blob>(kv, Table::Blob, &entry.id.0)? else { return Ok(None) };
    let there = match blob.place {
        Place::Shard { .. } => true,
        Place::Object { .. } => from.contains(&blob.origin),
    };
    let free = kv.get(Table::ObjectBody, &body_key(number, entry.offset)).is_none();
    Ok((there && free).then_some(blob))
}

fn take_from(kv: &mut dyn Kv, group: &mut Group, blob: &Blob) -> Result<()> {
    match blob.place {
        Place::Shard { chunks, .. } => {
            leave_order(kv, group, blob.origin)?;
            bodies::discard(kv, group, blob.origin, chunks);
            Ok(())
        }
        Place::Object { offset, len, .. } => leave(kv, group, blob.origin, offset, len),
    }
}

/// Nothing more comes into an open object.
fn close(kv: &mut dyn Kv, group: &mut Group, number: u64, row: &mut Object) {
    if let Some(packing) = &mut group.packing {
        packing.open = packing.open.saturating_sub(1);
    }
    settle(kv, group.wall_ms, number, row);
}

fn claim(kv: &mut dyn Kv, group: &mut Group, number: u64, kept_ms: u64) -> Result<BodiesReceipt> {
    let Some(mut row) = object(kv, number)? else { return Ok(BodiesReceipt::Claimed(None)) };
    let kept = row.since_ms.saturating_add(kept_ms) <= group.wall_ms;
    match row.stage {
        // Its packer is gone, and what it said is all there is.
        Stage::Open if kept && row.bytes > 0 => {
            close(kv, group, number, &mut row);
            put(kv, number, &row);
        }
        Stage::Open | Stage::Trash if kept => {
            if row.stage == Stage::Open {
                close(kv, group, number, &mut row);
            }
            enter(kv, group.wall_ms, number, &mut row, Stage::Doomed);
            put(kv, number, &row);
        }
        _ => {}
    }
    let claimed = (row.stage == Stage::Doomed).then(|| {
        let (volume, object, claimed_ms) = (row.volume, row.object, row.since_ms);
        ClaimedObject { volume, object, claimed_ms }
    });
    Ok(BodiesReceipt::Claimed(claimed))
}

fn forget(kv: &mut dyn Kv, group: &mut Group, number: u64, claimed_ms: u64) -> Result<BodiesReceipt> {
    let row = object(kv, number)?.filter(|row| row.stage == Stage::Doomed && row.since_ms == claimed_ms);
    let Some(mut row) = row else { return Ok(BodiesReceipt::Done) };
    if row.bytes == 0 && !row.again {
        row.again = true;
        enter(kv, group.wall_ms, number, &mut row, Stage::Trash);
        put(kv, number, &row);
        return Ok(BodiesReceipt::Done);
    }
    leave_stage(kv, number, &row);
    kv.delete(Table::Object, &number.to_be_bytes());
    group.packing.get_or_insert_default().objects.take(row.bytes);
    Ok(BodiesReceipt::Done)
}
