//! The state engine on a simulated disk. It keeps what was flushed; a crash goes back to some write since then, as an
//! engine that flushes by itself now and then would have it.

mod store;
mod sums;

use super::NodeDisk;
use crate::audit;
use crate::world::{self, Stream};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::sync::Arc;
pub use store::Store;
use zcluster_api::GroupId;
use zcluster_replica::StateEngine;
use zcluster_replica::engine::{Batch, Column, Op, Reader, Row, Rows};
use zcluster_replica::layout;

/// Rows that a scan takes at first: many want only one.
const FIRST_ROWS: usize = 4;
/// Rows that it takes at a time when it goes on.
const MORE_ROWS: usize = 256;

/// The power went: back to a write since the last flush.
pub(super) fn crash(store: &Mutex<Store>) {
    let mut store = store.lock();
    store.begin_life();
    let (flushed, seq) = (store.flushed(), store.seq());
    if flushed < seq {
        let to = world::draw(Stream::Disk, |r| r.range(flushed, seq + 1));
        if to < seq {
            world::count("disk.state_went_back");
        }
        store.go_back(to);
        store.flush();
    }
}

/// The disk is lost.
pub(super) fn wipe(store: &Mutex<Store>) {
    let mut store = store.lock();
    let empty = store.emptied();
    let before = std::mem::replace(&mut *store, empty);
    drop(store);
    drop(before);
}

/// The state of all groups, as one process of a node has it open.
pub(super) struct SimState {
    disk: Arc<NodeDisk>,
    store: Arc<Mutex<Store>>,
    life: u64,
}

impl SimState {
    /// Opens what is there, for a new process.
    pub fn open(disk: Arc<NodeDisk>, store: Arc<Mutex<Store>>) -> Arc<Self> {
        let life = store.lock().begin_life();
        Arc::new(SimState { disk, store, life })
    }

    /// Tells the auditor what a new process finds.
    ///
    /// # Errors
    /// A group's record is not readable.
    pub fn tell_recovered(&self) -> io::Result<()> {
        let groups = self.store.lock().groups();
        for group in groups {
            let (generation, applied) = layout::position(self, group)?;
            let rows = self.store.lock().sum(group, generation);
            audit::state_recovered(self.disk.node(), group, applied, rows);
        }
        Ok(())
    }

    fn pin(&self) -> View {
        let mut store = self.store.lock();
        // A process that is gone holds nothing.
        let seq = if store.life() == self.life { store.begin_view() } else { store.seq() };
        View(Arc::new(Pin { store: self.store.clone(), life: self.life, seq }))
    }

    /// Tells the auditor of the groups whose rows or position changed.
    fn tell(&self, touched: BTreeMap<GroupId, Touched>) -> io::Result<()> {
        for (group, touched) in touched {
            let (generation, applied) = layout::position(self, group)?;
            // Rows that change without the position are no less of interest: they must not.
            if touched.position || (applied.is_some() && touched.generations.contains(&generation)) {
                let rows = self.store.lock().sum(group, generation);
                audit::state_written(self.disk.node(), group, applied, rows);
            }
        }
        Ok(())
    }
}

/// What a batch touched of a group.
#[derive(Default)]
struct Touched {
    position: bool,
    generations: Vec<u32>,
}

fn touched(batch: &Batch) -> BTreeMap<GroupId, Touched> {
    let mut all: BTreeMap<GroupId, Touched> = BTreeMap::new();
    for op in &batch.0 {
        let (column, key) = match op {
            Op::Put(c, key, _) | Op::Delete(c, key) | Op::DeleteRange(c, key, _) => (*c, key),
        };
        let Some((group, generation, _)) = layout::split(key) else { continue };
        let it = all.entry(group).or_default();
        it.position |= generation == 0 && matches!(op, Op::Put(..)) && layout::is_position(column, key);
        if it.generations.last() != Some(&generation) {
            it.generations.push(generation);
        }
    }
    all
}

impl Reader for SimState {
    fn get(&self, column: Column, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let store = self.store.lock();
        Ok(store.get(column, key, u64::MAX).map(|v| v.to_vec()))
    }
    fn scan<'a>(&'a self, column: Column, from: &[u8], to: &[u8], reverse: bool) -> Rows<'a> {
        self.pin().rows(column, from, to, reverse)
    }
}

