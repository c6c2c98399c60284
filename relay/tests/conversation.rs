//! The relay against a scripted host: what it says, what it makes of the replies, when it uses a connection again.
// The scripted host is outside of the seam that the simulator owns.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::disallowed_macros)]
#![allow(missing_docs)]

use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use zcluster_api::queue::{BodyKind, Notify, RecipientTerms, Ret, Terms};
use zcluster_delivery::carry::transport::Transport;
use zcluster_delivery::carry::{Parcel, Relay, Results};
use zcluster_relay::{Mta, RelayConfig};
use zcluster_state::memory::Memory;

const RAW: Bytes = Bytes::from_static(b"Subject: s\r\n\r\n.dot\r\nHello.\r\n");

/// A host that answers by the first words of what it hears, and keeps all of it.
struct Host {
    port: u16,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Host {
    /// `answers`: (begin of a command, replies in turn; the last one stays). Others get 250.
    async fn start(ehlo: &'static str, answers: &[(&'static str, &[&'static str])]) -> Host {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = Host { port: listener.local_addr().unwrap().port(), heard: Arc::default() };
        let heard = host.heard.clone();
        let answers: Vec<(&str, VecDeque<&str>)> =
            answers.iter().map(|(b, r)| (*b, r.iter().copied().collect())).collect();
        let answers = Arc::new(Mutex::new(answers));
        tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let (heard, answers) = (heard.clone(), answers.clone());
                tokio::spawn(async move {
                    heard.lock().unwrap().push("CONNECT".into());
                    let (read, mut write) = stream.into_split();
                    let mut lines = BufReader::new(read).lines();
                    let _ = write.write_all(b"220 host ESMTP\r\n").await;
                    let mut data = false;
                    while let Ok(Some(line)) = lines.next_line().await {
                        heard.lock().unwrap().push(line.clone());
                        if data && line != "." {
                            continue;
                        }
                        let mut reply = "250 2.0.0 ok".to_string();
                        if line.starts_with("EHLO") || line.starts_with("LHLO") {
                            reply = ehlo.to_string();
                        } else if line == "DATA" {
                            reply = "354 go on".into();
                        }
                        for (begin, replies) in answers.lock().unwrap().iter_mut() {
                            if line.starts_with(*begin) {
                                reply = replies[0].to_string();
                                if replies.len() > 1 {
                                    replies.pop_front();
                                }
                            }
                        }
                        data = reply.starts_with("354");
                        if reply.is_empty() {
                            return;
                        }
                        if write.write_all(format!("{reply}\r\n").as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        host
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    fn count(&self, begin: &str) -> usize {
        self.heard().iter().filter(|l| l.starts_with(begin)).count()
    }
}

fn mta() -> Arc<Mta> {
    let config = RelayConfig {
        resolvers: vec!["127.0.0.1:1".parse().unwrap()],
        dnssec: false,
        step_timeout: Duration::from_secs(5),
        data_timeout: Duration::from_secs(5),
        ..RelayConfig::new("me.example")
    };
    Mta::new(config, Arc::new(Memory::new())).unwrap()
}

async fn send(mta: &Mta, host: &Host, speech: &str, recipients: &[&str], terms: Option<&Terms>, raw: Bytes) -> Results {
    let via = Transport::parse(&format!("{speech}:[127.0.0.1]:{}", host.port));
    let recipients = recipients.iter().map(ToString::to_string).collect();
    mta.send(Parcel { sender: "s@me.example".into(), recipients, via, terms, raw, signing: None }).await
}

/// `a@x` with its status, or the text of the host that took it.
fn told(results: &Results) -> Vec<String> {
    let mut all: Vec<String> = results
        .iter()
        .map(|(r, result)| match result {
            Ok(taken) => format!("{r} {}", taken.text),
            Err(f) => format!("{r} {}{}", if f.permanent { "!" } else { "?" }, f.status),
        })
        .collect();
    all.sort();
    all
}

#[tokio::test]
async fn each_recipient_has_a_result_of_its_own() {
    for ehlo in ["250-host\r\n250-PIPELINING\r\n250 8BITMIME", "250 host"] {
        let host = Host::start(
            ehlo,
            &[("RCPT TO:<b@x>", &["550 5.1.1 no such user"]), ("RCPT TO:<c@x>", &["452 4.2.2 full"])],
        )
        .await;
        let results = send(&mta(), &host, "smtp", &["a@x", "b@x", "c@x"], None, RAW).await;
        assert_eq!(told(&results), ["a@x 250 2.0.0 ok", "b@x !5.1.1", "c@x ?4.2.2"], "{ehlo}");
        let heard = host.heard();
        assert!(heard.contains(&"..dot".to_string()) && heard.contains(&"Hello.".to_string()), "{heard:?}");
    }
}

#[tokio::test]
async fn a_connection_is_used_again_and_one_that_was_closed_does_no_harm() {
    let host = Host::start("250-host\r\n250 PIPELINING", &[]).await;
    let mta = mta();
    for _ in 0..3 {
        assert_eq!(told(&send(&mta, &host, "smtp", &["a@x"], None, RAW).await), ["a@x 250 2.0.0 ok"]);
    }
    assert_eq!((host.count("CONNECT"), host.count("MAIL")), (1, 3));
    // The host ends the session at the next message: a fresh connection takes it.
    let host = Host::start("250 host", &[("MAIL", &["250 ok", "", "250 ok"])]).await;
    for _ in 0..2 {
        assert_eq!(told(&send(&mta, &host, "smtp", &["a@x"], None, RAW).await), ["a@x 250 2.0.0 ok"]);
    }
    assert_eq!((host.count("CONNECT"), host.count("DATA")), (2, 2));
}

#[tokio::test]
async fn lmtp_answers_for_each_recipient_that_it_took() {
    let host = Host::start(
        "250-host\r\n250 PIPELINING",
        &[("RCPT TO:<b@x>", &["550 5.1.1 no"]), (".", &["250 2.0.0 a\r\n452 4.2.2 c is full"])],
    )
    .await;
    let results = send(&mta(), &host, "lmtp", &["a@x", "b@x", "c@x"], None, RAW).await;
    assert!(told(&results)[0].starts_with("a@x 250"), "{results:?}");
    assert_eq!(told(&results)[1..], ["b@x !5.1.1", "c@x ?4.2.2"]);
    assert_eq!(host.count("LHLO"), 1);
}

#[tokio::test]
async fn what_was_asked_for_is_passed_on_or_refused() {
    let asked = RecipientTerms { address: "a@x".into(), orcpt: Some("rfc822;o@x".into()), notify: Some(Notify::NEVER) };
    let terms =
        Terms { ret: Some(Ret::Headers), envid: Some("e1".into()), recipients: vec![asked], ..Terms::default() };
    let host = Host::start("250-host\r\n250-DSN\r\n250-8BITMIME\r\n250 SIZE 1000", &[]).await;
    let results = send(&mta(), &host, "smtp", &["a@x"], Some(&terms), "Subject: s\r\n\r\nä\r\n".into()).await;
    assert!(results[0].1.as_ref().is_ok_and(|t| t.reports), "{results:?}");
    let heard = host.heard().join("\n");
    assert!(heard.contains("MAIL FROM:<s@me.example> SIZE=18 BODY=8BITMIME RET=HDRS ENVID=e1\n"), "{heard}");
    assert!(heard.contains("RCPT TO:<a@x> NOTIFY=NEVER ORCPT=rfc822;o@x\n"), "{heard}");

    let refused = async |terms: Terms, recipient: &str, raw: Bytes| {
        told(&send(&mta(), &host, "smtp", &[recipient], Some(&terms), raw).await).remove(0)
    };
    let large = Bytes::from(vec![b'x'; 2_000]);
    assert_eq!(refused(Terms::default(), "a@x", large).await, "a@x !5.3.4");
    assert_eq!(refused(Terms::default(), "ä@x", RAW).await, "ä@x !5.6.7");
    let secret = Terms { require_tls: true, ..Terms::default() };
    assert_eq!(refused(secret, "a@x", RAW).await, "a@x !5.7.4", "no TLS there");
}

#[tokio::test]
async fn who_refuses_us_has_not_refused_the_message() {
    let host = Host::start("554 5.7.1 go away", &[("HELO", &["554 5.7.1 go away"])]).await;
    let results = send(&mta(), &host, "smtp", &["a@x"], None, RAW).await;
    assert_eq!(told(&results), ["a@x ?4.7.1"]);
    let host = Host::start("250 host", &[("MAIL", &["550 5.7.1 not from you"])]).await;
    assert_eq!(told(&send(&mta(), &host, "smtp", &["a@x"], None, RAW).await), ["a@x !5.7.1"]);
    let host = Host::start("250 host", &[("RCPT", &["250 ok\r\nnonsense"])]).await;
    assert_eq!(told(&send(&mta(), &host, "smtp", &["a@x"], None, RAW).await), ["a@x ?4.4.2"]);
}

#[tokio::test]
async fn a_host_gets_no_more_bits_than_it_takes() {
    let binary = Terms { body: BodyKind::Binary, ..Terms::default() };
    let wide = "Subject: s\r\n\r\nGr\u{fc}\u{df}e\r\n";
    let send = async |host: &Host, terms: Option<&Terms>, raw: &str| {
        told(&send(&mta(), host, "smtp", &["a@x"], terms, Bytes::from(raw.to_string())).await).remove(0)
    };
    let host = Host::start("250 host", &[]).await;
    assert_eq!(send(&host, None, wide).await, "a@x 250 2.0.0 ok");
    let heard = host.heard().join("\n");
    assert!(heard.contains("\nContent-Transfer-Encoding: quoted-printable\n\nGr=C3=BC=C3=9Fe\n"), "{heard}");
    assert!(!heard.contains("BODY="), "{heard}");
    let data = "MIME-Version: 1.0\r\nContent-Type: a/b\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\n";
    assert_eq!(send(&host, Some(&binary), data).await, "a@x 250 2.0.0 ok");
    assert!(host.heard().contains(&"AAo=".to_string()), "{:?}", host.heard());
    let signed = "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n\u{e4}\r\n--b--\r\n";
    assert_eq!(send(&host, None, signed).await, "a@x !5.6.3");
    assert_eq!(host.count("MAIL"), 2, "nothing was begun for it");

    let host = Host::start("250-host\r\n250 8BITMIME", &[]).await;
    for raw in [wide, signed] {
        assert_eq!(send(&host, None, raw).await, "a@x 250 2.0.0 ok");
    }
    assert!(host.heard().contains(&"Gr\u{fc}\u{df}e".to_string()) && host.heard().contains(&"\u{e4}".to_string()));
    assert_eq!(send(&host, Some(&binary), data).await, "a@x 250 2.0.0 ok");
    assert!(host.heard().contains(&"AAo=".to_string()), "{:?}", host.heard());
}
