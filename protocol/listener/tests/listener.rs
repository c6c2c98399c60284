//! Listeners on loopback sockets.

use futures::future::BoxFuture;
use rustls_pki_types::ServerName;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zcluster_listener::{
    Connection, Listener, ListenerConfig, Protocol, ReadError, Refusal, Shutdown, TlsError, TlsMode, TlsSettings,
};
use zcluster_runtime::{Instant, JoinHandle, spawn};

/// Says what it is told, knows `starttls` and `panic`, says goodbye at shutdown.
struct Echo;

impl Protocol for Echo {
    fn name(&self) -> &'static str {
        "echo"
    }
    fn serve(self: Arc<Self>, mut conn: Connection) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            loop {
                let line = match conn.read_line(100).await {
                    Ok(line) => line,
                    Err(ReadError::Shutdown) => {
                        conn.push(b"bye\r\n");
                        return conn.shutdown().await;
                    }
                    Err(_) => return,
                };
                match &line[..] {
                    b"panic" => panic!("a session's panic is its own"),
                    b"starttls" => {
                        conn.push(b"go\r\n");
                        if let Err(error) = conn.start_tls().await {
                            assert!(matches!(error, ReadError::Injected | ReadError::Io(_)), "{error}");
                            return;
                        }
                        assert!(conn.is_tls() && !conn.can_start_tls());
                    }
                    text => conn.push(&[text, b"\r\n"].concat()),
                }
            }
        })
    }
    fn refuse_text(&self, why: Refusal) -> String {
        format!("no: {}\r\n", why.reason())
    }
}

fn pair() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_string()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

fn settings() -> TlsSettings {
    let (cert, key) = pair();
    TlsSettings::from_pem(cert.as_bytes(), key.as_bytes()).unwrap()
}

fn start(tls: TlsMode, change: impl FnOnce(&mut ListenerConfig)) -> (SocketAddr, Shutdown, JoinHandle<()>) {
    let mut config = ListenerConfig::new("127.0.0.1:0".parse().unwrap());
    config.tls = tls;
    change(&mut config);
    let shutdown = Shutdown::new();
    let listener = Listener::bind(config, Arc::new(Echo), shutdown.clone()).unwrap();
    (listener.local_addr().unwrap(), shutdown, spawn(listener.run()))
}

async fn line(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut out = Vec::new();
    while !out.ends_with(b"\n") {
        match stream.read_u8().await {
            Ok(byte) => out.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(out).unwrap()
}

/// Trusts anything: the tests are about our side.
#[derive(Debug)]
struct Trusting;

impl rustls::client::danger::ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _: &rustls_pki_types::CertificateDer<'_>,
        _: &[rustls_pki_types::CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls_pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls_pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }
    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &rustls_pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

async fn wrap(stream: TcpStream) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Trusting))
        .with_no_client_auth();
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await
}

#[tokio::test]
async fn starttls_and_implicit_tls() {
    let (addr, _shutdown, _task) = start(TlsMode::StartTls(settings()), |_| {});
    let mut plain = TcpStream::connect(addr).await.unwrap();
    plain.write_all(b"starttls\r\n").await.unwrap();
    assert_eq!(line(&mut plain).await, "go\r\n");
    let mut tls = wrap(plain).await.unwrap();
    tls.write_all(b"secret\r\n").await.unwrap();
    assert_eq!(line(&mut tls).await, "secret\r\n");

    let (addr, _shutdown, _task) = start(TlsMode::Implicit(settings()), |_| {});
    let mut tls = wrap(TcpStream::connect(addr).await.unwrap()).await.unwrap();
    tls.write_all(b"hello\r\n").await.unwrap();
    assert_eq!(line(&mut tls).await, "hello\r\n");
}

#[tokio::test]
async fn plain_text_behind_starttls_is_refused() {
    let (addr, _shutdown, _task) = start(TlsMode::StartTls(settings()), |_| {});
    let mut plain = TcpStream::connect(addr).await.unwrap();
    plain.write_all(b"starttls\r\ninjected\r\n").await.unwrap();
    let mut rest = Vec::new();
    let _ = plain.read_to_end(&mut rest).await;
    assert!(!rest.windows(8).any(|w| w == b"injected"), "{rest:?}");
}

#[tokio::test]
async fn a_reloaded_certificate_is_shown_to_the_next_client_and_a_bad_one_is_not() {
    let settings = settings();
    let (addr, _shutdown, _task) = start(TlsMode::Implicit(settings.clone()), |_| {});
    let shown = || async {
        let tls = wrap(TcpStream::connect(addr).await.unwrap()).await.unwrap();
        tls.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    };
    let first = shown().await;
    let (cert, key) = pair();
    let dir = tempfile::tempdir().unwrap();
    let (cert_file, key_file) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    std::fs::write(&cert_file, cert).unwrap();
    std::fs::write(&key_file, key).unwrap();
    settings.reload_files(&cert_file, &key_file).unwrap();
    let second = shown().await;
    assert_ne!(first, second);
    let (cert, _) = pair();
    let (_, other_key) = pair();
    assert!(matches!(settings.reload_pem(cert.as_bytes(), other_key.as_bytes()), Err(TlsError::Rejected(_))));
    assert!(matches!(settings.reload_pem(b"", other_key.as_bytes()), Err(TlsError::NoCertificate)));
    assert!(matches!(settings.reload_pem(cert.as_bytes(), b"nonsense"), Err(TlsError::Pem("key", _))));
    assert_eq!(second, shown().await);
}

#[tokio::test]
async fn a_full_listener_says_so_and_a_panic_frees_its_place() {
    let (addr, _shutdown, _task) = start(TlsMode::None, |c| c.limits.max_connections = 1);
    let mut first = TcpStream::connect(addr).await.unwrap();
    first.write_all(b"hi\r\n").await.unwrap();
    assert_eq!(line(&mut first).await, "hi\r\n");
    let mut second = TcpStream::connect(addr).await.unwrap();
    assert_eq!(line(&mut second).await, "no: connections\r\n");
    first.write_all(b"panic\r\n").await.unwrap();
    assert_eq!(line(&mut first).await, "");
    let mut third = TcpStream::connect(addr).await.unwrap();
    third.write_all(b"there\r\n").await.unwrap();
    assert_eq!(line(&mut third).await, "there\r\n");
}

#[tokio::test]
async fn shutdown_asks_sessions_to_go_and_cuts_off_those_that_do_not() {
    let (addr, shutdown, task) =
        start(TlsMode::StartTls(settings()), |c| c.limits.shutdown_grace = Duration::from_millis(200));
    let mut polite = TcpStream::connect(addr).await.unwrap();
    polite.write_all(b"hi\r\n").await.unwrap();
    assert_eq!(line(&mut polite).await, "hi\r\n");
    // This one hangs in a handshake.
    let mut stuck = TcpStream::connect(addr).await.unwrap();
    stuck.write_all(b"starttls\r\n").await.unwrap();
    assert_eq!(line(&mut stuck).await, "go\r\n");
    let begun = Instant::now();
    shutdown.drain();
    assert_eq!(line(&mut polite).await, "bye\r\n");
    task.await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(200) && begun.elapsed() < Duration::from_secs(5));
    assert_eq!(line(&mut stuck).await, "");
    assert!(TcpStream::connect(addr).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_taken_port_is_an_error() {
    let (addr, _shutdown, _task) = start(TlsMode::None, |_| {});
    assert!(Listener::bind(ListenerConfig::new(addr), Arc::new(Echo), Shutdown::new()).is_err());
}
