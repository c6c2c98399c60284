//! Moving bodies from shards to packs on volumes, packing sparse packs again, and removing objects that hold nothing
//! any more: work of each shard's leader (docs/decisions/0026).
//!
//! Every step is agreed on by the shard before the next is begun, so that a leader may die anywhere: what it announced
//! and did not fill is found and removed by the next, and a body lies in the shard until an object is durable that holds
//! it. While the volume cannot be asked, bodies stay where they are.

mod config;
mod figures;

pub use config::PackingConfig;

use crate::carry::{Done, Errand, Work};
use crate::inner::{Inner, acts_as_leader, leads};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use zcluster_api::directory::duration;
use zcluster_api::pack::{MOVED_MAX, Placed};
use zcluster_api::{
    BlobId, BodiesCommand, BodiesReceipt, Bytes, Codec, DirectoryReply, Error, GroupId, RequestId, Result, Volumes,
};
use zcluster_replica::{PackedBody, Stage, check_stored, proposal};
use zcluster_runtime::planted::{Bug, planted};
use zcluster_runtime::{Instant, jitter, probe, random_bytes, select, sleep, spawn_blocking, timeout, wall_ms};
use zcluster_volume::pack;

/// A step in the log may take this long.
const STEP_MAX: Duration = Duration::from_secs(30);
/// Reading or deleting an object may take this long.
const VOLUME_STEP_MAX: Duration = Duration::from_secs(60);
/// Objects of one shard that one round removes, packs that it writes, sparse objects that it empties, at most.
const REMOVED_PER_ROUND: usize = 200;
const PACKS_PER_ROUND: usize = 16;
const EMPTIED_PER_ROUND: usize = 64;
/// Commands of housekeeping in one shard and round.
const STEPS_PER_ROUND: usize = 64;
/// Bodies in one pack.
const BODIES_MAX: usize = 16_384;
/// Bodies that one `Order` looks at; chunks that one `Sweep` removes.
const ORDERED_PER_STEP: u32 = 4_096;
const SWEPT_PER_STEP: u32 = 1_024;

/// Why a round ended early.
enum Trouble {
    /// The volume could not be asked, or gave nonsense: it is left alone for a while.
    Volume(Error),
    /// The shard did not answer: others may.
    Shard(Error),
}

impl From<Error> for Trouble {
    fn from(e: Error) -> Self {
        Trouble::Shard(e)
    }
}

type Step<T> = std::result::Result<T, Trouble>;

/// Bodies on their way into one object.
struct Pack {
    bytes: Bytes,
    entries: Vec<Placed>,
    /// Objects that they are taken from.
    from: Vec<u64>,
}

/// A body that lies somewhere, as it is stored.
struct Stored {
    id: BlobId,
    size: u64,
    codec: Codec,
    bytes: Bytes,
}

/// What a node's packing shares.
struct Packer {
    inner: Arc<Inner>,
    volumes: Arc<dyn Volumes>,
    config: PackingConfig,
}

impl Packer {
    /// Looks at all shards led here.
    async fn round(&mut self) -> Result<()> {
        self.configure();
        let groups = self.inner.raft.groups();
        if planted(Bug::DeleteWithoutGrace) {
            for group in groups.iter().map(|g| GroupId(g.id())).filter(|g| *g != GroupId::DIRECTORY) {
                self.delete_unasked(group).await;
            }
        }
        let led: Vec<GroupId> = groups.iter().filter(|g| leads(g)).map(|g| GroupId(g.id())).collect();
        for group in led.into_iter().filter(|g| *g != GroupId::DIRECTORY) {
            match self.shard(group).await {
                Ok(()) => {}
                Err(Trouble::Shard(error)) => tracing::info!(shard = group.0, %error, "packing goes on later"),
                Err(Trouble::Volume(error)) => return Err(error),
            }
        }
        Ok(())
    }

