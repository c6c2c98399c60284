//! One try to get a message to other hosts.

use crate::config::RelayConfig;
use crate::convert::{self, Fixed, Width};
use crate::dns::Dns;
use crate::limits::{Allowed, Limits};
use crate::policy::{self, Asked, Demand, Level};
use crate::pool::Pool;
use crate::route::{self, Candidate, Route, Way};
use crate::smtp::{Connection, Mail, Opening, unfit};
use crate::sts::Sts;
use crate::tls::Tls;
use bytes::Bytes;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use zcluster_api::directory::{Attributes, duration};
use zcluster_api::queue::{BodyKind, domain_of};
use zcluster_api::{DirectoryApi, DirectoryQuery, DirectoryReply, Freshness};
use zcluster_delivery::carry::transport::{NextHop, TransportMap};
use zcluster_delivery::carry::{Failure, Parcel, Relay, Results, Taken};

/// Addresses of one host that are tried.
const ADDRESSES_MAX: usize = 5;
/// See [`down_for`].
const DOWN_FOR: Duration = Duration::from_secs(60);
/// Hosts that may say "not now" to recipients before these go back into the queue (Postfix's `smtp_mx_session_limit`).
const SESSIONS_MAX: usize = 2;

/// The way to other hosts.
pub struct Mta {
    config: RelayConfig,
    directory: Arc<dyn DirectoryApi>,
    dns: Dns,
    tls: Tls,
    sts: Sts,
    limits: Limits,
    pool: Pool,
    /// The settings, with the version of the directory that they are of.
    settings: Mutex<Option<(u64, Arc<Settings>)>>,
}

/// What the cluster's configuration says of sending.
pub(crate) struct Settings {
    pub config: Attributes,
    /// `zclusterTransportMap`.
    pub map: TransportMap,
}

impl Settings {
    pub fn of(config: Attributes) -> Settings {
        let map = TransportMap::parse(config.all("zclusterTransportMap"));
        Settings { config, map }
    }
}

/// What is still to be done for a route.
struct Errand<'a> {
    parcel: &'a Parcel<'a>,
    config: &'a Attributes,
    results: Results,
    left: Vec<String>,
    last: Failure,
    /// Hosts that took part in a transaction.
    sessions: usize,
    /// Some host could be talked to.
    reached: bool,
    /// The message as hosts need it that do not take it as it is.
    narrow: BTreeMap<Width, Result<Bytes, Fixed>>,
}

impl Errand<'_> {
    /// The message in a width, signed again where its signature is ours.
    async fn narrowed(&mut self, width: Width) -> Result<Bytes, Fixed> {
        if let Some(made) = self.narrow.get(&width) {
            return made.clone();
        }
        let raw = self.parcel.raw.clone();
        // A large message takes a while: not on the event loop.
        let made = zcluster_runtime::spawn_blocking(move || convert::convert(&raw, width)).await;
        let made = match (made.unwrap_or(Err(Fixed::Structure)), &self.parcel.signing) {
            (Ok(raw), Some(signing)) => Ok(signing.again(raw.into()).await),
            (made, _) => made.map(Bytes::from),
        };
        metrics::counter!("zcluster_relay_converted_total", "result" => if made.is_ok() { "ok" } else { "impossible" })
            .increment(1);
        self.narrow.insert(width, made.clone());
        made
    }
}

impl Mta {
    /// Ready to send.
    ///
    /// # Errors
    /// Unusable resolvers or certificates.
    pub fn new(config: RelayConfig, directory: Arc<dyn DirectoryApi>) -> std::io::Result<Arc<Mta>> {
        let dns = Dns::new(&config).map_err(|e| std::io::Error::other(e.0))?;
        let (tls, sts) = (Tls::new(config.ca_file.as_deref())?, Sts::new(&config)?);
        let (limits, pool) = (Limits::new(config.waiting), Pool::new(&config));
        Ok(Arc::new(Mta { config, directory, dns, tls, sts, limits, pool, settings: Mutex::default() }))
    }

    /// The settings as they are now: read once for each change of the directory.
    async fn settings(&self) -> Arc<Settings> {
        let version = self.directory.version();
        let kept = self.settings.lock().clone();
        if let (Some(version), Some((kept, settings))) = (version, kept)
            && version == kept
        {
            return settings;
        }
        let config = match self.directory.read(DirectoryQuery::Cluster, Freshness::Local).await {
            Ok(DirectoryReply::Cluster(cluster)) => cluster.config,
            Ok(_) | Err(_) => return Arc::new(Settings::of(Attributes::new())),
        };
        let settings = Arc::new(Settings::of(config));
        *self.settings.lock() = version.map(|version| (version, settings.clone()));
        settings
    }

