//! Which service listens where.

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One service's name, production port and place behind `--base-port`.
struct Known {
    name: &'static str,
    standard: u16,
    offset: u16,
}

/// Every service, in the order in which tables show them.
const KNOWN: [Known; 14] = [
    Known { name: "smtp", standard: 25, offset: 25 },
    Known { name: "lmtp", standard: 7025, offset: 24 },
    Known { name: "submission", standard: 587, offset: 87 },
    Known { name: "submissions", standard: 465, offset: 65 },
    Known { name: "imap", standard: 143, offset: 43 },
    Known { name: "imaps", standard: 993, offset: 93 },
    Known { name: "pop3", standard: 110, offset: 10 },
    Known { name: "pop3s", standard: 995, offset: 95 },
    Known { name: "managesieve", standard: 4190, offset: 90 },
    Known { name: "ldap", standard: 389, offset: 89 },
    Known { name: "ldaps", standard: 636, offset: 36 },
    Known { name: "admin", standard: 7071, offset: 71 },
    Known { name: "rpc", standard: 7007, offset: 7 },
    Known { name: "metrics", standard: 7009, offset: 9 },
];
/// The highest offset, so that a base port can be checked once.
const OFFSET_MAX: u16 = 99;

/// Ports by service; 0: the service is not offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ports {
    /// SMTP from other servers (STARTTLS).
    pub smtp: u16,
    /// LMTP from local mail transfer agents.
    pub lmtp: u16,
    /// Submission from mail programs (STARTTLS).
    pub submission: u16,
    /// Submission over TLS.
    pub submissions: u16,
    /// IMAP (STARTTLS).
    pub imap: u16,
    /// IMAP over TLS.
    pub imaps: u16,
    /// POP3 (STLS).
    pub pop3: u16,
    /// POP3 over TLS.
    pub pop3s: u16,
    /// ManageSieve (STARTTLS).
    pub managesieve: u16,
    /// LDAP (StartTLS).
    pub ldap: u16,
    /// LDAP over TLS.
    pub ldaps: u16,
    /// Administration over HTTPS.
    pub admin: u16,
    /// Node to node.
    pub rpc: u16,
    /// Prometheus metrics over HTTP.
    pub metrics: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Self::by(|known| known.standard)
    }
}

impl Ports {
    fn by(port: impl Fn(&Known) -> u16) -> Self {
        let of = |name: &str| KNOWN.iter().find(|k| k.name == name).map_or(0, &port);
        Ports {
            smtp: of("smtp"),
            lmtp: of("lmtp"),
            submission: of("submission"),
            submissions: of("submissions"),
            imap: of("imap"),
            imaps: of("imaps"),
            pop3: of("pop3"),
            pop3s: of("pop3s"),
            managesieve: of("managesieve"),
            ldap: of("ldap"),
            ldaps: of("ldaps"),
            admin: of("admin"),
            rpc: of("rpc"),
            metrics: of("metrics"),
        }
    }

    /// All ports moved to `base` and above, for tests and demos.
    ///
    /// # Errors
    /// When they do not fit below 65536.
    pub fn at_base(base: u16) -> Result<Self> {
        if base == 0 || base.checked_add(OFFSET_MAX).is_none() {
            bail!("--base-port {base} leaves no room: use 1 to {}", u16::MAX - OFFSET_MAX);
        }
        Ok(Self::by(|known| base + known.offset))
    }

    /// The offered services.
    pub fn all(&self) -> Vec<(&'static str, u16)> {
        let port = |name: &str| match name {
            "smtp" => self.smtp,
            "lmtp" => self.lmtp,
            "submission" => self.submission,
            "submissions" => self.submissions,
            "imap" => self.imap,
            "imaps" => self.imaps,
            "pop3" => self.pop3,
            "pop3s" => self.pop3s,
            "managesieve" => self.managesieve,
            "ldap" => self.ldap,
            "ldaps" => self.ldaps,
            "admin" => self.admin,
            "rpc" => self.rpc,
            "metrics" => self.metrics,
            _ => 0,
        };
        KNOWN.iter().map(|k| (k.name, port(k.name))).filter(|(_, port)| *port != 0).collect()
    }

    /// As the directory keeps them.
    pub fn to_map(&self) -> BTreeMap<String, u16> {
        self.all().into_iter().map(|(name, port)| (name.to_string(), port)).collect()
    }

    /// Refuses settings that cannot work.
    ///
    /// # Errors
    /// Says which port is the matter.
    pub fn check(&self) -> Result<()> {
        if self.rpc == 0 || self.admin == 0 {
            bail!("ports.rpc and ports.admin must not be 0: nodes and `zcluster` commands need them");
        }
        let mut seen: BTreeMap<u16, &str> = BTreeMap::new();
        for (name, port) in self.all() {
            if let Some(other) = seen.insert(port, name) {
                bail!("ports.{name} and ports.{other} are both {port}");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_port_follows_the_contract() {
        let ports = Ports::at_base(10_000).unwrap().to_map();
        let want = [
            ("smtp", 10_025),
            ("lmtp", 10_024),
            ("submission", 10_087),
            ("submissions", 10_065),
            ("imap", 10_043),
            ("imaps", 10_093),
            ("pop3", 10_010),
            ("pop3s", 10_095),
            ("managesieve", 10_090),
            ("ldap", 10_089),
            ("ldaps", 10_036),
            ("admin", 10_071),
            ("rpc", 10_007),
            ("metrics", 10_009),
        ];
        assert_eq!(ports, want.map(|(n, p)| (n.to_string(), p)).into());
        assert!(Ports::at_base(65_500).is_err());
    }

    #[test]
    fn double_and_missing_ports_are_refused() {
        assert!(Ports::default().check().is_ok());
        assert!(Ports { imap: 25, ..Ports::default() }.check().unwrap_err().to_string().contains("both 25"));
        assert!(Ports { rpc: 0, ..Ports::default() }.check().is_err());
        assert!(Ports { pop3: 0, pop3s: 0, ..Ports::default() }.check().is_ok());
    }
}