    /// What the global config says.
    fn configure(&mut self) {
        self.config = self.inner.config.packing;
        if let Ok(DirectoryReply::Cluster(cluster)) = self.inner.accounts.cluster() {
            let set = |name: &str, to: &mut Duration| {
                if let Some(said) = cluster.config.get(name).and_then(duration) {
                    *to = said;
                }
            };
            set("zclusterPackAfter", &mut self.config.after);
            set("zclusterPackTrashLifetime", &mut self.config.trash);
        }
    }

    async fn shard(&self, group: GroupId) -> Step<()> {
        let seen = self.inner.replicas.backlog(group)?;
        let volume = self.volumes.default_volume();
        if volume.is_none() && !seen.known {
            return Ok(());
        }
        self.sweep(group, seen.garbage).await?;
        self.tend(group).await?;
        // Without a volume to go to, bodies stay where they are.
        let Some(volume) = volume else { return Ok(()) };
        if !seen.known || seen.unordered {
            self.order(group).await?;
        }
        for _ in 0..PACKS_PER_ROUND {
            let Some(pack) = self.sparse(group).await? else { break };
            self.write(group, &volume, pack).await?;
        }
        for _ in 0..PACKS_PER_ROUND {
            let Some(pack) = self.loose(group).await? else { break };
            self.write(group, &volume, pack).await?;
        }
        Ok(())
    }

    /// Asked before each step.
    fn goes_on(&self, group: GroupId) -> Step<()> {
        let acts = self.inner.group(group).is_some_and(|group| acts_as_leader(&group));
        if acts && !self.inner.is_stopped() {
            return Ok(());
        }
        Err(Trouble::Shard(Error::Unavailable("this node leads it no longer".into())))
    }

    async fn propose(&self, group: GroupId, command: BodiesCommand) -> Step<BodiesReceipt> {
        self.goes_on(group)?;
        let request = RequestId(random_bytes());
        let errand = Errand { group, request, account: None, deadline: Instant::now() + STEP_MAX };
        let entry = proposal::bodies(request, wall_ms(), command);
        match self.inner.carry(errand, &Work::Write(entry)).await? {
            Done::Written(_, reply, _) => Ok(proposal::bodies_reply(&reply)?),
            Done::Read(_) => Err(Error::Internal("a read's answer to a write".into()).into()),
        }
    }

