//! Packing again what is packed: objects of which little is needed, and small packs of shards that see little mail.

use super::write::{Pack, Stored, fill};
use super::{BODIES_MAX, PACKS_PER_ROUND, Packer, PackingConfig, Step, Trouble, VOLUME_STEP_MAX, within};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use zcluster_api::pack::SPARSE_PERCENT;
use zcluster_api::{Bytes, Error, GroupId, Result};
use zcluster_replica::{ObjectAt, PackedBody, Stage, check_stored};
use zcluster_runtime::{Instant, probe, spawn_blocking};

/// Objects that one pack takes bodies from, at most.
const EMPTIED_PER_PACK: usize = 64;
/// An object that could not be read as it should be is left alone for so long.
const DAMAGED_FOR: Duration = Duration::from_secs(3_600);
/// Objects that are remembered to be damaged.
const DAMAGED_MAX: usize = 10_000;

/// Small packs are merged with others of their class: each class is eight times as large as the one below. So a body of
/// a quiet shard is written anew once per class, however many days it takes.
fn class(bytes: u64) -> u32 {
    bytes.max(1).ilog2() / 3
}

/// Which objects are to be packed together next; they are of one volume. None: there is nothing to do.
pub(super) fn chosen(objects: &[ObjectAt], config: &PackingConfig, without: &BTreeSet<String>) -> Vec<u64> {
    let live = |o: &&ObjectAt| o.stage == Stage::Live && o.live.number > 0 && !without.contains(&o.volume);
    let mut thin: BTreeMap<&str, Vec<&ObjectAt>> = BTreeMap::new();
    let mut small: BTreeMap<(&str, u32), Vec<&ObjectAt>> = BTreeMap::new();
    for object in objects.iter().filter(live) {
        if object.live.bytes.saturating_mul(100) < object.filled.saturating_mul(config.sparse_percent) {
            thin.entry(&object.volume).or_default().push(object);
        } else if object.live.bytes < config.pack_min {
            small.entry((&object.volume, class(object.live.bytes))).or_default().push(object);
        }
    }
    // The state machine itself takes those below its own share for sparse.
    let thin = thin.into_values().next().filter(|_| config.sparse_percent > SPARSE_PERCENT);
    let small = || small.into_values().find(|same| same.len() >= config.merge_count.max(2));
    let mut bytes = 0;
    let fits = |object: &&ObjectAt| {
        bytes += object.live.bytes;
        bytes <= config.pack_max
    };
    let some = thin.or_else(small).unwrap_or_default().into_iter().take(EMPTIED_PER_PACK);
    some.take_while(fits).map(|object| object.number).collect()
}

impl Packer {
    /// Packs sparse objects again, then, now and then, small ones.
    pub(super) async fn pack_again(&self, group: GroupId, objects: u64) -> Step<()> {
        for _ in 0..PACKS_PER_ROUND {
            let _one = self.inner.pack_slot.lock().await;
            self.goes_on(group)?;
            let sparse = self.look(move |r| r.due_objects(group, Stage::Sparse, u64::MAX, EMPTIED_PER_PACK)).await?;
            let sparse = sparse.into_iter().map(|due| due.number).collect();
            let Some((volume, pack)) = self.collect(group, sparse, &self.drained).await? else { break };
            self.write(group, &volume, pack).await?;
            probe("packer.packed_again", &[u64::from(group.0)]);
        }
        let compared = self.notes.compared.lock().get(&group).is_some_and(|until| !until.remaining().is_zero());
        if compared || (objects as usize) < self.config.merge_count.min(2) {
            return Ok(());
        }
        for _ in 0..PACKS_PER_ROUND {
            let _one = self.inner.pack_slot.lock().await;
            self.goes_on(group)?;
            let (config, drained) = (self.config, self.drained.clone());
            let some = self.look(move |r| r.objects(group).map(|all| chosen(&all, &config, &drained))).await?;
            let several = some.len() > 1;
            let Some((volume, pack)) = self.collect(group, some, &self.drained).await? else { break };
            // The others could not be read: alone it would be the same again.
            if several && pack.from.len() < 2 {
                break;
            }
            self.write(group, &volume, pack).await?;
            probe("packer.packed_again", &[u64::from(group.0)]);
        }
        self.notes.compared.lock().insert(group, Instant::now() + self.config.merge_every);
        Ok(())
    }

