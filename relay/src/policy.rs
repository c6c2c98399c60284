//! What TLS must prove at a host: by the site's word (`zimbraMtaSmtpTlsSecurityLevel`, `zclusterTlsPolicy`), by the
//! domain's (DANE, MTA-STS), by the message's (REQUIRETLS).

use crate::dns::Dns;
use crate::reports::{PolicyDetails, PolicyType, ResultType, Session};
use crate::sts::{Mode, Sts};
use crate::tls::Proof;
use crate::tlsa::Rules;
use zcluster_api::directory::Attributes;
use zcluster_delivery::carry::Failure;

/// Postfix's levels (`smtp_tls_security_level`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// No TLS.
    None,
    /// Where it is offered.
    May,
    /// Always, whoever it is.
    Encrypt,
    /// Always, by the host's name.
    Verify,
    /// Always, by the domain's name.
    Secure,
    /// As the domain publishes; else where it is offered.
    Dane,
    /// As DNS says, or not at all.
    DaneOnly,
}

impl Level {
    /// By Postfix's word; `fingerprint`, which needs values that nobody gives here, is `verify`.
    pub fn parse(word: &str) -> Option<Level> {
        Some(match word.trim() {
            "none" => Level::None,
            "may" => Level::May,
            "encrypt" => Level::Encrypt,
            "verify" | "fingerprint" => Level::Verify,
            "secure" => Level::Secure,
            "dane" => Level::Dane,
            "dane-only" => Level::DaneOnly,
            _ => return None,
        })
    }

    /// The level for a domain: `zclusterTlsPolicy` has lines such as `example.com encrypt`, `.example.com verify`;
    /// otherwise the site's level, and without one, what the domain publishes.
    pub fn of(config: &Attributes, domain: &str) -> Level {
        let rules = config.all("zclusterTlsPolicy");
        let by = |pattern: &str| {
            let rule = |line: &String| {
                let (name, word) = line.trim().split_once(char::is_whitespace)?;
                name.eq_ignore_ascii_case(pattern).then(|| Level::parse(word)).flatten()
            };
            rules.iter().find_map(rule)
        };
        let above = || domain.match_indices('.').find_map(|(at, _)| by(&domain[at..]));
        let site = || config.get("zimbraMtaSmtpTlsSecurityLevel").and_then(Level::parse);
        by(domain).or_else(above).or_else(site).unwrap_or(Level::Dane)
    }

    /// For a message that puts delivery above what the domain publishes (`TLS-Required: No`, RFC 8689 §5): reports about
    /// a domain's broken TLS must not fail by it. What the site demands stays demanded.
    pub fn for_message(self, raw: &[u8]) -> Level {
        let no = |value: &[u8]| String::from_utf8_lossy(value).trim().eq_ignore_ascii_case("no");
        let waived = || zcluster_mail::fields(raw).any(|field| field.is("TLS-Required") && no(field.value));
        match self {
            Level::Dane if waived() => Level::May,
            level => level,
        }
    }
}

/// What is demanded of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Not at all, even where it is offered.
    pub never: bool,
    /// No message without.
    pub required: bool,
    /// What the certificate must prove.
    pub proof: Proof,
    /// Who demands it, for logs.
    pub label: &'static str,
    /// What is not met stays so: the message asked for it (RFC 8689 §4.2.1).
    pub by_message: bool,
    /// Counts how it went.
    pub session: Session,
}

impl Demand {
    fn new(label: &'static str, required: bool, proof: Proof) -> Demand {
        Demand { never: false, required, proof, label, by_message: false, session: Session::default() }
    }

    /// Whether STARTTLS is to be said.
    pub fn wants_tls(&self) -> bool {
        !self.never
    }

    /// Why a host that does not meet it does not get the message.
    pub fn unmet(&self, status: &str, text: String) -> Failure {
        match (self.by_message, status.strip_prefix('4')) {
            (true, Some(rest)) => Failure::permanent(&format!("5{rest}"), text),
            _ => Failure::temporary(status, text),
        }
    }
}

/// A host under a policy.
pub struct Asked<'a> {
    /// The domain (or next hop) whose mail it is.
    pub domain: &'a str,
    pub host: &'a str,
    pub port: u16,
    /// That this host takes the domain's mail is proven, or was set by the operator.
    pub proven: bool,
    /// The host's addresses are proven.
    pub addresses_proven: bool,
    /// Found by MX.
    pub by_mx: bool,
    /// `REQUIRETLS`.
    pub require_tls: bool,
}

/// What a host must fulfil.
///
/// # Errors
/// It must not be used now.
pub async fn demand(level: Level, asked: &Asked<'_>, dns: &Dns, sts: &Sts) -> Result<Demand, Failure> {
    let names = |name: &str| Proof::Names(vec![name.to_string()]);
    let mut demand = match level {
        Level::None => Demand { never: true, ..Demand::new("none", false, Proof::None) },
        Level::May => Demand::new("opportunistic", false, Proof::None),
        Level::Encrypt => Demand::new("encrypt", true, Proof::None),
        Level::Verify => Demand::new("verify", true, names(asked.host)),
        Level::Secure => Demand::new("secure", true, names(if asked.by_mx { asked.domain } else { asked.host })),
        Level::Dane | Level::DaneOnly => match dane(asked, dns, sts).await? {
            Some(demand) => demand,
            None if level == Level::DaneOnly => {
                let text = format!("{} has no proven TLSA records, which dane-only demands", asked.host);
                asked.session(sts, asked.details(PolicyType::Tlsa)).refused(ResultType::DaneRequired, &text);
                return Err(Failure::temporary("4.7.5", text));
            }
            None => by_sts(asked, dns, sts).await?,
        },
    };
    if asked.require_tls {
        (demand.never, demand.required, demand.by_message) = (false, true, true);
        if demand.proof == Proof::None {
            (demand.proof, demand.label) = (names(asked.host), "REQUIRETLS");
        }
    }
    Ok(demand)
}

