//! The Raft lane: one bidirectional stream to a peer; calls in order, answers matched by id.

use super::Shared;
use super::connect::H2;
use super::link::{Attempts, run, unwanted};
use super::unary::{error, grpc, request};
use crate::RpcError;
use crate::frame::{BATCH_BYTES_MAX, BatchCodec, Frame, Kind};
use crate::server::FRAMES_PATH;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, Stream};
use http::uri::PathAndQuery;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use zcluster_runtime::{Either, select, spawn, timeout, watch};

/// Calls that wait to be sent to one peer.
pub const QUEUE_CALLS_MAX: usize = 4_096;
/// Bytes that wait to be sent to one peer.
pub const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Calls that wait for one peer's answer.
pub const PENDING_MAX: usize = 16_384;

/// Not yet written; the caller still waits.
const QUEUED: u8 = 0;
/// Handed to the connection.
const SENT: u8 = 1;
/// The caller gave up before it was written: it never will be.
const ABANDONED: u8 = 2;

type Answer = oneshot::Sender<Result<Bytes, RpcError>>;

/// A call on its way out.
struct Queued {
    frame: Frame,
    answer: Answer,
    stage: Arc<AtomicU8>,
}

/// Calls to one peer.
pub(super) struct RaftLane {
    to: u64,
    queue: mpsc::Sender<Queued>,
    inner: Arc<Inner>,
    /// Dropped with the lane: that is how its task knows.
    _wanted: watch::Sender<()>,
}

struct Inner {
    next_id: AtomicU64,
    queued_bytes: AtomicUsize,
    pending: Mutex<BTreeMap<u64, Answer>>,
    /// Set while the last attempt to connect has failed: calls fail at once.
    down: Mutex<Option<RpcError>>,
    calls: metrics::Counter,
    batch_bytes: metrics::Histogram,
}

/// The queue's receiving end, passed from one stream to the next.
type Source = Arc<tokio::sync::Mutex<Receiving>>;

struct Receiving {
    queue: mpsc::Receiver<Queued>,
    /// Taken from the queue but too large for the batch under way: first in the next one.
    held: Option<Queued>,
}

impl Receiving {
    fn try_next(&mut self) -> Option<Queued> {
        self.held.take().or_else(|| self.queue.try_recv().ok())
    }
    async fn next(&mut self) -> Option<Queued> {
        match self.held.take() {
            Some(held) => Some(held),
            None => self.queue.recv().await,
        }
    }
}

impl RaftLane {
    /// Starts to connect. The connection ends when the lane is dropped.
    pub(super) fn start(shared: Arc<Shared>, to: u64) -> Arc<RaftLane> {
        let (queue, receiver) = mpsc::channel(QUEUE_CALLS_MAX);
        let inner = Arc::new(Inner {
            next_id: AtomicU64::new(1),
            queued_bytes: AtomicUsize::new(0),
            pending: Mutex::default(),
            down: Mutex::default(),
            calls: metrics::counter!("zcluster_rpc_raft_calls_total"),
            batch_bytes: metrics::histogram!("zcluster_rpc_raft_batch_bytes"),
        });
        let (sender, wanted) = watch::channel(());
        let source = Arc::new(tokio::sync::Mutex::new(Receiving { queue: receiver, held: None }));
        spawn(keep_up(shared, to, wanted, inner.clone(), source));
        Arc::new(RaftLane { to, queue, inner, _wanted: sender })
    }

    /// Queues a call (now) and waits for its answer (in the returned future).
    pub(super) fn call(&self, method: u16, body: Bytes, wait: Duration) -> BoxFuture<'static, Result<Bytes, RpcError>> {
        let to = self.to;
        let fail = |e: RpcError| futures::future::ready(Err(e)).boxed();
        if let Some(e) = self.inner.down.lock().clone() {
            return fail(e);
        }
        let frame = Frame { id: self.inner.next_id.fetch_add(1, Ordering::Relaxed), method, kind: Kind::Call, body };
        let cost = frame.cost();
        if self.inner.queued_bytes.fetch_add(cost, Ordering::Relaxed) + cost > QUEUE_BYTES_MAX {
            self.inner.queued_bytes.fetch_sub(cost, Ordering::Relaxed);
            return fail(RpcError::Unreachable(to, "too many bytes wait to be sent".into()));
        }
        let (answer, answered) = oneshot::channel();
        let stage = Arc::new(AtomicU8::new(QUEUED));
        if self.queue.try_send(Queued { frame, answer, stage: stage.clone() }).is_err() {
            self.inner.queued_bytes.fetch_sub(cost, Ordering::Relaxed);
            return fail(RpcError::Unreachable(to, "too many calls wait to be sent".into()));
        }
        async move {
            match timeout(wait, answered).await {
                Ok(Ok(result)) => result,
                Ok(Err(_)) => Err(unanswered(to, &stage, "the connection was dropped")),
                Err(_) => Err(unanswered(to, &stage, &format!("nothing within {wait:?}"))),
            }
        }
        .boxed()
    }
}

/// Unreachable if the call was never written (and then it never will be), else lost.
fn unanswered(to: u64, stage: &AtomicU8, why: &str) -> RpcError {
    match stage.compare_exchange(QUEUED, ABANDONED, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) | Err(ABANDONED) => RpcError::Unreachable(to, why.to_string()),
        Err(_) => RpcError::Lost(format!("node {to}: {why}")),
    }
}

