//! What clients know of the cluster.

use futures::future::BoxFuture;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use zcluster_api::DirectoryApi;

/// A client's connection.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The cluster, as clients see it.
pub trait Servers: Send + Sync + 'static {
    /// The nodes that clients may turn to (what DNS would say); some may be down.
    fn nodes(&self) -> Vec<u32>;
    /// Connects to a node's LMTP port.
    fn lmtp(&self, node: u32) -> BoxFuture<'_, io::Result<Box<dyn Stream>>>;
    /// Connects to a node's IMAP port.
    fn imap(&self, node: u32) -> BoxFuture<'_, io::Result<Box<dyn Stream>>>;
    /// The administrator's way into a node; `None` when it is down. Calls are carried out by the node's process: when it
    /// dies, its callers are told `Unavailable` (or never anything).
    fn directory(&self, node: u32) -> Option<Arc<dyn DirectoryApi>>;
}
