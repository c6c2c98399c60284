//! One client's connection.

use crate::deflate::Deflated;
use crate::read::ReadError;
use crate::shutdown::{Shutdown, Slot, Stage};
use crate::stream::{Io, Stream};
use crate::tls::TlsSettings;
use bytes::BytesMut;
use parking_lot::Mutex;
use std::future::{Future, poll_fn};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use zcluster_runtime::{Instant, Sleep};

/// How long a client may be silent unless the session says otherwise (RFC 9051 §5.4 asks for 30 minutes; SMTP sets 5).
const IDLE_DEFAULT: Duration = Duration::from_secs(30 * 60);
/// How long a client may refuse to take any byte.
const WRITE_DEFAULT: Duration = Duration::from_secs(60);
/// How long a TLS handshake may take.
const HANDSHAKE_DEFAULT: Duration = Duration::from_secs(30);
/// How long a goodbye may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// A client's connection: bounded reads, buffered writes, STARTTLS, timeouts.
///
/// Reads and writes may be cancelled (dropped) at any await and taken up again: all state is in the connection.
/// What was written is sent when the session next has to wait for input, at [`Connection::flush`], or when enough has
/// gathered.
pub struct Connection {
    /// In a lock that is never taken (`get_mut`): it makes the connection `Sync`, so that sessions may hold references to
    /// themselves over an await.
    pub(crate) io: Mutex<Io>,
    pub(crate) input: BytesMut,
    /// Bytes of `input` already searched for LF.
    pub(crate) scanned: usize,
    /// While an over-long line is being thrown away: bytes so far.
    pub(crate) draining: Option<Overlong>,
    pub(crate) output: BytesMut,
    /// `output` has been handed over but the stream (TLS) may still hold some.
    pub(crate) unflushed: bool,
    pub(crate) shutdown: Slot,
    pub(crate) idle_timeout: Duration,
    pub(crate) write_timeout: Duration,
    handshake_timeout: Duration,
    /// Like `io`.
    timer: Mutex<Option<(Instant, Sleep)>>,
    tls: Option<TlsSettings>,
    secure: bool,
    deflated: bool,
    bindings: Option<Box<Bindings>>,
    peer: SocketAddr,
    local: SocketAddr,
}

/// What ties a sign-in to one TLS connection.
struct Bindings {
    exporter: Option<[u8; 32]>,
    end_point: Option<Vec<u8>>,
    /// The addresses in the client's certificate.
    client: Vec<String>,
}

/// A line that is being thrown away.
pub(crate) struct Overlong {
    pub(crate) start: bytes::Bytes,
    pub(crate) dropped: usize,
    pub(crate) end: Vec<u8>,
}

impl Connection {
    /// A connection over `stream`. With `tls` settings it can [`Connection::start_tls`].
    pub fn new(
        stream: impl Stream,
        peer: SocketAddr,
        local: SocketAddr,
        tls: Option<TlsSettings>,
        shutdown: &Shutdown,
    ) -> Self {
        Connection {
            io: Mutex::new(Io::Plain(Box::new(stream))),
            input: BytesMut::new(),
            scanned: 0,
            draining: None,
            output: BytesMut::new(),
            unflushed: false,
            shutdown: shutdown.slot(),
            idle_timeout: IDLE_DEFAULT,
            write_timeout: WRITE_DEFAULT,
            handshake_timeout: HANDSHAKE_DEFAULT,
            timer: Mutex::new(None),
            tls,
            secure: false,
            deflated: false,
            bindings: None,
            peer,
            local,
        }
    }

    /// For tests: a connection and the client's end of it.
    pub fn test_pair() -> (Connection, tokio::io::DuplexStream) {
        const PIPE_BYTES: usize = 256 * 1024;
        let (client, server) = tokio::io::duplex(PIPE_BYTES);
        let address = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        (Connection::new(server, address(50_000), address(25), None, &Shutdown::new()), client)
    }

    /// Counts the connection as protected by TLS although it is not: for tests, and for streams that are protected
    /// elsewhere.
    #[must_use]
    pub fn assume_secure(mut self) -> Self {
        self.secure = true;
        self
    }

    /// The client's address.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The address the client reached.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Whether TLS protects the connection.
    pub fn is_tls(&self) -> bool {
        self.secure
    }

    /// The channel binding `tls-exporter` (RFC 9266), under TLS 1.3. With TLS 1.2 it needs the extended master secret,
    /// of which rustls does not tell.
    pub fn tls_exporter(&self) -> Option<[u8; 32]> {
        self.bindings.as_ref().and_then(|b| b.exporter)
    }

    /// The channel binding `tls-server-end-point` (RFC 5929 §4): the hash of the certificate that the client was shown.
    pub fn tls_server_end_point(&self) -> Option<Vec<u8>> {
        self.bindings.as_ref().and_then(|b| b.end_point.clone())
    }

    /// The addresses (`rfc822Name`) that the client's certificate is made out to, if it was asked for one and showed it.
    pub fn client_addresses(&self) -> &[String] {
        self.bindings.as_ref().map_or(&[], |b| &b.client)
    }

