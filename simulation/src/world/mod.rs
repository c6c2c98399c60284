//! Time, tasks, chance and history of one simulated world. It lives on one thread; all functions here speak of the
//! world of the calling thread, which [`enter`] makes.
//!
//! Tasks belong to nodes; node 0 is the outside (clients, wires, the director). A task that is ready may run at any
//! time: which of the ready ones runs next is drawn from the seed. True time stands still while tasks run, but for a
//! tiny step per poll; each node reads it through clocks of its own.

mod clock;
mod executor;
mod random;
mod runtime;
mod trace;

pub use clock::{Clock, EPOCH_MS};
pub use executor::{
    Guard, Listener, OUTSIDE, Stream, Summary, Violation, count, counters, current, draw, enter, event, freeze, hold,
    is_frozen, is_over, kill, listen, note, now, polls, run_until, sleep, sleep_until, spawn_on, start_node, stop,
    thaw, trace_hash, violate, violations, with_clock, within,
};
pub use random::Random;
pub use runtime::Sleep;
pub use trace::{Event, Keep, MARK_EVERY, Note, Trace};

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;
    use zcluster_runtime as rt;

    fn history(seed: u64) -> u64 {
        let guard = enter(seed, Keep::default());
        let (tx, mut rx) = tokio::sync::mpsc::channel(4);
        for n in 1..4u32 {
            start_node(n);
            let tx = tx.clone();
            spawn_on(n, async move {
                for i in 0..50u64 {
                    rt::sleep(Duration::from_micros(rt::random_below(900))).await;
                    let _ = tx.send(i).await;
                }
            });
        }
        spawn_on(OUTSIDE, async move {
            while let Some(i) = rx.recv().await {
                event("got", &[i]);
            }
        });
        run_until(10_000_000_000);
        guard.summary().hash
    }

    #[test]
    fn one_seed_is_one_history() {
        assert_eq!(history(1), history(1));
        assert_ne!(history(1), history(2));
    }

    #[test]
    fn clocks_drift_and_timers_follow_them() {
        let _guard = enter(1, Keep::default());
        start_node(1);
        with_clock(1, |c, _| *c = Clock::new(5_000_000_000, 100_000, -7_000));
        let seen = Arc::new(AtomicU64::new(0));
        let out = seen.clone();
        spawn_on(1, async move {
            assert_eq!(rt::wall_ms(), EPOCH_MS - 7_000);
            rt::sleep(Duration::from_secs(11)).await;
            out.store(now(), Ordering::Relaxed);
        });
        run_until(20_000_000_000);
        let at = seen.load(Ordering::Relaxed);
        assert!((10_000_000_000..10_001_000_000).contains(&at), "{at}");
    }

    #[test]
    fn the_killed_run_no_more_and_the_frozen_later() {
        let _guard = enter(1, Keep::default());
        let ticks = Arc::new(AtomicU64::new(0));
        for n in 1..3 {
            start_node(n);
            let ticks = ticks.clone();
            spawn_on(n, async move {
                loop {
                    rt::sleep(Duration::from_millis(100)).await;
                    ticks.fetch_add(u64::pow(1_000, n - 1), Ordering::Relaxed);
                }
            });
        }
        run_until(1_050_000_000);
        assert_eq!(ticks.load(Ordering::Relaxed), 10_010);
        kill(1);
        freeze(2);
        run_until(2_000_000_000);
        assert_eq!(ticks.load(Ordering::Relaxed), 10_010);
        thaw(2);
        run_until(2_050_000_000);
        assert_eq!(ticks.load(Ordering::Relaxed), 11_010);
    }

    #[test]
    fn panics_become_violations() {
        let guard = enter(1, Keep::default());
        spawn_on(OUTSIDE, async { panic!("ouch") });
        run_until(1_000);
        let violations = guard.summary().violations;
        assert!(violations[0].promise == "no_panic" && violations[0].text.contains("ouch"), "{violations:?}");
    }
}
