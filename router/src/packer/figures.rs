//! How far packing is, for people.

use crate::inner::{Inner, leads};
use std::sync::atomic::Ordering;
use zcluster_api::GroupId;
use zcluster_runtime::wall_ms;

impl Inner {
    /// How much of the bodies of the shards led here is where, for status and metrics; nothing where no packer has been.
    pub fn packing_figures(&self) -> Vec<(&'static str, u64)> {
        let led = self.raft.groups().into_iter().filter(leads).map(|g| GroupId(g.id()));
        let seen: Vec<_> = led.filter_map(|group| self.replicas.backlog(group).ok()).filter(|b| b.known).collect();
        if seen.is_empty() {
            return Vec::new();
        }
        let sum = |of: fn(&zcluster_replica::Backlog) -> u64| seen.iter().map(of).sum::<u64>();
        // Of bodies from before the first packer it is not known when they came.
        let oldest = seen.iter().filter_map(|b| b.oldest_ms).filter(|at| *at > 0).min();
        vec![
            ("pack_backlog_bodies", sum(|b| b.loose.number)),
            ("pack_backlog_bytes", sum(|b| b.loose.bytes)),
            ("pack_backlog_oldest_seconds", oldest.map_or(0, |at| wall_ms().saturating_sub(at) / 1_000)),
            ("pack_failures", self.packing_failures.load(Ordering::Relaxed)),
            ("packed_bodies", sum(|b| b.packed.number)),
            ("packed_bytes", sum(|b| b.packed.bytes)),
            ("volume_objects", sum(|b| b.objects.number)),
            ("volume_bytes", sum(|b| b.objects.bytes)),
        ]
    }
}
