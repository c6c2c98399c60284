//! Strangers: what they must do, and what becomes of those who do not.

mod support;

use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use support::{ALICE, BOB, Site, codes, pair_from};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zcluster_listener::Protocol;
use zcluster_runtime::spawn;
use zcluster_smtp::Service::{Mx, Submission};
use zcluster_smtp::{Defence, Dns, Unanswered};

const STRANGER: &str = "198.51.100.7";

/// A DNS of a few names.
#[derive(Default)]
struct Zone {
    addresses: BTreeMap<&'static str, Vec<IpAddr>>,
    mail_hosts: BTreeMap<&'static str, Vec<&'static str>>,
    names: BTreeMap<IpAddr, &'static str>,
    /// Does not answer for these.
    broken: Vec<&'static str>,
}

impl Zone {
    fn get<T>(&self, name: &str, found: Vec<T>) -> Result<Vec<T>, Unanswered> {
        if self.broken.contains(&name) { Err(Unanswered) } else { Ok(found) }
    }
}

impl Dns for Zone {
    fn ipv4<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<Ipv4Addr>, Unanswered>> {
        let all = self.addresses.get(name).cloned().unwrap_or_default();
        let v4 = all.into_iter().filter_map(|a| match a {
            IpAddr::V4(a) => Some(a),
            IpAddr::V6(_) => None,
        });
        Box::pin(std::future::ready(self.get(name, v4.collect())))
    }
    fn addresses<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, Unanswered>> {
        Box::pin(std::future::ready(self.get(name, self.addresses.get(name).cloned().unwrap_or_default())))
    }
    fn mail_hosts<'a>(&'a self, domain: &'a str) -> BoxFuture<'a, Result<Vec<String>, Unanswered>> {
        let hosts = self.mail_hosts.get(domain).cloned().unwrap_or_default();
        Box::pin(std::future::ready(self.get(domain, hosts.into_iter().map(str::to_string).collect())))
    }
    fn names(&self, ip: IpAddr) -> BoxFuture<'_, Result<Vec<String>, Unanswered>> {
        Box::pin(std::future::ready(Ok(self.names.get(&ip).map(|n| n.to_string()).into_iter().collect())))
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn zone() -> Zone {
    Zone {
        addresses: BTreeMap::from([
            ("7.100.51.198.bl.example", vec![ip("127.0.0.2")]),
            ("7.100.51.198.odd.example", vec![ip("192.0.2.1")]),
            ("8.100.51.198.wl.example", vec![ip("127.0.9.1")]),
            ("8.100.51.198.bl.example", vec![ip("127.0.0.4")]),
            ("spam.example.dbl.example", vec![ip("127.0.1.2")]),
            ("host.example", vec![ip("198.51.100.9")]),
            ("a-only.example", vec![ip("203.0.113.1")]),
        ]),
        mail_hosts: BTreeMap::from([("good.example", vec!["mx.good.example"]), ("null.example", vec![""])]),
        names: BTreeMap::from([(ip("198.51.100.9"), "host.example"), (ip("198.51.100.10"), "host.example")]),
        broken: vec!["broken.example"],
    }
}

fn site() -> Site {
    let mut site = Site::new();
    site.backend.edge.dns = Some(Arc::new(zone()));
    site
}

impl Site {
    /// Forgets clients and settings, as another node would not know them.
    fn afresh(&mut self) {
        self.backend.edge.defence = Arc::new(Defence::default());
    }
}

fn mail(helo: &str, sender: &str) -> String {
    format!("EHLO {helo}\r\nMAIL FROM:<{sender}>\r\nRCPT TO:<{BOB}>\r\n")
}

async fn answer(site: &Site, peer: &str, helo: &str, sender: &str) -> String {
    site.codes_from(peer, Mx, mail(helo, sender)).await[2].clone()
}

#[tokio::test]
async fn restrictions() {
    let mut site = site();
    for (restriction, peer, helo, sender, code) in [
        ("", STRANGER, "a.example", "a@b.example", "250 2.1.5"),
        ("reject_invalid_helo_hostname", STRANGER, "-bad-.example", "", "501 5.5.2"),
        ("reject_invalid_helo_hostname", STRANGER, "192.0.2.1", "", "501 5.5.2"),
        ("reject_invalid_helo_hostname", STRANGER, "[192.0.2.1]", "", "250 2.1.5"),
        ("reject_non_fqdn_helo_hostname", STRANGER, "localhost", "", "504 5.5.2"),
        ("reject_unknown_helo_hostname", STRANGER, "none.example", "", "450 4.7.1"),
        ("reject_unknown_helo_hostname", STRANGER, "a-only.example", "", "250 2.1.5"),
        ("reject_non_fqdn_sender", STRANGER, "a.example", "a@localhost", "504 5.5.2"),
        ("reject_non_fqdn_sender", STRANGER, "a.example", "", "250 2.1.5"),
        ("reject_unknown_sender_domain", STRANGER, "a.example", "a@none.example", "450 4.1.8"),
        ("reject_unknown_sender_domain", STRANGER, "a.example", "a@null.example", "550 5.7.27"),
        ("reject_unknown_sender_domain", STRANGER, "a.example", "a@broken.example", "450 4.4.3"),
        ("reject_unknown_sender_domain", STRANGER, "a.example", "a@good.example", "250 2.1.5"),
        ("reject_unknown_sender_domain", STRANGER, "a.example", "a@a-only.example", "250 2.1.5"),
        ("reject_unknown_sender_domain", STRANGER, "a.example", "", "250 2.1.5"),
        ("reject_unlisted_sender", STRANGER, "a.example", "no@example.com", "550 5.1.0"),
        ("reject_unlisted_sender", STRANGER, "a.example", BOB, "250 2.1.5"),
        ("reject_unknown_client_hostname", STRANGER, "a.example", "", "450 4.7.25"),
        ("reject_unknown_client_hostname", "198.51.100.9", "a.example", "", "250 2.1.5"),
        ("reject_unknown_client_hostname", "198.51.100.10", "a.example", "", "450 4.7.25"),
        ("reject_unknown_reverse_client_hostname", "198.51.100.10", "a.example", "", "250 2.1.5"),
        ("reject_unknown_reverse_client_hostname", STRANGER, "a.example", "", "450 4.7.25"),
        ("reject_rbl_client bl.example", STRANGER, "a.example", "", "554 5.7.1"),
        ("reject_rbl_client bl.example=127.0.0.[3..9]", STRANGER, "a.example", "", "250 2.1.5"),
        ("reject_rbl_client odd.example", STRANGER, "a.example", "", "250 2.1.5"),
        ("reject_rbl_client bl.example", "198.51.100.6", "a.example", "", "250 2.1.5"),
        ("permit_dnswl_client wl.example, reject_rbl_client bl.example", "198.51.100.8", "a.example", "", "250 2.1.5"),
        ("reject_rhsbl_sender dbl.example", STRANGER, "a.example", "x@spam.example", "554 5.7.1"),
        ("reject_rhsbl_helo dbl.example", STRANGER, "spam.example", "", "554 5.7.1"),
        ("reject_rbl_client bl.example", "127.0.0.1", "a.example", "", "250 2.1.5"),
    ] {
        site.afresh();
        site.configure("zimbraMtaRestriction", &[restriction]);
        assert_eq!(answer(&site, peer, helo, sender).await, code, "{restriction} {peer} {helo} {sender}");
    }
    // Hosts of ours are asked nothing.
    site.configure("zimbraMtaRestriction", &["reject_rbl_client bl.example"]);
    site.configure("zimbraMtaMyNetworks", &[STRANGER]);
    site.afresh();
    assert_eq!(answer(&site, STRANGER, "a.example", "").await, "250 2.1.5");
}

#[tokio::test]
async fn block_lists_by_weight() {
    let mut site = site();
    site.configure("zimbraMtaPostscreenDnsblSites", &["bl.example*2 wl.example*-3 broken.example*9"]);
    site.configure("zimbraMtaPostscreenDnsblThreshold", &["2"]);
    for (action, listed) in [("ignore", "250 2.1.5"), ("enforce", "550 5.7.1")] {
        site.configure("zimbraMtaPostscreenDnsblAction", &[action]);
        site.afresh();
        assert_eq!(answer(&site, STRANGER, "a.example", "").await, listed, "{action}");
        assert_eq!(answer(&site, "198.51.100.8", "a.example", "").await, "250 2.1.5", "on both lists");
        assert_eq!(answer(&site, "198.51.100.6", "a.example", "").await, "250 2.1.5");
    }
    site.configure("zimbraMtaPostscreenDnsblAction", &["drop"]);
    site.afresh();
    for _ in 0..2 {
        let output = site.talk_from(STRANGER, Mx, mail("a.example", "")).await;
        assert_eq!(output, "521 5.7.1 service unavailable; client [198.51.100.7] blocked using bl.example\r\n");
    }
}

/// Waits for the greeting, or does not.
async fn greeted(site: &Site, speaks_first: bool) -> String {
    let (connection, mut client) = pair_from(STRANGER);
    spawn(site.smtp(Mx).serve(connection));
    let (mut got, mut buffer) = (String::new(), [0; 4096]);
    if !speaks_first {
        while !got.contains("220 ") {
            let n = client.read(&mut buffer).await.unwrap();
            assert!(n > 0, "{got}");
            got.push_str(std::str::from_utf8(&buffer[..n]).unwrap());
        }
    }
    client.write_all((mail("a.example", "") + "QUIT\r\n").as_bytes()).await.unwrap();
    let mut rest = String::new();
    client.read_to_string(&mut rest).await.unwrap();
    got + &rest
}

#[tokio::test]
async fn who_speaks_before_the_greeting() {
    let mut site = site();
    site.configure("zclusterMtaPostscreenGreetWait", &["200ms"]);
    site.configure("zimbraMtaPostscreenGreetAction", &["enforce"]);
    let rude = greeted(&site, true).await;
    assert!(rude.starts_with("220-mx.example.com ESMTP zcluster\r\n220 mx.example.com"), "{rude}");
    assert!(rude.contains("\r\n550 5.5.1 ") && rude.ends_with("221 2.0.0 goodbye\r\n"), "{rude}");
    let polite = greeted(&site, false).await;
    assert!(polite.starts_with("220-") && polite.contains("\r\n250 2.1.5 Ok"), "{polite}");
    // From now on it is believed.
    let known = greeted(&site, true).await;
    assert!(known.starts_with("220 mx.example.com") && known.contains("\r\n250 2.1.5 Ok"), "{known}");
    site.configure("zimbraMtaPostscreenGreetAction", &["drop"]);
    site.afresh();
    let dropped = greeted(&site, true).await;
    assert!(dropped.ends_with("521 5.5.1 protocol error: you spoke before the greeting\r\n"), "{dropped}");
}

#[tokio::test]
async fn greylisting() {
    let mut site = site();
    site.configure("zclusterMtaGreylistEnabled", &["TRUE"]);
    assert_eq!(answer(&site, STRANGER, "a.example", "a@b.example").await, "451 4.7.1");
    assert_eq!(answer(&site, STRANGER, "a.example", "a@b.example").await, "451 4.7.1", "not yet");
    let nobody = "EHLO a.example\r\nMAIL FROM:<>\r\nRCPT TO:<nobody@example.com>\r\n";
    assert_eq!(site.codes_from(STRANGER, Mx, nobody).await[2], "550 5.1.1", "who is not there is told at once");
    assert_eq!(answer(&site, "127.0.0.1", "a.example", "a@b.example").await, "250 2.1.5");
    site.configure("zclusterMtaGreylistDelay", &["0s"]);
    site.afresh();
    assert_eq!(answer(&site, STRANGER, "a.example", "a@b.example").await, "250 2.1.5");
}

#[tokio::test]
async fn rates_and_numbers() {
    let site = site();
    for (name, value) in [
        ("zclusterMtaClientConnectionRateLimit", "4"),
        ("zclusterMtaClientMessageRateLimit", "2"),
        ("zclusterMtaSubnetRecipientRateLimit", "3"),
    ] {
        site.configure(name, &[value]);
    }
    let message = mail("a.example", "") + "DATA\r\nx\r\n.\r\n";
    let twice = site.codes_from(STRANGER, Mx, format!("{message}{}", message.replace("EHLO a.example\r\n", ""))).await;
    assert_eq!(twice.iter().filter(|c| *c == "250 2.0.0").count(), 2);
    let third = site.codes_from(STRANGER, Mx, &message).await;
    assert_eq!(third[2..4], ["250 2.1.5", "450 4.7.1"], "messages");
    let neighbour = site.codes_from("198.51.100.99", Mx, mail("a.example", "")).await;
    assert_eq!(neighbour[2], "450 4.7.1", "recipients of the network");
    for _ in 0..2 {
        site.codes_from(STRANGER, Mx, "QUIT\r\n").await;
    }
    let output = site.talk_from(STRANGER, Mx, "QUIT\r\n").await;
    assert_eq!(output, "421 4.7.0 too many connections, try again later\r\n");
    assert!(site.talk_from("203.0.113.1", Mx, "QUIT\r\n").await.starts_with("220 "));
}

#[tokio::test]
async fn connections_at_once() {
    let site = site();
    site.configure("zclusterMtaClientConnectionCountLimit", &["2"]);
    let smtp = site.smtp(Mx);
    let mut clients = Vec::new();
    for _ in 0..2 {
        let (connection, mut client) = pair_from(STRANGER);
        spawn(smtp.clone().serve(connection));
        let mut greeting = [0; 4];
        client.read_exact(&mut greeting).await.unwrap();
        assert_eq!(&greeting, b"220 ");
        clients.push(client);
    }
    assert!(site.talk_from(STRANGER, Mx, "QUIT\r\n").await.starts_with("421 4.7.0 "));
    assert!(site.talk_from(STRANGER, Submission, "QUIT\r\n").await.starts_with("421 4.7.0 "), "all services together");
    drop(clients.pop());
    // The session ends some time after its client.
    for _ in 0..1_000 {
        if site.talk_from(STRANGER, Mx, "QUIT\r\n").await.starts_with("220 ") {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("the place is not given back");
}

#[tokio::test]
async fn address_harvesting() {
    let mut site = site();
    site.configure("zclusterMtaClientUnknownRecipientLimit", &["5"]);
    let guesses: String = (0..5).map(|i| format!("RCPT TO:<user{i}@example.com>\r\n")).collect();
    let all =
        site.codes_from(STRANGER, Mx, format!("EHLO a.example\r\nMAIL FROM:<>\r\n{guesses}RCPT TO:<{BOB}>\r\n")).await;
    assert_eq!(all[2..7], ["550 5.1.1"; 5]);
    assert_eq!(all[7], "450 4.7.1", "existing ones are told no more");
    assert_eq!(answer(&site, STRANGER, "a.example", "").await, "450 4.7.1", "nor in another session");
    assert_eq!(answer(&site, "203.0.113.1", "a.example", "").await, "250 2.1.5");
    site.afresh();
    assert_eq!(answer(&site, STRANGER, "a.example", "").await, "250 2.1.5");
}

#[tokio::test]
async fn errors_end_the_session() {
    let site = site();
    site.configure("zimbraMtaSmtpdErrorSleepTime", &["1ms"]);
    site.configure("zimbraMtaSmtpdHardErrorLimit", &["4"]);
    let codes = site.codes_from(STRANGER, Mx, "WIZ\r\n".repeat(100)).await;
    assert_eq!((codes.len(), codes.last().unwrap().as_str()), (6, "421 4.7.0"));
}

#[tokio::test]
async fn sign_ins_have_a_rate() {
    let site = site();
    site.configure("zimbraMtaSmtpdClientAuthRateLimit", &["2"]);
    let wrong = "AUTH PLAIN AGFsaWNlQGV4YW1wbGUuY29tAHdyb25n\r\n";
    let output = site.talk_from(STRANGER, Submission, format!("EHLO x\r\n{wrong}{wrong}{wrong}")).await;
    assert_eq!(codes(&output)[1..4], ["535 5.7.8", "535 5.7.8", "454 4.7.0"]);
}

#[tokio::test]
async fn hello_may_be_optional() {
    let mut site = site();
    let input = format!("MAIL FROM:<>\r\nRCPT TO:<{BOB}>\r\n");
    assert_eq!(site.codes_from(STRANGER, Mx, &input).await[0], "503 5.5.1");
    site.configure("zimbraMtaSmtpdHeloRequired", &["no"]);
    site.configure("zimbraMtaRestriction", &["permit"]);
    site.afresh();
    assert_eq!(site.codes_from(STRANGER, Mx, &input).await, ["250 2.1.0", "250 2.1.5"]);
}

/// Postfix's access tables, line by line, before everything else that strangers are asked; hosts of ours are not asked.
#[tokio::test]
async fn access_tables() {
    let site = Site::new();
    site.configure("zclusterMtaClientAccess", &["203.0.113.0/24 REJECT go away", "203.0.112.1 OK"]);
    site.configure("zclusterMtaHeloAccess", &["forged.example 550 5.7.27 you are not"]);
    site.configure("zclusterMtaSenderAccess", &["spam.example DEFER\nad@list.example DISCARD", "slow.example HOLD"]);
    site.configure("zclusterMtaRecipientAccess", &["alice@example.com OK", "bob@example.com PREPEND X-Stranger: yes"]);
    site.configure("zimbraMtaRestriction", &["reject_non_fqdn_helo_hostname"]);
    site.configure("zimbraMtaMyNetworks", &["198.51.100.99"]);
    let good = "mx.other.example";
    for (client, helo, sender, recipient, want) in [
        (STRANGER, good, "x@other.example", BOB, "250 2.1.5"),
        ("203.0.113.5", good, "x@other.example", BOB, "554 5.7.1"),
        (STRANGER, "host.forged.example", "x@other.example", BOB, "550 5.7.27"),
        (STRANGER, good, "x@sub.spam.example", BOB, "450 4.7.1"),
        (STRANGER, "bare", "x@other.example", BOB, "504 5.5.2"),
        (STRANGER, "bare", "x@other.example", ALICE, "250 2.1.5"),
        ("203.0.112.1", "bare", "x@other.example", BOB, "250 2.1.5"),
        ("203.0.112.1", good, "x@other.example", "nobody@example.com", "550 5.1.1"),
        ("203.0.112.1", good, "x@other.example", "victim@elsewhere.org", "550 5.7.1"),
        ("198.51.100.99", "bare", "x@spam.example", BOB, "250 2.1.5"),
    ] {
        let input = format!("EHLO {helo}\r\nMAIL FROM:<{sender}>\r\nRCPT TO:<{recipient}>\r\n");
        assert_eq!(site.codes_from(client, Mx, input).await[2], want, "{client} {helo} {sender} {recipient}");
    }
    for sender in ["ad@list.example", "x@slow.example", "x@other.example"] {
        let input = format!(
            "EHLO {good}\r\nMAIL FROM:<{sender}>\r\nRCPT TO:<{BOB}>\r\nDATA\r\nSubject: {sender}\r\n\r\nhi\r\n.\r\n"
        );
        assert_eq!(site.codes_from(STRANGER, Mx, input).await.last().unwrap(), "250 2.0.0", "{sender}");
    }
    let inbox = site.inbox(site.bob).await;
    assert_eq!(inbox.len(), 1, "one is thrown away, one is held");
    let queued = site.outbox(None).await;
    assert_eq!(queued.len(), 1);
    assert!(queued[0].0.held && queued[0].0.sender == "x@slow.example");
    assert!(inbox[0].contains("\r\nX-Stranger: yes\r\nSubject: x@other.example\r\n"), "{inbox:?}");
}
