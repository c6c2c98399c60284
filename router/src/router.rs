//! The router itself.

use crate::{ClusterStatus, RouterConfig};
use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use zcluster_api::directory::{Cluster, Node};
use zcluster_api::{
    AccountId, Actor, BlobRef, Body, BodyStream, Call, DirectoryApi, DirectoryCommand, DirectoryQuery, DirectoryReply,
    Error, Freshness, GroupId, MailboxApi, MailboxCommand, MailboxQuery, MailboxReply, ModSeq, PreparedBody, Receipt,
    RequestId, Result,
};
use zcluster_raft::MultiRaft;
use zcluster_replica::Replicas;
use zcluster_rpc::{Frames, Network, RpcError, Service};

/// Any node's door to the whole cluster.
pub struct Router {
    pub(crate) config: RouterConfig,
}

impl Router {
    /// Starts the groups that this node has or is named in (group 0 always), and makes ready to answer. Follow with
    /// [`run_background`](Self::run_background).
    ///
    /// # Errors
    /// The disk.
    pub async fn start(
        config: RouterConfig,
        _raft: Arc<MultiRaft>,
        _replicas: Arc<Replicas>,
        _network: Arc<dyn Network>,
    ) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Router { config }))
    }
    /// Makes this node the first of a new cluster: group 0, the cluster's record, `cluster.shards` shards. Again after
    /// an interruption: finishes.
    ///
    /// # Errors
    /// `Conflict` when the node belongs to another cluster already.
    pub async fn bootstrap_first_node(self: &Arc<Self>, _cluster: Cluster, _node: Node, _default_cos: AccountId) -> Result<()> {
        Err(Error::Unavailable("in work".into()))
    }
    /// Spawns what keeps the cluster in shape, until the router is stopped: starting and removing groups named in the
    /// shard map, membership, placement, leader balance, emptying deleted mailboxes.
    pub fn run_background(self: &Arc<Self>) {}
    /// Ends the background work and refuses further calls.
    pub fn stop(&self) {}
    /// What answers peers' calls (methods 100-199).
    pub fn service(self: &Arc<Self>) -> Arc<dyn Service> {
        Arc::new(Nothing)
    }
    /// A shard for a new mailbox.
    ///
    /// # Errors
    /// `Unavailable` when there is no shard yet.
    pub fn choose_shard(&self) -> Result<GroupId> {
        Err(Error::Unavailable("in work".into()))
    }
    /// The cluster as this node sees it; asks every node, each at most `timeout`.
    ///
    /// # Errors
    /// `Unavailable` before the node knows a cluster.
    pub async fn status(&self, _timeout: std::time::Duration) -> Result<ClusterStatus> {
        Err(Error::Unavailable(format!("node {} is in work", self.config.node)))
    }
    /// Hands the leadership of every group that this node leads to another voter, before a planned stop.
    pub async fn hand_over(&self) {}
}

struct Nothing;
impl Service for Nothing {
    fn call(&self, _from: u64, method: u16, _body: Bytes) -> BoxFuture<'static, Result<Bytes, RpcError>> {
        Box::pin(async move { Err(RpcError::Remote(format!("method {method}"))) })
    }
    fn stream(&self, _from: u64, method: u16, _body: Bytes) -> BoxFuture<'static, Result<Frames, RpcError>> {
        Box::pin(async move { Err(RpcError::Remote(format!("method {method}"))) })
    }
}

fn in_work<T: Send + 'static>() -> BoxFuture<'static, Result<T>> {
    Box::pin(async { Err(Error::Unavailable("in work".into())) })
}

impl MailboxApi for Router {
    fn read(&self, _: Call<MailboxQuery>) -> BoxFuture<'_, Result<MailboxReply>> {
        in_work()
    }
    fn write(&self, _: Call<MailboxCommand>) -> BoxFuture<'_, Result<Receipt>> {
        in_work()
    }
    fn put(&self, _: Call<PreparedBody>) -> BoxFuture<'_, Result<Body>> {
        in_work()
    }
    fn get(&self, _: Call<BlobRef>, _: Range<u64>) -> BoxFuture<'_, Result<BodyStream>> {
        in_work()
    }
    fn watch(&self, _: AccountId, _: ModSeq) -> BoxStream<'static, ModSeq> {
        futures::stream::empty().boxed()
    }
}

impl DirectoryApi for Router {
    fn read(&self, _: DirectoryQuery, _: Freshness) -> BoxFuture<'_, Result<DirectoryReply>> {
        in_work()
    }
    fn write(&self, _: Actor, _: RequestId, _: DirectoryCommand) -> BoxFuture<'_, Result<DirectoryReply>> {
        in_work()
    }
}
