//! What the edge asks of the DNS, with a real one (dnsmasq): block and allow lists, senders' domains, clients' names. And the
//! tarpit for clients that keep making errors.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::cluster::{Cluster, Port, free_dns_port, free_ports, path};
use crate::support::daemon::Daemon;
use crate::support::eventually;
use crate::support::smtp::Smtp;
use crate::support::wire::Wire;

const ALICE: &str = "alice@example.com";
const LONG: Duration = Duration::from_secs(30);

fn dnsmasq(folder: &Path, port: u16, lines: &str) -> Daemon {
    let text = format!(
        "port={port}\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\nno-daemon\nlocal=/test/\n\
         local=/arpa/\n{lines}"
    );
    std::fs::write(folder.join("dnsmasq.conf"), text).unwrap();
    let mut command = Command::new("/usr/sbin/dnsmasq");
    command.arg("--user=root").arg(format!("--conf-file={}", path(&folder.join("dnsmasq.conf"))));
    Daemon::start("dnsmasq", &mut command, folder, port)
}

/// A site that believes this machine who its clients are.
fn site(dns: u16) -> Cluster {
    Cluster::start_configured(|_| {
        format!(
            "[dns]\nservers = [\"127.0.0.1:{dns}\"]\n[proxy_protocol]\nservices = [\"smtp\"]\ntrusted = [\"127.0.0.1\"]\n"
        )
    })
}

/// A client from somewhere: its session, and what it was greeted with.
fn greeted(cluster: &Cluster, client: &str) -> (Smtp, u16, String) {
    let mut wire = Wire::open(cluster.port(1, Port::Smtp)).unwrap();
    let (family, here) = if client.contains(':') { ("TCP6", "2001:db8::25") } else { ("TCP4", "192.0.2.25") };
    wire.send(format!("PROXY {family} {client} {here} 4000 25\r\n").as_bytes()).unwrap();
    let mut smtp = Smtp { wire };
    let (code, text) = smtp.reply().unwrap();
    (smtp, code, text)
}

/// The reply to its first recipient.
fn recipient(cluster: &Cluster, client: &str, sender: &str) -> (u16, String) {
    let (mut smtp, code, text) = greeted(cluster, client);
    if code != 220 {
        return (code, text);
    }
    smtp.command("EHLO mail.stranger.test", 250).unwrap();
    smtp.command(&format!("MAIL FROM:<{sender}>"), 250).unwrap();
    smtp.ask(&format!("RCPT TO:<{ALICE}>")).unwrap()
}

