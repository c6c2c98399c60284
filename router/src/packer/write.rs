//! Writing a pack: announce, put, tell the shard what lies there.

use super::{Packer, Step, Trouble, VOLUME_STEP_MAX, within};
use std::fmt::Write;
use std::sync::atomic::Ordering;
use zcluster_api::pack::{MOVED_MAX, Placed};
use zcluster_api::{BlobId, BodiesCommand, BodiesReceipt, Bytes, Codec, Error, GroupId};
use zcluster_runtime::planted::{Bug, planted};
use zcluster_runtime::{Instant, probe, random_bytes};
use zcluster_volume::pack;

/// Bodies on their way into one object.
pub(crate) struct Pack {
    pub bytes: Bytes,
    pub entries: Vec<Placed>,
    /// Objects that they are taken from.
    pub from: Vec<u64>,
}

/// A body that lies somewhere, as it is stored.
pub(crate) struct Stored {
    pub id: BlobId,
    pub size: u64,
    pub codec: Codec,
    pub bytes: Bytes,
}

/// Names of a group's packs begin so.
pub(crate) fn prefix(group: GroupId) -> String {
    format!("packs/{}/", group.0)
}

/// A name that no object has had: another packer of the same group must not meet it.
fn object_name(group: GroupId) -> String {
    let mut name = prefix(group);
    for byte in random_bytes::<16>() {
        let _ = write!(name, "{byte:02x}");
    }
    name
}

/// Puts bodies into a pack until it is full; `None` when there are none.
pub(crate) fn fill(bodies: impl Iterator<Item = Stored>, from: Vec<u64>) -> Option<Pack> {
    let (mut writer, mut entries) = (pack::Writer::new(), Vec::new());
    for Stored { id, size, codec, bytes } in bodies {
        let body = pack::Body { id, size, codec, stored: bytes };
        let Ok(entry) = writer.push(&body) else { break };
        entries.push(Placed { id, offset: entry.offset, len: entry.len, codec });
    }
    (!entries.is_empty()).then(|| Pack { bytes: writer.finish(), entries, from })
}

impl Packer {
    /// Announces an object, writes it, and has the bodies moved there.
    pub(crate) async fn write(&self, group: GroupId, volume: &str, pack: Pack) -> Step<()> {
        let name = object_name(group);
        let announce = BodiesCommand::Announce { volume: volume.into(), object: name.clone() };
        let BodiesReceipt::Announced { object } = self.propose(group, announce).await? else {
            return Err(Error::Internal("another answer than to Announce".into()).into());
        };
        let (bodies, bytes) = (pack.entries.len(), pack.bytes.len() as u64);
        if planted(Bug::PlaceBeforePut) {
            self.moved(group, object, &pack).await?;
        }
        self.goes_on(group)?;
        let begun = Instant::now();
        let put = within(self.config.put_max, self.volumes.put(volume, &name, pack.bytes.clone())).await;
        if let Err(error) = put {
            tracing::warn!(shard = group.0, volume, object = name, %error, "pack not written");
            metrics::counter!("zcluster_packer_failed_writes_total").increment(1);
            probe("packer.put_failed", &[u64::from(group.0), object]);
            // It may be there all the same. If this is not heard, it is found when its time is up.
            let _ = self.propose(group, BodiesCommand::Claim { object, kept_ms: 0 }).await;
            return Err(Trouble::Volume(error));
        }
        metrics::histogram!("zcluster_packer_write_seconds").record(begun.elapsed().as_secs_f64());
        if !planted(Bug::PlaceBeforePut) {
            match self.moved(group, object, &pack).await {
                // It took so long that others gave it up, and nothing will ever lie in it.
                Err(Trouble::Shard(error @ Error::NotFound(_))) => {
                    within(VOLUME_STEP_MAX, self.volumes.delete(volume, &name)).await.map_err(Trouble::Volume)?;
                    return Err(Trouble::Shard(error));
                }
                other => other?,
            }
        }
        tracing::info!(shard = group.0, volume, object = name, bodies, bytes, "bodies packed");
        self.inner.packed.objects.fetch_add(1, Ordering::Relaxed);
        self.inner.packed.bodies.fetch_add(bodies as u64, Ordering::Relaxed);
        self.inner.packed.bytes.fetch_add(bytes, Ordering::Relaxed);
        metrics::counter!("zcluster_packer_bodies_total").increment(bodies as u64);
        metrics::counter!("zcluster_packer_bytes_total").increment(bytes);
        probe("packer.packed", &[u64::from(group.0), object, bodies as u64]);
        Ok(())
    }

    /// Tells the shard what lies in an object.
    async fn moved(&self, group: GroupId, object: u64, pack: &Pack) -> Step<()> {
        let bytes = pack.bytes.len() as u64;
        let steps = pack.entries.chunks(MOVED_MAX);
        let count = steps.len();
        for (at, entries) in steps.enumerate() {
            let (entries, from, last) = (entries.to_vec(), pack.from.clone(), at + 1 == count);
            self.propose(group, BodiesCommand::Moved { object, bytes, entries, from, last }).await?;
        }
        Ok(())
    }
}
