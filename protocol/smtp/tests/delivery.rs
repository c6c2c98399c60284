//! What arrives: bytes, replies for one and for all, repetitions, sizes, chunks.

mod support;

use std::time::Duration;
use support::{ALICE, BOB, Site, codes, without_trace};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zcluster_api::Error;
use zcluster_listener::{Connection, Protocol};
use zcluster_runtime::spawn;
use zcluster_smtp::Budget;
use zcluster_smtp::Service::{Lmtp, Mx};

const MESSAGE: &str = "From: a@b.c\r\nMessage-ID: <1@b.c>\r\nSubject: hi\r\n\r\n.dot\r\n..\r\nend \u{e9}\r\n";

fn stuffed(message: &str) -> String {
    let body: String =
        message.split_inclusive("\r\n").map(|l| if l.starts_with('.') { format!(".{l}") } else { l.into() }).collect();
    format!("{body}.\r\n")
}

fn envelope(hello: &str, sender: &str, recipients: &[&str]) -> String {
    let recipients: String = recipients.iter().map(|r| format!("RCPT TO:<{r}>\r\n")).collect();
    format!("{hello} client.example\r\nMAIL FROM:<{sender}>\r\n{recipients}")
}

fn data(sender: &str, recipients: &[&str], message: &str) -> String {
    format!("{}DATA\r\n{}", envelope("LHLO", sender, recipients), stuffed(message))
}

fn mx(sender: &str, recipients: &[&str], message: &str) -> String {
    format!("{}DATA\r\n{}", envelope("EHLO", sender, recipients), stuffed(message))
}

#[tokio::test]
async fn lmtp_answers_for_each_recipient_and_keeps_the_bytes() {
    let site = Site::new();
    let recipients = [BOB, "nobody@example.com", ALICE];
    let output = site.talk(Lmtp, data("a@b.c", &recipients, MESSAGE) + "QUIT\r\n").await;
    let got = codes(&output);
    assert_eq!(got[2..], ["250 2.1.5", "550 5.1.1", "250 2.1.5", "354", "250 2.0.0", "250 2.0.0", "221 2.0.0"]);
    for account in [site.bob, site.alice] {
        let inbox = site.inbox(account).await;
        assert_eq!(inbox.len(), 1);
        assert_eq!(without_trace(&inbox[0]), MESSAGE);
        let trace = &inbox[0][..inbox[0].len() - MESSAGE.len()];
        assert!(
            trace.starts_with("Return-Path: <a@b.c>\r\nReceived: from client.example ([127.0.0.1])\r\n"),
            "{trace}"
        );
        assert!(trace.contains("by mx.example.com with LMTP id ") && !trace.contains("for <"), "{trace}");
    }
}

#[tokio::test]
async fn one_recipient_is_named_and_the_null_sender_kept() {
    let site = Site::new();
    let got = site.codes(Mx, mx("", &[BOB], "\r\nbody only\r\n")).await;
    assert_eq!(got[2..], ["250 2.1.5", "354", "250 2.0.0"]);
    let inbox = site.inbox(site.bob).await;
    assert!(inbox[0].starts_with("Return-Path: <>\r\n"));
    assert!(inbox[0].contains(&format!("\tfor <{BOB}>;\r\n")) && inbox[0].contains(" with ESMTP id "));
    assert_eq!(without_trace(&inbox[0]), "\r\nbody only\r\n");
}

#[tokio::test]
async fn several_messages_in_one_session_and_an_empty_one() {
    let site = Site::new();
    let one = format!("MAIL FROM:<a@b.c>\r\nRCPT TO:<{BOB}>\r\nDATA\r\n");
    let got = site.codes(Mx, format!("HELO x\r\n{one}first\r\n.\r\n{one}.\r\n{one}third\r\n.\r\nQUIT\r\n")).await;
    assert_eq!(got.iter().filter(|c| *c == "250 2.0.0").count(), 3);
    let inbox = site.inbox(site.bob).await;
    let bodies: Vec<&str> = inbox.iter().map(|m| without_trace(m)).collect();
    assert_eq!(bodies, ["first\r\n", "", "third\r\n"]);
    assert!(inbox[0].contains(" with SMTP id "));
}

#[tokio::test]
async fn a_repeated_message_is_acknowledged_but_not_added() {
    let site = Site::new();
    for _ in 0..3 {
        let got = site.codes(Lmtp, data("a@b.c", &[BOB, BOB], MESSAGE)).await;
        assert_eq!(got[got.len() - 2..], ["250 2.0.0", "250 2.0.0"]);
    }
    assert_eq!(site.inbox(site.bob).await.len(), 1);
    // Another sender, another recipient, another byte: another message.
    for input in [data("x@b.c", &[BOB], MESSAGE), data("a@b.c", &[BOB, ALICE], &format!("{MESSAGE}x\r\n"))] {
        assert_eq!(site.codes(Lmtp, input).await.last().unwrap(), "250 2.0.0");
    }
    assert_eq!((site.inbox(site.bob).await.len(), site.inbox(site.alice).await.len()), (3, 1));
}

