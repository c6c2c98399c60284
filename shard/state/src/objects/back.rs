//! Bodies that come back into the shard, when the volume that they lie on is to be emptied and there is no other.

use super::{keep_order, leave};
use crate::bodies::{self, Blob, Upload};
use crate::group::Group;
use crate::kv::{Kv, Table, load, save};
use zcluster_api::pack::{MOVED_MAX, RETURNED_BYTES_MAX, Returned};
use zcluster_api::{BlobId, BodiesReceipt, Error, MailboxId, Place, RequestId, Result};

/// Whose these uploads are: no mailbox's. An upload that its packer gave up is reaped like any other.
const NOBODY: MailboxId = MailboxId(0);

/// The upload that a body comes back in.
fn upload_of(id: BlobId) -> RequestId {
    let mut name = [0; 16];
    name.copy_from_slice(&id.0[..16]);
    RequestId(name)
}

pub(super) fn returned(kv: &mut dyn Kv, group: &mut Group, number: u64, pieces: &[Returned]) -> Result<BodiesReceipt> {
    let bytes: usize = pieces.iter().map(|piece| piece.bytes.len()).sum();
    if pieces.len() > MOVED_MAX || bytes > RETURNED_BYTES_MAX {
        return Err(Error::TooLarge("bodies that come back with one command".into()));
    }
    let mut back = 0;
    for (at, piece) in pieces.iter().enumerate() {
        if at > 0 {
            group.next_origin();
        }
        back += u64::from(take(kv, group, number, piece)?);
    }
    Ok(BodiesReceipt::Moved { bodies: back })
}

/// Takes a piece; says whether a body is back with it.
fn take(kv: &mut dyn Kv, group: &mut Group, number: u64, piece: &Returned) -> Result<bool> {
    let Some(blob) = load::<Blob>(kv, Table::Blob, &piece.id.0)? else { return Ok(false) };
    let Place::Object { offset, len, codec, .. } = blob.place else { return Ok(false) };
    if blob.origin != number {
        return Ok(false);
    }
    let id = upload_of(piece.id);
    if piece.seq == 0 {
        bodies::drop_upload(kv, group, NOBODY, id)?;
    }
    // A piece that does not fit is left out, and the body stays where it is.
    if bodies::add_chunk(kv, group, NOBODY, id, (piece.seq, &piece.bytes), len).is_err() || !piece.last {
        return Ok(false);
    }
    let Some(upload) = load::<Upload>(kv, Table::Upload, &id.0)? else { return Ok(false) };
    if upload.stored != len {
        bodies::drop_upload(kv, group, NOBODY, id)?;
        return Ok(false);
    }
    bodies::end_upload(kv, group, id, &upload);
    leave(kv, group, number, offset, len)?;
    keep_order(kv, group, piece.id, upload.origin, len);
    let place = Place::Shard { codec, stored: len, chunks: upload.chunks };
    save(kv, Table::Blob, &piece.id.0, &Blob { place, origin: upload.origin, ..blob });
    Ok(true)
}
