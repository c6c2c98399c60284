//! The accept loop.

use crate::connection::Connection;
use crate::limits::{Gate, Limits, Place, Refusal};
use crate::networks::Networks;
use crate::proxy::{self, Told};
use crate::shutdown::{Shutdown, Stage};
use crate::tls::TlsSettings;
use crate::{Protocol, ReadError};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tracing::Instrument;
use zcluster_runtime::{Either, Instant, select, sleep, spawn, timeout};

/// Pause after an accept that failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often it is looked whether the last sessions have gone.
const DRAIN_POLL: Duration = Duration::from_millis(20);
/// How long cut-off sessions may take to notice.
const KILL_WAIT: Duration = Duration::from_secs(1);

/// What a port offers in the way of TLS.
#[derive(Clone, Default)]
pub enum TlsMode {
    /// None.
    #[default]
    None,
    /// Plain at first; the client may ask for TLS.
    StartTls(TlsSettings),
    /// TLS from the first byte (RFC 8314 §3).
    Implicit(TlsSettings),
}

/// Where and how to listen.
#[derive(Clone)]
pub struct ListenerConfig {
    /// Address and port; port 0 takes a free one.
    pub addr: SocketAddr,
    /// TLS.
    pub tls: TlsMode,
    /// Bounds.
    pub limits: Limits,
    /// Proxies whose connections begin with a PROXY header (v1 or v2) that says who the client is. Everybody else is
    /// who he is, and a header from him is a syntax error of the protocol.
    pub proxies: Networks,
}

impl ListenerConfig {
    /// Plain, with default bounds.
    pub fn new(addr: SocketAddr) -> Self {
        ListenerConfig { addr, tls: TlsMode::None, limits: Limits::default(), proxies: Networks::default() }
    }
}

/// A bound port with a protocol behind it.
pub struct Listener {
    socket: TcpListener,
    config: ListenerConfig,
    protocol: Arc<dyn Protocol>,
    shutdown: Shutdown,
    gate: Arc<Gate>,
}

impl Listener {
    /// Takes the port. Connections queue in the kernel until [`Listener::run`].
    ///
    /// # Errors
    /// What the operating system says: port taken, not allowed, no such address.
    pub fn bind(config: ListenerConfig, protocol: Arc<dyn Protocol>, shutdown: Shutdown) -> io::Result<Self> {
        let socket = if config.addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // A restarted node takes its port at once, although old connections linger in TIME_WAIT.
        socket.set_reuseaddr(true)?;
        socket.bind(config.addr)?;
        let socket = socket.listen(config.limits.backlog)?;
        Ok(Listener { socket, config, protocol, shutdown, gate: Arc::default() })
    }

    /// The address it listens on.
    ///
    /// # Errors
    /// Never in practice.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Accepts until the node stops, then waits for the sessions (at most the grace time) and cuts off the rest.
    pub async fn run(self) {
        loop {
            match select(self.shutdown.reached(Stage::Draining), self.socket.accept()).await {
                Either::Left(()) => break,
                Either::Right(Ok((stream, peer))) => self.admit(stream, peer),
                Either::Right(Err(e)) => self.accept_failed(&e).await,
            }
        }
        let Listener { socket, config, protocol, shutdown, gate } = self;
        drop(socket);
        if !empty_within(&gate, config.limits.shutdown_grace).await {
            tracing::warn!(protocol = protocol.name(), sessions = gate.inside(), "cutting off sessions at shutdown");
            shutdown.kill();
            empty_within(&gate, KILL_WAIT).await;
        }
    }

    /// One client's bad luck is no reason to stop listening; neither is a lack of descriptors, which passes.
    async fn accept_failed(&self, error: &io::Error) {
        let name = self.protocol.name();
        metrics::counter!("zcluster_accept_errors_total", "protocol" => name).increment(1);
        let of_the_client = matches!(
            error.kind(),
            io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
        );
        if !of_the_client {
            tracing::warn!(protocol = name, %error, "cannot accept connections");
            sleep(ACCEPT_PAUSE).await;
        }
    }

