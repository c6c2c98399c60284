//! What stands between strangers and the mailboxes: what postscreen, anvil and smtpd's restrictions do at a site with
//! Postfix. All that is remembered is this node's own and bounded.
//!
//! `client` looks at who connects, before anything is said; `check` at the envelope; `rates` and `greylist` count.

mod bounded;
mod check;
mod client;
mod greylist;
mod rates;

pub use client::{Admission, Client};
pub use rates::{What, Who};

use crate::policy::{CurrentPolicy, Greylisting, Policy, Rates as Bounds};
use bounded::Bounded;
use greylist::Greylist;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use zcluster_api::{AccountId, DirectoryApi};
use zcluster_runtime::Instant;

/// The span of rates (Postfix's `anvil_rate_time_unit`).
const MINUTE: Duration = Duration::from_secs(60);
/// The span of unknown recipients.
const HOUR: Duration = Duration::from_secs(3_600);
/// Clients whose tests are remembered.
const REPUTATIONS_MAX: usize = 100_000;

/// Mailboxes whose usage is remembered, and for how long.
const USAGES_MAX: usize = 100_000;
const USAGE_TTL: Duration = MINUTE;

/// What the tests of a client found.
#[derive(Clone, Debug, Default)]
struct Reputation {
    /// It has waited for the greeting; until then it is believed that it will again.
    polite_until: Option<Instant>,
    /// What the lists say, and until when that is not asked again.
    listed: Option<(Instant, Listing)>,
    /// Its name, as far as it has one, and until when it is not asked for again.
    name: Option<(Instant, Option<String>)>,
}

/// What the lists say of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Listing {
    score: i32,
    /// The list that counted most.
    by: Option<String>,
}

/// One for all services of a node.
pub struct Defence {
    policy: CurrentPolicy,
    rates: Mutex<rates::Rates>,
    /// Connections at the moment; as many entries as connections at most.
    inside: Mutex<BTreeMap<Who, u32>>,
    greylist: Mutex<Greylist>,
    reputations: Mutex<Bounded<IpAddr, Reputation>>,
    /// Bytes in mailboxes, when they were last asked for.
    usages: Mutex<Bounded<AccountId, (Instant, u64)>>,
}

impl Default for Defence {
    fn default() -> Self {
        Defence {
            policy: CurrentPolicy::default(),
            rates: Mutex::new(rates::Rates::new()),
            inside: Mutex::default(),
            greylist: Mutex::new(Greylist::new()),
            reputations: Mutex::new(Bounded::new(REPUTATIONS_MAX)),
            usages: Mutex::new(Bounded::new(USAGES_MAX)),
        }
    }
}

/// A connection that is counted while this lives.
pub struct Visit {
    defence: Arc<Defence>,
    counted: [Who; 2],
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut inside = self.defence.inside.lock();
        for who in &self.counted {
            if let Some(count) = inside.get_mut(who) {
                *count -= 1;
                if *count == 0 {
                    inside.remove(who);
                }
            }
        }
    }
}

impl Defence {
    /// What the cluster wants now.
    pub(crate) async fn policy(&self, directory: &Arc<dyn DirectoryApi>) -> Arc<Policy> {
        self.policy.get(directory).await
    }

    /// Counts a connection; `None`: the client or its network has too many, or too many in a minute.
    pub(crate) fn enter(self: &Arc<Self>, policy: &Policy, ip: IpAddr) -> Option<Visit> {
        let counted = [rates::client(ip), rates::subnet(ip)];
        {
            let mut inside = self.inside.lock();
            let maxima = [policy.client_connections, policy.subnet_connections];
            let full = |(who, max): (&Who, u32)| max > 0 && inside.get(who).is_some_and(|n| *n >= max);
            if counted.iter().zip(maxima).any(full) {
                return None;
            }
            for who in &counted {
                *inside.entry(who.clone()).or_default() += 1;
            }
        }
        let visit = Visit { defence: self.clone(), counted };
        self.allow(policy, ip, What::Connections, 1).then_some(visit)
    }

