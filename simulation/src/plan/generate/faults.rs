//! The schedule of large faults: an explicit list in order of time.
//!
//! Most worlds let their cluster breathe: at most a minority of the founders is down, cut off or standing still at any
//! time, because a cluster that never serves acknowledges nothing that could be lost. Some worlds are without mercy.

use super::weighted;
use crate::plan::{Fault, Shape, TimedFault};
use crate::world::Random;

/// Kinds of faults, as a swarm chooses among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    CutOneWay,
    Partition,
    CutClients,
    SlowLink,
    ResetLinks,
    ResetClients,
    Crash,
    CrashAll,
    Restart,
    RollingRestart,
    LoseDisk,
    FlipBit,
    NoSpace,
    IoError,
    SlowDisk,
    ClockJump,
    ClockRate,
    Suspend,
    Pause,
    Join,
    Leave,
    MoveReplica,
    Transfer,
    CutLog,
}

/// Every kind, how often it comes in worlds that have it, and how many nodes it needs to make sense.
const KINDS: [(Kind, u64, u32); 24] = [
    (Kind::CutOneWay, 4, 2),
    (Kind::Partition, 5, 2),
    (Kind::CutClients, 2, 1),
    (Kind::SlowLink, 2, 2),
    (Kind::ResetLinks, 4, 2),
    (Kind::ResetClients, 4, 1),
    (Kind::Crash, 8, 1),
    (Kind::CrashAll, 3, 1),
    (Kind::Restart, 4, 1),
    (Kind::RollingRestart, 1, 2),
    (Kind::LoseDisk, 2, 3),
    (Kind::FlipBit, 2, 3),
    (Kind::NoSpace, 2, 1),
    (Kind::IoError, 3, 1),
    (Kind::SlowDisk, 3, 1),
    (Kind::ClockJump, 3, 1),
    (Kind::ClockRate, 2, 1),
    (Kind::Suspend, 3, 1),
    (Kind::Pause, 4, 1),
    (Kind::Join, 2, 1),
    (Kind::Leave, 2, 3),
    (Kind::MoveReplica, 4, 4),
    (Kind::Transfer, 4, 2),
    (Kind::CutLog, 4, 1),
];

/// A cluster that was just founded gets a moment before trouble begins, milliseconds.
const QUIET_MS: u64 = 500;
/// The most nodes a cluster grows by.
const JOINS_MAX: u32 = 2;

/// Draws a schedule.
pub(super) fn draw(chance: &mut Random, shape: &Shape, faults_ms: u64) -> Vec<TimedFault> {
    let kinds = swarm(chance, shape.nodes);
    let mean_gap = weighted(chance, &[(700, 2), (1_500, 4), (3_000, 3), (8_000, 1)]);
    let mut director = Director {
        nodes: shape.nodes,
        shards: shape.shards,
        merciless: chance.chance(150_000),
        hurt: Vec::new(),
        network_hurt_until: 0,
        joined: 0,
        left: Vec::new(),
        out: Vec::new(),
    };
    let mut at = QUIET_MS;
    // A world without large faults is one of the swarm, too.
    while !kinds.is_empty() {
        at += 1 + chance.below(2 * mean_gap);
        if at >= faults_ms {
            break;
        }
        let kind = weighted(chance, &kinds);
        director.strike(chance, at, kind);
    }
    let mut faults = director.out;
    faults.retain(|f| f.at_ms < faults_ms);
    // Stable: of two at the same time the one drawn first comes first.
    faults.sort_by_key(|f| f.at_ms);
    faults
}

/// What administrators do with the volume, in worlds that have one: nothing in half of them.
pub(super) fn draw_volume_work(chance: &mut Random, faults_ms: u64) -> Vec<TimedFault> {
    let (verifies, drains) = (chance.chance(500_000), chance.chance(300_000));
    let mut out = Vec::new();
    if !verifies && !drains {
        return out;
    }
    let mut at_ms = QUIET_MS + 1 + chance.below(8_000);
    while at_ms < faults_ms {
        let fault = match drains && (!verifies || chance.chance(300_000)) {
            true => Fault::DrainVolume { for_ms: weighted(chance, &[(1_000, 1), (4_000, 2), (12_000, 1)]) },
            false => Fault::VerifyBodies { repair: chance.chance(500_000) },
        };
        out.push(TimedFault { at_ms, fault });
        at_ms += 1 + chance.below(8_000);
    }
    out
}