    async fn send_now(&self, parcel: Parcel<'_>) -> Results {
        if unfit(&parcel.sender) {
            let failure = Failure::permanent("5.1.7", "a sender's address that cannot be said");
            return parcel.recipients.iter().map(|r| (r.clone(), Err(failure.clone()))).collect();
        }
        let settings = self.settings().await;
        let senders = self.smart_hosts_of(&parcel.sender).await;
        let mut results = Results::new();
        let mut routes: BTreeMap<Route, Vec<String>> = BTreeMap::new();
        for recipient in &parcel.recipients {
            let result = match route::way(recipient, parcel.via.as_ref(), &settings, &senders) {
                _ if unfit(recipient) => Err(Failure::permanent("5.1.3", "an address that cannot be said")),
                Ok(Way::Route(route)) => {
                    routes.entry(route).or_default().push(recipient.clone());
                    continue;
                }
                Ok(Way::Discard) => Ok(Taken { host: Some("discard".into()), text: "discarded".into(), reports: true }),
                Ok(Way::Stop(true, text)) => Err(Failure::permanent("5.7.1", text)),
                Ok(Way::Stop(false, text)) => Err(Failure::temporary("4.7.1", text)),
                Err(failure) => Err(failure),
            };
            results.push((recipient.clone(), result));
        }
        for (route, recipients) in routes {
            results.extend(self.by_route(&route, recipients, &parcel, &settings.config).await);
        }
        results
    }

    /// `zclusterSenderRelayHost` of the sender's domain (Postfix's `sender_dependent_relayhost_maps`).
    async fn smart_hosts_of(&self, sender: &str) -> Vec<String> {
        let domain = domain_of(sender).to_lowercase();
        if domain.is_empty() {
            return Vec::new();
        }
        match self.directory.read(DirectoryQuery::Domain(domain), Freshness::Local).await {
            Ok(DirectoryReply::Domain(domain)) => domain.attrs.all("zclusterSenderRelayHost").to_vec(),
            _ => Vec::new(),
        }
    }

    async fn by_route(
        &self,
        route: &Route,
        recipients: Vec<String>,
        parcel: &Parcel<'_>,
        config: &Attributes,
    ) -> Results {
        let key = route.key();
        let name = route.hops.first().map_or("", |hop| hop.host.as_str());
        let allowed = Allowed::of(config, name, self.config.concurrency);
        let slot = match self.limits.enter(&key, allowed).await {
            Ok(slot) => slot,
            Err(failure) => return recipients.into_iter().map(|r| (r, Err(failure.clone()))).collect(),
        };
        let mut errand = Errand {
            parcel,
            config,
            results: Results::new(),
            left: recipients,
            last: Failure::temporary("4.4.1", "no host answered"),
            sessions: 0,
            reached: false,
            narrow: BTreeMap::new(),
        };
        for hop in &route.hops {
            self.by_hop(&key, route, hop, &mut errand).await;
            if errand.left.is_empty() || errand.last.permanent {
                break;
            }
        }
        let fallback = config.all("zimbraMtaFallbackRelayHost");
        if !errand.left.is_empty() && !errand.reached && !errand.last.permanent {
            for hop in fallback.iter().filter_map(|v| NextHop::parse(v)) {
                self.by_hop(&key, route, &hop, &mut errand).await;
                if errand.left.is_empty() {
                    break;
                }
            }
        }
        match errand.reached {
            true => self.limits.up(&key),
            false if !errand.last.permanent => self.limits.down(&key, &errand.last, down_for(config)),
            false => {}
        }
        drop(slot);
        let last = errand.last;
        errand.results.extend(errand.left.into_iter().map(|r| (r, Err(last.clone()))));
        errand.results
    }

    /// Tries a hop's hosts until all recipients are settled.
    async fn by_hop(&self, key: &str, route: &Route, hop: &NextHop, errand: &mut Errand<'_>) {
        let me = &self.config.hostname;
        let hosts = match route::candidates(hop, route.speech, self.config.port, me, &self.dns).await {
            Ok(hosts) => hosts,
            Err(failure) => {
                errand.last = failure;
                return;
            }
        };
        for host in hosts {
            if errand.left.is_empty() || errand.sessions >= SESSIONS_MAX {
                return;
            }
            if let Err(failure) = self.by_host(key, route, hop, &host, errand).await {
                errand.last = failure;
                if errand.last.permanent {
                    return;
                }
            }
        }
    }

