//! Is there an order of the operations, each at one instant between its beginning and its end, in which a simple
//! sequential thing would have answered as the cluster did?
//!
//! The search is that of Wing and Gong ("Testing and Verifying Concurrent Objects", 1993) with Lowe's memory of
//! configurations ("Testing for linearizability", 2017): depth first over the operations that may come next, never
//! entering the same set of done operations with the same state twice. Callers split histories by key (Herlihy and
//! Wing's locality; P-compositionality): a history is linearizable if and only if each key's is.
//!
//! An operation whose outcome nobody learned is *open*: it may take effect at any time after its beginning, or never.

pub mod account;
pub mod flag;
pub mod folders;
pub mod message;

use std::collections::BTreeSet;
use std::fmt::Debug;

/// A sequential thing that operations act on.
pub trait Model {
    /// What it remembers.
    type State: Clone + Ord + Debug;
    /// What is done to it, together with what was answered.
    type Op: Debug;

    /// The states after `op` is done in `state` and answers as it did; none if it could not have answered so. An open
    /// operation has no answer: all that it might do.
    fn step(&self, state: &Self::State, op: &Self::Op) -> Vec<Self::State>;

    /// Whether `op` never changes anything: where it fits it can be done at once, which spares the search most of its
    /// work. (A write of what is there already is none: later it may be needed.)
    fn is_read(&self, op: &Self::Op) -> bool;
}

/// An operation as its client saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation<O> {
    /// When it began.
    pub invoke: u64,
    /// When it was answered; `None`: open.
    pub ret: Option<u64>,
    /// What.
    pub what: O,
}

impl<O> Operation<O> {
    /// An operation with an answer.
    pub fn closed(invoke: u64, ret: u64, what: O) -> Self {
        Operation { invoke, ret: Some(ret), what }
    }
    /// An operation without one.
    pub fn open(invoke: u64, what: O) -> Self {
        Operation { invoke, ret: None, what }
    }
}

/// What a search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is such an order.
    Linearizable,
    /// There is none. In the longest attempt, these operations (places in the history) could not be done in time, and
    /// these were done before, in this order.
    Not {
        /// The operations that could not be done.
        stuck: Vec<usize>,
        /// What was done before them.
        done: Vec<usize>,
    },
    /// The bound on the search was reached.
    GaveUp,
}

/// Configurations a search looks at before it gives up.
pub const CONFIGURATIONS_MAX: usize = 200_000;

/// Searches, looking at `limit` configurations at most.
pub fn check<M: Model>(model: &M, initial: M::State, history: &[Operation<M::Op>], limit: usize) -> Verdict {
    let mut order: Vec<usize> = (0..history.len()).collect();
    order.sort_by_key(|i| (history[*i].invoke, history[*i].ret.unwrap_or(u64::MAX)));
    Search { model, history, order, seen: BTreeSet::new(), best: None }.run(initial, limit)
}

/// Which operations are done, by place in order.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Done(Vec<u64>);

impl Done {
    fn none(count: usize) -> Self {
        Done(vec![0; count.div_ceil(64)])
    }
    fn has(&self, n: usize) -> bool {
        self.0[n / 64] >> (n % 64) & 1 == 1
    }
    fn set(&mut self, n: usize, value: bool) {
        let bit = 1 << (n % 64);
        if value { self.0[n / 64] |= bit } else { self.0[n / 64] &= !bit }
    }
}

struct Search<'a, M: Model> {
    model: &'a M,
    history: &'a [Operation<M::Op>],
    /// Places in the history, by beginning.
    order: Vec<usize>,
    seen: BTreeSet<(Done, M::State)>,
    /// The longest attempt: what could not be done, and what was.
    best: Option<(Vec<usize>, Vec<usize>)>,
}

/// One step of the attempt under way.
struct Frame<S> {
    /// The operation that led here; `None` at the beginning.
    op: Option<usize>,
    /// What may be tried from here, the most promising last.
    choices: Vec<(usize, S)>,
}

impl<M: Model> Search<'_, M> {
    fn run(mut self, initial: M::State, limit: usize) -> Verdict {
        let mut done = Done::none(self.order.len());
        let Some(first) = self.frame(None, initial, &done) else { return Verdict::Linearizable };
        let mut path = vec![first];
        while let Some(top) = path.last_mut() {
            let Some((op, state)) = top.choices.pop() else {
                self.remember(&path, &done);
                if let Some(op) = path.pop().and_then(|f| f.op) {
                    done.set(op, false);
                }
                continue;
            };
            done.set(op, true);
            if !self.seen.insert((done.clone(), state.clone())) {
                done.set(op, false);
                continue;
            }
            if self.seen.len() > limit {
                return Verdict::GaveUp;
            }
            match self.frame(Some(op), state, &done) {
                Some(frame) => path.push(frame),
                None => return Verdict::Linearizable,
            }
        }
        let (stuck, done) = self.best.unwrap_or_default();
        Verdict::Not { stuck, done }
    }

    /// Keeps the attempt if it is the longest so far.
    fn remember(&mut self, path: &[Frame<M::State>], done: &Done) {
        if self.best.as_ref().is_some_and(|(_, best)| best.len() + 1 >= path.len()) {
            return;
        }
        let stuck = self.next(done).into_iter().filter(|n| self.op(*n).ret.is_some());
        let stuck = stuck.map(|n| self.order[n]).collect();
        self.best = Some((stuck, path.iter().filter_map(|f| f.op).map(|n| self.order[n]).collect()));
    }

    fn op(&self, n: usize) -> &Operation<M::Op> {
        &self.history[self.order[n]]
    }

    /// What may come next; `None` when everything that was answered is done.
    fn frame(&self, op: Option<usize>, state: M::State, done: &Done) -> Option<Frame<M::State>> {
        let next = self.next(done);
        if next.iter().all(|n| self.op(*n).ret.is_none()) {
            return None;
        }
        let mut choices = Vec::new();
        // Open ones are tried last: nobody waits for them.
        for is_open in [true, false] {
            for n in next.iter().rev().copied().filter(|n| self.op(*n).ret.is_none() == is_open) {
                let after = self.model.step(&state, &self.op(n).what);
                if !is_open && !after.is_empty() && self.model.is_read(&self.op(n).what) && after[0] == state {
                    return Some(Frame { op, choices: vec![(n, state)] });
                }
                choices.extend(after.into_iter().filter(|s| !is_open || *s != state).map(|s| (n, s)));
            }
        }
        Some(Frame { op, choices })
    }

    /// The operations that began before every other one that is not done ended.
    fn next(&self, done: &Done) -> Vec<usize> {
        let (mut next, mut until) = (Vec::new(), u64::MAX);
        for n in (0..self.order.len()).filter(|n| !done.has(*n)) {
            let Operation { invoke, ret, .. } = self.op(n);
            if *invoke > until {
                break;
            }
            until = until.min(ret.unwrap_or(u64::MAX));
            next.push(n);
        }
        next
    }
}

#[cfg(test)]
mod tests;
