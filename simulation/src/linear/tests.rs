use super::*;
use proptest::prelude::*;
use proptest::strategy::ValueTree;

/// A register with compare-and-set: the classic.
struct Register;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Op {
    Write(u8),
    Read(u8),
    Swap { from: u8, to: u8, done: bool },
}

impl Model for Register {
    type State = u8;
    type Op = Op;
    fn step(&self, state: &u8, op: &Op) -> Vec<u8> {
        match op {
            Op::Write(v) => vec![*v],
            Op::Read(v) if v == state => vec![*state],
            Op::Swap { from, to, done: true } if from == state => vec![*to],
            Op::Swap { from, done: false, .. } if from != state => vec![*state],
            _ => Vec::new(),
        }
    }
    fn is_read(&self, op: &Op) -> bool {
        matches!(op, Op::Read(_) | Op::Swap { done: false, .. })
    }
}

fn verdict(history: &[Operation<Op>]) -> Verdict {
    check(&Register, 0, history, 100_000)
}
fn is_linearizable(history: &[Operation<Op>]) -> bool {
    verdict(history) == Verdict::Linearizable
}

#[test]
fn nothing_is_linearizable() {
    assert!(is_linearizable(&[]));
    assert!(is_linearizable(&[Operation::open(5, Op::Write(1))]));
}

#[test]
fn order_in_real_time_counts() {
    let (w1, w2) = (Operation::closed(0, 10, Op::Write(1)), Operation::closed(11, 20, Op::Write(2)));
    assert!(is_linearizable(&[w1.clone(), w2.clone(), Operation::closed(21, 30, Op::Read(2))]));
    assert!(!is_linearizable(&[w1.clone(), w2.clone(), Operation::closed(21, 30, Op::Read(1))]));
    assert!(is_linearizable(&[w1.clone(), w2.clone(), Operation::closed(15, 30, Op::Read(1))]), "they overlap");
    let ends_as_it_begins = Operation::closed(10, 30, Op::Read(0));
    assert!(is_linearizable(&[w1, w2, ends_as_it_begins]), "an end and a beginning at one instant overlap");
}

#[test]
fn the_example_of_herlihy_and_wing() {
    // Reads by two clients during one write must not go back from new to old.
    let write = Operation::closed(0, 100, Op::Write(1));
    let new_then_old = [Operation::closed(10, 20, Op::Read(1)), Operation::closed(30, 40, Op::Read(0))];
    let old_then_new = [Operation::closed(10, 20, Op::Read(0)), Operation::closed(30, 40, Op::Read(1))];
    assert!(!is_linearizable(&[std::slice::from_ref(&write), &new_then_old[..]].concat()));
    assert!(is_linearizable(&[&[write], &old_then_new[..]].concat()));
}

#[test]
fn a_swap_that_failed_must_have_had_a_reason() {
    let swap = |done| Operation::closed(20, 30, Op::Swap { from: 0, to: 2, done });
    assert!(is_linearizable(&[swap(true)]));
    assert!(!is_linearizable(&[swap(false)]));
    assert!(is_linearizable(&[Operation::open(0, Op::Write(1)), swap(false)]));
    assert!(!is_linearizable(&[Operation::open(31, Op::Write(1)), swap(false)]));
}

#[test]
fn a_write_of_what_is_there_may_be_needed_later() {
    let writes = [Operation::closed(0, 100, Op::Write(1)), Operation::closed(0, 50, Op::Write(2))];
    let first = Operation::closed(0, 1, Op::Write(1));
    let history = [&[first], &writes[..], &[Operation::closed(60, 70, Op::Read(1))]].concat();
    assert!(is_linearizable(&history));
}

#[test]
fn what_could_not_be_done_is_named() {
    let history = [
        Operation::closed(0, 10, Op::Write(1)),
        Operation::closed(11, 20, Op::Read(1)),
        Operation::closed(21, 30, Op::Read(7)),
        Operation::closed(31, 40, Op::Read(1)),
    ];
    assert_eq!(verdict(&history), Verdict::Not { stuck: vec![2], done: vec![0, 1] });
}

