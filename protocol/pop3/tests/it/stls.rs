//! STLS with a real handshake.

use crate::client::Cluster;
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream};
use zcluster_auth::{AuthConfig, Authenticator};
use zcluster_listener::{Connection, Protocol, Shutdown, TlsSettings};
use zcluster_pop3::{Config, Pop3};

/// A client from afar of a service with a certificate, and that certificate.
fn connect(cluster: &Cluster) -> (DuplexStream, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("certificate");
    let pem = made.cert.pem();
    let tls = TlsSettings::from_pem(pem.as_bytes(), made.signing_key.serialize_pem().as_bytes()).expect("settings");
    let authenticator = Authenticator::new(Arc::new(cluster.memory.clone()), AuthConfig::cheap());
    let service = Arc::new(Pop3::new(Arc::new(cluster.memory.clone()), Arc::new(authenticator), Config::default()));
    let (client, server) = tokio::io::duplex(64 * 1024);
    let peer = "192.0.2.1:4000".parse().expect("address");
    zcluster_runtime::spawn(service.serve(Connection::new(server, peer, peer, Some(tls), &Shutdown::new())));
    (client, CertificateDer::from_pem_slice(pem.as_bytes()).expect("pem"))
}

#[tokio::test]
async fn passwords_are_welcome_after_the_handshake() {
    let cluster = Cluster::new();
    let (client, certificate) = connect(&cluster);
    let mut plain = BufReader::new(client);
    let mut line = String::new();
    plain.read_line(&mut line).await.expect("greeting");
    plain.write_all(b"CAPA\r\n").await.expect("write");
    while !line.ends_with("\r\n.\r\n") {
        plain.read_line(&mut line).await.expect("capabilities");
    }
    assert!(line.contains("\r\nSTLS\r\n") && !line.contains("SASL"), "{line}");
    plain.write_all(b"STLS\r\n").await.expect("write");
    line.clear();
    plain.read_line(&mut line).await.expect("answer");
    assert_eq!(line, "+OK begin TLS\r\n");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).expect("root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("name");
    let mut tls =
        tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, plain.into_inner()).await.expect("handshake");
    tls.write_all(b"STLS\r\nAUTH PLAIN AGJvYkBleGFtcGxlLmNvbQB0d28gIHdvcmRz\r\nCAPA\r\nQUIT\r\n").await.expect("write");
    let mut all = String::new();
    tls.read_to_string(&mut all).await.expect("answers");
    assert!(all.starts_with("-ERR TLS is already active\r\n+OK 0 messages (0 octets)\r\n+OK "), "{all}");
    assert!(all.contains("SASL PLAIN") && !all.contains("\r\nSTLS"), "{all}");
}

/// Commands sent in plain text behind STLS may be another's: they are never answered (RFC 2595 §4).
#[tokio::test]
async fn injected_commands_end_the_connection() {
    let cluster = Cluster::new();
    let (mut client, _) = connect(&cluster);
    client.write_all(b"STLS\r\nCAPA\r\n").await.expect("write");
    let mut all = String::new();
    client.read_to_string(&mut all).await.expect("answers");
    assert!(!all.contains("TOP"), "{all}");
}
