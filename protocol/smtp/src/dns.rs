//! What the defence asks of the DNS. The node brings the resolver, tests and the simulator bring their own.

use futures::future::BoxFuture;
use std::net::{IpAddr, Ipv4Addr};

/// Labels of a name that is asked for.
const LABELS_MAX: usize = 60;

/// No answer now: a timeout, a broken server. That there is no such name is an answer (an empty one).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unanswered;

/// Questions to the DNS; each takes a bounded time.
pub trait Dns: Send + Sync + 'static {
    /// The A records of a name.
    fn ipv4<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<Ipv4Addr>, Unanswered>>;
    /// The A and AAAA records of a name.
    fn addresses<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, Unanswered>>;
    /// The hosts of a domain's MX records; the one host `.` (an empty text) says that it takes no mail (RFC 7505).
    fn mail_hosts<'a>(&'a self, domain: &'a str) -> BoxFuture<'a, Result<Vec<String>, Unanswered>>;
    /// The names an address has (PTR).
    fn names(&self, ip: IpAddr) -> BoxFuture<'_, Result<Vec<String>, Unanswered>>;
}

/// The name under which a list keeps an address (RFC 5782 §2.1, §2.4): `1.2.0.192.zone`.
pub fn listed_address(ip: IpAddr, zone: &str) -> String {
    let mut name = String::new();
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.octets().iter().rev().for_each(|octet| name.push_str(&format!("{octet}."))),
        IpAddr::V6(ip) => {
            for octet in ip.octets().iter().rev() {
                name.push_str(&format!("{:x}.{:x}.", octet & 0xf, octet >> 4));
            }
        }
    }
    name + zone
}

/// Whether a name may be asked for at all: client-chosen text goes into it.
pub fn is_name(name: &str) -> bool {
    let label =
        |l: &str| !l.is_empty() && l.len() <= 63 && l.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    let name = name.strip_suffix('.').unwrap_or(name);
    name.len() <= 253 && name.split('.').count() <= LABELS_MAX && name.split('.').all(label)
}

/// A client's name: one that its address has and that has its address (as Postfix's `unknown` is not one).
pub async fn verified_name(dns: &dyn Dns, ip: IpAddr) -> Result<Option<String>, Unanswered> {
    let ip = ip.to_canonical();
    // More than a few names are somebody's joke.
    for name in dns.names(ip).await?.into_iter().take(3) {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        if is_name(&name) && dns.addresses(&name).await?.iter().any(|a| a.to_canonical() == ip) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_addresses() {
        assert_eq!(listed_address("192.0.2.99".parse().unwrap(), "bl.example"), "99.2.0.192.bl.example");
        assert_eq!(listed_address("::ffff:192.0.2.99".parse().unwrap(), "bl.example"), "99.2.0.192.bl.example");
        let six = listed_address("2001:db8:1:2:3:4:567:89ab".parse().unwrap(), "z");
        assert_eq!(six, "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.z");
        assert!(is_name("a-b.example.org.") && is_name("_x.y"));
        for bad in ["", "a..b", "a b", "[1.2.3.4]", "\u{e4}.org", &"a.".repeat(100), &"x".repeat(64)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
