//! Signing in and sending.

mod support;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use support::{ALICE, BOB, Site, codes, without_trace};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use zcluster_api::DirectoryCommand;
use zcluster_api::directory::Modification;
use zcluster_auth::{HashParams, ScramClient, password_values};
use zcluster_listener::{Connection, Protocol, Shutdown, TlsSettings};
use zcluster_runtime::spawn;
use zcluster_smtp::Service::{Mx, Submission};

fn plain(user: &str, password: &str) -> String {
    format!("AUTH PLAIN {}\r\n", STANDARD.encode(format!("\0{user}\0{password}")))
}

fn signed_in(rest: &str) -> String {
    format!("EHLO x\r\n{}{rest}", plain(ALICE, "secret"))
}

#[tokio::test]
async fn mechanisms_and_their_errors() {
    let site = Site::new();
    let b64 = |s: &str| STANDARD.encode(s);
    let response = b64(&format!("\0{ALICE}\0secret"));
    for (input, expected) in [
        (plain(ALICE, "secret"), vec!["235 2.7.0"]),
        (format!("AUTH PLAIN\r\n{response}\r\n"), vec!["334", "235 2.7.0"]),
        (format!("AUTH login\r\n{}\r\n{}\r\n", b64(ALICE), b64("secret")), vec!["334", "334", "235 2.7.0"]),
        (format!("AUTH LOGIN {}\r\n{}\r\n", b64(ALICE), b64("secret")), vec!["334", "235 2.7.0"]),
        (plain(ALICE, "wrong"), vec!["535 5.7.8"]),
        (plain("nobody@example.com", "secret"), vec!["535 5.7.8"]),
        ("AUTH PLAIN\r\n*\r\n".into(), vec!["334", "501 5.7.0"]),
        ("AUTH PLAIN !!!\r\n".into(), vec!["501 5.5.2"]),
        ("AUTH PLAIN =\r\n".into(), vec!["501 5.5.2"]),
        ("AUTH CRAM-MD5\r\n".into(), vec!["504 5.5.4"]),
        (format!("AUTH PLAIN\r\n{}\r\n", "A".repeat(20_000)), vec!["334", "500 5.5.6"]),
        (plain(ALICE, "secret") + &plain(ALICE, "secret"), vec!["235 2.7.0", "503 5.5.1"]),
        (plain(ALICE, "wrong").repeat(5), vec!["535 5.7.8", "535 5.7.8", "535 5.7.8", "421 4.7.0"]),
    ] {
        let got = site.codes(Submission, format!("EHLO x\r\n{input}")).await;
        assert_eq!(got[1..], expected, "{input}");
    }
    assert_eq!(site.codes(Submission, plain(ALICE, "secret")).await, ["503 5.5.1"], "before EHLO");
    assert_eq!(site.codes(Mx, signed_in("")).await[1..], ["502 5.5.1"]);
    site.set(site.alice, "zimbraAccountStatus", "locked");
    assert_eq!(site.codes(Submission, signed_in("")).await[1..], ["535 5.7.13"]);
}

/// SCRAM needs no TLS: nothing that could be used again goes over the wire.
#[tokio::test]
async fn scram_dialogue() {
    let mut site = Site::new();
    site.config.auth_without_tls = false;
    let values = password_values(HashParams::cheap(), "secret");
    let changes = vec![Modification { values, ..Modification::set("userPassword", "") }];
    site.memory.command(DirectoryCommand::ModifyAccount { id: site.alice, changes }).unwrap();
    for (password, want) in [("secret", "235 2.7.0"), ("wrong", "535 5.7.8")] {
        let (connection, client) = Connection::test_pair();
        spawn(site.smtp(Submission).serve(connection));
        let mut client = BufReader::new(client);
        let mut scram = ScramClient::new(ALICE, password, "n,,", b"");
        let hello = format!("EHLO x\r\nAUTH SCRAM-SHA-256 {}\r\n", scram.first());
        client.write_all(hello.as_bytes()).await.unwrap();
        let challenge = line_after(&mut client, "334 ").await;
        let last = format!("{}\r\n", scram.last(&challenge).expect("a challenge"));
        client.write_all(last.as_bytes()).await.unwrap();
        if password == "secret" {
            assert!(scram.accepts(&line_after(&mut client, "334 ").await));
            client.write_all(b"\r\n").await.unwrap();
        }
        line_after(&mut client, want).await;
    }
}