#[test]
fn a_search_without_end_is_given_up() {
    // Many writes at once and a read that nothing explains.
    let mut history: Vec<_> = (0..20).map(|n| Operation::closed(0, 1_000, Op::Write(n))).collect();
    history.push(Operation::closed(2_000, 2_001, Op::Read(99)));
    assert_eq!(check(&Register, 0, &history, 1_000), Verdict::GaveUp);
}

#[test]
fn many_open_operations_are_no_trouble_for_a_good_history() {
    let mut history: Vec<_> = (0..40).map(|n| Operation::open(n, Op::Write(100))).collect();
    for n in 0..100u64 {
        history.push(Operation::closed(100 + n * 10, 105 + n * 10, Op::Write(n as u8)));
        history.push(Operation::closed(106 + n * 10, 109 + n * 10, Op::Read(n as u8)));
    }
    assert!(is_linearizable(&history));
}

/// A sequential execution, spread over time so that neighbours overlap: each operation takes effect at its instant, and
/// begins before and ends after it.
fn execution() -> impl Strategy<Value = Vec<Operation<Op>>> {
    let op = (0u8..3, 0u8..4, 0u8..4, 1u64..60, 1u64..60, prop::bool::weighted(0.15));
    prop::collection::vec(op, 1..40).prop_map(|ops| {
        let mut state = 0;
        let mut history = Vec::new();
        for (n, (kind, a, b, before, after, is_open)) in ops.into_iter().enumerate() {
            let at = 100 + 10 * n as u64;
            let (what, is_write) = match kind {
                0 => (Op::Write(a), true),
                1 => (Op::Read(state), false),
                _ => (Op::Swap { from: a, to: b, done: a == state }, false),
            };
            if let [next] = Register.step(&state, &what)[..] {
                state = next;
            }
            // Only a write may stay open here: an open one has no answer that could be wrong.
            let ret = (!(is_open && is_write)).then_some(at + after);
            history.push(Operation { invoke: at - before, ret, what });
        }
        history
    })
}

proptest! {
    #[test]
    fn sequential_executions_are_accepted(history in execution()) {
        prop_assert_eq!(check(&Register, 0, &history, 1_000_000), Verdict::Linearizable);
    }

    #[test]
    fn values_nobody_wrote_are_refused(history in execution(), at in any::<prop::sample::Index>()) {
        let mut history = history;
        let n = at.index(history.len());
        let end = history[n].ret.unwrap_or(history[n].invoke + 1);
        history[n] = Operation::closed(history[n].invoke, end, Op::Read(77));
        let is_refused = matches!(check(&Register, 0, &history, 1_000_000), Verdict::Not { .. });
        prop_assert!(is_refused);
    }

    #[test]
    fn the_answer_does_not_depend_on_the_order_of_records(history in execution(), seed: u64) {
        let mut other = history.clone();
        let mut random = crate::world::Random::new(seed, 1);
        for n in (1..other.len()).rev() {
            other.swap(n, random.below(n as u64 + 1) as usize);
        }
        prop_assert_eq!(is_linearizable(&history), is_linearizable(&other));
    }
}

/// Answers that are changed at random are mostly noticed: most reads here are not under several writes at once.
#[test]
fn most_wrong_answers_are_noticed() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut changed, mut noticed) = (0, 0);
    for _ in 0..300 {
        let mut history = execution().new_tree(&mut runner).unwrap().current();
        // Narrow intervals: overlapping ones excuse nearly everything.
        for (n, op) in history.iter_mut().enumerate() {
            let at = 100 + 10 * n as u64;
            (op.invoke, op.ret) = (at - 4, op.ret.map(|_| at + 4));
        }
        let reads = history.iter_mut().map(|o| &mut o.what);
        let Some(Op::Read(v)) = reads.into_iter().find(|o| matches!(o, Op::Read(_))) else { continue };
        *v = (*v + 1) % 4;
        changed += 1;
        noticed += u32::from(!is_linearizable(&history));
    }
    assert!(changed > 100 && noticed * 10 >= changed * 6, "{noticed} of {changed}");
}
