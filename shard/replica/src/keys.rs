//! How rows of a group are named in the engine: `group u32 | generation u32 | table u8 | key`, big endian.
//!
//! A generation is one incarnation of a group's state on this node: installing a snapshot writes a new one beside the
//! old and then flips. Generation 0 holds the group's own record ([`crate::meta`]).

use zcluster_api::GroupId;

/// Bytes before a row's own key.
pub const PREFIX: usize = 9;

fn head(group: GroupId, generation: u32, room: usize) -> Vec<u8> {
    let mut k = Vec::with_capacity(8 + room);
    k.extend_from_slice(&group.0.to_be_bytes());
    k.extend_from_slice(&generation.to_be_bytes());
    k
}

/// A row's full key.
pub fn row(group: GroupId, generation: u32, table: u8, key: &[u8]) -> Vec<u8> {
    let mut k = head(group, generation, 1 + key.len());
    k.push(table);
    k.extend_from_slice(key);
    k
}

/// The bounds `[from, to)` of a generation.
pub fn generation(group: GroupId, generation: u32) -> (Vec<u8>, Vec<u8>) {
    (head(group, generation, 0), after(group, generation))
}

/// The bounds `[from, to)` of everything of a group.
pub fn group(group: GroupId) -> (Vec<u8>, Vec<u8>) {
    (head(group, 0, 0), after(group, u32::MAX))
}

/// The first key behind a generation.
pub fn after(group: GroupId, generation: u32) -> Vec<u8> {
    match (generation.checked_add(1), group.0.checked_add(1)) {
        (Some(next), _) => head(group, next, 0),
        (None, Some(next)) => head(GroupId(next), 0, 0),
        // Behind the last key there can be.
        (None, None) => vec![0xFF; PREFIX],
    }
}

/// The first key behind a table of a generation.
pub fn after_table(group: GroupId, generation: u32, table: u8) -> Vec<u8> {
    match table.checked_add(1) {
        Some(next) => row(group, generation, next, &[]),
        None => after(group, generation),
    }
}

/// The group and generation of a full key.
pub fn parse(key: &[u8]) -> Option<(GroupId, u32)> {
    let (group, rest) = key.split_first_chunk::<4>()?;
    let (generation, _) = rest.split_first_chunk::<4>()?;
    Some((GroupId(u32::from_be_bytes(*group)), u32::from_be_bytes(*generation)))
}
