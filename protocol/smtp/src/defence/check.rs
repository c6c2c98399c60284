//! What the client says of itself and of the sender: Postfix's restrictions, asked before a recipient is accepted.

use crate::codec::{Reply, is_domain};
use crate::dns::{Dns, is_name, listed_address};
use crate::policy::{Answers, Asked, Restriction, Verdict};
use crate::service::Service;
use crate::session::Session;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;
use zcluster_api::directory::{AccountBy, split_address};
use zcluster_api::queue::HELD_MS;
use zcluster_api::{DirectoryQuery, Error, Freshness};
use zcluster_runtime::timeout;

/// How long one question to the DNS may take here.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// A restriction's word.
enum Word {
    /// The next one is asked.
    Next,
    /// None is asked any more.
    Permit,
    /// It is refused.
    Refuse(Reply),
}

/// Header fields that access tables put in front of one message.
const PREPENDED_MAX: usize = 20;

impl Session {
    /// What the access tables say of a recipient: refused, or permitted whatever else is asked. What else they want is
    /// noted.
    pub(crate) fn is_permitted(&mut self, recipient: &str) -> Result<bool, Reply> {
        if self.service() != Service::Mx || self.client.trusted || self.account.is_some() {
            return Ok(false);
        }
        let Some(transaction) = &mut self.transaction else { return Ok(false) };
        let (policy, client) = (self.policy.clone(), self.conn.peer().ip());
        let helo = self.greeting.as_ref().map_or("", |g| g.name.as_str());
        let asked = Asked { client, helo, sender: &transaction.sender.clone(), recipient };
        for verdict in policy.access.verdicts(&asked) {
            match verdict {
                Verdict::Permit => return Ok(true),
                Verdict::Next => {}
                Verdict::Refuse(reply) => return Err(reply.clone()),
                Verdict::Discard => transaction.discarded = true,
                // RFC 4865's time is one that comes; this one does not.
                Verdict::Hold => transaction.hold_until_ms = Some(HELD_MS),
                Verdict::Prepend(field) => {
                    let fields = &mut transaction.prepended;
                    if fields.len() < PREPENDED_MAX && !fields.contains(field) {
                        fields.push(field.clone());
                    }
                }
                Verdict::Warn(text) => {
                    let recipient = recipient.escape_debug();
                    tracing::warn!(%client, helo = %helo.escape_debug(), %recipient, text, "an access table warns");
                }
            }
        }
        Ok(false)
    }

    /// Why no recipient of this transaction is taken; found out once.
    pub(crate) async fn envelope_refusal(&mut self) -> Option<Reply> {
        if self.client.trusted || self.account.is_some() {
            return None;
        }
        if let Some(known) = self.transaction.as_ref().and_then(|t| t.checked.clone()) {
            return known;
        }
        let sender = self.transaction.as_ref().map(|t| t.sender.clone()).unwrap_or_default();
        let mut refusal = self.client.sentence.clone();
        let policy = self.policy.clone();
        for restriction in &policy.restrictions {
            if refusal.is_some() {
                break;
            }
            match self.ask(restriction, &sender).await {
                Word::Next => {}
                Word::Permit => break,
                Word::Refuse(reply) => refusal = Some(reply),
            }
        }
        if let Some(transaction) = &mut self.transaction {
            transaction.checked = Some(refusal.clone());
        }
        refusal
    }

