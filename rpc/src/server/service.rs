//! The gRPC service by hand: three ways to be called and the request to join.

use super::check::Peer;
use super::{CALL_PATH, ERROR_KEY, FRAMES_PATH, JOIN_PATH, METHOD_KEY, STREAM_PATH, ServerConfig};
use crate::RpcError;
use crate::frame::{BATCH_BYTES_MAX, BatchCodec, Frame, Kind, MESSAGE_BYTES_MAX, RawCodec, cut, error_parts};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tonic::body::Body;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Request, Response, Status, Streaming};
use zcluster_runtime::spawn;

/// Raft calls of one peer that are being answered at a time; more wait on the wire.
const FRAMES_UNDER_WAY_MAX: usize = 4_096;
/// Requests to join that are decided on at a time.
const JOINS_UNDER_WAY_MAX: usize = 4;
/// The largest request to join, bytes.
const JOIN_BYTES_MAX: usize = 64 * 1024;

/// A stream of answers as gRPC wants it.
type Answers<T> = BoxStream<'static, Result<T, Status>>;

/// Answers gRPC requests of peers.
#[derive(Clone)]
pub(super) struct Rpc {
    config: Arc<ServerConfig>,
    joins: Arc<Semaphore>,
}

impl Rpc {
    pub(super) fn new(config: Arc<ServerConfig>) -> Self {
        Rpc { config, joins: Arc::new(Semaphore::new(JOINS_UNDER_WAY_MAX)) }
    }

    /// The caller, checked, and the method it asks for.
    fn checked<T>(&self, request: &Request<T>) -> Result<(u64, u16), Status> {
        let peer = request.extensions().get::<Arc<Peer>>().ok_or_else(|| Status::internal("no connection info"))?;
        let members = (self.config.members)();
        let from = peer.check(&self.config.identity, &members, request.metadata()).map_err(|e| {
            metrics::counter!("zcluster_rpc_refused_total").increment(1);
            tracing::warn!(address = %peer.address, reason = %e, "refused a cluster connection");
            status(&e)
        })?;
        let method = request.metadata().get(METHOD_KEY).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
        Ok((from, method.unwrap_or(u16::MAX)))
    }

    async fn join(self, request: Request<Bytes>) -> Result<Response<Bytes>, Status> {
        let refused = |text: &str| status(&RpcError::Refused(text.into()));
        let Some(handler) = self.config.join.clone() else {
            return Err(refused("this node does not admit others yet; try again or use another node"));
        };
        let peer = request.extensions().get::<Arc<Peer>>().cloned().ok_or_else(|| Status::internal("no peer"))?;
        let _permit = self.joins.acquire().await.map_err(|_| Status::internal("closed"))?;
        handler(peer.address, request.into_inner()).await.map(Response::new).map_err(|e| status(&e))
    }

    async fn call(self, request: Request<Bytes>) -> Result<Response<Bytes>, Status> {
        let (from, method) = self.checked(&request)?;
        let answer = self.config.service.call(from, method, request.into_inner()).await;
        answer.map(Response::new).map_err(|e| status(&e))
    }

    async fn stream(self, request: Request<Bytes>) -> Result<Response<Answers<Bytes>>, Status> {
        let (from, method) = self.checked(&request)?;
        let frames = self.config.service.stream(from, method, request.into_inner()).await.map_err(|e| status(&e))?;
        Ok(Response::new(frames.map(|item| item.map_err(|e| status(&e))).boxed()))
    }

    async fn frames(self, request: Request<Streaming<Vec<Frame>>>) -> Result<Response<Answers<Vec<Frame>>>, Status> {
        let (from, _) = self.checked(&request)?;
        let (answers, outgoing) = mpsc::unbounded_channel();
        spawn(take_calls(self.config, from, request.into_inner(), answers));
        Ok(Response::new(batches(outgoing).boxed()))
    }
}

/// An answer and its place among those under way, given back when the answer is written.
type Outgoing = (Frame, OwnedSemaphorePermit);

/// Hands calls to the service in the order of their arrival; their answers come when they come.
async fn take_calls(
    config: Arc<ServerConfig>,
    from: u64,
    mut incoming: Streaming<Vec<Frame>>,
    answers: mpsc::UnboundedSender<Outgoing>,
) {
    let room = Arc::new(Semaphore::new(FRAMES_UNDER_WAY_MAX));
    loop {
        let batch = match incoming.message().await {
            Ok(Some(batch)) => batch,
            Ok(None) => return,
            Err(e) => {
                tracing::debug!(from, error = %e, "stream from peer ended");
                return;
            }
        };
        for frame in batch {
            if frame.kind != Kind::Call {
                continue;
            }
            let Ok(permit) = room.clone().acquire_owned().await else { return };
            let (id, answers) = (frame.id, answers.clone());
            let answer = config.service.call(from, frame.method, frame.body);
            spawn(async move {
                let _ = answers.send((Frame::answer(id, answer.await), permit));
            });
        }
    }
}

