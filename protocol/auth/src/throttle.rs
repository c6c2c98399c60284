//! Slowing down guesses: at one account from one network, at many accounts from one network, at one account from many.
//!
//! Whoever signs in somewhere where he has done so before is only slowed down by the first of the three: otherwise an
//! attacker could keep the others out.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Mutex;
use std::time::Duration;
use zcluster_runtime::Instant;

/// Failures that cost nothing at one account from one place: typing errors, and a client with an old password that tries
/// on several connections.
const FREE_FAILURES: u32 = 10;
/// The same from one place at whatever account: an office's worth of them.
const FREE_FAILURES_OF_PLACE: u32 = 100;
/// The same at one account from wherever.
const FREE_FAILURES_OF_ACCOUNT: u32 = 50;
/// The first pause; each further failure doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// The longest pause for a place or an account as a whole, where the innocent wait as well.
const LONGEST_SHARED_PAUSE: Duration = Duration::from_secs(30);
/// Failures are forgotten after this long without another.
const MEMORY: Duration = Duration::from_secs(15 * 60);
/// How long a success makes a place one where the account is known.
const KNOWN: Duration = Duration::from_secs(7 * 24 * 3_600);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Pair(String, IpAddr),
    Place(IpAddr),
    Account(String),
}

impl Key {
    fn pause(&self, failures: u32) -> Duration {
        match self {
            Key::Pair(..) => pause(failures, FREE_FAILURES, LONGEST_PAUSE),
            Key::Place(_) => pause(failures, FREE_FAILURES_OF_PLACE, LONGEST_SHARED_PAUSE),
            Key::Account(_) => pause(failures, FREE_FAILURES_OF_ACCOUNT, LONGEST_SHARED_PAUSE),
        }
    }
}

pub struct Throttle {
    entries_max: usize,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    failures: BTreeMap<Key, Failures>,
    /// Keys in the order they came in, for eviction.
    order: VecDeque<Key>,
    /// Where accounts have signed in.
    known: BTreeMap<(String, IpAddr), Instant>,
    known_order: VecDeque<(String, IpAddr)>,
}

struct Failures {
    count: u32,
    last: Instant,
}

impl Throttle {
    pub fn new(entries_max: usize) -> Self {
        Throttle { entries_max, table: Mutex::default() }
    }

    /// Whether `user` may try now from `peer`.
    pub fn allows(&self, user: &str, peer: IpAddr) -> bool {
        let Ok(table) = self.table.lock() else { return true };
        let (user, place) = (user.to_lowercase(), place(peer));
        let pair = (user.clone(), place);
        let is_known = table.known.get(&pair).is_some_and(|at| at.elapsed() < KNOWN);
        let waits = |key: Key| table.failures.get(&key).is_some_and(|f| f.last.elapsed() < key.pause(f.count));
        !waits(Key::Pair(pair.0, pair.1)) && (is_known || !waits(Key::Place(place)) && !waits(Key::Account(user)))
    }

    pub fn failed(&self, user: &str, peer: IpAddr) {
        if self.entries_max == 0 {
            return;
        }
        let Ok(mut table) = self.table.lock() else { return };
        let (user, place) = (user.to_lowercase(), place(peer));
        table.count(Key::Pair(user.clone(), place), self.entries_max);
        // Programs on this machine (a web client, a proxy) are many users' place.
        if !place.is_loopback() {
            table.count(Key::Place(place), self.entries_max);
        }
        if !user.is_empty() {
            table.count(Key::Account(user), self.entries_max);
        }
    }

    /// Forgets an account's failures in one place; whether there were any.
    pub fn forgive(&self, user: &str, peer: IpAddr) -> bool {
        let Ok(mut table) = self.table.lock() else { return false };
        match table.failures.get_mut(&Key::Pair(user.to_lowercase(), place(peer))) {
            Some(f) => std::mem::take(&mut f.count) > 0,
            None => false,
        }
    }

    /// The same, and the place is known as one where the account signs in.
    pub fn succeeded(&self, user: &str, peer: IpAddr) -> bool {
        let forgiven = self.forgive(user, peer);
        let Ok(mut guard) = self.table.lock() else { return forgiven };
        let table = &mut *guard;
        let pair = (user.to_lowercase(), place(peer));
        if table.known.insert(pair.clone(), Instant::now()).is_none() && self.entries_max > 0 {
            while table.known_order.len() >= self.entries_max {
                let Some(oldest) = table.known_order.pop_front() else { break };
                table.known.remove(&oldest);
            }
            table.known_order.push_back(pair);
        }
        forgiven
    }
}

