//! Sending the reports of a day.

use super::tally::{DAY_MS, Due, Kind, Pending, Tally, today};
use super::{Head, dmarc, is_address, is_domain, tls};
use crate::config::RelayConfig;
use crate::dns::{Dns, Unresolved};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use zcluster_api::delivery::OutgoingKind;
use zcluster_api::queue::{Notify, domain_of};
use zcluster_api::{DirectoryApi, DirectoryQuery, DirectoryReply, Freshness};
use zcluster_delivery::{Deliverer, Submission};
use zcluster_runtime::{random_u64, sleep, spawn_blocking, wall_ms};

/// It is looked this often whether a day is over, and every so many times counts are written: once a minute.
const LOOK_EVERY: Duration = Duration::from_secs(10);
const LOOKS_PER_SAVE: u32 = 6;
/// What could not be sent is tried again after this.
const RETRY_MS: u64 = 10 * 60 * 1000;
/// Reports of all senders in the world leave spread over this time after the hour.
const SPREAD_MS: u64 = 60 * 60 * 1000;
/// Days after which a report that cannot be sent is given up.
const DAYS_MAX: u64 = 3;
/// Time to hand a report over by HTTPS.
const POST_TIMEOUT: Duration = Duration::from_secs(60);
/// Sets names of reports apart from other uses of BLAKE3.
const KEY_CONTEXT: &str = "zcluster report: node, kind, day, domain, counts; v1";

/// What an operator sets.
#[derive(Clone, Debug)]
pub struct ReportSettings {
    /// The organization's name in reports; none: the contact's domain.
    pub organization: Option<String>,
    /// The author of reports, and whom to ask; none: `postmaster` at the cluster's `zimbraDefaultDomainName`.
    pub contact: Option<String>,
    /// What this node calls itself; several may do so by one name.
    pub hostname: String,
    /// This node: each is a reporter of its own.
    pub node: u64,
    /// The hour, UTC, from which on the day before is reported.
    pub hour: u8,
}

/// What became of a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Queued, or handed over.
    Sent(Vec<String>),
    /// The domain wants none, or nobody who may have it does.
    Unwanted,
    /// Not now: why.
    Later(String),
}

/// A report and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Which.
    pub report: Pending,
    /// What became of it.
    pub outcome: Outcome,
}

/// Sends reports; one for a node.
pub struct Reporter {
    settings: ReportSettings,
    tally: Arc<Tally>,
    dns: Dns,
    ca_pem: Option<Vec<u8>>,
    delivery: Arc<Deliverer>,
    directory: Arc<dyn DirectoryApi>,
    /// Nothing is written while reports are taken out: a crash then sends them again instead of never.
    busy: Mutex<()>,
}

/// When a day is reported, Unix milliseconds.
fn due_from(day: u64, hour: u8, spread_ms: u64) -> u64 {
    (day + 1) * DAY_MS + u64::from(hour) * 3_600_000 + spread_ms
}

impl Reporter {
    /// Sends what `tally` has counted, through the queue.
    ///
    /// # Errors
    /// Unusable resolvers or certificates.
    pub fn new(
        settings: ReportSettings,
        tally: Arc<Tally>,
        relay: &RelayConfig,
        delivery: Arc<Deliverer>,
        directory: Arc<dyn DirectoryApi>,
    ) -> std::io::Result<Arc<Reporter>> {
        let dns = Dns::new(relay).map_err(|e| std::io::Error::other(e.0))?;
        let ca_pem = relay.ca_file.as_ref().map(std::fs::read).transpose()?;
        Ok(Arc::new(Reporter { settings, tally, dns, ca_pem, delivery, directory, busy: Mutex::new(()) }))
    }

    /// Keeps the counts, and sends the reports of days that are over. Never ends.
    pub async fn run(self: Arc<Self>) {
        let spread = random_u64() % SPREAD_MS;
        let (mut not_before, mut looks) = (0, 0u32);
        loop {
            sleep(LOOK_EVERY).await;
            looks = looks.wrapping_add(1);
            if looks.is_multiple_of(LOOKS_PER_SAVE) {
                self.save().await;
            }
            let now = wall_ms();
            let over = self.tally.oldest_day().filter(|day| *day < today() && now >= not_before);
            let Some(oldest) = over else { continue };
            if now >= due_from(oldest, self.settings.hour, spread) {
                not_before = now + RETRY_MS;
                self.send(false).await;
            }
        }
    }

