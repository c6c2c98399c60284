//! What clients talk to: mail protocols, administration, metrics.

use super::network::Peers;
use super::{bind, cannot_listen};
use crate::acme;
use crate::admin::volume::VolumeAdmin;
use crate::admin::{self, Admin, AdminTls, PeerAddress, TlsListener};
use crate::certificates::Folder;
use crate::config::Config;
use crate::datadir::{DataDir, NodeFile};
use crate::dns::Resolving;
use crate::finder::Finder;
use crate::lessons::Letters;
use crate::relay::Counting;
use crate::volumes::Asking;
use anyhow::{Context, Result, anyhow};
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use zcluster_api::{DirectoryApi, DirectoryQuery, DirectoryReply, Freshness, MailboxApi, NodeId, TextIndexes};
use zcluster_auth::{AuthConfig, Authenticator};
use zcluster_delivery::carry::Courier;
use zcluster_delivery::{Deliverer, DeliveryConfig};
use zcluster_directory::Directory;
use zcluster_external::{Book, BookConfig};
use zcluster_imap::{Imap, ImapConfig};
use zcluster_ldap::{Ldap, Served};
use zcluster_listener::{Limits, Listener, ListenerConfig, Networks, Protocol, Shutdown, Stage, TlsMode, TlsSettings};
use zcluster_managesieve::ManageSieve;
use zcluster_pop3::Pop3;
use zcluster_relay::Mta;
use zcluster_relay::dkim::Dkim;
use zcluster_relay::reports::{Reporter, Tally};
use zcluster_router::Router;
use zcluster_rpc::{FaultSwitch, node_dns_name};
use zcluster_runtime::{JoinHandle, sleep, spawn, timeout};
use zcluster_screen::lessons::Taught;
use zcluster_screen::trainer::{Teacher, Trainer};
use zcluster_screen::{Chain, Screen};
use zcluster_smtp::{Backend, Budget, Edge, Smtp, SmtpConfig};

/// How often old histogram samples are folded, so that memory stays bounded between scrapes.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);
/// Counts for reports are written at the end within this time.
const SAVE_TIMEOUT: Duration = Duration::from_secs(5);
/// Seconds between two looks at the folder of certificates.
const CERTIFICATES_EVERY_S: u64 = 30;

/// The running services.
pub struct Services {
    shutdown: Shutdown,
    listeners: Vec<JoinHandle<()>>,
    tls: TlsSettings,
    admin_tls: Arc<AdminTls>,
    files: (PathBuf, PathBuf),
    reporter: Arc<Reporter>,
}

impl Services {
    /// Reads the certificate files again.
    pub fn reload(&self) {
        let read = || -> Result<()> {
            let (chain, key) = (std::fs::read(&self.files.0)?, std::fs::read(&self.files.1)?);
            self.tls.reload_pem(&chain, &key)?;
            self.admin_tls.reload(&chain, &key)
        };
        match read() {
            Ok(()) => tracing::info!(certificate = %self.files.0.display(), "certificate read again"),
            Err(e) => tracing::error!(error = %format!("{e:#}"), "certificate not read again; the old one stays"),
        }
    }

    /// Closes the ports and waits for the sessions, within their grace time.
    pub async fn stop(self) {
        self.shutdown.drain();
        for listener in self.listeners {
            let _ = listener.await;
        }
        // It waits for a report that is on its way, which may not end.
        if timeout(SAVE_TIMEOUT, self.reporter.save()).await.is_err() {
            tracing::warn!("counts for reports are not written: a report is on its way");
        }
    }
}

