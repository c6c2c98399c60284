//! How far packing is, for people.

use crate::inner::{Inner, leads};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use zcluster_api::GroupId;
use zcluster_replica::Space;
use zcluster_runtime::{Instant, wall_ms};

/// How often it is summed up what is on volumes and needed by nobody: it reads a row for each object.
const SPACE_EVERY: Duration = Duration::from_secs(30);

/// What this node's packer has done since it started.
#[derive(Default)]
pub(crate) struct Packed {
    /// Packs written.
    pub objects: AtomicU64,
    /// Their bodies.
    pub bodies: AtomicU64,
    /// Their bytes.
    pub bytes: AtomicU64,
    /// Objects deleted.
    pub freed: AtomicU64,
    /// Their bytes.
    pub freed_bytes: AtomicU64,
    /// When it started, Unix milliseconds.
    pub since_ms: AtomicU64,
}

/// Space that is not given back yet, and when that was found.
#[derive(Default)]
pub(crate) struct Waste {
    found: Option<Instant>,
    space: Space,
}

impl Inner {
    fn led_shards(&self) -> Vec<GroupId> {
        let led = self.raft.groups().into_iter().filter(leads).map(|g| GroupId(g.id()));
        led.filter(|g| *g != GroupId::DIRECTORY).collect()
    }

    /// Sums up the space of the shards led here, if that was not done a moment ago. Blocks.
    pub(super) fn look_at_space(&self) {
        if self.waste.lock().found.is_some_and(|at| at.elapsed() < SPACE_EVERY) {
            return;
        }
        let mut space = Space::default();
        for of in self.led_shards().into_iter().filter_map(|group| self.replicas.space(group).ok()) {
            space.trash.number += of.trash.number;
            space.trash.bytes += of.trash.bytes;
            space.dead_bytes += of.dead_bytes;
        }
        *self.waste.lock() = Waste { found: Some(Instant::now()), space };
    }

    /// How much of the bodies of the shards led here is where, for status and metrics; nothing where no packer has been.
    pub fn packing_figures(&self) -> Vec<(&'static str, u64)> {
        let led = self.led_shards();
        let seen: Vec<_> =
            led.into_iter().filter_map(|group| self.replicas.backlog(group).ok()).filter(|b| b.known).collect();
        if seen.is_empty() {
            return Vec::new();
        }
        let sum = |of: fn(&zcluster_replica::Backlog) -> u64| seen.iter().map(of).sum::<u64>();
        // Of bodies from before the first packer it is not known when they came.
        let oldest = seen.iter().filter_map(|b| b.oldest_ms).filter(|at| *at > 0).min();
        let space = self.waste.lock().space;
        let since_start = |of: &AtomicU64| of.load(Ordering::Relaxed);
        let requests = self.volumes.get().map(|v| v.requests()).unwrap_or_default();
        let up_ms = wall_ms().saturating_sub(since_start(&self.packed.since_ms));
        vec![
            ("pack_backlog_bodies", sum(|b| b.loose.number)),
            ("pack_backlog_bytes", sum(|b| b.loose.bytes)),
            ("pack_backlog_oldest_seconds", oldest.map_or(0, |at| wall_ms().saturating_sub(at) / 1_000)),
            ("pack_failures", self.packing_failures.load(Ordering::Relaxed)),
            ("pack_garbage_bodies", sum(|b| b.garbage)),
            ("pack_objects_written", since_start(&self.packed.objects)),
            ("pack_bodies_written", since_start(&self.packed.bodies)),
            ("pack_bytes_written", since_start(&self.packed.bytes)),
            ("pack_seconds", up_ms / 1_000),
            ("volume_gets", requests.gets),
            ("volume_puts", requests.puts),
            ("volume_deletes", requests.deletes),
            ("volume_lists", requests.lists),
            ("packed_bodies", sum(|b| b.packed.number)),
            ("packed_bytes", sum(|b| b.packed.bytes)),
            ("volume_objects", sum(|b| b.objects.number)),
            ("volume_bytes", sum(|b| b.objects.bytes)),
            ("volume_trash_objects", space.trash.number),
            ("volume_trash_bytes", space.trash.bytes),
            ("volume_dead_bytes", space.dead_bytes),
            ("volume_freed_objects", since_start(&self.packed.freed)),
            ("volume_freed_bytes", since_start(&self.packed.freed_bytes)),
        ]
    }
}