    fn admit(&self, stream: TcpStream, peer: SocketAddr) {
        let name = self.protocol.name();
        match self.gate.enter(peer.ip(), &self.config.limits) {
            Ok(place) => {
                metrics::counter!("zcluster_sessions_total", "protocol" => name).increment(1);
                // Replies are gathered by us; the kernel must not wait for more.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%peer, %error, "cannot set TCP_NODELAY");
                }
                let local = stream.local_addr().unwrap_or(self.config.addr);
                let door = Door {
                    protocol: self.protocol.clone(),
                    tls: self.config.tls.clone(),
                    limits: self.config.limits.clone(),
                    proxied: self.config.proxies.contains(peer.ip()),
                    shutdown: self.shutdown.clone(),
                };
                spawn(session(door, stream, peer, local, place));
            }
            Err(why) => self.refuse(stream, peer, why),
        }
    }

    fn refuse(&self, stream: TcpStream, peer: SocketAddr, why: Refusal) {
        refuse(&self.protocol, &self.config.tls, stream, peer, why);
    }
}

fn refuse(protocol: &Arc<dyn Protocol>, tls: &TlsMode, stream: TcpStream, peer: SocketAddr, why: Refusal) {
    metrics::counter!("zcluster_sessions_refused_total", "protocol" => protocol.name(), "reason" => why.reason())
        .increment(1);
    tracing::debug!(protocol = protocol.name(), %peer, reason = why.reason(), "connection refused");
    let text = protocol.refuse_text(why);
    if text.is_empty() || matches!(tls, TlsMode::Implicit(_)) {
        return;
    }
    // One attempt without waiting: a line always fits into a new socket's send buffer.
    if let Ok(mut stream) = stream.into_std() {
        let _ = stream.write(text.as_bytes());
    }
}

/// Counts a session as open while it lives, panics included.
struct Open {
    protocol: &'static str,
    _place: Place,
}

impl Open {
    fn new(protocol: &'static str, place: Place) -> Self {
        metrics::gauge!("zcluster_sessions_open", "protocol" => protocol).increment(1.0);
        Open { protocol, _place: place }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        metrics::gauge!("zcluster_sessions_open", "protocol" => self.protocol).decrement(1.0);
    }
}

/// What a session needs of its listener.
struct Door {
    protocol: Arc<dyn Protocol>,
    tls: TlsMode,
    limits: Limits,
    proxied: bool,
    shutdown: Shutdown,
}

async fn session(door: Door, mut stream: TcpStream, peer: SocketAddr, local: SocketAddr, mut place: Place) {
    let (mut peer, mut local) = (peer, local);
    let name = door.protocol.name();
    if door.proxied {
        let header = timeout(door.limits.handshake_timeout, proxy::read(&mut stream));
        match header.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(Told::Nothing) => {}
            Ok(Told::Addresses(from, to)) => {
                (peer, local) = (from, to);
                if let Err(why) = place.move_to(peer.ip(), &door.limits) {
                    return refuse(&door.protocol, &door.tls, stream, peer, why);
                }
            }
            Err(error) => {
                metrics::counter!("zcluster_proxy_header_errors_total", "protocol" => name).increment(1);
                tracing::warn!(protocol = name, proxy = %peer, %error, "a proxy sent no PROXY header that makes sense");
                return;
            }
        }
    }
    let _open = Open::new(name, place);
    let (tls, implicit) = match door.tls {
        TlsMode::None => (None, false),
        TlsMode::StartTls(tls) => (Some(tls), false),
        TlsMode::Implicit(tls) => (Some(tls), true),
    };
    let mut connection = Connection::new(stream, peer, local, tls, &door.shutdown);
    connection.set_write_timeout(door.limits.write_timeout);
    connection.set_handshake_timeout(door.limits.handshake_timeout);
    let span = tracing::debug_span!("session", protocol = name, peer = %peer);
    serve(connection, implicit, door.protocol).instrument(span).await;
}

async fn serve(mut connection: Connection, implicit: bool, protocol: Arc<dyn Protocol>) {
    if implicit && let Err(error) = connection.start_tls().await {
        let name = protocol.name();
        let kind = if matches!(error, ReadError::Timeout) { "timeout" } else { "failed" };
        metrics::counter!("zcluster_tls_handshake_errors_total", "protocol" => name, "kind" => kind).increment(1);
        tracing::debug!(%error, "tls handshake failed");
        return;
    }
    protocol.serve(connection).await;
}

async fn empty_within(gate: &Gate, wait: Duration) -> bool {
    let until = Instant::now() + wait;
    while gate.inside() > 0 {
        if until.remaining().is_zero() {
            return false;
        }
        sleep(DRAIN_POLL).await;
    }
    true
}
