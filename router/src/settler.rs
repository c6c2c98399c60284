//! Settling tries: what a shard's tries led to while one settlement of it is under way goes into the next, all in one
//! entry of its log. Nothing waits for anything but the settlement before it.

use crate::inner::Inner;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use zcluster_api::directory::{Home, HomeState};
use zcluster_api::queue::{PlacedSettlement, QUEUE_MAILBOX, SETTLEMENTS_PER_COMMAND_MAX};
use zcluster_api::{Epoch, Error, GroupId, MailboxCommand, Receipt, RequestId, Result};
use zcluster_runtime::{Instant, probe, random_bytes, spawn};

/// A step in the log may take this long.
pub(crate) const STEP_MAX: Duration = Duration::from_secs(30);

/// Where commands about the outboxes of a whole shard go.
pub(crate) fn queue_home(group: GroupId) -> Home {
    Home { mailbox: QUEUE_MAILBOX, group, epoch: Epoch(1), state: HomeState::Active }
}

type Waiting = (PlacedSettlement, oneshot::Sender<Result<()>>);

/// The settlements of a node.
pub(crate) struct Settler {
    inner: Arc<Inner>,
    /// Shards with a settlement under way, and what waits for the next.
    shards: Mutex<BTreeMap<GroupId, Vec<Waiting>>>,
}

impl Settler {
    pub fn new(inner: Arc<Inner>) -> Arc<Self> {
        Arc::new(Settler { inner, shards: Mutex::default() })
    }

    /// Settles a try that has no report for its sender.
    ///
    /// # Errors
    /// `Unavailable`: the outcome is unknown.
    pub async fn settle(self: &Arc<Self>, group: GroupId, settlement: PlacedSettlement) -> Result<()> {
        let (tell, told) = oneshot::channel();
        let is_first = {
            let mut shards = self.shards.lock();
            let is_first = !shards.contains_key(&group);
            shards.entry(group).or_default().push((settlement, tell));
            is_first
        };
        if is_first {
            // A task of its own: whoever began it may be gone before it has settled for the others.
            spawn(self.clone().work(group));
        }
        told.await.unwrap_or_else(|_| Err(Error::Unavailable("this node stops".into())))
    }

    async fn work(self: Arc<Self>, group: GroupId) {
        loop {
            let batch: Vec<Waiting> = {
                let mut shards = self.shards.lock();
                let Some(waiting) = shards.get_mut(&group) else { return };
                if waiting.is_empty() {
                    shards.remove(&group);
                    return;
                }
                waiting.drain(..waiting.len().min(SETTLEMENTS_PER_COMMAND_MAX)).collect()
            };
            if batch.len() > 1 {
                probe("outbox.settled_together", &[u64::from(group.0), batch.len() as u64]);
            }
            metrics::histogram!("zcluster_outbox_settled_together").record(batch.len() as f64);
            let (settlements, tell): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
            let outcome = self.write(group, settlements).await;
            for waiting in tell {
                let _ = waiting.send(outcome.clone());
            }
        }
    }

    async fn write(&self, group: GroupId, settlements: Vec<PlacedSettlement>) -> Result<()> {
        let command = MailboxCommand::SettleOutgoings(settlements);
        let (request, deadline) = (RequestId(random_bytes()), Instant::now() + STEP_MAX);
        match self.inner.write_home(&queue_home(group), request, None, command, deadline).await? {
            Receipt::Done => Ok(()),
            other => Err(Error::Internal(format!("unexpected receipt {other:?}"))),
        }
    }
}
