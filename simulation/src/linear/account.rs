//! An account name of the directory: whether it is there, which account it is, and its password.

use super::Model;

/// What the name stands for: the account's id and the password set last.
pub type State = Option<(String, Option<u32>)>;

/// What is done to a name, and what was answered. Ids are the accounts', so that one name can be several accounts one
/// after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants' texts speak of their fields")]
pub enum Op {
    /// The account was created, with this password.
    Create { id: String, password: u32 },
    /// The account of this id was deleted.
    Delete { id: String },
    /// The password of the account of this id was set.
    Set { id: String, password: u32 },
    /// Refused because the name was taken.
    Taken,
    /// Refused because there is no account of this id.
    Gone { id: String },
    /// Read as this.
    Read(State),
    /// The password was accepted.
    Accepted { password: u32 },
    /// The password was not accepted, or there was no such account.
    Denied { password: u32 },
}

/// See the module.
pub struct Account;

impl Model for Account {
    type State = State;
    type Op = Op;

    fn step(&self, state: &State, op: &Op) -> Vec<State> {
        let is = |id: &String| state.as_ref().is_some_and(|(known, _)| known == id);
        let password_is = |p: &u32| state.as_ref().is_some_and(|(_, known)| *known == Some(*p));
        let after = match op {
            Op::Create { id, password } => state.is_none().then(|| Some((id.clone(), Some(*password)))),
            Op::Delete { id } => is(id).then_some(None),
            Op::Set { id, password } => is(id).then(|| Some((id.clone(), Some(*password)))),
            Op::Taken => state.is_some().then(|| state.clone()),
            Op::Gone { id } => (!is(id)).then(|| state.clone()),
            Op::Read(seen) => (seen == state).then(|| state.clone()),
            Op::Accepted { password } => password_is(password).then(|| state.clone()),
            Op::Denied { password } => (!password_is(password)).then(|| state.clone()),
        };
        after.into_iter().collect()
    }

    fn is_read(&self, op: &Op) -> bool {
        !matches!(op, Op::Create { .. } | Op::Delete { .. } | Op::Set { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::{Operation, Verdict, check};

    fn verdict(history: &[Operation<Op>]) -> bool {
        check(&Account, None, history, 10_000) == Verdict::Linearizable
    }
    fn read(id: &str, password: u32) -> Op {
        Op::Read(Some((id.into(), Some(password))))
    }
    fn create(id: &str, password: u32) -> Op {
        Op::Create { id: id.into(), password }
    }

    #[test]
    fn a_stale_read_is_refused() {
        let set = Op::Set { id: "x".into(), password: 2 };
        let history = |read: Op| {
            vec![
                Operation::closed(0, 10, create("x", 1)),
                Operation::closed(20, 30, set.clone()),
                Operation::closed(40, 50, read),
            ]
        };
        assert!(verdict(&history(read("x", 2))));
        assert!(!verdict(&history(read("x", 1))));
        assert!(!verdict(&history(Op::Read(None))));
        assert!(!verdict(&history(Op::Accepted { password: 1 })));
        assert!(verdict(&history(Op::Denied { password: 1 })));
    }

    #[test]
    fn an_open_write_may_come_late_but_not_go_again() {
        let history = |second: Op| {
            vec![
                Operation::closed(0, 10, create("x", 1)),
                Operation::open(20, Op::Set { id: "x".into(), password: 2 }),
                Operation::closed(30, 40, read("x", 1)),
                Operation::closed(50, 60, read("x", 2)),
                Operation::closed(70, 80, second),
            ]
        };
        assert!(verdict(&history(read("x", 2))));
        assert!(!verdict(&history(read("x", 1))));
    }

    #[test]
    fn two_accounts_of_one_name() {
        let both = [Operation::closed(0, 10, create("x", 1)), Operation::closed(5, 15, create("y", 2))];
        assert!(!verdict(&both));
        let one_after_the_other = [
            both[0].clone(),
            Operation::closed(12, 20, Op::Delete { id: "x".into() }),
            Operation::closed(18, 30, create("y", 2)),
            Operation::closed(35, 40, Op::Gone { id: "x".into() }),
            Operation::closed(35, 40, Op::Taken),
            Operation::closed(45, 50, read("y", 2)),
        ];
        assert!(verdict(&one_after_the_other));
    }
}
