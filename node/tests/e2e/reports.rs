//! What domains are told about mail in their name (DMARC aggregate reports), and what is sent on under a seal (ARC), read
//! by Python's own modules and by dkimpy.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::support::cluster::{Cluster, Port, free_dns_port, free_ports, path, run};
use crate::support::daemon::Daemon;
use crate::support::eventually;
use crate::support::mail::unique;
use crate::support::remote::{Mood, Mortal};
use crate::support::smtp::{Smtp, stuffed};
use crate::support::tools::succeed;

const ALICE: &str = "alice@example.com";
const BOB: &str = "bob@example.com";
const LONG: Duration = Duration::from_secs(60);

/// A DNS server with these TXT records, where this machine is the mail host of every domain in `test`.
fn dnsmasq(folder: &Path, port: u16, texts: &[(&str, &str)]) -> Daemon {
    let mut text = format!("port={port}\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\nno-daemon\n");
    ["test", "com", "arpa"].iter().for_each(|zone| text.push_str(&format!("local=/{zone}/\n")));
    text.push_str("host-record=mx.test,127.0.0.1\n");
    for domain in ["author.test", "elsewhere.test", "willing.test", "fwd.test"] {
        text.push_str(&format!("mx-host={domain},mx.test,10\n"));
    }
    for (name, value) in texts {
        let pieces: Vec<String> =
            value.as_bytes().chunks(200).map(|p| format!("\"{}\"", String::from_utf8_lossy(p))).collect();
        text.push_str(&format!("txt-record={name},{}\n", pieces.join(",")));
    }
    fs::write(folder.join("dnsmasq.conf"), text).unwrap();
    let mut command = Command::new("/usr/sbin/dnsmasq");
    command.arg("--user=root").arg(format!("--conf-file={}", path(&folder.join("dnsmasq.conf"))));
    Daemon::start("dnsmasq", &mut command, folder, port)
}

/// A site of one node that looks at senders, and finds its DNS at a port where there is none yet.
fn site(folder: &Path, dns: u16, host: &Mortal) -> Cluster {
    let config = folder.join("zcluster.toml");
    let text = format!(
        "[mail]\nhostname = \"mx.example.com\"\n[dns]\nservers = [\"127.0.0.1:{dns}\"]\n[relay]\nport = {}\nipv6 = false\n\
         dnssec = false\n[screen]\nsender = \"enforce\"\n[reports]\ncontact = \"dmarc@example.com\"\ndmarc = true\n",
        host.port
    );
    fs::write(&config, text).unwrap();
    let cluster = Cluster::start_with(1, &["--config", path(&config)]);
    cluster.prov(&["modifyConfig", "zimbraMtaMinimalBackoffTime", "1s", "zimbraMtaMaximalBackoffTime", "2s"]);
    cluster
}

/// A stranger sends a message; the reply to its end.
fn send(cluster: &Cluster, sender: &str, to: &str, message: &str) -> u16 {
    let mut smtp = Smtp::esmtp(cluster.port(1, Port::Smtp)).unwrap();
    smtp.command(&format!("MAIL FROM:<{sender}>"), 250).unwrap();
    smtp.command(&format!("RCPT TO:<{to}>"), 250).unwrap();
    smtp.command("DATA", 354).unwrap();
    smtp.wire.send(&stuffed(message.as_bytes())).unwrap();
    smtp.reply().unwrap().0
}

fn message(id: &str, from: &str) -> String {
    format!(
        "From: {from}\r\nTo: {ALICE}\r\nSubject: {id}\r\nMessage-ID: <{id}@sender.test>\r\n\
         Date: Fri, 27 Nov 2026 10:00:00 +0000\r\n\r\nHello.\r\n"
    )
}

/// Debian's Python, which has Debian's modules, over a message.
fn python(folder: &Path, program: &str, raw: &str, argument: &str) -> String {
    let file = folder.join("message.eml");
    fs::write(&file, raw).unwrap();
    let out = succeed(Command::new("/usr/bin/python3").args(["-c", program, path(&file), argument]));
    String::from_utf8(out).unwrap()
}

/// Takes a report apart: its fields, and rows of address, count, disposition, DKIM and SPF.
const READ: &str = r#"
import email, email.policy, gzip, json, sys
import xml.etree.ElementTree as xml
raw = open(sys.argv[1], "rb").read()
message = email.message_from_bytes(raw, policy=email.policy.default)
text, report = message.iter_parts()
assert report.get_content_type() == "application/gzip", report.get_content_type()
root = xml.fromstring(gzip.decompress(report.get_content()))
for each in root.iter():
    each.tag = each.tag.split("}")[-1]
