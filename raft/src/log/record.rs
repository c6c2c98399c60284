//! How entries and group records stand on disk. The encoding is versioned and fixed by golden bytes in the tests.

use super::Vote;
use crate::codec::{Reader, Writer};
use crate::{Entry, EntryKind, LogId};
use bytes::Bytes;
use std::io;

/// Version of an entry's encoding.
const ENTRY_VERSION: u8 = 1;
/// Version byte, kind, checksum, term.
const ENTRY_HEADER: usize = 1 + 1 + 4 + 8;
/// Version of a meta record's encoding.
const META_VERSION: u8 = 1;

const KIND_BLANK: u8 = 0;
const KIND_NORMAL: u8 = 1;
const KIND_MEMBERSHIP: u8 = 2;

/// Group and index, big-endian, so that a group's entries lie in order.
pub(super) fn entry_key(group: u32, index: u64) -> [u8; 12] {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&group.to_be_bytes());
    key[4..].copy_from_slice(&index.to_be_bytes());
    key
}

/// The group and index of an entry's key.
pub(super) fn parse_entry_key(key: &[u8]) -> Option<(u32, u64)> {
    let key: &[u8; 12] = key.try_into().ok()?;
    let (group, index) = key.split_at(4);
    Some((u32::from_be_bytes(group.try_into().ok()?), u64::from_be_bytes(index.try_into().ok()?)))
}

pub(crate) fn kind_parts(kind: &EntryKind) -> (u8, &[u8]) {
    match kind {
        EntryKind::Blank => (KIND_BLANK, &[]),
        EntryKind::Normal(b) => (KIND_NORMAL, b),
        EntryKind::Membership(b) => (KIND_MEMBERSHIP, b),
    }
}

pub(crate) fn kind_from_parts(kind: u8, body: Bytes) -> io::Result<EntryKind> {
    match kind {
        KIND_BLANK if body.is_empty() => Ok(EntryKind::Blank),
        KIND_NORMAL => Ok(EntryKind::Normal(body)),
        KIND_MEMBERSHIP => Ok(EntryKind::Membership(body)),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "unknown kind of entry")),
    }
}

/// Covers where the entry stands, so that an entry that lies in another's place is found out too.
fn checksum(group: u32, id: LogId, kind: u8, body: &[u8]) -> u32 {
    let mut head = [0; 21];
    head[..4].copy_from_slice(&group.to_be_bytes());
    head[4..12].copy_from_slice(&id.index.to_be_bytes());
    head[12..20].copy_from_slice(&id.term.to_be_bytes());
    head[20] = kind;
    crc32c::crc32c_append(crc32c::crc32c(&head), body)
}

/// Writes an entry's value into `out`, replacing what is there.
pub(super) fn encode_entry(group: u32, entry: &Entry, out: &mut Vec<u8>) {
    let (kind, body) = kind_parts(&entry.kind);
    out.clear();
    out.reserve(ENTRY_HEADER + body.len());
    out.extend_from_slice(&[ENTRY_VERSION, kind]);
    out.extend_from_slice(&checksum(group, entry.id, kind, body).to_be_bytes());
    out.extend_from_slice(&entry.id.term.to_be_bytes());
    out.extend_from_slice(body);
}

/// Reads an entry's value and checks it.
pub(super) fn decode_entry(group: u32, index: u64, value: Bytes) -> io::Result<Entry> {
    let mut r = Reader::new(value);
    r.version(ENTRY_VERSION)?;
    let kind = r.u8()?;
    let sum = r.u32()?;
    let id = LogId { term: r.u64()?, index };
    let body = r.rest();
    if checksum(group, id, kind, &body) != sum {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("checksum of entry {index} of group {group} does not match"),
        ));
    }
    Ok(Entry { id, kind: kind_from_parts(kind, body)? })
}

/// The kinds of record a group has beside its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MetaKey {
    Vote = 1,
    Committed = 2,
    Purged = 3,
    Left = 4,
}

pub(super) fn meta_key(group: u32, key: MetaKey) -> [u8; 5] {
    let g = group.to_be_bytes();
    [g[0], g[1], g[2], g[3], key as u8]
}