    /// Tries a host's addresses.
    async fn by_host(
        &self,
        key: &str,
        route: &Route,
        hop: &NextHop,
        host: &Candidate,
        errand: &mut Errand<'_>,
    ) -> Result<(), Failure> {
        let about = |failure: Failure| Failure { host: Some(host.host.clone()), ..failure };
        let found = self.dns.addresses(&host.host).await;
        let found = found.map_err(|e| Failure::temporary("4.4.3", format!("address of {}: {}", host.host, e.0)))?;
        if found.what.is_empty() {
            // A host without address beside others is no reason to give up; alone it is, when the name does not exist.
            let text = format!("{} has no address", host.host);
            let alone = host.by_mx.as_deref().is_none_or(|domain| domain == host.host);
            return Err(match alone && (found.no_name || host.by_mx.is_some()) {
                true => Failure::permanent("5.4.4", text),
                false => Failure::temporary("4.4.4", text),
            });
        }
        let asked = Asked {
            domain: host.by_mx.as_deref().unwrap_or(&host.host),
            host: &host.host,
            port: host.port,
            proven: host.proven,
            addresses_proven: found.secure,
            by_mx: host.by_mx.is_some(),
            require_tls: errand.parcel.terms.is_some_and(|t| t.require_tls),
        };
        let level = Level::of(errand.config, asked.domain).for_message(&errand.parcel.raw);
        let demand = policy::demand(level, &asked, &self.dns, &self.sts).await.map_err(about)?;
        let place = format!("{key} {}:{}", host.host, host.port);
        if let Some(connection) = self.pool.take(&place, &demand) {
            match self.converse(connection, &place, &demand, errand).await {
                // One that was closed meanwhile says nothing about the host.
                Err(failure) if errand.sessions < SESSIONS_MAX && !failure.permanent => {}
                other => return other,
            }
        }
        let mut last = Failure::temporary("4.4.1", "no address");
        for address in found.what.iter().take(ADDRESSES_MAX) {
            let opening = Opening {
                config: &self.config,
                tls: &self.tls,
                host: &host.host,
                address: SocketAddr::new(*address, host.port),
                speech: route.speech,
                demand: &demand,
                credential: self.config.credential(hop),
            };
            match Connection::open(&opening).await {
                Ok(connection) => {
                    errand.reached = true;
                    return self.converse(connection, &place, &demand, errand).await;
                }
                Err(failure) => {
                    tracing::debug!(host = host.host, %address, reply = failure.text, "not connected");
                    last = failure;
                }
            }
        }
        Err(last)
    }

    /// Hands the message over and settles those recipients for whom that was the last word.
    async fn converse(
        &self,
        mut connection: Connection,
        place: &str,
        demand: &Demand,
        errand: &mut Errand<'_>,
    ) -> Result<(), Failure> {
        let parcel = errand.parcel;
        let mut raw = parcel.raw.clone();
        let binary = parcel.terms.is_some_and(|t| t.body == BodyKind::Binary);
        let mail = Mail { sender: &parcel.sender, recipients: &errand.left, terms: parcel.terms, raw: &raw, binary };
        let narrower = connection.narrower(&mail);
        if let Some(width) = narrower {
            match errand.narrowed(width).await {
                Ok(narrow) => raw = narrow,
                Err(fixed) => {
                    let lacks = if binary { "BINARYMIME" } else { "8BITMIME" };
                    let text = format!("{} offers no {lacks}, and {}", connection.host, fixed.text());
                    self.pool.give(place, demand, connection);
                    return Err(Failure::permanent("5.6.3", text));
                }
            }
        }
        let binary = binary && narrower.is_none();
        let mail = Mail { sender: &parcel.sender, recipients: &errand.left, terms: parcel.terms, raw: &raw, binary };
        let results = match connection.hand_over(&mail, self.config.data_timeout).await {
            Ok(results) => results,
            Err(failure) => {
                if connection.unsure {
                    // It may have it: another host asked now would make two of it more likely than waiting.
                    (errand.sessions, errand.reached) = (SESSIONS_MAX, true);
                }
                zcluster_runtime::spawn(connection.close());
                return Err(failure);
            }
        };
        errand.reached = true;
        errand.sessions += 1;
        self.pool.give(place, demand, connection);
        errand.left.clear();
        for (recipient, result) in results {
            match result {
                Err(failure) if !failure.permanent => {
                    errand.last = failure;
                    errand.left.push(recipient);
                }
                settled => errand.results.push((recipient, settled)),
            }
        }
        Ok(())
    }
}

/// How long a destination that did not answer is left alone: a minute, or until its first message is tried again.
fn down_for(config: &Attributes) -> Duration {
    let backoff = config.get("zimbraMtaMinimalBackoffTime").and_then(duration);
    backoff.unwrap_or(DOWN_FOR).min(DOWN_FOR)
}

impl Relay for Mta {
    fn send<'a>(&'a self, parcel: Parcel<'a>) -> BoxFuture<'a, Results> {
        Box::pin(self.send_now(parcel))
    }
}
