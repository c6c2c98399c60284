//! `[reports]`: what domains are told about their mail.

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

/// What domains are told about their mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reports {
    /// The organization's name; none: the contact's domain.
    pub organization: Option<String>,
    /// The author of reports, an address.
    pub contact: Option<String>,
    /// Whether domains are told how TLS with their hosts went (RFC 8460).
    pub tls: bool,
    /// Whether domains are told what came in their name (DMARC aggregate reports).
    pub dmarc: bool,
    /// The hour, UTC, from which on the day before is reported.
    pub hour: u8,
}

impl Default for Reports {
    fn default() -> Self {
        Reports { organization: None, contact: None, tls: true, dmarc: false, hour: 0 }
    }
}

impl Reports {
    pub(super) fn check(&self) -> Result<()> {
        if self.hour > 23 {
            bail!("reports.hour is {}: it must be 0 to 23", self.hour);
        }
        if let Some(contact) = &self.contact
            && !zcluster_relay::reports::is_address(contact)
        {
            bail!("reports.contact is {contact:?}: it must be an address such as tls-reports@example.com");
        }
        if let Some(name) = &self.organization
            && name.chars().any(char::is_control)
        {
            bail!("reports.organization must be one line");
        }
        Ok(())
    }
}
