//! STARTTLS with a real handshake.

use crate::client::{Cluster, FAR, PLAIN};
use crate::handshake::{certificate, handshake};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zcluster_listener::Shutdown;
use zcluster_managesieve::Config;

#[tokio::test]
async fn capabilities_come_again_after_the_handshake() {
    let cluster = Cluster::new();
    let (tls, certificate) = certificate();
    let mailboxes = Arc::new(cluster.memory.clone());
    let mut plain = cluster.connect_over(mailboxes, FAR, Config::default(), &Shutdown::new(), Some(tls));
    let greeting = plain.answer().await;
    assert!(greeting.contains("\"STARTTLS\"\r\n") && !greeting.contains("PLAIN"), "{greeting}");
    plain.ask("STARTTLS", "OK \"begin TLS\"\r\n").await;
    let mut tls = handshake(plain.stream, certificate).await;
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
