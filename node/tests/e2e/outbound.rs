//! Mail that leaves: found by MX, taken by another site's Postfix, reported on when it is refused, held and let go by the
//! operator, and sent once however hosts and nodes die.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::cluster::{Cluster, PASSWORD, Port, path, run, run_refused};
use crate::support::mail::{message, unique};
use crate::support::remote::{Dns, Mood, Mortal, Remote, Sink, postfix_is_there};
use crate::support::smtp::{Delivery, Smtp, stuffed};
use crate::support::tools::succeed;
use crate::support::{eventually, full};

const ALICE: &str = "alice@example.com";
const BOB: &str = "bob@example.com";
const LONG: Duration = Duration::from_secs(60);

/// A cluster that finds other hosts through `dns` and on this port, and tries again soon.
fn cluster(nodes: usize, dns: &Dns, smtp: u16) -> (Cluster, tempfile::NamedTempFile) {
    let config = dns.node_config(smtp);
    let cluster = Cluster::start_with(nodes, &["--config", path(config.path())]);
    cluster.prov(&["modifyConfig", "zimbraMtaMinimalBackoffTime", "1s", "zimbraMtaMaximalBackoffTime", "2s"]);
    (cluster, config)
}

/// Everything for this account goes on to `to` and nowhere else.
fn forward(cluster: &Cluster, account: &str, to: &str) {
    cluster.prov(&[
        "modifyAccount",
        account,
        "zimbraPrefMailForwardingAddress",
        to,
        "zimbraPrefMailLocalDeliveryDisabled",
        "TRUE",
    ]);
}

fn deliver(cluster: &Cluster, node: usize, to: &str, id: &str) {
    let mut lmtp = Smtp::lmtp(cluster.port(node, Port::Lmtp)).unwrap();
    assert_eq!(lmtp.deliver(to, &message(id, 3_000)), Delivery::Acknowledged);
}

/// `zcluster queue ...` with JSON.
fn queue(cluster: &Cluster, node: usize, arguments: &[&str]) -> Value {
    let data = path(&cluster.node(node).data).to_owned();
    let all = [&["queue"], arguments, &["--json", "--data", &data]].concat();
    serde_json::from_str(&run(&all)).expect("JSON")
}

fn waiting(cluster: &Cluster, node: usize) -> Vec<Value> {
    queue(cluster, node, &["list"]).as_array().unwrap().clone()
}

/// A user's program hands a message in.
fn submit(cluster: &Cluster, node: usize, to: &str, id: &str) {
    let port = cluster.port(node, Port::Submission).to_string();
    succeed(
        Command::new("swaks")
            .args(["--server", "127.0.0.1", "--port", &port, "--tls", "--from", ALICE, "--to", to])
            .args(["--auth", "PLAIN", "--auth-user", ALICE, "--auth-password", PASSWORD])
            .args(["--h-Subject", id, "--body", "signed\n\nas it stands, mit Grüßen"]),
    );
}

