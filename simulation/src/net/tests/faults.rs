//! Large faults, and everything at once.

use super::*;
use crate::world::{Random, freeze, thaw};
use proptest::prelude::*;

fn is_lost(call: &Outcome) -> bool {
    matches!(outcome(call), Err(RpcError::Lost(_)))
}

fn is_unreachable(call: &Outcome) -> bool {
    matches!(outcome(call), Err(RpcError::Unreachable(..)))
}

#[test]
fn nobody_there_is_unreachable_after_a_round_trip_then_at_once() {
    let bench = Bench::new(1, 1, &calm());
    let first = bench.call(Lane::Raft, ECHO, 1, 5_000);
    bench.run(20);
    assert!(is_unreachable(&first) && first.lock().as_ref().is_some_and(|o| o.0 > 400_000));
    let begin = world::now();
    let second = bench.call(Lane::Raft, ECHO, 2, 5_000);
    bench.run(1);
    assert!(is_unreachable(&second) && second.lock().as_ref().is_some_and(|o| o.0 < begin + 10_000));
    // Somebody comes: the next attempt succeeds.
    bench.boot(2);
    bench.run(2_000);
    let third = bench.call(Lane::Raft, ECHO, 3, 5_000);
    bench.run(100);
    assert!(outcome(&third).is_ok());
    assert_eq!(bench.entered(), [3]);
}

#[test]
fn another_incarnation_refuses() {
    let bench = Bench::new(1, 2, &calm());
    bench.crash(2);
    start_node(2);
    bench.wires.attach(id(2) + 1, Arc::new(Recorder(bench.seen.clone())));
    let call = bench.call(Lane::Data, ECHO, 1, 1_000);
    bench.run(100);
    assert!(matches!(outcome(&call), Err(RpcError::Refused(_))));
}

#[test]
fn death_loses_what_is_under_way_and_nothing_reaches_the_next_process() {
    for seed in 0..50 {
        let bench = Bench::new(seed, 2, &Knobs { stale: 200_000, ..calm() });
        let warm = [Lane::Raft, Lane::Data].map(|lane| bench.call(lane, ECHO, 0, 1_000));
        bench.run(6_000);
        assert!(warm.iter().all(|c| c.lock().is_some()));
        bench.seen.entered.lock().clear();
        let calls: Vec<Outcome> =
            (0..20).map(|n| bench.call(if n % 2 == 0 { Lane::Raft } else { Lane::Data }, NEVER, n, 30_000)).collect();
        run_until(world::now() + 500_000);
        bench.crash(2);
        let before = bench.entered().len();
        bench.boot(2);
        bench.run(10_000);
        assert_eq!(bench.entered().len(), before, "seed {seed}");
        calls.iter().for_each(|c| assert!(outcome(c).is_err(), "seed {seed}"));
    }
}

#[test]
fn a_dead_callers_handlers_are_cancelled() {
    let bench = Bench::new(1, 2, &calm());
    let call = bench.call(Lane::Data, NEVER, 1, 30_000);
    bench.run(100);
    bench.crash(1);
    bench.run(100);
    assert_eq!(*bench.seen.cancelled.lock(), [1]);
    assert!(call.lock().is_none());
}

#[test]
fn a_cut_loses_calls_and_is_mended() {
    for seed in 0..30 {
        for (from, to) in [(1, 2), (2, 1)] {
            let bench = Bench::new(seed, 2, &calm());
            let warm = bench.call(Lane::Raft, ECHO, 0, 1_000);
            bench.run(1_000);
            assert!(outcome(&warm).is_ok());
            bench.wires.cut(from, to);
            let calls: Vec<Outcome> = (1..5).map(|n| bench.call(Lane::Raft, ECHO, n, 4_000)).collect();
            bench.run(5_000);
            calls.iter().for_each(|c| assert!(is_lost(c)));
            assert_eq!(bench.entered().len(), if from == 1 { 1 } else { 5 });
            let late = bench.call(Lane::Raft, ECHO, 5, 1_000);
            bench.run(2_000);
            assert!(outcome(&late).is_err());
            bench.wires.heal();
            bench.run(1_500);
            let after = bench.call(Lane::Raft, ECHO, 9, 4_000);
            bench.run(1_000);
            assert!(outcome(&after).is_ok(), "seed {seed}");
            assert!(bench.entered().is_sorted());
        }
    }
}

#[test]
fn who_stands_still_finds_its_mail_in_order() {
    for seed in 0..20 {
        let bench = Bench::new(seed, 2, &calm());
        let warm = bench.call(Lane::Raft, ECHO, 0, 1_000);
        bench.run(1_000);
        assert!(outcome(&warm).is_ok());
        freeze(2);
        let calls: Vec<Outcome> = (1..50).map(|n| bench.call(Lane::Raft, ECHO, n, 5_000)).collect();
        bench.run(300);
        assert_eq!(bench.entered().len(), 1);
        thaw(2);
        calls.last().iter().for_each(|c| assert!(c.lock().is_none()));
        bench.run(1_000);
        assert_eq!(bench.entered(), (0..50).collect::<Vec<_>>());
        calls.iter().for_each(|c| assert!(outcome(c).is_ok()));
        freeze(2);
        let lost = bench.call(Lane::Raft, ECHO, 50, 30_000);
        bench.run(3_000);
        assert!(is_lost(&lost));
        thaw(2);
        bench.run(10);
        assert_eq!(bench.entered().len(), 51);
    }
}

