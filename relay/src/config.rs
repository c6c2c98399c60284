//! What an operator sets on a node.

use crate::reports::Tally;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use zcluster_delivery::carry::transport::NextHop;

/// Settings of sending to other hosts.
#[derive(Clone, Debug)]
pub struct RelayConfig {
    /// The name that EHLO says.
    pub hostname: String,
    /// Port of hosts that MX records name: 25.
    pub port: u16,
    /// Port of the hosts that publish MTA-STS policies: 443.
    pub sts_port: u16,
    /// DNS servers; empty: those of `/etc/resolv.conf`.
    pub resolvers: Vec<SocketAddr>,
    /// Whether answers are validated (DNSSEC), which DANE needs.
    pub dnssec: bool,
    /// A file of DNSKEY records that are trusted in place of the root's own (`. IN DNSKEY ...`).
    pub trust_anchor: Option<PathBuf>,
    /// Whether hosts are spoken to over IPv6 too.
    pub ipv6: bool,
    /// PEM certificates trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Passwords for smart hosts.
    pub credentials: Vec<Credential>,
    /// Conversations with one destination at a time (Postfix's `default_destination_concurrency_limit`).
    pub concurrency: usize,
    /// Messages that may wait here for a conversation with a busy destination; more go back into the queue.
    pub waiting: usize,
    /// Time to connect.
    pub connect_timeout: Duration,
    /// Time for one step of a conversation (RFC 5321 §4.5.3.2 has two to five minutes).
    pub step_timeout: Duration,
    /// Time for the reply to the end of the data (RFC 5321 §4.5.3.2.6: ten minutes).
    pub data_timeout: Duration,
    /// A connection that is not used again within this time is closed.
    pub idle_timeout: Duration,
    /// Messages that one connection carries.
    pub per_connection: u32,
    /// Where it is counted how TLS went, for reports to the domains (RFC 8460).
    pub tally: Option<Arc<Tally>>,
}

/// A password for a next hop.
#[derive(Clone)]
pub struct Credential {
    /// Which.
    pub hop: NextHop,
    /// User.
    pub user: String,
    /// Password.
    pub password: String,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credential({} {})", self.hop, self.user)
    }
}

impl Credential {
    /// Lines as Postfix's `smtp_sasl_password_maps` has them: `[host]:port user:password`; `#` begins a comment.
    ///
    /// # Errors
    /// The number of the first line that is none.
    pub fn parse_all(text: &str) -> Result<Vec<Credential>, usize> {
        let mut all = Vec::new();
        for (number, line) in text.lines().enumerate().map(|(n, l)| (n + 1, l.trim())) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (hop, rest) = line.split_once(char::is_whitespace).ok_or(number)?;
            let (user, password) = rest.trim().split_once(':').ok_or(number)?;
            let hop = NextHop::parse(hop).ok_or(number)?;
            all.push(Credential { hop, user: user.into(), password: password.into() });
        }
        Ok(all)
    }
}

impl RelayConfig {
    /// The defaults for a node of this name.
    pub fn new(hostname: impl Into<String>) -> Self {
        RelayConfig {
            hostname: hostname.into(),
            port: 25,
            sts_port: 443,
            resolvers: Vec::new(),
            dnssec: true,
            trust_anchor: None,
            ipv6: true,
            ca_file: None,
            credentials: Vec::new(),
            concurrency: 20,
            waiting: 50,
            connect_timeout: Duration::from_secs(30),
            step_timeout: Duration::from_secs(300),
            data_timeout: Duration::from_secs(600),
            idle_timeout: Duration::from_secs(5),
            per_connection: 100,
            tally: None,
        }
    }

    /// The password for a next hop.
    pub(crate) fn credential(&self, hop: &NextHop) -> Option<&Credential> {
        let same = |c: &&Credential| c.hop.host == hop.host && (c.hop.port.is_none() || c.hop.port == hop.port);
        self.credentials.iter().find(same)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_as_postfix_has_them() {
        let text = "# smart hosts\n[mail.isp.example]:587 user:pass:word\n\nother.example  me@x:y\n";
        let all = Credential::parse_all(text).unwrap();
        assert_eq!((all.len(), all[0].user.as_str(), all[0].password.as_str()), (2, "user", "pass:word"));
        assert!(!format!("{all:?}").contains("word"), "no password in logs");
        let config = RelayConfig { credentials: all, ..RelayConfig::new("h") };
        let of = |hop: &str| config.credential(&NextHop::parse(hop).unwrap()).map(|c| c.user.clone());
        assert_eq!(of("[mail.isp.example]:587").as_deref(), Some("user"));
        assert_eq!((of("[mail.isp.example]:25"), of("other.example:26").as_deref()), (None, Some("me@x")));
        assert_eq!(Credential::parse_all("a b:c\nbroken").unwrap_err(), 2);
    }
}
