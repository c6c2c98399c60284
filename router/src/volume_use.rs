//! What the shards have on a volume: asked before one is taken away.

use crate::inner::Inner;
use crate::wire;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::time::Duration;
use zcluster_api::directory::NodeState;
use zcluster_api::{Error, GroupId, Result, codec};
use zcluster_rpc::Lane;

/// A node may take so long to answer, and a leader to prove that it leads.
const ANSWER_MAX: Duration = Duration::from_secs(10);
const PROOF_MAX: Duration = Duration::from_secs(1);

impl Inner {
    /// Of each shard that this node leads, proved by a round: how many bodies lie on the volume. An object that holds
    /// none, but is still to be removed, counts as one.
    pub async fn volume_use_here(&self, volume: &str) -> Vec<(u32, u64)> {
        let mut all = Vec::new();
        for group in self.raft.groups() {
            let id = GroupId(group.id());
            if id == GroupId::DIRECTORY || !group.leadership().borrow().is_leader {
                continue;
            }
            if group.read_barrier(PROOF_MAX).await.is_err() {
                continue;
            }
            if let Ok(objects) = self.replicas.objects(id) {
                let there = objects.iter().filter(|object| object.volume == volume);
                all.push((id.0, there.map(|object| object.live.number.max(1)).sum()));
            }
        }
        all
    }

    async fn volume_use_at(&self, node: u64, volume: &str) -> Vec<(u32, u64)> {
        if node == self.me() {
            return self.volume_use_here(volume).await;
        }
        let body: Bytes = codec::encode(&volume.to_string()).into();
        let answer = self.network.call(node, Lane::Data, wire::VOLUME_USE, body, ANSWER_MAX).await.ok();
        let answer = answer.and_then(|a| wire::open_answer(a).ok());
        answer.and_then(|a| codec::decode(&a).ok()).unwrap_or_default()
    }

    /// See [`zcluster_api::VolumeUse::bodies`].
    pub async fn volume_use(&self, volume: &str) -> Result<u64> {
        let nodes = self.nodes().into_iter().filter(|n| n.state != NodeState::Removed).map(|n| n.id.0);
        let asked = nodes.map(|node| self.volume_use_at(node, volume));
        let told: BTreeMap<u32, u64> = futures::future::join_all(asked).await.into_iter().flatten().collect();
        let mut sum = 0;
        for shard in self.shards() {
            let bodies = told.get(&shard.group.0);
            sum += bodies.ok_or_else(|| Error::Unavailable(format!("shard {} does not answer", shard.group)))?;
        }
        Ok(sum)
    }
}
