//! From records to the checker of [`crate::linear`] and back to words.

use super::story::AT_THE_END;
use super::story::who;
use crate::history::Record;
use crate::linear::{CONFIGURATIONS_MAX, Model, Operation, Verdict, check};
use crate::world;

/// Operations told at the end of an attempt that failed.
const TOLD_MAX: usize = 8;

/// The operations on one thing, and which records they come from.
#[derive(Clone, Debug)]
pub struct Story<O> {
    ops: Vec<Operation<O>>,
    records: Vec<usize>,
}

impl<O> Default for Story<O> {
    fn default() -> Self {
        Story { ops: Vec::new(), records: Vec::new() }
    }
}

impl<O> Story<O> {
    /// An operation of a record. Without `ret` it is open.
    pub fn add(&mut self, record: usize, invoke: u64, ret: Option<u64>, what: O) {
        self.ops.push(Operation { invoke, ret, what });
        self.records.push(record);
    }
    /// A look when all is over.
    pub fn at_the_end(&mut self, now: u64, what: O) {
        self.add(AT_THE_END, now, Some(now), what);
    }
    /// How many operations.
    pub fn len(&self) -> usize {
        self.ops.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }
}

/// Searches for an order; if there is none, says what stands in the way. A search that was given up is counted as
/// `linear.gave_up`, one that ended as `linear.decided`.
pub fn decide<M: Model>(model: &M, initial: M::State, story: &Story<M::Op>, records: &[Record]) -> Option<String> {
    match check(model, initial, &story.ops, CONFIGURATIONS_MAX) {
        Verdict::Linearizable => {
            world::count("linear.decided");
            None
        }
        Verdict::GaveUp => {
            world::count("linear.gave_up");
            world::note(world::OUTSIDE, "check", || format!("a search over {} operations was given up", story.len()));
            None
        }
        Verdict::Not { stuck, done } => {
            let tell = |n: &usize| format!("{:?} {}", story.ops[*n].what, who(records, story.records[*n]));
            let before: Vec<String> = done.iter().rev().take(TOLD_MAX).rev().map(tell).collect();
            let stuck: Vec<String> = stuck.iter().take(TOLD_MAX).map(tell).collect();
            Some(format!("no order explains: {}\n  after: {}", stuck.join("\n    or: "), before.join("\n         ")))
        }
    }
}