/// The stream of batches of answers.
fn batches(outgoing: mpsc::UnboundedReceiver<Outgoing>) -> impl futures::Stream<Item = Result<Vec<Frame>, Status>> {
    futures::stream::unfold(outgoing, |mut outgoing| async move {
        let (first, _) = outgoing.recv().await?;
        let mut bytes = first.cost();
        let mut batch = vec![first];
        while bytes < BATCH_BYTES_MAX {
            let Ok((frame, _)) = outgoing.try_recv() else { break };
            bytes += frame.cost();
            batch.push(frame);
        }
        Some((Ok(batch), outgoing))
    })
}

/// An error as gRPC says it; [`ERROR_KEY`] carries which one it is.
fn status(e: &RpcError) -> Status {
    let (code, kind) = match e {
        RpcError::Remote(_) => (Code::Unknown, "remote"),
        RpcError::Refused(_) => (Code::PermissionDenied, "refused"),
        RpcError::Lost(_) => (Code::Aborted, "lost"),
        RpcError::Unreachable(..) => (Code::Unavailable, "unreachable"),
    };
    let (_, text) = error_parts(e);
    let mut metadata = MetadataMap::new();
    metadata.insert(ERROR_KEY, MetadataValue::from_static(kind));
    Status::with_metadata(code, cut(&String::from_utf8_lossy(&text)), metadata)
}

/// Makes a tonic service of a function.
struct Handler<F>(F);

impl<F, Fut> tonic::server::UnaryService<Bytes> for Handler<F>
where
    F: FnMut(Request<Bytes>) -> Fut,
    Fut: Future<Output = Result<Response<Bytes>, Status>>,
{
    type Response = Bytes;
    type Future = Fut;
    fn call(&mut self, request: Request<Bytes>) -> Fut {
        (self.0)(request)
    }
}

impl<F, Fut> tonic::server::ServerStreamingService<Bytes> for Handler<F>
where
    F: FnMut(Request<Bytes>) -> Fut,
    Fut: Future<Output = Result<Response<Answers<Bytes>>, Status>>,
{
    type Response = Bytes;
    type ResponseStream = Answers<Bytes>;
    type Future = Fut;
    fn call(&mut self, request: Request<Bytes>) -> Fut {
        (self.0)(request)
    }
}

impl<F, Fut> tonic::server::StreamingService<Vec<Frame>> for Handler<F>
where
    F: FnMut(Request<Streaming<Vec<Frame>>>) -> Fut,
    Fut: Future<Output = Result<Response<Answers<Vec<Frame>>>, Status>>,
{
    type Response = Vec<Frame>;
    type ResponseStream = Answers<Vec<Frame>>;
    type Future = Fut;
    fn call(&mut self, request: Request<Streaming<Vec<Frame>>>) -> Fut {
        (self.0)(request)
    }
}

impl tower::Service<http::Request<Body>> for Rpc {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<http::Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let rpc = self.clone();
        // Strangers may only ask to join; nothing else of theirs is even read.
        let stranger = request.extensions().get::<Arc<Peer>>().is_none_or(|p| p.node.is_none());
        if stranger && request.uri().path() != JOIN_PATH {
            let refused = RpcError::Refused("no certificate of the cluster: run `zcluster join` first".into());
            return futures::future::ready(Ok(status(&refused).into_http())).boxed();
        }
        async move {
            let raw = || tonic::server::Grpc::new(RawCodec).max_decoding_message_size(MESSAGE_BYTES_MAX);
            Ok(match request.uri().path() {
                CALL_PATH => raw().unary(Handler(move |r| rpc.clone().call(r)), request).await,
                STREAM_PATH => raw().server_streaming(Handler(move |r| rpc.clone().stream(r)), request).await,
                FRAMES_PATH => {
                    tonic::server::Grpc::new(BatchCodec)
                        .max_decoding_message_size(MESSAGE_BYTES_MAX)
                        .streaming(Handler(move |r| rpc.clone().frames(r)), request)
                        .await
                }
                JOIN_PATH => {
                    tonic::server::Grpc::new(RawCodec)
                        .max_decoding_message_size(JOIN_BYTES_MAX)
                        .unary(Handler(move |r| rpc.clone().join(r)), request)
                        .await
                }
                _ => Status::unimplemented("no such method").into_http(),
            })
        }
        .boxed()
    }
}
