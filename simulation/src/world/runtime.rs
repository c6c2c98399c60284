//! The world as [`zcluster_runtime`] sees it.

use super::executor::{Stream, Timer, count, current, draw, event, now, spawn_on, try_with, with};
use futures::future::BoxFuture;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use zcluster_runtime::{Instant, Runtime};

/// Blocking work takes up to this long to be begun, nanoseconds.
const BLOCKING_NS_MAX: u64 = 300_000;

/// Serves whatever node's task is running.
pub(super) struct SimRuntime;

impl Runtime for SimRuntime {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        spawn_on(current(), task);
    }
    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
        let (tx, rx) = tokio::sync::oneshot::channel();
        let wait = Duration::from_nanos(draw(Stream::Disk, |r| r.below(BLOCKING_NS_MAX)));
        let until = super::executor::sleep(wait);
        // A thread of its own: it goes on when whoever waits for it gives up.
        spawn_on(current(), async move {
            until.await;
            work();
            let _ = tx.send(());
        });
        Box::pin(async move {
            let _ = rx.await;
        })
    }
    fn now_ns(&self) -> u64 {
        with(|s| s.clock(s.current).local_ns(s.now))
    }
    fn wall_ms(&self) -> u64 {
        with(|s| s.clock(s.current).wall_ms(s.now))
    }
    fn sleep_until(&self, at: Instant) -> BoxFuture<'static, ()> {
        Box::pin(Sleep { until: Until::Local(at.0), key: None })
    }
    fn fill_random(&self, out: &mut [u8]) {
        draw(Stream::Node(current()), |r| r.fill(out));
    }
    fn probe(&self, name: &'static str, facts: &[u64]) {
        count(name);
        event(name, facts);
        super::executor::heard(name, facts);
    }
}

enum Until {
    True(u64),
    Local(u64),
}

/// A timer.
pub struct Sleep {
    until: Until,
    key: Option<(u64, u64)>,
}

impl Sleep {
    pub(super) fn until_true(at: u64) -> Self {
        Sleep { until: Until::True(at), key: None }
    }
    fn forget(&mut self) {
        if let Some(key) = self.key.take() {
            let timer = try_with(|s| s.timers.remove(&key));
            drop(timer);
        }
    }
}

impl Future for Sleep {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.forget();
        let at = match self.until {
            Until::True(at) => at,
            Until::Local(local) => with(|s| s.clock(s.current).true_ns(local)),
        };
        if now() >= at {
            return Poll::Ready(());
        }
        self.key = Some(with(|s| {
            let key = (at, s.next_timer);
            s.next_timer += 1;
            s.timers.insert(key, Timer { waker: cx.waker().clone(), node: s.current });
            key
        }));
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.forget();
    }
}
