//! The TOML configuration file. `deploy/zcluster.example.toml` documents every key.

use crate::config_screen::Screen;
use crate::ports::Ports;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use zcluster_listener::Networks;

/// All settings of one node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the node is.
    pub node: Node,
    /// Where services listen.
    pub ports: Ports,
    /// The certificate that clients see.
    pub tls: Tls,
    /// Load balancers in front.
    pub proxy_protocol: ProxyProtocol,
    /// Where names are looked up.
    pub dns: Dns,
    /// Mail rules.
    pub mail: Mail,
    /// Sending to other hosts.
    pub relay: Relay,
    /// Content and sender checks.
    pub screen: Screen,
    /// Ways to sign in.
    pub auth: Auth,
    /// Signing in with tokens.
    pub oauth: Oauth,
    /// Bounds per listener.
    pub limits: Limits,
    /// Memory and disk.
    pub storage: Storage,
    /// Failure detection.
    pub raft: Raft,
    /// Logs.
    pub log: Log,
}

/// Where the node is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Node {
    /// Address to bind.
    pub listen: IpAddr,
    /// Name or address that peers and clients use.
    pub advertise: Option<String>,
    /// Failure domain.
    pub zone: String,
}

impl Default for Node {
    fn default() -> Self {
        Node { listen: IpAddr::V4(Ipv4Addr::UNSPECIFIED), advertise: None, zone: "default".into() }
    }
}

/// The certificate that clients see.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// PEM chain, leaf first.
    pub certificate: Option<PathBuf>,
    /// PEM key.
    pub key: Option<PathBuf>,
    /// A folder with more pairs, `NAME/fullchain.pem` and `NAME/privkey.pem`, for clients that name a host.
    pub directory: Option<PathBuf>,
    /// Seconds between two looks at it.
    pub poll_seconds: Option<u64>,
}

/// Load balancers that tell who the client is (PROXY protocol, versions 1 and 2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProxyProtocol {
    /// Services whose ports they may connect to.
    pub services: Vec<String>,
    /// Their networks.
    pub trusted: Vec<String>,
}

impl ProxyProtocol {
    fn check(&self) -> Result<()> {
        let known = ["smtp", "lmtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s", "managesieve"];
        if let Some(other) = self.services.iter().find(|s| !known.contains(&s.as_str())) {
            bail!("proxy_protocol.services: {other:?} is none of {}", known.join(", "));
        }
        let (networks, strange) = self.networks();
        if let Some(other) = strange.first() {
            bail!("proxy_protocol.trusted: {other:?} is no network");
        }
        if !self.services.is_empty() && networks.is_empty() {
            bail!("proxy_protocol.trusted must name the networks of the load balancers");
        }
        Ok(())
    }

    /// The networks, and what is none.
    pub fn networks(&self) -> (Networks, Vec<String>) {
        Networks::parse(&self.trusted.join(" "))
    }
}

/// Where names are looked up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dns {
    /// Resolvers; none: those of `/etc/resolv.conf`.
    pub servers: Vec<SocketAddr>,
}

/// Mail rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mail {
    /// What the node calls itself in greetings and `Received`.
    pub hostname: Option<String>,
    /// Bytes of one message.
    pub max_message_bytes: u64,
    /// Bytes of all messages being received at a time.
    pub receive_memory_bytes: u64,
    /// Whether passwords may be sent without TLS.
    pub plaintext_auth: Option<bool>,
    /// Whether messages with a bare LF are refused.
    pub refuse_bare_lf: bool,
    /// Seconds a signed-in IMAP client may be silent.
    pub imap_idle_seconds: u64,
    /// Seconds a mailbox may take to accept a message.
    pub delivery_seconds: u64,
    /// Seconds between the beginnings of two POP3 sessions of an account.
    pub pop3_login_delay_seconds: u64,
}

