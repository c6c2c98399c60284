//! From a seed to a plan. Swarm testing: a seed first draws which kinds of trouble exist at all in its world, about half
//! of them, and only then how often they come. A world in which everything goes wrong at once finds fewer bugs than many
//! worlds that are each wrong in their own way, because one trouble often hides another (Groce et al., "Swarm testing",
//! 2012).
//!
//! Shape, knobs, faults and clients are drawn from streams of their own, so that a new kind of fault leaves the clients
//! of every seed as they were.

mod clients;
mod faults;
mod shape;

use super::Plan;
use crate::world::Random;

/// How long a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// About 10 simulated seconds of faults and 40 operations.
    Short,
    /// About 30 seconds and 100-200 operations.
    #[default]
    Normal,
    /// About 3 minutes and a thousand operations.
    Long,
}

impl Scale {
    /// Its name on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Scale::Short => "short",
            Scale::Normal => "normal",
            Scale::Long => "long",
        }
    }
    /// Milliseconds of the first phase, before chance varies them.
    fn faults_ms(self) -> u64 {
        match self {
            Scale::Short => 10_000,
            Scale::Normal => 30_000,
            Scale::Long => 180_000,
        }
    }
    /// Fewest and most operations of all clients together.
    fn operations(self) -> (u64, u64) {
        match self {
            Scale::Short => (30, 60),
            Scale::Normal => (100, 200),
            Scale::Long => (700, 1_200),
        }
    }
}

/// How long a cluster may take to converge and serve once everything is mended.
const HEAL_MS: u64 = 60_000;

/// The streams a plan is drawn from; numbers that no stream of [`crate::world::Stream`] has.
#[derive(Clone, Copy)]
enum Part {
    Shape = 101,
    Knobs = 102,
    Faults = 103,
    Clients = 104,
    Volume = 105,
    VolumeWork = 106,
}

fn stream(seed: u64, part: Part) -> Random {
    Random::new(seed, part as u64)
}

impl Plan {
    /// The plan that a seed stands for. It changes when the generator does; what shall last is kept as a file.
    pub fn from_seed(seed: u64, scale: Scale) -> Plan {
        let mut chance = stream(seed, Part::Shape);
        let faults_ms = scale.faults_ms() * chance.range(70, 131) / 100;
        let mut shape = shape::draw(&mut chance);
        shape.volume = shape::draw_volume(&mut stream(seed, Part::Volume));
        let knobs = shape::draw_knobs(&mut stream(seed, Part::Knobs), shape.nodes);
        let mut faults = faults::draw(&mut stream(seed, Part::Faults), &shape, faults_ms);
        if shape.volume.is_some() {
            faults.extend(faults::draw_volume_work(&mut stream(seed, Part::VolumeWork), faults_ms));
            faults.sort_by_key(|f| f.at_ms);
        }
        let clients = clients::draw(&mut stream(seed, Part::Clients), &shape, scale.operations(), faults_ms);
        Plan { seed, shape, knobs, faults, clients, faults_ms, heal_ms: HEAL_MS }
    }
}

/// One of some things, each as likely as its weight says.
fn weighted<T: Copy>(chance: &mut Random, choices: &[(T, u64)]) -> T {
    let total: u64 = choices.iter().map(|(_, w)| w).sum();
    let mut at = chance.below(total);
    for (choice, weight) in choices {
        if at < *weight {
            return *choice;
        }
        at -= weight;
    }
    choices[0].0
}

/// A number whose order of magnitude is drawn first: small ones are as frequent as large ones.
fn spread(chance: &mut Random, from: u64, to: u64) -> u64 {
    let doublings = (to / from.max(1)).max(1).ilog2() as u64;
    let low = from << chance.below(doublings + 1);
    chance.range(low, (low * 2).min(to) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{ClientKind, Fault};
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn a_seed_is_one_plan() {
        for seed in 0..50 {
            assert_eq!(Plan::from_seed(seed, Scale::Normal), Plan::from_seed(seed, Scale::Normal));
        }
        assert_ne!(Plan::from_seed(1, Scale::Normal), Plan::from_seed(2, Scale::Normal));
    }

    #[test]
    fn plans_survive_json() {
        for seed in 0..50 {
            let plan = Plan::from_seed(seed, Scale::Normal);
            let json = serde_json::to_string(&plan).unwrap();
            assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan);
        }
    }

    #[test]
    fn plans_keep_to_their_bounds() {
        for seed in 0..2_000 {
            let plan = Plan::from_seed(seed, Scale::Normal);
            assert!((1..=7).contains(&plan.shape.nodes) && (1..=16).contains(&plan.shape.shards), "{plan:?}");
            assert!(plan.shape.raft.heartbeat_ms * 2 <= plan.shape.raft.election_min_ms);
            assert!(plan.shape.raft.election_min_ms < plan.shape.raft.election_max_ms);
            assert_eq!(plan.shape.clocks.len(), plan.shape.nodes as usize);
            assert!(plan.faults.is_sorted_by_key(|f| f.at_ms));
            assert!(plan.faults.iter().all(|f| f.at_ms < plan.faults_ms));
            let ids: Vec<u32> = plan.clients.iter().flat_map(|c| &c.ops).map(|o| o.id).collect();
            assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "an id is given once");
            assert!((100..=200).contains(&ids.len()), "{}", ids.len());
            let of = |k: fn(&ClientKind) -> bool| plan.clients.iter().filter(|c| k(&c.kind)).count();
            assert!((1..=3).contains(&of(|k| matches!(k, ClientKind::Lmtp))));
            assert!((1..=4).contains(&of(|k| matches!(k, ClientKind::Imap { .. }))));
            assert!(of(|k| matches!(k, ClientKind::Admin)) <= 2);
        }
    }

    #[test]
    fn swarms_differ_and_every_fault_is_in_some() {
        let mut seeds_with: BTreeMap<String, u32> = BTreeMap::new();
        for seed in 0..1_000 {
            let plan = Plan::from_seed(seed, Scale::Normal);
            let kinds: BTreeSet<String> = plan.faults.iter().map(|f| kind(&f.fault)).collect();
            kinds.into_iter().for_each(|k| *seeds_with.entry(k).or_default() += 1);
        }
        assert_eq!(seeds_with.len(), 27, "{seeds_with:?}");
        assert!(seeds_with.values().all(|n| (40..800).contains(n)), "{seeds_with:?}");
    }

    fn kind(fault: &Fault) -> String {
        let text = format!("{fault:?}");
        text.split([' ', '{']).next().unwrap_or_default().to_string()
    }
}
