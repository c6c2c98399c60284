//! Certificates from an authority by ACME (RFC 8555), for the whole cluster: one node at a time orders, any node answers
//! the authority's challenges, every node shows what was issued.
//!
//! What the nodes share is in the directory, as its secrets (`vault`): who orders, what to answer, and the
//! certificates. `settings` says what is wanted, `plan` what is due, `order` gets it, `answer` is what the authority
//! connects to, `shown` brings the certificates to the listeners.

mod answer;
mod http;
mod order;
mod plan;
mod settings;
mod shown;
mod vault;

use answer::Answerer;
use plan::Due;
use settings::Settings;
use shown::Shown;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use vault::{Attempt, Lease, Vault};
use zcluster_api::{DirectoryApi, NodeId};
use zcluster_listener::{Shutdown, Stage, TlsSettings};
use zcluster_runtime::{Either, select, sleep, spawn, timeout, wall_ms};

/// Between two looks at what is wanted and what there is.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Looks between two at which names are due: that reads all domains.
const LOOKS_PER_ROUND: u32 = 3;
/// How long the right to order is held after the last sign of its holder.
const LEASE: Duration = Duration::from_secs(300);
/// How long one order may take; the lease is renewed when it is no longer than that.
const ORDER_TIMEOUT: Duration = Duration::from_secs(150);
/// How long an authority that gave no account is left alone, unless it is asked in another way; milliseconds.
const REFUSED_MS: u64 = 600_000;
/// Orders one after the other before it is looked again at what is due.
const ORDERS_PER_ROUND: usize = 50;

/// Where this node is asked.
pub struct Place {
    /// This node.
    pub node: NodeId,
    /// The name it goes by, in lower case: its certificate is shown to clients that name no host.
    pub name: Option<String>,
    /// Address to bind.
    pub listen: IpAddr,
    /// Port for `tls-alpn-01`.
    pub tls_port: u16,
    /// Port for `http-01`.
    pub http_port: u16,
}

/// Does it all until the node stops.
pub fn start(directory: Arc<dyn DirectoryApi>, place: Place, tls: TlsSettings, shutdown: Shutdown) {
    let worker = Worker {
        vault: Vault::new(directory.clone()),
        directory,
        answerer: Answerer::default(),
        shown: Shown::new(tls, place.name.clone()),
        place,
        looks: 0,
        refused: None,
    };
    spawn(async move { worker.run(shutdown.reached(Stage::Draining)).await });
}

struct Worker {
    directory: Arc<dyn DirectoryApi>,
    vault: Vault,
    place: Place,
    answerer: Answerer,
    shown: Shown,
    looks: u32,
    /// How no account was to be had, and until when it is not tried again.
    refused: Option<(Settings, u64)>,
}

impl Worker {
    async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        loop {
            if let Either::Right(()) = select(self.look(), &mut stop).await {
                return;
            }
            if let Either::Right(()) = select(sleep(LOOK_EVERY), &mut stop).await {
                return;
            }
        }
    }

    async fn look(&mut self) {
        // Also where it is switched off: what was issued stays good.
        if let Err(error) = self.shown.refresh(&self.vault).await {
            tracing::warn!(error = %format!("{error:#}"), "certificates from the directory are not looked at");
        }
        let settings = match Settings::read(&*self.directory).await {
            Ok(settings) => settings,
            Err(error) => return tracing::debug!(%error, "cannot read what certificates are wanted"),
        };
        let Some(settings) = settings else { return self.answerer.stop() };
        let port = match settings.challenge {
            settings::Challenge::TlsAlpn => self.place.tls_port,
            settings::Challenge::Http => self.place.http_port,
        };
        self.answerer.listen(self.place.listen, port, settings.challenge, &self.vault).await;
        if self.looks == 0
            && let Err(error) = self.round(&settings).await
        {
            tracing::warn!(error = %format!("{error:#}"), "no certificates are ordered now");
        }
        self.looks = (self.looks + 1) % LOOKS_PER_ROUND;
    }

    /// Orders what is due, if it is this node's turn.
    async fn round(&mut self, settings: &Settings) -> anyhow::Result<()> {
        if !self.take_turn().await? {
            return Ok(());
        }
        let names = settings.names(&*self.directory).await?;
        let now = wall_ms();
        let plan = plan::make(&names, &self.vault.certificates().await?, &self.vault.attempts().await?, now);
        for name in &plan.forgotten {
            tracing::info!(%name, "a certificate that is wanted no more has expired");
            self.vault.forget(name).await?;
        }
        metrics::gauge!("zcluster_acme_names").set(names.len() as f64);
        metrics::gauge!("zcluster_acme_names_without_certificate").set(plan.without as f64);
        if plan.due.is_empty() || self.vault.paused_until().await? > now {
            return Ok(());
        }
        if self.refused.as_ref().is_some_and(|(how, until)| how == settings && *until > now) {
            return Ok(());
        }
        self.refused = Some((settings.clone(), now + REFUSED_MS));
        let account = order::account(settings, &self.vault).await?;
        self.refused = None;
        for Due { name, failures } in plan.due.into_iter().take(ORDERS_PER_ROUND) {
            if !self.take_turn().await? {
                return Ok(());
            }
            let ordered = timeout(ORDER_TIMEOUT, order::order(&account, settings.challenge, &name, &self.vault)).await;
            let outcome = ordered.unwrap_or_else(|_| Err(order::Failed::late()));
            self.vault.take_back(&name).await?;
            let result = if outcome.is_ok() { "issued" } else { "failed" };
            metrics::counter!("zcluster_acme_orders_total", "result" => result).increment(1);
            match outcome {
                Ok(issued) => {
                    tracing::info!(%name, not_after_ms = issued.not_after_ms, "certificate issued");
                    self.vault.keep(&name, &issued).await?;
                }
                Err(failed) => {
                    let now = wall_ms();
                    let wait = plan::pause(failures + 1);
                    tracing::error!(%name, error = %failed.text, retry_seconds = wait.as_secs(), "no certificate");
                    let next_ms = now.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
                    self.vault.failed(&name, &Attempt { failures: failures + 1, next_ms, error: failed.text }).await?;
                    if failed.limited {
                        self.vault.pause(now + plan::LIMITED_MS).await?;
                        break;
                    }
                }
            }
        }
        self.shown.refresh(&self.vault).await
    }

    /// Whether this node may order, for as long as the lease lasts.
    async fn take_turn(&self) -> anyhow::Result<bool> {
        let now = wall_ms();
        let (there, version) = self.vault.lease().await?;
        let ms = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let own = self.place.node.0;
        match there {
            Some(Lease { node, until_ms }) if node == own && until_ms > now + ms(ORDER_TIMEOUT) => return Ok(true),
            Some(Lease { node, until_ms }) if node != own && until_ms > now => return Ok(false),
            _ => {}
        }
        let until_ms = now + ms(LEASE);
        self.vault.set_lease(&Lease { node: own, until_ms }, version).await
    }
}
