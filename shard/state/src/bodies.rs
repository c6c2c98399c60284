//! Stored bodies: reference counts, uploads and the removal of what nobody names any more.
//!
//! A body's chunks are keyed by its *origin*, the number of the apply that brought its first chunk, so an upload
//! becomes a body without its bytes being touched again, and a late chunk can never write into another body.

use crate::group::Group;
use crate::kv::{Kv, KvRead, Table, behind, each, key_u64, load, save};
use crate::mailbox::forget_upload;
use crate::objects;
use minicbor::{Decode, Encode};
use zcluster_api::body::{CHUNK_MAX, INLINE_BODY_MAX};
use zcluster_api::{BlobId, BlobRef, Body, Bytes, Codec, Error, MailboxId, Place, RequestId, Result};

/// Chunks of one upload at most: 1 GiB of stored bytes.
const UPLOAD_CHUNKS_MAX: u32 = 4_096;
/// An upload that was not used within this time is removed, milliseconds.
const UPLOAD_KEPT_MS: u64 = 24 * 60 * 60 * 1000;
/// Applies between two looks at the oldest upload.
const REAP_EVERY: u64 = 8;
/// Dead chunks removed by one apply at most.
const SWEEP_CHUNKS: u32 = 16;

/// A row of [`Table::Blob`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Blob {
    /// Bytes as accepted.
    #[n(0)]
    pub size: u64,
    /// Where.
    #[n(1)]
    pub place: Place,
    /// First half of the chunks' keys; of a body in an object: the object's number.
    #[n(2)]
    pub origin: u64,
    /// Messages of all mailboxes in this shard that name it.
    #[n(3)]
    pub refs: u64,
}

/// A row of [`Table::Upload`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Upload {
    /// First half of the chunks' keys.
    #[n(0)]
    pub origin: u64,
    /// When it began.
    #[n(1)]
    pub started_ms: u64,
    /// For whom.
    #[n(2)]
    pub mailbox: MailboxId,
    /// Chunks so far.
    #[n(3)]
    pub chunks: u32,
    /// Bytes so far.
    #[n(4)]
    pub stored: u64,
}

fn chunk_key(origin: u64, seq: u32) -> [u8; 12] {
    let mut key = [0; 12];
    key[..8].copy_from_slice(&origin.to_be_bytes());
    key[8..].copy_from_slice(&seq.to_be_bytes());
    key
}

/// Stored chunk `seq` of a body, or `None` when the shard has no such body or chunk.
pub fn body_chunk(kv: &dyn KvRead, blob: BlobId, seq: u32) -> Option<Vec<u8>> {
    let row = load::<Blob>(kv, Table::Blob, &blob.0).ok()??;
    match row.place {
        Place::Shard { chunks, .. } if seq < chunks => kv.get(Table::Body, &chunk_key(row.origin, seq)),
        _ => None,
    }
}

/// The reference to a stored body, as queries tell it.
pub(crate) fn blob_ref(kv: &dyn KvRead, id: BlobId) -> Result<BlobRef> {
    let blob = stored(kv, id)?;
    Ok(BlobRef { id, size: blob.size, place: blob.place, at: None })
}

/// Where a body is in this replica now; `None` when it knows no such body.
///
/// # Errors
/// Damaged rows.
pub fn body_place(kv: &dyn KvRead, id: BlobId) -> Result<Option<BlobRef>> {
    let blob: Option<Blob> = load(kv, Table::Blob, &id.0)?;
    Ok(blob.map(|blob| BlobRef { id, size: blob.size, place: blob.place, at: None }))
}

fn stored(kv: &dyn KvRead, id: BlobId) -> Result<Blob> {
    load(kv, Table::Blob, &id.0)?.ok_or_else(|| Error::Internal(format!("no blob {id}")))
}

/// How a command's body will be stored: found out before anything is written.
pub(crate) enum Plan<'a> {
    /// The shard has it; the upload that brought it again is to go.
    Known(Blob, Option<(RequestId, Upload)>),
    /// From the command.
    Inline(Codec, &'a Bytes),
    /// The upload becomes the body.
    Promote(RequestId, Upload, Codec),
}

impl Plan<'_> {
    /// Whether carrying it out ends an upload.
    pub fn ends_upload(&self) -> bool {
        matches!(self, Plan::Promote(..) | Plan::Known(_, Some(_)))
    }
}