pub(super) fn parse_meta_key(key: &[u8]) -> Option<(u32, MetaKey)> {
    let (group, tag) = key.split_at_checked(4)?;
    let group = u32::from_be_bytes(group.try_into().ok()?);
    let key = match tag {
        [1] => MetaKey::Vote,
        [2] => MetaKey::Committed,
        [3] => MetaKey::Purged,
        [4] => MetaKey::Left,
        _ => return None,
    };
    Some((group, key))
}

fn seal(w: Writer) -> Bytes {
    let body = w.finish();
    let mut out = Writer::with_capacity(body.len() + 5);
    out.u8(META_VERSION);
    out.u32(crc32c::crc32c(&body));
    out.raw(&body);
    out.finish()
}

fn unseal(value: Bytes) -> io::Result<Reader> {
    let mut r = Reader::new(value);
    r.version(META_VERSION)?;
    let sum = r.u32()?;
    let body = r.rest();
    if crc32c::crc32c(&body) != sum {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "checksum of a group record does not match"));
    }
    Ok(Reader::new(body))
}

pub(super) fn encode_vote(v: Vote) -> Bytes {
    let mut w = Writer::with_capacity(17);
    w.vote(v);
    seal(w)
}

pub(super) fn decode_vote(value: Bytes) -> io::Result<Vote> {
    let mut r = unseal(value)?;
    let v = r.vote()?;
    r.end()?;
    Ok(v)
}

pub(super) fn encode_id(id: LogId) -> Bytes {
    let mut w = Writer::with_capacity(16);
    w.id(id);
    seal(w)
}

pub(super) fn decode_id(value: Bytes) -> io::Result<LogId> {
    let mut r = unseal(value)?;
    let id = r.id()?;
    r.end()?;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn golden_bytes() {
        let entry = Entry { id: LogId { term: 3, index: 7 }, kind: EntryKind::Normal(Bytes::from_static(b"hello")) };
        let mut out = Vec::new();
        encode_entry(2, &entry, &mut out);
        assert_eq!(hex(&out), "010180436f28000000000000000368656c6c6f");
        assert_eq!(hex(&entry_key(2, 7)), "000000020000000000000007");
        assert_eq!(
            hex(&encode_vote(Vote { term: 4, node: 65537, committed: true })),
            "01c50c67a20000000000000004000000000001000101"
        );
        assert_eq!(hex(&encode_id(LogId { term: 1, index: 2 })), "0157753c5500000000000000010000000000000002");
    }

    fn hex(b: &[u8]) -> String {
        b.iter().map(|b| format!("{b:02x}")).collect()
    }

    proptest! {
        #[test]
        fn entries_survive(group: u32, term: u64, index: u64, body: Vec<u8>, kind in 0u8..3) {
            let body = if kind == 0 { Vec::new() } else { body };
            let entry = Entry { id: LogId { term, index }, kind: kind_from_parts(kind, body.into()).unwrap() };
            let mut out = Vec::new();
            encode_entry(group, &entry, &mut out);
            let back = decode_entry(group, index, out.clone().into()).unwrap();
            prop_assert_eq!(back.id, entry.id);
            prop_assert_eq!(kind_parts(&back.kind), kind_parts(&entry.kind));
            // In another place it is not the same entry.
            prop_assert!(decode_entry(group ^ 1, index, out.clone().into()).is_err());
            prop_assert!(decode_entry(group, index ^ 1, out.into()).is_err());
        }

        #[test]
        fn a_flipped_bit_is_seen(body: Vec<u8>, at: prop::sample::Index, bit in 0u8..8) {
            let entry = Entry { id: LogId { term: 1, index: 1 }, kind: EntryKind::Normal(body.into()) };
            let mut out = Vec::new();
            encode_entry(1, &entry, &mut out);
            let at = at.index(out.len());
            out[at] ^= 1 << bit;
            prop_assert!(decode_entry(1, 1, out.into()).is_err());
        }

        #[test]
        fn garbage_is_refused(bytes: Vec<u8>) {
            let bytes = Bytes::from(bytes);
            let _ = decode_entry(1, 1, bytes.clone());
            let _ = decode_vote(bytes.clone());
            let _ = decode_id(bytes.clone());
            let _ = parse_meta_key(&bytes);
            let _ = parse_entry_key(&bytes);
        }
    }
}
