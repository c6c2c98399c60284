//! What the cluster's attributes say about whom mail is taken from. Zimbra's names where it has one; ours begin with
//! `zcluster`. docs/mta.md lists them all.

mod access;
mod lists;
mod restrictions;

pub use access::{Access, Asked, Verdict};
pub use lists::{Answers, Site};
pub use restrictions::Restriction;

use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use zcluster_api::directory::{Attributes, duration};
use zcluster_api::{DirectoryApi, DirectoryQuery, DirectoryReply, Freshness};
use zcluster_listener::Networks;
use zcluster_runtime::Instant;

/// How long the attributes are trusted before they are read again.
const FRESH: Duration = Duration::from_secs(10);
/// The longest of all waits that an attribute can order.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// What follows from a failed test (postscreen's words).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// Nothing; it is logged.
    #[default]
    Ignore,
    /// The client may say its envelope, for the log, and every recipient is refused.
    Enforce,
    /// The connection is closed at once.
    Drop,
}

/// Bounds per minute, for one client or for its network; 0: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// New connections.
    pub connections: u32,
    /// Messages.
    pub messages: u32,
    /// Recipients.
    pub recipients: u32,
}

/// Greylisting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Greylisting {
    /// How long a new triplet must wait.
    pub delay: Duration,
    /// How long a client may take to come again.
    pub window: Duration,
    /// How long one that came again is known.
    pub lifetime: Duration,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// `zimbraMtaMyNetworks`: may relay, and are asked nothing.
    pub my_networks: Networks,
    /// `zimbraMtaSmtpdHeloRequired`.
    pub helo_required: bool,
    /// `zimbraMtaRestriction`, `zimbraMtaSmtpdClientRestrictions`, `zimbraMtaSmtpdSenderRestrictions`.
    pub restrictions: Vec<Restriction>,
    /// `zimbraMtaPostscreenGreetAction`.
    pub greet: Action,
    /// `zclusterMtaPostscreenGreetWait`: how long a client must hold its tongue.
    pub greet_wait: Duration,
    /// `zimbraMtaPostscreenGreetTTL`: how long one that did so is trusted.
    pub greet_ttl: Duration,
    /// `zimbraMtaPostscreenDnsblAction`.
    pub dnsbl: Action,
    /// `zimbraMtaPostscreenDnsblSites`.
    pub dnsbl_sites: Vec<Site>,
    /// `zimbraMtaPostscreenDnsblThreshold`.
    pub dnsbl_threshold: i32,
    /// `zimbraMtaPostscreenDnsblWhitelistThreshold`; 0: none.
    pub dnsbl_allow_threshold: i32,
    /// `zimbraMtaPostscreenDnsblTTL` within `MinTTL` and `MaxTTL`.
    pub dnsbl_ttl: Duration,
    /// `zimbraMtaPostscreenDnsblTimeout`.
    pub dnsbl_timeout: Duration,
    /// Greylisting, when `zclusterMtaGreylistEnabled`.
    pub greylisting: Option<Greylisting>,
    /// `zclusterMtaClientConnectionCountLimit`: at once, from one client.
    pub client_connections: u32,
    /// `zclusterMtaSubnetConnectionCountLimit`: at once, from its network.
    pub subnet_connections: u32,
    /// `zclusterMtaClient{Connection,Message,Recipient}RateLimit`.
    pub client_rates: Rates,
    /// `zclusterMtaSubnet{Connection,Message,Recipient}RateLimit`.
    pub subnet_rates: Rates,
    /// `zimbraMtaSmtpdClientAuthRateLimit`: sign-ins of a client in a minute; 0: no bound of this kind.
    pub auth_rate: u32,
    /// `zclusterMtaClientUnknownRecipientLimit`: recipients that do not exist, from one client in an hour; 0: no bound.
    pub unknown_recipients: u32,
    /// `zimbraMtaSmtpdSoftErrorLimit`: errors before a client is slowed down.
    pub soft_errors: u32,
    /// `zimbraMtaSmtpdHardErrorLimit`: errors before it is sent away.
    pub hard_errors: u32,
    /// `zimbraMtaSmtpdErrorSleepTime`: by how much it is slowed down.
    pub error_sleep: Duration,
    /// `zimbraMtaRecipientDelimiter`: what sets `+tag` apart from the local part.
    pub delimiters: Vec<char>,
    /// `zclusterMta{Client,Helo,Sender,Recipient}Access`.
    pub access: Access,
    /// `zimbraArchiveMailFrom`: the reverse-path of journal copies.
    pub archive_sender: Option<String>,
}

