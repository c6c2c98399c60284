//! What was deleted comes back, byte for byte, until it is removed for good; and a legal hold refuses that.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::support::cluster::{ACCOUNTS, Cluster, PASSWORD, Port, command, path, run, run_refused};
use crate::support::eventually;
use crate::support::imap::Imap;
use crate::support::mail::{delicate, id_of, message};
use crate::support::pop3::Pop3;

const ALICE: &str = ACCOUNTS[1];
const HOLD: &str = "case 2026-17";

/// `zcluster mailbox dumpster`, through a node.
fn arguments<'a>(cluster: &'a Cluster, node: usize, more: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["mailbox", "dumpster"];
    all.extend_from_slice(more);
    all.extend(["--data", path(&cluster.node(node).data)]);
    all
}

fn ask(cluster: &Cluster, node: usize, more: &[&str]) -> Value {
    let mut more = more.to_vec();
    more.push("--json");
    serde_json::from_str(&run(&arguments(cluster, node, &more))).unwrap()
}

/// The item of each deleted message, by subject.
fn deleted(cluster: &Cluster, node: usize) -> BTreeMap<String, String> {
    let list = ask(cluster, node, &["list", ALICE]);
    let items = list["items"].as_array().unwrap();
    assert_eq!(list["messages"].as_u64(), Some(items.len() as u64));
    let one = |item: &Value| (item["subject"].as_str().unwrap().to_owned(), item["id"].to_string());
    items.iter().map(one).collect()
}

/// The selected folder's messages, by id.
fn by_id(imap: &mut Imap, folder: &str) -> BTreeMap<String, Vec<u8>> {
    if imap.select(folder).unwrap() == 0 {
        return BTreeMap::new();
    }
    imap.bodies().unwrap().into_values().map(|body| (id_of(&body).unwrap(), body)).collect()
}

fn expunge_all(imap: &mut Imap, folder: &str) {
    imap.select(folder).unwrap();
    imap.must("STORE 1:* +FLAGS.SILENT (\\Deleted)").unwrap();
    imap.must("EXPUNGE").unwrap();
}

#[test]
fn deleted_mail_comes_back_until_it_is_removed_for_good() {
    let mut cluster = Cluster::start(3);
    cluster.prov(&["modifyAccount", ALICE, "zimbraDumpsterEnabled", "TRUE"]);
    let mut imap = cluster.imap(1, ALICE);
    imap.must("CREATE Projects").unwrap();
    for (folder, text) in
        [("INBOX", delicate("one")), ("INBOX", message("two", 40_000)), ("Projects", message("three", 2_000))]
    {
        assert!(imap.append(folder, &text).unwrap().ok());
    }
    let (inbox, projects) = (by_id(&mut imap, "INBOX"), by_id(&mut imap, "Projects"));
    imap.select("INBOX").unwrap();
    imap.must("STORE 1 +FLAGS (\\Flagged \\Deleted)").unwrap();
    imap.must("EXPUNGE").unwrap();
    let mut pop3 = Pop3::login(cluster.port(1, Port::Pop3), ALICE, PASSWORD).unwrap();
    assert_eq!(pop3.count().unwrap(), 1);
    pop3.command("DELE 1").unwrap();
    pop3.command("QUIT").unwrap();
    imap.must("DELETE Projects").unwrap();
    assert!(by_id(&mut imap, "INBOX").is_empty());

    // Every node tells the same, also after the one that took it is gone.
    let items = deleted(&cluster, 2);
    assert_eq!(items.keys().map(String::as_str).collect::<Vec<_>>(), ["delicate folded one", "three", "two"]);
    let primary = cluster.primary_of(ALICE);
    cluster.kill9(primary);
    let other = cluster.another(primary);
    let mut again = BTreeMap::new();
    eventually("another node leads the mailbox's shard", Duration::from_secs(60), || {
        let list = command(&arguments(&cluster, other, &["list", ALICE, "--json"])).output().unwrap();
        list.status.success() && {
            again = deleted(&cluster, other);
            true
        }
    });
    assert_eq!(again, items);

    // One by its number, the rest together: all byte-identical, the folder made anew, the flag kept.
    let one = ask(&cluster, other, &["recover", ALICE, &items["delicate folded one"]]);
    assert_eq!(one["recovered"].as_array().unwrap().len(), 1);
    ask(&cluster, other, &["recover", ALICE, "--all", "--since", "1h"]);
    let mut imap = cluster.imap(other, ALICE);
    assert!(by_id(&mut imap, "INBOX") == inbox && by_id(&mut imap, "Projects") == projects);
    imap.select("INBOX").unwrap();
    let flags = imap.must("FETCH 1 (FLAGS)").unwrap();
    assert!(flags.says("\\Flagged") && !flags.says("\\Deleted"), "{flags:?}");
    assert!(deleted(&cluster, other).is_empty());
    cluster.restart(primary);

    // Removed for good, one and then the rest.
    expunge_all(&mut imap, "INBOX");
    let items = deleted(&cluster, other);
    let gone = ask(&cluster, other, &["purge", ALICE, &items["two"]]);
    assert_eq!(gone["messages"], 1);
    assert_eq!(deleted(&cluster, other).len(), 1);
    let none = ask(&cluster, other, &["purge", ALICE, "--before", "1h"]);
    assert_eq!(none["messages"], 0, "that was deleted just now");

    held(&cluster, other, &mut imap);
}

