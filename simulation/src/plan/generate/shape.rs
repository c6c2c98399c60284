//! The cluster, its settings, its clocks and the rates of small faults.

use super::{spread, weighted};
use crate::plan::{ClockShape, Knobs, RaftShape, Shape, VolumeShape};
use crate::world::Random;

/// Draws a cluster.
pub(super) fn draw(chance: &mut Random) -> Shape {
    let nodes = weighted(chance, &[(3, 45), (5, 18), (1, 11), (4, 9), (2, 7), (7, 6), (6, 4)]);
    let shards = if chance.chance(850_000) { chance.range(1, 5) } else { chance.range(5, 17) } as u32;
    let accounts = chance.range(1, 5) as u32;
    Shape { nodes, shards, accounts, raft: raft(chance), clocks: clocks(chance, nodes), volume: None }
}

/// Timers from sets that make sense together, and thresholds from "a snapshot every few messages" to "never".
fn raft(chance: &mut Random) -> RaftShape {
    let production = (400, 800, 1_200);
    let slow = (900, 2_000, 3_000);
    let quick = (150, 400, 700);
    let (heartbeat_ms, election_min_ms, election_max_ms) = weighted(chance, &[(production, 6), (slow, 2), (quick, 2)]);
    let snapshot_every = weighted(chance, &[(20, 3), (50, 3), (200, 2), (10_000, 2)]);
    let keep_entries = weighted(chance, &[(0, 2), (5, 3), (20, 3), (1_000, 2)]);
    let snapshot_lag = snapshot_every * weighted(chance, &[(2, 3), (5, 1)]);
    RaftShape { heartbeat_ms, election_min_ms, election_max_ms, snapshot_every, keep_entries, snapshot_lag }
}

/// Clocks that began at different times; in some worlds they run at different rates, in some the wall clocks are wrong.
fn clocks(chance: &mut Random, nodes: u32) -> Vec<ClockShape> {
    let (drift, wrong) = (chance.chance(500_000), chance.chance(400_000));
    let wall_spread = weighted(chance, &[(50, 3), (5_000, 3), (600_000, 1)]);
    let mut one = || ClockShape {
        offset_ms: chance.below(10 * 86_400_000),
        ppm: if drift { chance.below(1_001) as i64 - 500 } else { 0 },
        wall_error_ms: if wrong { chance.below(2 * wall_spread + 1) as i64 - wall_spread as i64 } else { 0 },
    };
    (0..nodes).map(|_| one()).collect()
}

/// Draws a volume and its troubles, each off in half of the worlds that have one.
pub(super) fn draw_volume(chance: &mut Random) -> Option<VolumeShape> {
    if !chance.chance(500_000) {
        return None;
    }
    let after_ms = weighted(chance, &[(0, 3), (500, 3), (5_000, 2)]);
    let pack_bytes = weighted(chance, &[((1, 4_000), 3), ((2_000, 64_000), 3), ((20_000, 1 << 20), 1)]);
    let trash_ms = weighted(chance, &[(2_500, 2), (6_000, 2)]);
    let mut rate = |often: u64| {
        let (on, rate) = (chance.chance(500_000), spread(chance, often / 64, often) as u32);
        if on { rate } else { 0 }
    };
    let (refuse, lose, late, slow) = (rate(200_000), rate(200_000), rate(200_000), rate(200_000));
    let list_lag_ms = weighted(chance, &[(0, 1), (3_000, 1)]);
    let (outage_ms, outage_every_ms) = weighted(chance, &[((0, 1), 4), ((3_000, 10_000), 2), ((25_000, 40_000), 1)]);
    Some(VolumeShape {
        after_ms,
        pack_bytes,
        trash_ms,
        refuse,
        lose,
        late,
        slow,
        list_lag_ms,
        outage_ms,
        outage_every_ms,
    })
}

/// Draws the rates of small faults: each is off in half of the worlds, else anything from rare to frequent.
pub(super) fn draw_knobs(chance: &mut Random, nodes: u32) -> Knobs {
    // One world in ten has no small faults at all: large ones have it to themselves.
    let calm = chance.chance(100_000);
    let mut rate = |often: u64, between_nodes: bool| {
        let (on, rate) = (chance.chance(500_000), spread(chance, often / 64, often) as u32);
        if on && !calm && (nodes > 1 || !between_nodes) { rate } else { 0 }
    };
    let mut knobs = Knobs {
        drop_request: rate(50_000, true),
        drop_answer: rate(50_000, true),
        duplicate: rate(100_000, true),
        delay: rate(50_000, true),
        stale: rate(20_000, true),
        client_reset: rate(10_000, false),
        client_fragments: rate(500_000, false),
        slow_fsync: rate(50_000, false),
        ..Knobs::default()
    };
    knobs.latency_us =
        weighted(chance, &[((150, 100), 4), ((500, 500), 3), ((2_000, 4_000), 2), ((20_000, 10_000), 1)]);
    knobs.fsync_us = weighted(chance, &[((100, 100), 3), ((800, 600), 4), ((5_000, 5_000), 2), ((15_000, 10_000), 1)]);
    knobs
}
