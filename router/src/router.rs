//! The router's outside.

use crate::inner::Inner;
use crate::service::RouterService;
use crate::{ClusterStatus, Discovered, HsmAsk, HsmStatus, NodeTexts, RouterConfig, Sought, VerifyAsk, VerifyNews};
use crate::{courier, groups, hsm, hub, outbox, packer, reconcile, retention};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use zcluster_api::directory::{Cluster, Node};
use zcluster_api::{
    AccountId, Actor, BlobRef, Body, BodyStream, Call, Carrier, DirectoryApi, DirectoryCommand, DirectoryQuery,
    DirectoryReply, Find, Freshness, GroupId, MailboxApi, MailboxCommand, MailboxId, MailboxQuery, MailboxReply,
    ModSeq, NodeId, PreparedBody, Receipt, RequestId, Result, VolumeUse, Volumes,
};
use zcluster_raft::MultiRaft;
use zcluster_replica::Replicas;
use zcluster_rpc::{Network, Service};

/// Any node's door to the whole cluster.
pub struct Router(Arc<Inner>);

impl Router {
    /// Starts the groups that this node has or is named in (group 0 always), and makes ready to answer. The network
    /// must answer peers with [`service`](Self::service) and raft's from here on. Follow with
    /// [`run_background`](Self::run_background).
    ///
    /// # Errors
    /// The disk.
    pub async fn start(
        config: RouterConfig,
        raft: Arc<MultiRaft>,
        replicas: Arc<Replicas>,
        network: Arc<dyn Network>,
    ) -> io::Result<Arc<Self>> {
        let inner = Inner::new(config, raft, replicas, network);
        inner.start_groups().await?;
        Ok(Arc::new(Router(inner)))
    }

    /// Makes this node the first of a new cluster: group 0, the cluster's record, `cluster.shards` shards. Again after
    /// an interruption: finishes.
    ///
    /// # Errors
    /// `Conflict` when the node belongs to another cluster already.
    pub async fn bootstrap_first_node(&self, cluster: Cluster, node: Node, default_cos: AccountId) -> Result<()> {
        self.0.bootstrap(cluster, node, default_cos).await
    }

    /// Spawns what keeps the cluster in shape, until the router is stopped: starting and removing groups named in the
    /// shard map, membership, placement, leader balance, emptying deleted mailboxes, removing what accounts keep for a time only.
    pub fn run_background(&self) {
        zcluster_runtime::spawn(groups::run(self.0.clone()));
        zcluster_runtime::spawn(groups::sweep(self.0.clone()));
        zcluster_runtime::spawn(reconcile::run(self.0.clone()));
        zcluster_runtime::spawn(courier::run(self.0.clone()));
        zcluster_runtime::spawn(retention::run(self.0.clone()));
    }

    /// Spawns the sending of what the outboxes of the shards led here hold, until the router is stopped.
    pub fn run_outbox(&self, carrier: Arc<dyn Carrier>) {
        zcluster_runtime::spawn(outbox::run(self.0.clone(), carrier));
    }

    /// Makes bodies on volumes readable, and spawns what moves bodies of the shards led here to the default volume and
    /// keeps volumes clean, until the router is stopped.
    pub fn run_packer(&self, volumes: Arc<dyn Volumes>) {
        self.0.replicas.set_volumes(volumes.clone());
        let _ = self.0.volumes.set(volumes);
        zcluster_runtime::spawn(packer::run(self.0.clone()));
        zcluster_runtime::spawn(hsm::run(self.0.clone()));
    }

