//! DNS: what it says of a domain's mail hosts, and whether that is proven (DNSSEC).

use crate::config::RelayConfig;
use hickory_resolver::config::{LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::dnssec::{Proof, TrustAnchors};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::rdata::TLSA;
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use hickory_resolver::{Resolver, TokioResolver};
use parking_lot::Mutex;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use zcluster_runtime::Instant;

/// Answers kept.
const CACHE: u64 = 65_536;
/// "No such name" is asked again after this at most: a domain that was just set up is not lost for hours.
const NEGATIVE_TTL_MAX: Duration = Duration::from_secs(300);
/// Whether the servers give proofs is found out again after this.
const PROBE_EVERY: Duration = Duration::from_secs(600);
/// Questions under way at a time, for each server.
const ACTIVE_MAX: usize = 256;
/// Hosts of one domain that are looked at.
const HOSTS_MAX: usize = 50;
/// Records of one host or name.
const RECORDS_MAX: usize = 32;

/// The servers do not answer, or not truly: another time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unresolved(pub String);

/// A domain's mail hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailHosts {
    /// Preference and name; `secure`: proven.
    Some { hosts: Vec<(u16, String)>, secure: bool },
    /// It takes no mail (RFC 7505).
    Null,
    /// There is no such domain.
    NoDomain,
}

/// What was found, and whether it is proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<T> {
    pub what: Vec<T>,
    pub secure: bool,
    /// Nothing was found because the name does not exist.
    pub no_name: bool,
}

/// Looks up, with a cache.
pub struct Dns {
    plain: TokioResolver,
    proving: Option<TokioResolver>,
    /// Whether the servers give proofs, and when that was found out.
    proofs: Mutex<Option<(bool, Instant)>>,
    ipv6: bool,
}

impl Dns {
    /// With the configured servers, or the system's.
    ///
    /// # Errors
    /// An unusable `/etc/resolv.conf` or file of trust anchors.
    pub fn new(config: &RelayConfig) -> Result<Dns, Unresolved> {
        let plain = resolver(config, false)?;
        let proving = if config.dnssec { Some(resolver(config, true)?) } else { None };
        Ok(Dns { plain, proving, proofs: Mutex::new(None), ipv6: config.ipv6 })
    }

    /// Whether answers can be proven: servers that leave signatures out would make every domain look forged.
    pub async fn proves(&self) -> bool {
        let Some(proving) = &self.proving else { return false };
        let known = *self.proofs.lock();
        if let Some((proves, since)) = known
            && since.elapsed() < PROBE_EVERY
        {
            return proves;
        }
        let root = proving.lookup(".", RecordType::NS).await;
        let proves = root.is_ok_and(|l| !l.answers().is_empty() && l.answers().iter().all(is_secure));
        let before = self.proofs.lock().replace((proves, Instant::now()));
        if before.is_none_or(|(was, _)| was != proves) {
            tracing::info!(proves, "DNSSEC by the configured resolvers (DANE needs it)");
        }
        proves
    }

    async fn ask(&self, name: &str, kind: RecordType) -> Result<Answer, Unresolved> {
        let resolver = match &self.proving {
            Some(proving) if self.proves().await => proving,
            _ => &self.plain,
        };
        // A name ends with a dot, else it is looked for below the node's own domain.
        let name = format!("{}.", name.trim_end_matches('.'));
        answer(resolver.lookup(name, kind).await)
    }

    /// A domain's mail hosts; without MX records, the domain itself (RFC 5321 §5.1).
    ///
    /// # Errors
    /// Nobody can tell now.
    pub async fn mail_hosts(&self, domain: &str) -> Result<MailHosts, Unresolved> {
        let answer = self.ask(domain, RecordType::MX).await?;
        let records = match answer {
            Answer::Records(records) => records,
            Answer::None { no_name: true, .. } => return Ok(MailHosts::NoDomain),
            Answer::None { no_name: false, secure } => {
                return Ok(MailHosts::Some { hosts: vec![(0, domain.to_string())], secure });
            }
        };
        let secure = records.iter().all(is_secure);
        let exchange = |r: &Record| match &r.data {
            RData::MX(mx) => Some((mx.preference, mx.exchange.to_ascii().trim_end_matches('.').to_ascii_lowercase())),
            _ => None,
        };
        let hosts: Vec<(u16, String)> = records.iter().filter_map(exchange).take(HOSTS_MAX).collect();
        if hosts.is_empty() {
            return Ok(MailHosts::Some { hosts: vec![(0, domain.to_string())], secure });
        }
        // The root as a host among others is an error of whoever wrote it (RFC 7505 §3).
        let named: Vec<_> = hosts.into_iter().filter(|(_, host)| !host.is_empty()).collect();
        Ok(if named.is_empty() { MailHosts::Null } else { MailHosts::Some { hosts: named, secure } })
    }