impl Policy {
    /// What the attributes say, and what of it is not understood: once for the log.
    pub fn of(config: &Attributes) -> (Self, Vec<String>) {
        let mut strange = Vec::new();
        let list = |name: &str| config.all(name).join(" ");
        let (my_networks, odd) = Networks::parse(&list("zimbraMtaMyNetworks"));
        strange.extend(odd.into_iter().map(|o| format!("zimbraMtaMyNetworks: {o}")));
        let (dnsbl_sites, odd) = lists::sites(&list("zimbraMtaPostscreenDnsblSites"));
        strange.extend(odd.into_iter().map(|o| format!("zimbraMtaPostscreenDnsblSites: {o}")));
        let (access, odd) = Access::of(|name| config.all(name));
        strange.extend(odd);
        let mut values: Vec<&str> = config.all("zimbraMtaSmtpdClientRestrictions").iter().map(String::as_str).collect();
        values.extend(config.all("zimbraMtaSmtpdSenderRestrictions").iter().map(String::as_str));
        match config.all("zimbraMtaRestriction") {
            // Zimbra's own defaults.
            [] => values.extend(["reject_invalid_helo_hostname", "reject_non_fqdn_sender"]),
            own => values.extend(own.iter().map(String::as_str)),
        }
        let (restrictions, odd) = restrictions::restrictions(values);
        strange.extend(odd.into_iter().map(|o| format!("restriction: {o}")));
        let mut action = |name: &str| match config.get(name).map(str::to_ascii_lowercase).as_deref() {
            Some("enforce") => Action::Enforce,
            Some("drop") => Action::Drop,
            None | Some("ignore") => Action::Ignore,
            Some(other) => {
                strange.push(format!("{name}: {other}"));
                Action::Ignore
            }
        };
        let (greet, dnsbl) = (action("zimbraMtaPostscreenGreetAction"), action("zimbraMtaPostscreenDnsblAction"));
        let time =
            |name: &str, default: u64| config.get(name).and_then(duration).unwrap_or(Duration::from_secs(default));
        let number = |name: &str, default: u32| config.get(name).and_then(|v| v.trim().parse().ok()).unwrap_or(default);
        let signed = |name: &str, default: i32| config.get(name).and_then(|v| v.trim().parse().ok()).unwrap_or(default);
        let rates = |whose: &str| Rates {
            connections: number(&format!("zclusterMta{whose}ConnectionRateLimit"), 0),
            messages: number(&format!("zclusterMta{whose}MessageRateLimit"), 0),
            recipients: number(&format!("zclusterMta{whose}RecipientRateLimit"), 0),
        };
        let min_ttl = time("zimbraMtaPostscreenDnsblMinTTL", 60);
        let max_ttl = time("zimbraMtaPostscreenDnsblMaxTTL", 3_600).max(min_ttl);
        let greylisting = (config.get("zclusterMtaGreylistEnabled") == Some("TRUE")).then(|| Greylisting {
            delay: time("zclusterMtaGreylistDelay", 300),
            window: time("zclusterMtaGreylistRetryWindow", 2 * 86_400),
            lifetime: time("zclusterMtaGreylistLifetime", 35 * 86_400),
        });
        let policy = Policy {
            my_networks,
            helo_required: config.get("zimbraMtaSmtpdHeloRequired") != Some("no"),
            restrictions,
            greet,
            greet_wait: time("zclusterMtaPostscreenGreetWait", 6).min(WAIT_MAX),
            greet_ttl: time("zimbraMtaPostscreenGreetTTL", 86_400),
            dnsbl,
            dnsbl_sites,
            dnsbl_threshold: signed("zimbraMtaPostscreenDnsblThreshold", 1),
            dnsbl_allow_threshold: signed("zimbraMtaPostscreenDnsblWhitelistThreshold", 0),
            dnsbl_ttl: time("zimbraMtaPostscreenDnsblTTL", 3_600).clamp(min_ttl, max_ttl),
            dnsbl_timeout: time("zimbraMtaPostscreenDnsblTimeout", 10).min(WAIT_MAX),
            greylisting,
            client_connections: number("zclusterMtaClientConnectionCountLimit", 50),
            subnet_connections: number("zclusterMtaSubnetConnectionCountLimit", 0),
            client_rates: rates("Client"),
            subnet_rates: rates("Subnet"),
            auth_rate: number("zimbraMtaSmtpdClientAuthRateLimit", 0),
            unknown_recipients: number("zclusterMtaClientUnknownRecipientLimit", 500),
            soft_errors: number("zimbraMtaSmtpdSoftErrorLimit", 10),
            hard_errors: number("zimbraMtaSmtpdHardErrorLimit", 20),
            error_sleep: time("zimbraMtaSmtpdErrorSleepTime", 1).min(WAIT_MAX),
            delimiters: config.all("zimbraMtaRecipientDelimiter").iter().flat_map(|v| v.chars()).collect(),
            access,
            archive_sender: config.get("zimbraArchiveMailFrom").map(str::to_string),
        };
        (policy, strange)
    }

