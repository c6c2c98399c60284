//! The log on a simulated disk. It answers as [`zcluster_raft::log::RocksLog`] does, from the same tails; a task stands
//! for the writer's thread, and the platter for its database.

mod life;
mod platter;
mod rows;

use super::NodeDisk;
use crate::audit;
use crate::world::{self, Stream};
use life::{Life, due};
use parking_lot::Mutex;
pub use platter::{Platter, Write};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use zcluster_raft::log::tail::Found;
use zcluster_raft::log::{Done, LogState, Op};
use zcluster_raft::{Entry, Fatal, LogEngine};
use zcluster_runtime::planted::{Bug, planted};

/// How often the fence follows the log, by the node's clock.
const FENCE_EVERY: Duration = Duration::from_secs(1);
/// Bytes of entries that a process keeps in memory: one of these, so that some read much from the disk and some nothing.
const CACHE_BYTES: [usize; 4] = [0, 4 << 10, 64 << 10, 16 << 20];

/// The log of one process of a node.
pub(super) struct SimLog {
    disk: Arc<NodeDisk>,
    process: Process,
}

/// The part of a process that the disk itself knows, to end it.
#[derive(Clone)]
pub(super) struct Process {
    life: Arc<Mutex<Life>>,
    fatal: Fatal,
}

impl Process {
    /// The process is gone: its writes vanish from now on, its callbacks never run. Says what was not yet written.
    pub fn end(&self) -> Vec<Write> {
        let (writes, dones, waker) = self.life.lock().die();
        drop(dones);
        if let Some(waker) = waker {
            waker.wake();
        }
        writes
    }
}

impl SimLog {
    /// Starts the writer and the fence's keeper of a process that found `groups`.
    pub fn start(disk: Arc<NodeDisk>, groups: &BTreeMap<u32, LogState>, fatal: Fatal) -> (Arc<Self>, Process) {
        let cache = world::draw(Stream::Disk, |r| r.pick(&CACHE_BYTES).copied()).unwrap_or_default();
        let life = Arc::new(Mutex::new(Life::new(platter::tails(groups), cache)));
        let process = Process { life, fatal };
        let node = disk.node();
        world::spawn_on(node, write_all(disk.clone(), process.clone()));
        world::spawn_on(node, keep_fence(disk.clone(), process.clone()));
        (Arc::new(SimLog { disk, process: process.clone() }), process)
    }

    fn refuse(&self, group: u32, e: io::Error, done: Option<Done>) {
        self.process.fatal.report(format!("log of group {group}: {e}"));
        if let Some(done) = done {
            done(Err(e));
        }
    }
}