#[tokio::test]
async fn without_a_message_id_or_when_switched_off_all_are_added() {
    let mut site = Site::new();
    for _ in 0..2 {
        site.talk(Lmtp, data("a@b.c", &[BOB], "Subject: no id\r\n\r\nMessage-ID: <not@header>\r\n")).await;
    }
    assert_eq!(site.inbox(site.bob).await.len(), 2);
    site.config.duplicate_suppression = false;
    for _ in 0..2 {
        site.talk(Lmtp, data("a@b.c", &[ALICE], MESSAGE)).await;
    }
    assert_eq!(site.inbox(site.alice).await.len(), 2);
}

#[tokio::test]
async fn failures_are_told_apart() {
    for (error, lmtp, smtp) in [
        (Error::Unavailable("x".into()), "451 4.3.0", "451 4.3.0"),
        (Error::QuotaExceeded, "452 4.2.2", "451 4.2.2"),
        (Error::NotFound("x".into()), "550 5.1.1", "550 5.1.1"),
        (Error::TooLarge("x".into()), "552 5.3.4", "552 5.3.4"),
        (Error::Internal("x".into()), "451 4.3.0", "451 4.3.0"),
    ] {
        let site = Site::new();
        let alice = site.alice;
        let site = site.failing(alice, error.clone());
        let got = site.codes(Lmtp, data("a@b.c", &[ALICE, BOB], MESSAGE)).await;
        assert_eq!(got[got.len() - 2..], [lmtp, "250 2.0.0"], "{error}");
        let got = site.codes(Mx, mx("a@b.c", &[ALICE, BOB], MESSAGE)).await;
        assert_eq!(got.last().unwrap(), smtp, "{error}");
        // Bob has it once, however often the client comes again.
        assert_eq!((site.inbox(site.bob).await.len(), site.inbox(site.alice).await.len()), (1, 0));
    }
    let site = Site::new();
    site.set(site.bob, "zimbraMailQuota", "10");
    assert_eq!(site.codes(Lmtp, data("a@b.c", &[BOB], MESSAGE)).await.last().unwrap(), "452 4.2.2");
    let mut site = site;
    site.config.quota_failure_permanent = true;
    assert_eq!(site.codes(Lmtp, data("a@b.c", &[BOB], MESSAGE)).await.last().unwrap(), "552 5.2.2");
}

#[tokio::test]
async fn refused_messages_leave_the_session_in_sync() {
    let mut site = Site::new();
    site.config.max_message_bytes = 1000;
    site.config.hops_max = 3;
    let hops = "Received: x\r\n".repeat(4);
    for (message, code) in [
        ("x".repeat(1001), "552 5.3.4"),
        ("x\r\n".repeat(100_000), "552 5.3.4"),
        ("a\nb\r\n".into(), "554 5.6.0"),
        ("a\0b\r\n".into(), "554 5.6.0"),
        (hops, "554 5.4.6"),
        ("x".repeat(998), "250 2.0.0"),
    ] {
        let input = format!("{}DATA\r\n{message}\r\n.\r\nNOOP\r\n", envelope("LHLO", "a@b.c", &[BOB, ALICE]));
        assert_eq!(site.codes(Lmtp, input).await[5..], [code, code, "250 2.0.0"]);
        let input = format!("{}DATA\r\n{message}\r\n.\r\nNOOP\r\n", envelope("EHLO", "a@b.c", &[BOB, ALICE]));
        assert_eq!(site.codes(Mx, input).await[5..], [code, "250 2.0.0"]);
    }
    assert_eq!(site.inbox(site.bob).await.len(), 2);
}

#[tokio::test]
async fn smuggled_commands_are_data() {
    for trick in ["\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r", "\n.\r", "\r.\n", "\r.\r\n"] {
        for strict in [true, false] {
            let mut site = Site::new();
            site.config.refuse_bare_lf = strict;
            let inner = format!("MAIL FROM:<admin@example.com>\r\nRCPT TO:<{ALICE}>\r\nDATA\r\nevil");
            let input = format!("{}DATA\r\nx{trick}{inner}\r\n.\r\nQUIT\r\n", envelope("EHLO", "a@b.c", &[BOB]));
            let got = site.codes(Mx, input).await;
            let bare_lf = trick.replace("\r\n", "").contains('\n');
            let code = if bare_lf && strict { "554 5.6.0" } else { "250 2.0.0" };
            assert_eq!(got[3..], ["354", code, "221 2.0.0"], "{trick:?}");
            assert!(site.inbox(site.alice).await.is_empty());
            if code.starts_with('2') {
                // RFC 5321 §4.5.2: a dot at the begin of a line was put there by the client.
                let text = format!("x{trick}{inner}\r\n").replace("\r\n.", "\r\n");
                assert_eq!(without_trace(&site.inbox(site.bob).await[0]), text);
            }
        }
    }
}

