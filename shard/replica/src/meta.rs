//! A group's own record in the engine: which generation is its state, and up to where the log is in it.
//!
//! It is written in the same batch as the rows it speaks of, so that after any crash the rows are exactly those of
//! the position the record names.

use crate::engine::{Batch, Column, Reader};
use crate::keys;
use bytes::Bytes;
use minicbor::{Decode, Encode};
use std::io;
use zcluster_api::{GroupId, codec};
use zcluster_raft::{Applied, LogId};

/// The generation that holds no rows but the record.
const OWN: u32 = 0;
/// A group's first generation of rows.
pub const FIRST_GENERATION: u32 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
struct PositionRow {
    #[n(0)]
    generation: u32,
    #[n(1)]
    last: Option<LogPosition>,
}

/// [`LogId`] as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct LogPosition {
    /// Term.
    #[n(0)]
    pub term: u64,
    /// Index.
    #[n(1)]
    pub index: u64,
}

impl From<LogId> for LogPosition {
    fn from(id: LogId) -> Self {
        LogPosition { term: id.term, index: id.index }
    }
}
impl From<LogPosition> for LogId {
    fn from(p: LogPosition) -> Self {
        LogId { term: p.term, index: p.index }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct MembershipRow {
    #[n(0)]
    at: LogPosition,
    #[cbor(n(1), with = "zcluster_api::codec::bytes_field")]
    bytes: Bytes,
}

/// What the record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Where the rows are.
    pub generation: u32,
    /// What is in them.
    pub applied: Applied,
}

impl Default for Meta {
    fn default() -> Self {
        Meta { generation: FIRST_GENERATION, applied: Applied::default() }
    }
}

/// Names the record of the generation and position.
pub fn position_key(group: GroupId) -> Vec<u8> {
    keys::row(group, OWN, 0, b"applied")
}
fn membership_key(group: GroupId) -> Vec<u8> {
    keys::row(group, OWN, 0, b"members")
}

/// Marks a group that is on its way out of this node.
pub fn leaving_key(group: GroupId) -> Vec<u8> {
    keys::row(group, OWN, 0, b"leaving")
}

/// A decoding fault of stored bytes, as the disk error it is.
pub fn damaged(e: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("state database: {e}"))
}

/// Reads the generation and applied position only.
///
/// # Errors
/// The disk.
pub fn read_position(reader: &dyn Reader, group: GroupId) -> io::Result<(u32, Option<LogId>)> {
    match reader.get(Column::State, &position_key(group))? {
        None => Ok((FIRST_GENERATION, None)),
        Some(b) => {
            let row: PositionRow = codec::decode(&b).map_err(damaged)?;
            Ok((row.generation, row.last.map(LogId::from)))
        }
    }
}

/// Reads a group's record; a group never seen has the default one.
///
/// # Errors
/// The disk.
pub fn read(reader: &dyn Reader, group: GroupId) -> io::Result<Meta> {
    let (generation, last) = read_position(reader, group)?;
    let membership = match reader.get(Column::State, &membership_key(group))? {
        None => None,
        Some(b) => {
            let row: MembershipRow = codec::decode(&b).map_err(damaged)?;
            Some((row.at.into(), row.bytes))
        }
    };
    Ok(Meta { generation, applied: Applied { last, membership } })
}

/// Adds the position to the batch that brings the rows there.
pub fn write_position(batch: &mut Batch, group: GroupId, generation: u32, last: Option<LogId>) {
    let row = PositionRow { generation, last: last.map(LogPosition::from) };
    batch.put(Column::State, position_key(group), codec::encode(&row));
}

/// Adds the membership to the batch.
pub fn write_membership(batch: &mut Batch, group: GroupId, membership: Option<&(LogId, Bytes)>) {
    match membership {
        Some((at, bytes)) => {
            let row = MembershipRow { at: (*at).into(), bytes: bytes.clone() };
            batch.put(Column::State, membership_key(group), codec::encode(&row));
        }
        None => batch.delete(Column::State, membership_key(group)),
    }
}
