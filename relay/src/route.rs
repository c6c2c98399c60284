//! The way of a recipient, and the hosts at its end.

use crate::dns::{Dns, MailHosts};
use crate::mta::Settings;
use std::collections::BTreeMap;
use zcluster_api::queue::domain_of;
use zcluster_delivery::carry::Failure;
use zcluster_delivery::carry::transport::{NextHop, Speech, Transport};
use zcluster_runtime::random_u64;

/// Hosts of one destination that are tried (Postfix's `smtp_mx_address_limit`).
const TRIED_MAX: usize = 5;

/// A next hop.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    pub speech: Speech,
    /// Tried one after the other; the recipients' domain, by MX, where the operator names none.
    pub hops: Vec<NextHop>,
}

impl Route {
    fn to(speech: Speech, hop: NextHop) -> Route {
        Route { speech, hops: vec![hop] }
    }

    /// Names the destination for limits and logs.
    pub fn key(&self) -> String {
        let hops: Vec<String> = self.hops.iter().map(ToString::to_string).collect();
        match self.speech {
            Speech::Smtp => hops.join(","),
            Speech::Lmtp => format!("lmtp:{}", hops.join(",")),
        }
    }
}

/// Where recipients go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    Route(Route),
    /// Nowhere, and that is well.
    Discard,
    /// Refused or deferred by the operator: permanent, text.
    Stop(bool, String),
}

/// The domain as DNS and certificates have it.
///
/// # Errors
/// It is none.
pub fn ascii_domain(address: &str) -> Result<String, Failure> {
    let domain = domain_of(address);
    // RFC 5321 §4.1.3: an address literal names the host itself.
    if domain.starts_with('[') {
        return Ok(domain.to_ascii_lowercase());
    }
    match idna::domain_to_ascii(domain) {
        Ok(ascii) if !ascii.is_empty() && ascii.len() <= 253 => Ok(ascii),
        _ => Err(Failure::permanent("5.1.2", format!("{domain:?} is no domain"))),
    }
}

/// The way of one recipient. In order: what its account or domain here names, the transport map
/// (`zclusterTransportMap`), the smart host of the sender's domain, the site's (`zimbraMtaRelayHost`), MX.
///
/// # Errors
/// The address has none.
pub fn way(recipient: &str, via: Option<&Transport>, settings: &Settings, senders: &[String]) -> Result<Way, Failure> {
    let hops = |values: &[String]| values.iter().filter_map(|v| NextHop::parse(v)).collect::<Vec<_>>();
    let own = || -> Result<Way, Failure> {
        let domain = ascii_domain(recipient)?;
        let hop = NextHop::parse(&domain);
        let hop = hop.ok_or_else(|| Failure::permanent("5.1.2", format!("{domain:?} is no domain")))?;
        // Of an address, no port.
        Ok(Way::Route(Route::to(Speech::Smtp, NextHop { port: None, ..hop })))
    };
    match via.or_else(|| settings.map.find(recipient)) {
        Some(Transport::Discard) => Ok(Way::Discard),
        Some(Transport::Refuse(text)) => Ok(Way::Stop(true, text.clone())),
        Some(Transport::Defer(text)) => Ok(Way::Stop(false, text.clone())),
        Some(Transport::Via(speech, Some(hop))) => Ok(Way::Route(Route::to(*speech, hop.clone()))),
        Some(Transport::Via(_, None)) => own(),
        None => {
            let (by_sender, by_site) = (hops(senders), hops(settings.config.all("zimbraMtaRelayHost")));
            match [by_sender, by_site].into_iter().find(|hops| !hops.is_empty()) {
                Some(hops) => Ok(Way::Route(Route { speech: Speech::Smtp, hops })),
                None => own(),
            }
        }
    }
}

/// A host to be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Name or address.
    pub host: String,
    pub port: u16,
    /// That it takes this destination's mail is proven, or the operator's word.
    pub proven: bool,
    /// Found by the MX records of this domain.
    pub by_mx: Option<String>,
}

