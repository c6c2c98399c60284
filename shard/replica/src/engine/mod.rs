//! Where state rows are kept: the seam between replicas and a storage engine.
//!
//! The engine has no write-ahead log of its own (DESIGN §3.3): what [`StateEngine::write`] took survives a crash only
//! once [`StateEngine::flush`] has returned, or once the engine flushed by itself. It never survives in part: a batch
//! is kept whole or lost whole, and with it everything written after it. The Raft log above replays what was lost.

mod memory;
mod rocks;
mod strict;

pub use memory::MemoryEngine;
pub use rocks::{RocksConfig, RocksEngine};
pub use strict::StrictEngine;

use bytes::Bytes;
use std::io;
use std::sync::Arc;
use zcluster_state::Visit;

/// A key space with its own storage settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    /// Small rows.
    State,
    /// Message bodies, already compressed.
    Body,
}

impl Column {
    /// Both, in the order snapshots send them.
    pub const ALL: [Column; 2] = [Column::State, Column::Body];

    /// The number used in snapshots.
    pub fn code(self) -> u8 {
        match self {
            Column::State => 0,
            Column::Body => 1,
        }
    }
    /// The column of a number read from a snapshot.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.code() == code)
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Sets a row.
    Put(Column, Vec<u8>, Bytes),
    /// Removes a row.
    Delete(Column, Vec<u8>),
    /// Removes the rows of `[from, to)`. Costs little however many there are; for whole generations only.
    DeleteRange(Column, Vec<u8>, Vec<u8>),
}

/// Changes that happen together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch(pub Vec<Op>);

impl Batch {
    /// No changes.
    pub fn new() -> Self {
        Self::default()
    }
    /// Sets a row.
    pub fn put(&mut self, column: Column, key: Vec<u8>, value: impl Into<Bytes>) {
        self.0.push(Op::Put(column, key, value.into()));
    }
    /// Removes a row.
    pub fn delete(&mut self, column: Column, key: Vec<u8>) {
        self.0.push(Op::Delete(column, key));
    }
    /// Removes the rows of `[from, to)`.
    pub fn delete_range(&mut self, column: Column, from: Vec<u8>, to: Vec<u8>) {
        self.0.push(Op::DeleteRange(column, from, to));
    }
    /// Bytes of keys and values: what the batch costs in memory until the next flush.
    pub fn bytes(&self) -> u64 {
        let of = |op: &Op| match op {
            Op::Put(_, k, v) => k.len() + v.len(),
            Op::Delete(_, k) => k.len(),
            Op::DeleteRange(_, a, b) => a.len() + b.len(),
        };
        self.0.iter().map(|op| of(op) as u64).sum()
    }
}

/// A row: key and value.
pub type Row = (Vec<u8>, Vec<u8>);
/// Rows in the order of a scan. An `Err` ends it.
pub type Rows<'a> = Box<dyn Iterator<Item = io::Result<Row>> + 'a>;

/// Reading, of the present state or of a view.
pub trait Reader: Send + Sync {
    /// One row's value.
    ///
    /// # Errors
    /// The disk.
    fn get(&self, column: Column, key: &[u8]) -> io::Result<Option<Vec<u8>>>;
    /// The rows of `[from, to)`, rising, or falling when `reverse`.
    fn scan<'a>(&'a self, column: Column, from: &[u8], to: &[u8], reverse: bool) -> Rows<'a>;
    /// The same rows, shown where they lie, until `visit` returns `false`.
    ///
    /// # Errors
    /// The disk.
    fn each(&self, column: Column, from: &[u8], to: &[u8], reverse: bool, visit: &mut Visit<'_>) -> io::Result<()> {
        for row in self.scan(column, from, to, reverse) {
            let (key, value) = row?;
            if !visit(&key, &value) {
                break;
            }
        }
        Ok(())
    }
    /// The same as [`each`](Self::each), rising, without keeping in a cache what was read.
    ///
    /// # Errors
    /// The disk.
    fn pass(&self, column: Column, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> io::Result<()> {
        self.each(column, from, to, false, visit)
    }
    /// Shows the rows of several ranges, which rise and do not overlap, until `visit` returns `false`.
    ///
    /// # Errors
    /// The disk.
    fn each_of(&self, column: Column, ranges: &[(Vec<u8>, Vec<u8>)], visit: &mut Visit<'_>) -> io::Result<()> {
        let mut go_on = true;
        for (from, to) in ranges {
            self.each(column, from, to, false, &mut |key, value| {
                go_on = visit(key, value);
                go_on
            })?;
            if !go_on {
                break;
            }
        }
        Ok(())
    }
}

/// A storage engine for the state of all groups of a node.
pub trait StateEngine: Reader + 'static {
    /// The state as of now, unmoved by later writes.
    fn view(&self) -> Arc<dyn Reader>;
    /// Makes the changes, all or none. Not durable until flushed.
    ///
    /// # Errors
    /// The disk; the process must stop.
    fn write(&self, batch: Batch) -> io::Result<()>;
    /// Returns once everything written before the call will survive a crash. Blocks; call from a blocking thread.
    ///
    /// # Errors
    /// The disk; the process must stop.
    fn flush(&self) -> io::Result<()>;
    /// Free-form figures for operators (bytes on disk, in memory).
    fn figures(&self) -> Vec<(&'static str, u64)>;
}
