//! What an operator may set, and the bounds that are fixed.

use std::time::Duration;

/// Settings of the POP3 service.
#[derive(Clone, Debug)]
pub struct Config {
    /// USER and AUTH without TLS. Loopback clients always may: nobody listens there.
    pub allow_plaintext_auth: bool,
    /// Silence after which a signed-in client is disconnected (RFC 1939 §3: at least 10 minutes).
    pub idle_timeout: Duration,
    /// Silence after which a client that has not signed in is disconnected.
    pub login_timeout: Duration,
    /// How long a call into the cluster may take, over all its retries.
    pub call_timeout: Duration,
    /// The least time between the beginnings of an account's sessions on this node (RFC 2449 §6.5); zero = none.
    pub login_delay: Duration,
    /// What the server calls itself in CAPA's IMPLEMENTATION and in the greeting.
    pub implementation: String,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            allow_plaintext_auth: false,
            idle_timeout: Duration::from_secs(10 * 60),
            login_timeout: Duration::from_secs(3 * 60),
            call_timeout: Duration::from_secs(20),
            login_delay: Duration::ZERO,
            implementation: "zcluster".into(),
        }
    }
}

/// Bytes of a command line without its CRLF (RFC 2449 §4 allows 255 octets with it).
pub const LINE_BYTES_MAX: usize = 255;
/// The same before sign-in, for long passwords and initial SASL responses (RFC 4954 §4 takes 12,288).
pub const LOGIN_LINE_BYTES_MAX: usize = 12 * 1024 + 512;
/// Commands that failed, before the connection is closed.
pub const ERRORS_MAX: u32 = 50;
/// Refused sign-ins before the connection is closed.
pub const LOGIN_FAILURES_MAX: u32 = 5;
/// Messages one session sees, the oldest first: some 16 MiB.
pub const MESSAGES_MAX: usize = 1_000_000;
/// Body references fetched ahead of a client that retrieves one message after the other.
pub const BLOBS_AHEAD: usize = 32;
/// Accounts whose last session is remembered for LOGIN-DELAY.
pub const DELAYS_MAX: usize = 100_000;
