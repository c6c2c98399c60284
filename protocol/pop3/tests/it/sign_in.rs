//! SASL in POP3's framing (RFC 5034).

use crate::client::{Client, Cluster, PASSWORD, USER};
use zcluster_auth::{HashParams, ScramClient, password_values};
use zcluster_listener::Shutdown;
use zcluster_pop3::Config;

/// The last answer to a SCRAM exchange.
async fn scram(c: &mut Client, password: &str, initial: bool) -> String {
    let mut client = ScramClient::new(USER, password, "n,,", b"");
    if initial {
        c.say(&format!("AUTH SCRAM-SHA-256 {}", client.first())).await;
    } else {
        c.ask("AUTH SCRAM-SHA-256", "+ ").await;
        c.say(&client.first()).await;
    }
    let challenge = c.line().await;
    let last = client.last(challenge.strip_prefix("+ ").expect("a challenge")).expect("one that makes sense");
    c.say(&last).await;
    let line = c.line().await;
    let Some(signature) = line.strip_prefix("+ ") else { return line };
    assert!(client.accepts(signature));
    c.say("").await;
    c.line().await
}

#[tokio::test]
async fn scram_from_afar() {
    let cluster = Cluster::new();
    cluster.set("userPassword", password_values(HashParams::cheap(), PASSWORD));
    let mailboxes = std::sync::Arc::new(cluster.memory.clone());
    for initial in [true, false] {
        let config = Config::default();
        let mut c = cluster.connect_over(mailboxes.clone(), "192.0.2.1:4000", config, &Shutdown::new()).greeted().await;
        assert_eq!(scram(&mut c, "wrong", initial).await, "-ERR [AUTH] invalid user name or password");
        assert_eq!(scram(&mut c, PASSWORD, initial).await, "+OK 0 messages (0 octets)");
        c.ask("STAT", "+OK 0 0").await;
    }
}

#[tokio::test]
async fn exchanges_that_come_to_nothing() {
    let cluster = Cluster::new();
    let mut c = cluster.connect().greeted().await;
    c.ask("AUTH SCRAM-SHA-256", "+ ").await;
    c.ask("*", "-ERR authentication cancelled").await;
    c.ask("AUTH SCRAM-SHA-256 =", "-ERR malformed response").await;
    c.ask("AUTH SCRAM-SHA-256 !", "-ERR malformed response").await;
    c.ask("AUTH SCRAM-SHA-256-PLUS", "-ERR plaintext authentication refused, use STLS first").await;
    c.ask("AUTH XOAUTH2 AAAA", "-ERR mechanism not supported").await;
    c.ask("AUTH PLAIN", "+ ").await;
    c.ask(&"A".repeat(13_000), "-ERR line too long").await;
    c.ask("AUTH LOGIN", "+ VXNlcm5hbWU6").await;
    c.ask("Ym9iQGV4YW1wbGUuY29t", "+ UGFzc3dvcmQ6").await;
    // A command in the middle of an exchange is no base64.
    c.ask("STAT!", "-ERR malformed response").await;
    // The server's last message is owed an answer that says nothing.
    cluster.set("userPassword", password_values(HashParams::cheap(), PASSWORD));
    let mut client = ScramClient::new(USER, PASSWORD, "n,,", b"");
    c.say(&format!("AUTH SCRAM-SHA-256 {}", client.first())).await;
    let challenge = c.line().await;
    let last = client.last(&challenge[2..]).expect("a challenge");
    c.say(&last).await;
    assert!(c.line().await.starts_with("+ "));
    c.ask("AAAA", "-ERR malformed response").await;
    c.ask("STAT", "-ERR sign in first").await;
}