/// Opens every port.
///
/// # Errors
/// A port that cannot be taken, unusable certificates.
#[allow(clippy::too_many_arguments)] // Each is another part of the node; one place calls this.
pub async fn start(
    dir: &DataDir,
    node: &NodeFile,
    config: &Config,
    router: Arc<Router>,
    peers: &Peers,
    texts: Option<Arc<dyn TextIndexes>>,
    admin_listener: TcpListener,
    metrics: PrometheusHandle,
    faults: Option<FaultSwitch>,
) -> Result<Services> {
    let directory: Arc<dyn DirectoryApi> = router.clone();
    let auth = AuthConfig { scram: config.auth.scram, ..AuthConfig::default() };
    let (external, provisioner) = crate::external::open(&config.auth, &router)?;
    let book = Arc::new(Book::new(external.clone(), BookConfig::default()));
    let authenticator = Authenticator::new(directory.clone(), auth).with_external(external, provisioner.clone());
    spawn(crate::external::poll(router.clone(), provisioner));
    let authenticator = Arc::new(match crate::oauth::verifier(&config.oauth)? {
        Some(verifier) => authenticator.with_tokens(verifier),
        None => authenticator,
    });
    crate::failures::start(&authenticator, &peers.hearing, peers.network.clone());
    let files = match (&config.tls.certificate, &config.tls.key) {
        (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
        _ => dir.client_tls(),
    };
    let tls = TlsSettings::from_files(&files.0, &files.1).context("the certificate for clients")?;
    let shutdown = Shutdown::new();
    watch_certificates(config, &tls, &shutdown)?;
    let place = acme::Place {
        node: NodeId(node.id()),
        name: config.tls.certificate.is_none().then(|| config.advertise().to_ascii_lowercase()),
        listen: config.node.listen,
        tls_port: config.acme.tls_port,
        http_port: config.acme.http_port,
    };
    acme::start(directory.clone(), place, tls.clone(), shutdown.clone());
    let (chain, key) = (std::fs::read(&files.0)?, std::fs::read(&files.1)?);
    let name = node_dns_name(node.number, &node.cluster);
    let admin_tls = AdminTls::new(name, &dir.node_pair()?, &chain, &key)?;
    serve_metrics(config, metrics).await?;
    let delivery = DeliveryConfig {
        timeout: Duration::from_secs(config.mail.delivery_seconds),
        ..DeliveryConfig::new(config.hostname())
    };
    let delivery = Deliverer::new(router.clone(), directory.clone(), delivery).with_signer(Dkim::new());
    let delivery = Arc::new(delivery);
    let tally = crate::relay::tally(dir)?;
    let relay_config = crate::relay::settings(config, &tally)?;
    let reporter = crate::relay::reporter((config, node.id()), &relay_config, &tally, &delivery, directory.clone())?;
    let relay = Mta::new(relay_config, directory.clone()).context("sending to other hosts")?;
    router.run_outbox(Courier::new(delivery.clone(), Some(relay)));
    spawn(reporter.clone().run());
    let admin = Admin {
        node: NodeId(node.id()),
        router: router.clone(),
        authenticator: authenticator.clone(),
        secret: dir.admin_secret()?,
        ca_der: crate::pki::der(&dir.ca_pem()?)?.to_vec(),
        faults,
        reporter: reporter.clone(),
        book,
        volumes: VolumeAdmin {
            stores: peers.volumes.clone(),
            asking: Asking::new(peers.network.clone()),
            usage: router.clone(),
        },
        finder: Finder::new(router.clone(), texts),
    };
    serve_admin(admin_listener, &admin_tls, admin)?;
    let tls_of_mail = tls.clone();
    let ldap = ldap(config, &router, &authenticator);
    let mail =
        Mail { config, directory, mailboxes: router, delivery, authenticator, ldap, tls: tls_of_mail, shutdown, tally };
    let listeners = mail.start().await?;
    Ok(Services { shutdown: mail.shutdown, listeners, tls, admin_tls, files, reporter })
}

/// LDAP over this node's copy of the directory.
fn ldap(config: &Config, router: &Arc<Router>, authenticator: &Arc<Authenticator>) -> Arc<Ldap> {
    let settings = zcluster_ldap::Config {
        allow_plaintext_auth: config.plaintext_auth(),
        version: env!("CARGO_PKG_VERSION").into(),
        user_size_limit: config.ldap.user_size_limit,
        ..zcluster_ldap::Config::default()
    };
    let directory = Directory::new(router.clone(), Freshness::Local);
    let router = router.clone();
    let served = Served::new(directory, Box::new(move || Some(router.directory_version())));
    Arc::new(Ldap::new(Arc::new(served), authenticator.clone(), settings))
}

/// Certificates by host name.
fn watch_certificates(config: &Config, tls: &TlsSettings, shutdown: &Shutdown) -> Result<()> {
    let Some(path) = config.tls.directory.clone() else { return Ok(()) };
    let mut folder = Folder::new(path.clone());
    folder.refresh(tls).with_context(|| format!("tls.directory {}", path.display()))?;
    let every = Duration::from_secs(config.tls.poll_seconds.unwrap_or(CERTIFICATES_EVERY_S).max(1));
    let (tls, shutdown) = (tls.clone(), shutdown.clone());
    spawn(async move { folder.watch(tls, every, shutdown.reached(Stage::Draining)).await });
    Ok(())
}

fn serve_admin(listener: TcpListener, tls: &Arc<AdminTls>, admin: Admin) -> Result<()> {
    let listener = TlsListener::start(listener, tls)?;
    let service = admin::routes(Arc::new(admin)).into_make_service_with_connect_info::<PeerAddress>();
    spawn(async move {
        if let Err(error) = axum::serve(listener, service).await {
            tracing::error!(%error, "the admin service ended");
        }
    });
    Ok(())
}

async fn serve_metrics(config: &Config, metrics: PrometheusHandle) -> Result<()> {
    if config.ports.metrics == 0 {
        return Ok(());
    }
    let listener = bind(config, "metrics", config.ports.metrics).await?;
    let upkeep = metrics.clone();
    spawn(async move {
        loop {
            sleep(UPKEEP_EVERY).await;
            upkeep.run_upkeep();
        }
    });
    let routes = axum::Router::new()
        .route("/metrics", get(move || std::future::ready(metrics.render())))
        .route("/healthz", get(|| std::future::ready("ok\n")));
    spawn(async move {
        if let Err(error) = axum::serve(listener, routes).await {
            tracing::error!(%error, "the metrics service ended");
        }
    });
    Ok(())
}

/// The mail protocols.
struct Mail<'a> {
    config: &'a Config,
    directory: Arc<dyn DirectoryApi>,
    mailboxes: Arc<dyn MailboxApi>,
    delivery: Arc<Deliverer>,
    authenticator: Arc<Authenticator>,
    ldap: Arc<Ldap>,
    tls: TlsSettings,
    shutdown: Shutdown,
    tally: Arc<Tally>,
}

