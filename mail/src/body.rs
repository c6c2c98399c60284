//! Bodies at rest: named by BLAKE3, compressed with zstd when that helps, read back whole or by range.

use std::cell::RefCell;
use std::ops::Range;
use zcluster_api::{BlobId, Bytes, Codec, PreparedBody};
use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};

/// Speed matters more than the last percent: a body is compressed while its sender waits. (At this level zstd's output
/// depends on the input alone. From level 4 on it may salt its tables by what the context compressed before, and the
/// contexts below, which are kept, would make equal bodies unequal.)
const LEVEL: i32 = 1;
/// Below so many bytes compression is not tried.
const COMPRESS_MIN: usize = 256;
/// Uncompressed bytes made at a time by [`RangeDecoder`].
const STEP: usize = 64 * 1024;

/// Stored bytes are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// zstd refuses them.
    #[error("stored body does not decompress: {0}")]
    Zstd(String),
    /// They decompress to another size than was recorded.
    #[error("stored body has {found} bytes instead of {expected}")]
    Size {
        /// What the reference says.
        expected: u64,
        /// What is there.
        found: u64,
    },
}

impl From<BodyError> for zcluster_api::Error {
    fn from(e: BodyError) -> Self {
        zcluster_api::Error::Internal(e.to_string())
    }
}

thread_local! {
    /// A compression context costs more to make than a small body costs to compress.
    static COMPRESSOR: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
    /// The same for reading.
    static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Names a message by its content and compresses it unless that saves less than an eighth.
pub fn prepare(raw: &Bytes) -> PreparedBody {
    let id = BlobId(*blake3::hash(raw).as_bytes());
    let size = raw.len() as u64;
    match compress(raw) {
        Some(stored) => PreparedBody { id, size, codec: Codec::Zstd, stored },
        None => PreparedBody { id, size, codec: Codec::Plain, stored: raw.clone() },
    }
}

/// The compressed bytes, or `None` when it is not worth it (or zstd cannot: then plain bytes do).
fn compress(raw: &[u8]) -> Option<Bytes> {
    if raw.len() < COMPRESS_MIN {
        return None;
    }
    let out = COMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = zstd::bulk::Compressor::new(LEVEL).ok();
        }
        slot.as_mut()?.compress(raw).ok()
    })?;
    // Copied, because the buffer was allocated for the worst case.
    (out.len() < raw.len() - raw.len() / 8).then(|| Bytes::copy_from_slice(&out))
}

/// A whole body of `size` bytes.
///
/// # Errors
/// [`BodyError`] when the bytes are damaged.
pub fn decompress(codec: Codec, stored: &Bytes, size: u64) -> Result<Bytes, BodyError> {
    let out = match codec {
        Codec::Plain => stored.clone(),
        Codec::Zstd => inflate(stored, size)?,
    };
    let found = out.len() as u64;
    if found == size { Ok(out) } else { Err(BodyError::Size { expected: size, found }) }
}

/// One whole frame. Its header tells the size, so damage never makes us allocate more than the reference says.
fn inflate(stored: &[u8], size: u64) -> Result<Bytes, BodyError> {
    match zstd::zstd_safe::get_frame_content_size(stored) {
        Ok(Some(found)) if found == size => {}
        Ok(Some(found)) => return Err(BodyError::Size { expected: size, found }),
        Ok(None) | Err(_) => return Err(BodyError::Zstd("no frame header with a size".into())),
    }
    let capacity = usize::try_from(size).map_err(|_| BodyError::Zstd("larger than memory".into()))?;
    DECOMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = Some(zstd::bulk::Decompressor::new().map_err(zstd_error)?);
        }
        let Some(zstd) = slot else { return Err(BodyError::Zstd("no context".into())) };
        zstd.decompress(stored, capacity).map(Bytes::from).map_err(zstd_error)
    })
}

/// Turns stored bytes, fed in order, into a range of the uncompressed body, in bounded memory.
pub struct RangeDecoder {
    zstd: Option<Decoder<'static>>,
    /// Uncompressed position of the next byte that comes out.
    pos: u64,
    range: Range<u64>,
    buffer: Vec<u8>,
    /// The last zstd frame is complete.
    frame_done: bool,
}

