//! Mail in several languages is found by Zimbra's query language, on every node, at once and after the indexes were made; the
//! primary dies; a domain is searched and exported; an index is thrown away and comes back.

use crate::support::cluster::{ACCOUNTS, Cluster, Port, path, run, run_refused};
use crate::support::eventually;
use crate::support::smtp::{Delivery, Smtp};
use serde_json::Value;
use std::fs;
use std::time::Duration;

const ALICE: &str = ACCOUNTS[1];
const BOB: &str = ACCOUNTS[2];

/// Subject, header, body.
const MAILS: [(&str, &str, &str); 8] = [
    ("Invoice 4711", "", "Dear Bob, the invoice for the sailing boat is due on Friday."),
    ("=?utf-8?q?Gr=C3=BC=C3=9Fe_aus_K=C3=B6ln?=", "", "Wir waren in Köln und haben viel gesehen."),
    (
        "Report",
        "Content-Type: text/html; charset=utf-8\r\n",
        "<style>hidden{}</style><p>The <b>quarter</b>ly report&nbsp;is here</p>",
    ),
    ("=?utf-8?b?5Lya6K2w?=", "", "明天下午三点在东京都会議室开会。"),
    (
        "Lunch",
        "X-Priority: 1\r\n",
        "Shall we meet at host.example.net or call +49 221 123456? See https://example.org/menu",
    ),
    ("Re: Lunch", "In-Reply-To: <search.4@ledger>\r\nReferences: <search.4@ledger>\r\n", "Yes, gladly."),
    (
        "With a file",
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n",
        "--b\r\nContent-Type: text/plain\r\n\r\nsee below\r\n--b\r\nContent-Type: application/pdf; name=\"contract.pdf\"\r\n\
         Content-Disposition: attachment; filename=\"contract.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0=\r\n--b--",
    ),
    ("Ahoy", "", "A sailor sails; the boat sank."),
];

fn mail(number: usize, to: &str) -> Vec<u8> {
    let (subject, header, body) = MAILS[number % MAILS.len()];
    let text = if header.contains("Content-Type") { "" } else { "Content-Type: text/plain; charset=utf-8\r\n" };
    format!(
        "From: =?utf-8?q?J=C3=BCrgen_M=C3=BCller?= <jm@harbour.example.org>\r\nTo: {to}\r\nSubject: {subject}\r\n\
         Message-ID: <search.{number}@ledger>\r\nDate: Sat, 28 Nov 2026 0{}:00:00 +0000\r\n{header}{text}\r\n{body}\r\n",
        number % 10
    )
    .into_bytes()
}

fn deliver(cluster: &Cluster, node: usize, to: &str, numbers: std::ops::Range<usize>) {
    let mut lmtp = Smtp::lmtp(cluster.port(node, Port::Lmtp)).unwrap();
    for number in numbers {
        let fate = lmtp.deliver(to, &mail(number, to));
        assert!(matches!(fate, Delivery::Acknowledged), "message {number}: {fate:?}");
    }
}

fn search(cluster: &Cluster, node: usize, query: &str, more: &[&str]) -> Value {
    let data = path(&cluster.node(node).data).to_string();
    let mut arguments = vec!["mailbox", "search", BOB, query, "--json", "--data", &data];
    arguments.extend(more);
    serde_json::from_str(&run(&arguments)).unwrap()
}

/// Subjects of the hits, in the order of arrival.
fn subjects(cluster: &Cluster, node: usize, query: &str) -> Vec<String> {
    let page = search(cluster, node, query, &["--sort", "idAsc"]);
    page["hits"].as_array().unwrap().iter().map(|hit| hit["subject"].as_str().unwrap().to_string()).collect()
}

const ASKED: [(&str, &[&str]); 21] = [
    ("invoice", &["Invoice 4711"]),
    ("INVOIC*", &["Invoice 4711"]),
    ("koln", &["Grüße aus Köln"]),
    ("subject:grüsse", &["Grüße aus Köln"]),
    ("quarterly", &["Report"]),
    ("hidden", &[]),
    ("东京", &["会議"]),
    ("subject:会議", &["会議"]),
    ("sail*", &["Invoice 4711", "Ahoy"]),
    ("\"the boat\"", &["Ahoy"]),
    ("boat -friday", &["Ahoy"]),
    ("from:harbour.example.org subject:lunch", &["Lunch", "Re: Lunch"]),
    ("from:muller is:unread smaller:100b", &[]),
    ("host.example.net", &["Lunch"]),
    ("has:url", &["Lunch"]),
    ("priority:high", &["Lunch"]),
    ("has:attachment", &["With a file"]),
    ("attachment:pdf filename:contract*", &["With a file"]),
    ("msgid:<search.3@ledger>", &["会議"]),
    ("in:inbox (subject:ahoy or subject:report) not in:trash", &["Report", "Ahoy"]),
    ("conv-count:>1", &["Lunch", "Re: Lunch"]),
];

fn check(cluster: &Cluster, node: usize) {
    for (query, wanted) in ASKED {
        assert_eq!(subjects(cluster, node, query), wanted, "{query} on node {node}");
    }
}

