//! Calls and answer streams on the Data and Bulk lanes.

use super::Shared;
use super::connect::{H2, NeverSent};
use super::link::{Link, error_chain};
use crate::frame::{MESSAGE_BYTES_MAX, RawCodec};
use crate::server::{BOOT_KEY, CALL_PATH, CLUSTER_KEY, ERROR_KEY, FROM_KEY, METHOD_KEY, STREAM_PATH, TO_KEY};
use crate::{Frames, RpcError};
use bytes::Bytes;
use futures::StreamExt;
use http::uri::PathAndQuery;
use std::sync::Arc;
use std::time::Duration;
use tonic::client::Grpc;
use tonic::metadata::MetadataValue;
use tonic::{Request, Status};
use zcluster_runtime::{Instant, timeout_at};

/// A gRPC client on a connection.
pub(super) fn grpc(h2: H2) -> Grpc<H2> {
    Grpc::with_origin(h2, http::Uri::from_static("https://zcluster.internal"))
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
}

/// A request with the metadata that the peer checks.
pub(super) fn request<T>(shared: &Shared, to: u64, method: u16, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let metadata = request.metadata_mut();
    let identity = &shared.identity;
    if let Ok(cluster) = MetadataValue::try_from(identity.cluster.as_str()) {
        metadata.insert(CLUSTER_KEY, cluster);
    }
    metadata.insert(FROM_KEY, MetadataValue::from(identity.id));
    metadata.insert(TO_KEY, MetadataValue::from(to));
    metadata.insert(BOOT_KEY, MetadataValue::from(identity.boot));
    metadata.insert(METHOD_KEY, MetadataValue::from(method));
    request
}

/// What a failed call means: the peer's own error, or what happened on the way.
pub(super) fn error(to: u64, status: &Status) -> RpcError {
    if let Some(kind) = status.metadata().get(ERROR_KEY).and_then(|v| v.to_str().ok()) {
        let text = status.message().to_string();
        return match kind {
            "refused" => RpcError::Refused(text),
            "lost" => RpcError::Lost(text),
            "unreachable" => crate::frame::error_from_parts(crate::frame::Kind::Unreachable, text.as_bytes()),
            _ => RpcError::Remote(text),
        };
    }
    let mut source = std::error::Error::source(status);
    while let Some(e) = source {
        if e.is::<NeverSent>() {
            return RpcError::Unreachable(to, e.to_string());
        }
        source = e.source();
    }
    RpcError::Lost(format!("node {to}: {}", error_chain(status)))
}

/// One call.
pub(super) async fn call(
    shared: Arc<Shared>,
    link: Arc<Link>,
    to: u64,
    method: u16,
    body: Bytes,
    timeout: Duration,
) -> Result<Bytes, RpcError> {
    let deadline = Instant::now() + timeout;
    let mut grpc = grpc(link.ready(to, deadline).await?);
    let exchange = async {
        grpc.ready().await.map_err(|e| RpcError::Unreachable(to, e.to_string()))?;
        grpc.unary(request(&shared, to, method, body), PathAndQuery::from_static(CALL_PATH), RawCodec)
            .await
            .map(tonic::Response::into_inner)
            .map_err(|status| error(to, &status))
    };
    match timeout_at(deadline, exchange).await {
        Ok(result) => result,
        Err(_) => Err(RpcError::Lost(format!("node {to} did not answer within {timeout:?}"))),
    }
}

/// One call for a stream of answers.
pub(super) async fn stream(
    shared: Arc<Shared>,
    link: Arc<Link>,
    to: u64,
    method: u16,
    body: Bytes,
    timeout: Duration,
) -> Result<Frames, RpcError> {
    let deadline = Instant::now() + timeout;
    let mut grpc = grpc(link.ready(to, deadline).await?);
    let exchange = async {
        grpc.ready().await.map_err(|e| RpcError::Unreachable(to, e.to_string()))?;
        grpc.server_streaming(request(&shared, to, method, body), PathAndQuery::from_static(STREAM_PATH), RawCodec)
            .await
            .map_err(|status| error(to, &status))
    };
    let answers = match timeout_at(deadline, exchange).await {
        Ok(result) => result?.into_inner(),
        Err(_) => return Err(RpcError::Lost(format!("node {to} did not answer within {timeout:?}"))),
    };
    // The link rides along, so that the connection lives as long as the stream.
    let frames = answers.map(move |item| {
        let _held = &link;
        item.map_err(|status| error(to, &status))
    });
    Ok(frames.boxed())
}
