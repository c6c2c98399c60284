//! What a crash leaves, what faults do, and that the planted defects are defects.

mod faults;
mod log;
mod state;

use super::*;
use crate::world::{Guard, Keep, Random};
use std::collections::BTreeMap;
use zcluster_raft::log::{LogState, Op, Vote};
use zcluster_raft::{Entry, EntryKind, LogId};
use zcluster_replica::engine::{Batch, Column, Reader, Row};

/// One node's disk in a world of its own.
struct Rig {
    disk: Arc<NodeDisk>,
    fatal: Fatal,
    /// Last, so that the world stands while the rest is dropped.
    guard: Guard,
}

const GROUP: u32 = 7;

impl Rig {
    fn new(seed: u64) -> Self {
        let guard = world::enter(seed, Keep::default());
        audit::begin();
        world::start_node(1);
        // Node 1 was elected, as its peer knows: else the audit would not have it write entries.
        for term in 1..=9 {
            let vote = Op::Vote(Vote { committed: true, ..vote(term) });
            [GROUP, 8].iter().for_each(|group| audit::log_op(2, *group, &vote));
        }
        Rig { disk: NodeDisk::new(1), fatal: Fatal::new(), guard }
    }
    fn try_open(&mut self) -> Result<Opened, OpenError> {
        self.fatal = Fatal::new();
        self.disk.open(self.fatal.clone())
    }
    fn open(&mut self) -> Opened {
        let opened = self.try_open().unwrap();
        assert_eq!(opened.lost, None);
        opened
    }
    fn run_ms(&self, ms: u64) {
        self.run_us(ms * 1_000);
    }
    fn run_us(&self, us: u64) {
        world::run_until(world::now() + us * 1_000);
    }
    fn counted(&self, name: &str) -> u64 {
        self.guard.summary().counters.get(name).copied().unwrap_or(0)
    }
}

fn id(term: u64, index: u64) -> LogId {
    LogId { term, index }
}

fn entry(term: u64, index: u64, len: usize) -> Entry {
    Entry { id: id(term, index), kind: EntryKind::Normal(vec![index as u8; len].into()) }
}

fn append(index: u64) -> Op {
    Op::Append(vec![entry(1, index, 100)])
}

fn vote(term: u64) -> Vote {
    Vote { term, node: 65536, committed: false }
}

/// How operations ended, in the order in which they were told.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<(u64, bool)>>>);

impl Told {
    fn submit(&self, log: &Arc<dyn LogEngine>, n: u64, op: Op) {
        let told = self.clone();
        log.submit(GROUP, op, Some(Box::new(move |r| told.0.lock().push((n, r.is_ok())))));
    }
    fn all(&self) -> Vec<(u64, bool)> {
        self.0.lock().clone()
    }
    fn ok(&self) -> u64 {
        self.0.lock().iter().filter(|(_, ok)| *ok).count() as u64
    }
}

fn end_of(log: &Arc<dyn LogEngine>) -> u64 {
    log.state(GROUP).last.map_or(0, |l| l.index + 1)
}