/// What dkimpy says of each signature, by selector, with the records that `zcluster dkim show` prints as the DNS.
fn verdicts(raw: &str, zone: &str) -> String {
    const PROGRAM: &str = r#"
import dkim, re, sys
raw, zone = sys.stdin.buffer.read(), sys.argv[1]
records = {n: "".join(re.findall(r'"([^"]*)"', t)) for n, t in re.findall(r'(\S+) IN TXT \(([^)]*)\)', zone)}
look = lambda name, timeout=5: records[name.decode()].encode()
signatures = [v for n, v in dkim.DKIM(raw).headers if n.lower() == b"dkim-signature"]
found = []
for at, signature in enumerate(signatures):
    selector = re.search(rb"\bs=(\w+)", signature).group(1).decode()
    found.append(f"{selector} {dkim.DKIM(raw).verify(idx=at, dnsfunc=look)}")
print("\n".join(sorted(found)))
"#;
    // Debian's own, which has dkim.
    let mut python = Command::new("/usr/bin/python3");
    python.args(["-c", PROGRAM, zone]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = python.spawn().unwrap();
    child.stdin.take().unwrap().write_all(raw.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn mail_reaches_another_site_by_mx_signed_and_what_it_refuses_comes_back() {
    if !postfix_is_there() {
        println!("skipped: only root can start Postfix, and deploy/prerequisites leaves another agent in its place");
        return;
    }
    let (dns, remote) = (Dns::start(), Remote::start());
    let (cluster, _config) = cluster(3, &dns, remote.port);
    let reach = ["--data", path(&cluster.node(2).data)];

    // The better of its two hosts does not answer; the other one takes it. A domain without MX is its own host.
    forward(&cluster, ALICE, "user@remote.test,second@bare.test");
    let id = unique("mx");
    deliver(&cluster, 1, ALICE, &id);
    for user in ["user", "second"] {
        eventually(&format!("{user} has it; {}", remote.log()), LONG, || {
            remote.messages(user).iter().any(|m| m.contains(&id))
        });
        assert_eq!(remote.messages(user).len(), 1);
    }
    assert!(remote.messages("user")[0].contains("Return-Path: <sender@example.org>"), "{:?}", remote.messages("user"));
    eventually("the queue is empty", LONG, || waiting(&cluster, 2).is_empty());

    // With the site's secret, what is sent on for others leaves under our name (SRS).
    cluster.prov(&["modifyConfig", "zclusterSrsSecret", "a site's secret"]);
    let id = unique("srs");
    deliver(&cluster, 1, ALICE, &id);
    eventually("it arrives", LONG, || remote.messages("user").iter().any(|m| m.contains(&id)));
    let all = remote.messages("user");
    let rewritten = all.iter().find(|m| m.contains(&id)).unwrap();
    assert!(rewritten.contains("Return-Path: <SRS0="), "{rewritten}");
    assert!(rewritten.contains("=example.org=sender@example.com>"), "{rewritten}");

    cluster.prov(&["modifyAccount", ALICE, "zimbraPrefMailForwardingAddress", ""]);
    cluster.prov(&["modifyAccount", ALICE, "zimbraPrefMailLocalDeliveryDisabled", "FALSE"]);

    // An unknown user, and a domain that takes no mail: both come back to the sender's Inbox.
    for (to, status) in [("unknown@remote.test", "5.1.1"), ("anybody@null.test", "5.1.10"), ("x@nowhere.test", "5.1.2")]
    {
        forward(&cluster, BOB, to);
        let id = unique("bounce");
        let mut lmtp = Smtp::lmtp(cluster.port(1, Port::Lmtp)).unwrap();
        lmtp.command(&format!("MAIL FROM:<{ALICE}>"), 250).unwrap();
        lmtp.command(&format!("RCPT TO:<{BOB}>"), 250).unwrap();
        lmtp.command("DATA", 354).unwrap();
        lmtp.wire.send(&stuffed(&message(&id, 500))).unwrap();
        assert_eq!(lmtp.reply().unwrap().0, 250);
        let mut report = String::new();
        eventually("the report comes back", LONG, || {
            let mut imap = cluster.imap(2, ALICE);
            imap.select("INBOX").unwrap();
            let found = imap.bodies().unwrap().into_values().map(|b| String::from_utf8_lossy(&b).into_owned());
            report = found.filter(|b| b.contains(&id)).collect();
            !report.is_empty()
        });
        assert!(report.contains("Content-Type: multipart/report; report-type=delivery-status;"), "{report}");
        assert!(
            report.contains(&format!("Final-Recipient: rfc822; {to}\r\nAction: failed\r\nStatus: {status}")),
            "{report}"
        );
    }

    // Two keys are made, shown, and put to use.
    for (kind, selector) in [("ed25519", "s1"), ("rsa", "s2")] {
        let made =
            run(&[&["dkim", "generate", "example.com", "--type", kind, "--selector", selector], &reach[..]].concat());
        let record = format!("{selector}._domainkey.example.com. IN TXT (\"v=DKIM1; k={kind}; p=");
        assert!(made.contains(&record), "{made}");
    }
    assert!(run(&[&["dkim", "show", "example.com"], &reach[..]].concat()).contains("waits"));
    let active = run(&[&["dkim", "activate", "example.com"], &reach[..]].concat());
    assert!(active.contains("s1 signs") && active.contains("s2 signs"), "{active}");
    let id = unique("signed");
    submit(&cluster, 3, "user@remote.test", &id);
    eventually("it arrives", LONG, || remote.messages("user").iter().any(|m| m.contains(&id)));
    let signed = remote.messages("user").into_iter().find(|m| m.contains(&id)).unwrap();
    let zone = run(&[&["dkim", "show", "example.com"], &reach[..]].concat());
    assert_eq!(verdicts(&signed, &zone), "s1 True\ns2 True\n", "{zone}\n{signed}");
    assert!(!cluster.prov(&["getDomain", "example.com"]).contains("PRIVATE KEY"));

    // A host that takes ASCII only gets ASCII, and signatures that are right for it.
    let narrow = Remote::start_with("smtpd_discard_ehlo_keywords = 8bitmime\n");
    let way = format!("user@remote.test smtp:[127.0.0.1]:{}", narrow.port);
    cluster.prov(&["modifyConfig", "zclusterTransportMap", &way]);
    let id = unique("narrow");
    submit(&cluster, 3, "user@remote.test", &id);
    eventually("it arrives", LONG, || narrow.messages("user").iter().any(|m| m.contains(&id)));
    let converted = narrow.messages("user").remove(0);
    assert!(converted.is_ascii() && converted.contains("\nas it stands, mit Gr=C3=BC=C3=9Fen"), "{converted}");
    assert_eq!(verdicts(&converted, &zone), "s1 True\ns2 True\n", "{zone}\n{converted}");
    assert!(run_refused(&[&["dkim", "activate", "example.com"], &reach[..]].concat()).contains("no key is waiting"));
}

#[test]
fn the_operator_sees_holds_releases_and_deletes_what_waits() {
    if !postfix_is_there() {
        println!("skipped: smtp-sink needs root, and deploy/prerequisites leaves another agent in its place");
        return;
    }
    let dns = Dns::start();
    let port = dns.port + 1;
    let sink = Sink::start(port, true);
    let (cluster, _config) = cluster(3, &dns, port);
    forward(&cluster, ALICE, "one@bare.test");
    forward(&cluster, BOB, "two@remote.test");
    deliver(&cluster, 1, ALICE, &unique("wait"));
    deliver(&cluster, 1, BOB, &unique("wait"));
    let refused = |w: &Value| w["note"].as_str().is_some_and(|n| n.starts_with("4."));
    eventually("both were refused for now", LONG, || {
        let all = waiting(&cluster, 2);
        all.len() == 2 && all.iter().all(refused)
    });
    let summary = queue(&cluster, 3, &["summary"]);
    assert_eq!(summary["total"]["messages"].as_u64(), Some(2), "{summary}");
    assert_eq!(summary["destinations"].as_array().unwrap().len(), 2, "{summary}");

    // Any node answers for all shards, by whatever the operator knows.
    let by = |arguments: &[&str]| queue(&cluster, 2, &[&["list"], arguments].concat()).as_array().unwrap().len();
    assert_eq!(by(&["--domain", "BARE.test"]), 1);
    assert_eq!(by(&["--recipient", "two@remote.test"]), 1);
    assert_eq!((by(&["--sender", "sender@example.org"]), by(&["--sender", "<>"])), (2, 0));
    let first = queue(&cluster, 2, &["list", "--domain", "bare.test"])[0]["id"].as_str().unwrap().to_owned();
    let shown = queue(&cluster, 1, &["show", &first]);
    assert!(shown["header"].as_str().unwrap().contains("Subject: wait"), "{shown}");

    // Held, it is not tried; released, it goes.
    assert_eq!(queue(&cluster, 3, &["hold", &first]).as_array().unwrap().len(), 1);
    assert_eq!(by(&["--held"]), 1);
    drop(sink);
    let _sink = Sink::start(port, false);
    eventually("the other one goes", LONG, || waiting(&cluster, 1).len() == 1);
    assert_eq!(waiting(&cluster, 1)[0]["id"].as_str(), Some(first.as_str()));
    assert_eq!(queue(&cluster, 1, &["release", "--held"]).as_array().unwrap().len(), 1);
    eventually("the released one goes", LONG, || waiting(&cluster, 1).is_empty());

    // Deleted, it is gone.
    cluster.prov(&["modifyConfig", "zclusterTransportMap", "bare.test retry:not today"]);
    let ids: Vec<String> = (0..3).map(|_| unique("gone")).collect();
    ids.iter().for_each(|id| deliver(&cluster, 1, ALICE, id));
    eventually("three wait", LONG, || waiting(&cluster, 1).iter().filter(|w| refused(w)).count() == 3);
    assert_eq!(queue(&cluster, 2, &["delete", "--domain", "bare.test"]).as_array().unwrap().len(), 3);
    assert!(waiting(&cluster, 3).is_empty());
    let data = path(&cluster.node(1).data).to_owned();
    // What would wait for an hour is tried when the operator says so.
    cluster.prov(&["modifyConfig", "zimbraMtaMinimalBackoffTime", "1h", "zimbraMtaMaximalBackoffTime", "1h"]);
    deliver(&cluster, 1, ALICE, &unique("hour"));
    eventually("it waits", LONG, || waiting(&cluster, 1).iter().filter(|w| refused(w)).count() == 1);
    cluster.prov(&["modifyConfig", "zclusterTransportMap", ""]);
    let last = waiting(&cluster, 2)[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(queue(&cluster, 3, &["retry", &last]).as_array().unwrap().len(), 1);
    eventually("it goes", LONG, || waiting(&cluster, 3).is_empty());
    assert!(run_refused(&["queue", "delete", "--data", &data]).contains("say which"));
    assert!(run_refused(&["queue", "retry", "1.999999", "--data", &data]).contains("no message"));
}

/// `zimbraMailTransport`: whoever takes recipients and whoever carries mail mean the same by it.
#[test]
fn mailboxes_on_the_old_system_get_their_mail_by_lmtp_and_by_smtp() {
    const CAROL: &str = "carol@example.com";
    let dns = Dns::start();
    let (cluster, _config) = cluster(1, &dns, 25);
    let old = cluster.beside();
    old.prov(&["createAccount", CAROL, PASSWORD]);
    let to = |scheme: &str, port: Port| format!("{scheme}:old.test:{}", old.port(1, port));
    // One account has not been moved yet; of the others the domain knows where they are.
    cluster.prov(&["modifyAccount", BOB, "zimbraMailTransport", &to("lmtp", Port::Lmtp)]);
    cluster.prov(&[
        "modifyDomain",
        "example.com",
        "zimbraMailTransport",
        &to("smtp", Port::Smtp).replace("old.test", "[old.test]"),
    ]);
    for account in [BOB, CAROL] {
        let id = unique("split");
        deliver(&cluster, 1, account, &id);
        eventually(&format!("{account} has it there"), LONG, || {
            let mut imap = old.imap(1, account);
            imap.select("INBOX").unwrap();
            imap.bodies().unwrap().into_values().any(|b| String::from_utf8_lossy(&b).contains(&id))
        });
    }
    // What names this node, however, is here.
    cluster.prov(&["modifyAccount", ALICE, "zimbraMailTransport", "smtp:[localhost]:25"]);
    let id = unique("here");
    deliver(&cluster, 1, ALICE, &id);
    let mut imap = cluster.imap(1, ALICE);
    imap.select("INBOX").unwrap();
    assert!(imap.bodies().unwrap().into_values().any(|b| String::from_utf8_lossy(&b).contains(&id)));
    assert!(waiting(&cluster, 1).is_empty());
    // Refused before it is taken.
    cluster.prov(&["modifyAccount", ALICE, "zimbraMailTransport", "error:moved away"]);
    let mut lmtp = Smtp::lmtp(cluster.port(1, Port::Lmtp)).unwrap();
    match lmtp.deliver(ALICE, &message(&unique("error"), 500)) {
        Delivery::Refused(550, text) => assert!(text.contains("moved away"), "{text}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_host_that_dies_in_the_data_gets_it_again_and_has_it_once() {
    let (dns, host) = (Dns::start(), Mortal::start(Mood::DieInData));
    let (cluster, _config) = cluster(1, &dns, host.port);
    forward(&cluster, ALICE, "one@bare.test");
    let id = unique("dies");
    deliver(&cluster, 1, ALICE, &id);
    eventually("it arrives", LONG, || host.taken().iter().any(|m| m.contains(&id)));
    eventually("the queue is empty", LONG, || waiting(&cluster, 1).is_empty());
    assert_eq!(host.taken().len(), 1);
    assert_eq!(host.reached_data(), 2, "once in vain");
}

#[test]
fn the_queues_primary_is_killed_while_it_sends() {
    let rounds = if full() { 3 } else { 1 };
    for round in 0..rounds {
        // Before the other host can have it: exactly once. After it has it, before it says so: it may come again.
        for (mood, most) in
            [(Mood::WaitBeforeData(Duration::from_secs(4)), 1), (Mood::WaitBeforeTaking(Duration::from_secs(4)), 2)]
        {
            let (dns, host) = (Dns::start(), Mortal::start(mood));
            let (mut cluster, _config) = cluster(3, &dns, host.port);
            forward(&cluster, ALICE, "one@bare.test");
            let primary = cluster.primary_of(ALICE);
            let other = cluster.another(primary);
            let id = unique("killed");
            deliver(&cluster, other, ALICE, &id);
            eventually("it is being sent", LONG, || host.reached_data() == 1);
            cluster.kill9(primary);
            host.set(Mood::Take);
            eventually("it arrives", LONG, || host.taken().iter().any(|m| m.contains(&id)));
            eventually("the queue is empty", LONG, || waiting(&cluster, other).is_empty());
            let count = host.taken().iter().filter(|m| m.contains(&id)).count();
            assert!((1..=most).contains(&count), "round {round}, {mood:?}: {count} times");
            println!("round {round}, killed at {mood:?}: arrived {count} times");
        }
    }
}
