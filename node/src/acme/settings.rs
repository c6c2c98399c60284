//! What the cluster's attributes say about certificates, and for which names they are wanted.

use std::collections::BTreeSet;
use std::net::IpAddr;
use zcluster_api::directory::{Attributes, Domain, Node, NodeState};
use zcluster_api::{DirectoryApi, DirectoryQuery, DirectoryReply, Error, Freshness, Result};

/// The authority that is asked when none is named.
const AUTHORITY: &str = "https://acme-v02.api.letsencrypt.org/directory";
/// Names of one cluster at most.
const NAMES_MAX: usize = 50_000;
/// Top-level names that no authority signs for (RFC 6761, RFC 8375, RFC 9476 and use).
const PRIVATE: [&str; 8] = ["localhost", "local", "internal", "lan", "invalid", "onion", "arpa", "alt"];

/// How names are proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// RFC 8737.
    TlsAlpn,
    /// RFC 8555 §8.3.
    Http,
}

/// What is wanted.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// `zclusterAcmeDirectory`: the authority's directory.
    pub authority: String,
    /// `zclusterAcmeContact`, as `mailto:` URLs.
    pub contacts: Vec<String>,
    /// `zclusterAcmeChallenge`.
    pub challenge: Challenge,
    /// `zclusterAcmeExternalAccount`: key id and base64url key of an account that there is already (RFC 8555 §7.3.4).
    pub external: Option<(String, String)>,
    /// `zclusterAcmeServerCertificate`: what the authority's own certificate is signed with, PEM, beside the system's.
    pub server_certificate: Option<String>,
    /// `zclusterAcmeHostname` and `zimbraPublicServiceHostname` of the whole cluster.
    more: Vec<String>,
    /// `!name` of `zclusterAcmeHostname`.
    without: Vec<String>,
}

impl Settings {
    /// `None`: certificates are not ordered (`zclusterAcmeEnabled`).
    fn of(config: &Attributes) -> Option<Settings> {
        if config.get("zclusterAcmeEnabled") != Some("TRUE") {
            return None;
        }
        let contacts = config.all("zclusterAcmeContact").iter();
        let contacts = contacts.map(|c| if c.contains(':') { c.clone() } else { format!("mailto:{c}") });
        let external = config.get("zclusterAcmeExternalAccount").and_then(|v| v.trim().split_once(' '));
        let (mut more, mut without) = (config.all("zimbraPublicServiceHostname").to_vec(), Vec::new());
        for name in config.all("zclusterAcmeHostname").iter().flat_map(|v| v.split([' ', ','])) {
            match name.strip_prefix('!') {
                Some(name) => without.push(name.to_ascii_lowercase()),
                None => more.push(name.to_string()),
            }
        }
        Some(Settings {
            authority: config.get("zclusterAcmeDirectory").unwrap_or(AUTHORITY).to_string(),
            contacts: contacts.collect(),
            challenge: match config.get("zclusterAcmeChallenge") {
                Some("http-01") => Challenge::Http,
                _ => Challenge::TlsAlpn,
            },
            external: external.map(|(id, key)| (id.to_string(), key.trim().to_string())),
            server_certificate: config.get("zclusterAcmeServerCertificate").map(str::to_string),
            more,
            without,
        })
    }

    /// As they are now.
    ///
    /// # Errors
    /// The directory's.
    pub async fn read(directory: &dyn DirectoryApi) -> Result<Option<Settings>> {
        match directory.read(DirectoryQuery::Cluster, Freshness::Local).await? {
            DirectoryReply::Cluster(cluster) => Ok(Settings::of(&cluster.config)),
            other => Err(Error::Internal(format!("unexpected reply {other:?}"))),
        }
    }

    /// The names that certificates are wanted for: of this list, of domains, of nodes.
    ///
    /// # Errors
    /// The directory's.
    pub async fn names(&self, directory: &dyn DirectoryApi) -> Result<BTreeSet<String>> {
        let domains = match directory.read(DirectoryQuery::Domains, Freshness::Local).await? {
            DirectoryReply::Domains(domains) => domains,
            other => return Err(Error::Internal(format!("unexpected reply {other:?}"))),
        };
        let nodes = match directory.read(DirectoryQuery::Nodes, Freshness::Local).await? {
            DirectoryReply::Nodes(nodes) => nodes,
            other => return Err(Error::Internal(format!("unexpected reply {other:?}"))),
        };
        Ok(self.names_of(&domains, &nodes))
    }

