//! Telling every session that the node stops.
//!
//! `zcluster_runtime::watch` would keep the wakers of sessions that have ended until its next change, which for this
//! signal is the end of the process. Here each waiter owns a slot and takes its waker along when it goes.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Waker};

/// How far the node is in stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Serving.
    Running,
    /// No new connections; sessions say goodbye when they next wait for a command.
    Draining,
    /// Reads and writes of sessions that are still there fail.
    Killed,
}

/// The signal; clones share it.
#[derive(Clone)]
pub struct Shutdown(Arc<Inner>);

struct Inner {
    stage: AtomicU8,
    waiters: Mutex<Waiters>,
}

#[derive(Default)]
struct Waiters {
    next: u64,
    wakers: BTreeMap<u64, Waker>,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

impl Shutdown {
    /// A signal not yet given.
    pub fn new() -> Self {
        Shutdown(Arc::new(Inner { stage: AtomicU8::new(0), waiters: Mutex::default() }))
    }

    /// How far it is.
    pub fn stage(&self) -> Stage {
        match self.0.stage.load(Ordering::Acquire) {
            0 => Stage::Running,
            1 => Stage::Draining,
            _ => Stage::Killed,
        }
    }

    /// Asks sessions to end.
    pub fn drain(&self) {
        self.raise(Stage::Draining);
    }

    /// Cuts off the sessions that are left.
    pub fn kill(&self) {
        self.raise(Stage::Killed);
    }

    fn raise(&self, stage: Stage) {
        let wakers = {
            let mut waiters = self.0.waiters.lock();
            self.0.stage.fetch_max(stage as u8, Ordering::AcqRel);
            std::mem::take(&mut waiters.wakers)
        };
        wakers.into_values().for_each(Waker::wake);
    }

    /// Waits until `stage` is reached.
    pub async fn reached(&self, stage: Stage) {
        let mut slot = self.slot();
        poll_fn(|cx| slot.poll(cx, stage)).await;
    }

    pub(crate) fn slot(&self) -> Slot {
        let mut waiters = self.0.waiters.lock();
        waiters.next += 1;
        Slot { signal: self.clone(), id: waiters.next, registered: None }
    }
}

/// One waiter's place.
pub(crate) struct Slot {
    signal: Shutdown,
    id: u64,
    /// The waker in the table, and the stage it was put there in: each change of stage empties the table.
    registered: Option<(Waker, Stage)>,
}

impl Slot {
    pub(crate) fn stage(&self) -> Stage {
        self.signal.stage()
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, until: Stage) -> Poll<()> {
        let now = self.signal.stage();
        if now >= until {
            return Poll::Ready(());
        }
        if self.registered.as_ref().is_some_and(|(w, stage)| *stage == now && w.will_wake(cx.waker())) {
            return Poll::Pending;
        }
        let mut waiters = self.signal.0.waiters.lock();
        // Looked at again under the lock that `raise` holds, so that no change slips between.
        let now = self.signal.stage();
        if now >= until {
            return Poll::Ready(());
        }
        waiters.wakers.insert(self.id, cx.waker().clone());
        self.registered = Some((cx.waker().clone(), now));
        Poll::Pending
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.registered.is_some() {
            self.signal.0.waiters.lock().wakers.remove(&self.id);
        }
    }
}
