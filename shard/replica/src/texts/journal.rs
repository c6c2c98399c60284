//! Which messages came and went, by log position, for whoever keeps something derived from them: written in the same batch
//! as the rows, so that it says neither more nor less than these do after any crash. It is this node's own, no part of the
//! state, and goes away as soon as the text index has caught up.

use crate::engine::{Batch, Column, Op, Reader};
use crate::keys;
use crate::meta::damaged;
use std::io;
use std::ops::ControlFlow;
use zcluster_api::{GroupId, ItemId, MailboxId};
use zcluster_state::Table;

/// The generation that holds a group's own record.
const OWN: u32 = 0;
const ROWS: u8 = 1;
const BEGIN: u8 = 2;

/// A message that came or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// The log position that the batch led to.
    pub index: u64,
    pub mailbox: MailboxId,
    pub item: ItemId,
    /// It came.
    pub added: bool,
}

fn row_key(group: GroupId, index: u64, mailbox_and_item: &[u8]) -> Vec<u8> {
    let mut key = index.to_be_bytes().to_vec();
    key.extend_from_slice(mailbox_and_item);
    keys::row(group, OWN, ROWS, &key)
}

/// Adds to a batch that leads to `index` what it does to messages.
pub(crate) fn note(batch: &mut Batch, group: GroupId, index: u64) {
    let cold = |key: &[u8]| {
        let row = key.get(keys::PREFIX - 1..)?;
        row.split_first().filter(|(table, _)| **table == Table::Cold.code()).map(|(_, key)| key.to_vec())
    };
    let notes: Vec<(Vec<u8>, bool)> = batch
        .0
        .iter()
        .filter_map(|op| match op {
            Op::Put(Column::State, key, _) => cold(key).map(|key| (key, true)),
            Op::Delete(Column::State, key) => cold(key).map(|key| (key, false)),
            _ => None,
        })
        .collect();
    for (key, added) in notes {
        batch.put(Column::State, row_key(group, index, &key), vec![u8::from(added)]);
    }
}

/// From where on the journal has everything: changes of positions above. `None`: it was never begun, or was interrupted.
pub(crate) fn begin(reader: &dyn Reader, group: GroupId) -> io::Result<Option<u64>> {
    let row = reader.get(Column::State, &keys::row(group, OWN, BEGIN, &[]))?;
    row.map(|row| row.as_slice().try_into().map(u64::from_be_bytes).map_err(damaged)).transpose()
}

/// Begins the journal at a position, or (`None`) ends it: nobody writes it from now on.
pub(crate) fn set_begin(batch: &mut Batch, group: GroupId, from: Option<u64>) {
    let key = keys::row(group, OWN, BEGIN, &[]);
    match from {
        Some(from) => batch.put(Column::State, key, from.to_be_bytes().to_vec()),
        None => batch.delete(Column::State, key),
    }
}

/// Calls `visit` with the changes of positions above `after`, in order, until it breaks.
pub(crate) fn each(
    reader: &dyn Reader,
    group: GroupId,
    after: u64,
    mut visit: impl FnMut(Change) -> ControlFlow<()>,
) -> io::Result<()> {
    let (from, to) = (row_key(group, after.saturating_add(1), &[]), keys::after_table(group, OWN, ROWS));
    let mut short = false;
    reader.each(Column::State, &from, &to, false, &mut |key, value| {
        let Some(change) = parse(key, value) else {
            short = true;
            return false;
        };
        visit(change).is_continue()
    })?;
    if short { Err(damaged("a note of a message is short")) } else { Ok(()) }
}

fn parse(key: &[u8], value: &[u8]) -> Option<Change> {
    let (index, key) = key.get(keys::PREFIX..)?.split_first_chunk()?;
    let (mailbox, key) = key.split_first_chunk()?;
    let item = key.first_chunk()?;
    Some(Change {
        index: u64::from_be_bytes(*index),
        mailbox: MailboxId(u64::from_be_bytes(*mailbox)),
        item: ItemId(u32::from_be_bytes(*item)),
        added: value == [1],
    })
}

/// Forgets the changes up to a position, at most `most` of them. Says whether that was all.
pub(crate) fn prune(
    batch: &mut Batch,
    reader: &dyn Reader,
    group: GroupId,
    upto: u64,
    most: usize,
) -> io::Result<bool> {
    let (from, to) = (row_key(group, 0, &[]), row_key(group, upto.saturating_add(1), &[]));
    let mut keys = Vec::new();
    reader.each(Column::State, &from, &to, false, &mut |key, _| {
        keys.push(key.to_vec());
        keys.len() <= most
    })?;
    let all = keys.len() <= most;
    keys.truncate(most);
    if let Some(last) = keys.last().and_then(|key| parse(key, &[])) {
        // Whoever knows less than this cannot catch up from here.
        let known = if all { upto } else { last.index };
        set_begin(batch, group, Some(known));
    }
    keys.into_iter().for_each(|key| batch.delete(Column::State, key));
    Ok(all)
}
