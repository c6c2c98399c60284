//! Objects that hold one large body, which was written there before a message named it. Such a body begins at the
//! object's first byte: in a pack none does.

use super::{Object, Stage, body_key, close, object, put};
use crate::group::Group;
use crate::kv::{Kv, KvRead, Table};
use zcluster_api::{BlobId, Codec, Error, Place, Result};

/// Whether an object was announced, and neither filled nor given up: what was written there may be named.
///
/// # Errors
/// Damaged rows.
pub(crate) fn is_awaited(kv: &(impl KvRead + ?Sized), number: u64) -> Result<bool> {
    Ok(object(kv, number)?.is_some_and(|row| row.stage == Stage::Open && row.bytes == 0))
}

fn written(kv: &mut dyn Kv, group: &mut Group, number: u64, stored: u64) -> Result<Object> {
    let row = object(kv, number)?.filter(|row| row.stage == Stage::Open && row.bytes == 0);
    let row = row.ok_or_else(|| Error::Internal(format!("object {number} is not awaited")))?;
    group.packing.get_or_insert_default().objects.bytes += stored;
    Ok(Object { bytes: stored, filled: stored, ..row })
}

/// A body lies alone in an object that was found to be awaited.
///
/// # Errors
/// Damaged rows.
pub(crate) fn fill_alone(
    kv: &mut dyn Kv,
    group: &mut Group,
    number: u64,
    id: BlobId,
    (stored, codec): (u64, Codec),
) -> Result<Place> {
    let mut row = written(kv, group, number, stored)?;
    row.live.add(stored);
    group.packing.get_or_insert_default().packed.add(stored);
    kv.put(Table::ObjectBody, &body_key(number, 0), id.0.to_vec());
    let (volume, object) = (row.volume.clone(), row.object.clone());
    close(kv, group, number, &mut row);
    put(kv, number, &row);
    Ok(Place::Object { volume, object, offset: 0, len: stored, codec })
}

/// Nobody needs what was written: the object goes to the trash.
///
/// # Errors
/// Damaged rows.
pub(crate) fn give_up(kv: &mut dyn Kv, group: &mut Group, number: u64, stored: u64) -> Result<()> {
    let mut row = written(kv, group, number, stored)?;
    close(kv, group, number, &mut row);
    put(kv, number, &row);
    Ok(())
}
