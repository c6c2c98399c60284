//! Packs: many bodies in one object (docs/storage.md has the format byte by byte).
//!
//! A pack begins with a header, then come the stored bytes of its bodies, one behind the other, then an index of them,
//! then a trailer that says where the index begins. It is written once, whole. Who refers to a body keeps its offset and
//! length and needs no index; the index is for verifying, compacting and for saving what is left after a disaster.

mod index;
mod writer;

pub use index::{Entry, Index, verify};
pub use writer::{Body, Full, Writer};

use std::fmt;

/// A pack is written once it has so many bytes.
pub const TARGET: usize = 32 * 1024 * 1024;
/// Bytes of bodies in a pack at most.
pub const MAX: usize = 64 * 1024 * 1024;
/// The version that is written, and the newest that is read.
pub const VERSION: u16 = 1;

const MAGIC: &[u8; 8] = b"ZCPACK\r\n";
const END_MAGIC: &[u8; 8] = b"\r\nZCPEND";
/// Magic, version, six bytes of zero.
const HEADER: usize = 16;
/// Id, check, offset, length, size, codec, seven bytes of zero.
const ENTRY: usize = 96;
/// Index offset, entries, entry length, version, check, eight bytes of zero, magic.
const TRAILER: usize = 64;

fn header() -> [u8; HEADER] {
    let mut out = [0; HEADER];
    out[..8].copy_from_slice(MAGIC);
    out[8..10].copy_from_slice(&VERSION.to_le_bytes());
    out
}

/// What is wrong with a pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bad {
    /// It is none, or its end is missing.
    NotAPack(&'static str),
    /// Of a version that this program does not know.
    Version(u16),
    /// The index is not what was written.
    Index(&'static str),
    /// A body is not what was written: its place in the index.
    Body(usize),
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bad::NotAPack(why) => write!(f, "not a pack: {why}"),
            Bad::Version(v) => write!(f, "a pack of version {v}; this program knows up to {VERSION}"),
            Bad::Index(why) => write!(f, "the pack's index is damaged: {why}"),
            Bad::Body(n) => write!(f, "body {n} of the pack is damaged"),
        }
    }
}
impl std::error::Error for Bad {}

#[cfg(test)]
mod tests;
