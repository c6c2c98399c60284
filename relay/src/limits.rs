//! Destinations: how many conversations each may have at a time, how fast messages may follow each other, and which ones
//! did not answer just now (Postfix's destination concurrency limit, rate delay and dead site list).

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zcluster_api::directory::Attributes;
use zcluster_delivery::carry::Failure;
use zcluster_runtime::{Instant, sleep_until};

/// Destinations remembered.
const KEPT_MAX: usize = 50_000;

/// What an operator allows a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// Conversations at a time.
    pub concurrency: usize,
    /// From one message to the next.
    pub delay: Duration,
}

impl Allowed {
    /// By `zclusterDestinationLimit`, with lines such as `example.com concurrency=5 per-minute=60`; `*` for all others.
    /// The rate is this node's.
    pub fn of(config: &Attributes, domain: &str, concurrency: usize) -> Allowed {
        let mut allowed = Allowed { concurrency, delay: Duration::ZERO };
        let lines = config.all("zclusterDestinationLimit");
        let named = |name: &str| {
            lines.iter().find_map(|line| {
                let mut words = line.split_whitespace();
                words.next().is_some_and(|w| w.eq_ignore_ascii_case(name)).then_some(words)
            })
        };
        for (key, value) in named(domain).or_else(|| named("*")).into_iter().flatten().filter_map(|w| w.split_once('='))
        {
            match (key, value.parse::<u32>()) {
                ("concurrency", Ok(n)) => allowed.concurrency = (n as usize).clamp(1, 1_000),
                ("per-minute", Ok(n)) if n > 0 => allowed.delay = Duration::from_secs(60) / n,
                _ => {}
            }
        }
        allowed
    }
}

struct Place {
    allowed: Allowed,
    room: Arc<Semaphore>,
    waiting: usize,
    next: Instant,
    down: Option<(Instant, Failure)>,
}

/// All of a node's destinations.
pub struct Limits {
    waiting_max: usize,
    places: Mutex<BTreeMap<String, Place>>,
}

/// A conversation that may take place. Given back when dropped.
#[derive(Debug)]
pub struct Slot {
    _permit: OwnedSemaphorePermit,
}

impl Limits {
    /// With so many messages waiting for each destination at most.
    pub fn new(waiting_max: usize) -> Limits {
        Limits { waiting_max, places: Mutex::default() }
    }

    /// Waits for one's turn.
    ///
    /// # Errors
    /// The destination is down, or too many wait already: the message is to go back into the queue.
    pub async fn enter(&self, key: &str, allowed: Allowed) -> Result<Slot, Failure> {
        let room = {
            let mut places = self.places.lock();
            make_room(&mut places, key);
            let new = || Place {
                allowed,
                room: Arc::new(Semaphore::new(allowed.concurrency)),
                waiting: 0,
                next: Instant::now(),
                down: None,
            };
            let place = places.entry(key.to_string()).or_insert_with(new);
            if let Some((until, failure)) = &place.down {
                if !until.remaining().is_zero() {
                    return Err(failure.clone());
                }
                place.down = None;
            }
            if place.allowed != allowed {
                // Conversations under way end under the old rule.
                (place.allowed, place.room) = (allowed, Arc::new(Semaphore::new(allowed.concurrency)));
            }
            if place.waiting >= self.waiting_max && place.room.available_permits() == 0 {
                metrics::counter!("zcluster_relay_busy_total").increment(1);
                return Err(Failure::near("4.4.5", format!("{key} is busy with other messages")));
            }
            place.waiting += 1;
            place.room.clone()
        };
        let _waiting = Waiting { limits: self, key };
        let permit = room.acquire_owned().await.map_err(|_| Failure::near("4.3.0", "the node stops"))?;
        let turn = self.turn(key, allowed);
        if !turn.remaining().is_zero() {
            sleep_until(turn).await;
        }
        Ok(Slot { _permit: permit })
    }

    fn turn(&self, key: &str, allowed: Allowed) -> Instant {
        let now = Instant::now();
        match self.places.lock().get_mut(key) {
            Some(place) if !allowed.delay.is_zero() => {
                let turn = place.next.max(now);
                place.next = turn + allowed.delay;
                turn
            }
            _ => now,
        }
    }

    /// None of the destination's hosts could be talked to: for so long others need not find that out one by one.
    pub fn down(&self, key: &str, failure: &Failure, wait: Duration) {
        if let Some(place) = self.places.lock().get_mut(key) {
            place.down = Some((Instant::now() + wait, failure.clone()));
        }
    }

    /// One of them could.
    pub fn up(&self, key: &str) {
        if let Some(place) = self.places.lock().get_mut(key) {
            place.down = None;
        }
    }
}

/// Forgets destinations that nobody talks to.
fn make_room(places: &mut BTreeMap<String, Place>, key: &str) {
    if places.len() >= KEPT_MAX && !places.contains_key(key) {
        places.retain(|_, p| p.waiting > 0 || p.room.available_permits() < p.allowed.concurrency || p.down.is_some());
        if places.len() >= KEPT_MAX {
            places.retain(|_, p| p.waiting > 0 || p.room.available_permits() < p.allowed.concurrency);
        }
    }
}

struct Waiting<'a> {
    limits: &'a Limits,
    key: &'a str,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.limits.places.lock().get_mut(self.key) {
            place.waiting = place.waiting.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_busy_destination_sends_messages_back() {
        let limits = Limits::new(1);
        let allowed = Allowed { concurrency: 1, delay: Duration::ZERO };
        let slot = limits.enter("x", allowed).await.unwrap();
        {
            let second = limits.enter("x", allowed);
            futures::pin_mut!(second);
            assert!(futures::poll!(&mut second).is_pending(), "it waits");
            let third = limits.enter("x", allowed).await.unwrap_err();
            assert!(third.near && !third.permanent);
            assert!(limits.enter("y", allowed).await.is_ok(), "others do not");
            drop(slot);
            second.await.unwrap();
        }
        limits.down("x", &Failure::temporary("4.4.1", "no answer"), Duration::from_secs(60));
        assert_eq!(limits.enter("x", allowed).await.unwrap_err().text, "no answer");
        limits.up("x");
        assert!(limits.enter("x", allowed).await.is_ok());
    }

    #[test]
    fn limits_as_written() {
        let mut config = Attributes::new();
        config.set(
            "zclusterDestinationLimit",
            vec!["Slow.example concurrency=2 per-minute=60".into(), "* concurrency=7 x=y".into()],
        );
        let slow = Allowed::of(&config, "slow.example", 20);
        assert_eq!(slow, Allowed { concurrency: 2, delay: Duration::from_secs(1) });
        assert_eq!(Allowed::of(&config, "other", 20).concurrency, 7);
        assert_eq!(Allowed::of(&Attributes::new(), "other", 20).concurrency, 20);
    }
}