    /// The local part without what stands behind a delimiter; `None` when there is none.
    pub fn without_tag<'a>(&self, local: &'a str) -> Option<&'a str> {
        let at = local.find(|c| self.delimiters.contains(&c))?;
        (at > 0).then(|| &local[..at])
    }
}

impl Default for Policy {
    fn default() -> Self {
        Policy::of(&Attributes::new()).0
    }
}

/// The policy as it is now, read again now and then.
#[derive(Default)]
pub struct CurrentPolicy(Mutex<Option<(Instant, Arc<Policy>)>>);

impl CurrentPolicy {
    /// What the cluster wants. While its directory cannot be read, what it wanted last.
    pub async fn get(&self, directory: &Arc<dyn DirectoryApi>) -> Arc<Policy> {
        let known = self.0.lock().clone();
        if let Some((at, policy)) = &known
            && at.elapsed() < FRESH
        {
            return policy.clone();
        }
        let old = known.map(|(_, policy)| policy);
        let policy = match directory.read(DirectoryQuery::Cluster, Freshness::Local).await {
            Ok(DirectoryReply::Cluster(cluster)) => {
                let (policy, strange) = Policy::of(&cluster.config);
                match old {
                    Some(old) if *old == policy => old,
                    _ => {
                        for what in strange {
                            tracing::warn!(%what, "not understood or not supported; it has no effect");
                        }
                        Arc::new(policy)
                    }
                }
            }
            _ => old.unwrap_or_default(),
        };
        *self.0.lock() = Some((Instant::now(), policy.clone()));
        policy
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn attributes(list: &[(&str, &str)]) -> Attributes {
        let mut attributes = Attributes::new();
        for (name, value) in list {
            attributes.set(name, vec![value.to_string()]);
        }
        attributes
    }

    #[test]
    fn defaults_are_zimbras() {
        let policy = Policy::default();
        assert_eq!(policy.restrictions, [Restriction::InvalidHelo, Restriction::NonFqdnSender]);
        assert_eq!((policy.greet, policy.dnsbl, policy.dnsbl_threshold), (Action::Ignore, Action::Ignore, 1));
        assert!(policy.helo_required && policy.my_networks.is_empty() && policy.greylisting.is_none());
        assert_eq!((policy.soft_errors, policy.hard_errors, policy.error_sleep), (10, 20, Duration::from_secs(1)));
    }

    #[test]
    fn attributes_are_understood() {
        let (policy, strange) = Policy::of(&attributes(&[
            ("zimbraMtaMyNetworks", "127.0.0.0/8 [::1]/128 10.0.0.0/99"),
            ("zimbraMtaPostscreenGreetAction", "enforce"),
            ("zimbraMtaPostscreenDnsblAction", "maybe"),
            ("zimbraMtaPostscreenDnsblTTL", "2h"),
            ("zimbraMtaSmtpdErrorSleepTime", "250ms"),
            ("zimbraMtaRecipientDelimiter", "+"),
            ("zclusterMtaGreylistEnabled", "TRUE"),
            ("zclusterMtaGreylistDelay", "1m"),
            ("zimbraMtaSmtpdHeloRequired", "no"),
        ]));
        assert_eq!(strange, ["zimbraMtaMyNetworks: 10.0.0.0/99", "zimbraMtaPostscreenDnsblAction: maybe"]);
        assert!(policy.my_networks.contains("::1".parse().unwrap()) && !policy.helo_required);
        assert_eq!((policy.greet, policy.dnsbl_ttl), (Action::Enforce, Duration::from_secs(3_600)));
        assert_eq!(policy.error_sleep, Duration::from_millis(250));
        assert_eq!(policy.greylisting.unwrap().delay, Duration::from_secs(60));
        assert_eq!(policy.without_tag("bob+x+y"), Some("bob"));
        assert_eq!((policy.without_tag("bob"), policy.without_tag("+x")), (None, None));
    }

    proptest! {
        #[test]
        fn never_panics(value in "\\PC{0,40}", time in "[0-9]{0,22}[a-z]{0,3}") {
            for name in ["zimbraMtaMyNetworks", "zimbraMtaRestriction", "zimbraMtaPostscreenDnsblSites",
                "zimbraMtaPostscreenDnsblTTL", "zimbraMtaSmtpdErrorSleepTime", "zimbraMtaRecipientDelimiter"] {
                let _ = Policy::of(&attributes(&[(name, value.as_str())]));
                let _ = Policy::of(&attributes(&[(name, time.as_str())]));
            }
        }
    }
}
