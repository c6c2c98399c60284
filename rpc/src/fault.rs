//! A switch that cuts a node off from others, for partition tests on real processes.

use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use zcluster_runtime::{Sleep, sleep};

/// How often a cut connection looks whether it is healed.
const HEALED_POLL: Duration = Duration::from_millis(100);

/// Node numbers that this node neither hears nor reaches. Clones share the setting.
#[derive(Clone, Debug, Default)]
pub struct FaultSwitch(Arc<Mutex<BTreeSet<u32>>>);

impl FaultSwitch {
    /// Nothing is cut.
    pub fn new() -> Self {
        Self::default()
    }
    /// From now on exactly these nodes are cut off.
    pub fn set(&self, numbers: BTreeSet<u32>) {
        tracing::warn!(?numbers, "traffic to and from nodes is cut by the fault switch");
        *self.0.lock() = numbers;
    }
    /// The nodes that are cut off.
    pub fn blocked(&self) -> BTreeSet<u32> {
        self.0.lock().clone()
    }
    /// Whether node `number` is cut off.
    pub fn is_blocked(&self, number: u32) -> bool {
        self.0.lock().contains(&number)
    }
}

/// A connection to one node that turns into a black hole while the switch says so: nothing arrives, nothing leaves, no
/// error, exactly what a partition looks like. What was written before is delivered once it is healed.
pub struct FaultyIo<S> {
    inner: S,
    cut: Option<(FaultSwitch, u32)>,
    wait: Option<Sleep>,
}

impl<S> FaultyIo<S> {
    /// Wraps a connection to or from node `number`.
    pub fn new(inner: S, faults: Option<FaultSwitch>, number: u32) -> Self {
        FaultyIo { inner, cut: faults.map(|f| (f, number)), wait: None }
    }
    /// The connection.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
    /// Pending (and woken later) while cut.
    fn poll_cut(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some((faults, number)) = &self.cut else { return Poll::Ready(()) };
        while faults.is_blocked(*number) {
            let wait = self.wait.get_or_insert_with(|| sleep(HEALED_POLL));
            match Pin::new(wait).poll(cx) {
                Poll::Ready(()) => self.wait = None,
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for FaultyIo<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        if self.poll_cut(cx).is_pending() {
            return Poll::Pending;
        }
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for FaultyIo<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        if self.poll_cut(cx).is_pending() {
            return Poll::Pending;
        }
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        if self.poll_cut(cx).is_pending() {
            return Poll::Pending;
        }
        Pin::new(&mut self.inner).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        if self.poll_cut(cx).is_pending() {
            return Poll::Pending;
        }
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }
}
