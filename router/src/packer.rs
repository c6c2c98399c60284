//! Moving bodies from shards to packs on volumes, packing sparse and small packs again, emptying volumes, and removing
//! objects that hold nothing any more: work of each shard's leader (docs/decisions/0026, 0031).
//!
//! Every step is agreed on by the shard before the next is begun, so that a leader may die anywhere: what it announced
//! and did not fill is found and removed by the next, and a body lies in the shard until an object is durable that holds
//! it. While the volume cannot be asked, bodies stay where they are.

mod again;
mod config;
mod empty;
mod figures;
mod loose;
mod write;

pub use config::PackingConfig;
pub(crate) use figures::{Packed, Waste};
pub(crate) use write::{Pack, Stored, fill, prefix};

use crate::carry::{Done, Errand, Work};
use crate::inner::{Inner, acts_as_leader, leads};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use zcluster_api::directory::duration;
use zcluster_api::pack::SPARSE_PERCENT;
use zcluster_api::{BodiesCommand, BodiesReceipt, DirectoryReply, Error, GroupId, RequestId, Result, Volumes};
use zcluster_replica::{DueObject, Replicas, Stage, proposal};
use zcluster_runtime::planted::{Bug, planted};
use zcluster_runtime::{Instant, jitter, probe, random_bytes, select, sleep, spawn_blocking, timeout, wall_ms};

/// A step in the log may take this long.
const STEP_MAX: Duration = Duration::from_secs(30);
/// Reading or deleting an object may take this long.
pub(crate) const VOLUME_STEP_MAX: Duration = Duration::from_secs(60);
/// Objects of one shard that one round removes, packs that it writes, at most.
const REMOVED_PER_ROUND: usize = 200;
const PACKS_PER_ROUND: usize = 16;
/// Commands of housekeeping in one shard and round.
const STEPS_PER_ROUND: usize = 64;
/// Bodies in one pack.
pub(crate) const BODIES_MAX: usize = 16_384;
/// Bodies that one `Order` looks at; chunks that one `Sweep` removes.
const ORDERED_PER_STEP: u32 = 4_096;
const SWEPT_PER_STEP: u32 = 1_024;
/// The volumes that are to be emptied, a value of the global config for each.
pub const DRAINED_ATTRIBUTE: &str = "zclusterVolumeDrained";

/// Why a round ended early.
pub(crate) enum Trouble {
    /// The volume could not be asked, or gave nonsense: it is left alone for a while.
    Volume(Error),
    /// The shard did not answer: others may.
    Shard(Error),
}

impl Trouble {
    /// What it is about.
    pub fn error(self) -> Error {
        match self {
            Trouble::Volume(error) | Trouble::Shard(error) => error,
        }
    }
}

impl From<Error> for Trouble {
    fn from(e: Error) -> Self {
        Trouble::Shard(e)
    }
}

pub(crate) type Step<T> = std::result::Result<T, Trouble>;

/// What a node's packing shares.
pub(crate) struct Packer {
    pub inner: Arc<Inner>,
    pub volumes: Arc<dyn Volumes>,
    pub config: PackingConfig,
    /// Volumes that are to be emptied.
    pub drained: BTreeSet<String>,
    notes: Notes,
}

/// What the packer remembers in order not to look in vain.
#[derive(Default)]
struct Notes {
    /// Until when the waiting bodies of a shard are not listed: they were too few.
    few: Mutex<BTreeMap<GroupId, Instant>>,
    /// Until when the packs of a shard are not compared.
    compared: Mutex<BTreeMap<GroupId, Instant>>,
    /// Until when an object that could not be read as it should is left alone.
    damaged: Mutex<BTreeMap<(GroupId, u64), Instant>>,
}

impl Packer {
    /// A packer for this node; `None` before it knows volumes.
    pub fn new(inner: &Arc<Inner>) -> Option<Packer> {
        let volumes = inner.volumes.get()?.clone();
        let config = inner.config.packing;
        let (drained, notes) = (BTreeSet::new(), Notes::default());
        let mut packer = Packer { inner: inner.clone(), volumes, config, drained, notes };
        packer.configure();
        Some(packer)
    }

    /// The volume that bodies go to where no rule says otherwise; not one that is to be emptied.
    pub fn default_volume(&self) -> Option<String> {
        self.volumes.default_volume().filter(|volume| !self.drained.contains(volume))
    }

