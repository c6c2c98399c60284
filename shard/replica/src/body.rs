//! Reading a stored body: chunks from the engine, decompressed as far as asked for.

use crate::engine::Reader;
use crate::kv::GroupKv;
use crate::meta;
use crate::node::NodeState;
use crate::packed::Packed;
use bytes::Bytes;
use futures::StreamExt;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use zcluster_api::body::CHUNK_MAX;
use zcluster_api::{BlobId, BlobRef, BodyStream, Codec, Error, GroupId, Place, Result};
use zcluster_mail::{RangeDecoder, decompress};

/// Largest piece of a stream, bytes. The decoder makes 64 KiB at a time.
const PIECE_MAX: usize = 256 * 1024;
const STEP: usize = 64 * 1024;
/// Bodies up to this size are read whole on the event loop; longer ones piece by piece on blocking threads.
const INLINE_SIZE_MAX: u64 = 512 * 1024;

/// The stored chunks of one body. Holds its view, so that the body stays readable although it may be expunged meanwhile.
struct Chunks {
    view: Arc<dyn Reader>,
    group: GroupId,
    generation: u32,
    blob: BlobId,
    count: u32,
    next: u32,
}

impl Chunks {
    /// The next chunk; `None` behind the last one or when the replica does not have it.
    fn load(&mut self) -> io::Result<Option<Vec<u8>>> {
        if self.next >= self.count {
            return Ok(None);
        }
        let kv = GroupKv::new(self.view.as_ref(), self.group, self.generation);
        let chunk = zcluster_state::body_chunk(&kv, self.blob, self.next);
        kv.check()?;
        self.next += 1;
        Ok(chunk)
    }
    /// All chunks in one; `None` when the replica does not have the body.
    fn whole(&mut self) -> io::Result<Option<Bytes>> {
        let Some(mut all) = self.load()? else { return Ok(None) };
        while let Some(chunk) = self.load()? {
            all.extend_from_slice(&chunk);
        }
        Ok(Some(all.into()))
    }
}

/// See [`crate::Replicas::body`].
pub(crate) async fn open(
    node: &Arc<NodeState>,
    group: GroupId,
    blob: &BlobRef,
    range: Range<u64>,
) -> Result<Option<BodyStream>> {
    let range = range.start..range.end.min(blob.size);
    if range.is_empty() {
        return Ok(Some(futures::stream::empty().boxed()));
    }
    // The reference tells where the body was when it was asked for: it may have been moved since.
    let view = node.engine.view();
    let looked = meta::read_position(view.as_ref(), group).and_then(|(generation, _)| {
        let kv = GroupKv::new(view.as_ref(), group, generation);
        let known = zcluster_state::body_place(&kv, blob.id);
        kv.check().map(|()| (generation, known))
    });
    let (generation, known) = looked.or_else(|e| node.disk_failed(&e))?;
    let place = match known? {
        Some(now) if now.size == blob.size => now.place,
        _ => blob.place.clone(),
    };
    let Place::Shard { codec, chunks, .. } = place else {
        let blob = BlobRef { place, ..blob.clone() };
        return packed(node, group, blob, range).await;
    };
    let mut chunks = Chunks { view, group, generation, blob: blob.id, count: chunks, next: 0 };
    if blob.size > INLINE_SIZE_MAX {
        let opened = Pieces::open(chunks, codec, range)?.or_else(|e| node.disk_failed(&e))?;
        return Ok(opened.map(Pieces::stream));
    }
    let Some(stored) = chunks.whole().or_else(|e| node.disk_failed(&e))? else { return Ok(None) };
    let whole = decompress(codec, &stored, blob.size)?;
    // In range: `decompress` answers with exactly `size` bytes, which `range` was cut to.
    let mut rest = whole.slice(range.start as usize..range.end as usize);
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        pieces.push(Ok(rest.split_to(rest.len().min(PIECE_MAX))));
    }
    Ok(Some(futures::stream::iter(pieces).boxed()))
}

/// See [`crate::Replicas::stored_body`].
pub(crate) fn stored(node: &NodeState, group: GroupId, id: BlobId) -> Result<Option<(Codec, Bytes)>> {
    let view = node.engine.view();
    let looked = meta::read_position(view.as_ref(), group).and_then(|(generation, _)| {
        let kv = GroupKv::new(view.as_ref(), group, generation);
        let known = zcluster_state::body_place(&kv, id);
        kv.check().map(|()| (generation, known))
    });
    let (generation, known) = looked.or_else(|e| node.disk_failed(&e))?;
    let Some(BlobRef { size, place: Place::Shard { codec, chunks, .. }, .. }) = known? else { return Ok(None) };
    let mut chunks = Chunks { view, group, generation, blob: id, count: chunks, next: 0 };
    let Some(bytes) = chunks.whole().or_else(|e| node.disk_failed(&e))? else { return Ok(None) };
    check_stored(id, size, codec, &bytes)?;
    Ok(Some((codec, bytes)))
}

