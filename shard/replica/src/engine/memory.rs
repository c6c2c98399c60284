//! An engine in memory that forgets what was not flushed: for tests and the simulator.

use super::{Batch, Column, Op, Reader, Row, Rows, StateEngine};
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::sync::Arc;

type Map = BTreeMap<(Column, Vec<u8>), bytes::Bytes>;

/// Rows in memory; a [`MemoryEngine::crash`] goes back to the last flush.
#[derive(Default)]
pub struct MemoryEngine {
    now: RwLock<Arc<Map>>,
    flushed: RwLock<Arc<Map>>,
}

struct MemoryView(Arc<Map>);

impl MemoryEngine {
    /// Empty.
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }
    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.now.read().len()
    }
    /// Loses everything written since the last flush, as a power cut would.
    pub fn crash(&self) {
        *self.now.write() = self.flushed.read().clone();
    }
}

fn scan<'a>(map: &Arc<Map>, column: Column, from: &[u8], to: &[u8], reverse: bool) -> Rows<'a> {
    if from >= to {
        return Box::new(std::iter::empty());
    }
    let range = map.range((Bound::Included((column, from.to_vec())), Bound::Excluded((column, to.to_vec()))));
    // Copied out: tests only, and it keeps the iterator free of the map's lock.
    let mut rows: Vec<io::Result<Row>> = range.map(|((_, k), v)| Ok((k.clone(), v.to_vec()))).collect();
    if reverse {
        rows.reverse();
    }
    Box::new(rows.into_iter())
}

impl Reader for MemoryView {
    fn get(&self, column: Column, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.get(&(column, key.to_vec())).map(|v| v.to_vec()))
    }
    fn scan<'a>(&'a self, column: Column, from: &[u8], to: &[u8], reverse: bool) -> Rows<'a> {
        scan(&self.0, column, from, to, reverse)
    }
}

impl Reader for MemoryEngine {
    fn get(&self, column: Column, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        Ok(self.now.read().get(&(column, key.to_vec())).map(|v| v.to_vec()))
    }
    fn scan<'a>(&'a self, column: Column, from: &[u8], to: &[u8], reverse: bool) -> Rows<'a> {
        scan(&self.now.read().clone(), column, from, to, reverse)
    }
}

impl StateEngine for MemoryEngine {
    fn view(&self) -> Arc<dyn Reader> {
        Arc::new(MemoryView(self.now.read().clone()))
    }
    fn write(&self, batch: Batch) -> io::Result<()> {
        let mut now = self.now.write();
        let map = Arc::make_mut(&mut now);
        for op in batch.0 {
            match op {
                Op::Put(c, k, v) => drop(map.insert((c, k), v)),
                Op::Delete(c, k) => drop(map.remove(&(c, k))),
                Op::DeleteRange(c, from, to) => {
                    let gone: Vec<_> = map
                        .range((Bound::Included((c, from)), Bound::Unbounded))
                        .take_while(|((kc, k), _)| *kc == c && *k < to)
                        .map(|(k, _)| k.clone())
                        .collect();
                    for k in gone {
                        map.remove(&k);
                    }
                }
            }
        }
        Ok(())
    }
    fn flush(&self) -> io::Result<()> {
        *self.flushed.write() = self.now.read().clone();
        Ok(())
    }
    fn figures(&self) -> Vec<(&'static str, u64)> {
        vec![("rows", self.now.read().len() as u64)]
    }
}
