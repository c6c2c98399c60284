//! Who does how much of what in a span of time.

use super::bounded::Bounded;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;
use zcluster_api::AccountId;
use zcluster_runtime::Instant;

/// Counts kept at a time.
const COUNTS_MAX: usize = 200_000;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// New connections.
    Connections,
    /// Messages.
    Messages,
    /// Recipients.
    Recipients,
    /// Recipients that do not exist.
    Unknown,
    /// Sign-ins.
    SignIns,
    /// Messages sent within an hour.
    SentHourly,
    /// Recipients sent to within a day.
    SentDaily,
}

/// Whose it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// A client: an IPv4 address, or the /64 that an IPv6 one stands for.
    Client(IpAddr),
    /// Its network: /24, or /48.
    Subnet(IpAddr),
    /// An account.
    Account(AccountId),
    /// A domain.
    Domain(String),
}

/// The client an address belongs to.
pub fn client(ip: IpAddr) -> Who {
    Who::Client(masked(ip, 32, 64))
}

/// Its network.
pub fn subnet(ip: IpAddr) -> Who {
    Who::Subnet(masked(ip, 24, 48))
}

fn masked(ip: IpAddr, v4: u32, v6: u32) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4((u32::from(ip) & (u32::MAX << (32 - v4))).into()),
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from(u128::from(ip) & (u128::MAX << (128 - v6)))),
    }
}

/// The counts, each within a span that begins with its first event.
pub struct Rates(Bounded<(What, Who), (Instant, u32)>);

impl Rates {
    /// None yet.
    pub fn new() -> Self {
        Rates(Bounded::new(COUNTS_MAX))
    }

    /// Counts `more`, unless the span's count would go beyond `max` (0: no bound); says whether it does not.
    pub fn allow(&mut self, what: What, who: Who, span: Duration, more: u32, max: u32) -> bool {
        if max == 0 {
            return true;
        }
        let (since, count) = self.0.get_or_insert(&(what, who), || (Instant::now(), 0));
        if since.elapsed() >= span {
            (*since, *count) = (Instant::now(), 0);
        }
        let sum = count.saturating_add(more);
        if sum > max {
            return false;
        }
        *count = sum;
        true
    }

    /// Whether the span's count has reached `max` (0: no bound).
    pub fn is_used_up(&mut self, what: What, who: Who, span: Duration, max: u32) -> bool {
        max > 0 && self.0.get(&(what, who)).is_some_and(|(since, count)| since.elapsed() < span && *count >= max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        let of = |ip: &str| (client(ip.parse().unwrap()), subnet(ip.parse().unwrap()));
        let is = |c: &str, s: &str| (Who::Client(c.parse().unwrap()), Who::Subnet(s.parse().unwrap()));
        assert_eq!(of("192.0.2.77"), is("192.0.2.77", "192.0.2.0"));
        assert_eq!(of("::ffff:192.0.2.77"), is("192.0.2.77", "192.0.2.0"));
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), is("2001:db8:1:2::", "2001:db8:1::"));
    }

    #[test]
    fn a_bound_is_kept_for_each() {
        let mut rates = Rates::new();
        let (a, b) = (client([192, 0, 2, 1].into()), client([192, 0, 2, 2].into()));
        let hour = Duration::from_secs(3_600);
        assert!(rates.allow(What::Messages, a.clone(), hour, 2, 3));
        assert!(!rates.allow(What::Messages, a.clone(), hour, 2, 3));
        assert!(!rates.is_used_up(What::Messages, a.clone(), hour, 3));
        assert!(rates.allow(What::Messages, a.clone(), hour, 1, 3));
        assert!(rates.is_used_up(What::Messages, a.clone(), hour, 3));
        assert!(rates.allow(What::Messages, b, hour, 3, 3) && rates.allow(What::Recipients, a.clone(), hour, 3, 3));
        assert!(rates.allow(What::Messages, a.clone(), hour, 99, 0), "0 is no bound");
        assert!(rates.allow(What::Messages, a, Duration::ZERO, 3, 3), "a new span");
    }
}
