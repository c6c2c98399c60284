//! TLS for the tests of several protocols: a certificate, and the client's side of a handshake that trusts it.

use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use std::sync::Arc;
use tokio::io::DuplexStream;
use tokio_rustls::client::TlsStream;
use zcluster_listener::TlsSettings;

/// A certificate for the service, and what a client needs to trust it.
pub fn certificate() -> (TlsSettings, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("certificate");
    let pem = made.cert.pem();
    let tls = TlsSettings::from_pem(pem.as_bytes(), made.signing_key.serialize_pem().as_bytes()).expect("settings");
    (tls, CertificateDer::from_pem_slice(pem.as_bytes()).expect("pem"))
}

/// The client's side of the handshake.
pub async fn handshake(client: DuplexStream, certificate: CertificateDer<'static>) -> TlsStream<DuplexStream> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).expect("root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("name");
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, client).await.expect("handshake")
}