/// Keeps the stream up until nobody wants it any more.
async fn keep_up(shared: Arc<Shared>, to: u64, mut wanted: watch::Receiver<()>, inner: Arc<Inner>, source: Source) {
    let _: Either<(), _> = select(connections(&shared, to, &inner, &source), unwanted(&mut wanted)).await;
    let removed = RpcError::Unreachable(to, "the peer was removed".into());
    fail_pending(&inner, &RpcError::Lost(removed.to_string()));
    fail_queued(&inner, &source, &removed).await;
}

/// Connects, and again whenever the stream ended.
async fn connections(shared: &Arc<Shared>, to: u64, inner: &Arc<Inner>, source: &Source) {
    let mut attempts = Attempts::new(shared.clone(), to);
    loop {
        let failure = match attempts.next().await {
            Err(e) => Some(e),
            Ok((h2, driver, address)) => {
                let exchange = exchange(shared, to, h2, inner, source);
                // The driver must run for the exchange to get anywhere, and either's end is the end.
                match select(run(shared, to, &address, driver), exchange).await {
                    Either::Left(()) => None,
                    Either::Right(end) => end,
                }
            }
        };
        // A peer that refuses the stream has not looked at its frames; otherwise nobody knows.
        match &failure {
            Some(e @ RpcError::Refused(_)) => fail_pending(inner, e),
            _ => fail_pending(inner, &RpcError::Lost(format!("the connection to node {to} broke"))),
        }
        match failure {
            Some(e) => {
                *inner.down.lock() = Some(e.clone());
                fail_queued(inner, source, &e).await;
            }
            None => attempts.succeeded(),
        }
        attempts.pause().await;
    }
}

/// Fails what was sent and not answered.
fn fail_pending(inner: &Inner, e: &RpcError) {
    for (_, answer) in std::mem::take(&mut *inner.pending.lock()) {
        let _ = answer.send(Err(e.clone()));
    }
}

/// Fails what waits to be sent; none of it was.
async fn fail_queued(inner: &Inner, source: &Source, e: &RpcError) {
    let mut source = source.lock().await;
    while let Some(queued) = source.try_next() {
        inner.queued_bytes.fetch_sub(queued.frame.cost(), Ordering::Relaxed);
        let _ = queued.answer.send(Err(e.clone()));
    }
}

/// Opens the stream and takes answers until it ends. Returns the failure when the peer did not open it.
async fn exchange(shared: &Shared, to: u64, h2: H2, inner: &Arc<Inner>, source: &Source) -> Option<RpcError> {
    let mut grpc = grpc(h2);
    if grpc.ready().await.is_err() {
        return Some(RpcError::Unreachable(to, "the connection was closed at once".into()));
    }
    let outgoing = batches(inner.clone(), source.clone());
    let request = request(shared, to, 0, outgoing);
    let opened = grpc.streaming(request, PathAndQuery::from_static(FRAMES_PATH), BatchCodec).await;
    let mut answers = match opened {
        Ok(response) => response.into_inner(),
        Err(status) => {
            let e = error(to, &status);
            if let RpcError::Refused(reason) = &e {
                tracing::warn!(to, reason, "peer refuses to talk to this node");
            }
            return Some(e);
        }
    };
    *inner.down.lock() = None;
    loop {
        match answers.message().await {
            Ok(Some(batch)) => take_answers(inner, batch),
            Ok(None) => return None,
            Err(status) => {
                tracing::debug!(to, error = %status, "stream to peer ended");
                return None;
            }
        }
    }
}

fn take_answers(inner: &Inner, batch: Vec<Frame>) {
    let mut pending = inner.pending.lock();
    for frame in batch {
        if let Some(answer) = pending.remove(&frame.id) {
            let _ = answer.send(frame.result());
        }
    }
}

/// The stream of batches to the peer: each takes what waits, up to [`BATCH_BYTES_MAX`].
fn batches(inner: Arc<Inner>, source: Source) -> impl Stream<Item = Vec<Frame>> + Send + 'static {
    futures::stream::unfold((inner, source), |(inner, source)| async move {
        let mut batch = Vec::new();
        let mut bytes = 0;
        {
            let mut waiting = source.lock().await;
            // Waits for the first one only.
            while batch.is_empty() {
                bytes += put(&inner, waiting.next().await?, &mut batch);
            }
            while bytes < BATCH_BYTES_MAX {
                let Some(next) = waiting.try_next() else { break };
                if bytes + next.frame.cost() > BATCH_BYTES_MAX {
                    waiting.held = Some(next);
                    break;
                }
                bytes += put(&inner, next, &mut batch);
            }
        }
        inner.batch_bytes.record(bytes as f64);
        inner.calls.increment(batch.len() as u64);
        Some((batch, (inner, source)))
    })
}

/// Puts a call into the batch unless its caller has given up; what it costs.
fn put(inner: &Inner, queued: Queued, batch: &mut Vec<Frame>) -> usize {
    let Queued { frame, answer, stage } = queued;
    let cost = frame.cost();
    inner.queued_bytes.fetch_sub(cost, Ordering::Relaxed);
    if stage.compare_exchange(QUEUED, SENT, Ordering::AcqRel, Ordering::Acquire).is_err() {
        return 0;
    }
    let mut pending = inner.pending.lock();
    if pending.len() >= PENDING_MAX {
        // Those whose callers gave up need no place any more.
        pending.retain(|_, answer| !answer.is_closed());
    }
    if pending.len() >= PENDING_MAX {
        let _ = answer.send(Err(RpcError::Unreachable(0, "too many calls wait for an answer".into())));
        return 0;
    }
    pending.insert(frame.id, answer);
    batch.push(frame);
    cost
}
