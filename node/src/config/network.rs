//! `[node]`, `[tls]`, `[acme]`, `[ldap]`, `[proxy_protocol]`, `[dns]`: where the node is and who it talks through.

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use zcluster_listener::Networks;

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
    /// A file of attributes that the site adds to Zimbra's (docs/directory.md).
    pub schema_extension: Option<PathBuf>,
}

impl Default for Node {
    fn default() -> Self {
        Node {
            listen: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            advertise: None,
            zone: "default".into(),
            schema_extension: None,
        }
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

/// Where an ACME authority reaches this node. What is ordered is said by the cluster's `zclusterAcme...` attributes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Acme {
    /// Port for the challenge `tls-alpn-01`; authorities connect to 443.
    pub tls_port: u16,
    /// Port for the challenge `http-01`; authorities connect to 80.
    pub http_port: u16,
}

impl Default for Acme {
    fn default() -> Self {
        Acme { tls_port: 443, http_port: 80 }
    }
}

impl Acme {
    /// Both ports moved, as `--base-port` moves those of services.
    pub(super) fn at_base(base: u16) -> Self {
        Acme { tls_port: base + 44, http_port: base + 80 }
    }
}

/// LDAP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LdapSettings {
    /// Authorities (PEM) whose certificates clients may sign in with (SASL EXTERNAL).
    pub client_authorities: Option<PathBuf>,
    /// Entries of a search for who is no administrator.
    pub user_size_limit: u32,
}

impl Default for LdapSettings {
    fn default() -> Self {
        LdapSettings { client_authorities: None, user_size_limit: 1_000 }
    }
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
    pub(super) fn check(&self) -> Result<()> {
        let known = [
            "smtp",
            "lmtp",
            "submission",
            "submissions",
            "imap",
            "imaps",
            "pop3",
            "pop3s",
            "managesieve",
            "ldap",
            "ldaps",
        ];
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
