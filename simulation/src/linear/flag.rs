//! One flag of one message: a register that several clients write.

use super::Model;

/// What is done to a flag, and what was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Set or cleared.
    Write(bool),
    /// Seen set or clear.
    Read(bool),
}

/// See the module. The state is `None` as long as nobody has seen or written it.
pub struct Flag;

impl Model for Flag {
    type State = Option<bool>;
    type Op = Op;

    fn step(&self, state: &Self::State, op: &Op) -> Vec<Self::State> {
        match op {
            Op::Write(value) => vec![Some(*value)],
            Op::Read(value) if state.is_none_or(|s| s == *value) => vec![Some(*value)],
            Op::Read(_) => Vec::new(),
        }
    }

    fn is_read(&self, op: &Op) -> bool {
        matches!(op, Op::Read(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::{Operation, Verdict, check};

    #[test]
    fn the_last_write_stays() {
        let history = |reads: &[bool]| {
            let mut all = vec![Operation::closed(0, 20, Op::Write(true)), Operation::closed(10, 30, Op::Write(false))];
            let reads = reads.iter().enumerate();
            all.extend(reads.map(|(i, r)| Operation::closed(40 + 10 * i as u64, 45 + 10 * i as u64, Op::Read(*r))));
            check(&Flag, Some(false), &all, 1_000) == Verdict::Linearizable
        };
        assert!(history(&[true, true]) && history(&[false, false]));
        assert!(!history(&[true, false]));
    }

    #[test]
    fn what_nobody_knows_may_be_anything_but_only_one_thing() {
        let read = |t, value| Operation::closed(t, t + 1, Op::Read(value));
        let verdict = |history: &[_]| check(&Flag, None, history, 1_000) == Verdict::Linearizable;
        assert!(verdict(&[read(0, true), read(2, true)]));
        assert!(!verdict(&[read(0, true), read(2, false)]));
    }
}