impl RangeDecoder {
    /// A decoder for `range` of the uncompressed bytes.
    ///
    /// # Errors
    /// [`BodyError::Zstd`] when zstd has no memory.
    pub fn new(codec: Codec, range: Range<u64>) -> Result<Self, BodyError> {
        let zstd = match codec {
            Codec::Plain => None,
            Codec::Zstd => Some(Decoder::new().map_err(zstd_error)?),
        };
        Ok(RangeDecoder { zstd, pos: 0, range, buffer: Vec::new(), frame_done: false })
    }
    /// The stored byte to begin with: with no compression what lies before the range can be left out. Call it before
    /// the first `push`, and begin there.
    pub fn seek(&mut self) -> u64 {
        if self.zstd.is_none() {
            self.pos = self.range.start;
        }
        self.pos
    }
    /// Appends what `stored` adds to the range. May make many times the input's bytes: push small pieces (at most
    /// [`zcluster_api::body::CHUNK_MAX`]) or bound it by `push_some`.
    ///
    /// # Errors
    /// [`BodyError::Zstd`] when the bytes are damaged.
    pub fn push(&mut self, stored: &[u8], out: &mut Vec<u8>) -> Result<(), BodyError> {
        let mut used = 0;
        while !self.done() {
            let (took, made) = self.push_some(&stored[used..], out)?;
            used += took;
            if took == 0 && made == 0 {
                break;
            }
        }
        Ok(())
    }
    /// Like `push`, but makes at most 64 KiB; says how many stored bytes it used up and how many uncompressed bytes it
    /// made (in or before the range). Call it again with the rest until both are 0.
    ///
    /// # Errors
    /// [`BodyError::Zstd`] when the bytes are damaged.
    pub fn push_some(&mut self, stored: &[u8], out: &mut Vec<u8>) -> Result<(usize, usize), BodyError> {
        if self.done() {
            return Ok((stored.len(), 0));
        }
        let Some(zstd) = &mut self.zstd else {
            let took = stored.len().min(STEP);
            self.keep(&stored[..took], out);
            return Ok((took, took));
        };
        if self.frame_done && stored.is_empty() {
            return Ok((0, 0));
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(STEP, 0);
        let mut input = InBuffer::around(stored);
        let (hint, made) = {
            let mut output = OutBuffer::around(&mut buffer[..]);
            let hint = zstd.run(&mut input, &mut output).map_err(zstd_error)?;
            (hint, output.pos())
        };
        self.frame_done = hint == 0;
        let took = input.pos();
        self.keep(&buffer[..made], out);
        self.buffer = buffer;
        Ok((took, made))
    }
    /// Whether the range is complete.
    pub fn done(&self) -> bool {
        self.pos >= self.range.end
    }

    /// Appends the part of `made` (which begins at `pos`) that lies in the range.
    fn keep(&mut self, made: &[u8], out: &mut Vec<u8>) {
        let at = |offset: u64| usize::try_from(offset.saturating_sub(self.pos)).unwrap_or(usize::MAX).min(made.len());
        let (from, to) = (at(self.range.start), at(self.range.end));
        if from < to {
            out.extend_from_slice(&made[from..to]);
        }
        self.pos += made.len() as u64;
    }
}

fn zstd_error(e: std::io::Error) -> BodyError {
    BodyError::Zstd(e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(n: usize) -> Bytes {
        (0..n).map(|i| b"hello world, "[i % 13] ^ (i / 997 % 3) as u8).collect::<Vec<_>>().into()
    }

    #[test]
    fn small_and_random_bodies_stay_plain() {
        let small = Bytes::from_static(b"Subject: x\r\n\r\nhi\r\n");
        assert_eq!(prepare(&small).codec, Codec::Plain);
        let mut state = 1u64;
        let random: Bytes = (0..4_000)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8
            })
            .collect::<Vec<_>>()
            .into();
        let p = prepare(&random);
        assert_eq!((p.codec, &p.stored), (Codec::Plain, &random));
        assert_eq!(decompress(p.codec, &p.stored, p.size), Ok(random));
    }

    #[test]
    fn damaged_bodies_are_errors() {
        let p = prepare(&text(10_000));
        assert_eq!(p.codec, Codec::Zstd);
        assert!(matches!(decompress(p.codec, &p.stored, 9_999), Err(BodyError::Size { .. })));
        assert!(matches!(decompress(p.codec, &p.stored, 10_001), Err(BodyError::Size { .. })));
        assert!(decompress(p.codec, &p.stored.slice(..p.stored.len() / 2), 10_000).is_err());
        assert!(matches!(decompress(p.codec, &text(50), 10_000), Err(BodyError::Zstd(_))));
        assert!(decompress(Codec::Plain, &text(5), 6).is_err());
    }

    #[test]
    fn a_bomb_is_stopped_at_its_stated_size() {
        let p = prepare(&Bytes::from(vec![0u8; 50_000_000]));
        assert!(matches!(decompress(p.codec, &p.stored, 100), Err(BodyError::Size { found: 50_000_000, .. })));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// A simulated world must not feel what its thread compressed in the one before.
        #[test]
        fn what_was_compressed_before_leaves_no_trace(
            sizes in prop::collection::vec(0usize..200_000, 1..6), words in prop::collection::vec(any::<u16>(), 1..64),
        ) {
            let body = |n: usize| -> Bytes {
                (0..n).map(|i| (words[i / 7 % words.len()] >> (i % 7)) as u8 ^ (i / 4_099) as u8).collect::<Vec<_>>().into()
            };
            for size in sizes {
                let raw = body(size);
                let used = compress(&raw);
                COMPRESSOR.with_borrow_mut(Option::take);
                prop_assert_eq!(used, compress(&raw));
                let _ = compress(&body(size / 3));
            }
        }

        #[test]
        fn ranges(n in 0usize..300_000, a in 0u64..300_000, b in 0u64..300_000, chunk in 1usize..5_000) {
            let raw = text(n);
            let p = prepare(&raw);
            prop_assert_eq!(decompress(p.codec, &p.stored, p.size), Ok(raw.clone()));
            let range = a.min(b)..a.max(b);
            let mut d = RangeDecoder::new(p.codec, range.clone()).expect("decoder");
            let from = (d.seek() as usize).min(p.stored.len());
            let mut out = Vec::new();
            for piece in p.stored[from..].chunks(chunk) {
                d.push(piece, &mut out).expect("own bytes");
            }
            let want = &raw[(range.start as usize).min(n)..(range.end as usize).min(n)];
            prop_assert!(out == want, "{} bytes instead of {}", out.len(), want.len());
        }
    }
}
