//! Calls on a network where little goes wrong.

use super::*;
use zcluster_rpc::frame::BODY_BYTES_MAX;

#[test]
fn calls_are_answered_on_every_lane() {
    let bench = Bench::new(1, 2, &calm());
    let calls = [Lane::Raft, Lane::Data, Lane::Bulk].map(|lane| bench.call(lane, SLOW, 7, 1_000));
    bench.run(1_000);
    calls.iter().for_each(|call| assert_eq!(outcome(call), Ok(body(7))));
}

#[test]
fn the_raft_lane_keeps_the_order_of_calls() {
    for seed in 0..20 {
        let knobs = Knobs { delay: 50_000, latency_us: (100, 5_000), ..Knobs::default() };
        let bench = Bench::new(seed, 2, &knobs);
        let calls: Vec<Outcome> = (0..300).map(|n| bench.call(Lane::Raft, SLOW, n, 60_000)).collect();
        bench.run(60_000);
        assert_eq!(bench.entered(), (0..300).collect::<Vec<_>>());
        calls.iter().for_each(|call| assert!(outcome(call).is_ok()));
    }
}

#[test]
fn other_lanes_do_not() {
    let bench = Bench::new(1, 2, &Knobs { latency_us: (100, 5_000), ..Knobs::default() });
    let _calls: Vec<Outcome> = (0..100).map(|n| bench.call(Lane::Data, ECHO, n, 1_000)).collect();
    bench.run(1_000);
    let mut entered = bench.entered();
    assert!(!entered.is_sorted());
    entered.sort_unstable();
    assert_eq!(entered, (0..100).collect::<Vec<_>>());
}

#[test]
fn duplicates_on_the_raft_lane_come_back_to_back() {
    let bench = Bench::new(1, 2, &Knobs { duplicate: 300_000, ..calm() });
    let _calls: Vec<Outcome> = (0..200).map(|n| bench.call(Lane::Raft, ECHO, n, 1_000)).collect();
    bench.run(1_000);
    let mut entered = bench.entered();
    assert!(entered.is_sorted() && entered.len() > 220, "{entered:?}");
    entered.dedup();
    assert_eq!(entered.len(), 200);
}

#[test]
fn lost_frames_take_their_connection_along() {
    for seed in 0..20 {
        let bench = Bench::new(seed, 2, &Knobs { drop_request: 30_000, drop_answer: 30_000, ..calm() });
        let _warm = bench.call(Lane::Raft, ECHO, 1_000, 5_000);
        bench.run(100);
        let mut calls = Vec::new();
        for n in 0..200 {
            calls.push(bench.call(Lane::Raft, SLOW, n, 60_000));
            bench.run(2);
        }
        bench.run(2_000);
        let entered = bench.entered();
        assert!(entered.iter().skip(1).is_sorted(), "seed {seed}: {entered:?}");
        let lost = calls.iter().filter(|c| matches!(outcome(c), Err(RpcError::Lost(_)))).count();
        assert!(lost > 0 && calls.iter().any(|c| outcome(c).is_ok()), "seed {seed}");
        assert!(bench.guard.summary().counters.contains_key("net.reset"));
    }
}

#[test]
fn large_calls_take_longer_and_too_large_ones_are_refused() {
    let bench = Bench::new(1, 2, &calm());
    let net = bench.wires.network(id(1));
    let results: Arc<Mutex<Vec<(u64, bool)>>> = Arc::default();
    let out = results.clone();
    spawn_on(1, async move {
        for len in [8, BODY_BYTES_MAX, BODY_BYTES_MAX + 1] {
            let (call, begin) =
                (net.call(id(2), Lane::Bulk, ECHO, vec![0; len].into(), Duration::from_secs(5)), world::now());
            let answered = call.await.is_ok();
            out.lock().push((world::now() - begin, answered));
        }
    });
    bench.run(5_000);
    let results = results.lock().clone();
    assert!(results[0].1 && results[0].0 < 10_000_000);
    assert!(results[1].1 && results[1].0 > 200_000_000);
    assert!(!results[2].1 && results[2].0 == 0);
}

#[test]
fn who_gives_up_cancels_the_handler_but_not_on_the_raft_lane() {
    let bench = Bench::new(1, 2, &calm());
    let calls = [bench.call(Lane::Data, NEVER, 1, 300), bench.call(Lane::Raft, NEVER, 2, 300)];
    bench.run(200);
    assert_eq!(bench.entered().len(), 2);
    assert!(bench.seen.cancelled.lock().is_empty());
    bench.run(200);
    calls.iter().for_each(|c| assert!(matches!(outcome(c), Err(RpcError::Lost(_)))));
    assert_eq!(*bench.seen.cancelled.lock(), [1]);
}

#[test]
fn calls_wait_by_their_own_clock() {
    let bench = Bench::new(1, 2, &calm());
    world::with_clock(1, |c, _| *c = world::Clock::new(0, 500_000, 0));
    let call = bench.call(Lane::Data, NEVER, 1, 3_000);
    bench.run(2_100);
    let at = call.lock().clone().expect("ended").0;
    assert!((2_000_000_000..2_010_000_000).contains(&at), "{at}");
}
