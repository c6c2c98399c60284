//! Setting up one HTTP/2 connection over TLS, to a peer or to a node to be joined.

use super::{CONNECT_TIMEOUT, CONNECTION_WINDOW, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT, STREAM_WINDOW, Shared};
use crate::fault::FaultyIo;
use crate::frame::RawCodec;
use crate::identity::{alpn, node_dns_name, node_number, provider, sha256};
use bytes::Bytes;
use futures::future::BoxFuture;
use hyper::client::conn::http2::{Builder, Connection, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::body::Body;
use zcluster_runtime::timeout;

/// The socket under a connection.
type Io = TokioIo<FaultyIo<TlsStream<TcpStream>>>;
/// Drives a connection; ends with it.
pub(super) type Driver = Connection<Io, Body, TokioExecutor>;

/// The sending half of a connection, as a gRPC client wants it.
#[derive(Clone)]
pub(super) struct H2(SendRequest<Body>);

/// The node that a request was sent to did not take it.
#[derive(Debug, thiserror::Error)]
#[error("the connection was closed before the request was sent")]
pub(super) struct NeverSent;

impl tower::Service<http::Request<Body>> for H2 {
    type Response = http::Response<hyper::body::Incoming>;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx).map_err(|_| NeverSent.into())
    }
    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let sent = self.0.try_send_request(request);
        Box::pin(async move {
            sent.await.map_err(|mut e| match e.take_message() {
                Some(_) => NeverSent.into(),
                None => e.into_error().into(),
            })
        })
    }
}

/// Connects to peer `to` at `address`.
pub(super) async fn connect(shared: &Shared, to: u64, address: &str) -> io::Result<(H2, Driver)> {
    let number = node_number(to);
    let dial = async {
        if shared.faults.as_ref().is_some_and(|f| f.is_blocked(number)) {
            // A partition swallows the SYN: wait for the timeout.
            std::future::pending::<()>().await;
        }
        let name = node_dns_name(number, &shared.identity.cluster);
        let tls = open_tls(address, &name, shared.identity.client.clone()).await?;
        handshake(FaultyIo::new(tls, shared.faults.clone(), number)).await
    };
    match timeout(CONNECT_TIMEOUT, dial).await {
        Ok(result) => result,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {CONNECT_TIMEOUT:?}"))),
    }
}

async fn open_tls(address: &str, name: &str, config: Arc<ClientConfig>) -> io::Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(address).await?;
    tcp.set_nodelay(true)?;
    let name = ServerName::try_from(name.to_string()).map_err(io::Error::other)?;
    TlsConnector::from(config).connect(name, tcp).await
}

async fn handshake(io: FaultyIo<TlsStream<TcpStream>>) -> io::Result<(H2, Driver)> {
    let (send, driver) = Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(1024 * 1024)
        .keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .handshake(TokioIo::new(io))
        .await
        .map_err(io::Error::other)?;
    Ok((H2(send), driver))
}

/// Why a node could not be asked to let this one join.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// Nobody there, or it broke off.
    #[error("{0} does not answer: {1}")]
    Unreachable(String, String),
    /// Somebody is there, of another cluster.
    #[error("{0} belongs to a cluster with another CA than the token")]
    OtherCluster(String),
    /// It said no.
    #[error("{0}")]
    Refused(String),
}

/// Sends `body` to the join handler of the node at `address`, once it has proved to hold a certificate of the CA with
/// the SHA-256 `ca_hash`. Used before this node has an identity.
///
/// # Errors
/// See [`JoinError`]. `Refused` carries the handler's text.
pub async fn join_call(address: &str, ca_hash: [u8; 32], body: Bytes, wait: Duration) -> Result<Bytes, JoinError> {
    let unreachable = |e: &dyn std::fmt::Display| JoinError::Unreachable(address.to_string(), e.to_string());
    let verifier = Arc::new(CaByHash { hash: ca_hash });
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|e| unreachable(&e))?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = alpn();
    let dial = async {
        let tls = open_tls(address, &format!("join.{}", crate::identity::NODE_DOMAIN), Arc::new(config)).await?;
        handshake(FaultyIo::new(tls, None, 0)).await
    };
    let (h2, driver) = match timeout(CONNECT_TIMEOUT, dial).await {
        Ok(Ok(connected)) => connected,
        Ok(Err(e)) if is_wrong_ca(&e) => return Err(JoinError::OtherCluster(address.to_string())),
        Ok(Err(e)) => return Err(unreachable(&e)),
        Err(e) => return Err(unreachable(&e)),
    };
    let _driver = zcluster_runtime::spawn(driver);
    let mut grpc = super::unary::grpc(h2);
    let path = http::uri::PathAndQuery::from_static(crate::server::JOIN_PATH);
    let answer = async {
        grpc.ready().await.map_err(|e| unreachable(&e))?;
        grpc.unary(tonic::Request::new(body), path, RawCodec).await.map(tonic::Response::into_inner).map_err(|status| {
            match status.metadata().contains_key(crate::server::ERROR_KEY) {
                true => JoinError::Refused(status.message().to_string()),
                false => unreachable(&status.message()),
            }
        })
    };
    timeout(wait, answer).await.map_err(|e| unreachable(&e))?
}

/// Accepts exactly those servers whose chain ends in the CA with this SHA-256.
#[derive(Debug)]
struct CaByHash {
    hash: [u8; 32],
}

const WRONG_CA: &str = "the server's chain does not hold the CA that the token names";

fn is_wrong_ca(e: &io::Error) -> bool {
    matches!(e.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()), Some(rustls::Error::General(s)) if s == WRONG_CA)
}

impl ServerCertVerifier for CaByHash {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let wrong = || rustls::Error::General(WRONG_CA.into());
        let ca = intermediates.iter().find(|c| sha256(c) == self.hash).ok_or_else(wrong)?;
        let mut roots = RootCertStore::empty();
        roots.add(ca.clone().into_owned())?;
        let algorithms = provider().signature_verification_algorithms;
        // Any node of the cluster will do, so the name is not compared: the CA signs nodes only.
        rustls::client::verify_server_cert_signed_by_trust_anchor(
            &ParsedCertificate::try_from(end_entity)?,
            &roots,
            intermediates,
            now,
            algorithms.all,
        )?;
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.3 only".into()))
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &provider().signature_verification_algorithms)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
