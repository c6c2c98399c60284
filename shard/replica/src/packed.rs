//! Reading bodies that lie in objects of volumes. What comes from a volume is believed only when its BLAKE3 is the
//! body's name: of small bodies always, of large ones when they are read whole, before their last piece is told.

use crate::node::NodeState;
use bytes::Bytes;
use futures::StreamExt;
use std::ops::Range;
use std::sync::Arc;
use zcluster_api::{BlobId, BlobRef, BodyStream, Codec, Error, Place, Result, Volumes};
use zcluster_mail::{RangeDecoder, decompress};

/// Stored bytes of a large body asked of a volume at a time.
const READ_MAX: u64 = 2 << 20;
/// Largest piece of a stream, bytes; the decoder makes 64 KiB at a time.
const PIECE_MAX: usize = 256 * 1024;
const STEP: usize = 64 * 1024;
/// Bodies up to this size (also stored) are read in one go, and verified whatever part of them is wanted.
const WHOLE_MAX: u64 = 512 * 1024;

/// A body in an object.
pub(crate) struct Packed {
    volumes: Arc<dyn Volumes>,
    id: BlobId,
    size: u64,
    volume: String,
    object: String,
    offset: u64,
    len: u64,
    codec: Codec,
}

fn wrong(id: BlobId, volume: &str, object: &str) -> Error {
    metrics::counter!("zcluster_volume_wrong_bodies_total").increment(1);
    tracing::error!(body = %id, volume, object, "the volume's bytes are not the body's");
    Error::Internal(format!("the bytes in object {object} of volume {volume} are not those of body {id}"))
}

impl Packed {
    /// The body that `blob` tells of.
    ///
    /// # Errors
    /// `Unavailable` when this node knows no volumes; `Internal` when it lies in the shard.
    pub fn new(node: &NodeState, blob: &BlobRef) -> Result<Packed> {
        let Place::Object { volume, object, offset, len, codec } = blob.place.clone() else {
            return Err(Error::Internal(format!("body {} is in no object", blob.id)));
        };
        let volumes = node.volumes.read().clone();
        let volumes =
            volumes.ok_or_else(|| Error::Unavailable(format!("volume {volume} is not known to this node")))?;
        Ok(Packed { volumes, id: blob.id, size: blob.size, volume, object, offset, len, codec })
    }

    async fn read(&self, from: u64, to: u64) -> Result<Bytes> {
        let range = self.offset.saturating_add(from)..self.offset.saturating_add(to);
        let bytes = self.volumes.read(&self.volume, &self.object, range).await?;
        if bytes.len() as u64 == to - from { Ok(bytes) } else { Err(wrong(self.id, &self.volume, &self.object)) }
    }

    /// All of it, for bodies that may be held in memory.
    ///
    /// # Errors
    /// As [`Volumes::read`]; `Internal` when the bytes are not the body's.
    pub async fn whole(&self) -> Result<Bytes> {
        let stored = self.read(0, self.len).await?;
        let wrong = || wrong(self.id, &self.volume, &self.object);
        let body = decompress(self.codec, &stored, self.size).map_err(|_| wrong())?;
        if blake3::hash(&body).as_bytes() == &self.id.0 { Ok(body) } else { Err(wrong()) }
    }

    /// The bytes `range`, which are not empty and within the body. The first read is made before it returns.
    ///
    /// # Errors
    /// As [`whole`](Self::whole).
    pub async fn open(self, range: Range<u64>) -> Result<BodyStream> {
        if self.size.max(self.len) <= WHOLE_MAX {
            let mut rest = self.whole().await?.slice(range.start as usize..range.end as usize);
            let mut pieces = Vec::new();
            while !rest.is_empty() {
                pieces.push(Ok(rest.split_to(rest.len().min(PIECE_MAX))));
            }
            return Ok(futures::stream::iter(pieces).boxed());
        }
        let hash = (range == (0..self.size)).then(blake3::Hasher::new);
        let mut decoder = RangeDecoder::new(self.codec, range)?;
        let next = decoder.seek();
        let mut pieces = Pieces { body: self, decoder, hash, next, input: Bytes::new(), taken: 0 };
        pieces.fetch().await?;
        Ok(pieces.stream())
    }
}

/// A large body, piece by piece.
struct Pieces {
    body: Packed,
    decoder: RangeDecoder,
    hash: Option<blake3::Hasher>,
    /// The stored byte to ask for next.
    next: u64,
    input: Bytes,
    taken: usize,
}

impl Pieces {
    async fn fetch(&mut self) -> Result<()> {
        let to = self.body.len.min(self.next + READ_MAX);
        if to <= self.next {
            return Err(self.wrong());
        }
        self.input = self.body.read(self.next, to).await?;
        (self.next, self.taken) = (to, 0);
        Ok(())
    }

    fn wrong(&self) -> Error {
        wrong(self.body.id, &self.body.volume, &self.body.object)
    }

    /// What the bytes at hand give, a piece at most.
    fn decode(&mut self) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        while !self.decoder.done() && out.len() + STEP <= PIECE_MAX {
            let rest = self.input.get(self.taken..).unwrap_or_default();
            let (took, made) = self.decoder.push_some(rest, &mut out).map_err(|_| self.wrong())?;
            self.taken += took;
            if took == 0 && made == 0 {
                break;
            }
        }
        Ok(out)
    }

    /// The next piece; `None` at the end of the range.
    async fn piece(&mut self) -> Result<Option<Bytes>> {
        loop {
            // A quarter of a megabyte is decoded in less time than another thread is woken in.
            let out = self.decode()?;
            if let Some(hash) = &mut self.hash {
                hash.update(&out);
                if self.decoder.done() && !out.is_empty() && hash.finalize().as_bytes() != &self.body.id.0 {
                    return Err(self.wrong());
                }
            }
            if !out.is_empty() {
                return Ok(Some(out.into()));
            }
            if self.decoder.done() {
                return Ok(None);
            }
            self.fetch().await?;
        }
    }

    fn stream(self) -> BodyStream {
        let pieces = futures::stream::unfold(Some(self), |pieces| async move {
            let mut pieces = pieces?;
            match pieces.piece().await {
                Ok(Some(piece)) => Some((Ok(piece), Some(pieces))),
                Ok(None) => None,
                Err(e) => Some((Err(e), None)),
            }
        });
        pieces.boxed()
    }
}