impl Default for Mail {
    fn default() -> Self {
        Mail {
            hostname: None,
            max_message_bytes: 50 * 1024 * 1024,
            receive_memory_bytes: 512 * 1024 * 1024,
            plaintext_auth: None,
            refuse_bare_lf: true,
            imap_idle_seconds: 1_800,
            delivery_seconds: 30,
            pop3_login_delay_seconds: 0,
        }
    }
}

/// Sending to other hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Relay {
    /// Port of hosts that MX records name.
    pub port: u16,
    /// Port at which MTA-STS policies are fetched.
    pub sts_port: u16,
    /// DNS servers; none: the system's.
    pub resolvers: Vec<SocketAddr>,
    /// Whether DNS answers are validated, which DANE needs.
    pub dnssec: bool,
    /// Whether hosts are spoken to over IPv6 too.
    pub ipv6: bool,
    /// Conversations with one destination at a time.
    pub concurrency: usize,
    /// PEM certificates trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Passwords for smart hosts.
    pub credentials_file: Option<PathBuf>,
}

impl Default for Relay {
    fn default() -> Self {
        Relay {
            port: 25,
            sts_port: 443,
            resolvers: Vec::new(),
            dnssec: true,
            ipv6: true,
            concurrency: 20,
            ca_file: None,
            credentials_file: None,
        }
    }
}

/// Ways to sign in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// Whether SCRAM-SHA-256 is offered.
    pub scram: bool,
    /// PEM file of certificate authorities to believe, besides the system's, when other directories are asked
    /// (`zimbraAuthMech` ldap and ad, `zimbraAutoProvLdap...`).
    pub ldap_ca: Option<PathBuf>,
    /// Seconds that a server of another directory may take to be reached.
    pub ldap_connect_seconds: u64,
    /// Seconds that it may take to answer.
    pub ldap_answer_seconds: u64,
}

impl Default for Auth {
    fn default() -> Self {
        Auth { scram: true, ldap_ca: None, ldap_connect_seconds: 5, ldap_answer_seconds: 10 }
    }
}

/// Signing in with tokens (OAUTHBEARER, XOAUTH2); off without an issuer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Oauth {
    /// Who makes the tokens: their `iss`.
    pub issuer: Option<String>,
    /// What must be among their `aud`.
    pub audience: Option<Vec<String>>,
    /// The claim that holds the account's address.
    pub username_claim: String,
    /// Scopes a token needs.
    pub scopes: Vec<String>,
    /// The issuer's keys, a JSON Web Key Set.
    pub jwks_file: Option<PathBuf>,
    /// Where the issuer is asked about tokens (RFC 7662).
    pub introspection_url: Option<String>,
    /// As whom.
    pub client_id: Option<String>,
    /// With which secret.
    pub client_secret_file: Option<PathBuf>,
    /// The issuer's `openid-configuration`, told to clients.
    pub discovery_url: Option<String>,
}

impl Default for Oauth {
    fn default() -> Self {
        Oauth {
            issuer: None,
            audience: None,
            username_claim: "email".into(),
            scopes: Vec::new(),
            jwks_file: None,
            introspection_url: None,
            client_id: None,
            client_secret_file: None,
            discovery_url: None,
        }
    }
}

impl Oauth {
    fn check(&self) -> Result<()> {
        if self.issuer.is_none() {
            return Ok(());
        }
        if self.audience.as_ref().is_none_or(Vec::is_empty) {
            bail!("oauth.audience must say whom tokens are for: without it those for other services would do");
        }
        if self.jwks_file.is_none() && self.introspection_url.is_none() {
            bail!("oauth: set jwks_file or introspection_url, by which tokens are checked");
        }
        if let Some(url) = &self.introspection_url
            && !url.starts_with("https://")
            && !url.starts_with("http://")
        {
            bail!("oauth.introspection_url is {url:?}: it must begin with https://");
        }
        if self.client_id.is_some() != self.client_secret_file.is_some() {
            bail!("oauth.client_id and oauth.client_secret_file belong together");
        }
        Ok(())
    }
}