at = lambda node, where: (node.findtext(where) or "").strip()
rows = [[at(r, "row/source_ip"), at(r, "row/count"), at(r, "row/policy_evaluated/disposition"),
         at(r, "row/policy_evaluated/dkim"), at(r, "row/policy_evaluated/spf"), at(r, "identifiers/header_from"),
         at(r, "auth_results/spf/domain")] for r in root.findall("record")]
print(json.dumps({"to": message["To"], "subject": message["Subject"], "name": report.get_filename(),
    "org": at(root, "report_metadata/org_name"), "email": at(root, "report_metadata/email"),
    "domain": at(root, "policy_published/domain"), "p": at(root, "policy_published/p"), "rows": sorted(rows)}))
"#;

#[test]
fn domains_are_told_what_came_in_their_name() {
    let folder = tempfile::Builder::new().prefix("zcluster-reports-").tempdir().unwrap();
    let host = Mortal::start(Mood::Take);
    let dns = free_dns_port();
    let _dns = dnsmasq(
        folder.path(),
        dns,
        &[
            ("author.test", "v=spf1 ip4:127.0.0.1 -all"),
            ("forger.test", "v=spf1 ip4:127.0.0.1 -all"),
            // An address of its own, one elsewhere that wants it, one that does not, one that wants smaller ones.
            (
                "_dmarc.author.test",
                "v=DMARC1; p=reject; rua=mailto:own@author.test,mailto:agg@willing.test,mailto:x@elsewhere.test,\
                 mailto:small@author.test!10",
            ),
            ("author.test._report._dmarc.willing.test", "v=DMARC1"),
            ("silent.test", "v=spf1 ip4:127.0.0.1 -all"),
            ("_dmarc.silent.test", "v=DMARC1; p=none"),
        ],
    );
    let mut cluster = site(folder.path(), dns, &host);
    let data = path(&cluster.node(1).data).to_owned();
    for _ in 0..2 {
        assert_eq!(send(&cluster, "a@author.test", ALICE, &message(&unique("good"), "A <a@author.test>")), 250);
    }
    // A domain below has the policy of the one above, which gets the report.
    assert_eq!(send(&cluster, "a@author.test", ALICE, &message(&unique("below"), "A <a@news.author.test>")), 250);
    assert_eq!(send(&cluster, "x@forger.test", ALICE, &message(&unique("forged"), "A <a@author.test>")), 550);
    assert_eq!(send(&cluster, "a@silent.test", ALICE, &message(&unique("silent"), "A <a@silent.test>")), 250);

    let list: Vec<Value> = serde_json::from_str(&run(&["report", "list", "--json", "--data", &data])).unwrap();
    let counted: Vec<_> = list.iter().filter(|p| p["kind"] == "dmarc").collect();
    assert_eq!(counted.len(), 1, "only who asks is counted: {list:?}");
    assert_eq!((counted[0]["good"].as_u64(), counted[0]["bad"].as_u64()), (Some(3), Some(1)));
    let shown = run(&["report", "list", "--data", &data]);
    assert!(shown.contains("DMARC") && shown.contains("author.test"), "{shown}");

    let sent: Vec<Value> = serde_json::from_str(&run(&["report", "send-now", "--json", "--data", &data])).unwrap();
    let dmarc = sent.iter().find(|s| s["report"]["kind"] == "dmarc").unwrap();
    assert_eq!(dmarc["outcome"]["sent"], serde_json::json!(["own@author.test", "agg@willing.test"]), "{dmarc}");
    // Two domains are two messages, each with the report.
    eventually("both have it", LONG, || host.taken().len() >= 2);
    for raw in host.taken() {
        let report: Value = serde_json::from_str(&python(folder.path(), READ, &raw, "")).unwrap();
        assert_eq!(report["to"], "own@author.test, agg@willing.test", "{report}");
        assert_eq!((report["org"].as_str(), report["domain"].as_str()), (Some("example.com"), Some("author.test")));
        assert_eq!((report["p"].as_str(), report["email"].as_str()), (Some("reject"), Some("dmarc@example.com")));
        let name = report["name"].as_str().unwrap();
        assert!(name.starts_with("example.com!author.test!") && name.ends_with(".xml.gz"), "{name}");
        let rows = serde_json::json!([
            ["127.0.0.1", "1", "pass", "fail", "pass", "news.author.test", "author.test"],
            ["127.0.0.1", "1", "reject", "fail", "fail", "author.test", "forger.test"],
            ["127.0.0.1", "2", "pass", "fail", "pass", "author.test", "author.test"],
        ]);
        assert_eq!(report["rows"], rows, "{report}");
    }
    assert!(!run(&["report", "list", "--data", &data]).contains("DMARC"), "what was sent is not sent again");

    // What was counted on a day that is over, here the one before yesterday, is sent by itself.
    assert_eq!(send(&cluster, "a@author.test", ALICE, &message(&unique("later"), "A <a@author.test>")), 250);
    cluster.restart_after(1, |data| {
        let file = data.join("reports.json");
        let days: serde_json::Map<String, Value> = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let earlier = |day: String| (day.parse::<u64>().unwrap() - 2).to_string();
        let days: serde_json::Map<String, Value> = days.into_iter().map(|(day, c)| (earlier(day), c)).collect();
        fs::write(&file, serde_json::to_vec(&days).unwrap()).unwrap();
    });
    eventually("the day's report", LONG, || host.taken().len() >= 4);
    let report: Value = serde_json::from_str(&python(folder.path(), READ, &host.taken()[3], "")).unwrap();
    let rows = serde_json::json!([["127.0.0.1", "1", "pass", "fail", "pass", "author.test", "author.test"]]);
    assert_eq!(report["rows"], rows, "{report}");
}

