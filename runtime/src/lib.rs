//! The seam between our code and the world's time, tasks and chance.
//!
//! Everything that must run in the simulator (raft, shard, router, protocol sessions) spawns, sleeps, reads clocks and
//! draws random numbers through the functions here and nowhere else (`clippy.toml` forbids the direct calls). In
//! production they reach tokio and the operating system. A simulator installs its own [`Runtime`] on its thread with
//! [`install`], and the very same code runs on its clock, its scheduler and its seed.
//!
//! Channels need no seam: `tokio::sync::{mpsc, oneshot, Mutex, Semaphore}` are deterministic and run on any executor.
//! `tokio::sync::watch` is not (it draws a wake slot from an OS-seeded generator); use [`watch`] of this crate.

mod os;
pub mod planted;
pub mod watch;

use futures::future::BoxFuture;
use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// What a simulator replaces.
pub trait Runtime: Send + Sync + 'static {
    /// Runs a future on its own, on the calling node.
    fn spawn(&self, task: BoxFuture<'static, ()>);
    /// Runs blocking work (disk reads, hashing); the future ends with it.
    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()>;
    /// The node's monotonic clock, nanoseconds, counting time suspended.
    fn now_ns(&self) -> u64;
    /// The node's wall clock, Unix milliseconds.
    fn wall_ms(&self) -> u64;
    /// Ends when the monotonic clock reaches `at`.
    fn sleep_until(&self, at: Instant) -> BoxFuture<'static, ()>;
    /// Fills `out` with random bytes.
    fn fill_random(&self, out: &mut [u8]);
    /// Hears of a rare situation; see [`probe`].
    fn probe(&self, name: &'static str, facts: &[u64]) {
        let _ = (name, facts);
    }
}

thread_local! {
    static INSTALLED: RefCell<Option<Arc<dyn Runtime>>> = const { RefCell::new(None) };
}

/// Makes `runtime` serve this thread from now on (`None`: tokio and the operating system again). For simulators.
pub fn install(runtime: Option<Arc<dyn Runtime>>) {
    INSTALLED.with(|slot| *slot.borrow_mut() = runtime);
}

fn installed<T>(f: impl FnOnce(Option<&Arc<dyn Runtime>>) -> T) -> T {
    // Cloned out, so that a runtime may call back in here. A thread being torn down has nothing installed.
    let runtime = INSTALLED.try_with(|slot| slot.borrow().clone()).unwrap_or_default();
    f(runtime.as_ref())
}

/// A point on the node's monotonic clock, nanoseconds since an arbitrary origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(pub u64);

impl Instant {
    /// Now, on this node.
    pub fn now() -> Self {
        Instant(installed(|r| r.map_or_else(os::now_ns, |r| r.now_ns())))
    }
    /// Time passed since `self`; zero if it lies ahead.
    pub fn elapsed(self) -> Duration {
        Instant::now() - self
    }
    /// Time until `self`; zero if it has passed.
    pub fn remaining(self) -> Duration {
        self - Instant::now()
    }
}
impl Add<Duration> for Instant {
    type Output = Self;
    fn add(self, d: Duration) -> Self {
        Instant(self.0.saturating_add(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)))
    }
}
impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, d: Duration) {
        *self = *self + d;
    }
}
impl Sub<Duration> for Instant {
    type Output = Self;
    fn sub(self, d: Duration) -> Self {
        Instant(self.0.saturating_sub(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)))
    }
}
impl SubAssign<Duration> for Instant {
    fn sub_assign(&mut self, d: Duration) {
        *self = *self - d;
    }
}
impl Sub for Instant {
    type Output = Duration;
    fn sub(self, other: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(other.0))
    }
}

/// The wall clock, Unix milliseconds.
pub fn wall_ms() -> u64 {
    installed(|r| r.map_or_else(os::wall_ms, |r| r.wall_ms()))
}

/// Fills `out` with random bytes fit for ids and secrets.
pub fn fill_random(out: &mut [u8]) {
    installed(|r| match r {
        Some(r) => r.fill_random(out),
        None => os::fill_random(out),
    });
}

/// `N` random bytes.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut out = [0; N];
    fill_random(&mut out);
    out
}

/// A random number.
pub fn random_u64() -> u64 {
    u64::from_le_bytes(random_bytes())
}

/// A random number in `0..bound` (bias below 2^-32 for bounds below 2^32); 0 when `bound` is 0.
pub fn random_below(bound: u64) -> u64 {
    if bound == 0 { 0 } else { random_u64() % bound }
}

