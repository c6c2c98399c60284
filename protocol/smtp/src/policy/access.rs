//! Postfix's access(5) tables as attributes of the cluster, a line for each value: `pattern ACTION text`. Who is found
//! in one of them is dealt with before anything else is asked.

use crate::codec::Reply;
use std::collections::BTreeMap;
use std::net::IpAddr;
use zcluster_listener::Networks;

/// Lines of one table at most.
const LINES_MAX: usize = 50_000;
/// Lines of the table of clients at most: it is gone through from the top.
const CLIENT_LINES_MAX: usize = 5_000;
/// Bytes of a text at most.
const TEXT_BYTES_MAX: usize = 400;

/// What follows for who is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// `OK`, or only digits: nothing else is asked.
    Permit,
    /// `DUNNO`: as if it were not in the table.
    Next,
    /// `REJECT`, `DEFER`, `4xx`, `5xx`: the recipient is refused.
    Refuse(Reply),
    /// `DISCARD`: the message is taken and thrown away.
    Discard,
    /// `HOLD`: the message waits in the queue until it is released.
    Hold,
    /// `PREPEND`: the message gets this field.
    Prepend(String),
    /// `WARN`: it is in the log.
    Warn(String),
}

/// The four tables, asked in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// `zclusterMtaClientAccess`: addresses and networks; the first line counts.
    client: Vec<(Networks, Verdict)>,
    /// `zclusterMtaHeloAccess`.
    helo: BTreeMap<String, Verdict>,
    /// `zclusterMtaSenderAccess`.
    sender: BTreeMap<String, Verdict>,
    /// `zclusterMtaRecipientAccess`.
    recipient: BTreeMap<String, Verdict>,
}

/// What it is that is looked up.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The client's address.
    pub client: IpAddr,
    /// What it called itself.
    pub helo: &'a str,
    /// The reverse-path; empty for the null one.
    pub sender: &'a str,
    /// The forward-path.
    pub recipient: &'a str,
}

impl Access {
    /// From the values of the four attributes, with the lines that are not understood.
    pub fn of<'a>(values: impl Fn(&str) -> &'a [String]) -> (Access, Vec<String>) {
        let (mut access, mut strange) = (Access::default(), Vec::new());
        for line in lines(values("zclusterMtaClientAccess")) {
            let parsed = split(line).and_then(|(pattern, verdict)| {
                let (networks, odd) = Networks::parse(pattern);
                (odd.is_empty() && !pattern.starts_with('!')).then_some((networks, verdict))
            });
            match parsed.filter(|_| access.client.len() < CLIENT_LINES_MAX) {
                Some(entry) => access.client.push(entry),
                None => strange.push(format!("zclusterMtaClientAccess: {line}")),
            }
        }
        let tables = [
            ("zclusterMtaHeloAccess", &mut access.helo),
            ("zclusterMtaSenderAccess", &mut access.sender),
            ("zclusterMtaRecipientAccess", &mut access.recipient),
        ];
        for (name, table) in tables {
            for line in lines(values(name)) {
                match split(line).filter(|_| table.len() < LINES_MAX) {
                    // As in Postfix, the first of two lines for one pattern counts.
                    Some((pattern, verdict)) => drop(table.entry(pattern.to_lowercase()).or_insert(verdict)),
                    None => strange.push(format!("{name}: {line}")),
                }
            }
        }
        (access, strange)
    }

    /// What the tables say, in their order.
    pub fn verdicts<'a>(&'a self, asked: &Asked<'_>) -> impl Iterator<Item = &'a Verdict> {
        let client = self.client.iter().find(|(networks, _)| networks.contains(asked.client)).map(|(_, v)| v);
        let helo = domain_in(&self.helo, &asked.helo.to_lowercase());
        let (sender, recipient) =
            (address_in(&self.sender, asked.sender), address_in(&self.recipient, asked.recipient));
        [client, helo, sender, recipient].into_iter().flatten()
    }
}

fn lines(values: &[String]) -> impl Iterator<Item = &str> {
    values.iter().flat_map(|v| v.lines()).map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'))
}

fn split(line: &str) -> Option<(&str, Verdict)> {
    let (pattern, rest) = line.split_once(char::is_whitespace)?;
    Some((pattern, verdict(rest.trim())?))
}

