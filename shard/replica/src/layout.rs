//! How the rows in a [`StateEngine`](crate::StateEngine) are to be read by whoever looks in from outside: simulated
//! disks and tools. The replicas themselves do not need it.

use crate::engine::{Column, Reader};
use crate::{keys, meta};
use std::io;
use zcluster_api::GroupId;
use zcluster_raft::LogId;

/// A full key taken apart: the group, the generation, and what names the row within it (table and key). `None` for
/// bytes that are no row of a group. Generation 0 holds the group's own record, not state.
pub fn split(key: &[u8]) -> Option<(GroupId, u32, &[u8])> {
    let (group, generation) = keys::parse(key)?;
    Some((group, generation, key.get(keys::PREFIX - 1..)?))
}

/// Whether the row says where a group stands (see [`position`]).
pub fn is_position(column: Column, key: &[u8]) -> bool {
    column == Column::State && keys::parse(key).is_some_and(|(group, _)| key == meta::position_key(group))
}

/// A group's present generation and the log position its rows are at.
///
/// # Errors
/// The disk.
pub fn position(reader: &dyn Reader, group: GroupId) -> io::Result<(u32, Option<LogId>)> {
    meta::read_position(reader, group)
}