/// Under a hold nothing goes, with or without a dumpster.
fn held(cluster: &Cluster, node: usize, imap: &mut Imap) {
    cluster.prov(&["modifyAccount", ALICE, "+zclusterLegalHold", HOLD, "zimbraDumpsterEnabled", "FALSE"]);
    let refused = run_refused(&arguments(cluster, node, &["purge", ALICE, "--all"]));
    assert!(refused.contains("legal hold"), "{refused}");
    let list = ask(cluster, node, &["list", ALICE]);
    assert_eq!((list["holds"][0].as_str(), list["messages"].as_u64()), (Some(HOLD), Some(1)));
    eventually("the hold is known everywhere", Duration::from_secs(30), || {
        (1..=3).all(|n| {
            let output = command(&arguments(cluster, n, &["list", ALICE, "--json"])).output().unwrap();
            String::from_utf8_lossy(&output.stdout).contains(HOLD)
        })
    });
    expunge_all(imap, "Projects");
    assert_eq!(deleted(cluster, node).len(), 2, "kept without a dumpster");
    for command in [vec!["deleteAccount", ALICE], vec!["renameAccount", ALICE, "alice@example.org"]] {
        if command[0] == "renameAccount" {
            cluster.prov(&["createDomain", "example.org"]);
            cluster.prov(&["modifyDomain", "example.com", "+zclusterLegalHold", "inquiry"]);
        }
        let output = cluster.try_prov(&command);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && error.contains("under legal hold"), "{command:?}: {error}");
    }
    cluster.prov(&["modifyDomain", "example.com", "-zclusterLegalHold", "inquiry"]);
    cluster.prov(&["modifyAccount", ALICE, "-zclusterLegalHold", HOLD]);
    let logs: Vec<String> = (1..=3).map(|n| cluster.node(n).log()).collect();
    let audited = |what: &str| logs.iter().flat_map(|log| log.lines()).filter(|line| line.contains(what)).count();
    assert!(audited("legal hold") >= 6, "four changes and two refusals at least");
    assert!(audited("deleted messages recovered") >= 2 && audited("deleted messages removed for good") >= 1);

    eventually("the hold is lifted everywhere", Duration::from_secs(30), || {
        let purge = command(&arguments(cluster, node, &["purge", ALICE, "--all", "--json"])).output().unwrap();
        purge.status.success()
    });
    assert!(deleted(cluster, node).is_empty());
    cluster.prov(&["deleteAccount", ALICE]);
}
