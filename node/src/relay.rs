//! Sending to other hosts, as the node's file configures it.

use crate::config::Config;
use crate::datadir::DataDir;
use anyhow::{Context, Result, anyhow};
use std::sync::Arc;
use zcluster_api::DirectoryApi;
use zcluster_delivery::Deliverer;
use zcluster_relay::reports::{DmarcSeen, ReportSettings, Reporter, Tally};
use zcluster_relay::{Credential, RelayConfig};
use zcluster_screen::{Judged, Witness};

/// The relay's settings.
///
/// # Errors
/// An unreadable or unusable file of passwords.
pub fn settings(config: &Config, tally: &Arc<Tally>) -> Result<RelayConfig> {
    let relay = &config.relay;
    let credentials = match &relay.credentials_file {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read relay.credentials_file {}", path.display()))?;
            let bad = |line| anyhow!("{}, line {line}: not `host user:password`", path.display());
            Credential::parse_all(&text).map_err(bad)?
        }
        None => Vec::new(),
    };
    Ok(RelayConfig {
        port: relay.port,
        sts_port: relay.sts_port,
        resolvers: relay.resolvers.clone(),
        dnssec: relay.dnssec,
        trust_anchor: relay.trust_anchor.clone(),
        ipv6: relay.ipv6,
        ca_file: relay.ca_file.clone(),
        credentials,
        concurrency: relay.concurrency,
        tally: config.reports.tls.then(|| tally.clone()),
        ..RelayConfig::new(config.hostname())
    })
}

/// The counts for reports, in the data directory.
///
/// # Errors
/// A file that cannot be read.
pub fn tally(dir: &DataDir) -> Result<Arc<Tally>> {
    let file = dir.path().join("reports.json");
    Tally::open(file.clone()).with_context(|| format!("cannot read {}", file.display()))
}

/// The sender of reports, which has not begun yet.
///
/// # Errors
/// Unusable resolvers or certificates.
pub fn reporter(
    (config, node): (&Config, u64),
    relay: &RelayConfig,
    tally: &Arc<Tally>,
    delivery: &Arc<Deliverer>,
    directory: Arc<dyn DirectoryApi>,
) -> Result<Arc<Reporter>> {
    let settings = ReportSettings {
        organization: config.reports.organization.clone(),
        contact: config.reports.contact.clone(),
        hostname: config.hostname(),
        node,
        hour: config.reports.hour,
    };
    Ok(Reporter::new(settings, tally.clone(), relay, delivery.clone(), directory)?)
}

/// Counts what DMARC found.
pub struct Counting(pub Arc<Tally>);

impl Witness for Counting {
    fn saw(&self, judged: Judged) {
        let Judged { policy, rua, record } = judged;
        self.0.dmarc(DmarcSeen { policy, rua, record });
    }
}
