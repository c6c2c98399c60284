//! STLS with a real handshake.

use crate::client::{Cluster, PASSWORD, USER};
use crate::handshake::{certificate, handshake};
use aws_lc_rs::digest::{SHA256, digest};
use rustls_pki_types::CertificateDer;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream};
use zcluster_auth::{AuthConfig, Authenticator, HashParams, ScramClient, password_values};
use zcluster_listener::{Connection, Protocol, Shutdown};
use zcluster_pop3::{Config, Pop3};

/// A client from afar of a service with a certificate, and that certificate.
fn connect(cluster: &Cluster) -> (DuplexStream, CertificateDer<'static>) {
    let (tls, certificate) = certificate();
    let authenticator = Authenticator::new(Arc::new(cluster.memory.clone()), AuthConfig::cheap());
    let service = Arc::new(Pop3::new(Arc::new(cluster.memory.clone()), Arc::new(authenticator), Config::default()));
    let (client, server) = tokio::io::duplex(64 * 1024);
    let peer = "192.0.2.1:4000".parse().expect("address");
    zcluster_runtime::spawn(service.serve(Connection::new(server, peer, peer, Some(tls), &Shutdown::new())));
    (client, certificate)
}

/// SCRAM-SHA-256-PLUS over a real connection: both bindings, and one of another connection.
#[tokio::test]
async fn sign_in_bound_to_the_connection() {
    let cluster = Cluster::new();
    cluster.set("userPassword", password_values(HashParams::cheap(), PASSWORD));
    for (header, good) in [
        ("p=tls-exporter,,", true),
        ("p=tls-server-end-point,,", true),
        ("p=tls-exporter,,", false),
        ("p=tls-server-end-point,,", false),
    ] {
        let (mut client, certificate) = connect(&cluster);
        client.write_all(b"STLS\r\n").await.expect("write");
        let mut said = Vec::new();
        while !said.ends_with(b"begin TLS\r\n") {
            said.push(client.read_u8().await.expect("answer"));
        }
        let end_point = digest(&SHA256, &certificate);
        let tls = handshake(client, certificate).await;
        let mut binding = match header {
            "p=tls-exporter,," => {
                tls.get_ref().1.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b""))
            }
            _ => Ok(end_point.as_ref().try_into().expect("32 bytes")),
        }
        .expect("a binding");
        if !good {
            binding[0] ^= 1;
        }
        let mut tls = BufReader::new(tls);
        let mut scram = ScramClient::new(USER, PASSWORD, header, &binding);
        let first = format!("AUTH SCRAM-SHA-256-PLUS {}\r\n", scram.first());
        tls.write_all(first.as_bytes()).await.expect("write");
        let mut line = String::new();
        tls.read_line(&mut line).await.expect("challenge");
        let last = scram.last(line.trim_end().strip_prefix("+ ").expect("challenge")).expect("makes sense");
        tls.write_all(format!("{last}\r\n").as_bytes()).await.expect("write");
        line.clear();
        tls.read_line(&mut line).await.expect("answer");
        if !good {
            assert_eq!(line, "-ERR [AUTH] invalid user name or password\r\n", "{header}");
            continue;
        }
        assert!(scram.accepts(line.trim_end().strip_prefix("+ ").expect("signature")), "{header}");
        tls.write_all(b"\r\n").await.expect("write");
        line.clear();
        tls.read_line(&mut line).await.expect("answer");
        assert_eq!(line, "+OK 0 messages (0 octets)\r\n", "{header}");
    }
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
    assert!(line.contains("\r\nSTLS\r\n") && line.contains("\r\nSASL SCRAM-SHA-256\r\n"), "{line}");
    plain.write_all(b"STLS\r\n").await.expect("write");
    line.clear();
    plain.read_line(&mut line).await.expect("answer");
    assert_eq!(line, "+OK begin TLS\r\n");
    let mut tls = handshake(plain.into_inner(), certificate).await;
    tls.write_all(b"STLS\r\nAUTH PLAIN AGJvYkBleGFtcGxlLmNvbQB0d28gIHdvcmRz\r\nCAPA\r\nQUIT\r\n").await.expect("write");
    let mut all = String::new();
    tls.read_to_string(&mut all).await.expect("answers");
    assert!(all.starts_with("-ERR TLS is already active\r\n+OK 0 messages (0 octets)\r\n+OK "), "{all}");
    assert!(all.contains("SASL SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN") && !all.contains("\r\nSTLS"), "{all}");
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
