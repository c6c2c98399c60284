//! Ways to other hosts as Postfix's transport(5) and `zimbraMailTransport` write them: `smtp:[host]:port`,
//! `lmtp:host:port`, `smtp:domain`; and next hops as `zimbraMtaRelayHost` does.

use std::collections::BTreeMap;
use std::fmt;
use zcluster_api::directory::Attributes;
use zcluster_api::queue::domain_of;
use zcluster_api::{DirectoryApi, DirectoryQuery, DirectoryReply, Freshness, Result};

/// The attribute of accounts and domains that names a way.
const ATTRIBUTE: &str = "zimbraMailTransport";

/// What is spoken at the next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Speech {
    /// SMTP.
    Smtp,
    /// LMTP (RFC 2033).
    Lmtp,
}

/// A host or a domain, with a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NextHop {
    /// Lower case; an IP address without brackets.
    pub host: String,
    /// None: the usual one.
    pub port: Option<u16>,
    /// The host itself, not those that its MX records name: it was in brackets.
    pub exact: bool,
}

impl NextHop {
    /// `host`, `host:port`, `[host]:port`, `[::1]:25`.
    pub fn parse(text: &str) -> Option<NextHop> {
        let text = text.trim();
        let (host, port, exact) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']')?;
                let port = match rest {
                    "" => None,
                    rest => Some(rest.strip_prefix(':')?),
                };
                (host.strip_prefix("IPv6:").unwrap_or(host), port, true)
            }
            None => match text.rsplit_once(':') {
                Some((host, port)) if !host.contains(':') => (host, Some(port), false),
                _ => (text, None, false),
            },
        };
        let port = match port {
            None => None,
            Some(p) => Some(p.parse::<u16>().ok().filter(|p| *p != 0)?),
        };
        let address = host.parse::<std::net::IpAddr>().is_ok();
        let fit = |c: char| c.is_alphanumeric() || "-._".contains(c);
        if host.is_empty() || host.len() > 253 || !(address || host.chars().all(fit)) {
            return None;
        }
        Some(NextHop { host: host.to_lowercase(), port, exact: exact || address })
    }
}

impl fmt::Display for NextHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.exact {
            true => write!(f, "[{}]", self.host)?,
            false => f.write_str(&self.host)?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// A way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// To this host, or by the MX records of this domain; none: of the recipient's.
    Via(Speech, Option<NextHop>),
    /// Nowhere: it counts as delivered (`discard:`).
    Discard,
    /// Refused, with this text (`error:`).
    Refuse(String),
    /// Not now, with this text (`retry:`).
    Defer(String),
}

impl Transport {
    /// Reads a value; none: it is none.
    pub fn parse(value: &str) -> Option<Transport> {
        let (name, rest) = value.trim().split_once(':')?;
        let text = |default: &str| if rest.trim().is_empty() { default.to_string() } else { rest.trim().to_string() };
        let speech = match name.trim().to_ascii_lowercase().as_str() {
            "smtp" | "relay" => Speech::Smtp,
            "lmtp" => Speech::Lmtp,
            "discard" => return Some(Transport::Discard),
            "error" => return Some(Transport::Refuse(text("mail for this address is refused"))),
            "retry" => return Some(Transport::Defer(text("mail for this address is deferred"))),
            _ => return None,
        };
        // Postfix's `lmtp:inet:host:port`; sockets of the file system are for one host only.
        let rest = rest.strip_prefix("inet:").unwrap_or(rest);
        let hop = match rest.trim() {
            "" => None,
            rest => Some(NextHop::parse(rest)?),
        };
        // LMTP has no MX records (RFC 2033 §5).
        let hop = match (speech, hop) {
            (Speech::Lmtp, None) => return None,
            (Speech::Lmtp, hop) => hop.map(|h| NextHop { exact: true, ..h }),
            (Speech::Smtp, hop) => hop,
        };
        Some(Transport::Via(speech, hop))
    }

    /// A line of a transport map: `example.com smtp:[host]`, `.example.com …` for all below, `user@example.com …`, `* …`.
    pub fn parse_rule(line: &str) -> Option<(String, Transport)> {
        let (pattern, value) = line.trim().split_once(char::is_whitespace)?;
        Some((pattern.to_lowercase(), Transport::parse(value)?))
    }

    /// The host that it names.
    fn host(&self) -> Option<&str> {
        match self {
            Transport::Via(_, hop) => hop.as_ref().map(|hop| hop.host.as_str()),
            Transport::Discard | Transport::Refuse(_) | Transport::Defer(_) => None,
        }
    }
}

/// Where the `zimbraMailTransport` of an account sends its mail, or that of a domain the mail for those whom nobody here
/// knows; none: it is here. Whoever takes recipients and whoever carries mail asks this.
///
/// Zimbra gives every account one, `lmtp:` and the name of its mailbox server: a host that is this cluster (`hostname`,
/// `localhost`, what a node advertises) is here, whatever is spoken to it and on whichever port. A value that is none
/// has no effect.
///
/// # Errors
/// The directory's.
pub async fn elsewhere(directory: &dyn DirectoryApi, hostname: &str, attrs: &Attributes) -> Result<Option<Transport>> {
    let Some(way) = attrs.get(ATTRIBUTE).and_then(Transport::parse) else { return Ok(None) };
    let Some(host) = way.host() else { return Ok(Some(way)) };
    if host.eq_ignore_ascii_case(hostname) || host == "localhost" {
        return Ok(None);
    }
    let is_ours = match directory.read(DirectoryQuery::Nodes, Freshness::Local).await? {
        DirectoryReply::Nodes(nodes) => nodes.iter().any(|n| n.advertise.eq_ignore_ascii_case(host)),
        _ => false,
    };
    Ok((!is_ours).then_some(way))
}

