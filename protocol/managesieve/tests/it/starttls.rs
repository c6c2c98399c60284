//! STARTTLS with a real handshake.

use crate::client::{Cluster, FAR, PLAIN};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zcluster_listener::{Shutdown, TlsSettings};
use zcluster_managesieve::Config;

/// A certificate for the service, and what a client needs to trust it.
fn certificate() -> (TlsSettings, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("certificate");
    let pem = made.cert.pem();
    let tls = TlsSettings::from_pem(pem.as_bytes(), made.signing_key.serialize_pem().as_bytes()).expect("settings");
    (tls, CertificateDer::from_pem_slice(pem.as_bytes()).expect("pem"))
}

#[tokio::test]
async fn capabilities_come_again_after_the_handshake() {
    let cluster = Cluster::new();
    let (tls, certificate) = certificate();
    let mailboxes = Arc::new(cluster.memory.clone());
    let mut plain = cluster.connect_over(mailboxes, FAR, Config::default(), &Shutdown::new(), Some(tls));
    let greeting = plain.answer().await;
    assert!(greeting.contains("\"STARTTLS\"\r\n") && !greeting.contains("PLAIN"), "{greeting}");
    plain.ask("STARTTLS", "OK \"begin TLS\"\r\n").await;
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
        tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, plain.stream).await.expect("handshake");
    let script = format!("STARTTLS\r\nAUTHENTICATE \"PLAIN\" \"{PLAIN}\"\r\nSTARTTLS\r\nCAPABILITY\r\nLOGOUT\r\n");
    tls.write_all(script.as_bytes()).await.expect("write");
    let mut all = String::new();
    tls.read_to_string(&mut all).await.expect("answers");
    // RFC 5804 §2.2: unasked, before anything else.
    let (unasked, rest) = all.split_once("OK \"TLS is active\"\r\n").expect("capabilities");
    assert!(unasked.starts_with("\"IMPLEMENTATION\" ") && !unasked.contains("STARTTLS"), "{unasked}");
    assert!(unasked.contains("\"SASL\" \"SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN\"\r\n"), "{unasked}");
    let answers = "NO \"TLS is already active\"\r\nOK\r\nNO \"already signed in\"\r\n\"IMPLEMENTATION\" ";
    assert!(rest.starts_with(answers) && rest.ends_with("OK \"goodbye\"\r\n"), "{rest}");
}

/// Commands sent in plain text behind STARTTLS may be another's: they are never answered.
#[tokio::test]
async fn injected_commands_end_the_connection() {
    let cluster = Cluster::new();
    let mailboxes = Arc::new(cluster.memory.clone());
    let tls = Some(certificate().0);
    let mut c = cluster.connect_over(mailboxes, FAR, Config::default(), &Shutdown::new(), tls).greeted().await;
    c.send(b"STARTTLS\r\nNOOP \"injected\"\r\n").await;
    let mut all = String::new();
    while let Some(line) = c.try_line().await {
        all += &line;
    }
    assert!(!all.contains("injected"), "{all}");
}

#[tokio::test]
async fn without_a_certificate() {
    let cluster = Cluster::new();
    let mut c = cluster.connect().greeted().await;
    c.ask("STARTTLS", "NO \"TLS is not available\"\r\n").await;
    assert!(!c.tell("CAPABILITY").await.contains("STARTTLS"));
}