fn swarm(chance: &mut Random, nodes: u32) -> Vec<(Kind, u64)> {
    let mut kinds = Vec::new();
    for (kind, weight, needs) in KINDS {
        if chance.chance(500_000) && nodes >= needs {
            kinds.push((kind, weight));
        }
    }
    kinds
}

/// Draws one fault after the other and knows which nodes are in trouble at which time.
struct Director {
    nodes: u32,
    shards: u32,
    /// Takes no care that a majority is left.
    merciless: bool,
    /// Nodes in trouble, and until when.
    hurt: Vec<(u32, u64)>,
    network_hurt_until: u64,
    joined: u32,
    left: Vec<u32>,
    out: Vec<TimedFault>,
}

impl Director {
    fn add(&mut self, at_ms: u64, fault: Fault) {
        self.out.push(TimedFault { at_ms, fault });
    }
    /// Any node, joined ones included.
    fn any(&self, chance: &mut Random) -> u32 {
        1 + chance.below(u64::from(self.nodes + self.joined)) as u32
    }
    fn two(&self, chance: &mut Random) -> (u32, u32) {
        let all = u64::from(self.nodes + self.joined);
        let a = 1 + chance.below(all) as u32;
        let step = 1 + chance.below(all - 1) as u32;
        (a, (a - 1 + step) % (all as u32) + 1)
    }
    /// A node to be taken away for `ms`, if the rest can bear it.
    fn victim(&mut self, chance: &mut Random, at: u64, ms: u64) -> Option<u32> {
        let node = self.any(chance);
        self.hurt.retain(|(_, until)| *until > at);
        let already = self.hurt.iter().any(|(n, _)| *n == node);
        let bearable = (self.nodes as usize - 1) / 2;
        // A single node has no others to leave standing.
        let may = self.merciless || self.nodes == 1 || self.hurt.len() < bearable.max(1);
        if already || !may {
            return None;
        }
        // Coming back and catching up takes a while, too.
        self.hurt.push((node, at + ms + 1_500));
        Some(node)
    }
    fn strike(&mut self, chance: &mut Random, at: u64, kind: Kind) {
        match kind {
            Kind::CutOneWay | Kind::Partition | Kind::CutClients | Kind::SlowLink => self.network(chance, at, kind),
            Kind::Crash | Kind::Restart | Kind::LoseDisk | Kind::NoSpace | Kind::IoError | Kind::FlipBit => {
                self.one_node(chance, at, kind);
            }
            Kind::SlowDisk | Kind::Suspend | Kind::Pause => self.one_node(chance, at, kind),
            Kind::CrashAll | Kind::RollingRestart => self.all_nodes(chance, at, kind),
            Kind::ResetLinks => {
                let (a, b) = self.two(chance);
                self.add(at, Fault::ResetLinks { a, b });
            }
            Kind::ResetClients => {
                let node = self.any(chance);
                self.add(at, Fault::ResetClients { node });
            }
            Kind::ClockJump | Kind::ClockRate => self.clock(chance, at, kind),
            Kind::Join | Kind::Leave => self.membership(chance, at, kind),
            Kind::MoveReplica => {
                let shard = 1 + chance.below(u64::from(self.shards)) as u32;
                self.add(at, Fault::MoveReplica { shard });
            }
            Kind::Transfer | Kind::CutLog => {
                let group = chance.below(u64::from(self.shards) + 1) as u32;
                let transfer = kind == Kind::Transfer;
                self.add(at, if transfer { Fault::Transfer { group } } else { Fault::CutLog { group } });
            }
        }
    }
    fn network(&mut self, chance: &mut Random, at: u64, kind: Kind) {
        if at < self.network_hurt_until && !self.merciless {
            return;
        }
        let ms = weighted(chance, &[(700, 2), (2_500, 4), (6_000, 3), (12_000, 1)]);
        let ms = chance.range(ms / 2, ms * 3 / 2);
        match kind {
            Kind::CutOneWay => {
                let (from, to) = self.two(chance);
                self.add(at, Fault::CutOneWay { from, to });
            }
            Kind::Partition => {
                let side = self.side(chance);
                self.add(at, Fault::Partition { side });
            }
            Kind::CutClients => {
                let node = self.any(chance);
                self.add(at, Fault::CutClients { node });
            }
            _ => {
                let (a, b) = self.two(chance);
                let factor = weighted(chance, &[(5, 1), (30, 1), (200, 1)]);
                self.add(at, Fault::SlowLink { a, b, factor });
            }
        }
        self.add(at + ms, Fault::HealNetwork);
        self.network_hurt_until = at + ms + 1_000;
    }
    /// One side of a partition: any non-empty part of the nodes.
    fn side(&self, chance: &mut Random) -> Vec<u32> {
        let all = self.nodes + self.joined;
        let size = 1 + chance.below(u64::from(all / 2).max(1));
        let mut rest: Vec<u32> = (1..=all).collect();
        let mut side: Vec<u32> = (0..size).map(|_| rest.remove(chance.below(rest.len() as u64) as usize)).collect();
        side.sort_unstable();
        side
    }
    fn one_node(&mut self, chance: &mut Random, at: u64, kind: Kind) {
        let ms = weighted(chance, &[(20, 2), (400, 3), (2_500, 4), (8_000, 2)]);
        let ms = chance.range(ms / 2, ms * 3 / 2);
        let torn = chance.chance(500_000);
        let factor = weighted(chance, &[(5, 1), (20, 1), (100, 1)]);
        let Some(node) = self.victim(chance, at, ms) else { return };
        let fault = match kind {
            Kind::Crash => Fault::Crash { node, down_ms: ms, torn },
            Kind::Restart => Fault::Restart { node, down_ms: ms },
            Kind::LoseDisk => Fault::LoseDisk { node, down_ms: ms },
            Kind::NoSpace => Fault::NoSpace { node, for_ms: ms },
            Kind::IoError => Fault::IoError { node },
            Kind::FlipBit => Fault::FlipBit { node },
            Kind::SlowDisk => Fault::SlowDisk { node, factor, for_ms: ms },
            Kind::Suspend => Fault::Suspend { node, ms },
            _ => Fault::Pause { node, ms },
        };
        self.add(at, fault);
    }
    fn all_nodes(&mut self, chance: &mut Random, at: u64, kind: Kind) {
        self.hurt.retain(|(_, until)| *until > at);
        if !self.hurt.is_empty() && !self.merciless {
            return;
        }
        let down_ms = weighted(chance, &[(50, 1), (500, 2), (2_000, 1)]);
        let all = self.nodes + self.joined;
        let away = match kind {
            Kind::CrashAll => {
                self.add(at, Fault::CrashAll { down_ms, torn: chance.chance(500_000) });
                down_ms
            }
            _ => {
                self.add(at, Fault::RollingRestart { down_ms });
                u64::from(all) * (down_ms + 2_000)
            }
        };
        // Time to elect leaders and to serve before the next blow.
        self.hurt.extend((1..=all).map(|n| (n, at + away + 2_500)));
    }
    fn clock(&mut self, chance: &mut Random, at: u64, kind: Kind) {
        let node = self.any(chance);
        if kind == Kind::ClockRate {
            let ppm = chance.below(1_001) as i64 - 500;
            return self.add(at, Fault::ClockRate { node, ppm });
        }
        let most: i64 = weighted(chance, &[(2_000, 3), (60_000, 2), (3_600_000, 1)]);
        let ms = chance.below(2 * most as u64 + 1) as i64 - most;
        self.add(at, Fault::ClockJump { node, ms });
    }
    fn membership(&mut self, chance: &mut Random, at: u64, kind: Kind) {
        if kind == Kind::Join {
            if self.joined < JOINS_MAX {
                self.joined += 1;
                self.add(at, Fault::Join);
            }
            return;
        }
        // Whoever is left can still keep three copies if the founders could.
        let present = self.nodes + self.joined - self.left.len() as u32;
        let node = self.any(chance);
        if present > 3 && !self.left.contains(&node) {
            self.left.push(node);
            self.add(at, Fault::Leave { node });
        }
    }
}
