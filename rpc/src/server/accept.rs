//! Accepting connections: TLS first, then HTTP/2.

use super::ServerConfig;
use super::check::{Peer, Sessions};
use super::service::Rpc;
use crate::client::{CONNECTION_WINDOW, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT, STREAM_WINDOW};
use crate::fault::FaultyIo;
use crate::identity::certificate_node;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;
use zcluster_runtime::{sleep, spawn, timeout};

/// Time a caller has for the TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections at a time, those in their handshake included.
const CONNECTIONS_MAX: usize = 2_048;
/// Pause after `accept` failed (no file descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// Calls under way on one connection.
const CONCURRENT_CALLS_MAX: u32 = 4_096;
/// Bytes of a call's metadata.
const METADATA_BYTES_MAX: u32 = 16 * 1024;

/// A connection with what is known of its other end.
pub(super) struct PeerIo {
    io: FaultyIo<TlsStream<TcpStream>>,
    peer: Arc<Peer>,
    _permit: OwnedSemaphorePermit,
}

impl Connected for PeerIo {
    type ConnectInfo = Arc<Peer>;
    fn connect_info(&self) -> Arc<Peer> {
        self.peer.clone()
    }
}

impl AsyncRead for PeerIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for PeerIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }
}

/// Accepts until the listener fails for good or the future is dropped.
pub(super) async fn run(listener: TcpListener, config: Arc<ServerConfig>) -> io::Result<()> {
    let (ready, incoming) = mpsc::channel::<io::Result<PeerIo>>(64);
    let http2 = tonic::transport::Server::builder()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(CONCURRENT_CALLS_MAX)
        .http2_max_header_list_size(METADATA_BYTES_MAX)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .serve_with_incoming(Rpc::new(config.clone()), tokio_stream::wrappers::ReceiverStream::new(incoming));
    match zcluster_runtime::select(http2, accept(listener, config, ready)).await {
        zcluster_runtime::Either::Left(result) => result.map_err(io::Error::other),
        zcluster_runtime::Either::Right(()) => Ok(()),
    }
}

async fn accept(listener: TcpListener, config: Arc<ServerConfig>, ready: mpsc::Sender<io::Result<PeerIo>>) {
    let sessions = Arc::new(Sessions::default());
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let acceptor = TlsAcceptor::from(config.identity.server.clone());
    while let Ok(permit) = room.clone().acquire_owned().await {
        let (tcp, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(e) => {
                tracing::warn!(error = %e, "cannot accept a cluster connection");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (acceptor, config, sessions, ready) = (acceptor.clone(), config.clone(), sessions.clone(), ready.clone());
        spawn(async move {
            match handshake(tcp, address, acceptor, &config, sessions, permit).await {
                Ok(io) => drop(ready.send(Ok(io)).await),
                Err(e) => tracing::debug!(%address, error = %e, "cluster connection failed in its handshake"),
            }
        });
    }
}

async fn handshake(
    tcp: TcpStream,
    address: SocketAddr,
    acceptor: TlsAcceptor,
    config: &ServerConfig,
    sessions: Arc<Sessions>,
    permit: OwnedSemaphorePermit,
) -> io::Result<PeerIo> {
    tcp.set_nodelay(true)?;
    let tls = timeout(HANDSHAKE_TIMEOUT, acceptor.accept(tcp)).await.map_err(io::Error::other)??;
    let node = tls.get_ref().1.peer_certificates().and_then(|chain| certificate_node(chain.first()?));
    // Without a certificate there is no number to cut off: such callers may only ask to join.
    let number = node.as_ref().map_or(0, |n| n.0);
    let faults = config.faults.clone().filter(|_| number != 0);
    Ok(PeerIo {
        io: FaultyIo::new(tls, faults, number),
        peer: Arc::new(Peer::new(node, address, sessions)),
        _permit: permit,
    })
}
