//! One message of a mailbox on its way: not there yet, in a folder under a UID, gone. A copy is a message of its own.

use super::Model;

/// A folder (by number), its UIDVALIDITY and a UID in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Folder number.
    pub folder: u32,
    /// UIDVALIDITY.
    pub uid_validity: u32,
    /// UID.
    pub uid: u32,
}

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It was not made yet.
    NotYet,
    /// Here.
    At(Place),
    /// Expunged, or moved to where nobody has seen it.
    Gone,
}

/// What is done to a message, and what was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants' texts speak of their fields")]
pub enum Op {
    /// Made: delivered, appended, copied here.
    Make(Place),
    /// Moved.
    Move { from: Place, to: Place },
    /// Taken away from a place if it still was there (an expunge; a move of which it is not known where to).
    Leave(Place),
    /// Seen there.
    See(Place),
    /// Not there when the folder was looked at.
    SeeNot(Place),
}

/// See the module.
pub struct Message;

impl Model for Message {
    type State = State;
    type Op = Op;

    fn step(&self, state: &State, op: &Op) -> Vec<State> {
        let after = match op {
            Op::Make(place) => (*state == State::NotYet).then_some(State::At(*place)),
            Op::Move { from, to } => (*state == State::At(*from)).then_some(State::At(*to)),
            Op::Leave(place) if *state == State::At(*place) => Some(State::Gone),
            // It was moved or expunged before.
            Op::Leave(_) => (*state != State::NotYet).then_some(*state),
            Op::See(place) => (*state == State::At(*place)).then_some(*state),
            Op::SeeNot(place) => (*state != State::At(*place)).then_some(*state),
        };
        after.into_iter().collect()
    }

    fn is_read(&self, op: &Op) -> bool {
        matches!(op, Op::See(_) | Op::SeeNot(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::{Operation, Verdict, check};

    fn at(folder: u32, uid: u32) -> Place {
        Place { folder, uid_validity: 1, uid }
    }
    fn verdict(history: &[Operation<Op>]) -> bool {
        check(&Message, State::NotYet, history, 10_000) == Verdict::Linearizable
    }

    #[test]
    fn an_acknowledged_message_is_seen_until_it_goes() {
        let (a, b) = (at(0, 5), at(1, 1));
        let mut history = vec![
            Operation::closed(0, 10, Op::Make(a)),
            Operation::closed(11, 15, Op::See(a)),
            Operation::closed(20, 30, Op::Move { from: a, to: b }),
            Operation::closed(25, 35, Op::SeeNot(b)),
        ];
        assert!(verdict(&history));
        history.push(Operation::closed(40, 50, Op::SeeNot(b)));
        assert!(!verdict(&history), "a read that began after the move was answered does not show it");
    }

    #[test]
    fn a_message_is_never_in_two_places() {
        let (a, b) = (at(0, 5), at(1, 1));
        let base = vec![Operation::closed(0, 10, Op::Make(a)), Operation::closed(20, 60, Op::Move { from: a, to: b })];
        let with = |reads: [Op; 2]| {
            let [first, second] = reads;
            let mut all = base.clone();
            all.extend([Operation::closed(22, 30, first), Operation::closed(32, 40, second)]);
            all
        };
        assert!(verdict(&with([Op::See(a), Op::See(b)])));
        assert!(!verdict(&with([Op::See(b), Op::See(a)])));
        assert!(!verdict(&with([Op::SeeNot(a), Op::SeeNot(b)])));
    }

    #[test]
    fn what_was_expunged_does_not_come_back() {
        let a = at(0, 5);
        let history = [
            Operation::closed(0, 10, Op::Make(a)),
            Operation::open(12, Op::Leave(a)),
            Operation::closed(20, 30, Op::SeeNot(a)),
            Operation::closed(40, 50, Op::See(a)),
        ];
        assert!(verdict(&history[..3]));
        assert!(!verdict(&history));
    }
}