    /// Writes the counts.
    pub async fn save(&self) {
        let _busy = self.busy.lock().await;
        self.save_now().await;
    }

    async fn save_now(&self) {
        let tally = self.tally.clone();
        match spawn_blocking(move || tally.save()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "counts for reports are not written"),
            Err(error) => tracing::error!(%error, "counts for reports are not written"),
        }
    }

    /// What is being counted.
    pub fn pending(&self) -> Vec<Pending> {
        self.tally.pending()
    }

    /// Sends the reports of days that are over; with `today`, also of the day that is not.
    pub async fn send(&self, now: bool) -> Vec<Sent> {
        let _busy = self.busy.lock().await;
        let mut all = Vec::new();
        let Some(contact) = self.contact().await else {
            tracing::warn!("no reports: reports.contact is not set, and the cluster has no zimbraDefaultDomainName");
            return all;
        };
        for report in self.tally.pending() {
            if !now && report.day >= today() {
                continue;
            }
            let Some(due) = self.tally.take(&report) else { continue };
            let outcome = self.send_one(&report, &due, &contact).await;
            if matches!(outcome, Outcome::Later(_)) {
                if report.day + DAYS_MAX > today() {
                    self.tally.put_back(&report, due);
                } else {
                    tracing::warn!(domain = report.domain, kind = ?report.kind, "a report is given up");
                }
            }
            let what = match &outcome {
                Outcome::Sent(_) => "sent",
                Outcome::Unwanted => "unwanted",
                Outcome::Later(_) => "later",
            };
            metrics::counter!("zcluster_reports_total", "what" => what).increment(1);
            if outcome != Outcome::Unwanted {
                tracing::info!(domain = report.domain, kind = ?report.kind, day = report.day, ?outcome, "report");
            }
            all.push(Sent { report, outcome });
        }
        self.save_now().await;
        all
    }

    async fn contact(&self) -> Option<String> {
        if let Some(contact) = &self.settings.contact {
            return Some(contact.clone());
        }
        match self.directory.read(DirectoryQuery::Cluster, Freshness::Local).await {
            Ok(DirectoryReply::Cluster(cluster)) => {
                let domain = cluster.config.get("zimbraDefaultDomainName")?;
                Some(format!("postmaster@{domain}")).filter(|a| is_address(a))
            }
            _ => None,
        }
    }

    async fn send_one(&self, report: &Pending, due: &Due, contact: &str) -> Outcome {
        if !is_domain(&report.domain) {
            return Outcome::Unwanted;
        }
        let key = self.key(report, due);
        let id: String = key[..12].iter().map(|b| format!("{b:02x}")).collect();
        let begin = report.day * DAY_MS / 1000;
        let now_ms = wall_ms();
        let head = Head {
            organization: self.settings.organization.as_deref().unwrap_or(domain_of(contact)),
            contact,
            host: &self.settings.hostname,
            domain: &report.domain,
            begin,
            end: (begin + DAY_MS / 1000 - 1).min(now_ms / 1000),
            id: &id,
            now_ms,
        };
        let sent = match due {
            Due::Tls(policies) => self.tls(&head, policies, key).await,
            Due::Dmarc(counts) => self.dmarc(&head, counts, key).await,
        };
        sent.unwrap_or_else(Outcome::Later)
    }

    /// Names the report: sent again after a crash, it is the same.
    fn key(&self, report: &Pending, due: &Due) -> [u8; 32] {
        let counts = match due {
            Due::Tls(policies) => serde_json::to_vec(policies),
            Due::Dmarc(counts) => serde_json::to_vec(counts),
        };
        let kind = if report.kind == Kind::Tls { "tls" } else { "dmarc" };
        let mut hasher = blake3::Hasher::new_derive_key(KEY_CONTEXT);
        for part in [&self.settings.node.to_le_bytes(), kind.as_bytes(), report.domain.as_bytes()] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        hasher.update(&report.day.to_le_bytes());
        hasher.update(&counts.unwrap_or_default());
        *hasher.finalize().as_bytes()
    }

    async fn tls(
        &self,
        head: &Head<'_>,
        policies: &[mail_auth::report::tlsrpt::Policy],
        key: [u8; 32],
    ) -> Result<Outcome, String> {
        let texts = self.dns.texts(&format!("_smtp._tls.{}", head.domain)).await.map_err(|e| e.0)?;
        let wanted = tls::wanted(&texts);
        if wanted == tls::Wanted::default() {
            return Ok(Outcome::Unwanted);
        }
        let gz = tls::report(head, policies.to_vec());
        let (mut done, mut failed) = (Vec::new(), Vec::new());
        if !wanted.mail.is_empty() {
            match self.submit(head, &wanted.mail, tls::letter(head, &wanted.mail, &gz), key).await {
                Ok(()) => done.extend(wanted.mail),
                Err(error) => failed.push(error),
            }
        }
        for url in wanted.https {
            match self.post(&url, &gz).await {
                Ok(()) => done.push(url),
                Err(error) => failed.push(format!("{url}: {error}")),
            }
        }
        // One receiver that has it is enough: it would get it twice with the next try.
        if done.is_empty() { Err(failed.join("; ")) } else { Ok(Outcome::Sent(done)) }
    }

    async fn dmarc(&self, head: &Head<'_>, counts: &super::DmarcCounts, key: [u8; 32]) -> Result<Outcome, String> {
        let gz = dmarc::report(head, counts);
        let to = dmarc::addresses(&self.dns, head.domain, counts, gz.len()).await.map_err(|e: Unresolved| e.0)?;
        if to.is_empty() {
            return Ok(Outcome::Unwanted);
        }
        self.submit(head, &to, dmarc::letter(head, &to, &gz), key).await?;
        Ok(Outcome::Sent(to))
    }

    async fn submit(&self, head: &Head<'_>, to: &[String], raw: bytes::Bytes, key: [u8; 32]) -> Result<(), String> {
        let mut submission = Submission::new(None, head.contact, to.iter().cloned(), raw, key);
        // Signed as what this cluster writes itself; and nobody here reads why a stranger's mailbox for reports is full.
        submission.kind = OutgoingKind::Report;
        submission.recipients.iter_mut().for_each(|r| r.notify = Some(Notify::NEVER));
        self.delivery.submit(submission).await.map_err(|e| e.to_string())
    }

    /// RFC 8460 §5.4.
    async fn post(&self, url: &str, gz: &[u8]) -> Result<(), String> {
        let words = |e: reqwest::Error| e.without_url().to_string();
        let parsed = reqwest::Url::parse(url).map_err(|e| e.to_string())?;
        let host = parsed.domain().ok_or("no host name")?.to_string();
        let found = self.dns.addresses(&host).await.map_err(|e| e.0)?;
        let port = parsed.port_or_known_default().unwrap_or(443);
        let addresses: Vec<SocketAddr> = found.what.iter().map(|a| SocketAddr::new(*a, port)).collect();
        if addresses.is_empty() {
            return Err(format!("{host} has no address"));
        }
        let mut http = reqwest::Client::builder()
            .no_proxy()
            .timeout(POST_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .resolve_to_addrs(&host, &addresses);
        if let Some(pem) = &self.ca_pem {
            http = http.tls_certs_merge(reqwest::Certificate::from_pem_bundle(pem).map_err(words)?);
        }
        let http = http.build().map_err(words)?;
        let request = http.post(parsed).header("Content-Type", "application/tlsrpt+gzip").body(gz.to_vec());
        let status = request.send().await.map_err(words)?.status();
        if status.is_success() { Ok(()) } else { Err(format!("HTTP status {status}")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_reported_when_it_is_over() {
        assert_eq!(due_from(0, 0, 0), DAY_MS);
        assert_eq!(due_from(1, 23, 59), 2 * DAY_MS + 23 * 3_600_000 + 59);
    }
}
