//! Greylisting (RFC 6647 §2.2): who is new comes again later, which most senders of spam do not.

use super::bounded::Bounded;
use super::rates::{Who, subnet};
use crate::policy::Greylisting;
use std::net::IpAddr;
use std::time::Duration;
use zcluster_runtime::Instant;

/// Triplets remembered.
const TRIPLETS_MAX: usize = 200_000;
/// Networks remembered.
const NETWORKS_MAX: usize = 50_000;
/// Triplets of a network that came again, before the network is not asked any more.
const PASSES: u32 = 5;
/// Sets the names of triplets apart from other uses of BLAKE3.
const CONTEXT: &str = "zcluster greylist: network, sender, recipient; v1";

/// One sender's mail for one recipient from one network.
struct Triplet {
    first: Instant,
    /// When it last came after the delay.
    passed: Option<Instant>,
}

/// What this node remembers; another node asks anew.
pub struct Greylist {
    triplets: Bounded<[u8; 32], Triplet>,
    networks: Bounded<Who, (u32, Instant)>,
}

impl Greylist {
    /// Nothing yet.
    pub fn new() -> Self {
        Greylist { triplets: Bounded::new(TRIPLETS_MAX), networks: Bounded::new(NETWORKS_MAX) }
    }

    /// How long the client shall still wait; `None`: it may deliver.
    pub fn wait(&mut self, how: &Greylisting, ip: IpAddr, sender: &str, recipient: &str) -> Option<Duration> {
        let network = subnet(ip);
        if let Some((passes, last)) = self.networks.get(&network)
            && *passes >= PASSES
            && last.elapsed() < how.lifetime
        {
            *last = Instant::now();
            return None;
        }
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        for part in [&format!("{network:?}"), &sender.to_lowercase(), &recipient.to_lowercase()] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        let new = || Triplet { first: Instant::now(), passed: None };
        let triplet = self.triplets.get_or_insert(hasher.finalize().as_bytes(), new);
        let is_over = match triplet.passed {
            Some(at) => at.elapsed() >= how.lifetime,
            None => triplet.first.elapsed() >= how.window,
        };
        if is_over {
            *triplet = new();
        }
        let waited = triplet.first.elapsed();
        if triplet.passed.is_none() {
            if waited < how.delay {
                return Some(how.delay.saturating_sub(waited));
            }
            let (passes, last) = self.networks.get_or_insert(&network, || (0, Instant::now()));
            (*passes, *last) = (passes.saturating_add(1), Instant::now());
        }
        triplet.passed = Some(Instant::now());
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn how(delay: Duration) -> Greylisting {
        let day = Duration::from_secs(86_400);
        Greylisting { delay, window: day, lifetime: day }
    }

    #[test]
    fn who_comes_again_is_let_in() {
        let mut list = Greylist::new();
        let (slow, now) = (how(Duration::from_secs(300)), how(Duration::ZERO));
        let ip: IpAddr = "192.0.2.1".parse().unwrap();
        assert!(list.wait(&slow, ip, "a@b", "c@d").is_some_and(|w| w <= slow.delay));
        assert!(list.wait(&slow, ip, "a@b", "c@d").is_some(), "not so soon");
        assert!(list.wait(&slow, ip, "ab@", "c@d").is_some());
        // Its time has come.
        assert_eq!(list.wait(&now, "192.0.2.9".parse().unwrap(), "A@b", "c@D"), None, "the network counts");
        assert_eq!(list.wait(&slow, ip, "a@b", "c@d"), None, "and it is known from then on");
        assert!(list.wait(&slow, "198.51.100.1".parse().unwrap(), "a@b", "c@d").is_some());
    }

    #[test]
    fn a_network_that_keeps_coming_again_is_known() {
        let mut list = Greylist::new();
        let ip: IpAddr = "2001:db8::1".parse().unwrap();
        for n in 0..PASSES {
            assert_eq!(list.wait(&how(Duration::ZERO), ip, &format!("{n}@b"), "c@d"), None);
        }
        assert_eq!(list.wait(&how(Duration::from_secs(300)), ip, "new@b", "c@d"), None);
    }
}
