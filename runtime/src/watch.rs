//! A value that one side sets and many sides follow, like `tokio::sync::watch` but drawing no randomness: waiters wake
//! in the order they began to wait.

use std::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard};
use std::task::{Poll, Waker};

/// The sending side; clones share the value.
pub struct Sender<T>(Arc<Shared<T>>);

/// A receiving side with its own notion of what it has seen.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    seen: u64,
}

struct Shared<T> {
    value: RwLock<T>,
    state: Mutex<State>,
}

struct State {
    version: u64,
    senders: usize,
    receivers: usize,
    wakers: Vec<Waker>,
}

/// All senders are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

/// A new channel holding `value`, which the receiver counts as seen.
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        value: RwLock::new(value),
        state: Mutex::new(State { version: 0, senders: 1, receivers: 1, wakers: Vec::new() }),
    });
    (Sender(shared.clone()), Receiver { shared, seen: 0 })
}

impl<T> Shared<T> {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }
    fn bump(&self) {
        let wakers = {
            let mut s = self.state();
            s.version += 1;
            std::mem::take(&mut s.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl<T> Sender<T> {
    /// Sets the value and wakes all receivers; `Err` gives it back when there is no receiver.
    ///
    /// # Errors
    /// The value, when nobody listens.
    pub fn send(&self, value: T) -> Result<(), T> {
        if self.0.state().receivers == 0 {
            return Err(value);
        }
        self.send_replace(value);
        Ok(())
    }
    /// Sets the value whether or not there is a receiver.
    pub fn send_replace(&self, value: T) {
        *self.0.value.write().expect("no writer panics") = value;
        self.0.bump();
    }
    /// Changes the value in place; wakes receivers if `f` says that it changed, and returns that.
    pub fn send_if_modified(&self, f: impl FnOnce(&mut T) -> bool) -> bool {
        let changed = f(&mut self.0.value.write().expect("no writer panics"));
        if changed {
            self.0.bump();
        }
        changed
    }
    /// The value now.
    pub fn borrow(&self) -> RwLockReadGuard<'_, T> {
        self.0.value.read().expect("no writer panics")
    }
    /// A receiver that counts the current value as seen.
    pub fn subscribe(&self) -> Receiver<T> {
        let mut s = self.0.state();
        s.receivers += 1;
        Receiver { shared: self.0.clone(), seen: s.version }
    }
    /// How many receivers there are.
    pub fn receiver_count(&self) -> usize {
        self.0.state().receivers
    }
}

impl<T> Receiver<T> {
    /// Waits for a value not yet seen, and counts it as seen.
    ///
    /// # Errors
    /// [`Closed`] when all senders are gone and the last value was seen.
    pub async fn changed(&mut self) -> Result<(), Closed> {
        std::future::poll_fn(|cx| {
            let mut s = self.shared.state.lock().expect("no holder panics");
            if s.version != self.seen {
                self.seen = s.version;
                return Poll::Ready(Ok(()));
            }
            if s.senders == 0 {
                return Poll::Ready(Err(Closed));
            }
            if !s.wakers.iter().any(|w| w.will_wake(cx.waker())) {
                s.wakers.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await
    }
    /// The value now.
    pub fn borrow(&self) -> RwLockReadGuard<'_, T> {
        self.shared.value.read().expect("no writer panics")
    }
    /// The value now, counted as seen.
    pub fn borrow_and_update(&mut self) -> RwLockReadGuard<'_, T> {
        self.seen = self.shared.state().version;
        self.shared.value.read().expect("no writer panics")
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.state().senders += 1;
        Sender(self.0.clone())
    }
}
impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let wakers = {
            let mut s = self.0.state();
            s.senders -= 1;
            if s.senders == 0 { std::mem::take(&mut s.wakers) } else { Vec::new() }
        };
        wakers.into_iter().for_each(Waker::wake);
    }
}
impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.shared.state().receivers += 1;
        Receiver { shared: self.shared.clone(), seen: self.seen }
    }
}
impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.state().receivers -= 1;
    }
}