    /// Removes the chunks of bodies that are dead already, also in a shard that nobody uses.
    async fn sweep(&self, group: GroupId, garbage: u64) -> Step<()> {
        for _ in 0..garbage.min(STEPS_PER_ROUND as u64) {
            self.propose(group, BodiesCommand::Sweep { chunks: SWEPT_PER_STEP }).await?;
            if self.inner.replicas.backlog(group)?.garbage == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Has the bodies entered into the order that were there before.
    async fn order(&self, group: GroupId) -> Step<()> {
        for _ in 0..STEPS_PER_ROUND {
            let receipt = self.propose(group, BodiesCommand::Order { max: ORDERED_PER_STEP }).await?;
            if receipt != (BodiesReceipt::Ordered { more: true }) {
                break;
            }
        }
        Ok(())
    }

    /// Removes objects that hold nothing: those that were to be removed before, then those that have become so.
    async fn tend(&self, group: GroupId) -> Step<()> {
        let PackingConfig { trash, announced, .. } = self.config;
        for (stage, kept) in [(Stage::Doomed, Duration::ZERO), (Stage::Trash, trash), (Stage::Open, announced)] {
            let kept_ms = u64::try_from(kept.as_millis()).unwrap_or(u64::MAX);
            let before_ms = wall_ms().saturating_sub(kept_ms);
            for due in self.inner.replicas.due_objects(group, stage, before_ms, REMOVED_PER_ROUND)? {
                self.remove(group, due.number, kept_ms).await?;
            }
        }
        Ok(())
    }

    async fn remove(&self, group: GroupId, object: u64, kept_ms: u64) -> Step<()> {
        let receipt = self.propose(group, BodiesCommand::Claim { object, kept_ms }).await?;
        let BodiesReceipt::Claimed(Some(claimed)) = receipt else { return Ok(()) };
        self.delete(group, &claimed.volume, &claimed.object).await?;
        self.propose(group, BodiesCommand::Forget { object, claimed_ms: claimed.claimed_ms }).await?;
        tracing::info!(shard = group.0, volume = claimed.volume, object = claimed.object, "object removed");
        probe("packer.object_removed", &[u64::from(group.0), object]);
        Ok(())
    }

    async fn delete(&self, group: GroupId, volume: &str, object: &str) -> Step<()> {
        self.goes_on(group)?;
        within(VOLUME_STEP_MAX, self.volumes.delete(volume, object)).await.map_err(Trouble::Volume)
    }

    /// The oldest bodies of the shard, as far as they are old enough and enough for a pack.
    async fn loose(&self, group: GroupId) -> Step<Option<Pack>> {
        self.goes_on(group)?;
        let PackingConfig { after, wait, pack_min, .. } = self.config;
        let pack_max = self.config.pack_max.min(pack::MAX as u64);
        let ms = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        let before_ms = wall_ms().saturating_sub(ms(after));
        let ripe_ms = before_ms.saturating_sub(ms(wait));
        let loose = self.inner.replicas.loose_bodies(group, before_ms, pack_max, BODIES_MAX)?;
        let bytes: u64 = loose.iter().map(|body| body.stored).sum();
        if loose.is_empty() || (bytes < pack_min && loose.iter().all(|body| body.at_ms > ripe_ms)) {
            return Ok(None);
        }
        let replicas = self.inner.replicas.clone();
        let work = move || {
            let stored = loose.into_iter().filter_map(|body| match replicas.stored_body(group, body.id) {
                Ok(found) => found.map(|(codec, bytes)| Stored { id: body.id, size: body.size, codec, bytes }),
                Err(error) => {
                    // It stays where it is: other replicas may have it whole.
                    tracing::error!(shard = group.0, body = %body.id, %error, "body not packed");
                    metrics::counter!("zcluster_packer_damaged_bodies_total").increment(1);
                    None
                }
            });
            fill(stored, Vec::new())
        };
        let pack = spawn_blocking(work).await;
        Ok(pack.map_err(|e| Error::Internal(format!("packing: {e}")))?)
    }

    /// What is left in objects that hold little.
    async fn sparse(&self, group: GroupId) -> Step<Option<Pack>> {
        self.goes_on(group)?;
        let (mut stored, mut from, mut all) = (Vec::new(), Vec::new(), 0);
        for due in self.inner.replicas.due_objects(group, Stage::Sparse, u64::MAX, EMPTIED_PER_ROUND)? {
            let found = self.inner.replicas.packed_bodies(group, due.number, 0, BODIES_MAX)?;
            let Some((volume, object, bodies)) = found else { continue };
            let bytes: u64 = bodies.iter().map(|body| body.len).sum();
            if all > 0 && all + bytes > self.config.pack_max {
                break;
            }
            all += bytes;
            match self.contents(&volume, &object, bodies).await {
                Ok(mut bodies) => {
                    stored.append(&mut bodies);
                    from.push(due.number);
                }
                // The others need not suffer for one that is damaged or lost.
                Err(error @ (Error::Internal(_) | Error::NotFound(_))) => {
                    tracing::error!(shard = group.0, volume, object, %error, "object not packed again");
                    metrics::counter!("zcluster_packer_damaged_objects_total").increment(1);
                }
                Err(error) => return Err(Trouble::Volume(error)),
            }
        }
        let pack = spawn_blocking(move || fill(stored.into_iter(), from)).await;
        Ok(pack.map_err(|e| Error::Internal(format!("packing: {e}")))?)
    }

    /// The bodies that are left in an object, by one read from the first to the last.
    async fn contents(&self, volume: &str, object: &str, bodies: Vec<PackedBody>) -> Result<Vec<Stored>> {
        let from = bodies.iter().map(|b| b.offset).min().unwrap_or_default();
        let to = bodies.iter().map(|b| b.offset + b.len).max().unwrap_or_default();
        let bytes = within(VOLUME_STEP_MAX, self.volumes.read(volume, object, from..to)).await?;
        let work = move || {
            let one = |PackedBody { id, size, offset, len, codec }: PackedBody| {
                let at = |n: u64| usize::try_from(n - from).unwrap_or(usize::MAX).min(bytes.len());
                let bytes = bytes.slice(at(offset)..at(offset + len));
                check_stored(id, size, codec, &bytes).map(|()| Stored { id, size, codec, bytes })
            };
            bodies.into_iter().map(one).collect()
        };
        spawn_blocking(work).await.map_err(|e| Error::Internal(format!("packing: {e}")))?
    }

    /// Announces an object, writes it, and has the bodies moved there.
    async fn write(&self, group: GroupId, volume: &str, pack: Pack) -> Step<()> {
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

    /// What the planted bug does: takes for garbage what this replica does not know to be in use.
    async fn delete_unasked(&self, group: GroupId) {
        let Some(volume) = self.volumes.default_volume() else { return };
        let Ok(listed) = self.volumes.list(&volume, &prefix(group), "", 1_000).await else { return };
        let Ok(known) = self.inner.replicas.objects(group) else { return };
        let live = |stage| matches!(stage, Stage::Live | Stage::Sparse);
        let used: BTreeSet<String> = known.into_iter().filter(|o| live(o.stage)).map(|o| o.object).collect();
        for listed in listed.into_iter().filter(|l| !used.contains(&l.object)) {
            let _ = self.volumes.delete(&volume, &listed.object).await;
        }
    }
}

/// Names of a group's packs begin so.
fn prefix(group: GroupId) -> String {
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
fn fill(bodies: impl Iterator<Item = Stored>, from: Vec<u64>) -> Option<Pack> {
    let (mut writer, mut entries) = (pack::Writer::new(), Vec::new());
    for Stored { id, size, codec, bytes } in bodies {
        let body = pack::Body { id, size, codec, stored: bytes };
        let Ok(entry) = writer.push(&body) else { break };
        entries.push(Placed { id, offset: entry.offset, len: entry.len, codec });
    }
    (!entries.is_empty()).then(|| Pack { bytes: writer.finish(), entries, from })
}

/// Waits for a volume, but not for ever.
async fn within<T>(most: Duration, work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    timeout(most, work).await.unwrap_or_else(|_| Err(Error::Unavailable("the volume does not answer".into())))
}

/// Packs and cleans until the router stops.
pub(crate) async fn run(inner: Arc<Inner>, volumes: Arc<dyn Volumes>) {
    let mut stopped = inner.stopped.subscribe();
    let config = inner.config.packing;
    let mut packer = Packer { inner: inner.clone(), volumes, config };
    let (shortest, longest) = config.backoff;
    let mut backoff = shortest;
    while !inner.is_stopped() {
        let wait = match packer.round().await {
            Ok(()) => {
                inner.packing_failures.store(0, Ordering::Relaxed);
                backoff = shortest;
                config.look_every
            }
            Err(error) => {
                inner.packing_failures.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%error, wait_s = backoff.as_secs(), "the volume cannot be asked: bodies stay in the shards");
                probe("packer.backs_off", &[]);
                let wait = jitter(backoff);
                backoff = backoff.saturating_mul(2).min(longest);
                wait
            }
        };
        for (name, value) in inner.packing_figures() {
            metrics::gauge!("zcluster_packing", "figure" => name).set(value as f64);
        }
        select(sleep(wait), stopped.changed()).await;
    }
}
