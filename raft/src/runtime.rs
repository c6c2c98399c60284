//! openraft's view of time, tasks, channels and chance, all delegated to `zcluster_runtime`.
//!
//! Channels, oneshots and mutexes are tokio's, which are deterministic on any executor; the watch channel is our own,
//! because tokio's draws randomness from the operating system.

use openraft_rt::{
    AsyncRuntime, Mpsc, MpscReceiver, MpscSender, MpscWeakSender, OptionalSend, OptionalSync, RecvError, SendError,
    TryRecvError, Watch, WatchReceiver, WatchSender,
};
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::sync::{Arc, RwLockReadGuard};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use tokio::sync::mpsc;
use zcluster_runtime::watch;

/// The runtime type that openraft is generic over.
#[derive(Debug)]
pub(crate) struct Rt;

/// `zcluster_runtime::Instant`, so that openraft's trait can be implemented for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RtInstant(zcluster_runtime::Instant);

impl Add<Duration> for RtInstant {
    type Output = Self;
    fn add(self, d: Duration) -> Self {
        Self(self.0 + d)
    }
}
impl AddAssign<Duration> for RtInstant {
    fn add_assign(&mut self, d: Duration) {
        self.0 += d;
    }
}
impl Sub<Duration> for RtInstant {
    type Output = Self;
    fn sub(self, d: Duration) -> Self {
        Self(self.0 - d)
    }
}
impl SubAssign<Duration> for RtInstant {
    fn sub_assign(&mut self, d: Duration) {
        self.0 -= d;
    }
}
impl Sub for RtInstant {
    type Output = Duration;
    fn sub(self, other: Self) -> Duration {
        self.0 - other.0
    }
}
impl openraft_rt::Instant for RtInstant {
    fn now() -> Self {
        Self(zcluster_runtime::Instant::now())
    }
}

/// Random numbers from the seam.
pub(crate) struct RtRng;

impl rand::TryRng for RtRng {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(zcluster_runtime::random_bytes()))
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(zcluster_runtime::random_u64())
    }
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        zcluster_runtime::fill_random(out);
        Ok(())
    }
}

/// Bounded channels. `send` tries at once before it waits: as long as a channel has room, a message is in its queue
/// when the send future was polled once, which is what keeps replication messages in order (see `service::append`).
pub(crate) struct RtMpsc;

pub(crate) struct RtSender<T>(mpsc::Sender<T>);
pub(crate) struct RtReceiver<T>(mpsc::Receiver<T>);
pub(crate) struct RtWeakSender<T>(mpsc::WeakSender<T>);

impl<T> Clone for RtSender<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}
impl<T> Clone for RtWeakSender<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl Mpsc for RtMpsc {
    type Sender<T: OptionalSend> = RtSender<T>;
    type Receiver<T: OptionalSend> = RtReceiver<T>;
    type WeakSender<T: OptionalSend> = RtWeakSender<T>;
    fn channel<T: OptionalSend>(buffer: usize) -> (RtSender<T>, RtReceiver<T>) {
        let (tx, rx) = mpsc::channel(buffer);
        (RtSender(tx), RtReceiver(rx))
    }
}
impl<T: OptionalSend> MpscSender<RtMpsc, T> for RtSender<T> {
    async fn send(&self, msg: T) -> Result<(), SendError<T>> {
        match self.0.try_send(msg) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Closed(msg)) => Err(SendError(msg)),
            Err(mpsc::error::TrySendError::Full(msg)) => self.0.send(msg).await.map_err(|e| SendError(e.0)),
        }
    }
    fn downgrade(&self) -> RtWeakSender<T> {
        RtWeakSender(self.0.downgrade())
    }
}
impl<T: OptionalSend> MpscReceiver<T> for RtReceiver<T> {
    fn recv(&mut self) -> impl Future<Output = Option<T>> + OptionalSend {
        self.0.recv()
    }
    fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.0.try_recv().map_err(|e| match e {
            mpsc::error::TryRecvError::Empty => TryRecvError::Empty,
            mpsc::error::TryRecvError::Disconnected => TryRecvError::Disconnected,
        })
    }
}
impl<T: OptionalSend> MpscWeakSender<RtMpsc, T> for RtWeakSender<T> {
    fn upgrade(&self) -> Option<RtSender<T>> {
        self.0.upgrade().map(RtSender)
    }
}

/// Watch channels of `zcluster_runtime`.
pub(crate) struct RtWatch;

