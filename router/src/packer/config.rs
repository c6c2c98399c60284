//! What a node sets about packing.

use std::time::Duration;

/// Times and sizes of packing.
#[derive(Clone, Copy, Debug)]
pub struct PackingConfig {
    /// How often it is looked what there is to do.
    pub look_every: Duration,
    /// Bodies older than this are moved, unless the global config's `zclusterPackAfter` says otherwise.
    pub after: Duration,
    /// Bodies that are too few for a pack wait so much longer for more.
    pub wait: Duration,
    /// Bytes of bodies that are worth a pack.
    pub pack_min: u64,
    /// Bytes of bodies of a pack at most; larger bodies stay in their shard. Twice as much is held in memory, once per
    /// node.
    pub pack_max: u64,
    /// How long an object without bodies stays on its volume, for readers that were told of it before, unless the global
    /// config's `zclusterPackTrashLifetime` says otherwise.
    pub trash: Duration,
    /// An object of whose bodies less than this share is needed is packed again, per cent, unless the global config's
    /// `zclusterPackSparsePercent` says otherwise; at least [`zcluster_api::pack::SPARSE_PERCENT`].
    pub sparse_percent: u64,
    /// So many packs of about one size, each smaller than [`pack_min`](Self::pack_min), are packed into one.
    pub merge_count: usize,
    /// How often a shard's packs are compared for that.
    pub merge_every: Duration,
    /// How long an announced object may take to be written and filled; must be much longer than [`put_max`](Self::put_max).
    pub announced: Duration,
    /// Writing an object may take so long.
    pub put_max: Duration,
    /// First and longest pause after a volume could not be asked.
    pub backoff: (Duration, Duration),
}

impl Default for PackingConfig {
    fn default() -> Self {
        let hour = Duration::from_secs(3_600);
        PackingConfig {
            look_every: Duration::from_secs(10),
            after: hour,
            wait: 24 * hour,
            pack_min: 8 << 20,
            pack_max: 32 << 20,
            trash: 24 * hour,
            sparse_percent: zcluster_api::pack::SPARSE_PERCENT,
            merge_count: 8,
            merge_every: hour,
            announced: 24 * hour,
            put_max: Duration::from_secs(600),
            backoff: (Duration::from_secs(10), Duration::from_secs(300)),
        }
    }
}