/// `d` spread by up to a quarter either way, for retry delays.
pub fn jitter(d: Duration) -> Duration {
    d.mul_f64(0.75 + (random_u64() % 1000) as f64 / 2000.0)
}

/// Tells a simulator of a situation worth knowing of: a rare one that a test run should have met ("sometimes"
/// assertions), or an act that only some nodes may commit. In production it does nothing.
pub fn probe(name: &'static str, facts: &[u64]) {
    installed(|r| {
        if let Some(r) = r {
            r.probe(name, facts);
        }
    });
}

/// A spawned task's result. Dropping the handle lets the task run on.
pub struct JoinHandle<T>(tokio::sync::oneshot::Receiver<T>);

/// The task ended without a result: it panicked or its node was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinError;

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("task ended without a result")
    }
}
impl std::error::Error for JoinError {}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|r| r.map_err(|_| JoinError))
    }
}

/// Runs a future on its own.
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let (tx, rx) = tokio::sync::oneshot::channel();
    let task = async move {
        let _ = tx.send(future.await);
    };
    installed(|r| match r {
        Some(r) => r.spawn(Box::pin(task)),
        None => os::spawn(task),
    });
    JoinHandle(rx)
}

/// Runs blocking work away from the event loop.
///
/// # Errors
/// [`JoinError`] when the work panicked.
pub async fn spawn_blocking<F, T>(work: F) -> Result<T, JoinError>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let (tx, rx) = tokio::sync::oneshot::channel();
    let work = Box::new(move || {
        let _ = tx.send(work());
    });
    match installed(|r| r.cloned()) {
        Some(r) => r.spawn_blocking(work).await,
        None => os::spawn_blocking(work).await,
    }
    rx.await.map_err(|_| JoinError)
}

/// A timer; ends at its instant.
pub struct Sleep(SleepKind);

enum SleepKind {
    Tokio(Pin<Box<tokio::time::Sleep>>),
    Simulated(BoxFuture<'static, ()>),
}

impl Future for Sleep {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            SleepKind::Tokio(s) => s.as_mut().poll(cx),
            SleepKind::Simulated(s) => s.as_mut().poll(cx),
        }
    }
}

/// Ends after `d`.
pub fn sleep(d: Duration) -> Sleep {
    installed(|r| match r {
        Some(r) => Sleep(SleepKind::Simulated(r.sleep_until(Instant(r.now_ns()) + d))),
        None => Sleep(SleepKind::Tokio(Box::pin(os::sleep(d)))),
    })
}

/// Ends at `at`.
pub fn sleep_until(at: Instant) -> Sleep {
    installed(|r| match r {
        Some(r) => Sleep(SleepKind::Simulated(r.sleep_until(at))),
        None => Sleep(SleepKind::Tokio(Box::pin(os::sleep(at - Instant(os::now_ns()))))),
    })
}

/// The time ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("time ran out")
    }
}
impl std::error::Error for Elapsed {}

/// A future with a deadline; see [`timeout`].
pub struct Timeout<F> {
    future: Pin<Box<F>>,
    sleep: Sleep,
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(v) = self.future.as_mut().poll(cx) {
            return Poll::Ready(Ok(v));
        }
        Pin::new(&mut self.sleep).poll(cx).map(|()| Err(Elapsed))
    }
}

/// Gives `future` at most `d`; dropped then.
pub fn timeout<F: Future>(d: Duration, future: F) -> Timeout<F> {
    Timeout { future: Box::pin(future), sleep: sleep(d) }
}

/// Gives `future` until `at`; dropped then.
pub fn timeout_at<F: Future>(at: Instant, future: F) -> Timeout<F> {
    Timeout { future: Box::pin(future), sleep: sleep_until(at) }
}

/// Either of two results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Either<A, B> {
    /// The first future ended.
    Left(A),
    /// The second future ended.
    Right(B),
}

/// The result of whichever ends first; the first one wins ties (`tokio::select!` would toss a coin).
pub async fn select<A: Future, B: Future>(a: A, b: B) -> Either<A::Output, B::Output> {
    let (mut a, mut b) = (std::pin::pin!(a), std::pin::pin!(b));
    std::future::poll_fn(move |cx| {
        if let Poll::Ready(v) = a.as_mut().poll(cx) {
            return Poll::Ready(Either::Left(v));
        }
        b.as_mut().poll(cx).map(Either::Right)
    })
    .await
}
