//! Who connects: looked at before a word is said (postscreen).

use super::{Defence, Listing, Visit};
use crate::codec::Reply;
use crate::dns::{Dns, listed_address, verified_name};
use crate::policy::{Action, Policy};
use crate::service::Service;
use crate::session::Session;
use futures::future::{join, join_all};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use zcluster_listener::ReadError;
use zcluster_runtime::{Instant, timeout};

/// How long a client's name is believed.
const NAME_TTL: Duration = Duration::from_secs(3_600);
/// How long it may take to find.
const NAME_TIMEOUT: Duration = Duration::from_secs(5);

/// What is known of the client of a session.
#[derive(Default)]
pub struct Client {
    /// `zimbraMtaMyNetworks`: it may relay.
    pub may_relay: bool,
    /// It is asked nothing: one that may relay, or of this machine.
    pub trusted: bool,
    /// Every recipient is refused so.
    pub sentence: Option<Reply>,
    /// Its place among the connections.
    pub visit: Option<Visit>,
}

/// Whether the session begins.
pub enum Admission {
    /// The first lines of the greeting may have been sent.
    Go,
    /// This is all that is said.
    Refuse(Reply),
}

impl Session {
    /// Looks at the client.
    ///
    /// # Errors
    /// The connection's.
    pub(crate) async fn admit(&mut self) -> Result<Admission, ReadError> {
        let ip = self.conn.peer().ip();
        self.policy = self.smtp.backend.edge.defence.policy(&self.smtp.backend.directory).await;
        let policy = self.policy.clone();
        self.client.may_relay = policy.my_networks.contains(ip);
        // Loopback is where proxies and tests live; whoever is there sends from this machine anyway.
        self.client.trusted = self.client.may_relay || ip.to_canonical().is_loopback();
        if self.service() == Service::Lmtp || self.client.trusted {
            return Ok(Admission::Go);
        }
        let defence = self.smtp.backend.edge.defence.clone();
        match defence.enter(&policy, ip) {
            Some(visit) => self.client.visit = Some(visit),
            None => {
                metrics::counter!("zcluster_smtp_clients_refused_total", "reason" => "connections").increment(1);
                return Ok(Admission::Refuse(Reply::new(421, "4.7.0", "too many connections, try again later")));
            }
        }
        if self.service() != Service::Mx {
            return Ok(Admission::Go);
        }
        self.test(&defence, &policy, ip).await
    }

    /// The tests that cost a client time: on port 25 only.
    async fn test(&mut self, defence: &Arc<Defence>, policy: &Policy, ip: IpAddr) -> Result<Admission, ReadError> {
        let dns = self.smtp.backend.edge.dns.clone();
        let lookups = listing(defence, policy, dns.as_deref(), ip);
        let is_polite = defence.reputation(ip, |r| r.polite_until.is_some_and(|at| !at.remaining().is_zero()));
        // What has no consequence is not worth the wait.
        let waits = policy.greet != Action::Ignore && !is_polite && !policy.greet_wait.is_zero();
        let (early, listing) = if waits {
            let greeting = format!("220-{} ESMTP zcluster\r\n", self.smtp.config.hostname);
            self.conn.push(greeting.as_bytes());
            let (early, listing) = join(self.speaks_first(policy.greet_wait), lookups).await;
            (early?, listing)
        } else {
            (false, lookups.await)
        };
        let allowed = policy.dnsbl_allow_threshold < 0 && listing.score <= policy.dnsbl_allow_threshold;
        if early && !allowed {
            metrics::counter!("zcluster_smtp_clients_refused_total", "reason" => "pregreet").increment(1);
            tracing::info!(peer = %ip, "client spoke before the greeting");
            let reply = Reply::new(550, "5.5.1", "protocol error: you spoke before the greeting");
            if let Some(refused) = self.sentenced(policy.greet, reply) {
                return Ok(refused);
            }
        } else if waits {
            let until = Instant::now() + policy.greet_ttl;
            defence.reputation(ip, |r| r.polite_until = Some(until));
        }
        if !policy.dnsbl_sites.is_empty() && listing.score >= policy.dnsbl_threshold {
            let by = listing.by.unwrap_or_default();
            metrics::counter!("zcluster_smtp_clients_refused_total", "reason" => "dnsbl").increment(1);
            tracing::info!(peer = %ip, score = listing.score, list = %by, "client is on block lists");
            let text = format!("service unavailable; client [{}] blocked using {by}", ip.to_canonical());
            if let Some(refused) = self.sentenced(policy.dnsbl, Reply::new(550, "5.7.1", text)) {
                return Ok(refused);
            }
        }
        Ok(Admission::Go)
    }

    fn sentenced(&mut self, action: Action, reply: Reply) -> Option<Admission> {
        match action {
            Action::Ignore => None,
            Action::Enforce => {
                self.client.sentence.get_or_insert(reply);
                None
            }
            // RFC 7504 §3: 521 says that there is no service at all.
            Action::Drop => Some(Admission::Refuse(Reply { code: 521, ..reply })),
        }
    }

    /// Whether the client speaks while it should wait.
    async fn speaks_first(&mut self, wait: Duration) -> Result<bool, ReadError> {
        match timeout(wait, self.conn.fill()).await {
            Ok(Ok(())) => Ok(true),
            Ok(Err(error)) => Err(error),
            Err(_) => Ok(false),
        }
    }

    /// The client's name, one that leads back to its address; `None` also when that cannot be found out now.
    pub(crate) async fn client_name(&self) -> Option<String> {
        let (ip, edge) = (self.conn.peer().ip(), &self.smtp.backend.edge);
        let dns = edge.dns.clone()?;
        let known = edge.defence.reputation(ip, |r| r.name.clone());
        if let Some((until, name)) = known
            && !until.remaining().is_zero()
        {
            return name;
        }
        let name = timeout(NAME_TIMEOUT, verified_name(&*dns, ip)).await.ok()?.ok()?;
        let until = Instant::now() + NAME_TTL;
        edge.defence.reputation(ip, |r| r.name = Some((until, name.clone())));
        name
    }
}

/// What the lists say, from memory if it is still good.
async fn listing(defence: &Defence, policy: &Policy, dns: Option<&dyn Dns>, ip: IpAddr) -> Listing {
    let Some(dns) = dns.filter(|_| !policy.dnsbl_sites.is_empty()) else { return Listing::default() };
    if let Some((until, listing)) = defence.reputation(ip, |r| r.listed.clone())
        && !until.remaining().is_zero()
    {
        return listing;
    }
    let ask = |site: &crate::policy::Site| {
        let name = listed_address(ip, &site.zone);
        let site = site.clone();
        async move {
            let answers = timeout(policy.dnsbl_timeout, dns.ipv4(&name)).await;
            // A list that does not answer lists nobody.
            let answers = answers.ok().and_then(Result::ok).unwrap_or_default();
            answers.into_iter().any(|a| site.answers.include(a)).then_some(site)
        }
    };
    let hits: Vec<_> = join_all(policy.dnsbl_sites.iter().map(ask)).await.into_iter().flatten().collect();
    let score = hits.iter().fold(0i32, |sum, site| sum.saturating_add(site.weight));
    let by = hits.iter().max_by_key(|site| site.weight).map(|site| site.zone.clone());
    let listing = Listing { score, by };
    let until = Instant::now() + policy.dnsbl_ttl;
    defence.reputation(ip, |r| r.listed = Some((until, listing.clone())));
    listing
}