/// Bounds per listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections to one port at a time.
    pub connections: usize,
    /// Connections from one address to one port; 0 = no limit.
    pub connections_per_address: usize,
    /// Seconds sessions may go on when the node stops.
    pub stop_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { connections: 20_000, connections_per_address: 1_000, stop_seconds: 5 }
    }
}

/// Memory and disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Storage {
    /// Bytes of the state database's block cache.
    pub cache_bytes: u64,
    /// Bytes of the state database's write buffers.
    pub write_buffer_bytes: u64,
    /// Bytes of memory for what searches have read of folders; 0: nothing is kept between searches.
    pub folder_index_bytes: u64,
}

impl Default for Storage {
    fn default() -> Self {
        Storage {
            cache_bytes: 256 * 1024 * 1024,
            write_buffer_bytes: 128 * 1024 * 1024,
            folder_index_bytes: 128 * 1024 * 1024,
        }
    }
}

/// Failure detection. The same on every node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Raft {
    /// Milliseconds between two heartbeats of a leader.
    pub heartbeat_ms: u64,
    /// Shortest wait before an election, milliseconds.
    pub election_min_ms: u64,
    /// Longest wait before an election, and a leader's lease, milliseconds.
    pub election_max_ms: u64,
}

impl Default for Raft {
    fn default() -> Self {
        Raft { heartbeat_ms: 250, election_min_ms: 700, election_max_ms: 1_000 }
    }
}

/// Logs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Text or JSON.
    pub format: LogFormat,
    /// A level, or `tracing` directives.
    pub filter: String,
}

impl Default for Log {
    fn default() -> Self {
        Log { format: LogFormat::Text, filter: "info".into() }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// What the command line says about where a node is; stands above the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Overrides {
    /// The configuration file.
    pub config: Option<PathBuf>,
    /// Moves all ports.
    pub base_port: Option<u16>,
    /// Address to bind.
    pub listen: Option<IpAddr>,
    /// Name or address to tell others.
    pub advertise: Option<String>,
}

impl Overrides {
    /// Moved ports are for tests and demos: without a word on where to listen, they stay on this machine.
    pub fn with_defaults(self) -> Overrides {
        let listen = self.listen.or(self.base_port.map(|_| IpAddr::V4(Ipv4Addr::LOCALHOST)));
        Overrides { listen, ..self }
    }

    /// `newer` where it says something, else `self`.
    pub fn with(self, newer: Overrides) -> Overrides {
        Overrides {
            config: newer.config.or(self.config),
            base_port: newer.base_port.or(self.base_port),
            listen: newer.listen.or(self.listen),
            advertise: newer.advertise.or(self.advertise),
        }
    }
}

impl Config {
    /// Parses TOML. Unknown keys are errors.
    ///
    /// # Errors
    /// Says which key is the matter, and where.
    pub fn parse(text: &str) -> Result<Config> {
        let config: Config = toml::from_str(text)?;
        config.check()?;
        Ok(config)
    }

    /// The file (if any) with the command line's overrides.
    ///
    /// # Errors
    /// An unreadable file or settings that make no sense.
    pub fn load(overrides: &Overrides) -> Result<Config> {
        let mut config = match &overrides.config {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read the configuration file {}", path.display()))?;
                let config = Config::parse(&text).with_context(|| format!("in {}", path.display()))?;
                config.relative_to(path)
            }
            None => Config::default(),
        };
        if let Some(base) = overrides.base_port {
            config.ports = Ports::at_base(base)?;
        }
        if let Some(listen) = overrides.listen {
            config.node.listen = listen;
        }
        if let Some(advertise) = &overrides.advertise {
            config.node.advertise = Some(advertise.clone());
        }
        config.check()?;
        Ok(config)
    }