/// The right side of a line.
fn verdict(text: &str) -> Option<Verdict> {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let rest: String = rest.trim().chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    if rest.len() > TEXT_BYTES_MAX {
        return None;
    }
    let is_number = !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    Some(match word.to_ascii_uppercase().as_str() {
        "OK" | "PERMIT" => Verdict::Permit,
        "DUNNO" => Verdict::Next,
        "REJECT" => Verdict::Refuse(refusal(554, &rest)),
        "DEFER" | "DEFER_IF_PERMIT" => Verdict::Refuse(refusal(450, &rest)),
        "DISCARD" => Verdict::Discard,
        "HOLD" => Verdict::Hold,
        "WARN" | "INFO" => Verdict::Warn(rest),
        "PREPEND" => Verdict::Prepend(field(&rest)?),
        _ if is_number && word.len() == 3 && matches!(word.as_bytes()[0], b'4' | b'5') => {
            Verdict::Refuse(refusal(word.parse().ok()?, &rest))
        }
        _ if is_number => Verdict::Permit,
        _ => return None,
    })
}

/// A reply, with the enhanced status that the text may begin with.
fn refusal(code: u16, text: &str) -> Reply {
    let class = code / 100;
    let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
    let numbers: Vec<_> = first.split('.').collect();
    let is_status = numbers.len() == 3
        && numbers.iter().all(|n| (1..=3).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_digit()))
        && numbers[0] == class.to_string();
    let (status, text) = match is_status {
        true => (first.to_string(), rest.trim()),
        false => (format!("{class}.7.1"), text),
    };
    Reply::new(code, status, if text.is_empty() { "access denied".to_string() } else { text.to_string() })
}

/// `Name: value` (RFC 5322 §2.2).
fn field(text: &str) -> Option<String> {
    let (name, value) = text.split_once(':')?;
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic());
    (is_name && value.is_ascii()).then(|| format!("{name}: {}\r\n", value.trim()))
}

/// A domain by itself or by one that it is in: `example.com` is both itself and all below it, as in Postfix;
/// `.example.com` only what is below.
fn domain_in<'a>(table: &'a BTreeMap<String, Verdict>, domain: &str) -> Option<&'a Verdict> {
    if domain.is_empty() || table.is_empty() {
        return None;
    }
    if let Some(verdict) = table.get(domain) {
        return Some(verdict);
    }
    let mut rest = domain;
    while let Some(at) = rest.find('.') {
        let below = &rest[at..];
        if let Some(verdict) = table.get(below).or_else(|| table.get(&below[1..])) {
            return Some(verdict);
        }
        rest = &below[1..];
    }
    None
}

