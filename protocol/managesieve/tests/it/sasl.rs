//! AUTHENTICATE (RFC 5804 §2.1) and UNAUTHENTICATE.

use crate::client::{Cluster, FAR, NEAR, PASSWORD, PLAIN, USER};
use futures::future::BoxFuture;
use std::sync::Arc;
use zcluster_api::directory::{DirectoryQuery, Modification};
use zcluster_api::{Actor, DirectoryApi, DirectoryCommand, DirectoryReply, Error, Freshness, RequestId, Result};
use zcluster_auth::{AuthConfig, Authenticator, ScramClient};
use zcluster_listener::{Connection, Protocol, Shutdown};
use zcluster_managesieve::{Config, ManageSieve};

const WRONG: &str = "AGJvYkBleGFtcGxlLmNvbQB3cm9uZw==";

#[tokio::test]
async fn plain_in_all_its_forms() {
    let cluster = Cluster::new();
    let text = format!("authenticate \"plain\" {{{}+}}\r\n{PLAIN}", PLAIN.len());
    for way in [format!("AUTHENTICATE \"PLAIN\" \"{PLAIN}\""), text] {
        let mut c = cluster.connect().greeted().await;
        c.ask(&way, "OK\r\n").await;
        c.ask(&way, "NO \"already signed in\"\r\n").await;
    }
    // RFC 4422: an empty challenge where the client speaks first but did not.
    let mut c = cluster.connect().greeted().await;
    c.say("AUTHENTICATE \"PLAIN\"").await;
    assert_eq!(c.line().await, "\"\"\r\n");
    c.ask_with("", PLAIN, "OK\r\n").await;
    let mut c = cluster.connect().greeted().await;
    c.say("AUTHENTICATE \"LOGIN\"").await;
    assert_eq!(c.line().await, "\"VXNlcm5hbWU6\"\r\n");
    c.say("\"Ym9iQGV4YW1wbGUuY29t\"").await;
    assert_eq!(c.line().await, "\"UGFzc3dvcmQ6\"\r\n");
    c.ask("\"dHdvICB3b3Jkcw==\"", "OK\r\n").await;
    assert!(c.tell("CAPABILITY").await.contains("\r\n\"OWNER\" \"bob@example.com\"\r\n"));
}

#[tokio::test]
async fn scram_ends_with_data_in_the_answer() {
    let cluster = Cluster::new();
    let mut c = cluster.connect().greeted().await;
    for (password, good) in [("wrong", false), (PASSWORD, true)] {
        let mut scram = ScramClient::new(USER, password, "n,,", b"");
        c.say(&format!("AUTHENTICATE \"SCRAM-SHA-256\" \"{}\"", scram.first())).await;
        let challenge = c.line().await;
        let last = scram.last(challenge.trim_end().trim_matches('"')).expect("a challenge");
        let answer = c.tell(&format!("\"{last}\"")).await;
        if good {
            let data = answer.strip_prefix("OK (SASL \"").and_then(|a| a.strip_suffix("\")\r\n"));
            assert!(data.is_some_and(|d| scram.accepts(d)), "{answer}");
        } else {
            assert_eq!(answer, "NO \"invalid user name or password\"\r\n");
        }
    }
    assert_eq!(c.tell("LISTSCRIPTS").await, "OK\r\n");
}

#[tokio::test]
async fn exchanges_that_lead_nowhere() {
    let cluster = Cluster::new();
    let mut c = cluster.connect().greeted().await;
    for star in ["\"*\"", "{1+}\r\n*", "*"] {
        c.say("AUTHENTICATE \"PLAIN\"").await;
        assert_eq!(c.line().await, "\"\"\r\n");
        c.ask(star, "NO \"authentication cancelled\"\r\n").await;
    }
    for (response, answer) in [
        ("\"!\"", "NO \"malformed response\"\r\n"),
        ("\"AA==\"", "NO \"malformed response\"\r\n"),
        ("\"a\" \"b\"", "NO \"malformed response: one string is expected\"\r\n"),
        ("", "NO \"malformed response: one string is expected\"\r\n"),
        ("NOOP", "NO \"malformed response: one string is expected\"\r\n"),
        ("\"a", "NO \"a quoted string has no end\"\r\n"),
        ("{20000+}", "NO \"a literal is too large\"\r\n"),
    ] {
        c.say("AUTHENTICATE \"PLAIN\"").await;
        assert_eq!(c.line().await, "\"\"\r\n");
        c.say(response).await;
        if response.starts_with('{') {
            c.say(&"x".repeat(20_000)).await;
        }
        assert_eq!(c.answer().await, answer, "{response}");
        c.in_step().await;
    }
    c.ask("AUTHENTICATE \"PLAIN\" \"!\"", "NO \"malformed response\"\r\n").await;
    c.ask("AUTHENTICATE \"GSSAPI\"", "NO \"mechanism not supported\"\r\n").await;
    c.ask("AUTHENTICATE \"cram-md5\"", "NO (AUTH-TOO-WEAK) \"mechanism is too weak\"\r\n").await;
    c.ask("AUTHENTICATE \"\"", "NO \"mechanism not supported\"\r\n").await;
    c.ask("AUTHENTICATE PLAIN", "NO \"a string must be quoted or a literal\"\r\n").await;
}