/// The hosts of a next hop, in the order in which they are tried.
///
/// # Errors
/// There are none, for now or for good.
pub async fn candidates(
    hop: &NextHop,
    speech: Speech,
    port: u16,
    me: &str,
    dns: &Dns,
) -> Result<Vec<Candidate>, Failure> {
    let default = if speech == Speech::Lmtp { 24 } else { port };
    let port = hop.port.unwrap_or(default);
    if hop.exact {
        return Ok(vec![Candidate { host: hop.host.clone(), port, proven: true, by_mx: None }]);
    }
    let domain = &hop.host;
    let found = dns.mail_hosts(domain).await;
    match found.map_err(|e| Failure::temporary("4.4.3", format!("mail hosts of {domain}: {}", e.0)))? {
        MailHosts::NoDomain => Err(Failure::permanent("5.1.2", format!("there is no domain {domain}"))),
        MailHosts::Null => Err(Failure::permanent("5.1.10", format!("{domain} takes no mail (null MX)"))),
        MailHosts::Some { hosts, secure } => {
            let ours = hosts.iter().filter(|(_, h)| h.eq_ignore_ascii_case(me)).map(|(p, _)| *p).min();
            let hosts: Vec<_> = hosts.into_iter().filter(|(p, _)| ours.is_none_or(|ours| *p < ours)).collect();
            if hosts.is_empty() {
                // RFC 5321 §5.1: the best host for it is this one, which does not know it.
                return Err(Failure::permanent("5.4.6", format!("mail for {domain} loops back to {me}")));
            }
            let by_mx = Some(domain.clone());
            let candidate = |host| Candidate { host, port, proven: secure, by_mx: by_mx.clone() };
            Ok(ordered(hosts).into_iter().take(TRIED_MAX).map(candidate).collect())
        }
    }
}

/// By preference; equal ones in any order (RFC 5321 §5.1).
fn ordered(hosts: Vec<(u16, String)>) -> Vec<String> {
    let mut by: BTreeMap<(u16, u64, String), ()> = BTreeMap::new();
    for (preference, host) in hosts {
        by.insert((preference, random_u64(), host), ());
    }
    let mut out: Vec<String> = Vec::new();
    for (_, _, host) in by.into_keys() {
        if !out.contains(&host) {
            out.push(host);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use zcluster_api::directory::Attributes;

    fn way(recipient: &str, via: Option<&Transport>, config: &Attributes, senders: &[String]) -> Result<Way, Failure> {
        super::way(recipient, via, &Settings::of(config.clone()), senders)
    }

    fn config(name: &str, values: &[&str]) -> Attributes {
        let mut config = Attributes::new();
        config.set(name, values.iter().map(ToString::to_string).collect());
        config
    }

    fn key(way: Result<Way, Failure>) -> String {
        match way {
            Ok(Way::Route(route)) => route.key(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn the_nearest_word_counts() {
        let none = Attributes::new();
        assert_eq!(key(way("a@Example.com", None, &none, &[])), "example.com");
        assert_eq!(key(way("a@bücher.example", None, &none, &[])), "xn--bcher-kva.example");
        assert_eq!(key(way("a@[127.0.0.1]", None, &none, &[])), "[127.0.0.1]");
        let relay = config("zimbraMtaRelayHost", &["[smart.example]:587", "second.example"]);
        assert_eq!(key(way("a@example.com", None, &relay, &[])), "[smart.example]:587,second.example");
        assert_eq!(key(way("a@example.com", None, &relay, &["[own.example]".into()])), "[own.example]");
        let mut map =
            config("zclusterTransportMap", &["example.com smtp:", "old.example lmtp:h:7025", "bad.example error:no"]);
        map.set("zimbraMtaRelayHost", vec!["smart".into()]);
        assert_eq!(key(way("a@example.com", None, &map, &[])), "example.com", "past the smart host");
        assert_eq!(key(way("a@old.example", None, &map, &[])), "lmtp:[h]:7025");
        assert_eq!(way("a@bad.example", None, &map, &[]), Ok(Way::Stop(true, "no".into())));
        let via = Transport::parse("smtp:[old]").unwrap();
        assert_eq!(key(way("a@example.com", Some(&via), &map, &[])), "[old]");
        for bad in ["a", "a@", "a@x y", "a@-\u{0}"] {
            assert!(way(bad, None, &none, &[]).is_err_and(|f| f.permanent), "{bad}");
        }
    }

    #[test]
    fn preference_orders_and_chance_the_rest() {
        let hosts = vec![(20, "c".to_string()), (10, "a".into()), (10, "b".into()), (30, "a".into())];
        let out = ordered(hosts);
        assert_eq!((out.len(), out[2].as_str()), (3, "c"));
    }
}
