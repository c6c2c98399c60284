//! What the cluster's configuration says about sending.

use super::srs::Srs;
use crate::deliverer::Deliverer;
use zcluster_api::directory::{Attributes, duration};
use zcluster_api::{DirectoryQuery, DirectoryReply, Freshness};

/// When to try again and when to give up, milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Times {
    /// `zimbraMtaMinimalBackoffTime`, 300 s.
    pub backoff_min: u64,
    /// `zimbraMtaMaximalBackoffTime`, 4000 s.
    pub backoff_max: u64,
    /// `zimbraMtaMaximalQueueLifetime`, 5 d (RFC 5321 §4.5.4.1: at least four to five days).
    pub lifetime: u64,
    /// `zimbraMtaBounceQueueLifetime`, 5 d: for what has no sender.
    pub bounce_lifetime: u64,
    /// `zimbraMtaDelayWarningTime`; 0: nobody is told. Without it 4 h.
    pub warn_after: u64,
}

const DAY: u64 = 24 * 60 * 60 * 1000;

impl Times {
    pub fn of(config: &Attributes) -> Times {
        let value =
            |name: &str, default: u64| config.get(name).and_then(duration).map_or(default, |d| d.as_millis() as u64);
        let backoff_min = value("zimbraMtaMinimalBackoffTime", 300_000).max(1_000);
        Times {
            backoff_min,
            backoff_max: value("zimbraMtaMaximalBackoffTime", 4_000_000).max(backoff_min),
            lifetime: value("zimbraMtaMaximalQueueLifetime", 5 * DAY),
            bounce_lifetime: value("zimbraMtaBounceQueueLifetime", 5 * DAY),
            warn_after: value("zimbraMtaDelayWarningTime", DAY / 6),
        }
    }
}

pub(super) struct Site {
    pub times: Times,
    /// When `zclusterSrsSecret` is set: the first of its values signs, all of them prove.
    pub srs: Option<Srs>,
    /// `zclusterSrsDomain`; none: the domain of the account that sends on.
    pub srs_domain: Option<String>,
    /// `zimbraMtaRecipientDelimiter`: what sets `+tag` apart from the local part.
    delimiters: Vec<char>,
}

impl Site {
    pub async fn of(deliverer: &Deliverer) -> Site {
        let config = match deliverer.directory().read(DirectoryQuery::Cluster, Freshness::Local).await {
            Ok(DirectoryReply::Cluster(cluster)) => cluster.config,
            _ => Attributes::new(),
        };
        Site {
            times: Times::of(&config),
            srs: Srs::of(config.all("zclusterSrsSecret")),
            srs_domain: config.get("zclusterSrsDomain").map(str::to_lowercase),
            delimiters: config.all("zimbraMtaRecipientDelimiter").iter().flat_map(|v| v.chars()).collect(),
        }
    }

    /// The local part without its tag; none: it has none.
    pub fn without_tag<'a>(&self, local: &'a str) -> Option<&'a str> {
        let at = local.find(|c| self.delimiters.contains(&c))?;
        (at > 0).then(|| &local[..at])
    }
}

impl Deliverer {
    /// The address behind one that this cluster made for a forward (SRS), when it is ours and not too old. What arrives
    /// for it is a report about that forward: it goes to this address, from the null sender, through
    /// [`submit`](Self::submit).
    pub async fn srs_reverse(&self, address: &str) -> Option<String> {
        Site::of(self).await.srs?.reverse(address, zcluster_runtime::wall_ms())
    }
}