impl StateEngine for SimState {
    fn view(&self) -> Arc<dyn Reader> {
        Arc::new(self.pin())
    }
    fn write(&self, batch: Batch) -> io::Result<()> {
        {
            let store = self.store.lock();
            if store.life() != self.life {
                return Ok(());
            }
            if store.has_failed() {
                return Err(io::Error::other("state database: a flush failed before"));
            }
        }
        let touched = touched(&batch);
        self.store.lock().write(batch);
        self.tell(touched)
    }
    /// Memory takes every write; what the disk has to say shows here. Nothing is taken after a failure.
    fn flush(&self) -> io::Result<()> {
        if self.store.lock().life() != self.life {
            return Ok(());
        }
        let health = self.disk.with(|d| d.health.write());
        let mut store = self.store.lock();
        if store.has_failed() {
            return Err(io::Error::other("state database: a flush failed before"));
        }
        match health {
            Ok(()) => {
                store.flush();
                Ok(())
            }
            Err(e) => {
                store.fail();
                Err(io::Error::new(e.kind(), format!("state database: {e}")))
            }
        }
    }
    fn figures(&self) -> Vec<(&'static str, u64)> {
        let store = self.store.lock();
        vec![("writes", store.seq()), ("flushed", store.flushed())]
    }
}

/// Keeps the versions of a moment.
struct Pin {
    store: Arc<Mutex<Store>>,
    life: u64,
    seq: u64,
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.store.lock().end_view(self.life, self.seq);
    }
}

/// The state as of a moment.
#[derive(Clone)]
struct View(Arc<Pin>);

impl View {
    fn rows(self, column: Column, from: &[u8], to: &[u8], reverse: bool) -> Rows<'static> {
        let bounds = (Bound::Included(from.to_vec()), Bound::Excluded(to.to_vec()));
        Box::new(Scan { view: self, column, bounds, reverse, rows: Vec::new().into_iter(), next: FIRST_ROWS })
    }
}

impl Reader for View {
    fn get(&self, column: Column, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let store = self.0.store.lock();
        Ok(store.get(column, key, self.0.seq).map(|v| v.to_vec()))
    }
    fn scan<'a>(&'a self, column: Column, from: &[u8], to: &[u8], reverse: bool) -> Rows<'a> {
        self.clone().rows(column, from, to, reverse)
    }
}

/// A walk over a range, some rows at a time: the lock is free between them.
struct Scan {
    view: View,
    column: Column,
    /// What is left of the range.
    bounds: (Bound<Vec<u8>>, Bound<Vec<u8>>),
    reverse: bool,
    rows: std::vec::IntoIter<Row>,
    /// How many rows to take next; 0 when there are no more.
    next: usize,
}

impl Scan {
    fn is_empty(&self) -> bool {
        match (&self.bounds.0, &self.bounds.1) {
            (Bound::Included(a) | Bound::Excluded(a), Bound::Included(b) | Bound::Excluded(b)) => a >= b,
            _ => false,
        }
    }
    fn load(&mut self) {
        if self.next == 0 || self.is_empty() {
            return;
        }
        let bounds = (self.bounds.0.as_ref().map(Vec::as_slice), self.bounds.1.as_ref().map(Vec::as_slice));
        let pin = &self.view.0;
        let rows = pin.store.lock().range(self.column, bounds, pin.seq, self.reverse, self.next);
        match rows.last().map(|(key, _)| key.clone()) {
            Some(last) if rows.len() == self.next && self.reverse => self.bounds.1 = Bound::Excluded(last),
            Some(last) if rows.len() == self.next => self.bounds.0 = Bound::Excluded(last),
            _ => self.next = 0,
        }
        self.next = self.next.saturating_mul(8).min(MORE_ROWS);
        self.rows = rows.into_iter();
    }
}

impl Iterator for Scan {
    type Item = io::Result<Row>;
    fn next(&mut self) -> Option<Self::Item> {
        if let Some(row) = self.rows.next() {
            return Some(Ok(row));
        }
        self.load();
        self.rows.next().map(Ok)
    }
}
