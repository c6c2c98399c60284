//! How long a volume is waited for, and when it is left alone for a while.

use parking_lot::Mutex;
use std::time::Duration;
use zcluster_runtime::{Instant, jitter};

/// Bounds on what is asked of a volume.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Tries of one call.
    pub attempts: u32,
    /// Wait before the second; doubled for each further one, and spread by chance.
    pub backoff: Duration,
    /// Longest wait between two tries.
    pub backoff_max: Duration,
    /// Time for one try, besides the time that its bytes need.
    pub attempt: Duration,
    /// A try may take longer by a second for so many bytes.
    pub bytes_per_second: u64,
    /// Time for a call over all tries, besides the time that its bytes need once.
    pub total: Duration,
    /// Calls to one volume at a time; others wait, within their time.
    pub at_a_time: usize,
    /// So many failed tries in a row, and nothing is asked for a while.
    pub trips_after: u32,
    /// How long; doubled for each time it fails again, and spread by chance.
    pub pause: Duration,
    /// Longest pause.
    pub pause_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            attempts: 5,
            backoff: Duration::from_millis(100),
            backoff_max: Duration::from_secs(4),
            attempt: Duration::from_secs(8),
            bytes_per_second: 1024 * 1024,
            total: Duration::from_secs(20),
            at_a_time: 64,
            trips_after: 8,
            pause: Duration::from_secs(2),
            pause_max: Duration::from_secs(30),
        }
    }
}

impl Limits {
    /// Time that `bytes` need on a slow line.
    pub(crate) fn transfer(&self, bytes: u64) -> Duration {
        Duration::from_millis(bytes.saturating_mul(1000) / self.bytes_per_second.max(1))
    }

    /// Wait before try `n` (the first is 0 and has none), before it is spread.
    pub(crate) fn wait(&self, n: u32) -> Duration {
        self.backoff.saturating_mul(1 << n.saturating_sub(1).min(16)).min(self.backoff_max)
    }
}

/// Keeps calls from a volume that does not answer: each would wait its whole time, and none would succeed.
pub(crate) struct Breaker(Mutex<Failing>);

#[derive(Default)]
struct Failing {
    /// In a row.
    failures: u32,
    /// Nothing is asked before.
    until: Option<Instant>,
    pauses: u32,
    why: String,
}

impl Breaker {
    pub(crate) fn new() -> Self {
        Breaker(Mutex::new(Failing::default()))
    }

    /// Whether it may be asked now; else why not. After a pause one call goes ahead of the others.
    pub(crate) fn ask(&self, limits: &Limits) -> Result<(), String> {
        let mut state = self.0.lock();
        match state.until {
            None => Ok(()),
            Some(until) if until > Instant::now() => Err(state.why.clone()),
            Some(_) => {
                state.until = Some(Instant::now() + limits.attempt);
                Ok(())
            }
        }
    }

    /// It answered; whether it did not before.
    pub(crate) fn answered(&self) -> bool {
        let mut state = self.0.lock();
        let was_away = state.until.is_some();
        *state = Failing::default();
        was_away
    }

    /// It did not; whether it is left alone from now on.
    pub(crate) fn failed(&self, why: &str, limits: &Limits) -> bool {
        let mut state = self.0.lock();
        state.failures = state.failures.saturating_add(1);
        state.why = why.to_string();
        if state.failures < limits.trips_after {
            return false;
        }
        let first = state.until.is_none();
        let pause = limits.pause.saturating_mul(1 << state.pauses.min(16)).min(limits.pause_max);
        state.pauses = state.pauses.saturating_add(1);
        state.until = Some(Instant::now() + jitter(pause));
        first
    }

    /// Why it is left alone, if it is.
    pub(crate) fn away(&self) -> Option<String> {
        let state = self.0.lock();
        state.until.is_some().then(|| state.why.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound() {
        let limits = Limits::default();
        let waits: Vec<_> = (1..9).map(|n| limits.wait(n).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 4000, 4000]);
        assert_eq!(limits.wait(u32::MAX), limits.backoff_max);
        assert_eq!(limits.transfer(3 * 1024 * 1024), Duration::from_secs(3));
    }

    #[test]
    fn a_volume_that_does_not_answer_is_left_alone_and_asked_again_by_one() {
        let limits = Limits { trips_after: 3, pause: Duration::ZERO, ..Limits::default() };
        let breaker = Breaker::new();
        assert!(!breaker.failed("one", &limits) && !breaker.failed("two", &limits));
        assert!(breaker.ask(&limits).is_ok() && breaker.away().is_none());
        assert!(breaker.failed("three", &limits));
        assert_eq!(breaker.away().as_deref(), Some("three"));
        // The pause is over at once: one may ask, the others wait for what becomes of it.
        assert!(breaker.ask(&limits).is_ok());
        assert_eq!(breaker.ask(&limits), Err("three".into()));
        assert!(breaker.answered() && breaker.ask(&limits).is_ok() && breaker.away().is_none());
        assert!(!breaker.answered());
        let limits = Limits { pause: Duration::from_secs(3600), pause_max: Duration::from_secs(3600), ..limits };
        for _ in 0..3 {
            breaker.failed("gone", &limits);
        }
        assert_eq!(breaker.ask(&limits), Err("gone".into()));
    }
}
