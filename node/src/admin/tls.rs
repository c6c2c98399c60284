//! HTTPS: clients see the certificate meant for them; commands with the data directory at hand ask for the node by its
//! name in the cluster and see its cluster certificate.

use crate::pki::Pair;
use anyhow::{Context, Result};
use parking_lot::RwLock;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::{default_provider, sign::any_supported_type};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use zcluster_runtime::{sleep, spawn, timeout};

/// Time for the TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Handshakes at a time.
const HANDSHAKES_MAX: usize = 64;

/// The certificates of the admin service.
#[derive(Debug)]
pub struct AdminTls {
    node_name: String,
    node: Arc<CertifiedKey>,
    client: RwLock<Arc<CertifiedKey>>,
}

fn certified(chain_pem: &[u8], key_pem: &[u8]) -> Result<Arc<CertifiedKey>> {
    let chain = CertificateDer::pem_slice_iter(chain_pem).collect::<Result<Vec<_>, _>>().context("certificate")?;
    let key = PrivateKeyDer::from_pem_slice(key_pem).context("key")?;
    Ok(Arc::new(CertifiedKey::new(chain, any_supported_type(&key)?)))
}

impl AdminTls {
    /// `node` is shown to those who ask for `node_name`, the client pair to all others.
    ///
    /// # Errors
    /// Unusable PEM.
    pub fn new(node_name: String, node: &Pair, chain_pem: &[u8], key_pem: &[u8]) -> Result<Arc<Self>> {
        Ok(Arc::new(AdminTls {
            node_name,
            node: certified(node.cert_pem.as_bytes(), node.key_pem.as_bytes())?,
            client: RwLock::new(certified(chain_pem, key_pem)?),
        }))
    }

    /// Uses another client certificate from now on.
    ///
    /// # Errors
    /// Unusable PEM; the old one stays.
    pub fn reload(&self, chain_pem: &[u8], key_pem: &[u8]) -> Result<()> {
        *self.client.write() = certified(chain_pem, key_pem)?;
        Ok(())
    }

    fn server_config(self: &Arc<Self>) -> Result<Arc<ServerConfig>> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(self.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

impl ResolvesServerCert for AdminTls {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if hello.server_name() == Some(self.node_name.as_str()) {
            return Some(self.node.clone());
        }
        Some(self.client.read().clone())
    }
}

/// Accepts HTTPS connections.
pub struct TlsListener {
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    local: SocketAddr,
}

impl TlsListener {
    /// Starts to accept on `listener`.
    ///
    /// # Errors
    /// Unusable certificates.
    pub fn start(listener: TcpListener, tls: &Arc<AdminTls>) -> Result<TlsListener> {
        let local = listener.local_addr()?;
        let (tx, ready) = mpsc::channel(16);
        spawn(accept(listener, TlsAcceptor::from(tls.server_config()?), tx));
        Ok(TlsListener { ready, local })
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, tx: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>) {
    let room = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    while let Ok(permit) = room.clone().acquire_owned().await {
        let (tcp, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept an admin connection");
                sleep(Duration::from_millis(200)).await;
                continue;
            }
        };
        let (acceptor, tx) = (acceptor.clone(), tx.clone());
        spawn(async move {
            let _permit = permit;
            if let Ok(Ok(tls)) = timeout(HANDSHAKE_TIMEOUT, acceptor.accept(tcp)).await {
                let _ = tx.send((tls, peer)).await;
            }
        });
    }
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        match self.ready.recv().await {
            Some(accepted) => accepted,
            // The accepting task lives as long as the process.
            None => std::future::pending().await,
        }
    }
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }
}