async fn line_after(client: &mut BufReader<tokio::io::DuplexStream>, start: &str) -> String {
    for _ in 0..20 {
        let mut line = String::new();
        assert!(client.read_line(&mut line).await.unwrap() > 0, "closed before {start}");
        if let Some(rest) = line.strip_prefix(start) {
            return rest.trim_end().to_string();
        }
        assert!(line.starts_with('2'), "{line}");
    }
    panic!("no {start}");
}

#[tokio::test]
async fn accounts_under_maintenance_may_come_back() {
    let site = Site::new();
    site.set(site.alice, "zimbraAccountStatus", "maintenance");
    assert_eq!(site.codes(Submission, signed_in("")).await[1..], ["454 4.7.0"]);
}

#[tokio::test]
async fn passwords_are_not_taken_in_the_clear() {
    let mut site = Site::new();
    site.config.auth_without_tls = false;
    let output = site.talk(Submission, signed_in("MAIL FROM:<>\r\n")).await;
    assert!(output.contains("250 AUTH SCRAM-SHA-256\r\n"), "{output}");
    assert_eq!(codes(&output)[1..], ["538 5.7.11", "530 5.7.0"]);
}

#[tokio::test]
async fn senders_and_recipients() {
    let site = Site::new();
    site.memory.command(DirectoryCommand::AddAlias { id: site.alice, alias: "ally@example.com".into() }).unwrap();
    let codes = site.codes(Submission, "EHLO x\r\nMAIL FROM:<alice@example.com>\r\n").await;
    assert_eq!(codes[1..], ["530 5.7.0"]);
    for (sender, code) in [
        (ALICE, "250 2.1.0"),
        ("Alice@Example.com", "250 2.1.0"),
        ("ally@example.com", "250 2.1.0"),
        ("", "250 2.1.0"),
        (BOB, "553 5.7.1"),
        ("nobody@example.com", "553 5.7.1"),
        ("x@elsewhere.org", "553 5.7.1"),
    ] {
        assert_eq!(site.codes(Submission, signed_in(&format!("MAIL FROM:<{sender}>\r\n"))).await[2], code, "{sender}");
    }
    site.set(site.alice, "zimbraAllowFromAddress", "x@elsewhere.org");
    assert_eq!(site.codes(Submission, signed_in("MAIL FROM:<X@elsewhere.org>\r\n")).await[2], "250 2.1.0");
    let output = site.talk(Submission, signed_in("MAIL FROM:<>\r\nRCPT TO:<a@elsewhere.org>\r\n")).await;
    assert!(output.ends_with("250 2.1.5 Ok\r\n"), "{output}");
}

#[tokio::test]
async fn missing_fields_are_added() {
    let site = Site::new();
    let envelope = format!("MAIL FROM:<{ALICE}>\r\nRCPT TO:<{BOB}>\r\nDATA\r\n");
    let complete =
        "From: alice@example.com\r\nDate: Thu, 1 Jan 1970 00:00:00 +0000\r\nMessage-ID: <x@y>\r\n\r\nhello\r\n";
    for message in ["Subject: hi\r\n\r\nhello\r\n", complete] {
        let got = site.codes(Submission, signed_in(&format!("{envelope}{message}.\r\n"))).await;
        assert_eq!(got.last().unwrap(), "250 2.0.0");
    }
    let inbox = site.inbox(site.bob).await;
    let first = without_trace(&inbox[0]);
    assert!(first.contains("\r\nFrom: alice@example.com\r\n"), "{first}");
    assert!(
        first.starts_with("Date: ") && first.contains("\r\nMessage-ID: <") && first.contains("@mx.example.com>\r\n")
    );
    assert!(first.ends_with("Subject: hi\r\n\r\nhello\r\n"), "{first}");
    assert_eq!(without_trace(&inbox[1]), complete);
    assert!(inbox[0].contains(" with ESMTPA id "), "{}", inbox[0]);
}

#[tokio::test]
async fn commands_behind_starttls_end_the_session() {
    let site = Site::new();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_string()]).unwrap();
    let tls = TlsSettings::from_pem(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes()).unwrap();
    let (mut client, server) = tokio::io::duplex(65_536);
    let address = "127.0.0.1:587".parse().unwrap();
    let connection = Connection::new(server, address, address, Some(tls), &Shutdown::new());
    spawn(site.smtp(Submission).serve(connection));
    client.write_all(b"EHLO x\r\nSTARTTLS\r\nMAIL FROM:<>\r\n").await.unwrap();
    let mut output = String::new();
    client.read_to_string(&mut output).await.unwrap();
    assert!(output.contains("250-STARTTLS\r\n") || output.contains("250 STARTTLS\r\n"), "{output}");
    assert_eq!(codes(&output), ["250", "554 5.5.1"]);
}