/// Looks whether `body` can be stored, and how.
///
/// # Errors
/// `TooLarge` (inline bytes), `Invalid` (upload unknown, of another mailbox or not as told).
pub(crate) fn plan<'a>(kv: &dyn KvRead, mailbox: MailboxId, body: &'a Body) -> Result<Plan<'a>> {
    let known: Option<Blob> = load(kv, Table::Blob, &body.id().0)?;
    match body {
        Body::Inline { stored, codec, .. } => match known {
            Some(blob) => Ok(Plan::Known(blob, None)),
            None if stored.len() > INLINE_BODY_MAX => Err(Error::TooLarge("inline body".into())),
            None => Ok(Plan::Inline(*codec, stored)),
        },
        Body::Uploaded { upload, chunks, stored, codec, .. } => {
            let row: Option<Upload> = load(kv, Table::Upload, &upload.0)?;
            let row = row.filter(|u| u.mailbox == mailbox);
            match (known, row) {
                (Some(blob), row) => Ok(Plan::Known(blob, row.map(|u| (*upload, u)))),
                (None, Some(u)) if u.chunks == *chunks && u.stored == *stored => Ok(Plan::Promote(*upload, u, *codec)),
                (None, Some(_)) => Err(Error::Invalid(format!("upload {upload} is not complete"))),
                (None, None) => Err(Error::Invalid(format!("no upload {upload}"))),
            }
        }
    }
}

/// Stores the body, or counts one more reference to it. `group.applies` is its origin: between two bodies of one apply
/// stands a [`Group::next_origin`].
pub(crate) fn store(kv: &mut dyn Kv, group: &mut Group, body: &Body, plan: Plan<'_>) {
    let blob = match plan {
        Plan::Known(mut blob, upload) => {
            if let Some((id, upload)) = upload {
                end_upload(kv, group, id, &upload);
                discard(kv, group, upload.origin, upload.chunks);
            }
            blob.refs += 1;
            blob
        }
        Plan::Inline(codec, bytes) => {
            let origin = group.applies;
            // An empty message is a body without chunks.
            let chunks = u32::from(!bytes.is_empty());
            if chunks > 0 {
                kv.put(Table::Body, &chunk_key(origin, 0), bytes.to_vec());
            }
            let place = Place::Shard { codec, stored: bytes.len() as u64, chunks };
            objects::keep_order(kv, group, body.id(), origin, bytes.len() as u64);
            Blob { size: body.size(), place, origin, refs: 1 }
        }
        Plan::Promote(id, upload, codec) => {
            end_upload(kv, group, id, &upload);
            let place = Place::Shard { codec, stored: upload.stored, chunks: upload.chunks };
            objects::keep_order(kv, group, body.id(), upload.origin, upload.stored);
            Blob { size: body.size(), place, origin: upload.origin, refs: 1 }
        }
    };
    save(kv, Table::Blob, &body.id().0, &blob);
}

/// Counts one more reference to a body that a message names already.
pub(crate) fn share(kv: &mut dyn Kv, id: BlobId) -> Result<()> {
    let mut blob = stored(kv, id)?;
    blob.refs += 1;
    save(kv, Table::Blob, &id.0, &blob);
    Ok(())
}

/// Counts one reference less; the last one takes the body along.
pub(crate) fn release(kv: &mut dyn Kv, group: &mut Group, id: BlobId) -> Result<()> {
    let mut blob = stored(kv, id)?;
    blob.refs = blob.refs.saturating_sub(1);
    if blob.refs > 0 {
        save(kv, Table::Blob, &id.0, &blob);
        return Ok(());
    }
    kv.delete(Table::Blob, &id.0);
    match blob.place {
        Place::Shard { chunks, .. } => {
            objects::leave_order(kv, group, blob.origin)?;
            discard(kv, group, blob.origin, chunks);
            Ok(())
        }
        Place::Object { offset, len, .. } => objects::leave(kv, group, blob.origin, offset, len),
    }
}

/// Removes one chunk at once and leaves more to later applies.
pub(crate) fn discard(kv: &mut dyn Kv, group: &mut Group, origin: u64, chunks: u32) {
    match chunks {
        0 => {}
        1 => kv.delete(Table::Body, &chunk_key(origin, 0)),
        _ => {
            save(kv, Table::Garbage, &origin.to_be_bytes(), &chunks);
            group.garbage += 1;
        }
    }
}