impl Mail<'_> {
    async fn start(&self) -> Result<Vec<JoinHandle<()>>> {
        let smtp = self.smtp_config().await;
        let backend = Backend {
            delivery: self.delivery.clone(),
            directory: self.directory.clone(),
            authenticator: self.authenticator.clone(),
            budget: Budget::new(usize::try_from(self.config.mail.receive_memory_bytes)?),
            edge: Edge {
                dns: Some(Arc::new(Resolving::new(&self.config.dns.servers)?)),
                mailboxes: Some(self.mailboxes.clone()),
                screen: Some(self.screen()?),
                ..Edge::default()
            },
        };
        let lmtp = Smtp::lmtp(smtp.clone(), backend.clone());
        let mx = Smtp::mx(smtp.clone(), backend.clone());
        let submission = Smtp::submission(smtp, backend);
        let imap =
            Arc::new(Imap::new(self.taught()?, self.directory.clone(), self.authenticator.clone(), self.imap_config()));
        let pop3 = Arc::new(Pop3::new(self.mailboxes.clone(), self.authenticator.clone(), self.pop3_config()));
        let managesieve =
            Arc::new(ManageSieve::new(self.mailboxes.clone(), self.authenticator.clone(), self.managesieve_config()));
        let (start_tls, implicit) = (TlsMode::StartTls(self.tls.clone()), TlsMode::Implicit(self.tls.clone()));
        let (ldap_start_tls, ldap_implicit) = self.ldap_tls()?;
        let ports = &self.config.ports;
        let plan: [(&str, u16, TlsMode, Arc<dyn Protocol>); 11] = [
            ("lmtp", ports.lmtp, start_tls.clone(), lmtp),
            ("smtp", ports.smtp, start_tls.clone(), mx),
            ("submission", ports.submission, start_tls.clone(), submission.clone()),
            ("submissions", ports.submissions, implicit.clone(), submission),
            ("imap", ports.imap, start_tls.clone(), imap.clone()),
            ("imaps", ports.imaps, implicit.clone(), imap),
            ("pop3", ports.pop3, start_tls.clone(), pop3.clone()),
            ("pop3s", ports.pop3s, implicit, pop3),
            ("managesieve", ports.managesieve, start_tls, managesieve),
            ("ldap", ports.ldap, ldap_start_tls, self.ldap.clone()),
            ("ldaps", ports.ldaps, ldap_implicit, self.ldap.clone()),
        ];
        let mut bound = Vec::new();
        for (service, port, tls, protocol) in plan.into_iter().filter(|p| p.1 != 0) {
            let addr = self.config.bind(port);
            let proxy = &self.config.proxy_protocol;
            let proxies = match proxy.services.iter().any(|s| s == service) {
                true => proxy.networks().0,
                false => Networks::default(),
            };
            let settings = ListenerConfig { addr, tls, limits: self.limits(), proxies };
            let listener = Listener::bind(settings, protocol, self.shutdown.clone());
            bound.push(listener.map_err(|e| cannot_listen(service, addr, &e))?);
        }
        Ok(bound.into_iter().map(|listener| spawn(listener.run())).collect())
    }

    /// TLS of LDAP's ports, which may ask clients for certificates.
    fn ldap_tls(&self) -> Result<(TlsMode, TlsMode)> {
        let tls = match &self.config.ldap.client_authorities {
            Some(path) => {
                let pem = std::fs::read(path).with_context(|| format!("ldap.client_authorities {}", path.display()))?;
                self.tls.with_client_authorities(&pem).context("ldap.client_authorities")?
            }
            None => self.tls.clone(),
        };
        Ok((TlsMode::StartTls(tls.clone()), TlsMode::Implicit(tls)))
    }

    /// The checks of content and sender.
    fn screen(&self) -> Result<Arc<dyn Screen>> {
        let settings = self.config.screen.settings(self.config.hostname(), self.config.mail.max_message_bytes)?;
        let chain = Chain::new(settings, self.directory.clone());
        let chain = chain.map_err(|e| anyhow!("screen: {e}"))?;
        Ok(Arc::new(match self.config.reports.dmarc {
            true => chain.with_witness(Arc::new(Counting(self.tally.clone()))),
            false => chain,
        }))
    }

    /// The mailboxes as users reach them: with the spam filter learning from their moves.
    fn taught(&self) -> Result<Arc<dyn MailboxApi>> {
        let mut teachers = Vec::from_iter(self.config.screen.teacher()?);
        let (directory, delivery) = (self.directory.clone(), self.delivery.clone());
        teachers.push(Teacher::Post(Letters::new(directory, delivery, self.config.hostname())));
        Ok(Arc::new(Taught::new(self.mailboxes.clone(), Arc::new(Trainer::start(teachers)))))
    }

    fn limits(&self) -> Limits {
        Limits {
            max_connections: self.config.limits.connections,
            max_per_ip: self.config.limits.connections_per_address,
            shutdown_grace: Duration::from_secs(self.config.limits.stop_seconds),
            ..Limits::default()
        }
    }

    async fn smtp_config(&self) -> SmtpConfig {
        let config = SmtpConfig {
            max_message_bytes: self.config.mail.max_message_bytes,
            refuse_bare_lf: self.config.mail.refuse_bare_lf,
            auth_without_tls: self.config.plaintext_auth(),
            ..SmtpConfig::new(self.config.hostname())
        };
        match self.directory.read(DirectoryQuery::Cluster, Freshness::Local).await {
            Ok(DirectoryReply::Cluster(cluster)) => config.with_attributes(&cluster.config),
            // A node that has just joined has no directory yet; the file's settings stand until its next start.
            _ => config,
        }
    }

    fn imap_config(&self) -> ImapConfig {
        ImapConfig {
            allow_plaintext_auth: self.config.plaintext_auth(),
            append_bytes_max: self.config.mail.max_message_bytes,
            append_memory_bytes: self.config.mail.receive_memory_bytes,
            idle_timeout: Duration::from_secs(self.config.mail.imap_idle_seconds),
            version: env!("CARGO_PKG_VERSION").into(),
            ..ImapConfig::default()
        }
    }

    fn pop3_config(&self) -> zcluster_pop3::Config {
        zcluster_pop3::Config {
            allow_plaintext_auth: self.config.plaintext_auth(),
            login_delay: Duration::from_secs(self.config.mail.pop3_login_delay_seconds),
            ..zcluster_pop3::Config::default()
        }
    }

    fn managesieve_config(&self) -> zcluster_managesieve::Config {
        zcluster_managesieve::Config {
            allow_plaintext_auth: self.config.plaintext_auth(),
            ..zcluster_managesieve::Config::default()
        }
    }
}