pub(crate) struct RtWatchSender<T>(watch::Sender<T>);
pub(crate) struct RtWatchReceiver<T>(watch::Receiver<T>);

impl<T> Clone for RtWatchSender<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}
impl<T> Clone for RtWatchReceiver<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl Watch for RtWatch {
    type Sender<T: OptionalSend + OptionalSync> = RtWatchSender<T>;
    type Receiver<T: OptionalSend + OptionalSync> = RtWatchReceiver<T>;
    type Ref<'a, T: OptionalSend + 'a> = RwLockReadGuard<'a, T>;
    fn channel<T: OptionalSend + OptionalSync>(init: T) -> (RtWatchSender<T>, RtWatchReceiver<T>) {
        let (tx, rx) = watch::channel(init);
        (RtWatchSender(tx), RtWatchReceiver(rx))
    }
}
impl<T: OptionalSend + OptionalSync> WatchSender<RtWatch, T> for RtWatchSender<T> {
    fn send(&self, value: T) -> Result<(), openraft_rt::watch::SendError<T>> {
        self.0.send(value).map_err(openraft_rt::watch::SendError)
    }
    fn send_if_modified<F: FnOnce(&mut T) -> bool>(&self, modify: F) -> bool {
        self.0.send_if_modified(modify)
    }
    fn borrow_watched(&self) -> RwLockReadGuard<'_, T> {
        self.0.borrow()
    }
    fn subscribe(&self) -> RtWatchReceiver<T> {
        RtWatchReceiver(self.0.subscribe())
    }
}
impl<T: OptionalSend + OptionalSync> WatchReceiver<RtWatch, T> for RtWatchReceiver<T> {
    async fn changed(&mut self) -> Result<(), RecvError> {
        self.0.changed().await.map_err(|_| RecvError(()))
    }
    fn borrow_watched(&self) -> RwLockReadGuard<'_, T> {
        self.0.borrow()
    }
    fn borrow_and_update(&mut self) -> RwLockReadGuard<'_, T> {
        self.0.borrow_and_update()
    }
}

impl AsyncRuntime for Rt {
    type JoinError = zcluster_runtime::JoinError;
    type JoinHandle<T: OptionalSend + 'static> = zcluster_runtime::JoinHandle<T>;
    type Sleep = zcluster_runtime::Sleep;
    type Instant = RtInstant;
    type TimeoutError = zcluster_runtime::Elapsed;
    type Timeout<R, T: Future<Output = R> + OptionalSend> = zcluster_runtime::Timeout<T>;
    type ThreadLocalRng = RtRng;
    type Mpsc = RtMpsc;
    type Watch = RtWatch;
    type Oneshot = openraft_rt_tokio::TokioOneshot;
    type Mutex<T: OptionalSend + 'static> = openraft_rt_tokio::TokioMutex<T>;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        zcluster_runtime::spawn(future)
    }
    fn sleep(duration: Duration) -> Self::Sleep {
        zcluster_runtime::sleep(duration)
    }
    fn sleep_until(deadline: RtInstant) -> Self::Sleep {
        zcluster_runtime::sleep_until(deadline.0)
    }
    fn timeout<R, F: Future<Output = R> + OptionalSend>(duration: Duration, future: F) -> Self::Timeout<R, F> {
        zcluster_runtime::timeout(duration, future)
    }
    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(deadline: RtInstant, future: F) -> Self::Timeout<R, F> {
        zcluster_runtime::timeout_at(deadline.0, future)
    }
    fn is_panic(_: &Self::JoinError) -> bool {
        // A task of a running node ends without a result only by a panic.
        true
    }
    fn thread_rng() -> RtRng {
        RtRng
    }
    fn new(_threads: usize) -> Self {
        Rt
    }
    /// Not used by openraft outside its own tests; parks the thread between polls.
    #[allow(clippy::disallowed_methods, reason = "blocking is what it is for")]
    fn block_on<F, T>(&mut self, future: F) -> T
    where
        F: Future<Output = T>,
    {
        let mut future = std::pin::pin!(future);
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        loop {
            match future.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(v) => return v,
                Poll::Pending => std::thread::park(),
            }
        }
    }
    #[allow(clippy::manual_async_fn, reason = "the trait asks for a future that is Send")]
    fn spawn_blocking<F, T>(f: F) -> impl Future<Output = Result<T, io::Error>> + Send
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        async { zcluster_runtime::spawn_blocking(f).await.map_err(io::Error::other) }
    }
}

struct Unpark(std::thread::Thread);
impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
