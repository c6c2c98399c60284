//! Bodies that wait in their shard to be packed.

use super::write::{Stored, fill};
use super::{BODIES_MAX, PACKS_PER_ROUND, Packer, Step, millis};
use std::time::Duration;
use zcluster_api::{Error, GroupId};
use zcluster_replica::Backlog;
use zcluster_runtime::{Instant, spawn_blocking, wall_ms};
use zcluster_volume::pack;

/// Where too few bodies were found, it is looked again after this part of the age at which they are packed, and at most so
/// long.
const PAUSE_PART: u32 = 8;
const PAUSE_MAX: Duration = Duration::from_secs(600);

/// Before when bodies must have come to be packed, and to be packed although they are few.
fn ages(after: Duration, wait: Duration) -> (u64, u64) {
    let before_ms = wall_ms().saturating_sub(millis(after));
    (before_ms, before_ms.saturating_sub(millis(wait)))
}

/// Whether listing a shard's waiting bodies may find a pack's worth: told by counters and the oldest body alone.
fn may_have_enough(seen: &Backlog, pack_min: u64, (before_ms, ripe_ms): (u64, u64)) -> bool {
    match seen.oldest_ms {
        Some(oldest) if oldest <= ripe_ms => true,
        Some(oldest) => oldest < before_ms && seen.loose.bytes >= pack_min,
        None => false,
    }
}

impl Packer {
    /// Asked in every round for every shard, so that a shard with little costs two reads and no listing.
    pub(super) fn is_worth_a_look(&self, group: GroupId, seen: &Backlog) -> bool {
        let ages = ages(self.config.after, self.config.wait);
        let paused = self.notes.few.lock().get(&group).is_some_and(|until| !until.remaining().is_zero());
        !paused && may_have_enough(seen, self.config.pack_min, ages)
    }

    /// Packs the oldest bodies of the shard, as far as they are old enough and enough for a pack.
    pub(super) async fn pack_loose(&self, group: GroupId, volume: &str) -> Step<()> {
        for _ in 0..PACKS_PER_ROUND {
            let _one = self.inner.pack_slot.lock().await;
            let Some(pack) = self.loose(group).await? else {
                let pause = (self.config.after / PAUSE_PART).min(PAUSE_MAX);
                self.notes.few.lock().insert(group, Instant::now() + pause);
                return Ok(());
            };
            self.write(group, volume, pack).await?;
        }
        Ok(())
    }

    async fn loose(&self, group: GroupId) -> Step<Option<super::write::Pack>> {
        self.goes_on(group)?;
        let pack_max = self.config.pack_max.min(pack::MAX as u64);
        let pack_min = self.config.pack_min;
        let (before_ms, ripe_ms) = ages(self.config.after, self.config.wait);
        let replicas = self.inner.replicas.clone();
        let work = move || -> zcluster_api::Result<Option<super::write::Pack>> {
            let loose = replicas.loose_bodies(group, before_ms, pack_max, BODIES_MAX)?;
            let bytes: u64 = loose.iter().map(|body| body.stored).sum();
            if loose.is_empty() || (bytes < pack_min && loose.iter().all(|body| body.at_ms > ripe_ms)) {
                return Ok(None);
            }
            let stored = loose.into_iter().filter_map(|body| match replicas.stored_body(group, body.id) {
                Ok(found) => found.map(|(codec, bytes)| Stored { id: body.id, size: body.size, codec, bytes }),
                Err(error) => {
                    // It stays where it is: other replicas may have it whole.
                    tracing::error!(shard = group.0, body = %body.id, %error, "body not packed");
                    metrics::counter!("zcluster_packer_damaged_bodies_total").increment(1);
                    None
                }
            });
            Ok(fill(stored, Vec::new()))
        };
        let pack = spawn_blocking(work).await.map_err(|e| Error::Internal(format!("packing: {e}")))?;
        pack.map_err(Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zcluster_replica::Count;

    #[test]
    fn nothing_is_listed_where_nothing_can_be_packed() {
        let seen = |bytes, oldest_ms| Backlog { loose: Count { number: 1, bytes }, oldest_ms, ..Backlog::default() };
        let ages = (1_000, 100);
        // (bytes, oldest): what waits, and whether it is listed.
        for (bytes, oldest, listed) in [
            (0, None, false),
            (50, Some(999), false),
            (99, Some(101), false),
            (100, Some(999), true),
            (100, Some(1_000), false),
            (1_000_000, Some(1_001), false),
            (1, Some(100), true),
            (1, Some(0), true),
        ] {
            assert_eq!(may_have_enough(&seen(bytes, oldest), 100, ages), listed, "{bytes} bytes, {oldest:?}");
        }
    }
}
