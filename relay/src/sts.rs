//! MTA-STS (RFC 8461): a domain says over HTTPS which hosts take its mail, and that they must prove who they are.

use crate::config::RelayConfig;
use crate::dns::Dns;
use crate::reports::{ResultType, Tally};
use futures::StreamExt;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use zcluster_runtime::wall_ms;

/// Bytes of a policy (RFC 8461 §3.3 proposes 64 KiB).
const POLICY_BYTES_MAX: usize = 64 * 1024;
/// Time to fetch one (RFC 8461 §3.3 proposes a minute; mail waits meanwhile).
const FETCH_MAX: Duration = Duration::from_secs(30);
/// Domains remembered.
const KEPT_MAX: usize = 20_000;
/// Lines of a policy that reports show, and characters of one.
const LINES_MAX: usize = 20;
const LINE_CHARS_MAX: usize = 300;
/// Hosts in a policy.
const HOSTS_MAX: usize = 200;
/// Seconds a policy is good for at most (RFC 8461 §3.2).
const AGE_MAX: u64 = 31_557_600;
/// A policy that could not be fetched is asked for again after this (RFC 8461 §3.3).
const FAILED_MS: u64 = 5 * 60 * 1000;

/// What is to be done when a host does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is not used.
    Enforce,
    /// It is used all the same.
    Testing,
    /// There is no policy (any more).
    None,
}

/// A domain's policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub mode: Mode,
    /// Names, or `*.` and a name: one label more.
    pub mx: Vec<String>,
    /// Seconds.
    max_age: u64,
    /// As it is written, for reports.
    pub lines: Vec<String>,
}

/// Why a domain's policy is not to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// In the words of RFC 8460 §4.3.2.2.
    pub kind: ResultType,
    /// For people.
    pub text: String,
}

impl Problem {
    fn new(kind: ResultType, text: impl Into<String>) -> Problem {
        Problem { kind, text: text.into() }
    }
}

/// What is known of a domain's policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The policy, if it has one; possibly from before a problem.
    pub policy: Option<Arc<Policy>>,
    /// It announces one that is not to be had.
    pub problem: Option<Problem>,
}

impl Policy {
    /// Reads a policy file (RFC 8461 §3.2).
    ///
    /// # Errors
    /// What is missing or wrong.
    pub fn parse(text: &str) -> Result<Policy, &'static str> {
        let (mut version, mut mode, mut mx, mut max_age) = (false, None, Vec::new(), None);
        let mut lines = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if lines.len() < LINES_MAX {
                lines.push(line.chars().take(LINE_CHARS_MAX).collect());
            }
            let (key, value) = line.split_once(':').ok_or("a line without a colon")?;
            let value = value.trim();
            match key.trim() {
                "version" => version = value == "STSv1",
                "mode" if mode.is_none() => {
                    mode = Some(match value {
                        "enforce" => Mode::Enforce,
                        "testing" => Mode::Testing,
                        "none" => Mode::None,
                        _ => return Err("an unknown mode"),
                    });
                }
                "mx" if mx.len() < HOSTS_MAX => mx.push(value.trim_end_matches('.').to_ascii_lowercase()),
                "mx" => return Err("too many hosts"),
                "max_age" if max_age.is_none() => {
                    let age = value.parse::<u64>().map_err(|_| "a max_age that is no number")?;
                    max_age = Some(age.min(AGE_MAX));
                }
                // The first of a field counts, unknown ones do not (RFC 8461 §3.2).
                _ => {}
            }
        }
        let mode = mode.ok_or("no mode")?;
        if !version {
            return Err("not version STSv1");
        }
        if mx.is_empty() && mode != Mode::None {
            return Err("no hosts");
        }
        Ok(Policy { mode, mx, max_age: max_age.ok_or("no max_age")?, lines })
    }

    /// Whether a host may take the domain's mail.
    pub fn allows(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        self.mx.iter().any(|pattern| match pattern.strip_prefix("*.") {
            // RFC 8461 §4.1: the star is exactly one label.
            Some(suffix) => host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == suffix),
            None => *pattern == host,
        })
    }
}

