//! A group's whole state on the wire: a manifest and chunks of rows.
//!
//! Chunk = BLAKE3 of the rest (32 bytes) | kind (1 byte) | payload. Kind 0 holds rows: column u8, key length u32 LE,
//! value length u32 LE, key (table byte and row key), value. Kind 1 ends the snapshot with the number of rows and a
//! hash over the hashes of all chunks before it, so that a snapshot cut short or mixed from two is refused.

pub(crate) mod sink;
mod source;

pub use sink::Sink;
pub use source::Source;

use crate::engine::Column;
use crate::meta::{LogPosition, damaged};
use bytes::Bytes;
use minicbor::{Decode, Encode};
use std::io;
use zcluster_api::{GroupId, codec};

/// The layout described above.
pub const FORMAT: u32 = 1;
/// A chunk is closed when it reaches this many bytes, so that with one more row it stays below 1 MiB (rows are at most
/// an upload chunk, 256 KiB, and some).
pub const CHUNK_TARGET: usize = 700 << 10;
/// Bytes of the hash in front of a chunk.
const HASH: usize = 32;
const KIND_ROWS: u8 = 0;
const KIND_END: u8 = 1;
/// Bytes before a row's key.
const ROW_HEAD: usize = 9;

/// What a snapshot says of itself before its chunks.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Manifest {
    /// [`FORMAT`].
    #[n(0)]
    pub format: u32,
    /// The group.
    #[n(1)]
    pub group: GroupId,
    /// The generation at the sender; tells the reader of a log, nothing more.
    #[n(2)]
    pub generation: u32,
    /// What the rows contain.
    #[n(3)]
    pub applied: Option<LogPosition>,
    /// The tables that have rows.
    #[n(4)]
    pub tables: Vec<u8>,
}

impl Manifest {
    /// Reads a manifest and refuses one this version cannot install.
    ///
    /// # Errors
    /// `InvalidData`.
    pub fn decode(bytes: &[u8], group: GroupId) -> io::Result<Self> {
        let m: Manifest = codec::decode(bytes).map_err(damaged)?;
        if m.format != FORMAT {
            return Err(damaged(format!("snapshot format {} is newer than this node", m.format)));
        }
        if m.group != group {
            return Err(damaged(format!("snapshot of group {} offered to group {group}", m.group)));
        }
        Ok(m)
    }
}

/// A decoded chunk.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Chunk {
    Rows(Vec<(Column, Vec<u8>, Bytes)>),
    End { rows: u64, chain: [u8; HASH] },
}

fn seal(kind: u8, mut chunk: Vec<u8>) -> Bytes {
    // `chunk` was begun by `begin`: room for the hash and the kind is in front.
    chunk[HASH] = kind;
    let hash = blake3::hash(&chunk[HASH..]);
    chunk[..HASH].copy_from_slice(hash.as_bytes());
    chunk.into()
}

fn begin(capacity: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(capacity);
    out.resize(HASH + 1, 0);
    out
}

fn push_row(out: &mut Vec<u8>, column: Column, key: &[u8], value: &[u8]) -> io::Result<()> {
    let len = |b: &[u8]| u32::try_from(b.len()).map_err(|_| damaged("a row is longer than 4 GiB"));
    out.push(column.code());
    out.extend_from_slice(&len(key)?.to_le_bytes());
    out.extend_from_slice(&len(value)?.to_le_bytes());
    out.extend_from_slice(key);
    out.extend_from_slice(value);
    Ok(())
}

fn end(rows: u64, chain: [u8; HASH]) -> Bytes {
    let mut out = begin(HASH + 1 + 8 + HASH);
    out.extend_from_slice(&rows.to_le_bytes());
    out.extend_from_slice(&chain);
    seal(KIND_END, out)
}

/// The hash of the hashes so far.
fn link(chain: [u8; HASH], chunk: &[u8]) -> [u8; HASH] {
    let mut h = blake3::Hasher::new();
    h.update(&chain);
    h.update(&chunk[..HASH.min(chunk.len())]);
    *h.finalize().as_bytes()
}

/// Checks a chunk's hash and takes it apart.
pub(crate) fn open(chunk: &Bytes) -> io::Result<Chunk> {
    let (hash, rest) = chunk.split_first_chunk::<HASH>().ok_or_else(|| damaged("snapshot chunk is too short"))?;
    if blake3::hash(rest).as_bytes() != hash {
        return Err(damaged("snapshot chunk was changed on its way"));
    }
    let (kind, payload) = rest.split_first().ok_or_else(|| damaged("snapshot chunk is empty"))?;
    match *kind {
        KIND_ROWS => rows(chunk.slice(HASH + 1..)).map(Chunk::Rows),
        KIND_END => {
            let (count, chain) =
                payload.split_first_chunk::<8>().ok_or_else(|| damaged("snapshot end is too short"))?;
            let chain = chain.try_into().map_err(|_| damaged("snapshot end has a wrong length"))?;
            Ok(Chunk::End { rows: u64::from_le_bytes(*count), chain })
        }
        other => Err(damaged(format!("snapshot chunk of unknown kind {other}"))),
    }
}

fn rows(mut payload: Bytes) -> io::Result<Vec<(Column, Vec<u8>, Bytes)>> {
    let mut out = Vec::new();
    while !payload.is_empty() {
        let short = || damaged("snapshot row is cut short");
        let head = payload.get(..ROW_HEAD).ok_or_else(short)?;
        let len = |b: &[u8]| b.iter().rev().fold(0usize, |n, d| n << 8 | usize::from(*d));
        let column = Column::from_code(head[0]).ok_or_else(|| damaged("snapshot row of an unknown column"))?;
        let (key, value) = (len(&head[1..5]), len(&head[5..9]));
        let total = ROW_HEAD.checked_add(key).and_then(|n| n.checked_add(value)).ok_or_else(short)?;
        if payload.len() < total || key == 0 {
            return Err(short());
        }
        let row = payload.split_to(total);
        out.push((column, row[ROW_HEAD..ROW_HEAD + key].to_vec(), row.slice(ROW_HEAD + key..)));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_come_back_and_any_flipped_bit_is_seen(
            data in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 1..40), prop::collection::vec(any::<u8>(), 0..200)), 0..20),
            at in any::<prop::sample::Index>(), bit in 0u8..8,
        ) {
            let mut out = begin(0);
            let mut want = Vec::new();
            for (body, k, v) in data {
                let column = if body { Column::Body } else { Column::State };
                push_row(&mut out, column, &k, &v).unwrap();
                want.push((column, k, Bytes::from(v)));
            }
            let chunk = seal(KIND_ROWS, out);
            prop_assert_eq!(open(&chunk).unwrap(), Chunk::Rows(want));
            let mut bad = chunk.to_vec();
            let i = at.index(bad.len());
            bad[i] ^= 1 << bit;
            prop_assert!(open(&bad.into()).is_err());
        }

        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = open(&Bytes::from(bytes.clone()));
            let _ = rows(Bytes::from(bytes.clone()));
            let _ = Manifest::decode(&bytes, GroupId(1));
        }
    }
}
