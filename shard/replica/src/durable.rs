//! What of each group's state would survive a crash, and the background flushing that moves it on.
//!
//! Nothing here is on the acknowledgement path: the Raft log is what makes a write durable. Flushing only decides how
//! much log must be kept and replayed.

use crate::engine::StateEngine;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use zcluster_api::GroupId;
use zcluster_raft::Fatal;
use zcluster_runtime::{Instant, watch};

/// Changes are flushed at the latest after this time, so that a restart replays little.
const FLUSH_EVERY: Duration = Duration::from_secs(60);
/// Changes are flushed when they amount to this many bytes: below the engine's own write buffer, so that the flush
/// that makes things durable is usually one whose position is known.
const FLUSH_BYTES: u64 = 48 << 20;
/// Two flushes are at least this far apart, however often the log asks: small files cost compaction.
const FLUSH_GAP: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, Default)]
struct Marks {
    written: Option<u64>,
    durable: Option<u64>,
}

/// Positions of all groups of a node.
pub struct Durability {
    engine: Arc<dyn StateEngine>,
    marks: Mutex<BTreeMap<GroupId, Marks>>,
    unflushed: AtomicU64,
    wanted: watch::Sender<bool>,
    // One flush at a time, so that marks never go back.
    flushing: Mutex<()>,
}

impl Durability {
    /// Nothing known yet.
    pub fn new(engine: Arc<dyn StateEngine>) -> Arc<Self> {
        Arc::new(Durability {
            engine,
            marks: Mutex::default(),
            unflushed: AtomicU64::new(0),
            wanted: watch::channel(false).0,
            flushing: Mutex::new(()),
        })
    }
    /// What a group was found at when the database was opened: on disk by definition.
    pub fn opened(&self, group: GroupId, index: Option<u64>) {
        self.marks.lock().insert(group, Marks { written: index, durable: index });
    }
    /// A batch that brings `group` to `index` was written.
    pub fn wrote(&self, group: GroupId, index: Option<u64>, bytes: u64) {
        self.marks.lock().entry(group).or_default().written = index;
        if self.unflushed.fetch_add(bytes, Ordering::Relaxed) + bytes >= FLUSH_BYTES {
            self.want();
        }
    }
    /// The index of `group` that would survive a crash.
    pub fn durable(&self, group: GroupId) -> Option<u64> {
        self.marks.lock().get(&group).and_then(|m| m.durable)
    }
    /// Forgets a group that left this node.
    pub fn forget(&self, group: GroupId) {
        self.marks.lock().remove(&group);
    }
    /// Flushes now. Blocks.
    ///
    /// # Errors
    /// The disk.
    pub fn flush(&self) -> io::Result<()> {
        let _one = self.flushing.lock();
        let written: Vec<(GroupId, Option<u64>)> = self.marks.lock().iter().map(|(g, m)| (*g, m.written)).collect();
        let bytes = self.unflushed.load(Ordering::Relaxed);
        let begun = Instant::now();
        self.engine.flush()?;
        self.unflushed.fetch_sub(bytes, Ordering::Relaxed);
        let mut marks = self.marks.lock();
        for (group, index) in written {
            if let Some(m) = marks.get_mut(&group) {
                m.durable = m.durable.max(index);
            }
        }
        metrics::histogram!("zcluster_state_flush_seconds").record(begun.elapsed().as_secs_f64());
        metrics::counter!("zcluster_state_flushed_bytes_total").increment(bytes);
        Ok(())
    }

    /// Asks for a flush soon, in the background.
    pub fn want(&self) {
        self.wanted.send_if_modified(|w| !std::mem::replace(w, true));
    }

    /// Flushes when asked, when much was written, and every so often; ends when the node's replicas are dropped.
    pub async fn run(this: std::sync::Weak<Self>, fatal: Fatal) {
        let Some(mut wanted) = this.upgrade().map(|d| d.wanted.subscribe()) else { return };
        let mut last = Instant::now();
        loop {
            let due = *wanted.borrow_and_update();
            if !due
                && let zcluster_runtime::Either::Right(Err(watch::Closed)) =
                    zcluster_runtime::select(zcluster_runtime::sleep_until(last + FLUSH_EVERY), wanted.changed()).await
            {
                return;
            }
            zcluster_runtime::sleep_until(last + FLUSH_GAP).await;
            let Some(durability) = this.upgrade() else { return };
            durability.wanted.send_if_modified(|w| std::mem::replace(w, false));
            last = Instant::now();
            if durability.unflushed.load(Ordering::Relaxed) == 0 {
                continue;
            }
            match zcluster_runtime::spawn_blocking(move || durability.flush()).await {
                Ok(Ok(())) => {}
                Ok(Err(e)) => return fatal.report(format!("flush of the state database: {e}")),
                Err(e) => return fatal.report(format!("flush of the state database: {e}")),
            }
        }
    }
}
