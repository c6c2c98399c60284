//! The first node of a new cluster.

use crate::inner::Inner;
use futures::StreamExt;
use std::time::Duration;
use zcluster_api::directory::{Cluster, Node, Shard};
use zcluster_api::{AccountId, DirectoryCommand, DirectoryQuery, DirectoryReply, Error, GroupId, Result};
use zcluster_runtime::{Instant, sleep};

/// Shards written and founded at a time: enough to share an fsync.
const PARALLEL: usize = 64;
/// Wait between two looks whether group 0 leads.
const LOOK: Duration = Duration::from_millis(20);
/// How long this node's groups may take to elect this node.
const LEAD_WITHIN: Duration = Duration::from_secs(30);

impl Inner {
    /// See [`crate::Router::bootstrap_first_node`].
    pub async fn bootstrap(&self, cluster: Cluster, node: Node, default_cos: AccountId) -> Result<()> {
        let disk = |e: std::io::Error| Error::Internal(format!("groups of this node: {e}"));
        if node.id != self.config.node {
            return Err(Error::Invalid("the first node's record is of another node".into()));
        }
        let (id, shards) = (cluster.id.clone(), cluster.shards);
        self.ensure_group(GroupId::DIRECTORY).await.map_err(disk)?;
        self.found(GroupId::DIRECTORY).await;
        self.await_lead(GroupId::DIRECTORY).await?;
        if let Ok(DirectoryReply::Cluster(known)) = self.replicas.read_directory(&DirectoryQuery::Cluster)
            && known.id != id
        {
            return Err(Error::Conflict(format!("this node is of cluster {} already", known.id)));
        }
        self.system_write(DirectoryCommand::InitCluster { cluster, node, default_cos }).await?;
        let present: Vec<GroupId> = self.shards().iter().map(|s| s.group).collect();
        let missing = (1..=shards).map(GroupId).filter(|g| !present.contains(g));
        let writes = missing.map(|group| self.put_first(group));
        let written: Vec<Result<()>> = futures::stream::iter(writes).buffer_unordered(PARALLEL).collect().await;
        written.into_iter().collect::<Result<()>>()?;
        self.start_groups().await.map_err(disk)?;
        for shard in 1..=shards {
            self.await_lead(GroupId(shard)).await?;
        }
        Ok(())
    }

    async fn put_first(&self, group: GroupId) -> Result<()> {
        let shard = Shard { group, replicas: vec![self.config.node], version: 1 };
        match self.system_write(DirectoryCommand::PutShard { shard, expect: 0 }).await {
            // Written by an attempt before this one.
            Ok(_) | Err(Error::Conflict(_)) => Ok(()),
            Err(e) => Err(e),
        }
    }

    async fn await_lead(&self, group: GroupId) -> Result<()> {
        let until = Instant::now() + LEAD_WITHIN;
        loop {
            let leader = self.group(group).map(|g| *g.leadership().borrow());
            if leader.is_some_and(|l| l.leader.is_some()) {
                return Ok(());
            }
            if until.remaining().is_zero() || self.is_stopped() {
                return Err(Error::Unavailable(format!("group {group} has no leader")));
            }
            sleep(LOOK).await;
        }
    }
}
