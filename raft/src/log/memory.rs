//! A log that lives in memory: for tests, and to build simulated disks on.

use super::tail::{Found, Tail};
use super::{Done, LogEngine, LogState, Op};
use crate::{Entry, Fatal};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io;

/// Keeps everything in memory and calls it durable at once.
#[derive(Default)]
pub struct MemoryLog {
    groups: Mutex<BTreeMap<u32, Tail>>,
    fatal: Fatal,
}

impl MemoryLog {
    /// An empty log.
    pub fn new() -> Self {
        Self::default()
    }
}

impl LogEngine for MemoryLog {
    fn submit(&self, group: u32, op: Op, done: Option<Done>) {
        let result = {
            let mut groups = self.groups.lock();
            let tail = groups.entry(group).or_default();
            let result = tail.apply(&op, 0);
            if tail.state() == LogState::default() {
                groups.remove(&group);
            }
            result
        };
        if let Err(e) = &result {
            self.fatal.report(format!("log of group {group}: {e}"));
        }
        if let Some(done) = done {
            done(result);
        }
    }

    fn state(&self, group: u32) -> LogState {
        self.groups.lock().get(&group).map(Tail::state).unwrap_or_default()
    }

    fn read(&self, group: u32, from: u64, to: u64, max_bytes: usize) -> io::Result<Vec<Entry>> {
        Ok(self.read_cached(group, from, to, max_bytes).unwrap_or_default())
    }

    fn read_cached(&self, group: u32, from: u64, to: u64, max_bytes: usize) -> Option<Vec<Entry>> {
        match self.groups.lock().get(&group)?.find(from, to, max_bytes) {
            Found::All(entries) => Some(entries),
            Found::From(_) | Found::Outside => None,
        }
    }

    fn groups(&self) -> Vec<u32> {
        self.groups.lock().keys().copied().collect()
    }

    fn close(&self) -> io::Result<()> {
        Ok(())
    }

    fn fatal(&self) -> &Fatal {
        &self.fatal
    }
}
