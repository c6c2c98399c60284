//! What an operator may choose.

use std::time::Duration;
use zcluster_api::directory::Attributes;

/// Settings shared by the three services.
#[derive(Clone, Debug)]
pub struct SmtpConfig {
    /// The name this node greets with and writes into Received.
    pub hostname: String,
    /// Bytes of a message as sent (`zimbraMtaMaxMessageSize`).
    pub max_message_bytes: u64,
    /// Recipients of one transaction; RFC 5321 §4.5.3.1.8 wants at least 100.
    pub recipients_max: usize,
    /// Received fields of a message that has gone in circles (`zimbraMtaHopcountLimit`).
    pub hops_max: usize,
    /// Whether a message identical to one just delivered to the same mailbox from the same sender is acknowledged
    /// without being added again. Only messages with a Message-ID are compared.
    pub duplicate_suppression: bool,
    /// Whether a full mailbox refuses for good (552) rather than for now (452)
    /// (`zimbraLmtpPermanentFailureWhenOverQuota`).
    pub quota_failure_permanent: bool,
    /// Whether messages with a bare LF are refused. If not, a bare LF is data; in neither case does it take part in
    /// the end of data.
    pub refuse_bare_lf: bool,
    /// Whether AUTH is offered without TLS: for tests only.
    pub auth_without_tls: bool,
    /// How long a client may be silent between commands (RFC 5321 §4.5.3.2.7: five minutes).
    pub command_timeout: Duration,
    /// How long a submitted message may be held back (FUTURERELEASE, RFC 4865).
    pub hold_max: Duration,
    /// How long it may be silent within a message (RFC 5321 §4.5.3.2.5: three minutes).
    pub data_timeout: Duration,
}

impl SmtpConfig {
    /// The defaults for a node of this name.
    pub fn new(hostname: impl Into<String>) -> Self {
        SmtpConfig {
            hostname: hostname.into(),
            max_message_bytes: 10_240_000,
            recipients_max: 1_000,
            hops_max: 100,
            duplicate_suppression: true,
            quota_failure_permanent: false,
            refuse_bare_lf: true,
            auth_without_tls: false,
            command_timeout: Duration::from_secs(300),
            hold_max: Duration::from_secs(30 * 24 * 3_600),
            data_timeout: Duration::from_secs(180),
        }
    }

    /// With what the cluster's config attributes say.
    #[must_use]
    pub fn with_attributes(mut self, config: &Attributes) -> Self {
        if let Some(max) = config.get("zimbraMtaMaxMessageSize").and_then(|v| v.parse().ok()).filter(|n| *n > 0) {
            self.max_message_bytes = max;
        }
        if let Some(hops) = config.get("zimbraMtaHopcountLimit").and_then(|v| v.parse().ok()).filter(|n| *n > 0) {
            self.hops_max = hops;
        }
        if let Some(permanent) = config.get("zimbraLmtpPermanentFailureWhenOverQuota") {
            self.quota_failure_permanent = permanent == "TRUE";
        }
        self
    }
}