/// The id in a `_mta-sts` record (RFC 8461 §3.1); none: it is none.
fn record_id(text: &str) -> Option<String> {
    let mut fields = text.split(';').map(str::trim);
    if fields.next()? != "v=STSv1" {
        return None;
    }
    let id = fields.find_map(|f| f.strip_prefix("id="))?.trim();
    let fit = !id.is_empty() && id.len() <= 32 && id.bytes().all(|b| b.is_ascii_alphanumeric());
    fit.then(|| id.to_string())
}

#[derive(Clone)]
struct Kept {
    id: String,
    found: Found,
    /// Unix milliseconds.
    until_ms: u64,
    /// Not fetched again before then.
    not_before_ms: u64,
}

/// Policies, fetched once.
pub struct Sts {
    port: u16,
    ca_pem: Option<Vec<u8>>,
    tally: Option<Arc<Tally>>,
    kept: Mutex<BTreeMap<String, Kept>>,
}

impl Sts {
    /// Knows none yet.
    ///
    /// # Errors
    /// An unreadable certificate file.
    pub fn new(config: &RelayConfig) -> std::io::Result<Sts> {
        let ca_pem = config.ca_file.as_ref().map(std::fs::read).transpose()?;
        Ok(Sts { port: config.sts_port, ca_pem, tally: config.tally.clone(), kept: Mutex::default() })
    }

    /// Where it is counted how TLS went.
    pub fn tally(&self) -> Option<&Arc<Tally>> {
        self.tally.as_ref()
    }

    /// A domain's policy, if it has one. One that cannot be fetched is none, unless it is known from before.
    pub async fn policy(&self, dns: &Dns, domain: &str) -> Found {
        let kept = self.kept.lock().get(domain).cloned().filter(|k| k.until_ms > wall_ms());
        let texts = dns.texts(&format!("_mta-sts.{domain}")).await.unwrap_or_default();
        let mut ids = texts.iter().filter_map(|t| record_id(t));
        let id = match (ids.next(), ids.next()) {
            (Some(id), None) => id,
            // No record, or several: what is known stays good (RFC 8461 §3.1, §5.1).
            _ => return kept.map(|k| Found { problem: None, ..k.found }).unwrap_or_default(),
        };
        if let Some(kept) = &kept
            && kept.id == id
        {
            // It announces what is known again: a problem with something newer is over.
            return Found { problem: None, ..kept.found.clone() };
        }
        if kept.as_ref().is_some_and(|k| k.not_before_ms > wall_ms()) {
            return kept.map(|k| k.found).unwrap_or_default();
        }
        let fetched = zcluster_runtime::timeout(FETCH_MAX, self.fetch(dns, domain)).await;
        let late = || Problem::new(ResultType::StsPolicyFetchError, "no answer in time");
        let entry = match fetched.unwrap_or_else(|_| Err(late())) {
            Ok(policy) => {
                let until_ms = wall_ms() + policy.max_age * 1000;
                let found = Found { policy: Some(Arc::new(policy)), problem: None };
                Kept { id, found, until_ms, not_before_ms: 0 }
            }
            Err(problem) => {
                tracing::info!(domain, error = problem.text, kind = ?problem.kind, "MTA-STS policy not fetched");
                let not_before_ms = wall_ms() + FAILED_MS;
                // The older one stays for as long as it was good.
                let none = Kept { id: String::new(), found: Found::default(), until_ms: not_before_ms, not_before_ms };
                let mut entry = Kept { not_before_ms, ..kept.unwrap_or(none) };
                entry.found.problem = Some(problem);
                entry
            }
        };
        let found = entry.found.clone();
        self.keep(domain, entry);
        found
    }

    fn keep(&self, domain: &str, entry: Kept) {
        let mut kept = self.kept.lock();
        if kept.len() >= KEPT_MAX && !kept.contains_key(domain) {
            let now = wall_ms();
            kept.retain(|_, k| k.until_ms > now);
            if kept.len() >= KEPT_MAX {
                kept.pop_first();
            }
        }
        kept.insert(domain.to_string(), entry);
    }

