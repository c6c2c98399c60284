//! Large bodies go to the default volume before the command names them, instead of through the log: announced to the
//! shard, written, named (docs/decisions/0033). Where that does not work they go through the log as ever.

use crate::inner::Inner;
use crate::mailbox::acting;
use crate::packer::{Packer, object_name, within};
use std::sync::Arc;
use std::time::Duration;
use zcluster_api::volume::OBJECT_MAX;
use zcluster_api::{BodiesCommand, BodiesReceipt, Body, Call, DirectoryReply, Error, GroupId, PreparedBody, Result};
use zcluster_runtime::{Instant, timeout};

/// The attribute of the global config with the stored bytes from which on a body goes this way; 0: none does.
const ATTRIBUTE: &str = "zclusterVolumeDirect";
/// Its default.
const LEAST: u64 = 1 << 20;
/// How long a volume that did not take a body is left alone.
const AWAY: Duration = Duration::from_secs(30);
/// What the volume may take at most: so long, and a second for so many bytes.
const PUT_MAX: Duration = Duration::from_secs(20);
const BYTES_PER_SECOND: u64 = 2 << 20;
/// Of the caller's time, the part that is kept for the way through the log.
const KEPT: u32 = 2;

impl Inner {
    fn direct_from(&self) -> u64 {
        let said = match self.accounts.cluster() {
            Ok(DirectoryReply::Cluster(cluster)) => cluster.config.get(ATTRIBUTE).and_then(|v| v.parse().ok()),
            _ => None,
        };
        match said.unwrap_or(LEAST) {
            0 => u64::MAX,
            least => least,
        }
    }

    /// Writes a large body to the default volume; `None` when it is to go through the log.
    pub(crate) async fn put_on_volume(self: &Arc<Self>, call: &Call<PreparedBody>) -> Option<Body> {
        let stored = call.body.stored.len() as u64;
        // Another account's right to add messages is judged by the shard, before it takes anything.
        if acting(call.actor, call.account).is_some() || stored > OBJECT_MAX || stored < self.direct_from() {
            return None;
        }
        if self.direct_away.lock().is_some_and(|until| !until.remaining().is_zero()) {
            return None;
        }
        let packer = Packer::new(self)?;
        let volume = packer.default_volume()?;
        let deadline = Instant::now() + call.timeout;
        let group = self.account(call.account, deadline).await.ok()?.home.group;
        match self.write_alone(&packer, group, &volume, call).await {
            Ok(body) => {
                metrics::counter!("zcluster_direct_bodies_total").increment(1);
                Some(body)
            }
            Err(error) => {
                tracing::warn!(shard = group.0, volume, %error, "a large body goes through the log");
                metrics::counter!("zcluster_direct_failures_total").increment(1);
                *self.direct_away.lock() = Some(Instant::now() + AWAY);
                None
            }
        }
    }

    async fn write_alone(
        self: &Arc<Self>,
        packer: &Packer,
        group: GroupId,
        volume: &str,
        call: &Call<PreparedBody>,
    ) -> Result<Body> {
        let PreparedBody { id, size, codec, stored } = call.body.clone();
        let bytes = stored.len() as u64;
        let (volume, object) = (volume.to_string(), object_name(group));
        let announce = BodiesCommand::Announce { volume: volume.clone(), object: object.clone() };
        let announced = timeout(call.timeout / KEPT, packer.propose_anywhere(group, announce)).await;
        let announced = announced.unwrap_or_else(|_| Err(Error::Unavailable(format!("shard {group} does not answer"))));
        let BodiesReceipt::Announced { object: number } = announced? else {
            return Err(Error::Internal("another answer than to Announce".into()));
        };
        let most = (PUT_MAX + Duration::from_secs(bytes / BYTES_PER_SECOND)).min(call.timeout / KEPT);
        if let Err(error) = within(most, packer.volumes.put(&volume, &object, stored)).await {
            // It may be there all the same: if this is not heard, it is found when its time is up.
            let _ = packer.propose_anywhere(group, BodiesCommand::Claim { object: number, kept_ms: 0 }).await;
            return Err(error);
        }
        Ok(Body::Placed { id, size, codec, object: number, stored: bytes })
    }
}