    fn names_of(&self, domains: &[Domain], nodes: &[Node]) -> BTreeSet<String> {
        let of_domains =
            domains.iter().filter(|d| d.attrs.get("zimbraDomainStatus") != Some("shutdown")).flat_map(|d| {
                d.attrs.all("zimbraVirtualHostname").iter().chain(d.attrs.all("zimbraPublicServiceHostname"))
            });
        let of_nodes = nodes.iter().filter(|n| n.state != NodeState::Removed).map(|n| &n.advertise);
        let all = self.more.iter().chain(of_nodes).chain(of_domains).map(|name| name.trim().to_ascii_lowercase());
        all.filter(|name| is_public(name) && !self.without.contains(name)).take(NAMES_MAX).collect()
    }
}

/// Whether an authority may sign for a name by these challenges: a host name with a domain, no wildcard, no address.
pub fn is_public(name: &str) -> bool {
    let label = |l: &str| {
        !l.is_empty()
            && l.len() <= 63
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= 253
        && name.contains('.')
        && name.split('.').all(label)
        && name.parse::<IpAddr>().is_err()
        && !PRIVATE.contains(&last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use zcluster_api::{AccountId, NodeId};

    fn attributes(list: &[(&str, &[&str])]) -> Attributes {
        let mut out = Attributes::new();
        for (name, values) in list {
            out.set(name, values.iter().map(|v| v.to_string()).collect());
        }
        out
    }

    fn node(number: u32, advertise: &str, state: NodeState) -> Node {
        Node {
            id: NodeId::new(number, 0),
            rpc: String::new(),
            advertise: advertise.into(),
            ports: BTreeMap::new(),
            state,
            zone: String::new(),
            version: String::new(),
        }
    }

    #[test]
    fn names_of_the_cluster_its_domains_and_nodes() {
        assert!(Settings::of(&attributes(&[("zclusterAcmeEnabled", &["FALSE"])])).is_none());
        let settings = Settings::of(&attributes(&[
            ("zclusterAcmeEnabled", &["TRUE"]),
            ("zclusterAcmeHostname", &["MX.example.com, autoconfig.example.com", "!n2.example.com"]),
            ("zimbraPublicServiceHostname", &["mail.example.com"]),
            ("zclusterAcmeContact", &["postmaster@example.com"]),
        ]));
        let settings = settings.unwrap();
        assert_eq!((settings.authority.as_str(), settings.challenge), (AUTHORITY, Challenge::TlsAlpn));
        assert_eq!(settings.contacts, ["mailto:postmaster@example.com"]);
        let domain = |name: &str, attrs| Domain { id: AccountId([1; 16]), name: name.into(), attrs };
        let domains = [
            domain("a.example", attributes(&[("zimbraVirtualHostname", &["mail.a.example", "webmail.a.example"])])),
            domain("b.example", attributes(&[("zimbraPublicServiceHostname", &["mail.a.example"])])),
            domain("c.example", attributes(&[("zimbraVirtualHostname", &["*.c.example", "c", "192.0.2.1", "m.lan"])])),
            domain(
                "d.example",
                attributes(&[("zimbraVirtualHostname", &["d.d"]), ("zimbraDomainStatus", &["shutdown"])]),
            ),
        ];
        let nodes = [
            node(1, "N1.example.com", NodeState::Active),
            node(2, "n2.example.com", NodeState::Active),
            node(3, "n3.example.com", NodeState::Removed),
            node(4, "10.0.0.4", NodeState::Active),
        ];
        let names: Vec<_> = settings.names_of(&domains, &nodes).into_iter().collect();
        assert_eq!(
            names,
            [
                "autoconfig.example.com",
                "mail.a.example",
                "mail.example.com",
                "mx.example.com",
                "n1.example.com",
                "webmail.a.example"
            ]
        );
    }
}