/// A transport map (`zclusterTransportMap`), ready to be looked into.
#[derive(Clone, Debug, Default)]
pub struct TransportMap(BTreeMap<String, Transport>);

impl TransportMap {
    /// Reads lines as [`Transport::parse_rule`] does; of several for one pattern the first counts, one that is none is in
    /// the log and has no effect.
    pub fn parse(lines: &[String]) -> TransportMap {
        let mut map = BTreeMap::new();
        for line in lines {
            match Transport::parse_rule(line) {
                Some((pattern, way)) => drop(map.entry(pattern).or_insert(way)),
                None => tracing::warn!(line, "a line of zclusterTransportMap is not understood"),
            }
        }
        TransportMap(map)
    }

    /// The rule for an address, as transport(5) looks: the address, its domain, the domains above it with a dot before
    /// them, `*`.
    pub fn find(&self, address: &str) -> Option<&Transport> {
        if self.0.is_empty() {
            return None;
        }
        let address = address.to_lowercase();
        let by = |pattern: &str| self.0.get(pattern);
        let domain = domain_of(&address);
        let above = || domain.match_indices('.').find_map(|(at, _)| by(&domain[at..]));
        by(&address).or_else(|| by(domain)).or_else(above).or_else(|| by("*"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_as_zimbra_and_postfix_write_them() {
        let of = |text: &str| Transport::parse(text);
        let hop = |host: &str, port, exact| Some(NextHop { host: host.into(), port, exact });
        let via = |speech, hop| Some(Transport::Via(speech, hop));
        assert_eq!(of("lmtp:old.example.com:7025"), via(Speech::Lmtp, hop("old.example.com", Some(7025), true)));
        assert_eq!(of("lmtp:inet:127.0.0.1:24"), via(Speech::Lmtp, hop("127.0.0.1", Some(24), true)));
        assert_eq!(of("smtp:[Mail.Example.com]:2525"), via(Speech::Smtp, hop("mail.example.com", Some(2525), true)));
        assert_eq!(of("smtp:example.com"), via(Speech::Smtp, hop("example.com", None, false)));
        assert_eq!(of("smtp:"), via(Speech::Smtp, None));
        assert_eq!(of("relay:[::1]:25"), via(Speech::Smtp, hop("::1", Some(25), true)));
        assert_eq!(of("error: moved away"), Some(Transport::Refuse("moved away".into())));
        assert_eq!(of("discard:"), Some(Transport::Discard));
        for bad in ["", "smtp", "lmtp:", "pipe:x", "smtp:[x", "smtp:x:y", "smtp:x:0", "smtp:a b", "smtp:[x]y"] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }

    #[test]
    fn smart_hosts_as_postfix_writes_them() {
        let of = |text: &str| NextHop::parse(text).map(|hop| hop.to_string());
        assert_eq!(of("relay.example.org").as_deref(), Some("relay.example.org"));
        assert_eq!(of("[relay.example.org]:587").as_deref(), Some("[relay.example.org]:587"));
        assert_eq!(of("127.0.0.1:10025").as_deref(), Some("[127.0.0.1]:10025"));
        assert_eq!(of("[::1]:25").as_deref(), Some("[::1]:25"));
        assert_eq!((of("x:port"), of("")), (None, None));
    }

    #[test]
    fn the_nearest_rule_counts() {
        let lines = ["a@x.org smtp:[1]", "x.org smtp:[2]", "x.org smtp:[5]", "x.org", ".org smtp:[3]", "* smtp:[4]"];
        let rules = |n: usize| TransportMap::parse(&lines[..n].iter().map(ToString::to_string).collect::<Vec<_>>());
        let all = rules(6);
        let of = |address: &str| match all.find(address) {
            Some(Transport::Via(_, Some(hop))) => hop.host.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            (of("A@x.org"), of("b@X.org"), of("c@y.x.org"), of("d@z.net")),
            ("1".into(), "2".into(), "3".into(), "4".into())
        );
        assert_eq!(rules(2).find("d@z.net"), None);
    }

    #[test]
    fn a_host_of_this_cluster_is_here_however_it_is_named() {
        let directory = zcluster_state::memory::Memory::new();
        let of = |text: &str| {
            let mut attrs = Attributes::new();
            attrs.set(ATTRIBUTE, vec![text.to_string()]);
            let asked = elsewhere(&directory, "mx.example.com", &attrs);
            let found = futures::FutureExt::now_or_never(asked).expect("at once");
            found.unwrap().map(|way| way.host().unwrap_or("none").to_string())
        };
        for here in
            ["lmtp:MX.example.com:7025", "smtp:[mx.example.com]", "relay:localhost:25", "smtps:x:465", "local:x"]
        {
            assert_eq!(of(here), None, "{here}");
        }
        assert_eq!(of("lmtp:old.example.com:7025").as_deref(), Some("old.example.com"));
        assert_eq!(of("relay:old.example.com").as_deref(), Some("old.example.com"));
        for nowhere in ["discard:", "error:gone", "retry:later", "smtp:"] {
            assert_eq!(of(nowhere).as_deref(), Some("none"), "{nowhere}");
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_answered(text in "(smtp:|lmtp:|relay:)?[\\[\\]:a-z0-9. ]{0,30}|\\PC{0,40}") {
            if let Some(Transport::Via(_, Some(hop))) = Transport::parse(&text) {
                prop_assert!(!hop.host.chars().any(|c| c.is_control() || c.is_whitespace()));
                prop_assert_eq!(NextHop::parse(&hop.to_string()).unwrap(), hop);
            }
            let _ = Transport::parse_rule(&text);
            let _ = TransportMap::parse(std::slice::from_ref(&text)).find(&text);
        }
    }
}
