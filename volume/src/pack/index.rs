//! Reading and verifying.

use super::{Bad, END_MAGIC, ENTRY, HEADER, MAGIC, TRAILER, VERSION, header};
use bytes::Bytes;
use zcluster_api::{BlobId, Codec, Error, Volumes};

/// The first read of a pack's end: enough for the index of some hundred bodies.
const TAIL: u64 = 64 * 1024;

/// Where a body lies in its pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Content name: BLAKE3 of the bytes as accepted.
    pub id: BlobId,
    /// Bytes as accepted, uncompressed.
    pub size: u64,
    /// Compression of the stored bytes.
    pub codec: Codec,
    /// First byte within the pack.
    pub offset: u64,
    /// Stored bytes.
    pub len: u64,
    /// BLAKE3 of the stored bytes.
    pub check: [u8; 32],
}

impl Entry {
    pub(super) fn encode(&self) -> [u8; ENTRY] {
        let mut out = [0; ENTRY];
        out[..32].copy_from_slice(&self.id.0);
        out[32..64].copy_from_slice(&self.check);
        out[64..72].copy_from_slice(&self.offset.to_le_bytes());
        out[72..80].copy_from_slice(&self.len.to_le_bytes());
        out[80..88].copy_from_slice(&self.size.to_le_bytes());
        out[88] = match self.codec {
            Codec::Plain => 0,
            Codec::Zstd => 1,
        };
        out
    }

    /// From the first [`ENTRY`] bytes of `at`, which has as many.
    fn decode(at: &[u8]) -> Result<Entry, Bad> {
        let codec = match at[88] {
            0 => Codec::Plain,
            1 => Codec::Zstd,
            _ => return Err(Bad::Index("an unknown compression")),
        };
        Ok(Entry {
            id: BlobId(array(at, 0)),
            check: array(at, 32),
            offset: number(at, 64),
            len: number(at, 72),
            size: number(at, 80),
            codec,
        })
    }

    /// Whether `stored` are the bytes that were written.
    pub fn holds(&self, stored: &[u8]) -> bool {
        stored.len() as u64 == self.len && blake3::hash(stored).as_bytes() == &self.check
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    std::array::from_fn(|i| bytes[at + i])
}

fn number(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(bytes, at))
}

/// What the last bytes of a pack say.
struct Trailer {
    /// Where the index begins.
    at: u64,
    entries: usize,
    entry_len: usize,
    bytes: [u8; TRAILER],
}

impl Trailer {
    /// From the end of a pack of `size` bytes.
    fn read(end: &[u8], size: u64) -> Result<Trailer, Bad> {
        if size < (HEADER + TRAILER) as u64 || end.len() < TRAILER {
            return Err(Bad::NotAPack("too short"));
        }
        let bytes: [u8; TRAILER] = array(end, end.len() - TRAILER);
        if bytes[56..] != END_MAGIC[..] {
            return Err(Bad::NotAPack("its end is missing"));
        }
        let version = u16::from_le_bytes(array(&bytes, 14));
        if version != VERSION {
            return Err(Bad::Version(version));
        }
        let (at, entries) = (number(&bytes, 0), u32::from_le_bytes(array(&bytes, 8)) as usize);
        let entry_len = usize::from(u16::from_le_bytes(array(&bytes, 12)));
        if entry_len < ENTRY {
            return Err(Bad::Index("entries too short"));
        }
        let index = entries as u64 * entry_len as u64;
        let whole = at.checked_add(index).and_then(|n| n.checked_add(TRAILER as u64));
        if at < HEADER as u64 || whole != Some(size) {
            return Err(Bad::Index("its place and the pack's length do not fit"));
        }
        Ok(Trailer { at, entries, entry_len, bytes })
    }

    /// From the index's bytes, trailer not included.
    fn index(&self, index: &[u8]) -> Result<Index, Bad> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&header()).update(index).update(&self.bytes[..16]);
        if index.len() != self.entries * self.entry_len || hasher.finalize().as_bytes()[..] != self.bytes[16..48] {
            return Err(Bad::Index("its checksum is wrong"));
        }
        let entries: Result<Vec<_>, _> = index.chunks_exact(self.entry_len).map(Entry::decode).collect();
        let entries = entries?;
        let within = |e: &Entry| {
            e.offset >= HEADER as u64 && e.offset.checked_add(e.len).is_some_and(|end| end <= self.at)
        };
        if !entries.iter().all(within) {
            return Err(Bad::Index("a body lies outside"));
        }
        Ok(Index { entries })
    }
}

/// What a pack contains, in the order of offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// Its bodies.
    pub entries: Vec<Entry>,
}

impl Index {
    /// Of a pack that is at hand; bodies are not looked at.
    ///
    /// # Errors
    /// Not a whole pack of a known version with an undamaged index.
    pub fn of(pack: &[u8]) -> Result<Index, Bad> {
        if pack.len() < HEADER || pack[..8] != MAGIC[..] {
            return Err(Bad::NotAPack("its beginning is missing"));
        }
        let trailer = Trailer::read(pack, pack.len() as u64)?;
        if pack[..HEADER] != header() {
            return Err(Bad::NotAPack("an unknown header"));
        }
        // The trailer was found to fit the pack's length.
        trailer.index(&pack[trailer.at as usize..pack.len() - TRAILER])
    }

    /// Of a pack of `size` bytes on a volume, by one or two reads of its end.
    ///
    /// # Errors
    /// The volume's; `Invalid` where it is not a pack or its index is damaged.
    pub async fn read(volumes: &dyn Volumes, volume: &str, object: &str, size: u64) -> Result<Index, Error> {
        let bad = |e: Bad| Error::Invalid(format!("{volume}:{object}: {e}"));
        let from = size.saturating_sub(TAIL);
        let end = volumes.read(volume, object, from..size).await?;
        let trailer = Trailer::read(&end, size).map_err(bad)?;
        let last = size - TRAILER as u64;
        let index: Bytes = match trailer.at.checked_sub(from) {
            Some(at) => end.slice(at as usize..end.len() - TRAILER),
            None => volumes.read(volume, object, trailer.at..last).await?,
        };
        trailer.index(&index).map_err(bad)
    }
}

/// Looks at everything: the index, and each body's bytes.
///
/// # Errors
/// The first thing that is not as it was written.
pub fn verify(pack: &[u8]) -> Result<Index, Bad> {
    let index = Index::of(pack)?;
    for (n, entry) in index.entries.iter().enumerate() {
        // Its bounds are within the pack.
        if !entry.holds(&pack[entry.offset as usize..(entry.offset + entry.len) as usize]) {
            return Err(Bad::Body(n));
        }
    }
    Ok(index)
}
