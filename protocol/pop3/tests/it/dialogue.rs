//! What well-behaved and curious clients say.

use crate::client::{Cluster, PASSWORD, USER};
use zcluster_api::Flags;
use zcluster_listener::Shutdown;
use zcluster_pop3::Config;

const ONE: &[u8] = b"Subject: one\r\n\r\nfirst line\r\n.dot\r\nlast\r\n";
const TWO: &[u8] = b"Subject: two\n\nbare line feeds\n.";

async fn two_messages() -> Cluster {
    let cluster = Cluster::new();
    cluster.deliver(ONE).await;
    cluster.deliver(TWO).await;
    cluster
}

/// The session of RFC 1939 §10, on our mail.
#[tokio::test]
async fn a_whole_session() {
    let cluster = two_messages().await;
    let mut c = cluster.connect().signed_in().await;
    let total = ONE.len() + TWO.len();
    c.ask("STAT", &format!("+OK 2 {total}")).await;
    assert_eq!(c.ask_lines("LIST").await, [format!("1 {}", ONE.len()), format!("2 {}", TWO.len())]);
    c.ask("LIST 2", &format!("+OK 2 {}", TWO.len())).await;
    assert_eq!(c.ask_lines("RETR 1").await, ["Subject: one", "", "first line", "..dot", "last"]);
    assert_eq!(c.ask_lines("retr 2").await, ["Subject: two", "", "bare line feeds", ".."]);
    assert_eq!(c.ask_lines("TOP 1 0").await, ["Subject: one", ""]);
    assert_eq!(c.ask_lines("TOP 1 2").await, ["Subject: one", "", "first line", "..dot"]);
    c.ask("DELE 1", "+OK message 1 deleted").await;
    c.ask("DELE 1", "-ERR message 1 is deleted").await;
    c.ask("RETR 1", "-ERR message 1 is deleted").await;
    c.ask("STAT", &format!("+OK 1 {}", TWO.len())).await;
    assert_eq!(c.ask_lines("LIST").await, [format!("2 {}", TWO.len())]);
    c.ask("NOOP", "+OK done").await;
    assert_eq!(cluster.inbox().await.len(), 2, "nothing goes before QUIT");
    c.ask("QUIT", "+OK goodbye, 1 messages deleted").await;
    c.closed().await;
    let left = cluster.inbox().await;
    assert_eq!(left.len(), 1);
    assert!(!left[0].flags.contains(Flags::UNREAD), "what was retrieved is read");
}

#[tokio::test]
async fn marks_are_forgotten_without_quit_and_by_rset() {
    let cluster = two_messages().await;
    let mut c = cluster.connect().signed_in().await;
    c.ask("DELE 2", "+OK message 2 deleted").await;
    drop(c);
    let mut c = cluster.connect().signed_in().await;
    c.ask("DELE 1", "+OK message 1 deleted").await;
    c.ask("RSET", &format!("+OK 2 messages ({} octets)", ONE.len() + TWO.len())).await;
    c.ask("QUIT", "+OK goodbye, 0 messages deleted").await;
    c.closed().await;
    let left = cluster.inbox().await;
    assert!(left.len() == 2 && left.iter().all(|m| m.flags.contains(Flags::UNREAD)));
}

#[tokio::test]
async fn unique_ids_stay() {
    let cluster = two_messages().await;
    let mut c = cluster.connect().signed_in().await;
    let before = c.ask_lines("UIDL").await;
    c.ask("DELE 1", "+OK message 1 deleted").await;
    c.ask("QUIT", "+OK goodbye, 1 messages deleted").await;
    cluster.deliver(b"Subject: three\r\n\r\n").await;
    let mut c = cluster.connect().signed_in().await;
    let after = c.ask_lines("UIDL").await;
    assert_eq!(after.len(), 2);
    let id = |line: &String| line.split_once(' ').map(|(_, id)| id.to_owned());
    assert_eq!(id(&after[0]), id(&before[1]), "the message that stayed keeps its id");
    assert!(before.iter().all(|l| id(l) != id(&after[1])), "a new message never gets an old id");
    c.ask("UIDL 1", &format!("+OK {}", after[0])).await;
    c.ask("UIDL 3", "-ERR no such message").await;
}