    /// Whether [`Connection::start_tls`] makes sense: there is a certificate and no TLS yet.
    pub fn can_start_tls(&self) -> bool {
        self.tls.is_some() && !self.secure
    }

    /// How long the client may be silent from now on.
    pub fn set_idle_timeout(&mut self, timeout: Duration) {
        self.idle_timeout = timeout;
    }

    /// How long the client may refuse to take any byte.
    pub fn set_write_timeout(&mut self, timeout: Duration) {
        self.write_timeout = timeout;
    }

    pub(crate) fn set_handshake_timeout(&mut self, timeout: Duration) {
        self.handshake_timeout = timeout;
    }

    /// Whether the node is stopping.
    pub fn is_shutting_down(&self) -> bool {
        self.shutdown.stage() >= Stage::Draining
    }

    /// Makes the TLS handshake, after sending what was written. Whatever the client sent in plain text behind its
    /// STARTTLS is not looked at and the connection must be closed: it may be another's (CVE-2011-0411).
    ///
    /// # Errors
    /// [`ReadError::Injected`] for input sent too early; else why the handshake failed. Nothing can be read or
    /// written afterwards.
    pub async fn start_tls(&mut self) -> Result<(), ReadError> {
        if !self.input.is_empty() {
            *self.io.get_mut() = Io::Gone;
            self.input = BytesMut::new();
            return Err(ReadError::Injected);
        }
        let tls = self.tls.clone().ok_or_else(|| std::io::Error::from(std::io::ErrorKind::Unsupported))?;
        self.flush().await?;
        let Io::Plain(stream) = std::mem::replace(self.io.get_mut(), Io::Gone) else {
            return Err(std::io::Error::from(std::io::ErrorKind::AlreadyExists).into());
        };
        let (acceptor, end_points) = tls.acceptor();
        let handshake = zcluster_runtime::timeout(self.handshake_timeout, acceptor.accept(stream));
        let killed = poll_fn(|cx| self.shutdown.poll(cx, Stage::Killed));
        let stream = match zcluster_runtime::select(handshake, killed).await {
            zcluster_runtime::Either::Left(done) => done.map_err(|_| ReadError::Timeout)??,
            zcluster_runtime::Either::Right(()) => return Err(ReadError::Shutdown),
        };
        let session = stream.get_ref().1;
        let end_point = end_points.of(session.server_name());
        // Verified in the handshake.
        let leaf = session.peer_certificates().and_then(<[_]>::first);
        let client = leaf.map_or_else(Vec::new, |leaf| crate::tls::addresses(leaf));
        self.bindings = Some(Box::new(Bindings { exporter: exporter(session), end_point, client }));
        *self.io.get_mut() = Io::Tls(Box::new(stream));
        self.secure = true;
        Ok(())
    }

    /// Whether both directions are compressed.
    pub fn is_deflated(&self) -> bool {
        self.deflated
    }

    /// Compresses both directions with DEFLATE from here on (RFC 4978), after sending what was written. What was read
    /// but not taken yet counts as compressed.
    ///
    /// # Errors
    /// Why what was written could not be sent. Nothing can be read or written afterwards.
    pub async fn start_deflate(&mut self) -> Result<(), ReadError> {
        self.flush().await?;
        if !self.is_deflated() {
            let io = std::mem::replace(self.io.get_mut(), Io::Gone);
            *self.io.get_mut() = Io::Deflated(Box::new(Deflated::new(io, std::mem::take(&mut self.input))));
            (self.scanned, self.deflated) = (0, true);
        }
        Ok(())
    }

    /// Gives back what only a busy connection needs: for one that will wait long. Call it with nothing left to send.
    pub fn rest(&mut self) {
        if let Io::Deflated(s) = self.io.get_mut() {
            s.rest();
        }
    }

    /// Sends what was written and closes, within a few seconds.
    pub async fn shutdown(&mut self) {
        let close = async {
            if self.flush().await.is_ok() {
                let _ = poll_fn(|cx| self.io.get_mut().poll_shutdown(cx)).await;
            }
        };
        let _ = zcluster_runtime::timeout(CLOSE_TIMEOUT, close).await;
        *self.io.get_mut() = Io::Gone;
    }

    /// Ready when `at` has come. The timer is armed once and moved on lazily, so that a busy session does not touch
    /// the timer wheel for every command.
    pub(crate) fn poll_timer(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<()> {
        let timer = self.timer.get_mut();
        loop {
            match timer {
                Some((armed, sleep)) if *armed <= at => {
                    if Pin::new(sleep).poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    let reached = *armed == at || at.remaining().is_zero();
                    *timer = None;
                    if reached {
                        return Poll::Ready(());
                    }
                }
                _ => *timer = Some((at, zcluster_runtime::sleep_until(at))),
            }
        }
    }
}

/// RFC 9266 §4: 32 bytes under the label `EXPORTER-Channel-Binding` with an empty context.
fn exporter(tls: &rustls::ServerConnection) -> Option<[u8; 32]> {
    if tls.protocol_version() != Some(rustls::ProtocolVersion::TLSv1_3) {
        return None;
    }
    tls.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b"")).ok()
}
