//! From a plan that breaks a promise to a small one that breaks the same: fewer faults, clients and operations, fewer
//! small faults, a smaller cluster, less time. What is left is what matters.
//!
//! A change of a plan also changes when everything happens, so that a race may be missed although all it needs is still
//! there. Each candidate therefore has several tries with different chance.

mod candidates;
mod ddmin;

use crate::plan::Plan;
use crate::pool::{self, News};
use crate::run::run_with;
use crate::world::Keep;
use std::ops::ControlFlow;
use zcluster_runtime::planted::Bug;

/// How much may be spent.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Runs in all.
    pub runs: u64,
    /// Tries with different chance for each candidate.
    pub tries: u64,
    /// Worlds at a time.
    pub jobs: usize,
}

/// A plan made smaller.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The plan.
    pub plan: Plan,
    /// The promise that it breaks.
    pub promise: String,
    /// Runs that it took.
    pub runs: u64,
    /// Whether it ended because nothing more could be left out, not because the budget was spent.
    pub complete: bool,
}

/// Looks for candidates that still fail.
pub(crate) trait Oracle {
    /// The first of the candidates, in their order, that still fails: its place, and the plan of the try that failed.
    fn first_failing(&mut self, candidates: Vec<Plan>) -> Option<(usize, Plan)>;
    /// Whether no more may be run.
    fn is_spent(&self) -> bool;
}

/// Makes a failing plan smaller. `None` when it does not fail. `progress` hears what was achieved.
pub fn shrink(plan: &Plan, bug: Option<Bug>, budget: Budget, mut progress: impl FnMut(u64, &Plan)) -> Option<Shrunk> {
    let outcome = pool::apart(|| run_with(plan, bug, Keep::default())).ok()?;
    let violation = outcome.summary.violations.first()?.clone();
    let mut oracle = Runs { promise: violation.promise.into(), bug, budget, runs: 1 };
    let mut best = plan.clone();
    // What was to come after the end cannot have mattered.
    let begun = outcome.phases.first().map_or(0, |p| p.simulated_ns);
    let end_ms = violation.at.saturating_sub(begun) / 1_000_000;
    if let Some((_, smaller)) = oracle.first_failing(vec![candidates::cut_after(&best, end_ms)]) {
        best = smaller;
    }
    while !oracle.is_spent() {
        let before = best.clone();
        for step in candidates::STEPS {
            best = step(best, &mut oracle);
            progress(oracle.runs, &best);
        }
        if best == before {
            break;
        }
    }
    let complete = !oracle.is_spent();
    Some(Shrunk { plan: best, promise: oracle.promise, runs: oracle.runs, complete })
}

/// Really runs the candidates.
struct Runs {
    promise: String,
    bug: Option<Bug>,
    budget: Budget,
    runs: u64,
}

impl Oracle for Runs {
    fn first_failing(&mut self, candidates: Vec<Plan>) -> Option<(usize, Plan)> {
        let mut all: Vec<(usize, Plan)> = Vec::new();
        for (place, candidate) in candidates.into_iter().enumerate() {
            for another in 0..self.budget.tries.max(1) {
                // The first try keeps the seed; the others differ from it in a way that does not depend on the plan.
                let seed = candidate.seed ^ another.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                all.push((place, Plan { seed, ..candidate.clone() }));
            }
        }
        // In groups as large as there are cores: the first that fails ends the search.
        for group in all.chunks(self.budget.jobs.max(1)) {
            if self.is_spent() {
                return None;
            }
            self.runs += group.len() as u64;
            if let Some(found) = self.first_of(group) {
                return Some(found);
            }
        }
        None
    }
    fn is_spent(&self) -> bool {
        self.runs >= self.budget.runs
    }
}

impl Runs {
    fn first_of(&self, group: &[(usize, Plan)]) -> Option<(usize, Plan)> {
        let mut found: Option<usize> = None;
        let fails = |(_, plan): &(usize, Plan)| {
            run_with(plan, self.bug, Keep::default()).broken() == Some(self.promise.as_str())
        };
        pool::each(self.budget.jobs, group.iter(), fails, |news| {
            if let News::Done(at, Ok(true)) = news {
                found = Some(found.map_or(at, |f| f.min(at)));
            }
            ControlFlow::Continue(())
        });
        found.map(|at| group[at].clone())
    }
}