#[tokio::test]
async fn chunks() {
    let site = Site::new();
    let head = envelope("LHLO", "a@b.c", &[BOB, ALICE]);
    let text = "Subject: x\r\n\r\n.\r\n.raw\r\n";
    let (a, b) = text.split_at(15);
    let (a_len, b_len) = (a.len(), b.len());
    let input = format!("{head}BDAT {a_len}\r\n{a}BDAT 0\r\nBDAT {b_len} LAST\r\n{b}NOOP\r\n");
    let got = site.codes(Lmtp, input).await;
    assert_eq!(got[4..], ["250 2.0.0", "250 2.0.0", "250 2.0.0", "250 2.0.0", "250 2.0.0"]);
    assert_eq!(without_trace(&site.inbox(site.bob).await[0]), text);
    // The end alone, after all has been sent.
    let input = format!("{head}BDAT {}\r\n{text}BDAT 0 LAST\r\n", text.len());
    assert_eq!(site.codes(Lmtp, input).await[4..], ["250 2.0.0"; 3]);
    assert_eq!(site.inbox(site.bob).await.len(), 2);
    // Not to be mixed with DATA, nor changed under way.
    let input = format!("{head}BDAT 3\r\nabcDATA\r\nRCPT TO:<{BOB}>\r\nRSET\r\nBDAT 4 LAST\r\nNOOPNOOP\r\n");
    assert_eq!(
        site.codes(Lmtp, input).await[4..],
        ["250 2.0.0", "503 5.5.1", "503 5.5.1", "250 2.0.0", "503 5.5.1", "250 2.0.0"]
    );
    assert_eq!(site.inbox(site.bob).await.len(), 2);
}

#[tokio::test]
async fn refused_chunks() {
    let mut site = Site::new();
    site.config.max_message_bytes = 10;
    let head = envelope("EHLO", "a@b.c", &[BOB]);
    for (chunks, expected) in [
        ("BDAT 11 LAST\r\nxxxxxxxxxxx", vec!["552 5.3.4"]),
        ("BDAT 6\r\nxxxxxxBDAT 6\r\nxxxxxxBDAT 1 LAST\r\nx", vec!["250 2.0.0", "552 5.3.4", "552 5.3.4"]),
        ("BDAT 3 LAST\r\na\nb", vec!["554 5.6.0"]),
        ("BDAT 99999999999999999\r\n", vec!["421 4.3.4"]),
    ] {
        let got = site.codes(Mx, format!("{head}{chunks}")).await;
        assert_eq!(got[3..], expected, "{chunks}");
    }
    assert!(site.inbox(site.bob).await.is_empty());
    // An announced chunk that never comes whole is no message.
    assert_eq!(site.codes(Mx, format!("{head}BDAT 9 LAST\r\nabc")).await.len(), 3);
    assert!(site.inbox(site.bob).await.is_empty());
}

#[tokio::test]
async fn half_a_message_is_no_message() {
    let site = Site::new();
    let whole = mx("a@b.c", &[BOB], MESSAGE);
    for cut in 1..8 {
        site.talk(Mx, &whole.as_bytes()[..whole.len() - cut]).await;
        assert!(site.inbox(site.bob).await.is_empty(), "{cut}");
    }
}

#[tokio::test]
async fn a_large_message_arrives_whole() {
    let site = Site::new();
    let mut message = String::from("Message-ID: <big@x>\r\n\r\n");
    for i in 0..60_000_u64 {
        message.push_str(&format!(
            "{:016x}{:016x} line {i}\r\n",
            i.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            (!i).wrapping_mul(31)
        ));
    }
    assert_eq!(site.codes(Lmtp, data("a@b.c", &[BOB, ALICE], &message)).await[5..], ["250 2.0.0"; 2]);
    for account in [site.bob, site.alice] {
        assert!(without_trace(&site.inbox(account).await[0]) == message);
    }
}

#[tokio::test]
async fn memory_for_messages_is_bounded() {
    let mut site = Site::new();
    site.backend.budget = Budget::new(64 * 1024).with_wait(Duration::from_millis(30));
    let (connection, mut client) = Connection::test_pair();
    spawn(site.smtp(Mx).serve(connection));
    client.write_all(format!("{}DATA\r\n", envelope("EHLO", "a@b.c", &[BOB])).as_bytes()).await.unwrap();
    let mut output = vec![0; 4096];
    let mut len = 0;
    while !output[..len].ends_with(b"354 end data with <CR><LF>.<CR><LF>\r\n") {
        len += client.read(&mut output[len..]).await.unwrap();
    }
    // The budget is with that client.
    let got = site.codes(Mx, mx("a@b.c", &[BOB], MESSAGE)).await;
    assert_eq!(got[3], "452 4.3.1");
    client.write_all(b"x\r\n.\r\n").await.unwrap();
    let len = client.read(&mut output).await.unwrap();
    assert!(output[..len].starts_with(b"250 2.0.0 Ok "));
    // It is free again, but not large enough for this.
    let large = "x".repeat(900).to_string() + "\r\n";
    let got = site.codes(Mx, mx("a@b.c", &[BOB], &large.repeat(200)) + "NOOP\r\n").await;
    assert_eq!(got[3..], ["354", "452 4.3.1", "250 2.0.0"]);
    assert_eq!(site.codes(Mx, mx("a@b.c", &[BOB], MESSAGE)).await[3..], ["354", "250 2.0.0"]);
}