    async fn ask(&self, restriction: &Restriction, sender: &str) -> Word {
        let helo = self.greeting.as_ref().map_or("", |g| g.name.as_str());
        let domain = sender.rsplit_once('@').map_or("", |(_, domain)| domain);
        let refuse_if = |bad: bool, code: u16, status: &'static str, text: &'static str| match bad {
            true => Word::Refuse(Reply::new(code, status, text)),
            false => Word::Next,
        };
        match restriction {
            Restriction::InvalidHelo => refuse_if(!is_helo(helo), 501, "5.5.2", "helo command rejected: invalid name"),
            Restriction::NonFqdnHelo => {
                let bad = !is_literal(helo) && !is_fully_qualified(helo);
                refuse_if(bad, 504, "5.5.2", "helo command rejected: need fully-qualified hostname")
            }
            Restriction::NonFqdnSender => {
                let bad = !sender.is_empty() && !is_literal(domain) && !is_fully_qualified(domain);
                refuse_if(bad, 504, "5.5.2", "sender address rejected: need fully-qualified address")
            }
            Restriction::UnlistedSender => self.unlisted_sender(sender).await,
            Restriction::UnauthPipelining => {
                // RFC 2920 §3.1: nothing may be sent ahead of EHLO's answer.
                let extended = self.greeting.as_ref().is_some_and(|g| g.extended);
                let bad = !extended && !self.conn.buffered().is_empty();
                refuse_if(bad, 503, "5.5.0", "improper use of SMTP command pipelining")
            }
            Restriction::NonFqdnRecipient => Word::Next,
            asks => match self.smtp.backend.edge.dns.clone() {
                Some(dns) => self.ask_dns(&*dns, asks, helo, domain).await,
                None => Word::Next,
            },
        }
    }

    async fn ask_dns(&self, dns: &dyn Dns, restriction: &Restriction, helo: &str, domain: &str) -> Word {
        let ip = self.conn.peer().ip();
        let blocked = |what: &str, zone: &str| {
            Word::Refuse(Reply::new(554, "5.7.1", format!("service unavailable; {what} blocked using {zone}")))
        };
        let refuse_if = |bad: bool, status: &'static str, text: &'static str| match bad {
            true => Word::Refuse(Reply::new(450, status, text)),
            false => Word::Next,
        };
        match restriction {
            Restriction::ListedClient(zone, answers) => {
                match is_listed(dns, &listed_address(ip, zone), answers).await {
                    true => blocked(&format!("client host [{}]", ip.to_canonical()), zone),
                    false => Word::Next,
                }
            }
            Restriction::PermitListedClient(zone, answers) => {
                match is_listed(dns, &listed_address(ip, zone), answers).await {
                    true => Word::Permit,
                    false => Word::Next,
                }
            }
            Restriction::ListedClientName(zone, answers) => match self.client_name().await {
                Some(name) if is_listed(dns, &format!("{name}.{zone}"), answers).await => blocked("client host", zone),
                _ => Word::Next,
            },
            Restriction::ListedHelo(zone, answers) => match is_listed(dns, &format!("{helo}.{zone}"), answers).await {
                true => blocked("helo command", zone),
                false => Word::Next,
            },
            Restriction::ListedSender(zone, answers) => {
                match !domain.is_empty() && is_listed(dns, &format!("{domain}.{zone}"), answers).await {
                    true => blocked("sender address", zone),
                    false => Word::Next,
                }
            }
            Restriction::UnknownHelo => {
                let bad = !is_literal(helo) && exists(dns, helo).await == Existence::No;
                refuse_if(bad, "4.7.1", "helo command rejected: host not found")
            }
            Restriction::UnknownSenderDomain if domain.is_empty() || is_literal(domain) => Word::Next,
            Restriction::UnknownSenderDomain => match exists(dns, domain).await {
                Existence::Yes => Word::Next,
                Existence::No => refuse_if(true, "4.1.8", "sender address rejected: domain not found"),
                // RFC 7505 §4.2.
                Existence::TakesNoMail => Word::Refuse(Reply::new(
                    550,
                    "5.7.27",
                    "sender address rejected: domain does not accept mail (nullMX)",
                )),
                Existence::Unknown => {
                    refuse_if(true, "4.4.3", "sender address rejected: domain cannot be looked up now")
                }
            },
            Restriction::UnknownClient => {
                let bad = self.client_name().await.is_none();
                refuse_if(bad, "4.7.25", "client host rejected: cannot find your hostname")
            }
            Restriction::UnknownReverseClient => {
                let names = timeout(ANSWER_MAX, dns.names(ip.to_canonical())).await;
                let bad = names.is_ok_and(|n| n.is_ok_and(|n| n.is_empty()));
                refuse_if(bad, "4.7.25", "client host rejected: cannot find your reverse hostname")
            }
            _ => Word::Next,
        }
    }