    /// The bodies of objects, as far as they make one pack: those that lie on the volume of the first of them.
    pub(super) async fn collect(
        &self,
        group: GroupId,
        objects: Vec<u64>,
        without: &BTreeSet<String>,
    ) -> Step<Option<(String, Pack)>> {
        let (mut stored, mut from, mut all, mut on) = (Vec::new(), Vec::new(), 0, None::<String>);
        for number in objects {
            if self.notes.damaged.lock().get(&(group, number)).is_some_and(|until| !until.remaining().is_zero()) {
                continue;
            }
            let found = self.look(move |r| r.packed_bodies(group, number, 0, BODIES_MAX)).await?;
            let Some((volume, object, bodies)) = found else { continue };
            if without.contains(&volume) || on.as_ref().is_some_and(|on| *on != volume) {
                continue;
            }
            let bytes: u64 = bodies.iter().map(|body| body.len).sum();
            if all > 0 && (all + bytes > self.config.pack_max || stored.len() + bodies.len() > BODIES_MAX) {
                break;
            }
            match self.contents(&volume, &object, bodies).await {
                Ok(mut bodies) => {
                    all += bytes;
                    stored.append(&mut bodies);
                    from.push(number);
                    on = Some(volume);
                }
                // The others need not suffer for one that is damaged or lost.
                Err(error @ (Error::Internal(_) | Error::NotFound(_))) => {
                    tracing::error!(shard = group.0, volume, object, %error, "object not packed again");
                    metrics::counter!("zcluster_packer_damaged_objects_total").increment(1);
                    self.note_damaged(group, number);
                }
                Err(error) => return Err(Trouble::Volume(error)),
            }
        }
        let pack = spawn_blocking(move || fill(stored.into_iter(), from)).await;
        let pack = pack.map_err(|e| Error::Internal(format!("packing: {e}")))?;
        Ok(on.zip(pack))
    }

    fn note_damaged(&self, group: GroupId, number: u64) {
        let mut damaged = self.notes.damaged.lock();
        if damaged.len() >= DAMAGED_MAX {
            damaged.clear();
        }
        damaged.insert((group, number), Instant::now() + DAMAGED_FOR);
    }

    /// The bodies that are left in an object, by one read from the first to the last.
    pub(crate) async fn contents(&self, volume: &str, object: &str, bodies: Vec<PackedBody>) -> Result<Vec<Stored>> {
        let from = bodies.iter().map(|b| b.offset).min().unwrap_or_default();
        let to = bodies.iter().map(|b| b.offset + b.len).max().unwrap_or_default();
        let bytes = within(VOLUME_STEP_MAX, self.volumes.read(volume, object, from..to)).await?;
        let work = move || {
            let one = |PackedBody { id, size, offset, len, codec }: PackedBody| {
                let at = |n: u64| usize::try_from(n - from).unwrap_or(usize::MAX).min(bytes.len());
                // A copy, lest a few bodies keep a whole object in memory.
                let bytes = Bytes::copy_from_slice(&bytes[at(offset)..at(offset + len)]);
                check_stored(id, size, codec, &bytes).map(|()| Stored { id, size, codec, bytes })
            };
            bodies.into_iter().map(one).collect()
        };
        spawn_blocking(work).await.map_err(|e| Error::Internal(format!("packing: {e}")))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zcluster_replica::Count;

    fn object(number: u64, volume: &str, filled: u64, bytes: u64) -> ObjectAt {
        let live = Count { number: 1, bytes };
        ObjectAt { number, volume: volume.into(), object: "o".into(), stage: Stage::Live, bytes: filled, live, filled }
    }

    #[test]
    fn small_packs_of_a_size_are_merged_and_large_ones_are_left() {
        let config = PackingConfig { pack_min: 1_000, pack_max: 2_500, merge_count: 3, ..PackingConfig::default() };
        let none = BTreeSet::new();
        let of = |objects: &[ObjectAt]| chosen(objects, &config, &none);
        assert_eq!(of(&[]), Vec::<u64>::new());
        let two = [object(1, "a", 100, 100), object(2, "a", 110, 110)];
        assert_eq!(of(&two), Vec::<u64>::new());
        let other =
            [&two[..], &[object(3, "b", 100, 100), object(4, "a", 9, 9), object(5, "a", 1_000, 1_000)]].concat();
        assert_eq!(of(&other), Vec::<u64>::new(), "another volume, another size, large enough");
        let three = [&other[..], &[object(6, "a", 120, 120)]].concat();
        assert_eq!(of(&three), [1, 2, 6]);
        assert_eq!(chosen(&three, &config, &["a".to_string()].into()), Vec::<u64>::new());
        let many: Vec<ObjectAt> = (0..9).map(|n| object(n, "a", 900, 900)).collect();
        assert_eq!(of(&many), [0, 1], "no more than a pack takes");
    }

    #[test]
    fn a_higher_share_makes_more_of_them_thin() {
        let none = BTreeSet::new();
        let objects = [object(1, "a", 9_000, 5_000), object(2, "a", 9_000, 8_000)];
        let config = PackingConfig { pack_min: 1_000, ..PackingConfig::default() };
        assert_eq!(chosen(&objects, &config, &none), Vec::<u64>::new());
        let config = PackingConfig { sparse_percent: 70, ..config };
        assert_eq!(chosen(&objects, &config, &none), [1]);
    }

    #[test]
    fn a_merged_pack_is_of_a_higher_class() {
        for bytes in [1, 7, 100, 5_000, 1 << 20] {
            assert!(class(bytes * 8) > class(bytes));
        }
    }
}