async fn dane(asked: &Asked<'_>, dns: &Dns, sts: &Sts) -> Result<Option<Demand>, Failure> {
    if !asked.proven || !asked.addresses_proven || !dns.proves().await {
        return Ok(None);
    }
    // RFC 7672 §2.1.3: what cannot be found out may be hidden by whoever wants to read along.
    let records = dns.tlsa(asked.host, asked.port).await;
    let records = records.map_err(|e| {
        asked.session(sts, asked.details(PolicyType::Tlsa)).refused(ResultType::DnssecInvalid, &e.0);
        Failure::temporary("4.7.5", format!("TLSA of {}: {}", asked.host, e.0))
    })?;
    if records.is_empty() {
        return Ok(None);
    }
    let rules = Rules::of(&records);
    // RFC 7672 §3.2.2: the host's name, and the domain's.
    let proof = match rules.is_empty() {
        true => Proof::None,
        false => Proof::Dane(rules, vec![asked.host.to_string(), asked.domain.to_string()]),
    };
    let mut details = asked.details(PolicyType::Tlsa);
    details.policy_string = records.iter().map(ToString::to_string).collect();
    Ok(Some(Demand { session: asked.session(sts, details), ..Demand::new("DANE", true, proof) }))
}

async fn by_sts(asked: &Asked<'_>, dns: &Dns, sts: &Sts) -> Result<Demand, Failure> {
    let opportunistic = Demand::new("opportunistic", false, Proof::None);
    if !asked.by_mx {
        return Ok(opportunistic);
    }
    let found = sts.policy(dns, asked.domain).await;
    if let Some(problem) = &found.problem {
        asked.session(sts, asked.details(PolicyType::Sts)).refused(problem.kind, &problem.text);
    }
    let Some(policy) = found.policy.filter(|p| p.mode != Mode::None) else {
        let session = asked.session(sts, asked.details(PolicyType::NoPolicyFound));
        return Ok(Demand { session, ..opportunistic });
    };
    let mut details = asked.details(PolicyType::Sts);
    (details.policy_string, details.mx_host) = (policy.lines.clone(), policy.mx.clone());
    let session = asked.session(sts, details);
    let names = vec![asked.host.to_string()];
    match (policy.allows(asked.host), policy.mode) {
        (true, Mode::Enforce) => Ok(Demand { session, ..Demand::new("MTA-STS", true, Proof::Names(names)) }),
        (true, _) => Ok(Demand { session, ..Demand::new("MTA-STS testing", false, Proof::Watched(names)) }),
        (false, mode) => {
            let text = format!("{} is not among the hosts of {}'s MTA-STS policy", asked.host, asked.domain);
            session.refused(ResultType::ValidationFailure, &text);
            if mode == Mode::Enforce {
                return Err(Failure::temporary("4.7.5", text));
            }
            tracing::info!(domain = asked.domain, host = asked.host, "would not fit the MTA-STS policy (testing)");
            Ok(opportunistic)
        }
    }
}

impl Asked<'_> {
    fn details(&self, kind: PolicyType) -> PolicyDetails {
        PolicyDetails::new(kind, self.domain)
    }

    /// Sessions with this host, counted under a policy.
    fn session(&self, sts: &Sts, details: PolicyDetails) -> Session {
        match sts.tally() {
            Some(tally) if self.by_mx => Session::of(tally, details, self.host),
            _ => Session::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_policy_counts() {
        let mut config = Attributes::new();
        assert_eq!(Level::of(&config, "a.example"), Level::Dane);
        config.set("zimbraMtaSmtpTlsSecurityLevel", vec!["may".into()]);
        config.set(
            "zclusterTlsPolicy",
            vec!["Bank.example secure".into(), ".example encrypt".into(), "x nonsense".into()],
        );
        let of = |domain: &str| Level::of(&config, domain);
        assert_eq!(
            (of("bank.example"), of("a.example"), of("x"), of("y.net")),
            (Level::Secure, Level::Encrypt, Level::May, Level::May)
        );
    }

    #[test]
    fn reports_of_broken_tls_do_not_fail_by_it() {
        let of = |level: Level, raw: &str| level.for_message(raw.as_bytes());
        assert_eq!(of(Level::Dane, "Subject: x\r\ntls-required:  no \r\n\r\n"), Level::May);
        assert_eq!(of(Level::Dane, "Subject: x\r\n\r\nTLS-Required: No\r\n"), Level::Dane);
        assert_eq!(of(Level::Dane, "TLS-Required: Yes\r\n\r\n"), Level::Dane);
        assert_eq!(of(Level::Encrypt, "TLS-Required: No\r\n\r\n"), Level::Encrypt, "the site's word stands");
    }

    #[test]
    fn only_messages_that_ask_come_back_for_tls() {
        let demand = Demand::new("encrypt", true, Proof::None);
        assert!(!demand.unmet("4.7.4", String::new()).permanent);
        let asked = Demand { by_message: true, ..demand };
        let failure = asked.unmet("4.7.4", String::new());
        assert_eq!((failure.permanent, failure.status.as_str()), (true, "5.7.4"));
    }
}