impl LogEngine for SimLog {
    fn submit(&self, group: u32, op: Op, mut done: Option<Done>) {
        let life = &self.process.life;
        let (dead, open) = {
            let life = life.lock();
            (life.dead, life.check_open())
        };
        if dead {
            return;
        }
        if let Err(e) = open {
            return self.refuse(group, e, done);
        }
        audit::log_op(self.disk.node(), group, &op);
        let applied = life.lock().apply(group, &op);
        if let Err(e) = applied {
            return self.refuse(group, e, done);
        }
        let lies = planted(Bug::AckBeforeFsync) || (planted(Bug::VoteUnsynced) && matches!(op, Op::Vote(_)));
        if lies {
            audit::log_synced(self.disk.node(), group, &op);
        }
        let early = if lies || matches!(op, Op::Committed(_)) { done.take() } else { None };
        let waker = if matches!(op, Op::Committed(_)) {
            life.lock().note_committed(group);
            None
        } else {
            life.lock().push(group, op, done)
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        if let Some(done) = early {
            done(Ok(()));
        }
    }

    fn state(&self, group: u32) -> LogState {
        self.process.life.lock().tails.get(&group).map(|t| t.state()).unwrap_or_default()
    }

    fn read(&self, group: u32, from: u64, to: u64, max_bytes: usize) -> io::Result<Vec<Entry>> {
        let (first_kept, in_memory) = {
            let life = self.process.life.lock();
            let Some(tail) = life.tails.get(&group) else { return Ok(Vec::new()) };
            match tail.find(from, to, max_bytes) {
                Found::All(entries) => return Ok(entries),
                Found::Outside => return Ok(Vec::new()),
                Found::From(first) => (first, tail.copy(first, to, max_bytes)),
            }
        };
        world::count("disk.log_read");
        let (mut out, mut bytes) = self.disk.with(|d| d.log.read(group, from, to.min(first_kept), max_bytes))?;
        for entry in in_memory {
            if bytes >= max_bytes {
                break;
            }
            bytes += zcluster_raft::log::weight(&entry);
            out.push(entry);
        }
        Ok(out)
    }

    fn read_cached(&self, group: u32, from: u64, to: u64, max_bytes: usize) -> Option<Vec<Entry>> {
        match self.process.life.lock().tails.get(&group)?.find(from, to, max_bytes) {
            Found::All(entries) => Some(entries),
            Found::From(_) | Found::Outside => None,
        }
    }

    fn groups(&self) -> Vec<u32> {
        self.process.life.lock().tails.keys().copied().collect()
    }

    fn close(&self) -> io::Result<()> {
        self.process.life.lock().close();
        // What a thread would wait for happens at once.
        while writing_or_next(&self.disk, &self.process).is_some_and(|batch| finish(&self.disk, &self.process, batch)) {
        }
        let failure = {
            let life = self.process.life.lock();
            if life.dead {
                return Ok(());
            }
            life.failure()
        };
        match failure {
            Some(e) => Err(io::Error::other(e)),
            None => self.disk.with(|d| d.advance_fence(d.log.synced())),
        }
    }

    fn fatal(&self) -> &Fatal {
        &self.process.fatal
    }
}

/// The batch under way, or else the next one, begun.
fn writing_or_next(disk: &NodeDisk, process: &Process) -> Option<u64> {
    let mut life = process.life.lock();
    if life.dead {
        return None;
    }
    if life.writing().is_none() && life.is_due() && life.failure().is_none() {
        let writes = life.take_batch();
        disk.with(|d| d.log.begin(writes));
    }
    life.writing()
}

/// The batch reaches the platter, or fails. False when it was not to be written any more, or when it failed.
fn finish(disk: &NodeDisk, process: &Process, batch: u64) -> bool {
    if process.life.lock().writing() != Some(batch) {
        return false;
    }
    if let Err(e) = disk.with(|d| d.health.write()) {
        fail(process, &e);
        return false;
    }
    let writes = disk.with(|d| d.log.take_begun());
    if !planted(Bug::AckBeforeFsync) {
        let told = writes.iter().filter(|w| !matches!(w.op, Op::Committed(_)));
        told.for_each(|w| audit::log_synced(disk.node(), w.group, &w.op));
    }
    let count = writes.len() as u64;
    let synced = disk.with(|d| {
        d.log.write(writes);
        d.log.synced()
    });
    world::event("disk.synced", &[synced, count]);
    let dones = process.life.lock().written();
    dones.into_iter().for_each(|done| done(Ok(())));
    true
}

fn fail(process: &Process, e: &io::Error) {
    let what = format!("writing the log failed: {e}");
    process.fatal.report(what.clone());
    let dones = process.life.lock().fail(what.clone());
    for done in dones {
        done(Err(io::Error::other(what.clone())));
    }
}

/// The writer: whatever waits becomes one batch; while one is synced the next collects.
async fn write_all(disk: Arc<NodeDisk>, process: Process) {
    while due(&process.life).await {
        let Some(batch) = writing_or_next(&disk, &process) else { return };
        let time = disk.with(|d| d.health.sync_time());
        world::sleep(time).await;
        finish(&disk, &process, batch);
    }
}

/// The keeper of the fence: once a second it says how far the log was synced.
async fn keep_fence(disk: Arc<NodeDisk>, process: Process) {
    loop {
        zcluster_runtime::sleep(FENCE_EVERY).await;
        if process.life.lock().is_over() {
            return;
        }
        let synced = disk.with(|d| d.log.synced());
        if synced <= disk.with(|d| d.fenced()) {
            continue;
        }
        let time = disk.with(|d| d.health.sync_time());
        world::sleep(time).await;
        if process.life.lock().dead {
            return;
        }
        if let Err(e) = disk.with(|d| d.advance_fence(synced)) {
            return process.fatal.report(format!("writing the fence failed: {e}"));
        }
    }
}