    /// Reads of the tables go off the event loop: they may meet a cold disk.
    pub async fn look<T: Send + 'static>(&self, read: impl FnOnce(&Replicas) -> Result<T> + Send + 'static) -> Step<T> {
        let replicas = self.inner.replicas.clone();
        let read = spawn_blocking(move || read(&replicas)).await;
        Ok(read.map_err(|e| Error::Internal(format!("packing: {e}")))??)
    }

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
    pub fn configure(&mut self) {
        self.config = self.inner.config.packing;
        if let Ok(DirectoryReply::Cluster(cluster)) = self.inner.accounts.cluster() {
            let set = |name: &str, to: &mut Duration| {
                if let Some(said) = cluster.config.get(name).and_then(duration) {
                    *to = said;
                }
            };
            set("zclusterPackAfter", &mut self.config.after);
            set("zclusterPackTrashLifetime", &mut self.config.trash);
            let percent = cluster.config.get("zclusterPackSparsePercent").and_then(|p| p.parse().ok());
            self.config.sparse_percent = percent.unwrap_or(self.config.sparse_percent).clamp(SPARSE_PERCENT, 95);
            self.drained = cluster.config.all(DRAINED_ATTRIBUTE).iter().cloned().collect();
        }
    }

    async fn shard(&self, group: GroupId) -> Step<()> {
        let seen = self.look(move |replicas| replicas.backlog(group)).await?;
        let default = self.default_volume();
        if default.is_none() && !seen.known {
            return Ok(());
        }
        self.sweep(group, seen.garbage).await?;
        if seen.objects.number > 0 {
            self.tend(group).await?;
            self.drain(group).await?;
            self.pack_again(group, seen.objects.number).await?;
        }
        // Without a volume to go to, bodies stay where they are.
        let Some(volume) = default else { return Ok(()) };
        if !seen.known || seen.unordered {
            self.order(group).await?;
        }
        let seen = self.look(move |replicas| replicas.backlog(group)).await?;
        if self.is_worth_a_look(group, &seen) {
            self.pack_loose(group, &volume).await?;
        }
        Ok(())
    }

    /// Asked before each step.
    pub fn goes_on(&self, group: GroupId) -> Step<()> {
        let acts = self.inner.group(group).is_some_and(|group| acts_as_leader(&group));
        if acts && !self.inner.is_stopped() {
            return Ok(());
        }
        Err(Trouble::Shard(Error::Unavailable("this node leads it no longer".into())))
    }

    pub async fn propose(&self, group: GroupId, command: BodiesCommand) -> Step<BodiesReceipt> {
        self.goes_on(group)?;
        Ok(self.propose_anywhere(group, command).await?)
    }

    /// The same for what any node may say.
    pub async fn propose_anywhere(&self, group: GroupId, command: BodiesCommand) -> Result<BodiesReceipt> {
        let request = RequestId(random_bytes());
        let errand = Errand { group, request, account: None, deadline: Instant::now() + STEP_MAX };
        let entry = proposal::bodies(request, wall_ms(), command);
        match self.inner.carry(errand, &Work::Write(entry)).await? {
            Done::Written(_, reply, _) => proposal::bodies_reply(&reply),
            Done::Read(_) => Err(Error::Internal("a read's answer to a write".into())),
        }
    }

    /// Removes the chunks of bodies that are dead already, also in a shard that nobody uses.
    async fn sweep(&self, group: GroupId, garbage: u64) -> Step<()> {
        for _ in 0..garbage.min(STEPS_PER_ROUND as u64) {
            self.propose(group, BodiesCommand::Sweep { chunks: SWEPT_PER_STEP }).await?;
            if self.look(move |replicas| replicas.backlog(group)).await?.garbage == 0 {
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
            let kept_ms = millis(kept);
            let before_ms = wall_ms().saturating_sub(kept_ms);
            let due = self.look(move |r| r.due_objects(group, stage, before_ms, REMOVED_PER_ROUND)).await?;
            for due in due {
                self.remove(group, &due, kept_ms).await?;
            }
        }
        Ok(())
    }

    async fn remove(&self, group: GroupId, due: &DueObject, kept_ms: u64) -> Step<()> {
        let object = due.number;
        let receipt = self.propose(group, BodiesCommand::Claim { object, kept_ms }).await?;
        let BodiesReceipt::Claimed(Some(claimed)) = receipt else { return Ok(()) };
        self.delete(group, &claimed.volume, &claimed.object).await?;
        self.propose(group, BodiesCommand::Forget { object, claimed_ms: claimed.claimed_ms }).await?;
        self.inner.packed.freed.fetch_add(1, Ordering::Relaxed);
        self.inner.packed.freed_bytes.fetch_add(due.bytes, Ordering::Relaxed);
        tracing::info!(shard = group.0, volume = claimed.volume, object = claimed.object, "object removed");
        probe("packer.object_removed", &[u64::from(group.0), object]);
        Ok(())
    }

    async fn delete(&self, group: GroupId, volume: &str, object: &str) -> Step<()> {
        self.goes_on(group)?;
        within(VOLUME_STEP_MAX, self.volumes.delete(volume, object)).await.map_err(Trouble::Volume)
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

/// As milliseconds.
pub(crate) fn millis(of: Duration) -> u64 {
    u64::try_from(of.as_millis()).unwrap_or(u64::MAX)
}

/// Waits for a volume, but not for ever.
pub(crate) async fn within<T>(most: Duration, work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    timeout(most, work).await.unwrap_or_else(|_| Err(Error::Unavailable("the volume does not answer".into())))
}

/// Packs and cleans until the router stops.
pub(crate) async fn run(inner: Arc<Inner>) {
    let mut stopped = inner.stopped.subscribe();
    let config = inner.config.packing;
    let Some(mut packer) = Packer::new(&inner) else { return };
    inner.packed.since_ms.store(wall_ms(), Ordering::Relaxed);
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
        let shown = inner.clone();
        let figures = spawn_blocking(move || {
            shown.look_at_space();
            shown.packing_figures()
        });
        for (name, value) in figures.await.unwrap_or_default() {
            metrics::gauge!("zcluster_packing", "figure" => name).set(value as f64);
        }
        select(sleep(wait), stopped.changed()).await;
    }
}
