//! How far the run is.

use crate::world;
use std::future::Future;
use std::time::Duration;
use zcluster_runtime::{Either, select, watch};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Faults,
    Healing,
    Over,
}

/// Tells clients when faults are over: from then on nobody thinks between operations, and what is still being retried
/// must succeed; and when the heal phase is over: from then on nobody begins or retries anything.
pub struct Phase(watch::Sender<Stage>);

impl Default for Phase {
    fn default() -> Self {
        Self::new()
    }
}

impl Phase {
    /// The fault phase.
    pub fn new() -> Self {
        Phase(watch::channel(Stage::Faults).0)
    }
    /// Faults are over. Clients that wait go on at once.
    pub fn heal(&self) {
        self.advance(Stage::Healing);
    }
    /// The heal phase is over: clients end, what is open stays open.
    pub fn finish(&self) {
        self.advance(Stage::Over);
    }
    /// Whether faults are over.
    pub fn is_healing(&self) -> bool {
        *self.0.borrow() >= Stage::Healing
    }
    /// Whether clients shall end.
    pub fn is_over(&self) -> bool {
        *self.0.borrow() >= Stage::Over
    }
    /// A client thinks: for so long, but not once faults are over.
    pub async fn think(&self, time: Duration) {
        if !time.is_zero() {
            select(self.reached(Stage::Healing), world::sleep(time)).await;
        }
    }
    /// A client waits before it tries again: for so long, but not beyond the end.
    pub async fn pause(&self, time: Duration) {
        select(self.reached(Stage::Over), world::sleep(time)).await;
    }
    /// Works until it is done or the heal phase is over: then `None`.
    pub async fn until_over<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        match select(work, self.reached(Stage::Over)).await {
            Either::Left(done) => Some(done),
            Either::Right(()) => None,
        }
    }

    fn advance(&self, to: Stage) {
        self.0.send_if_modified(|stage| {
            let forward = to > *stage;
            *stage = (*stage).max(to);
            forward
        });
    }

    async fn reached(&self, stage: Stage) {
        let mut changes = self.0.subscribe();
        while *changes.borrow_and_update() < stage {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}
