//! Sets of networks, as operators write them.

use ipnet::IpNet;
use std::net::IpAddr;
use std::str::FromStr;

/// Networks of one set.
const NETWORKS_MAX: usize = 10_000;

/// A set of networks in Postfix's notation (`mynetworks`): `192.0.2.0/24`, `2001:db8::/32`, `[2001:db8::]/32`, single
/// addresses, `!` in front of what is not meant; apart by spaces or commas. The first entry that matches decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<(bool, IpNet)>);

impl Networks {
    /// The set, and the entries that are not understood: they belong into the log.
    pub fn parse(text: &str) -> (Self, Vec<String>) {
        let (mut networks, mut strange) = (Vec::new(), Vec::new());
        for entry in text.split(|c: char| c == ',' || c.is_whitespace()).filter(|e| !e.is_empty()) {
            match one(entry).filter(|_| networks.len() < NETWORKS_MAX) {
                Some(network) => networks.push(network),
                None => strange.push(entry.to_string()),
            }
        }
        (Networks(networks), strange)
    }

    /// Whether the address is in the set. An IPv4 address is the same when it comes as an IPv6 one.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.0.iter().find(|(_, network)| network.contains(&ip)).is_some_and(|(meant, _)| *meant)
    }

    /// Whether no address is in it.
    pub fn is_empty(&self) -> bool {
        !self.0.iter().any(|(meant, _)| *meant)
    }
}

fn one(entry: &str) -> Option<(bool, IpNet)> {
    let (meant, rest) = match entry.strip_prefix('!') {
        Some(rest) => (false, rest),
        None => (true, entry),
    };
    let (address, prefix) = match rest.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (rest, None),
    };
    let bare = match address.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']')?,
        None => address,
    };
    let ip = IpAddr::from_str(bare).ok()?;
    let longest = if ip.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        Some(text) if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok()?,
        Some(_) => return None,
        None => longest,
    };
    Some((meant, IpNet::new(ip, prefix).ok()?.trunc()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn as_postfix_writes_them() {
        let (networks, strange) = Networks::parse(
            "127.0.0.0/8 !192.0.2.7, 192.0.2.0/24 [2001:db8::]/32\n2001:db9::1 [::1]/128 x 1.2.3.4/33 /8",
        );
        assert_eq!(strange, ["x", "1.2.3.4/33", "/8"]);
        for (ip, inside) in [
            ("127.9.9.9", true),
            ("192.0.2.7", false),
            ("192.0.2.8", true),
            ("::ffff:192.0.2.8", true),
            ("192.0.3.1", false),
            ("2001:db8:1::5", true),
            ("2001:db9::1", true),
            ("2001:db9::2", false),
            ("::1", true),
        ] {
            assert_eq!(networks.contains(ip.parse().unwrap()), inside, "{ip}");
        }
        assert!(Networks::parse("").0.is_empty() && Networks::parse("!10.0.0.0/8").0.is_empty());
        assert!(!networks.is_empty());
    }

    proptest! {
        #[test]
        fn never_panics(text in "[0-9a-f:./!\\[\\], ]{0,60}", any in "\\PC{0,40}") {
            let _ = Networks::parse(&text);
            let _ = Networks::parse(&any);
        }

        #[test]
        fn a_network_contains_its_addresses(ip in any::<u32>(), prefix in 0..=32u8) {
            let ip = IpAddr::V4(ip.into());
            let networks = Networks::parse(&format!("{ip}/{prefix}")).0;
            prop_assert!(networks.contains(ip));
        }
    }
}
