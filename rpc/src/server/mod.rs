//! The answering side: [`serve`].

mod accept;
mod check;
mod service;

use crate::fault::FaultSwitch;
use crate::identity::{Identity, node_number};
use crate::{RpcError, Service};
use bytes::Bytes;
use futures::future::BoxFuture;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;

/// The bidirectional stream of the Raft lane.
pub(crate) const FRAMES_PATH: &str = "/zcluster.Cluster/Frames";
/// One call, one answer.
pub(crate) const CALL_PATH: &str = "/zcluster.Cluster/Call";
/// One call, a stream of answers.
pub(crate) const STREAM_PATH: &str = "/zcluster.Cluster/Stream";
/// A node that has no certificate yet asks to become a member.
pub(crate) const JOIN_PATH: &str = "/zcluster.Cluster/Join";
/// Metadata: cluster id.
pub(crate) const CLUSTER_KEY: &str = "zc-cluster";
/// Metadata: the caller's raft node id.
pub(crate) const FROM_KEY: &str = "zc-from";
/// Metadata: the raft node id that the caller expects here.
pub(crate) const TO_KEY: &str = "zc-to";
/// Metadata: the caller's process.
pub(crate) const BOOT_KEY: &str = "zc-boot";
/// Metadata: method number.
pub(crate) const METHOD_KEY: &str = "zc-method";
/// Metadata of an error answer: which [`RpcError`] it is.
pub(crate) const ERROR_KEY: &str = "zc-error";

/// What the refusal says when a process with the caller's id is connected already.
pub const TWO_PROCESSES: &str = "two nodes with one id";

/// Decides on a request to join: the caller's address and message in, the answer out. It proves nothing about the
/// caller; the message must carry a token.
pub type JoinHandler = Arc<dyn Fn(SocketAddr, Bytes) -> BoxFuture<'static, Result<Bytes, RpcError>> + Send + Sync>;

/// The members as far as this node knows.
#[derive(Clone, Debug, Default)]
pub struct Members {
    /// Raft node ids and addresses of peers: a caller with an older incarnation than its number has here is refused.
    pub peers: Arc<BTreeMap<u64, String>>,
    /// Raft node ids that have left for good.
    pub removed: BTreeSet<u64>,
}

impl Members {
    /// Whether a caller may speak for its raft node id.
    ///
    /// # Errors
    /// `Refused` when a newer incarnation has taken its place, or when it has left; says what to do.
    pub fn check(&self, from: u64) -> Result<(), RpcError> {
        let number = node_number(from);
        if let Some(newer) = self.peers.keys().find(|m| node_number(**m) == number && **m > from) {
            return Err(RpcError::Refused(format!(
                "node {number} continues as incarnation {}, the caller is incarnation {}: its disk was replaced. \
                 Remove its data directory and join again",
                newer & 0xffff,
                from & 0xffff
            )));
        }
        if self.removed.contains(&from) {
            return Err(RpcError::Refused(format!(
                "node {number} has left the cluster: its data directory is of no more use, join again with an empty one"
            )));
        }
        Ok(())
    }
}

/// What [`serve`] needs.
pub struct ServerConfig {
    /// Who answers.
    pub identity: Arc<Identity>,
    /// Answers calls.
    pub service: Arc<dyn Service>,
    /// Answers requests to join; `None`: they are refused.
    pub join: Option<JoinHandler>,
    /// Asked for each call ([`crate::TonicNetwork::members`]).
    pub members: Arc<dyn Fn() -> Members + Send + Sync>,
    /// For partition tests.
    pub faults: Option<FaultSwitch>,
}

/// Answers peers on `listener` until the future is dropped (established connections then go on until they break).
///
/// # Errors
/// When the listener fails for good.
pub async fn serve(listener: TcpListener, config: ServerConfig) -> std::io::Result<()> {
    accept::run(listener, Arc::new(config)).await
}