    /// An address of ours that nobody has can only be forged.
    async fn unlisted_sender(&self, sender: &str) -> Word {
        let Ok((_, domain)) = split_address(sender) else { return Word::Next };
        let directory = &self.smtp.backend.directory;
        if directory.read(DirectoryQuery::Domain(domain), Freshness::Local).await.is_err() {
            return Word::Next;
        }
        match directory.read(DirectoryQuery::Account(AccountBy::Address(sender.to_string())), Freshness::Local).await {
            Err(Error::NotFound(_)) => {
                Word::Refuse(Reply::new(550, "5.1.0", "sender address rejected: user unknown in our table"))
            }
            _ => Word::Next,
        }
    }
}

/// Whether a name is on a list. What cannot be asked, or is not answered, is not.
async fn is_listed(dns: &dyn Dns, name: &str, answers: &Answers) -> bool {
    let asked = is_name(name).then(|| timeout(ANSWER_MAX, dns.ipv4(name)));
    match asked {
        Some(answer) => answer.await.is_ok_and(|a| a.is_ok_and(|all| all.into_iter().any(|a| answers.include(a)))),
        None => false,
    }
}

#[derive(PartialEq, Eq)]
enum Existence {
    Yes,
    No,
    TakesNoMail,
    Unknown,
}

/// Whether mail could go to a domain: it has an MX record or an address.
async fn exists(dns: &dyn Dns, domain: &str) -> Existence {
    if !is_name(domain) {
        // Beyond ASCII: not looked up in this form, so nothing is known against it.
        return if domain.is_ascii() { Existence::No } else { Existence::Yes };
    }
    let hosts = timeout(ANSWER_MAX, dns.mail_hosts(domain)).await;
    match hosts.map_err(|_| ()).and_then(|h| h.map_err(|_| ())) {
        Ok(hosts) if hosts.len() == 1 && hosts[0].trim_matches('.').is_empty() => return Existence::TakesNoMail,
        Ok(hosts) if !hosts.is_empty() => return Existence::Yes,
        Ok(_) => {}
        Err(()) => return Existence::Unknown,
    }
    match timeout(ANSWER_MAX, dns.addresses(domain)).await {
        Ok(Ok(addresses)) if addresses.is_empty() => Existence::No,
        Ok(Ok(_)) => Existence::Yes,
        _ => Existence::Unknown,
    }
}

/// RFC 5321 §4.1.3, checked where RFC 5321's grammar was only skimmed.
fn is_literal(text: &str) -> bool {
    let Some(inner) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) else { return false };
    match inner.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("IPv6:") => inner[5..].parse::<Ipv6Addr>().is_ok(),
        _ => inner.parse::<Ipv4Addr>().is_ok(),
    }
}

/// A host name as Postfix's `valid_hostname` has it, or an address literal.
fn is_helo(name: &str) -> bool {
    if name.starts_with('[') {
        return is_literal(name);
    }
    let bare = name.strip_suffix('.').unwrap_or(name);
    let label = |l: &str| !l.is_empty() && l.len() <= 63 && !l.starts_with('-') && !l.ends_with('-');
    // An address without brackets is no name.
    is_domain(name) && bare.split('.').all(label) && bare.parse::<IpAddr>().is_err()
}

fn is_fully_qualified(name: &str) -> bool {
    is_helo(name) && name.trim_end_matches('.').contains('.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_and_literals() {
        for (name, helo, qualified) in [
            ("mail.example.org", true, true),
            ("mail.example.org.", true, true),
            ("a_b.example", true, true),
            ("localhost", true, false),
            ("192.0.2.1", false, false),
            ("[192.0.2.1]", true, false),
            ("[IPv6:2001:db8::1]", true, false),
            ("[2001:db8::1]", false, false),
            ("[300.1.1.1]", false, false),
            ("-a.example", false, false),
            ("a..example", false, false),
            (".", false, false),
            ("", false, false),
        ] {
            assert_eq!((is_helo(name), is_fully_qualified(name) && !is_literal(name)), (helo, qualified), "{name}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(name in "\\PC{0,40}") {
            let _ = (is_helo(&name), is_literal(&name), is_fully_qualified(&name));
            let _ = is_literal(&format!("[{name}]"));
        }
    }
}
