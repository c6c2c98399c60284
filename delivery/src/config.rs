//! What an operator may choose.

use std::time::Duration;

/// Settings of delivery.
#[derive(Clone, Debug)]
pub struct DeliveryConfig {
    /// The name that messages of our own making carry in their ids.
    pub hostname: String,
    /// How long a mailbox may take to accept a message, over all retries. SMTP clients wait ten minutes.
    pub timeout: Duration,
    /// Messages that the filters and forwards of one account may redirect in an hour, on one node; beyond it messages
    /// stay in the Inbox.
    pub redirects_per_hour: u32,
    /// Bytes of scripts and their compiled forms kept in memory, roughly.
    pub cache_bytes: usize,
}

impl DeliveryConfig {
    /// The defaults for a node of this name.
    pub fn new(hostname: impl Into<String>) -> Self {
        DeliveryConfig {
            hostname: hostname.into(),
            timeout: Duration::from_secs(30),
            redirects_per_hour: 1_000,
            cache_bytes: 64 * 1024 * 1024,
        }
    }
}
