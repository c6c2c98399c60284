//! Reading a stored body: chunks from the engine, decompressed as far as asked for.

use crate::engine::Reader;
use crate::kv::GroupKv;
use crate::meta;
use crate::node::NodeState;
use bytes::Bytes;
use futures::StreamExt;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use zcluster_api::body::CHUNK_MAX;
use zcluster_api::{BlobId, BlobRef, BodyStream, Codec, Error, GroupId, Place, Result};
use zstd::stream::raw::{Decoder, Operation};

/// Largest piece of a stream, bytes.
const PIECE_MAX: usize = 256 * 1024;
/// Bodies up to this size are read at once on the event loop; longer ones piece by piece on blocking threads.
const INLINE_SIZE_MAX: u64 = 512 * 1024;

/// A body being read. Holds its view, so that the body stays readable although it may be expunged meanwhile.
struct BodyReader {
    view: Arc<dyn Reader>,
    group: GroupId,
    generation: u32,
    blob: BlobId,
    chunks: u32,
    next: u32,
    input: Vec<u8>,
    taken: usize,
    decoder: Option<Decoder<'static>>,
    /// Bytes of the message before the asked range that are still to come.
    skip: u64,
    /// Bytes of the asked range that are still to come.
    left: u64,
}

/// See [`crate::Replicas::body`].
pub(crate) async fn open(
    node: &Arc<NodeState>,
    group: GroupId,
    blob: &BlobRef,
    range: Range<u64>,
) -> Result<Option<BodyStream>> {
    let (start, end) = (range.start, range.end.min(blob.size));
    if start >= end {
        return Ok(Some(futures::stream::empty().boxed()));
    }
    let opened = BodyReader::open(node, group, blob, start..end);
    let Some(mut reader) = opened.unwrap_or_else(|e| node.disk_failed(&e))? else { return Ok(None) };
    if blob.size <= INLINE_SIZE_MAX {
        let mut pieces = Vec::new();
        while let Some(piece) = reader.piece().transpose() {
            pieces.push(piece);
            if pieces.last().is_some_and(Result::is_err) {
                break;
            }
        }
        return Ok(Some(futures::stream::iter(pieces).boxed()));
    }
    let pieces = futures::stream::unfold(Some(reader), |reader| async move {
        let mut reader = reader?;
        let work = move || (reader.piece(), reader);
        match zcluster_runtime::spawn_blocking(work).await {
            Ok((Ok(Some(piece)), reader)) => Some((Ok(piece), Some(reader))),
            Ok((Ok(None), _)) => None,
            Ok((Err(e), _)) => Some((Err(e), None)),
            Err(e) => Some((Err(Error::Internal(format!("body: {e}"))), None)),
        }
    });
    Ok(Some(pieces.boxed()))
}

impl BodyReader {
    fn open(node: &NodeState, group: GroupId, blob: &BlobRef, range: Range<u64>) -> io::Result<Result<Option<Self>>> {
        let Place::Shard { codec, chunks, .. } = blob.place else {
            return Ok(Err(Error::Unavailable("the body is on a volume that this node does not know".into())));
        };
        let view = node.engine.view();
        let (generation, _) = meta::read_position(view.as_ref(), group)?;
        let (mut next, mut skip) = (0, range.start);
        if codec == Codec::Plain {
            // Every chunk but the last is full: begin at the one that holds the range's first byte.
            next = u32::try_from(range.start / CHUNK_MAX as u64).unwrap_or(u32::MAX);
            skip = range.start % CHUNK_MAX as u64;
        }
        let decoder = match codec {
            Codec::Plain => None,
            Codec::Zstd => Some(Decoder::new()?),
        };
        let left = range.end - range.start;
        let (blob, input) = (blob.id, Vec::new());
        let mut r = BodyReader { view, group, generation, blob, chunks, next, input, taken: 0, decoder, skip, left };
        Ok(Ok(r.load()?.then_some(r)))
    }

    /// Loads the next chunk; `false` when the replica does not have it.
    fn load(&mut self) -> io::Result<bool> {
        if self.next >= self.chunks {
            return Ok(false);
        }
        let kv = GroupKv::new(self.view.as_ref(), self.group, self.generation);
        let chunk = zcluster_state::body_chunk(&kv, self.blob, self.next);
        kv.check()?;
        let Some(chunk) = chunk else { return Ok(false) };
        (self.input, self.taken) = (chunk, 0);
        self.next += 1;
        Ok(true)
    }

    /// The next piece of the range; `None` at its end.
    fn piece(&mut self) -> Result<Option<Bytes>> {
        while self.left > 0 {
            if self.taken >= self.input.len() && !self.load().map_err(|e| Error::Internal(format!("body: {e}")))? {
                // The decoder may still hold output of the bytes it took.
                let rest = self.produce()?;
                if rest.is_empty() {
                    return Err(Error::Internal(format!("body {} ends early", self.blob)));
                }
                return Ok(self.cut(rest));
            }
            let out = self.produce()?;
            if let Some(piece) = self.cut(out) {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }

    /// Some bytes of the message; empty when more input is needed.
    fn produce(&mut self) -> Result<Vec<u8>> {
        let input = self.input.get(self.taken..).unwrap_or_default();
        let Some(decoder) = &mut self.decoder else {
            let out = input[..input.len().min(PIECE_MAX)].to_vec();
            self.taken += out.len();
            return Ok(out);
        };
        let room = (self.skip + self.left).min(PIECE_MAX as u64) as usize;
        let mut out = vec![0; room];
        let status = decoder.run_on_buffers(input, &mut out);
        let status = status.map_err(|e| Error::Internal(format!("body {}: {e}", self.blob)))?;
        self.taken += status.bytes_read;
        out.truncate(status.bytes_written);
        Ok(out)
    }

    /// What of `out` lies in the range.
    fn cut(&mut self, out: Vec<u8>) -> Option<Bytes> {
        let skipped = self.skip.min(out.len() as u64);
        self.skip -= skipped;
        let mut out = Bytes::from(out);
        let mut piece = out.split_off(skipped as usize);
        piece.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= piece.len() as u64;
        (!piece.is_empty()).then_some(piece)
    }
}
