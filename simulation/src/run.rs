//! One run: a plan goes in, what became of it comes out.

use crate::plan::Plan;
use crate::world::{self, Keep, Summary};

/// What became of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The history: its hash, what was counted, what was broken.
    pub summary: Summary,
    /// Operations that the cluster acknowledged to clients.
    pub acked: u64,
}

/// Carries a plan out on this thread.
pub fn run(plan: &Plan, keep: Keep) -> Outcome {
    let guard = world::enter(plan.seed, keep);
    world::run_until(1_000_000_000);
    Outcome { summary: guard.summary(), acked: 0 }
}