impl Table {
    fn count(&mut self, key: Key, entries_max: usize) {
        let now = Instant::now();
        if let Some(f) = self.failures.get_mut(&key) {
            f.count = if now - f.last > MEMORY { 1 } else { f.count.saturating_add(1) };
            f.last = now;
            return;
        }
        while self.order.len() >= entries_max {
            let Some(oldest) = self.order.pop_front() else { break };
            self.failures.remove(&oldest);
        }
        self.failures.insert(key.clone(), Failures { count: 1, last: now });
        self.order.push_back(key);
    }
}

fn pause(failures: u32, free: u32, longest: Duration) -> Duration {
    if failures < free {
        return Duration::ZERO;
    }
    FIRST_PAUSE.saturating_mul(1_u32.checked_shl(failures - free).unwrap_or(u32::MAX)).min(longest)
}

/// An IPv6 client owns at least a /64, so that is what counts as one place.
fn place(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(ip) if !ip.is_loopback() => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
        ip => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn pauses_grow_to_a_bound() {
        let pause = |n| pause(n, FREE_FAILURES, LONGEST_PAUSE);
        assert_eq!(pause(FREE_FAILURES - 1), Duration::ZERO);
        assert_eq!(pause(FREE_FAILURES), FIRST_PAUSE);
        assert_eq!(pause(FREE_FAILURES + 3), FIRST_PAUSE * 8);
        assert_eq!(pause(u32::MAX), LONGEST_PAUSE);
    }

    #[test]
    fn blocks_one_account_from_one_place_only() {
        let throttle = Throttle::new(10);
        for _ in 0..FREE_FAILURES {
            assert!(throttle.allows("a@x", PEER));
            throttle.failed("A@x", PEER);
        }
        assert!(!throttle.allows("a@x", PEER));
        assert!(throttle.allows("b@x", PEER));
        assert!(throttle.allows("a@x", "192.0.2.2".parse().unwrap()));
        assert!(throttle.succeeded("a@x", PEER) && !throttle.succeeded("a@x", PEER));
        assert!(throttle.allows("a@x", PEER));
    }

    #[test]
    fn many_accounts_from_one_place() {
        let throttle = Throttle::new(1_000);
        throttle.succeeded("old@x", PEER);
        for n in 0..FREE_FAILURES_OF_PLACE {
            assert!(throttle.allows("new@x", PEER));
            throttle.failed(&format!("user{n}@x"), PEER);
        }
        assert!(!throttle.allows("new@x", PEER));
        assert!(throttle.allows("old@x", PEER), "has signed in here before");
        assert!(throttle.allows("new@x", "198.51.100.1".parse().unwrap()));
        let here: IpAddr = "::1".parse().unwrap();
        (0..=FREE_FAILURES_OF_PLACE).for_each(|n| throttle.failed(&format!("user{n}@x"), here));
        assert!(throttle.allows("new@x", here), "this machine is many users' place");
    }

    #[test]
    fn one_account_from_many_places() {
        let throttle = Throttle::new(1_000);
        throttle.succeeded("a@x", PEER);
        for n in 0..FREE_FAILURES_OF_ACCOUNT {
            throttle.failed("a@x", IpAddr::from([198, 51, 100, n as u8]));
        }
        assert!(!throttle.allows("a@x", "203.0.113.1".parse().unwrap()));
        assert!(throttle.allows("a@x", PEER), "its owner still comes in where he always does");
        assert!(throttle.allows("b@x", "203.0.113.1".parse().unwrap()));
    }

    #[test]
    fn is_bounded_and_counts_ipv6_networks() {
        let throttle = Throttle::new(4);
        for i in 0..100 {
            throttle.failed(&format!("user{i}@x"), PEER);
            throttle.succeeded(&format!("user{i}@x"), PEER);
        }
        let table = throttle.table.lock().unwrap();
        assert_eq!((table.failures.len(), table.order.len()), (4, 4));
        assert_eq!((table.known.len(), table.known_order.len()), (4, 4));
        assert_eq!(place("2001:db8::1".parse().unwrap()), place("2001:db8::ffff:1".parse().unwrap()));
        assert_eq!(place("::ffff:192.0.2.1".parse().unwrap()), place(PEER));
    }
}