/// An address: whole, without its tag, by its domain, by its local part (`user@`); `<>` is the null sender.
fn address_in<'a>(table: &'a BTreeMap<String, Verdict>, address: &str) -> Option<&'a Verdict> {
    if table.is_empty() {
        return None;
    }
    let address = address.to_lowercase();
    let Some((local, domain)) = address.rsplit_once('@') else {
        return table.get(if address.is_empty() { "<>" } else { &address });
    };
    let bare = local.split_once('+').map(|(bare, _)| bare).filter(|bare| !bare.is_empty());
    let whole = |local: &str| table.get(&format!("{local}@{domain}"));
    let by_local = |local: &str| table.get(&format!("{local}@"));
    whole(local)
        .or_else(|| bare.and_then(whole))
        .or_else(|| domain_in(table, domain))
        .or_else(|| by_local(local))
        .or_else(|| bare.and_then(by_local))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn access(client: &str, helo: &str, sender: &str, recipient: &str) -> (Access, Vec<String>) {
        let value = |text: &str| vec![text.to_string()];
        let all = [value(client), value(helo), value(sender), value(recipient)];
        Access::of(|name| match name {
            "zclusterMtaClientAccess" => &all[0],
            "zclusterMtaHeloAccess" => &all[1],
            "zclusterMtaSenderAccess" => &all[2],
            _ => &all[3],
        })
    }

    #[test]
    fn who_is_found_where() {
        let (access, strange) = access(
            "192.0.2.7 OK\n192.0.2.0/24 REJECT go away\n2001:db8::/32 DEFER",
            "friend REJECT\n.dyn.example 554 5.7.25 dynamic",
            "<> WARN bounce\nspam@example.org 550 5.1.8 no\nexample.org DUNNO\nnews@ DISCARD\n# a comment",
            "postmaster@example.com OK\nheld@example.com HOLD\nseen.example PREPEND X-Seen: yes",
        );
        assert_eq!(strange, Vec::<String>::new());
        let reply =
            |code: u16, status: &'static str, text: &'static str| Verdict::Refuse(Reply::new(code, status, text));
        for (client, helo, sender, recipient, want) in [
            ("198.51.100.1", "mx.example.net", "a@b.example", "bob@example.com", vec![]),
            ("192.0.2.7", "x", "a@b", "c@d", vec![Verdict::Permit]),
            ("192.0.2.8", "x", "a@b", "c@d", vec![reply(554, "5.7.1", "go away")]),
            ("::ffff:192.0.2.8", "x", "a@b", "c@d", vec![reply(554, "5.7.1", "go away")]),
            ("2001:db8::1", "x", "a@b", "c@d", vec![reply(450, "4.7.1", "access denied")]),
            ("::1", "FRIEND", "a@b", "c@d", vec![reply(554, "5.7.1", "access denied")]),
            ("::1", "a.b.dyn.example", "a@b", "c@d", vec![reply(554, "5.7.25", "dynamic")]),
            ("::1", "dyn.example", "a@b", "c@d", vec![]),
            ("::1", "x", "", "c@d", vec![Verdict::Warn("bounce".into())]),
            ("::1", "x", "Spam+tag@Example.org", "c@d", vec![reply(550, "5.1.8", "no")]),
            ("::1", "x", "news@sub.example.org", "c@d", vec![Verdict::Next]),
            ("::1", "x", "news@example.net", "c@d", vec![Verdict::Discard]),
            ("::1", "x", "a@b", "held@example.com", vec![Verdict::Hold]),
            ("::1", "x", "a@b", "u@deep.seen.example", vec![Verdict::Prepend("X-Seen: yes\r\n".into())]),
            (
                "192.0.2.7",
                "friend",
                "",
                "postmaster@example.com",
                vec![
                    Verdict::Permit,
                    reply(554, "5.7.1", "access denied"),
                    Verdict::Warn("bounce".into()),
                    Verdict::Permit,
                ],
            ),
        ] {
            let asked = Asked { client: client.parse().unwrap(), helo, sender, recipient };
            let got: Vec<_> = access.verdicts(&asked).cloned().collect();
            assert_eq!(got, want, "{asked:?}");
        }
    }

    #[test]
    fn what_is_not_understood_is_told() {
        for (line, good) in [
            ("a.example REJECT", true),
            ("a.example 12", true),
            ("a.example 421 later", true),
            ("a.example 321 odd", true),
            ("a.example FILTER smtp:[127.0.0.1]:10025", false),
            ("a.example REDIRECT x@y", false),
            ("a.example PREPEND no field", false),
            ("a.example PREPEND X: \u{e4}", false),
            ("a.example", false),
            ("a.example restriction_class", false),
        ] {
            assert_eq!(access("", line, "", "").1.is_empty(), good, "{line}");
        }
        assert_eq!(access("nonsense REJECT\n!192.0.2.1 OK\n10.0.0.0/99 OK", "", "", "").1.len(), 3);
        assert_eq!(access(&format!("192.0.2.1 REJECT {}", "x".repeat(500)), "", "", "").1.len(), 1);
    }

    proptest! {
        #[test]
        fn never_panics(line in "\\PC{0,60}", pattern in "[a-z@.<>0-9/]{0,20}", action in "(REJECT|PREPEND|450|OK|[A-Z]{0,6}) \\PC{0,20}", address in "\\PC{0,30}") {
            let text = format!("{line}\n{pattern} {action}");
            let (access, _) = access(&text, &text, &text, &text);
            let asked = Asked { client: "192.0.2.1".parse().unwrap(), helo: &address, sender: &address, recipient: &pattern };
            for verdict in access.verdicts(&asked) {
                if let Verdict::Refuse(reply) = verdict {
                    prop_assert!((400..600).contains(&reply.code));
                }
                if let Verdict::Prepend(field) = verdict {
                    prop_assert!(field.ends_with("\r\n") && field.matches('\n').count() == 1);
                }
            }
        }
    }
}
