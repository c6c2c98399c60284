//! What clients talk to: LMTP and IMAP sessions of the real node on simulated byte streams.

use super::Cluster;
use crate::net::{Port, SimStream, Wires};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use zcluster_api::{DirectoryApi, DirectoryQuery, DirectoryReply, Freshness};
use zcluster_auth::{AuthConfig, Authenticator, HashParams};
use zcluster_delivery::carry::Courier;
use zcluster_delivery::{Deliverer, DeliveryConfig};
use zcluster_imap::{Imap, ImapConfig};
use zcluster_listener::{Connection, Protocol, Shutdown};
use zcluster_router::Router;
use zcluster_runtime::{Instant, sleep, spawn};
use zcluster_smtp::{Backend, Budget, Smtp, SmtpConfig};

/// How long sessions may go on after the node was asked to stop (`limits.stop_seconds`).
const STOP_GRACE: Duration = Duration::from_secs(5);
/// How long cut-off sessions may take to notice.
const KILL_WAIT: Duration = Duration::from_secs(1);
/// How often it is looked whether the last sessions have gone.
const DRAIN_POLL: Duration = Duration::from_millis(20);
/// Memory for messages on their way in.
const RECEIVE_BYTES: usize = 64 * 1024 * 1024;
/// How long a delivery may take on half of the nodes.
const SHORT_PATIENCE: Duration = Duration::from_secs(4);
/// The largest message.
const MESSAGE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The running services.
pub(super) struct Mail {
    wires: Arc<Wires>,
    number: u32,
    shutdown: Shutdown,
    sessions: Arc<AtomicUsize>,
}

/// Counts a session while it lives.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Open(count.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Mail {
    /// Opens the ports. Sign-ins cost little here; everything else is as in production.
    pub async fn start(cluster: &Cluster, number: u32, router: &Arc<Router>) -> Mail {
        let directory: Arc<dyn DirectoryApi> = router.clone();
        let auth = AuthConfig { hash: HashParams::cheap(), ..AuthConfig::default() };
        let authenticator = Arc::new(Authenticator::new(directory.clone(), auth));
        let config = delivery_config(number);
        let delivery = Arc::new(Deliverer::new(router.clone(), directory.clone(), config));
        router.run_outbox(Courier::new(delivery.clone(), None));
        let backend = Backend {
            delivery: delivery.clone(),
            directory: directory.clone(),
            authenticator: authenticator.clone(),
            budget: Budget::new(RECEIVE_BYTES),
            edge: zcluster_smtp::Edge::default(),
        };
        let lmtp = Smtp::lmtp(smtp_config(number, directory.as_ref()).await, backend);
        let config = ImapConfig {
            allow_plaintext_auth: true,
            append_bytes_max: MESSAGE_BYTES_MAX,
            append_memory_bytes: RECEIVE_BYTES as u64,
            version: "simulated".into(),
            ..ImapConfig::default()
        };
        let imap = Arc::new(Imap::new(router.clone(), directory, authenticator, config));
        let wires = cluster.wires().clone();
        let mail = Mail { wires, number, shutdown: Shutdown::new(), sessions: Arc::default() };
        mail.listen(Port::Lmtp, lmtp);
        mail.listen(Port::Imap, imap);
        mail
    }

    fn listen(&self, port: Port, protocol: Arc<dyn Protocol>) {
        let (number, shutdown, sessions) = (self.number, self.shutdown.clone(), self.sessions.clone());
        let accept = move |stream: SimStream| {
            let open = Open::new(&sessions);
            let (client, server) = (address(0, 50_000), address(number, 7025));
            let connection = Connection::new(stream, client, server, None, &shutdown).assume_secure();
            let session = protocol.clone().serve(connection);
            spawn(async move {
                session.await;
                drop(open);
            });
        };
        self.wires.listen(self.number, port, Box::new(accept));
    }

    /// Closes the ports, waits for the sessions within their grace time, and cuts off the rest.
    pub async fn stop(self) {
        for port in [Port::Lmtp, Port::Imap] {
            self.wires.unlisten(self.number, port);
        }
        self.shutdown.drain();
        if !self.empty_within(STOP_GRACE).await {
            self.shutdown.kill();
            self.empty_within(KILL_WAIT).await;
        }
    }

    async fn empty_within(&self, wait: Duration) -> bool {
        let until = Instant::now() + wait;
        while self.sessions.load(Ordering::Relaxed) > 0 {
            if until.remaining().is_zero() {
                return false;
            }
            sleep(DRAIN_POLL).await;
        }
        true
    }
}

fn address(node: u32, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + node)), port)
}

fn hostname(number: u32) -> String {
    format!("node{number}.{}", super::DOMAIN)
}

fn delivery_config(number: u32) -> DeliveryConfig {
    // The default outlasts most troubles here; every other node gives up sooner, so that MTAs are put off, too.
    let usual = DeliveryConfig::new(hostname(number));
    let timeout = if number.is_multiple_of(2) { SHORT_PATIENCE } else { usual.timeout };
    DeliveryConfig { timeout, ..usual }
}

async fn smtp_config(number: u32, directory: &dyn DirectoryApi) -> SmtpConfig {
    let config = SmtpConfig { max_message_bytes: MESSAGE_BYTES_MAX, ..SmtpConfig::new(hostname(number)) };
    match directory.read(DirectoryQuery::Cluster, Freshness::Local).await {
        Ok(DirectoryReply::Cluster(cluster)) => config.with_attributes(&cluster.config),
        // A node that has just joined has no directory yet.
        _ => config,
    }
}