#[tokio::test]
async fn pipelined_commands_are_answered_in_order() {
    let cluster = two_messages().await;
    let mut c = cluster.connect().greeted().await;
    let script = format!("USER {USER}\r\nPASS {PASSWORD}\r\nSTAT\r\nTOP 1 0\r\nBOGUS\nNOOP\r\nQUIT\r\n");
    c.send(script.as_bytes()).await;
    for want in [
        "+OK send PASS",
        "+OK 2 messages (71 octets)",
        "+OK 2 71",
        "+OK top of message follows",
        "Subject: one",
        "",
        ".",
    ] {
        c.expect(want).await;
    }
    for want in ["-ERR unknown command", "+OK done", "+OK goodbye, 0 messages deleted"] {
        c.expect(want).await;
    }
    c.closed().await;
}

#[tokio::test]
async fn sasl() {
    let cluster = two_messages().await;
    let mut c = cluster.connect().greeted().await;
    assert_eq!(c.ask_lines("AUTH").await, ["SCRAM-SHA-256", "PLAIN", "LOGIN"]);
    c.ask("AUTH CRAM-MD5", "-ERR mechanism not supported").await;
    c.ask("AUTH PLAIN", "+ ").await;
    c.ask("*", "-ERR authentication cancelled").await;
    c.ask("AUTH PLAIN !", "-ERR malformed response").await;
    // NUL bob@example.com NUL "wrong", then the right password, both base64.
    c.ask("AUTH PLAIN AGJvYkBleGFtcGxlLmNvbQB3cm9uZw==", "-ERR [AUTH] invalid user name or password").await;
    c.ask("AUTH PLAIN", "+ ").await;
    c.ask("AGJvYkBleGFtcGxlLmNvbQB0d28gIHdvcmRz", "+OK 2 messages (71 octets)").await;
    c.ask("AUTH PLAIN", "-ERR already signed in").await;
    let mut c = cluster.connect().greeted().await;
    c.ask("AUTH plain AGJvYkBleGFtcGxlLmNvbQB0d28gIHdvcmRz", "+OK 2 messages (71 octets)").await;
}

#[tokio::test]
async fn passwords_need_tls_from_afar() {
    let cluster = Cluster::new();
    let mailboxes = std::sync::Arc::new(cluster.memory.clone());
    let far = |config| cluster.connect_over(mailboxes.clone(), "192.0.2.1:4000", config, &Shutdown::new());
    let mut c = far(Config::default()).greeted().await;
    let refused = "-ERR plaintext authentication refused, use STLS first";
    c.ask("USER bob@example.com", refused).await;
    c.ask("AUTH PLAIN AGJvYkBleGFtcGxlLmNvbQB0d28gIHdvcmRz", refused).await;
    c.ask("PASS x", "-ERR send USER first").await;
    c.ask("STLS", "-ERR TLS is not available").await;
    assert_eq!(c.ask_lines("AUTH").await, ["SCRAM-SHA-256"]);
    let capabilities = c.ask_lines("CAPA").await;
    assert!(capabilities.iter().any(|l| l == "SASL SCRAM-SHA-256"), "{capabilities:?}");
    assert!(!capabilities.iter().any(|l| l == "USER" || l == "STLS"), "{capabilities:?}");
    let mut c = far(Config { allow_plaintext_auth: true, ..Config::default() }).signed_in().await;
    c.ask("STAT", "+OK 0 0").await;
    assert!(c.ask_lines("LIST").await.is_empty());
    c.ask("RETR 1", "-ERR no such message").await;
}

/// RFC 2449 §5's form.
#[tokio::test]
async fn capabilities() {
    let cluster = Cluster::new();
    let mut c = cluster.connect().greeted().await;
    let have = c.ask_lines("CAPA").await;
    for want in [
        "TOP",
        "UIDL",
        "USER",
        "SASL SCRAM-SHA-256 PLAIN LOGIN",
        "RESP-CODES",
        "AUTH-RESP-CODE",
        "PIPELINING",
        "UTF8 USER",
        "LANG",
        "EXPIRE NEVER",
    ] {
        assert!(have.iter().any(|l| l == want), "{want} in {have:?}");
    }
    c.ask("UTF8", "+OK UTF8 enabled").await;
    c.ask("STAT", "-ERR sign in first").await;
    c.ask("QUIT", "+OK goodbye").await;
    c.closed().await;
}

/// RFC 6856 §3.
#[tokio::test]
async fn languages() {
    let cluster = Cluster::new();
    let mut c = cluster.connect().greeted().await;
    assert_eq!(c.ask_lines("LANG").await, ["en English"]);
    c.ask("LANG EN", "+OK en English it is").await;
    c.ask("lang *", "+OK en English it is").await;
    c.ask("LANG MUL", "-ERR en no such language here").await;
    c.ask("LANG de en", "-ERR one language range expected").await;
    let mut c = cluster.connect().signed_in().await;
    c.ask("LANG en", "+OK en English it is").await;
}
