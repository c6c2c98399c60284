//! The folder names of one mailbox. RENAME touches two names, so that all names of a mailbox are one thing.

use super::Model;
use std::collections::BTreeSet;

/// What is done to names, and what was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants' texts speak of their fields")]
pub enum Op {
    /// Created.
    Create(String),
    /// Renamed.
    Rename { from: String, to: String },
    /// Deleted.
    Delete(String),
    /// An answer that says that the name is there.
    Is(String),
    /// An answer that says that it is not.
    IsNot(String),
    /// Exactly these are there.
    All(BTreeSet<String>),
}

/// See the module.
pub struct Folders;

impl Model for Folders {
    type State = BTreeSet<String>;
    type Op = Op;

    fn step(&self, state: &Self::State, op: &Op) -> Vec<Self::State> {
        let with = |gone: Option<&String>, new: Option<&String>| {
            let mut after = state.clone();
            gone.map(|g| after.remove(g));
            after.extend(new.cloned());
            after
        };
        let after = match op {
            Op::Create(name) => (!state.contains(name)).then(|| with(None, Some(name))),
            Op::Rename { from, to } if from == to => state.contains(from).then(|| state.clone()),
            Op::Rename { from, to } => {
                (state.contains(from) && !state.contains(to)).then(|| with(Some(from), Some(to)))
            }
            Op::Delete(name) => state.contains(name).then(|| with(Some(name), None)),
            Op::Is(name) => state.contains(name).then(|| state.clone()),
            Op::IsNot(name) => (!state.contains(name)).then(|| state.clone()),
            Op::All(names) => (state == names).then(|| state.clone()),
        };
        after.into_iter().collect()
    }

    fn is_read(&self, op: &Op) -> bool {
        matches!(op, Op::Is(_) | Op::IsNot(_) | Op::All(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::{Operation, Verdict, check};

    fn verdict(history: &[Operation<Op>]) -> bool {
        check(&Folders, BTreeSet::new(), history, 10_000) == Verdict::Linearizable
    }
    fn rename(from: &str, to: &str) -> Op {
        Op::Rename { from: from.into(), to: to.into() }
    }

    #[test]
    fn one_folder_cannot_become_two() {
        let history = |second: Op| {
            vec![
                Operation::closed(0, 10, Op::Create("A".into())),
                Operation::closed(20, 40, rename("A", "B")),
                Operation::closed(25, 35, second),
            ]
        };
        assert!(!verdict(&history(rename("A", "C"))));
        assert!(verdict(&history(rename("B", "C"))));
        assert!(verdict(&history(Op::Create("C".into()))));
        assert!(!verdict(
            &history(Op::IsNot("C".into()))
                .into_iter()
                .chain([Operation::closed(50, 60, Op::Is("A".into()))])
                .collect::<Vec<_>>()
        ));
    }

    #[test]
    fn the_end_must_fit() {
        let history = |names: &[&str]| {
            vec![
                Operation::closed(0, 10, Op::Create("A".into())),
                Operation::open(20, Op::Delete("A".into())),
                Operation::closed(90, 91, Op::All(names.iter().map(|n| n.to_string()).collect())),
            ]
        };
        assert!(verdict(&history(&["A"])) && verdict(&history(&[])));
        assert!(!verdict(&history(&["B"])));
    }
}
