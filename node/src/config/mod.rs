//! The TOML configuration file. `deploy/zcluster.example.toml` documents every key.

mod machine;
mod mail;
mod network;
mod oauth;
mod overrides;
mod reports;
mod screen;

use crate::ports::Ports;
use anyhow::{Context, Result, bail};
pub use machine::{Limits, Log, LogFormat, Raft, Search, Storage};
pub use mail::{Auth, Mail, Relay};
pub use network::{Acme, Dns, LdapSettings, Node, ProxyProtocol, Tls};
pub use oauth::Oauth;
pub use overrides::Overrides;
pub use reports::Reports;
pub use screen::{Screen, SenderMode};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

/// What the index needs to write at all.
const WRITER_BYTES_MIN: u64 = 15_000_000;

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
    /// Where certificates are proven.
    pub acme: Acme,
    /// LDAP.
    pub ldap: LdapSettings,
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
    /// What domains are told about their mail.
    pub reports: Reports,
    /// Ways to sign in.
    pub auth: Auth,
    /// Signing in with tokens.
    pub oauth: Oauth,
    /// Bounds per listener.
    pub limits: Limits,
    /// Memory and disk.
    pub storage: Storage,
    /// Indexes of texts.
    pub search: Search,
    /// Failure detection.
    pub raft: Raft,
    /// Logs.
    pub log: Log,
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
            config.acme = Acme::at_base(base);
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
            &mut self.node.schema_extension,
            &mut tls.certificate,
            &mut tls.key,
            &mut tls.directory,
            &mut self.auth.ldap_ca,
            &mut self.ldap.client_authorities,
            &mut oauth.jwks_file,
            &mut oauth.client_secret_file,
            &mut relay.ca_file,
            &mut relay.credentials_file,
            &mut relay.trust_anchor,
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
        self.reports.check()?;
        if self.reports.dmarc && self.screen.sender == SenderMode::Off {
            bail!("reports.dmarc needs screen.sender: what is not looked at cannot be reported");
        }
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
        if self.search.every_seconds == 0 || self.search.parallel == 0 || self.search.writer_bytes < WRITER_BYTES_MIN {
            bail!(
                "search.every_seconds and search.parallel must be above 0, search.writer_bytes at least {WRITER_BYTES_MIN}"
            );
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
        let text = include_str!("../../../deploy/zcluster.example.toml");
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
        Config::parse(include_str!("../../../deploy/zcluster.example.toml")).unwrap();
    }

    #[test]
    fn unknown_keys_and_nonsense_are_errors() {
        for (text, want) in [
            ("[reports]\nhour = 24", "reports.hour"),
            ("[reports]\ncontact = \"a@b\\nBcc: c@d\"", "reports.contact"),
            ("[reports]\ndmarc = true", "reports.dmarc needs screen.sender"),
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