    /// A host's addresses, those of IPv6 first.
    ///
    /// # Errors
    /// Nobody can tell now.
    pub async fn addresses(&self, host: &str) -> Result<Found<IpAddr>, Unresolved> {
        if let Ok(address) = host.parse() {
            return Ok(Found { what: vec![address], secure: false, no_name: false });
        }
        let (six, four) = match self.ipv6 {
            true => futures::join!(self.ask(host, RecordType::AAAA), self.ask(host, RecordType::A)),
            false => (Ok(Answer::None { no_name: false, secure: true }), self.ask(host, RecordType::A).await),
        };
        let (six, four) = match (six, four) {
            (Err(six), Err(_)) => return Err(six),
            // One family is enough to try.
            (six, four) => (six, four),
        };
        let mut found = Found { what: Vec::new(), secure: true, no_name: false };
        let mut failed = None;
        for answer in [six, four] {
            match answer {
                Ok(Answer::Records(records)) => {
                    found.secure &= records.iter().all(is_secure);
                    found.what.extend(records.iter().filter_map(address).take(RECORDS_MAX));
                }
                Ok(Answer::None { no_name, secure }) => {
                    found.no_name |= no_name;
                    found.secure &= secure;
                }
                Err(error) => {
                    found.secure = false;
                    failed = Some(error);
                }
            }
        }
        match failed {
            Some(error) if found.what.is_empty() => Err(error),
            _ => Ok(found),
        }
    }

    /// The TLSA records of a host's port, when they are proven; empty when there provably, or knowably, are none.
    ///
    /// # Errors
    /// Nobody can tell: the host must not be used (RFC 7672 §2.1.3).
    pub async fn tlsa(&self, host: &str, port: u16) -> Result<Vec<TLSA>, Unresolved> {
        match self.ask(&format!("_{port}._tcp.{host}"), RecordType::TLSA).await? {
            Answer::Records(records) if records.iter().all(is_secure) => {
                let tlsa = |r: Record| match r.data {
                    RData::TLSA(tlsa) => Some(tlsa),
                    _ => None,
                };
                Ok(records.into_iter().filter_map(tlsa).take(RECORDS_MAX).collect())
            }
            _ => Ok(Vec::new()),
        }
    }

    /// A name's texts.
    ///
    /// # Errors
    /// Nobody can tell now.
    pub async fn texts(&self, name: &str) -> Result<Vec<String>, Unresolved> {
        match self.ask(name, RecordType::TXT).await? {
            Answer::Records(records) => {
                let text = |r: &Record| match &r.data {
                    RData::TXT(txt) => {
                        let bytes: Vec<u8> = txt.txt_data.iter().flat_map(|part| part.iter().copied()).collect();
                        Some(String::from_utf8_lossy(&bytes).into_owned())
                    }
                    _ => None,
                };
                Ok(records.iter().filter_map(text).take(RECORDS_MAX).collect())
            }
            Answer::None { .. } => Ok(Vec::new()),
        }
    }
}

enum Answer {
    Records(Vec<Record>),
    None { no_name: bool, secure: bool },
}

fn is_secure(record: &Record) -> bool {
    record.proof == Proof::Secure
}

fn address(record: &Record) -> Option<IpAddr> {
    match &record.data {
        RData::A(a) => Some(IpAddr::V4(a.0)),
        RData::AAAA(a) => Some(IpAddr::V6(a.0)),
        _ => None,
    }
}

fn answer(result: Result<Lookup, NetError>) -> Result<Answer, Unresolved> {
    match result {
        Ok(lookup) => Ok(Answer::Records(lookup.answers().to_vec())),
        Err(NetError::Dns(DnsError::Nsec { response, proof, .. })) if proof != Proof::Bogus => {
            let no_name = response.response_code == ResponseCode::NXDomain;
            Ok(Answer::None { no_name, secure: proof == Proof::Secure })
        }
        Err(e) if e.is_no_records_found() => Ok(Answer::None { no_name: e.is_nx_domain(), secure: false }),
        Err(e) => Err(Unresolved(e.to_string())),
    }
}

fn resolver(config: &RelayConfig, validate: bool) -> Result<TokioResolver, Unresolved> {
    let failed = |e: NetError| Unresolved(e.to_string());
    let provider = TokioRuntimeProvider::default();
    let mut builder = if config.resolvers.is_empty() {
        Resolver::builder(provider).map_err(failed)?
    } else {
        let servers = config.resolvers.iter().map(|address| {
            let mut server = NameServerConfig::udp_and_tcp(address.ip());
            server.connections.iter_mut().for_each(|c| c.port = address.port());
            server
        });
        Resolver::builder_with_config(ResolverConfig::from_name_servers(servers.collect()), provider)
    };
    let options: &mut ResolverOpts = builder.options_mut();
    options.cache_size = CACHE;
    options.negative_max_ttl = Some(NEGATIVE_TTL_MAX);
    options.max_active_requests = ACTIVE_MAX;
    options.use_hosts_file = ResolveHosts::Never;
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.validate = validate;
    if let (true, Some(path)) = (validate, &config.trust_anchor) {
        let anchors = TrustAnchors::from_file(path);
        let unusable = |e: &dyn std::fmt::Display| Unresolved(format!("trust anchors in {}: {e}", path.display()));
        let anchors = anchors.map_err(|e| unusable(&e))?;
        if anchors.is_empty() {
            return Err(unusable(&"no DNSKEY of the root"));
        }
        builder = builder.with_trust_anchor(Arc::new(anchors));
    }
    builder.build().map_err(failed)
}