    /// Counts what a client does; whether it may.
    pub(crate) fn allow(&self, policy: &Policy, ip: IpAddr, what: What, more: u32) -> bool {
        let of = |bounds: &Bounds| match what {
            What::Connections => bounds.connections,
            What::Messages => bounds.messages,
            What::Recipients => bounds.recipients,
            _ => 0,
        };
        let mut rates = self.rates.lock();
        let client = match what {
            What::SignIns => policy.auth_rate,
            _ => of(&policy.client_rates),
        };
        rates.allow(what, rates::client(ip), MINUTE, more, client)
            && rates.allow(what, rates::subnet(ip), MINUTE, more, of(&policy.subnet_rates))
    }

    /// Counts a recipient that does not exist.
    pub(crate) fn unknown_recipient(&self, policy: &Policy, ip: IpAddr) {
        let max = policy.unknown_recipients;
        self.rates.lock().allow(What::Unknown, rates::client(ip), HOUR, 1, max);
    }

    /// Whether a client has asked for so many recipients that do not exist that it is answered no more.
    pub(crate) fn is_guessing(&self, policy: &Policy, ip: IpAddr) -> bool {
        self.rates.lock().is_used_up(What::Unknown, rates::client(ip), HOUR, policy.unknown_recipients)
    }

    /// Counts what an account or a domain sends; whether it may.
    pub(crate) fn may_send(&self, what: What, who: Who, span: Duration, more: u32, max: u32) -> bool {
        self.rates.lock().allow(what, who, span, more, max)
    }

    /// How long a message from this client must wait.
    pub(crate) fn greylisted(&self, how: &Greylisting, ip: IpAddr, from: &str, to: &str) -> Option<Duration> {
        self.greylist.lock().wait(how, ip, from, to)
    }

    /// What a mailbox held a moment ago, bytes.
    pub(crate) fn usage(&self, account: AccountId) -> Option<u64> {
        self.usages.lock().get(&account).filter(|(at, _)| at.elapsed() < USAGE_TTL).map(|(_, used)| *used)
    }

    /// Remembers what a mailbox holds.
    pub(crate) fn learn_usage(&self, account: AccountId, used: u64) {
        *self.usages.lock().get_or_insert(&account, || (Instant::now(), used)) = (Instant::now(), used);
    }

    fn reputation<T>(&self, ip: IpAddr, f: impl FnOnce(&mut Reputation) -> T) -> T {
        f(self.reputations.lock().get_or_insert(&ip.to_canonical(), Reputation::default))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_counted_for_client_and_network() {
        let defence = Arc::new(Defence::default());
        let policy = Policy { client_connections: 2, subnet_connections: 3, ..Policy::default() };
        let [a, b]: [IpAddr; 2] = ["192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap()];
        let first = defence.enter(&policy, a).unwrap();
        let _second = defence.enter(&policy, a).unwrap();
        assert!(defence.enter(&policy, a).is_none(), "the client has two");
        let _third = defence.enter(&policy, b).unwrap();
        assert!(defence.enter(&policy, b).is_none(), "the network has three");
        drop(first);
        assert!(defence.enter(&policy, b).is_some());
        let policy = Policy { client_rates: Bounds { connections: 3, ..Bounds::default() }, ..Policy::default() };
        let ip: IpAddr = "198.51.100.1".parse().unwrap();
        let come = |n: usize| (0..n).filter(|_| defence.enter(&policy, ip).is_some()).count();
        assert_eq!(come(5), 3);
        assert!(!defence.inside.lock().contains_key(&rates::client(ip)));
    }

    #[test]
    fn guessing_is_noticed() {
        let defence = Defence::default();
        let policy = Policy { unknown_recipients: 2, ..Policy::default() };
        let ip: IpAddr = "192.0.2.1".parse().unwrap();
        defence.unknown_recipient(&policy, ip);
        assert!(!defence.is_guessing(&policy, ip));
        defence.unknown_recipient(&policy, ip);
        assert!(defence.is_guessing(&policy, ip));
        assert!(!defence.is_guessing(&policy, "192.0.2.2".parse().unwrap()));
    }
}
