//! Writing.

use super::index::Entry;
use super::{END_MAGIC, ENTRY, HEADER, MAX, TARGET, TRAILER, VERSION, header};
use bytes::{Bytes, BytesMut};
use std::collections::BTreeMap;
use std::fmt;
use zcluster_api::{BlobId, Codec};

/// A body to be packed.
#[derive(Clone, Debug)]
pub struct Body {
    /// Content name.
    pub id: BlobId,
    /// Bytes as accepted, uncompressed.
    pub size: u64,
    /// Compression of `stored`.
    pub codec: Codec,
    /// What is written.
    pub stored: Bytes,
}

/// The body does not fit any more: this pack is to be finished and another begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the pack is full")
    }
}
impl std::error::Error for Full {}

/// Collects bodies in memory: at most [`MAX`] bytes and their index.
#[derive(Debug)]
pub struct Writer {
    bytes: BytesMut,
    entries: Vec<Entry>,
    known: BTreeMap<BlobId, usize>,
}

impl Default for Writer {
    fn default() -> Self {
        Self::new()
    }
}

impl Writer {
    /// An empty pack.
    pub fn new() -> Self {
        Writer { bytes: BytesMut::from(&header()[..]), entries: Vec::new(), known: BTreeMap::new() }
    }

    /// Adds a body; where it lies in the pack. A body that is there already is not added again.
    ///
    /// # Errors
    /// [`Full`]; nothing was added. An empty pack takes any body of at most [`MAX`] bytes.
    pub fn push(&mut self, body: &Body) -> Result<Entry, Full> {
        if let Some(at) = self.known.get(&body.id) {
            return Ok(self.entries[*at].clone());
        }
        if self.len() + body.stored.len() > MAX {
            return Err(Full);
        }
        let entry = Entry {
            id: body.id,
            size: body.size,
            codec: body.codec,
            offset: self.bytes.len() as u64,
            len: body.stored.len() as u64,
            check: *blake3::hash(&body.stored).as_bytes(),
        };
        self.bytes.extend_from_slice(&body.stored);
        self.known.insert(body.id, self.entries.len());
        self.entries.push(entry.clone());
        Ok(entry)
    }

    /// Bytes of bodies so far.
    pub fn len(&self) -> usize {
        self.bytes.len() - HEADER
    }

    /// Whether there are no bodies yet.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bodies so far.
    pub fn count(&self) -> usize {
        self.entries.len()
    }

    /// Whether it is large enough to be written.
    pub fn is_full(&self) -> bool {
        self.len() >= TARGET
    }

    /// The pack's bytes.
    pub fn finish(self) -> Bytes {
        let Writer { mut bytes, entries, .. } = self;
        let at = bytes.len();
        bytes.reserve(entries.len() * ENTRY + TRAILER);
        for entry in &entries {
            bytes.extend_from_slice(&entry.encode());
        }
        let mut trailer = [0; TRAILER];
        trailer[..8].copy_from_slice(&(at as u64).to_le_bytes());
        // MAX bytes of bodies are fewer than 2^32 bodies: only one of them is empty, ids being names of contents.
        trailer[8..12].copy_from_slice(&(entries.len() as u32).to_le_bytes());
        trailer[12..14].copy_from_slice(&(ENTRY as u16).to_le_bytes());
        trailer[14..16].copy_from_slice(&VERSION.to_le_bytes());
        let mut hasher = blake3::Hasher::new();
        hasher.update(&header()).update(&bytes[at..]).update(&trailer[..16]);
        trailer[16..48].copy_from_slice(hasher.finalize().as_bytes());
        trailer[56..].copy_from_slice(END_MAGIC);
        bytes.extend_from_slice(&trailer);
        bytes.freeze()
    }
}
