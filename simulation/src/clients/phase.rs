//! How far the run is.

use crate::world;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// Tells clients when faults are over: from then on nobody thinks between operations, and what is still being retried
/// must succeed; and when the heal phase is over: from then on nobody begins or retries anything.
#[derive(Default)]
pub struct Phase {
    healing: AtomicBool,
    over: AtomicBool,
    changed: Notify,
}

impl Phase {
    /// The fault phase.
    pub fn new() -> Self {
        Self::default()
    }
    /// Faults are over. Clients that wait go on at once.
    pub fn heal(&self) {
        self.healing.store(true, Ordering::Relaxed);
        self.changed.notify_waiters();
    }
    /// The heal phase is over: clients end, what is open stays open.
    pub fn finish(&self) {
        self.over.store(true, Ordering::Relaxed);
        self.heal();
    }
    /// Whether faults are over.
    pub fn is_healing(&self) -> bool {
        self.healing.load(Ordering::Relaxed)
    }
    /// Whether clients shall end.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
    /// A client thinks: for so long, but not once faults are over.
    pub async fn think(&self, time: Duration) {
        let changed = self.changed.notified();
        if !self.is_healing() && !time.is_zero() {
            zcluster_runtime::select(changed, world::sleep(time)).await;
        }
    }
    /// Ends with the heal phase.
    pub async fn finished(&self) {
        loop {
            let changed = self.changed.notified();
            if self.is_over() {
                return;
            }
            changed.await;
        }
    }
}
