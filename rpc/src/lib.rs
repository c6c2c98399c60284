//! How nodes talk: opaque frames between cluster members, over mutually authenticated TLS.
//!
//! [`Network`] is the seam: raft and router call peers through it and never see a socket. Production is
//! [`TonicNetwork`] (gRPC) and [`serve`]; the simulator brings its own.

pub mod client;
pub mod fault;
pub mod frame;
pub mod identity;
pub mod server;

pub use client::{JoinError, TonicNetwork, join_call};
pub use fault::FaultSwitch;
pub use identity::{Identity, node_dns_name, node_number};
pub use server::{JoinHandler, Members, ServerConfig, serve};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use std::time::Duration;

/// Which connection a call rides on, so that urgent traffic never queues behind large traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Consensus messages: one bidirectional stream per peer, frames in the order of the calls.
    Raft,
    /// Forwarded client calls.
    Data,
    /// Snapshots and other bulk.
    Bulk,
}

/// What went wrong between nodes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RpcError {
    /// The peer was not reached; the call surely had no effect.
    #[error("node {0} is unreachable: {1}")]
    Unreachable(u64, String),
    /// The answer did not come; whether the call had an effect is unknown.
    #[error("no answer: {0}")]
    Lost(String),
    /// The peer refused to talk: other cluster, other node, old incarnation.
    #[error("refused: {0}")]
    Refused(String),
    /// The handler answered with an error of its own, as text.
    #[error("{0}")]
    Remote(String),
}

/// A stream of answers.
pub type Frames = BoxStream<'static, Result<Bytes, RpcError>>;

/// The way to peers. Peers are named by raft node id (number and incarnation).
pub trait Network: Send + Sync + 'static {
    /// Asks `to` and waits at most `timeout`. On [`Lane::Raft`], calls made one after the other to one peer arrive in
    /// that order (the frame is queued when `call` is called, not when the future is first polled).
    fn call(
        &self,
        to: u64,
        lane: Lane,
        method: u16,
        body: Bytes,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<Bytes, RpcError>>;

    /// Asks `to` for a stream of answers; `timeout` bounds the wait for the stream to begin. Dropping the stream ends
    /// it at the peer too. Flow control holds the peer back when the answers are not taken.
    fn stream(
        &self,
        to: u64,
        lane: Lane,
        method: u16,
        body: Bytes,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<Frames, RpcError>>;
}

/// What answers peers' calls. Methods 0-99 are raft's, 100-199 the router's, 200-299 the node's.
pub trait Service: Send + Sync + 'static {
    /// Answers one call. Called in arrival order for [`Lane::Raft`]; the returned futures run concurrently, so a
    /// handler that needs order must queue inside `call` itself.
    fn call(&self, from: u64, method: u16, body: Bytes) -> BoxFuture<'static, Result<Bytes, RpcError>>;
    /// Answers with a stream.
    fn stream(&self, from: u64, method: u16, body: Bytes) -> BoxFuture<'static, Result<Frames, RpcError>>;
}