#[test]
fn lists_and_names_in_a_real_dns_decide() {
    let folder = tempfile::tempdir().unwrap();
    let dns = free_dns_port();
    let _dns = dnsmasq(
        folder.path(),
        dns,
        // 192.0.2.66 and an address of IPv6 are on the block list; 192.0.2.77 with an answer that is not asked for, and on
        // the allow list; 192.0.2.88 on the second block list, which counts one point.
        "host-record=66.2.0.192.block.test,127.0.0.4\n\
         host-record=6.6.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.block.test,127.0.0.2\n\
         host-record=77.2.0.192.block.test,127.0.0.99\nhost-record=77.2.0.192.allow.test,127.0.0.1\n\
         host-record=88.2.0.192.weak.test,127.0.0.2\nhost-record=99.2.0.192.weak.test,127.0.0.2\n\
         host-record=99.2.0.192.allow.test,127.0.0.1\n\
         mx-host=sender.test,mx.sender.test,10\nhost-record=mx.sender.test,192.0.2.1\n\
         ptr-record=5.2.0.192.in-addr.arpa,named.test\nhost-record=named.test,192.0.2.5\n\
         ptr-record=6.2.0.192.in-addr.arpa,liar.test\nhost-record=liar.test,192.0.2.200\n",
    );
    let cluster = site(dns);
    let well = "a@sender.test";
    cluster.prov(&[
        "mcf",
        "zimbraMtaPostscreenDnsblSites",
        "block.test=127.0.0.[2..11]*3",
        "+zimbraMtaPostscreenDnsblSites",
        "weak.test*2",
        "+zimbraMtaPostscreenDnsblSites",
        "allow.test*-2",
    ]);
    cluster.prov(&["mcf", "zimbraMtaPostscreenDnsblThreshold", "2", "zimbraMtaPostscreenDnsblAction", "enforce"]);
    eventually("the lists are asked", LONG, || recipient(&cluster, "192.0.2.66", well).0 == 550);
    for (client, code) in [
        ("192.0.2.66", 550),
        ("2001:db8::66", 550),
        ("192.0.2.77", 250),
        ("192.0.2.88", 550),
        ("192.0.2.99", 250),
        ("192.0.2.1", 250),
        ("2001:db8::1", 250),
    ] {
        let (got, text) = recipient(&cluster, client, well);
        assert_eq!(got, code, "{client}: {text}");
    }
    let (_, text) = recipient(&cluster, "192.0.2.66", well);
    assert!(text.contains("block.test"), "{text}");

    cluster.prov(&["mcf", "zimbraMtaPostscreenDnsblAction", "drop"]);
    eventually("they are sent away", LONG, || greeted(&cluster, "192.0.2.66").1 == 521);

    // Restrictions: the sender's domain, the client's name and the address behind it, a list.
    cluster.prov(&["mcf", "zimbraMtaPostscreenDnsblAction", "ignore"]);
    let becomes = |what: &str, client: &str, sender: &str, refused: bool| {
        // Settings are known within ten seconds.
        eventually(&format!("{what}: {client}, {sender}"), LONG, || {
            let (code, _) = recipient(&cluster, client, sender);
            if refused { code >= 400 } else { code == 250 }
        });
    };
    let restrict = |restriction: &str, cases: &[(&str, &str, bool)]| {
        cluster.prov(&["mcf", "zimbraMtaRestriction", restriction]);
        cases.iter().for_each(|(client, sender, refused)| becomes(restriction, client, sender, *refused));
        for (client, sender, refused) in cases {
            let (code, text) = recipient(&cluster, client, sender);
            assert_eq!(code >= 400, *refused, "{restriction}: {client}, {sender}: {text}");
        }
    };
    restrict("reject_unknown_sender_domain", &[("192.0.2.5", "a@nowhere.test", true), ("192.0.2.5", well, false)]);
    // A name that leads back, one that leads elsewhere, none.
    let names = [("192.0.2.5", well, false), ("192.0.2.6", well, true), ("192.0.2.7", well, true)];
    restrict("reject_unknown_client_hostname", &names);
    let names = [("192.0.2.5", well, false), ("192.0.2.6", well, false), ("192.0.2.7", well, true)];
    restrict("reject_unknown_reverse_client_hostname", &names);
    // The other one is on the list with another answer than the one that is asked for.
    let listed = [("192.0.2.66", well, true), ("2001:db8::66", well, false), ("192.0.2.7", well, false)];
    restrict("reject_rbl_client block.test=127.0.0.4", &listed);
}

#[test]
fn a_dns_that_does_not_answer_lists_nobody() {
    let cluster = site(free_ports());
    cluster.prov(&["mcf", "zimbraMtaPostscreenDnsblSites", "block.test"]);
    cluster.prov(&["mcf", "zimbraMtaPostscreenDnsblAction", "enforce", "zimbraMtaPostscreenDnsblTimeout", "1s"]);
    cluster.prov(&["mcf", "zimbraMtaRestriction", "reject_unknown_sender_domain"]);
    // What cannot be known defers, and refuses nobody.
    eventually("the sender's domain is asked for", LONG, || {
        recipient(&cluster, "192.0.2.66", "a@sender.test").0 == 450
    });
}

#[test]
fn who_keeps_making_errors_waits() {
    let wait = Duration::from_secs(2);
    let cluster = site(free_ports());
    cluster.prov(&["mcf", "zimbraMtaSmtpdSoftErrorLimit", "3", "zimbraMtaSmtpdHardErrorLimit", "6"]);
    cluster.prov(&["mcf", "zimbraMtaSmtpdErrorSleepTime", "2s"]);
    let open = || {
        let (mut smtp, code, text) = greeted(&cluster, "192.0.2.66");
        assert_eq!(code, 220, "{text}");
        smtp.command("EHLO mail.stranger.test", 250).unwrap();
        smtp
    };
    // The longer of several: only that a wait is not shorter than it should be can be said for sure.
    let errors = || {
        let mut smtp = open();
        let mut waits = Vec::new();
        loop {
            let since = Instant::now();
            match smtp.ask("NONSENSE") {
                Ok((500, _)) => waits.push(since.elapsed()),
                Ok((421, text)) => return (waits, text),
                other => panic!("{other:?}"),
            }
        }
    };
    eventually("the limits are known", LONG, || errors().0.len() < 8);
    let (waits, goodbye) = errors();
    assert!(waits.len() >= 5 && goodbye.starts_with("421 4.7.0"), "{waits:?}, {goodbye}");
    assert!(waits[3..].iter().all(|w| *w >= wait), "behind the soft limit each answer comes late: {waits:?}");
}
