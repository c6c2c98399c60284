//! A value that one side sets and many sides follow, like `tokio::sync::watch` but drawing no randomness: waiters wake
//! in the order they were made.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard};
use std::task::{Poll, Waker};

/// The sending side; clones share the value.
pub struct Sender<T>(Arc<Shared<T>>);

/// A receiving side with its own notion of what it has seen.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    seen: u64,
    /// Its place in the list of wakers: one receiver has one at most, and takes it along when it is dropped.
    id: u64,
}

struct Shared<T> {
    value: RwLock<T>,
    state: Mutex<State>,
}

struct State {
    version: u64,
    senders: usize,
    receivers: usize,
    next_id: u64,
    wakers: BTreeMap<u64, Waker>,
}

impl State {
    fn admit(&mut self) -> u64 {
        self.receivers += 1;
        self.next_id += 1;
        self.next_id - 1
    }
}

/// All senders are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

/// A new channel holding `value`, which the receiver counts as seen.
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        value: RwLock::new(value),
        state: Mutex::new(State { version: 0, senders: 1, receivers: 1, next_id: 1, wakers: BTreeMap::new() }),
    });
    (Sender(shared.clone()), Receiver { shared, seen: 0, id: 0 })
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
        wakers.into_values().for_each(Waker::wake);
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
        let id = s.admit();
        Receiver { shared: self.0.clone(), seen: s.version, id }
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
            match s.wakers.get_mut(&self.id) {
                Some(w) => w.clone_from(cx.waker()),
                None => drop(s.wakers.insert(self.id, cx.waker().clone())),
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
            if s.senders == 0 { std::mem::take(&mut s.wakers) } else { BTreeMap::new() }
        };
        wakers.into_values().for_each(Waker::wake);
    }
}
impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        let id = self.shared.state().admit();
        Receiver { shared: self.shared.clone(), seen: self.seen, id }
    }
}
impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut s = self.shared.state();
        s.receivers -= 1;
        let waker = s.wakers.remove(&self.id);
        drop(s);
        drop(waker);
    }
}

#[cfg(test)]
mod tests {
    use super::channel;
    use futures::FutureExt;

    #[test]
    fn tells_each_receiver_once_and_the_end() {
        let (tx, mut a) = channel(1);
        let mut b = tx.subscribe();
        assert!(a.changed().now_or_never().is_none());
        assert_eq!(tx.send(2), Ok(()));
        assert_eq!(a.changed().now_or_never(), Some(Ok(())));
        assert!(a.changed().now_or_never().is_none());
        assert_eq!(*b.borrow_and_update(), 2);
        assert!(b.changed().now_or_never().is_none());
        drop(tx);
        assert_eq!(b.changed().now_or_never(), Some(Err(super::Closed)));
    }

    #[test]
    fn a_waiter_that_goes_leaves_nothing_behind() {
        let (tx, _keep) = channel(0);
        for _ in 0..100 {
            let mut r = tx.subscribe();
            assert!(r.changed().now_or_never().is_none());
            assert!(r.changed().now_or_never().is_none());
        }
        assert!(tx.0.state().wakers.is_empty());
        assert_eq!(tx.receiver_count(), 1);
    }
}