    /// Proves that every body is where its shard says, and that nothing else lies on the volumes; puts right what can be
    /// where that is asked for. Ends when it is dropped.
    pub fn verify(&self, ask: VerifyAsk) -> BoxStream<'static, VerifyNews> {
        self.0.verify(ask)
    }

    /// What the volume policies do on every node, or has them begin or stop. By node; an error in words.
    pub async fn hsm(&self, ask: HsmAsk) -> Vec<(NodeId, Result<HsmStatus, String>)> {
        self.0.hsm_everywhere(ask).await
    }

    /// How much of the bodies of the shards led here is where: names and values, nothing where no packer has been.
    pub fn figures(&self) -> Vec<(&'static str, u64)> {
        self.0.packing_figures()
    }

    /// Searches mailboxes of a shard (with their home epochs), all at one position, not older than the call; tells of those
    /// that have hits, as they are found. A shard whose leader dies goes on behind what was told.
    pub fn discover(
        &self,
        group: GroupId,
        mailboxes: Vec<Sought>,
        find: Find,
        timeout: Duration,
    ) -> BoxStream<'static, Result<Discovered>> {
        self.0.discover(group, mailboxes, find, timeout)
    }

    /// How far the text indexes of all nodes are, of one shard or all; with a mailbox of that shard to be indexed anew.
    pub async fn texts(&self, group: Option<GroupId>, anew: Option<MailboxId>) -> Vec<NodeTexts> {
        self.0.texts(group, anew).await
    }

    /// Ends the background work and the watch streams; calls end at their next try.
    pub fn stop(&self) {
        self.0.stopped.send_replace(true);
        self.0.hub.sweep(|_, _| true);
    }

    /// What answers peers' calls (methods 100-199).
    pub fn service(&self) -> Arc<dyn Service> {
        Arc::new(RouterService(self.0.clone()))
    }

    /// Whether this node leads the directory, as far as it knows: for work that one node should do.
    pub fn leads_directory(&self) -> bool {
        self.0.leads_directory()
    }

    /// A number that rises with every change of this node's copy of the directory, and is the same on every node that has
    /// the same.
    pub fn directory_version(&self) -> u64 {
        self.0.directory_version()
    }

    /// A shard for a new mailbox. (`CreateAccount` with group 0 makes the router choose by itself.)
    ///
    /// # Errors
    /// `Unavailable` when there is no shard yet.
    pub fn choose_shard(&self) -> Result<GroupId> {
        self.0.choose_shard()
    }

    /// The cluster as this node sees it; asks every node, each at most `timeout`.
    ///
    /// # Errors
    /// `NotFound` before the node knows a cluster.
    pub async fn status(&self, timeout: Duration) -> Result<ClusterStatus> {
        self.0.cluster_status(timeout).await
    }

    /// The groups that need a node: it votes in them, by the word of leaders that prove that they lead, or the shard map
    /// names it. Asks every node, each at most `timeout`.
    ///
    /// # Errors
    /// `Unavailable` when a group's leader did not answer: then nobody can tell.
    pub async fn groups_of(&self, node: NodeId, timeout: Duration) -> Result<Vec<GroupId>> {
        self.0.groups_of(node, timeout).await
    }

    /// Hands the leadership of every group that this node leads to another voter, before a planned stop.
    pub async fn hand_over(&self) {
        self.0.hand_over().await;
    }
}

impl MailboxApi for Router {
    fn read(&self, call: Call<MailboxQuery>) -> BoxFuture<'_, Result<MailboxReply>> {
        Box::pin(self.0.mailbox_read(call))
    }
    fn write(&self, call: Call<MailboxCommand>) -> BoxFuture<'_, Result<Receipt>> {
        Box::pin(self.0.mailbox_write(call))
    }
    fn put(&self, call: Call<PreparedBody>) -> BoxFuture<'_, Result<Body>> {
        Box::pin(self.0.put(call))
    }
    fn get(&self, call: Call<BlobRef>, range: Range<u64>) -> BoxFuture<'_, Result<BodyStream>> {
        Box::pin(self.0.body_get(call, range))
    }
    fn watch(&self, account: AccountId, since: ModSeq) -> BoxStream<'static, ModSeq> {
        hub::watch_mailbox(&self.0, account, since)
    }
}

impl VolumeUse for Router {
    fn bodies(&self, volume: &str) -> BoxFuture<'static, Result<u64>> {
        let (inner, volume) = (self.0.clone(), volume.to_string());
        Box::pin(async move { inner.volume_use(&volume).await })
    }
}

impl DirectoryApi for Router {
    fn read(&self, query: DirectoryQuery, freshness: Freshness) -> BoxFuture<'_, Result<DirectoryReply>> {
        Box::pin(self.0.directory_read(query, freshness))
    }
    fn version(&self) -> Option<u64> {
        Some(self.0.replicas.directory_version_now())
    }
    fn write(
        &self,
        actor: Actor,
        request: RequestId,
        command: DirectoryCommand,
    ) -> BoxFuture<'_, Result<DirectoryReply>> {
        Box::pin(self.0.directory_write(actor, request, command))
    }
}
