//! Slowing down guesses at one account from one network.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Mutex;
use std::time::Duration;
use zcluster_runtime::Instant;

/// Failures that cost nothing: typing errors, and a client with an old password that tries on several connections.
const FREE_FAILURES: u32 = 10;
/// The first pause; each further failure doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Failures are forgotten after this long without another.
const MEMORY: Duration = Duration::from_secs(15 * 60);

type Key = (String, IpAddr);

pub struct Throttle {
    entries_max: usize,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    failures: BTreeMap<Key, Failures>,
    /// Keys in the order they came in, for eviction.
    order: VecDeque<Key>,
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
        table.failures.get(&key(user, peer)).is_none_or(|f| f.last.elapsed() >= pause(f.count))
    }

    pub fn failed(&self, user: &str, peer: IpAddr) {
        if self.entries_max == 0 {
            return;
        }
        let Ok(mut guard) = self.table.lock() else { return };
        let table = &mut *guard;
        let key = key(user, peer);
        let now = Instant::now();
        if let Some(f) = table.failures.get_mut(&key) {
            f.count = if now - f.last > MEMORY { 1 } else { f.count.saturating_add(1) };
            f.last = now;
            return;
        }
        while table.order.len() >= self.entries_max {
            let Some(oldest) = table.order.pop_front() else { break };
            table.failures.remove(&oldest);
        }
        table.failures.insert(key.clone(), Failures { count: 1, last: now });
        table.order.push_back(key);
    }

    pub fn succeeded(&self, user: &str, peer: IpAddr) {
        let Ok(mut table) = self.table.lock() else { return };
        if let Some(f) = table.failures.get_mut(&key(user, peer)) {
            f.count = 0;
        }
    }
}

fn pause(failures: u32) -> Duration {
    if failures < FREE_FAILURES {
        return Duration::ZERO;
    }
    FIRST_PAUSE.saturating_mul(1_u32.checked_shl(failures - FREE_FAILURES).unwrap_or(u32::MAX)).min(LONGEST_PAUSE)
}

/// An IPv6 client owns at least a /64, so that is what counts as one place.
fn key(user: &str, peer: IpAddr) -> Key {
    let place = match peer.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
        ip => ip,
    };
    (user.to_lowercase(), place)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn pauses_grow_to_a_bound() {
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
        throttle.succeeded("a@x", PEER);
        assert!(throttle.allows("a@x", PEER));
    }

    #[test]
    fn is_bounded_and_counts_ipv6_networks() {
        let throttle = Throttle::new(4);
        for i in 0..100 {
            throttle.failed(&format!("user{i}@x"), PEER);
        }
        let table = throttle.table.lock().unwrap();
        assert_eq!((table.failures.len(), table.order.len()), (4, 4));
        assert_eq!(key("a", "2001:db8::1".parse().unwrap()), key("a", "2001:db8::ffff:1".parse().unwrap()));
        assert_eq!(key("a", "::ffff:192.0.2.1".parse().unwrap()), key("a", PEER));
    }
}