#[test]
fn resets_lose_what_is_under_way() {
    let bench = Bench::new(1, 2, &calm());
    let calls = [bench.call(Lane::Data, NEVER, 1, 30_000), bench.call(Lane::Raft, NEVER, 2, 30_000)];
    bench.run(100);
    bench.wires.reset(2, 1);
    bench.run(10);
    calls.iter().for_each(|c| assert!(is_lost(c)));
    assert_eq!(*bench.seen.cancelled.lock(), [1]);
    let after = bench.call(Lane::Data, ECHO, 3, 1_000);
    bench.run(200);
    assert!(outcome(&after).is_ok());
}

#[test]
fn stale_frames_arrive_after_their_connection_broke() {
    let bench = Bench::new(3, 2, &calm());
    let warm = [Lane::Raft, Lane::Data].map(|lane| bench.call(lane, ECHO, 0, 1_000));
    bench.run(100);
    assert!(warm.iter().all(|c| outcome(c).is_ok()));
    bench.wires.set_knobs(&Knobs { stale: 1_000_000, ..calm() });
    let calls = [Lane::Raft, Lane::Data].map(|lane| bench.call(lane, ECHO, 1, 10_000));
    run_until(world::now() + 20_000);
    bench.wires.set_knobs(&calm());
    bench.run(10);
    assert!(calls.iter().all(is_lost));
    assert_eq!(bench.entered().len(), 2);
    bench.run(6_000);
    assert_eq!(bench.entered(), [0, 0, 1, 1]);
}

/// Random knobs, about half of them off.
fn swarm(r: &mut Random, duplicate: bool) -> Knobs {
    let mut knob = |max: u64| if r.below(2) == 0 { 0 } else { r.below(max) as u32 };
    Knobs {
        drop_request: knob(100_000),
        drop_answer: knob(100_000),
        duplicate: if duplicate { 100_000 } else { 0 },
        delay: knob(100_000),
        stale: knob(100_000),
        latency_us: (knob(2_000), knob(20_000)),
        ..Knobs::default()
    }
}

/// One calamity.
fn calamity(bench: &Bench, r: &mut Random) {
    match r.below(9) {
        0 => bench.wires.cut(1, 2),
        1 => bench.wires.cut(2, 1),
        2 => bench.wires.heal(),
        3 => bench.wires.reset(1, 2),
        4 => bench.crash(2),
        5 if !bench.wires.state.lock().processes.contains_key(&id(2)) => bench.boot(2),
        6 => freeze(2),
        7 => thaw(2),
        8 => bench.wires.slow(1, 2, 1 + r.below(20) as u32),
        _ => {}
    }
}

/// Some hundred calls under random faults; the calls and the hash of the history.
fn storm(seed: u64, duplicate: bool) -> (Bench, Vec<(u64, Outcome)>, u64) {
    let r = &mut Random::new(seed, 77);
    let bench = Bench::new(seed, 2, &swarm(r, duplicate));
    let mut calls = Vec::new();
    for n in 0..300 {
        let lane = [Lane::Raft, Lane::Data, Lane::Bulk][r.below(3) as usize];
        let method = [ECHO, SLOW, NEVER][r.below(3) as usize];
        calls.push((n, bench.call(lane, method, n, 1 + r.below(3_000))));
        bench.run(r.below(60));
        if r.below(15) == 0 {
            calamity(&bench, r);
        }
    }
    bench.wires.heal();
    bench.wires.set_knobs(&calm());
    thaw(2);
    if !bench.wires.state.lock().processes.contains_key(&id(2)) {
        bench.boot(2);
    }
    bench.run(10_000);
    let hash = bench.guard.summary().hash;
    (bench, calls, hash)
}

fn check_storm(seed: u64, duplicate: bool) {
    let (bench, calls, _) = storm(seed, duplicate);
    let entered = bench.entered();
    for (n, call) in &calls {
        let times = entered.iter().filter(|e| *e == n).count();
        assert!(times <= if duplicate { 2 } else { 1 }, "call {n} was handled {times} times");
        match outcome(call) {
            Ok(answer) => assert!(times > 0 && answer == body(*n)),
            Err(RpcError::Unreachable(..) | RpcError::Refused(_)) => {
                assert_eq!(times, 0, "call {n} was unreachable and is handled")
            }
            Err(RpcError::Lost(_)) => {}
            Err(RpcError::Remote(e)) => panic!("{e}"),
        }
    }
    let after = [Lane::Raft, Lane::Data, Lane::Bulk].map(|lane| bench.call(lane, ECHO, 1_000, 2_000));
    bench.run(2_000);
    after.iter().for_each(|c| assert!(outcome(c).is_ok(), "nothing works after the storm"));
    let state = bench.wires.state.lock();
    assert!(state.calls.is_empty() && state.flows.is_empty() && state.parked.is_empty());
    assert!(state.links.values().all(|l| (l.calls, l.bytes) == (0, 0)));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(150) })]

    #[test]
    fn every_call_ends_and_unreachable_means_no_effect(seed: u64, duplicate: bool) {
        check_storm(seed, duplicate);
    }
}

/// A process died, and a cut swallowed a frame on the connection to it before the caller heard of the death.
#[test]
fn a_death_is_heard_of_whatever_a_cut_swallows() {
    check_storm(5_054_064_097_766_473_490, true);
}

#[test]
fn one_seed_is_one_history() {
    for seed in 0..5 {
        let first = storm(seed, true).2;
        assert_eq!(first, storm(seed, true).2);
        assert_ne!(first, storm(seed + 100, true).2);
    }
}
