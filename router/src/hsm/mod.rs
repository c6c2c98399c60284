//! Volume policies (Zimbra's HSM, `zmhsm`): bodies go to a volume by the age, size, flags and folder of a message that has
//! them. Work of each shard's leader, a mailbox at a time; every move is the packer's own (docs/decisions/0032).

mod policy;
mod run;

pub use policy::{ATTRIBUTE as HSM_ATTRIBUTE, HsmPolicy};
pub(crate) use run::run;

use crate::inner::Inner;
use crate::wire;
use bytes::Bytes;
use minicbor::{Decode, Encode};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use zcluster_api::directory::NodeState;
use zcluster_api::{NodeId, codec};
use zcluster_rpc::Lane;
use zcluster_runtime::watch;

/// A node may take so long to answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// What a node is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HsmAsk {
    /// How far it is.
    #[n(0)]
    Status,
    /// To apply the policies now.
    #[n(1)]
    Run {
        /// Only to count.
        #[n(0)]
        dry: bool,
    },
    /// To stop; what was moved stays moved.
    #[n(2)]
    Stop,
}

/// What goes, or would go, to a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct HsmVolume {
    /// The volume.
    #[n(0)]
    pub volume: String,
    /// Bodies that a policy wants there and that lie elsewhere.
    #[n(1)]
    pub bodies: u64,
    /// Their stored bytes.
    #[n(2)]
    pub bytes: u64,
    /// Of these, moved.
    #[n(3)]
    pub moved_bodies: u64,
    /// Their bytes.
    #[n(4)]
    pub moved_bytes: u64,
}

/// How far a node is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct HsmStatus {
    /// It is at it.
    #[n(0)]
    pub running: bool,
    /// It only counts, or counted.
    #[n(1)]
    pub dry: bool,
    /// It was stopped before its end.
    #[n(2)]
    pub stopped: bool,
    /// When it last began, Unix milliseconds; 0: never since this node started.
    #[n(3)]
    pub started_ms: u64,
    /// When that ended.
    #[n(4)]
    pub ended_ms: u64,
    /// Shards to look at.
    #[n(5)]
    pub shards: u64,
    /// Shards done.
    #[n(6)]
    pub shards_done: u64,
    /// Mailboxes to look at.
    #[n(7)]
    pub mailboxes: u64,
    /// Mailboxes done.
    #[n(8)]
    pub mailboxes_done: u64,
    /// Messages that a policy names.
    #[n(9)]
    pub messages: u64,
    /// By volume.
    #[n(10)]
    pub volumes: Vec<HsmVolume>,
    /// What went wrong last.
    #[n(11)]
    pub error: Option<String>,
}

impl HsmStatus {
    fn of(&mut self, volume: &str) -> &mut HsmVolume {
        let at = match self.volumes.iter().position(|v| v.volume == volume) {
            Some(at) => at,
            None => {
                self.volumes.push(HsmVolume { volume: volume.into(), ..HsmVolume::default() });
                self.volumes.len() - 1
            }
        };
        &mut self.volumes[at]
    }
}

/// A node's run of the policies.
pub(crate) struct Hsm {
    status: Mutex<HsmStatus>,
    /// What was asked for and not begun: whether only to count.
    asked: Mutex<Option<bool>>,
    stop: std::sync::atomic::AtomicBool,
    wake: watch::Sender<u64>,
}

impl Default for Hsm {
    fn default() -> Self {
        Hsm { status: Mutex::default(), asked: Mutex::default(), stop: false.into(), wake: watch::channel(0).0 }
    }
}

impl Inner {
    /// Answers for this node.
    pub fn hsm_here(&self, ask: HsmAsk) -> HsmStatus {
        use std::sync::atomic::Ordering;
        match ask {
            HsmAsk::Status => {}
            HsmAsk::Run { dry } => {
                // What runs goes on to its end first.
                *self.hsm.asked.lock() = Some(dry);
                self.hsm.wake.send_if_modified(|n| {
                    *n += 1;
                    true
                });
            }
            HsmAsk::Stop => {
                *self.hsm.asked.lock() = None;
                self.hsm.stop.store(true, Ordering::Relaxed);
            }
        }
        let waits = self.hsm.asked.lock().is_some();
        let status = self.hsm.status.lock().clone();
        HsmStatus { running: status.running || waits, ..status }
    }

    async fn hsm_at(&self, node: u64, ask: HsmAsk) -> Result<HsmStatus, String> {
        if node == self.me() {
            return Ok(self.hsm_here(ask));
        }
        let body: Bytes = codec::encode(&ask).into();
        let answer =
            self.network.call(node, Lane::Data, wire::HSM, body, ANSWER_MAX).await.map_err(|e| e.to_string())?;
        let answer = wire::open_answer(answer).map_err(|e| e.to_string())?;
        codec::decode(&answer).map_err(|e| e.to_string())
    }

    /// Asks every node.
    pub async fn hsm_everywhere(&self, ask: HsmAsk) -> Vec<(NodeId, Result<HsmStatus, String>)> {
        let nodes = self.nodes().into_iter().filter(|n| n.state != NodeState::Removed).map(|n| n.id);
        futures::future::join_all(nodes.map(|id| async move { (id, self.hsm_at(id.0, ask).await) })).await
    }
}
