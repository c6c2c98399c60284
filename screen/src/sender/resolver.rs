//! DNS for sender authentication.

use mail_auth::MessageAuthenticator;
use mail_auth::hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use mail_auth::hickory_resolver::system_conf::read_system_conf;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Answers kept in memory.
const CACHE_ANSWERS: u64 = 10_000;
/// Large messages that are hashed at a time, each on a thread.
const LARGE_MAX: usize = 8;

/// Settings of DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolverSettings {
    /// Recursive servers; with none those of `/etc/resolv.conf`.
    pub servers: Vec<SocketAddr>,
    /// For one question to one server.
    pub query: Duration,
    /// For all that is asked about one message.
    pub total: Duration,
}

/// DNS with a cache.
pub struct Resolver {
    authenticator: MessageAuthenticator,
    settings: ResolverSettings,
    large: Semaphore,
}

impl Resolver {
    /// A resolver.
    ///
    /// # Errors
    /// Without servers, when `/etc/resolv.conf` cannot be used.
    pub fn new(settings: ResolverSettings) -> Result<Self, String> {
        let (config, mut options) = if settings.servers.is_empty() {
            read_system_conf().map_err(|e| format!("/etc/resolv.conf: {e}"))?
        } else {
            let servers = settings.servers.iter().map(|addr| name_server(*addr)).collect();
            (ResolverConfig::from_parts(None, Vec::new(), servers), ResolverOpts::default())
        };
        options.timeout = settings.query;
        options.attempts = 1;
        options.cache_size = CACHE_ANSWERS;
        options.edns0 = true;
        // Names in mail are whole: the search list of this host would make others of them.
        let config = ResolverConfig::from_parts(None, Vec::new(), config.name_servers().to_vec());
        let authenticator = MessageAuthenticator::new(config, options).map_err(|e| e.to_string())?;
        Ok(Resolver { authenticator, settings, large: Semaphore::new(LARGE_MAX) })
    }

    /// The settings.
    pub fn settings(&self) -> &ResolverSettings {
        &self.settings
    }

    pub(crate) fn authenticator(&self) -> &MessageAuthenticator {
        &self.authenticator
    }

    pub(crate) fn large_turns(&self) -> &Semaphore {
        &self.large
    }
}

fn name_server(addr: SocketAddr) -> NameServerConfig {
    let at_port = |mut connection: ConnectionConfig| {
        connection.port = addr.port();
        connection
    };
    let connections = vec![at_port(ConnectionConfig::udp()), at_port(ConnectionConfig::tcp())];
    NameServerConfig::new(addr.ip(), true, connections)
}