/// Takes one chunk of an upload; says whether it was the first.
///
/// # Errors
/// `TooLarge`, `QuotaExceeded`, `Invalid` (a chunk was skipped, or one before it was not full).
pub(crate) fn add_chunk(
    kv: &mut dyn Kv,
    group: &mut Group,
    mailbox: MailboxId,
    id: RequestId,
    (seq, bytes): (u32, &Bytes),
    room: u64,
) -> Result<bool> {
    if bytes.len() > CHUNK_MAX || seq >= UPLOAD_CHUNKS_MAX {
        return Err(Error::TooLarge(format!("chunk {seq} of {} bytes", bytes.len())));
    }
    if bytes.is_empty() {
        return Err(Error::Invalid("empty chunk".into()));
    }
    let old: Option<Upload> = load(kv, Table::Upload, &id.0)?;
    let first = old.is_none();
    let (origin, started_ms) = (group.applies, group.wall_ms);
    let mut upload = old.unwrap_or(Upload { origin, started_ms, mailbox, chunks: 0, stored: 0 });
    if upload.mailbox != mailbox {
        return Err(Error::Invalid(format!("upload {id} is another mailbox's")));
    }
    if seq < upload.chunks {
        return Ok(false);
    }
    if seq > upload.chunks || upload.stored != u64::from(upload.chunks) * CHUNK_MAX as u64 {
        return Err(Error::Invalid(format!("chunk {seq} of upload {id} is out of order")));
    }
    if upload.stored + bytes.len() as u64 > room {
        return Err(Error::QuotaExceeded);
    }
    kv.put(Table::Body, &chunk_key(upload.origin, seq), bytes.to_vec());
    upload.chunks += 1;
    upload.stored += bytes.len() as u64;
    save(kv, Table::Upload, &id.0, &upload);
    if first {
        kv.put(Table::UploadOrder, &origin.to_be_bytes(), id.0.to_vec());
        group.uploads += 1;
    }
    Ok(first)
}

/// Gives up an upload; says whether the mailbox had it.
pub(crate) fn drop_upload(kv: &mut dyn Kv, group: &mut Group, mailbox: MailboxId, id: RequestId) -> Result<bool> {
    let row: Option<Upload> = load(kv, Table::Upload, &id.0)?;
    let Some(upload) = row.filter(|u| u.mailbox == mailbox) else { return Ok(false) };
    end_upload(kv, group, id, &upload);
    discard(kv, group, upload.origin, upload.chunks);
    Ok(true)
}

/// Removes the upload's rows, not its chunks.
pub(crate) fn end_upload(kv: &mut dyn Kv, group: &mut Group, id: RequestId, upload: &Upload) {
    kv.delete(Table::Upload, &id.0);
    kv.delete(Table::UploadOrder, &upload.origin.to_be_bytes());
    group.uploads = group.uploads.saturating_sub(1);
}

/// A little of the work that is left over: reaps an upload that nobody finished, removes a few dead chunks.
pub(crate) fn housekeep(kv: &mut dyn Kv, group: &mut Group) -> Result<()> {
    if group.uploads > 0 && group.applies.is_multiple_of(REAP_EVERY) {
        reap(kv, group)?;
    }
    if group.garbage > 0 {
        sweep(kv, group, SWEEP_CHUNKS)?;
    }
    Ok(())
}

fn reap(kv: &mut dyn Kv, group: &mut Group) -> Result<()> {
    let mut oldest = None;
    kv.scan(Table::UploadOrder, &[], &[u8::MAX; 9], &mut |_, id| {
        oldest = id.try_into().ok().map(RequestId);
        false
    });
    let Some(id) = oldest else { return Ok(()) };
    let Some(upload) = load::<Upload>(kv, Table::Upload, &id.0)? else { return Ok(()) };
    if upload.started_ms.saturating_add(UPLOAD_KEPT_MS) < group.wall_ms {
        drop_upload(kv, group, upload.mailbox, id)?;
        forget_upload(kv, upload.mailbox)?;
    }
    Ok(())
}

/// Removes up to `most` chunks of the dead body that is so longest; says how many.
pub(crate) fn sweep(kv: &mut dyn Kv, group: &mut Group, most: u32) -> Result<u32> {
    let mut oldest = None;
    each(kv, Table::Garbage, &[], &behind(&[u8::MAX - 1]), |key, chunks: u32| {
        oldest = Some((key_u64(key, 0)?, chunks));
        Ok(false)
    })?;
    let Some((origin, chunks)) = oldest else { return Ok(0) };
    let left = chunks.saturating_sub(most);
    for seq in left..chunks {
        kv.delete(Table::Body, &chunk_key(origin, seq));
    }
    if left > 0 {
        save(kv, Table::Garbage, &origin.to_be_bytes(), &left);
    } else {
        kv.delete(Table::Garbage, &origin.to_be_bytes());
        group.garbage = group.garbage.saturating_sub(1);
    }
    Ok(chunks - left)
}