/// A body as it would be stored.
pub fn as_stored(raw: &Bytes) -> (Codec, Bytes) {
    let prepared = zcluster_mail::prepare(raw);
    (prepared.codec, prepared.stored)
}

/// Whether stored bytes are those of a body, in bounded memory.
///
/// # Errors
/// `Internal` when they are not.
pub fn check_stored(id: BlobId, size: u64, codec: Codec, stored: &[u8]) -> Result<()> {
    let mut decoder = RangeDecoder::new(codec, 0..size)?;
    let (mut hash, mut rest, mut out, mut made_all) = (blake3::Hasher::new(), stored, Vec::new(), 0u64);
    while !decoder.done() {
        let (took, made) = decoder.push_some(rest, &mut out)?;
        hash.update(&out);
        made_all += out.len() as u64;
        out.clear();
        rest = &rest[took..];
        if took == 0 && made == 0 {
            break;
        }
    }
    if made_all == size && hash.finalize().as_bytes() == &id.0 {
        return Ok(());
    }
    Err(Error::Internal(format!("stored bytes are not those of body {id}")))
}

/// A body in an object of a volume; `None` when there is no such object: then it lies elsewhere by now, which a replica
/// that lags does not know.
async fn packed(
    node: &Arc<NodeState>,
    group: GroupId,
    mut blob: BlobRef,
    range: Range<u64>,
) -> Result<Option<BodyStream>> {
    loop {
        match Packed::new(node, &blob)?.open(range.clone()).await {
            Err(Error::NotFound(object)) => {
                let now = node.view(group, |kv| zcluster_state::body_place(kv, blob.id))?;
                match now {
                    Some(now) if now.place != blob.place && matches!(now.place, Place::Object { .. }) => blob = now,
                    _ => {
                        tracing::warn!(shard = group.0, body = %blob.id, object, "no such object on the volume");
                        return Ok(None);
                    }
                }
            }
            other => return other.map(Some),
        }
    }
}

/// A large body, piece by piece.
struct Pieces {
    chunks: Chunks,
    decoder: RangeDecoder,
    input: Vec<u8>,
    taken: usize,
}

impl Pieces {
    /// The outer error is of the body, the inner one of the disk; `None` when the replica does not have the body.
    fn open(mut chunks: Chunks, codec: Codec, range: Range<u64>) -> Result<io::Result<Option<Self>>> {
        let mut decoder = RangeDecoder::new(codec, range)?;
        // Every chunk but the last is full: begin at the one that holds the first byte needed.
        let from = decoder.seek();
        chunks.next = u32::try_from(from / CHUNK_MAX as u64).unwrap_or(u32::MAX);
        Ok(chunks.load().map(|first| {
            let taken = (from % CHUNK_MAX as u64) as usize;
            first.map(|input| Pieces { chunks, decoder, input, taken })
        }))
    }

    /// The next piece; `None` at the end of the range.
    fn piece(&mut self) -> Result<Option<Bytes>> {
        let mut out = Vec::new();
        while !self.decoder.done() && out.len() + STEP <= PIECE_MAX {
            let rest = self.input.get(self.taken..).unwrap_or_default();
            let (took, made) = self.decoder.push_some(rest, &mut out)?;
            self.taken += took;
            if took == 0 && made == 0 {
                let next = self.chunks.load().map_err(|e| Error::Internal(format!("body: {e}")))?;
                let ends_early = || Error::Internal(format!("body {} ends early", self.chunks.blob));
                (self.input, self.taken) = (next.ok_or_else(ends_early)?, 0);
            }
        }
        Ok((!out.is_empty()).then(|| out.into()))
    }

    fn stream(self) -> BodyStream {
        let pieces = futures::stream::unfold(Some(self), |pieces| async move {
            let mut pieces = pieces?;
            let work = move || (pieces.piece(), pieces);
            match zcluster_runtime::spawn_blocking(work).await {
                Ok((Ok(Some(piece)), pieces)) => Some((Ok(piece), Some(pieces))),
                Ok((Ok(None), _)) => None,
                Ok((Err(e), _)) => Some((Err(e), None)),
                Err(e) => Some((Err(Error::Internal(format!("body: {e}"))), None)),
            }
        });
        pieces.boxed()
    }
}