/// Whether the chain of seals holds, by dkimpy, with the records that `zcluster dkim show` prints as the DNS.
const CHAIN: &str = r#"
import re, sys
import dkim
raw, zone = open(sys.argv[1], "rb").read(), sys.argv[2]
records = {n: "".join(re.findall(r'"([^"]*)"', t)) for n, t in re.findall(r'(\S+) IN TXT \(([^)]*)\)', zone)}
cv, results, reason = dkim.arc_verify(raw, dnsfunc=lambda name, timeout=5: records[name.decode()].encode())
print(cv.decode(), len(results), all(r["ams-valid"] or r["instance"] < len(results) for r in results), reason)
"#;

#[test]
fn what_is_sent_on_is_sealed() {
    let folder = tempfile::Builder::new().prefix("zcluster-arc-").tempdir().unwrap();
    let (dns, host) = (free_ports(), Mortal::start(Mood::Take));
    let cluster = site(folder.path(), dns, &host);
    let data = path(&cluster.node(1).data).to_owned();
    run(&["dkim", "generate", "example.com", "--type", "rsa", "--selector", "r1", "--data", &data]);
    run(&["dkim", "activate", "example.com", "--data", &data]);
    let zone = run(&["dkim", "show", "example.com", "--data", &data]);
    let record: String = zone.split('"').skip(1).step_by(2).collect();
    let _dns = dnsmasq(
        folder.path(),
        dns,
        &[("author.test", "v=spf1 ip4:127.0.0.1 -all"), ("r1._domainkey.example.com", &record)],
    );
    for (account, to) in [(ALICE, "one@fwd.test"), (BOB, "two@fwd.test")] {
        cluster.prov(&["modifyAccount", account, "zimbraPrefMailForwardingAddress", to]);
    }
    let arrived = |id: &str, count: usize| {
        let mine = || host.taken().into_iter().filter(|m| m.contains(id)).collect::<Vec<_>>();
        eventually("it is sent on", LONG, || mine().len() == count);
        mine().pop().unwrap()
    };
    let id = unique("sealed");
    assert_eq!(send(&cluster, "a@author.test", ALICE, &message(&id, "a@author.test")), 250);
    let once = arrived(&id, 1);
    assert!(once.starts_with("ARC-Seal: i=1; a=rsa-sha256; s=r1; d=example.com; cv=none;"), "{once}");
    assert!(once.contains("ARC-Authentication-Results: i=1;\r\n\tmx.example.com;"), "{once}");
    assert_eq!(python(folder.path(), CHAIN, &once, &zone), "pass 1 True success\n", "{once}");

    // It comes back and is sent on once more: a second seal over the first, which held.
    assert_eq!(send(&cluster, "a@author.test", BOB, &once), 250);
    let twice = arrived(&id, 2);
    assert!(twice.starts_with("ARC-Seal: i=2;") && twice.contains("cv=pass"), "{twice}");
    assert_eq!(python(folder.path(), CHAIN, &twice, &zone), "pass 2 True success\n", "{twice}");

    // Changed on the way, the chain does not hold: it is sent on as it is, and nothing is said over it.
    let changed = once.replace("Hello.", "Goodbye.");
    assert_eq!(send(&cluster, "a@author.test", BOB, &changed), 250);
    let third = arrived(&id, 3);
    assert!(!third.contains("ARC-Seal: i=2"), "{third}");
}