    /// Paths are relative to the file that names them; who has no resolvers of its own asks those of `dns`.
    fn relative_to(mut self, file: &Path) -> Config {
        let dir = file.parent().unwrap_or(Path::new("."));
        for resolvers in [&mut self.relay.resolvers, &mut self.screen.resolvers] {
            if resolvers.is_empty() {
                resolvers.clone_from(&self.dns.servers);
            }
        }
        let (oauth, relay, tls) = (&mut self.oauth, &mut self.relay, &mut self.tls);
        let paths = [
            &mut tls.certificate,
            &mut tls.key,
            &mut tls.directory,
            &mut self.auth.ldap_ca,
            &mut oauth.jwks_file,
            &mut oauth.client_secret_file,
            &mut relay.ca_file,
            &mut relay.credentials_file,
            &mut self.screen.rspamd_password_file,
        ];
        for path in paths.into_iter().flatten() {
            *path = dir.join(&path);
        }
        self
    }

    fn check(&self) -> Result<()> {
        self.ports.check()?;
        self.oauth.check()?;
        self.screen.check()?;
        self.proxy_protocol.check()?;
        if self.tls.certificate.is_some() != self.tls.key.is_some() {
            bail!("tls.certificate and tls.key belong together: set both, or none for a self-signed certificate");
        }
        if let Some(advertise) = &self.node.advertise
            && (advertise.is_empty() || advertise.contains([' ', '/', '@']) || is_host_and_port(advertise))
        {
            bail!("node.advertise is {advertise:?}: it must be a host name or an address, without a port");
        }
        if self.relay.port == 0 || self.relay.sts_port == 0 || self.relay.concurrency == 0 {
            bail!("relay.port, relay.sts_port and relay.concurrency must be above 0");
        }
        let raft = &self.raft;
        if raft.heartbeat_ms == 0
            || raft.election_min_ms < 2 * raft.heartbeat_ms
            || raft.election_max_ms <= raft.election_min_ms
        {
            bail!(
                "raft: election_min_ms must be at least twice heartbeat_ms, and election_max_ms above election_min_ms"
            );
        }
        Ok(())
    }

    /// What peers and clients use.
    pub fn advertise(&self) -> String {
        match &self.node.advertise {
            Some(name) => name.clone(),
            None if self.node.listen.is_unspecified() => own_hostname(),
            None => self.node.listen.to_string(),
        }
    }

    /// `host:port` of this node's rpc service, for peers.
    pub fn rpc_address(&self) -> String {
        host_port(&self.advertise(), self.ports.rpc)
    }

    /// Where a service binds.
    pub fn bind(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.node.listen, port)
    }

    /// Where a command on this machine reaches a service.
    pub fn local(&self, port: u16) -> SocketAddr {
        let ip = match self.node.listen {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        SocketAddr::new(ip, port)
    }

    /// Whether passwords may be sent without TLS: by default only where nobody but this machine can connect.
    pub fn plaintext_auth(&self) -> bool {
        self.mail.plaintext_auth.unwrap_or_else(|| self.node.listen.is_loopback())
    }

    /// What the node calls itself towards mail programs.
    pub fn hostname(&self) -> String {
        self.mail.hostname.clone().unwrap_or_else(|| match self.advertise() {
            // RFC 5321 §4.1.3: an address is written as a literal.
            name if name.parse::<Ipv4Addr>().is_ok() => format!("[{name}]"),
            name if name.parse::<IpAddr>().is_ok() => format!("[IPv6:{name}]"),
            name => name,
        })
    }
}

