//! What the network is like at the moment: latencies, small faults, cuts, slow links.

use super::link::Key;
use crate::plan::Knobs;
use crate::world::{self, Random, Stream};
use std::collections::{BTreeMap, BTreeSet};
use zcluster_rpc::{Lane, node_number};

/// Time that one byte takes, nanoseconds: about a gigabit per second.
const BYTE_NS: u64 = 8;
/// How much later than usual a delayed frame is, nanoseconds.
const DELAY_NS: (u64, u64) = (50_000_000, 2_000_000_000);
/// How long a frame lies around after its connection broke, nanoseconds.
const STALE_NS: (u64, u64) = (200_000_000, 5_000_000_000);

/// A direction in which nothing passes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    /// Each cut has its own, so that what was meant for a mended one does not strike the next.
    pub id: u64,
    /// Keepalives run into it too, so that connections end after a while and cannot be made any more. Otherwise
    /// only calls do (a path that swallows all but small packets): each one is lost by itself, its connection is new
    /// and nobody is told. The former is what TCP makes of a cut, the latter is harder.
    pub noticed: bool,
    /// Since when connections are known to be broken.
    pub dark: Option<u64>,
}

/// What becomes of a request.
pub(super) struct Fate {
    /// Time on its way.
    pub ns: u64,
    pub lost: bool,
    pub twice: bool,
    /// It is late by so much more, and its caller is told that the connection broke.
    pub stale: Option<u64>,
}

/// See the module.
pub(super) struct Weather {
    pub knobs: Knobs,
    pub cuts: BTreeMap<(u32, u32), Cut>,
    pub clients_cut: BTreeSet<u32>,
    slow: BTreeMap<(u32, u32), u64>,
}

impl Weather {
    pub(super) fn new(knobs: &Knobs) -> Self {
        let knobs = knobs.clone();
        Weather { knobs, cuts: BTreeMap::new(), clients_cut: BTreeSet::new(), slow: BTreeMap::new() }
    }

    pub(super) fn set_slow(&mut self, a: u32, b: u32, factor: u32) {
        self.slow.insert((a.min(b), a.max(b)), u64::from(factor.max(1)));
    }

    /// All cuts, which are no more.
    pub(super) fn clear(&mut self) -> BTreeMap<(u32, u32), Cut> {
        self.slow.clear();
        self.clients_cut.clear();
        std::mem::take(&mut self.cuts)
    }

    /// Since when the two cannot connect, if so.
    pub(super) fn dark(&self, a: u32, b: u32) -> Option<u64> {
        if self.cuts.is_empty() {
            return None;
        }
        let since = |from, to| self.cuts.get(&(from, to)).and_then(|c| c.dark);
        [since(a, b), since(b, a)].into_iter().flatten().min()
    }

    fn factor(&self, a: u32, b: u32) -> u64 {
        if self.slow.is_empty() { 1 } else { self.slow.get(&(a.min(b), a.max(b))).copied().unwrap_or(1) }
    }

    /// Time that `len` bytes take between two nodes (0: the outside).
    pub(super) fn latency(&self, a: u32, b: u32, len: usize) -> u64 {
        let (factor, us) = (self.factor(a, b), self.knobs.latency_us);
        world::draw(Stream::Network, |r| travel(r, us, factor, len))
    }

    /// What becomes of a request that is sent now.
    pub(super) fn request(&self, key: &Key, len: usize, early: bool) -> Fate {
        let knobs = &self.knobs;
        let factor = self.factor(node_number(key.from), node_number(key.to));
        let mut delayed = false;
        let fate = world::draw(Stream::Network, |r| {
            let mut ns = travel(r, knobs.latency_us, factor, len);
            if r.chance(knobs.delay) {
                delayed = true;
                ns += r.range(DELAY_NS.0, DELAY_NS.1);
            }
            let lost = r.chance(knobs.drop_request);
            let twice = r.chance(knobs.duplicate);
            // A connection that does not stand yet cannot be stale.
            let stale = (r.chance(knobs.stale) && !early).then(|| r.range(STALE_NS.0, STALE_NS.1));
            Fate { ns, lost, twice, stale }
        });
        if delayed {
            world::count("net.delay");
        }
        fate
    }

    /// Time an answer takes, and whether it is lost.
    pub(super) fn answer(&self, key: &Key, len: usize) -> (u64, bool) {
        let knobs = &self.knobs;
        let factor = self.factor(node_number(key.from), node_number(key.to));
        let mut delayed = false;
        let (ns, lost) = world::draw(Stream::Network, |r| {
            let mut ns = travel(r, knobs.latency_us, factor, len);
            // Answers on the Raft lane hold each other up as calls do; one knob serves both ways.
            if key.lane != Lane::Raft && r.chance(knobs.delay) {
                delayed = true;
                ns += r.range(DELAY_NS.0, DELAY_NS.1);
            }
            (ns, r.chance(knobs.drop_answer))
        });
        if delayed {
            world::count("net.delay");
        }
        (ns, lost)
    }
}

fn travel(r: &mut Random, (base, spread): (u32, u32), factor: u64, len: usize) -> u64 {
    let latency = u64::from(base) * 1_000 + r.below(u64::from(spread) * 1_000 + 1);
    (latency + len as u64 * BYTE_NS) * factor + 1
}
