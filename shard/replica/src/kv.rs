//! The state machines' tables over the engine: a read-only one for queries, one that collects writes for apply.
//!
//! A state machine never sees a disk error (DESIGN §3.1). Here the first one is kept aside and reads as "nothing"; the
//! caller asks for it before any result leaves the replica, and the node stops.

use crate::engine::{Batch, Column, Reader, Rows};
use crate::keys::{self, PREFIX};
use bytes::Bytes;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::iter::Peekable;
use zcluster_api::GroupId;
use zcluster_state::{Kv, KvRead, Table, Visit};

/// Where a table's rows are kept.
pub fn column(table: Table) -> Column {
    match table {
        Table::Body => Column::Body,
        _ => Column::State,
    }
}

/// One generation of a group, to read.
pub struct GroupKv<'a> {
    reader: &'a dyn Reader,
    group: GroupId,
    generation: u32,
    error: RefCell<Option<io::Error>>,
}

impl<'a> GroupKv<'a> {
    /// The rows of `generation` of `group`.
    pub fn new(reader: &'a dyn Reader, group: GroupId, generation: u32) -> Self {
        GroupKv { reader, group, generation, error: RefCell::new(None) }
    }
    /// The first disk error met, which makes everything read since then worthless.
    ///
    /// # Errors
    /// That error.
    pub fn check(&self) -> io::Result<()> {
        self.error.borrow_mut().take().map_or(Ok(()), Err)
    }
    fn fail(&self, e: io::Error) {
        self.error.borrow_mut().get_or_insert(e);
    }
    fn key(&self, table: Table, key: &[u8]) -> Vec<u8> {
        keys::row(self.group, self.generation, table.code(), key)
    }
    fn rows(&self, table: Table, from: &[u8], to: &[u8], reverse: bool) -> Rows<'a> {
        self.reader.scan(column(table), &self.key(table, from), &self.key(table, to), reverse)
    }
    fn visit(&self, table: Table, from: &[u8], to: &[u8], reverse: bool, visit: &mut Visit<'_>) {
        let (from, to) = (self.key(table, from), self.key(table, to));
        let read = self.reader.each(column(table), &from, &to, reverse, &mut |key, value| {
            visit(key.get(PREFIX..).unwrap_or_default(), value)
        });
        if let Err(e) = read {
            self.fail(e);
        }
    }
}

impl KvRead for GroupKv<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Option<Vec<u8>> {
        self.reader.get(column(table), &self.key(table, key)).unwrap_or_else(|e| {
            self.fail(e);
            None
        })
    }
    fn scan(&self, table: Table, from: &[u8], to: &[u8], visit: &mut Visit<'_>) {
        self.visit(table, from, to, false, visit);
    }
    fn scan_back(&self, table: Table, from: &[u8], to: &[u8], visit: &mut Visit<'_>) {
        self.visit(table, from, to, true, visit);
    }
    fn pass(&self, table: Table, from: &[u8], to: &[u8], visit: &mut Visit<'_>) {
        let (from, to) = (self.key(table, from), self.key(table, to));
        let read = self
            .reader
            .pass(column(table), &from, &to, &mut |key, value| visit(key.get(PREFIX..).unwrap_or_default(), value));
        if let Err(e) = read {
            self.fail(e);
        }
    }
    fn scan_ranges(&self, table: Table, ranges: &[(Vec<u8>, Vec<u8>)], visit: &mut Visit<'_>) {
        let ranges: Vec<_> = ranges.iter().map(|(from, to)| (self.key(table, from), self.key(table, to))).collect();
        let read = self
            .reader
            .each_of(column(table), &ranges, &mut |key, value| visit(key.get(PREFIX..).unwrap_or_default(), value));
        if let Err(e) = read {
            self.fail(e);
        }
    }
}

type Changes = BTreeMap<Vec<u8>, Option<Bytes>>;

/// One generation of a group with changes on top that are not yet written.
pub struct Overlay<'a> {
    base: GroupKv<'a>,
    changes: BTreeMap<Table, Changes>,
}