    async fn fetch(&self, dns: &Dns, domain: &str) -> Result<Policy, Problem> {
        let failed = |text: String| Problem::new(ResultType::StsPolicyFetchError, text);
        let host = format!("mta-sts.{domain}");
        let addresses = dns.addresses(&host).await.map_err(|e| failed(e.0))?;
        let addresses: Vec<SocketAddr> = addresses.what.iter().map(|a| SocketAddr::new(*a, self.port)).collect();
        let mut http = reqwest::Client::builder()
            .no_proxy()
            .timeout(FETCH_MAX)
            // RFC 8461 §3.3: redirects are not followed.
            .redirect(reqwest::redirect::Policy::none())
            .resolve_to_addrs(&host, &addresses);
        if let Some(pem) = &self.ca_pem {
            let certificates = reqwest::Certificate::from_pem_bundle(pem).map_err(|e| failed(e.to_string()))?;
            http = http.tls_certs_merge(certificates);
        }
        let http = http.build().map_err(|e| failed(e.to_string()))?;
        let url = format!("https://{host}:{}/.well-known/mta-sts.txt", self.port);
        let response = http.get(url).send().await.map_err(|e| problem(&e))?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(failed(format!("HTTP status {}", response.status())));
        }
        let mut bytes = Vec::new();
        let mut stream = response.bytes_stream();
        while let Some(piece) = stream.next().await {
            bytes.extend_from_slice(&piece.map_err(|e| problem(&e))?);
            if bytes.len() > POLICY_BYTES_MAX {
                return Err(Problem::new(ResultType::StsPolicyInvalid, "too long"));
            }
        }
        let policy = Policy::parse(&String::from_utf8_lossy(&bytes));
        policy.map_err(|text| Problem::new(ResultType::StsPolicyInvalid, text))
    }
}

/// What a failed fetch was: a certificate that proves nothing is a kind of its own.
fn problem(e: &reqwest::Error) -> Problem {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(e);
    while let Some(e) = source {
        let inner = e.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let tls = e.downcast_ref::<rustls::Error>().or_else(|| inner?.downcast_ref::<rustls::Error>());
        if let Some(rustls::Error::InvalidCertificate(why)) = tls {
            return Problem::new(ResultType::StsWebpkiInvalid, why.to_string());
        }
        source = e.source();
    }
    Problem::new(ResultType::StsPolicyFetchError, words(e))
}

fn words(e: &reqwest::Error) -> String {
    let mut source = std::error::Error::source(e);
    let mut words = e.to_string();
    while let Some(e) = source {
        words = e.to_string();
        source = e.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn policies_as_the_rfc_writes_them() {
        let text = "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\n\
                    mx: backupmx.example.com\r\nmax_age: 604800\r\n";
        let policy = Policy::parse(text).unwrap();
        assert_eq!((policy.mode, policy.max_age), (Mode::Enforce, 604_800));
        for (host, allowed) in [
            ("Mail.example.com", true),
            ("mx1.example.net", true),
            ("example.net", false),
            ("a.b.example.net", false),
            ("evil.example.com", false),
            (".example.net", false),
        ] {
            assert_eq!(policy.allows(host), allowed, "{host}");
        }
        assert!(Policy::parse("version: STSv1\nmode: none\nmax_age: 1\nfuture: x\n").is_ok());
        for bad in [
            "",
            "mode: enforce\nmx: a\nmax_age: 1",
            "version: STSv1\nmode: enforce\nmax_age: 1",
            "version: STSv1\nmode: maybe\nmx: a\nmax_age: 1",
            "version: STSv1\nmode: enforce\nmx: a\nmax_age: -1",
            "version: STSv1\nmode: enforce\nmx: a",
            "<html>",
        ] {
            assert!(Policy::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn records() {
        assert_eq!(record_id("v=STSv1; id=20160831085700Z;").as_deref(), Some("20160831085700Z"));
        for bad in ["v=STSv2; id=1", "id=1; v=STSv1", "v=STSv1", "v=STSv1; id=a b", "v=spf1 -all"] {
            assert_eq!(record_id(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_answered(text in "((version|mode|mx|max_age|\\PC{0,5}):? ?(STSv1|enforce|testing|[0-9*.a]{0,9}|\\PC{0,5})\r?\n){0,8}", host in "[a-z.*]{0,12}") {
            if let Ok(policy) = Policy::parse(&text) {
                let _ = policy.allows(&host);
            }
            let _ = record_id(&text);
        }
    }
}
