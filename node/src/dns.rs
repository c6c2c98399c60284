//! The DNS as the mail edge asks it: through the system's resolvers, or those of the configuration.

use anyhow::{Context, Result};
use futures::future::BoxFuture;
use hickory_resolver::config::{LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{Resolver, TokioResolver};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use zcluster_smtp::{Dns, Unanswered};

/// Answers kept.
const CACHE: u64 = 65_536;
/// "No such name" is asked again after this at most.
const NEGATIVE_TTL_MAX: Duration = Duration::from_secs(300);
/// Records of one answer that are looked at.
const RECORDS_MAX: usize = 32;

/// Asks through resolvers, with a cache.
pub struct Resolving(TokioResolver);

impl Resolving {
    /// With these servers; none: those of `/etc/resolv.conf`.
    ///
    /// # Errors
    /// An unusable `/etc/resolv.conf`.
    pub fn new(servers: &[SocketAddr]) -> Result<Self> {
        let provider = TokioRuntimeProvider::default();
        let mut builder = if servers.is_empty() {
            Resolver::builder(provider).context("the system's resolvers (/etc/resolv.conf)")?
        } else {
            let servers = servers.iter().map(|address| {
                let mut server = NameServerConfig::udp_and_tcp(address.ip());
                server.connections.iter_mut().for_each(|c| c.port = address.port());
                server
            });
            Resolver::builder_with_config(ResolverConfig::from_name_servers(servers.collect()), provider)
        };
        let options = builder.options_mut();
        options.cache_size = CACHE;
        options.negative_max_ttl = Some(NEGATIVE_TTL_MAX);
        options.use_hosts_file = ResolveHosts::Never;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        Ok(Resolving(builder.build().context("the DNS resolver")?))
    }

    /// What is found; nothing, where there is nothing.
    async fn ask<T>(
        &self,
        name: Name,
        kind: RecordType,
        pick: impl Fn(&RData) -> Option<T>,
    ) -> Result<Vec<T>, Unanswered> {
        match self.0.lookup(name, kind).await {
            Ok(found) => Ok(found.answers().iter().filter_map(|r| pick(&r.data)).take(RECORDS_MAX).collect()),
            Err(error) if error.is_no_records_found() => Ok(Vec::new()),
            Err(error) => Err(unanswered(&error)),
        }
    }
}

fn unanswered(error: &NetError) -> Unanswered {
    tracing::debug!(%error, "the DNS does not answer");
    Unanswered
}

/// A name as it stands, without the search list of the machine. What is none has no records.
fn absolute(text: &str) -> Option<Name> {
    let mut name = Name::from_ascii(text).ok()?;
    name.set_fqdn(true);
    Some(name)
}

fn text(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_ascii_lowercase()
}

impl Dns for Resolving {
    fn ipv4<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<Ipv4Addr>, Unanswered>> {
        Box::pin(async move {
            let Some(name) = absolute(name) else { return Ok(Vec::new()) };
            let pick = |data: &RData| match data {
                RData::A(a) => Some(a.0),
                _ => None,
            };
            self.ask(name, RecordType::A, pick).await
        })
    }

    fn addresses<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, Unanswered>> {
        Box::pin(async move {
            let Some(name) = absolute(name) else { return Ok(Vec::new()) };
            let six = |data: &RData| match data {
                RData::AAAA(a) => Some(IpAddr::V6(a.0)),
                _ => None,
            };
            let four = |data: &RData| match data {
                RData::A(a) => Some(IpAddr::V4(a.0)),
                _ => None,
            };
            let (six, four) =
                futures::join!(self.ask(name.clone(), RecordType::AAAA, six), self.ask(name, RecordType::A, four));
            match (six, four) {
                (Ok(mut six), Ok(four)) => {
                    six.extend(four);
                    Ok(six)
                }
                // One kind is answer enough when it has something.
                (Ok(some), Err(_)) | (Err(_), Ok(some)) if !some.is_empty() => Ok(some),
                _ => Err(Unanswered),
            }
        })
    }

    fn mail_hosts<'a>(&'a self, domain: &'a str) -> BoxFuture<'a, Result<Vec<String>, Unanswered>> {
        Box::pin(async move {
            let Some(name) = absolute(domain) else { return Ok(Vec::new()) };
            let pick = |data: &RData| match data {
                RData::MX(mx) => Some(text(&mx.exchange)),
                _ => None,
            };
            self.ask(name, RecordType::MX, pick).await
        })
    }

    fn names(&self, ip: IpAddr) -> BoxFuture<'_, Result<Vec<String>, Unanswered>> {
        Box::pin(async move {
            let pick = |data: &RData| match data {
                RData::PTR(name) => Some(text(&name.0)),
                _ => None,
            };
            self.ask(Name::from(ip.to_canonical()), RecordType::PTR, pick).await
        })
    }
}
