//! Sending to other hosts, as the node's file configures it.

use crate::config::Config;
use anyhow::{Context, Result, anyhow};
use zcluster_relay::{Credential, RelayConfig};

/// The relay's settings.
///
/// # Errors
/// An unreadable or unusable file of passwords.
pub fn settings(config: &Config) -> Result<RelayConfig> {
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
        ipv6: relay.ipv6,
        ca_file: relay.ca_file.clone(),
        credentials,
        concurrency: relay.concurrency,
        ..RelayConfig::new(config.hostname())
    })
}
