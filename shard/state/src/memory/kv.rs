//! Tables in memory.

use crate::kv::{Kv, KvRead, Table, Visit};
use std::collections::BTreeMap;
use std::ops::Bound;

/// All tables in one ordered map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryKv {
    rows: BTreeMap<(Table, Vec<u8>), Vec<u8>>,
}

impl MemoryKv {
    /// No rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// Every row: (table, key, value), by table and key.
    pub fn rows(&self) -> impl Iterator<Item = (Table, &[u8], &[u8])> {
        self.rows.iter().map(|((t, k), v)| (*t, k.as_slice(), v.as_slice()))
    }

    fn range(&self, table: Table, from: &[u8], to: &[u8]) -> impl DoubleEndedIterator<Item = (&[u8], &[u8])> {
        // BTreeMap panics on an inverted range; for us it is an empty one.
        let to = to.max(from);
        let bounds = (Bound::Included((table, from.to_vec())), Bound::Excluded((table, to.to_vec())));
        let bounds = if from == to { None } else { Some(bounds) };
        bounds.into_iter().flat_map(|b| self.rows.range(b)).map(|((_, k), v)| (k.as_slice(), v.as_slice()))
    }
}

impl KvRead for MemoryKv {
    fn get(&self, table: Table, key: &[u8]) -> Option<Vec<u8>> {
        self.rows.get(&(table, key.to_vec())).cloned()
    }
    fn scan(&self, table: Table, from: &[u8], to: &[u8], visit: &mut Visit<'_>) {
        for (k, v) in self.range(table, from, to) {
            if !visit(k, v) {
                break;
            }
        }
    }
    fn scan_back(&self, table: Table, from: &[u8], to: &[u8], visit: &mut Visit<'_>) {
        for (k, v) in self.range(table, from, to).rev() {
            if !visit(k, v) {
                break;
            }
        }
    }
}

impl Kv for MemoryKv {
    fn put(&mut self, table: Table, key: &[u8], value: Vec<u8>) {
        self.rows.insert((table, key.to_vec()), value);
    }
    fn delete(&mut self, table: Table, key: &[u8]) {
        self.rows.remove(&(table, key.to_vec()));
    }
}