/// `host:port`, with brackets around IPv6 addresses.
pub fn host_port(host: &str, port: u16) -> String {
    if host.parse::<std::net::Ipv6Addr>().is_ok() { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn is_host_and_port(text: &str) -> bool {
    text.parse::<IpAddr>().is_err() && text.contains(':')
}

fn own_hostname() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "localhost".into(),
        name => name.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::BTreeMap;

    /// The example with its commented-out keys (`#key = value`, no space) switched on.
    fn example() -> String {
        let text = include_str!("../../deploy/zcluster.example.toml");
        let on = |line: &str| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase()) => rest.to_string(),
            _ => line.to_string(),
        };
        text.lines().map(|line| on(line) + "\n").collect()
    }

    fn flat(value: &Value, at: &str, out: &mut BTreeMap<String, Value>) {
        match value {
            Value::Object(map) => map.iter().for_each(|(k, v)| flat(v, &format!("{at}.{k}"), out)),
            other => drop(out.insert(at.to_string(), other.clone())),
        }
    }

    #[test]
    fn the_example_documents_every_key_with_its_default() {
        let text = example();
        let config = Config::parse(&text).unwrap();
        let (mut have, mut want, mut defaults) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        flat(&serde_json::to_value(toml::from_str::<toml::Value>(&text).unwrap()).unwrap(), "", &mut have);
        flat(&serde_json::to_value(&config).unwrap(), "", &mut want);
        flat(&serde_json::to_value(Config::default()).unwrap(), "", &mut defaults);
        assert_eq!(have.keys().collect::<Vec<_>>(), want.keys().collect::<Vec<_>>());
        for (key, default) in defaults.into_iter().filter(|(_, v)| !v.is_null()) {
            assert_eq!(have[&key], default, "the example's {key} is not the default");
        }
        Config::parse(include_str!("../../deploy/zcluster.example.toml")).unwrap();
    }

    #[test]
    fn unknown_keys_and_nonsense_are_errors() {
        for (text, want) in [
            ("[node]\nlissten = \"::\"", "lissten"),
            ("[nodes]", "nodes"),
            ("[node]\nadvertise = \"a:25\"", "without a port"),
            ("[tls]\ncertificate = \"x\"", "belong together"),
            ("[raft]\nheartbeat_ms = 900", "raft"),
            ("[ports]\nimap = 25", "both 25"),
            ("[screen]\nclamd = [\"localhost\"]", "screen.clamd"),
            ("[screen]\nrspamd = [\"a:1\"]\nspamd = [\"a:2\"]", "not both"),
            ("[proxy_protocol]\nservices = [\"smpt\"]", "none of"),
            ("[proxy_protocol]\nservices = [\"smtp\"]", "must name the networks"),
            ("[proxy_protocol]\ntrusted = [\"10.0.0.0/99\"]", "no network"),
            ("[oauth]\nissuer = \"x\"\njwks_file = \"k\"", "oauth.audience"),
            ("[oauth]\nissuer = \"x\"\naudience = [\"m\"]", "set jwks_file or"),
            ("[oauth]\nissuer = \"x\"\naudience = [\"m\"]\nintrospection_url = \"y\"", "https://"),
        ] {
            let e = format!("{:#}", Config::parse(text).unwrap_err());
            assert!(e.contains(want), "{text}: {e}");
        }
    }

    #[test]
    fn overrides_stand_above_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.toml");
        std::fs::write(&path, "[node]\nlisten = \"10.0.0.1\"\n[tls]\ncertificate = \"c.pem\"\nkey = \"/k.pem\"")
            .unwrap();
        let over = Overrides { config: Some(path), base_port: Some(12_000), ..Overrides::default() };
        let config = Config::load(&over).unwrap();
        assert_eq!(config.rpc_address(), "10.0.0.1:12007");
        assert_eq!(config.tls.certificate.as_deref(), Some(dir.path().join("c.pem").as_path()));
        assert_eq!(config.tls.key.as_deref(), Some(Path::new("/k.pem")));
        let newer = over.with(Overrides { listen: Some("::1".parse().unwrap()), ..Overrides::default() });
        let config = Config::load(&newer).unwrap();
        assert_eq!(config.rpc_address(), "[::1]:12007");
        assert!(config.plaintext_auth());
        assert_eq!(config.hostname(), "[IPv6:::1]");
    }
}
