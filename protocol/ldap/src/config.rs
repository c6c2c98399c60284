//! What an operator may set, and the bounds that are fixed.

use std::time::Duration;

/// Settings of the LDAP service.
#[derive(Clone, Debug)]
pub struct Config {
    /// Passwords without TLS. Loopback clients always may send them so: nobody listens there.
    pub allow_plaintext_auth: bool,
    /// Silence after which a signed-in client is disconnected; programs keep such connections for their next question.
    pub idle_timeout: Duration,
    /// Silence after which a client that has not signed in is disconnected.
    pub login_timeout: Duration,
    /// Entries of one search for who is no administrator; administrators get what they ask for.
    pub user_size_limit: u32,
    /// The longest a search may take, whatever the client says.
    pub time_limit: Duration,
    /// Shown as `vendorVersion` in the root DSE.
    pub version: String,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            allow_plaintext_auth: false,
            idle_timeout: Duration::from_secs(30 * 60),
            login_timeout: Duration::from_secs(60),
            user_size_limit: 1_000,
            time_limit: Duration::from_secs(3_600),
            version: String::new(),
        }
    }
}

/// Bytes of a message before sign-in: credentials, a question for the root DSE.
pub const ANONYMOUS_MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a message once signed in: a list with very many members.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Values (and filters, and names of attributes) in one message: each costs more memory than it has bytes.
pub const ELEMENTS_MAX: usize = 200_000;
/// Filters inside filters. The directory allows a few more, which translation may need.
pub const FILTER_DEPTH_MAX: usize = 24;
/// Comparisons in one filter.
pub const FILTER_ITEMS_MAX: usize = 4_096;
/// Controls of one message.
pub const CONTROLS_MAX: usize = 16;
/// Bytes of requests that may wait while a search is answered.
pub const PIPELINE_BYTES_MAX: usize = 1024 * 1024;
/// Messages one after the other that made no sense, before the connection is closed.
pub const BAD_MESSAGES_MAX: u32 = 20;
/// Refused sign-ins before the connection is closed.
pub const LOGIN_FAILURES_MAX: u32 = 5;
/// Entries asked of the directory at once.
pub const PAGE: u32 = 256;
/// Entries that are sorted for one search, and their bytes.
pub const SORT_ENTRIES_MAX: usize = 20_000;
/// Bytes of what is kept for sorting.
pub const SORT_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Keys to sort by.
pub const SORT_KEYS_MAX: usize = 8;
/// Domains that the tree is drawn from.
pub const DOMAINS_MAX: usize = 100_000;
/// How long the list of domains is believed.
pub const DOMAINS_TTL: Duration = Duration::from_secs(2);
/// Entries that one content synchronisation follows.
pub const SYNC_ENTRIES_MAX: usize = 100_000;
/// Content synchronisations of this node that wait for changes.
pub const SYNC_SESSIONS_MAX: usize = 16;
/// How often a content synchronisation looks whether something has changed.
pub const SYNC_POLL: Duration = Duration::from_secs(1);
