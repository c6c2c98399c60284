//! Does the simulator find bugs? Each defect of [`zcluster_runtime::planted`] is planted and must be caught within a
//! stated number of seeds; and the seeds that catch it must be clean without it.

use crate::plan::{Plan, Scale};
use crate::pool::{self, News};
use crate::run::run_with;
use crate::world::Keep;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use zcluster_runtime::planted::Bug;

/// How many seeds a defect may survive. Most are caught by the first few; a hole needs a crash at the right moment.
pub const fn bound(bug: Bug) -> u64 {
    match bug {
        Bug::LogHole => 600,
        _ => 100,
    }
}

/// How a defect was caught.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caught {
    /// The seed that did; as many seeds were needed, because they are counted from 1.
    pub seed: u64,
    /// The promise that was broken.
    pub promise: String,
    /// What was seen.
    pub text: String,
}

/// Plants defects and waits until they are caught.
pub struct Gardener {
    scale: Scale,
    jobs: usize,
    /// Seeds that break a promise even though nothing is planted: real bugs.
    failing: BTreeMap<u64, String>,
    clean: BTreeSet<u64>,
}

impl Gardener {
    /// One that works on so many worlds at a time.
    pub fn new(scale: Scale, jobs: usize) -> Self {
        Gardener { scale, jobs, failing: BTreeMap::new(), clean: BTreeSet::new() }
    }

    /// Runs the seeds from 1 to `most` with the defect until one breaks a promise that holds without the defect.
    pub fn plant(&mut self, bug: Bug, most: u64) -> Option<Caught> {
        let mut from = 1;
        while from <= most {
            let caught = self.first_broken(bug, from, most)?;
            if self.is_clean(caught.seed) {
                return Some(caught);
            }
            from = caught.seed + 1;
        }
        None
    }

    /// Seeds that failed without a defect, and the promise that each broke.
    pub fn failing(&self) -> &BTreeMap<u64, String> {
        &self.failing
    }

    /// The lowest seed that breaks a promise. Seeds are run in order, several at a time; the search ends with the first
    /// that fails and those that were under way.
    fn first_broken(&self, bug: Bug, from: u64, most: u64) -> Option<Caught> {
        let mut found: BTreeMap<u64, Caught> = BTreeMap::new();
        let work = |seed: u64| run_with(&Plan::from_seed(seed, self.scale), Some(bug), Keep::default());
        let ended = parking_lot::Mutex::new(false);
        // Others may be ahead, but none before the first that failed is left out: they are begun in order, and all that
        // were begun are heard.
        let seeds = (from..=most).take_while(|_| !*ended.lock());
        pool::each(self.jobs, seeds, work, |news| {
            if let News::Done(place, result) = news {
                let seed = from + place as u64;
                let broken = match result {
                    Ok(outcome) => outcome.summary.violations.first().map(|v| (v.promise.to_string(), v.text.clone())),
                    Err(text) => Some(("no_panic".into(), text)),
                };
                if let Some((promise, text)) = broken {
                    *ended.lock() = true;
                    found.insert(seed, Caught { seed, promise, text });
                }
            }
            ControlFlow::Continue(())
        });
        found.into_values().next()
    }

    fn is_clean(&mut self, seed: u64) -> bool {
        if self.clean.contains(&seed) || self.failing.contains_key(&seed) {
            return self.clean.contains(&seed);
        }
        let plan = Plan::from_seed(seed, self.scale);
        match pool::apart(|| run_with(&plan, None, Keep::default())) {
            Ok(outcome) => match outcome.broken() {
                None => drop(self.clean.insert(seed)),
                Some(promise) => drop(self.failing.insert(seed, promise.into())),
            },
            Err(text) => drop(self.failing.insert(seed, text)),
        }
        self.clean.contains(&seed)
    }
}