impl<'a> Overlay<'a> {
    /// No changes yet.
    pub fn new(base: GroupKv<'a>) -> Self {
        Overlay { base, changes: BTreeMap::new() }
    }
    /// The changes as a batch.
    ///
    /// # Errors
    /// The first disk error met while reading: the changes may be wrong and must not be written.
    pub fn into_batch(self) -> io::Result<Batch> {
        self.base.check()?;
        let mut batch = Batch::new();
        for (table, changes) in self.changes {
            for (key, value) in changes {
                let key = keys::row(self.base.group, self.base.generation, table.code(), &key);
                match value {
                    Some(value) => batch.put(column(table), key, value),
                    None => batch.delete(column(table), key),
                }
            }
        }
        Ok(batch)
    }

    fn merged(&self, table: Table, from: &[u8], to: &[u8], reverse: bool, visit: &mut Visit<'_>) {
        if from >= to {
            return;
        }
        let empty = Changes::new();
        let range = self
            .changes
            .get(&table)
            .unwrap_or(&empty)
            .range::<[u8], _>((std::ops::Bound::Included(from), std::ops::Bound::Excluded(to)));
        let base = self.base.rows(table, from, to, reverse).peekable();
        if reverse {
            self.merge(base, range.rev(), |a, b| a > b, visit);
        } else {
            self.merge(base, range, |a, b| a < b, visit);
        }
    }

    /// Walks both in order; where both have a key, the change stands. `before(a, b)`: `a` comes first in this walk.
    fn merge<'c>(
        &self,
        mut base: Peekable<Rows<'_>>,
        changes: impl Iterator<Item = (&'c Vec<u8>, &'c Option<Bytes>)>,
        before: impl Fn(&[u8], &[u8]) -> bool,
        visit: &mut Visit<'_>,
    ) {
        let mut changes = changes.peekable();
        loop {
            // Ends at a disk error.
            let stored = match base.peek() {
                None => None,
                Some(Ok((key, _))) => Some(key.get(PREFIX..).unwrap_or_default()),
                Some(Err(_)) => {
                    if let Some(Err(e)) = base.next() {
                        self.base.fail(e);
                    }
                    return;
                }
            };
            let changed = changes.peek().map(|(key, _)| key.as_slice());
            let (take_base, take_change) = match (stored, changed) {
                (None, None) => return,
                (Some(_), None) => (true, false),
                (None, Some(_)) => (false, true),
                (Some(s), Some(c)) => (!before(c, s), !before(s, c)),
            };
            let row = if take_base { base.next() } else { None };
            let go_on = match (take_change.then(|| changes.next()).flatten(), row) {
                (Some((key, Some(value))), _) => visit(key, value),
                (Some((_, None)), _) => true,
                (None, Some(Ok((key, value)))) => visit(key.get(PREFIX..).unwrap_or_default(), &value),
                (None, _) => true,
            };
            if !go_on {
                return;
            }
        }
    }
}

impl KvRead for Overlay<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Option<Vec<u8>> {
        match self.changes.get(&table).and_then(|c| c.get(key)) {
            Some(change) => change.as_ref().map(|v| v.to_vec()),
            None => self.base.get(table, key),
        }
    }
    fn scan(&self, table: Table, from: &[u8], to: &[u8], visit: &mut Visit<'_>) {
        self.merged(table, from, to, false, visit);
    }
    fn scan_back(&self, table: Table, from: &[u8], to: &[u8], visit: &mut Visit<'_>) {
        self.merged(table, from, to, true, visit);
    }
}

impl Kv for Overlay<'_> {
    fn put(&mut self, table: Table, key: &[u8], value: Vec<u8>) {
        self.changes.entry(table).or_default().insert(key.to_vec(), Some(value.into()));
    }
    fn delete(&mut self, table: Table, key: &[u8]) {
        self.changes.entry(table).or_default().insert(key.to_vec(), None);
    }
}