#[tokio::test]
async fn wrong_passwords_end_the_connection() {
    let cluster = Cluster::new();
    let mut c = cluster.connect().greeted().await;
    for last in [false, false, false, false, true] {
        let answer = c.tell(&format!("AUTHENTICATE \"PLAIN\" \"{WRONG}\"")).await;
        let word = if last { "BYE " } else { "NO " };
        assert!(answer.starts_with(word), "{answer}");
    }
    c.closed().await;
}

#[tokio::test]
async fn closed_accounts_and_wrong_passwords_are_refused() {
    let cluster = Cluster::new();
    cluster.modify(Modification::set("zimbraAccountStatus", "closed"));
    let mut c = cluster.connect().greeted().await;
    let answer = c.tell(&format!("AUTHENTICATE \"PLAIN\" \"{PLAIN}\"")).await;
    assert!(answer.starts_with("NO \""), "{answer}");
    c.ask("LISTSCRIPTS", "NO \"sign in first\"\r\n").await;
}

#[tokio::test]
async fn passwords_need_tls_from_afar() {
    let cluster = Cluster::new();
    let far = |config| cluster.connect_over(Arc::new(cluster.memory.clone()), FAR, config, &Shutdown::new(), None);
    let mut c = far(Config::default()).greeted().await;
    let needed = "NO (ENCRYPT-NEEDED) \"this mechanism needs TLS, use STARTTLS first\"\r\n";
    c.ask(&format!("AUTHENTICATE \"PLAIN\" \"{PLAIN}\""), needed).await;
    c.ask("AUTHENTICATE \"LOGIN\"", needed).await;
    let capabilities = c.tell("CAPABILITY").await;
    assert!(capabilities.contains("\"SASL\" \"SCRAM-SHA-256\"\r\n"), "{capabilities}");
    far(Config { allow_plaintext_auth: true, ..Config::default() }).signed_in().await;
}

#[tokio::test]
async fn signing_out_and_in_again() {
    let cluster = Cluster::new();
    let mut c = cluster.connect().signed_in().await;
    c.ask("UNAUTHENTICATE", "OK\r\n").await;
    c.ask("UNAUTHENTICATE", "NO \"sign in first\"\r\n").await;
    c.ask("LISTSCRIPTS", "NO \"sign in first\"\r\n").await;
    assert!(!c.tell("CAPABILITY").await.contains("OWNER"));
    c.ask(&format!("AUTHENTICATE \"PLAIN\" \"{PLAIN}\""), "OK\r\n").await;
    c.ask("LISTSCRIPTS", "OK\r\n").await;
}

/// A directory that nobody leads.
struct Headless;

impl DirectoryApi for Headless {
    fn read(&self, _: DirectoryQuery, _: Freshness) -> BoxFuture<'_, Result<DirectoryReply>> {
        Box::pin(async { Err(Error::Unavailable("no quorum".into())) })
    }
    fn write(&self, _: Actor, _: RequestId, _: DirectoryCommand) -> BoxFuture<'_, Result<DirectoryReply>> {
        Box::pin(async { Err(Error::Unavailable("no quorum".into())) })
    }
}

#[tokio::test]
async fn without_a_directory_clients_are_asked_to_come_back() {
    let cluster = Cluster::new();
    let authenticator = Arc::new(Authenticator::new(Arc::new(Headless), AuthConfig::cheap()));
    let service = ManageSieve::new(Arc::new(cluster.memory.clone()), authenticator, Config::default());
    let mut c = cluster.connect().greeted().await;
    let (client, server) = tokio::io::duplex(4 * 1024);
    let peer = NEAR.parse().expect("address");
    let conn = Connection::new(server, peer, peer, None, &Shutdown::new());
    zcluster_runtime::spawn(Arc::new(service).serve(conn));
    c.stream = client;
    let mut c = c.greeted().await;
    let answer = c.tell(&format!("AUTHENTICATE \"PLAIN\" \"{PLAIN}\"")).await;
    assert!(answer.starts_with("NO (TRYLATER) \""), "{answer}");
}