/// Whether all indexes know everything.
fn are_complete(cluster: &Cluster, node: usize, items: u64) -> bool {
    let told = run(&["mailbox", "texts", "--json", "--data", path(&cluster.node(node).data)]);
    let told: Value = serde_json::from_str(&told).unwrap();
    let all = told["indexes"].as_array().unwrap();
    let known: u64 =
        all.iter().filter(|i| i["building"].is_null() && i["behind"] == 0).map(|i| i["items"].as_u64().unwrap()).sum();
    known == items
}

#[test]
fn mail_is_found() {
    let mut cluster = Cluster::start(3);
    deliver(&cluster, 2, BOB, 0..MAILS.len());
    // Long before any index knows of it.
    check(&cluster, 1);
    deliver(&cluster, 3, ALICE, 0..2);
    eventually("the indexes know all", Duration::from_secs(60), || {
        are_complete(&cluster, 1, 3 * (MAILS.len() as u64 + 2))
    });
    (1..=3).for_each(|node| check(&cluster, node));

    // Pages, conversations, what was found.
    let page = search(&cluster, 2, "in:inbox", &["--limit", "3", "--sort", "subjAsc"]);
    assert_eq!((page["total"].as_u64(), page["more"].as_bool()), (Some(8), Some(true)));
    let last = &page["hits"][2];
    let cursor = format!("{}:{}", last["id"], last["sortField"].as_str().unwrap());
    let next = search(&cluster, 3, "in:inbox", &["--limit", "10", "--sort", "subjAsc", "--cursor", &cursor]);
    assert_eq!(next["hits"].as_array().unwrap().len(), 5);
    let talks = search(&cluster, 1, "gladly", &["--types", "conversation"]);
    assert_eq!((talks["total"].as_u64(), talks["hits"][0]["messages"].as_u64()), (Some(1), Some(2)));
    let found = search(&cluster, 1, "sailing", &["--fragments"]);
    let fragment = &found["hits"][0]["fragment"];
    let (text, at) = (fragment["text"].as_str().unwrap(), &fragment["found"][0]);
    assert_eq!(&text[at[0].as_u64().unwrap() as usize..at[1].as_u64().unwrap() as usize], "sailing");
    let data = path(&cluster.node(1).data).to_string();
    let refused = run_refused(&["mailbox", "search", BOB, "is:purple", "--data", &data]);
    assert!(refused.contains("is:"), "{refused}");
    assert!(run_refused(&["mailbox", "search", BOB, "in:nowhere", "--data", &data]).contains("nowhere"));

    // IMAP asks for what is contained; the index helps where it can.
    let mut imap = cluster.imap(2, BOB);
    imap.select("INBOX").unwrap();
    for (criterion, wanted) in
        [("BODY \"sailing boat is\"", "1"), ("TEXT \"ailin\"", "1"), ("SUBJECT \"invoice\"", "1")]
    {
        let told = imap.must(&format!("UID SEARCH {criterion}")).unwrap();
        assert!(told.says(&format!("* SEARCH {wanted}")), "{criterion}");
    }

    // A whole domain, and what was found in a file.
    let domain = BOB.split_once('@').unwrap().1;
    let export = cluster.node(1).data.join("export.zip");
    let told = run(&["discover", "invoice", "--domain", domain, "--export", path(&export), "--data", &data]);
    assert!(told.contains(BOB) && told.contains(ALICE) && told.contains("2 messages in 2 of"), "{told}");
    let mut zip = zip::ZipArchive::new(fs::File::open(&export).unwrap()).unwrap();
    let manifest: Value = serde_json::from_reader(zip.by_name("manifest.json").unwrap()).unwrap();
    let entry = manifest["messages"].as_array().unwrap().iter().find(|m| m["account"] == BOB).unwrap().clone();
    let mut message = Vec::new();
    std::io::Read::read_to_end(&mut zip.by_name(entry["file"].as_str().unwrap()).unwrap(), &mut message).unwrap();
    assert!(message.ends_with(&mail(0, BOB)), "the message as it was delivered, behind its trace");
    assert_eq!(entry["blake3"], blake3::hash(&message).to_hex().to_string());
    assert!(run(&["discover", "invoice", "--account", ALICE, "--json", "--data", &data]).contains("\"total\":1"));

    // The primary dies; then one comes back without its indexes.
    let victim = cluster.primary_of(BOB);
    cluster.kill9(victim);
    let other = cluster.another(victim);
    deliver(&cluster, other, BOB, MAILS.len()..MAILS.len() + 1);
    assert_eq!(subjects(&cluster, other, "invoice"), ["Invoice 4711", "Invoice 4711"]);
    cluster.restart_after(victim, |data| fs::remove_dir_all(data.join("texts")).unwrap());
    let all = 3 * (MAILS.len() as u64 + 3);
    eventually("the indexes know all", Duration::from_secs(60), || are_complete(&cluster, victim, all));
    assert_eq!(subjects(&cluster, victim, "invoice"), ["Invoice 4711", "Invoice 4711"]);

    // Anew, on all nodes.
    let told = run(&["mailbox", "reindex", BOB, "--data", path(&cluster.node(victim).data)]);
    assert!(told.contains("on 3 nodes") && told.contains("done"), "{told}");
    assert!(are_complete(&cluster, victim, all));
    assert_eq!(subjects(&cluster, other, "invoice"), ["Invoice 4711", "Invoice 4711"]);
}
