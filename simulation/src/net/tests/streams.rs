//! Streams of answers.

use super::*;

/// What a stream gave: numbers of items, then how it ended (`None`: it has not).
type Taken = Arc<Mutex<(Vec<u64>, Option<Result<(), RpcError>>)>>;

/// Opens a stream of `many` items from node 2 on node 1, and takes at most `take` of them.
fn open(bench: &Bench, many: u64, take: u64, pause_ms: u64) -> Taken {
    let net = bench.wires.network(id(1));
    let taken = Taken::default();
    let out = taken.clone();
    spawn_on(1, async move {
        let opened = net.stream(id(2), Lane::Raft, 1, body(many), Duration::from_secs(3)).await;
        let end = match opened {
            Err(e) => Err(e),
            Ok(mut frames) => loop {
                if out.lock().0.len() as u64 == take {
                    break Ok(());
                }
                rt::sleep(Duration::from_millis(pause_ms)).await;
                match frames.next().await {
                    Some(Ok(mut item)) => out.lock().0.push(item.get_u64()),
                    Some(Err(e)) => {
                        assert!(frames.next().await.is_none());
                        break Err(e);
                    }
                    None => break Ok(()),
                }
            },
        };
        out.lock().1 = Some(end);
    });
    taken
}

fn is_lost(taken: &Taken) -> bool {
    matches!(taken.lock().1, Some(Err(RpcError::Lost(_))))
}

#[test]
fn items_come_in_order_and_the_end_after_them() {
    let bench = Bench::new(1, 2, &Knobs { latency_us: (100, 5_000), ..Knobs::default() });
    let taken = open(&bench, 500, u64::MAX, 0);
    bench.run(20_000);
    assert_eq!(*taken.lock(), ((0..500).collect(), Some(Ok(()))));
    assert!(bench.wires.state.lock().flows.is_empty());
}

#[test]
fn who_takes_slowly_holds_the_producer_back() {
    let bench = Bench::new(1, 2, &calm());
    let taken = open(&bench, 10_000, u64::MAX, 50);
    bench.run(1_050);
    let (yielded, taken) = (*bench.seen.yielded.lock(), taken.lock().0.len() as u64);
    assert!(taken > 10 && yielded > taken && yielded <= taken + 34, "{yielded} {taken}");
}

#[test]
fn who_stops_taking_ends_the_producer() {
    let bench = Bench::new(1, 2, &calm());
    let taken = open(&bench, 10_000, 5, 1);
    bench.run(100);
    assert_eq!(taken.lock().0.len(), 5);
    assert_eq!(*bench.seen.cancelled.lock(), [10_000]);
}

#[test]
fn resets_deaths_and_cuts_end_streams_with_an_error() {
    for seed in 0..30 {
        for what in 0..5 {
            let bench = Bench::new(seed, 2, &calm());
            let taken = open(&bench, 10_000, u64::MAX, 5);
            bench.run(500);
            match what {
                0 => bench.wires.reset(1, 2),
                1 => bench.crash(2),
                2 => bench.wires.cut(1, 2),
                3 => bench.wires.cut(2, 1),
                _ => {
                    bench.wires.cut(2, 1);
                    bench.crash(2);
                    bench.run(100);
                    bench.wires.heal();
                }
            }
            bench.run(6_000);
            let got = taken.lock().0.clone();
            assert!(is_lost(&taken), "seed {seed} fault {what}");
            assert_eq!(got, (0..got.len() as u64).collect::<Vec<_>>());
            assert_eq!(*bench.seen.cancelled.lock(), [10_000], "seed {seed} fault {what}");
        }
    }
}

#[test]
fn a_short_cut_leaves_no_hole() {
    for seed in 0..30 {
        let bench = Bench::new(seed, 2, &calm());
        let taken = open(&bench, 300, u64::MAX, 5);
        bench.run(500);
        bench.wires.cut(2, 1);
        bench.run(100);
        bench.wires.heal();
        bench.run(6_000);
        let taken = taken.lock().clone();
        assert_eq!(taken.0, (0..taken.0.len() as u64).collect::<Vec<_>>());
        assert!(taken.0.len() == 300 || taken.1.is_some_and(|end| end.is_err()));
    }
}

#[test]
fn the_takers_death_ends_the_producer() {
    let bench = Bench::new(1, 2, &calm());
    let taken = open(&bench, 10_000, u64::MAX, 5);
    bench.run(500);
    bench.crash(1);
    bench.run(100);
    assert!(taken.lock().1.is_none());
    assert_eq!(*bench.seen.cancelled.lock(), [10_000]);
    assert!(bench.wires.state.lock().flows.is_empty());
}

#[test]
fn nobody_there_opens_no_stream() {
    let bench = Bench::new(1, 1, &calm());
    let taken = open(&bench, 1, 1, 1);
    bench.run(100);
    assert!(matches!(taken.lock().1, Some(Err(RpcError::Unreachable(..)))));
    assert!(bench.wires.state.lock().flows.is_empty());
}
