//! What is said when: commands, order, syntax, limits.

mod support;

use std::time::Duration;
use support::{ALICE, BOB, Site, codes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zcluster_api::DirectoryCommand;
use zcluster_api::directory::Modification;
use zcluster_listener::{Connection, Protocol, Refusal, Shutdown, Stream};
use zcluster_runtime::spawn;
use zcluster_smtp::Service::{Lmtp, Mx, Submission};

#[tokio::test]
async fn greetings_and_extensions() {
    let site = Site::new();
    let common = "250-PIPELINING\r\n250-SIZE 10240000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n";
    let output = site.talk(Lmtp, "LHLO client.example\r\nQUIT\r\n").await;
    let greeting = "220 mx.example.com LMTP zcluster\r\n250-mx.example.com\r\n";
    let more = "250-CHUNKING\r\n250-BINARYMIME\r\n";
    assert_eq!(output, format!("{greeting}{common}{more}250 LIMITS RCPTMAX=1000\r\n221 2.0.0 goodbye\r\n"));
    let output = site.talk(Mx, "EHLO client.example\r\nQUIT\r\n").await;
    let greeting = "220 mx.example.com ESMTP zcluster\r\n250-mx.example.com\r\n";
    assert_eq!(output, format!("{greeting}{common}{more}250-LIMITS RCPTMAX=1000\r\n250 DSN\r\n221 2.0.0 goodbye\r\n"));
    let output = site.talk(Submission, "EHLO [192.0.2.1]\r\nHELO old\r\n").await;
    let start = format!("{greeting}{common}{more}250-LIMITS RCPTMAX=1000\r\n250-DSN\r\n250-FUTURERELEASE 2592000 20");
    assert!(output.starts_with(&start), "{output}");
    assert!(output.ends_with("Z\r\n250 AUTH SCRAM-SHA-256 PLAIN LOGIN\r\n250 mx.example.com\r\n"), "{output}");
}

#[tokio::test]
async fn each_protocol_has_its_own_greeting_verb() {
    let site = Site::new();
    assert_eq!(site.codes(Lmtp, "HELO a\r\nEHLO a\r\nLHLO a\r\n").await, ["500 5.5.1", "500 5.5.1", "250"]);
    assert_eq!(site.codes(Mx, "LHLO a\r\nHELO a\r\nEHLO a\r\n").await, ["500 5.5.1", "250", "250"]);
}

#[tokio::test]
async fn order_matters() {
    let site = Site::new();
    let input = format!(
        "MAIL FROM:<a@b.c>\r\nEHLO x\r\nRCPT TO:<{BOB}>\r\nDATA\r\nBDAT 3\r\nabcMAIL FROM:<a@b.c>\r\nMAIL FROM:<a@b.c>\r\n\
         DATA\r\nRCPT TO:<{BOB}>\r\nRSET\r\nDATA\r\nMAIL FROM:<a@b.c>\r\nEHLO x\r\nRCPT TO:<{BOB}>\r\nSTARTTLS\r\n\
         AUTH PLAIN\r\nQUIT\r\nNOOP\r\n"
    );
    let expected = [
        "503 5.5.1",
        "250",
        "503 5.5.1",
        "503 5.5.1",
        "503 5.5.1",
        "250 2.1.0",
        "503 5.5.1",
        "503 5.5.1",
        "250 2.1.5",
        "250 2.0.0",
        "503 5.5.1",
        "250 2.1.0",
        "250",
        "503 5.5.1",
        "503 5.5.1",
        "502 5.5.1",
        "221 2.0.0",
    ];
    assert_eq!(site.codes(Mx, input).await, expected);
}

#[tokio::test]
async fn syntax_errors_leave_the_session_in_sync() {
    let site = Site::new();
    let long = "x".repeat(15000);
    for (line, code) in [
        ("WIZ\r\n", "500 5.5.1"),
        ("EXPN all\r\n", "502 5.5.1"),
        ("NOOP \0\r\n", "500 5.5.2"),
        ("NOOP\n", "500 5.5.2"),
        ("\r\n", "500 5.5.1"),
        ("MAIL FROM:a@b.c\r\n", "501 5.1.7"),
        ("MAIL FROM:<a@b.c> NOPE=1\r\n", "555 5.5.4"),
        ("MAIL FROM:<a@b.c> SIZE=x\r\n", "501 5.5.4"),
        ("MAIL FROM:<bj\u{f6}rn@b.c>\r\n", "553 5.6.7"),
        ("MAIL FROM:<bj\u{f6}rn@b.c> SMTPUTF8 BODY=8BITMIME\r\n", "250 2.1.0"),
        ("MAIL FROM:<a@b.c> SIZE=10240001\r\n", "552 5.3.4"),
        ("MAIL FROM:<> SIZE=10240000\r\n", "250 2.1.0"),
        (&format!("NOOP {long}\r\n"), "500 5.5.6"),
        ("VRFY alice\r\n", "252 2.1.5"),
        ("HELP\r\n", "214 2.0.0"),
        ("EHLO\r\n", "501 5.5.4"),
    ] {
        assert_eq!(site.codes(Mx, format!("EHLO x\r\n{line}NOOP\r\n")).await, ["250", code, "250 2.0.0"], "{line}");
    }
}

#[tokio::test]
async fn confused_and_hostile_clients_are_sent_away() {
    let site = Site::new();
    let codes = site.codes(Mx, "WIZ\r\n".repeat(100)).await;
    assert_eq!((codes.len(), codes.last().unwrap().as_str()), (22, "421 4.7.0"));
    assert_eq!(site.codes(Mx, "GET / HTTP/1.1\r\nHost: x\r\nMAIL FROM:<a@b.c>\r\n").await, ["421 4.7.0"]);
    let harvest: String = (0..500).map(|i| format!("RCPT TO:<user{i}@example.com>\r\n")).collect();
    let codes = site.codes(Mx, format!("EHLO x\r\nMAIL FROM:<>\r\n{harvest}")).await;
    assert_eq!((codes.len(), codes.last().unwrap().as_str()), (104, "421 4.7.0"));
    let codes = site.codes(Lmtp, format!("LHLO x\r\nMAIL FROM:<>\r\n{harvest}")).await;
    assert_eq!(codes.len(), 502, "an MTA of ours may ask");
}

#[tokio::test]
async fn relay_probes() {
    let site = Site::new();
    let domain = Modification::set("zimbraDefaultDomainName", "example.com");
    site.memory.command(DirectoryCommand::ModifyConfig(vec![domain])).unwrap();
    let id = site.bob;
    site.memory.command(DirectoryCommand::AddAlias { id, alias: "postmaster@example.com".into() }).unwrap();
    for (recipient, mx, lmtp) in [
        (BOB, "250 2.1.5", "250 2.1.5"),
        ("BOB@EXAMPLE.COM", "250 2.1.5", "250 2.1.5"),
        ("\"bob\"@example.com", "250 2.1.5", "250 2.1.5"),
        ("@relay.example,@other:bob@example.com", "250 2.1.5", "250 2.1.5"),
        ("postmaster", "250 2.1.5", "250 2.1.5"),
        ("nobody@example.com", "550 5.1.1", "550 5.1.1"),
        ("\"bob jones\"@example.com", "550 5.1.1", "550 5.1.1"),
        ("user@elsewhere.org", "550 5.7.1", "550 5.1.2"),
        ("user%elsewhere.org@example.com", "550 5.1.1", "550 5.1.1"),
        ("elsewhere.org!user@example.com", "550 5.1.1", "550 5.1.1"),
        ("\"user@elsewhere.org\"@example.com", "550 5.1.1", "550 5.1.1"),
        ("user@elsewhere.org@example.com", "501 5.1.3", "501 5.1.3"),
        ("bob@[127.0.0.1]", "550 5.7.1", "550 5.1.2"),
        ("bob@example.com.elsewhere.org", "550 5.7.1", "550 5.1.2"),
        ("bob", "501 5.1.3", "501 5.1.3"),
        ("", "501 5.1.3", "501 5.1.3"),
    ] {
        let input = |hello: &str| format!("{hello} x\r\nMAIL FROM:<>\r\nRCPT TO:<{recipient}>\r\n");
        assert_eq!(site.codes(Mx, input("EHLO")).await[2], mx, "{recipient}");
        assert_eq!(site.codes(Lmtp, input("LHLO")).await[2], lmtp, "{recipient}");
    }
}

#[tokio::test]
async fn account_status_decides_about_delivery() {
    let site = Site::new();
    for (status, code) in [
        ("active", "250 2.1.5"),
        ("locked", "250 2.1.5"),
        ("lockout", "250 2.1.5"),
        ("maintenance", "450 4.2.1"),
        ("closed", "550 5.2.1"),
        ("pending", "550 5.2.1"),
    ] {
        site.set(site.bob, "zimbraAccountStatus", status);
        let codes = site.codes(Lmtp, format!("LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<{BOB}>\r\n")).await;
        assert_eq!(codes[2], code, "{status}");
    }
}

#[tokio::test]
async fn too_many_recipients_are_put_off() {
    let mut site = Site::new();
    site.config.recipients_max = 2;
    let input =
        format!("EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<{BOB}>\r\nRCPT TO:<{ALICE}>\r\nRCPT TO:<{BOB}>\r\nDATA\r\n.\r\n");
    let codes = site.codes(Mx, input).await;
    assert_eq!(codes[2..], ["250 2.1.5", "250 2.1.5", "452 4.5.3", "354", "250 2.0.0"]);
}

#[tokio::test]
async fn silence_and_shutdown_end_with_421() {
    let mut site = Site::new();
    site.config.command_timeout = Duration::from_millis(30);
    site.config.data_timeout = Duration::from_millis(30);
    for (input, expected) in [
        ("EHLO x\r\n".to_string(), "421 4.4.2"),
        (format!("EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<{BOB}>\r\nDATA\r\nhalf"), "421 4.4.2"),
    ] {
        let (connection, mut client) = Connection::test_pair();
        spawn(site.smtp(Mx).serve(connection));
        client.write_all(input.as_bytes()).await.unwrap();
        let mut output = String::new();
        client.read_to_string(&mut output).await.unwrap();
        assert_eq!(codes(&output).last().unwrap(), expected);
    }
    assert!(site.inbox(site.bob).await.is_empty());

    let site = Site::new();
    let (mut client, server) = tokio::io::duplex(4096);
    let shutdown = Shutdown::new();
    spawn(site.smtp(Mx).serve(connection(server, &shutdown)));
    let mut greeting = [0; 10];
    client.read_exact(&mut greeting).await.unwrap();
    shutdown.drain();
    let mut rest = String::new();
    client.read_to_string(&mut rest).await.unwrap();
    assert!(rest.ends_with("\r\n421 4.3.2 service shutting down, try again later\r\n"), "{rest}");
    assert_eq!(
        site.smtp(Lmtp).refuse_text(Refusal::TooMany),
        "421 4.3.2 mx.example.com too many connections, try again later\r\n"
    );
}

fn connection(stream: impl Stream, shutdown: &Shutdown) -> Connection {
    let address = "127.0.0.1:25".parse().unwrap();
    Connection::new(stream, address, address, None, shutdown)
}
