//! The dump of a Zimbra site comes in, its people sign in with the passwords that they have, and the directory goes out
//! and in again as LDIF.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::support::cluster::{Cluster, Port, command, path};
use crate::support::imap::Imap;

const DUMP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../directory/tests/fixtures/zimbra.ldif");

fn zcluster(cluster: &Cluster, node: usize, arguments: &[&str]) -> Output {
    let data = path(&cluster.node(node).data).to_string();
    command(&[arguments, &["--data", &data]].concat()).output().unwrap()
}

fn report(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}{}", String::from_utf8_lossy(&output.stderr)))
}

fn count(report: &Value, kind: &str, what: &str) -> u64 {
    report["entries"][kind][what].as_u64().unwrap_or_else(|| panic!("{kind} {what}: {report:#}"))
}

#[test]
fn a_zimbra_site_moves_over_and_its_people_sign_in() {
    let cluster = Cluster::start(3);
    let import = |node: usize, more: &[&str]| {
        report(&zcluster(&cluster, node, &[&["import-zimbra", DUMP, "--json"], more].concat()))
    };
    let dry = import(1, &["--dry-run"]);
    assert_eq!(count(&dry, "resource", "created"), 2, "{dry:#}");
    assert!(!cluster.try_prov(&["getAccount", "carol@example.com"]).status.success(), "a dry run writes nothing");

    // admin, alice and bob are there already, under other ids.
    let first = import(2, &[]);
    assert_eq!(count(&first, "account", "created"), 7, "{first:#}");
    assert_eq!(count(&first, "account", "changed"), 3, "{first:#}");
    assert_eq!(count(&first, "account", "left"), 0, "{first:#}");
    let shown = cluster.prov(&["getAccount", "carol@example.com"]);
    assert!(shown.contains("zimbraCreateTimestamp: 20190312081522.104Z"), "{shown}");

    for node in 1..=3 {
        let port = cluster.port(node, Port::Imap);
        for (user, password) in [
            ("alice@example.com", "alice's secret"),
            ("a.aemmel@example.com", "alice's secret"),
            ("bob@example.com", "bob's secret"),
            ("helpdesk@example.com", "helpdesk"),
        ] {
            crate::support::eventually("sign-in", std::time::Duration::from_secs(20), || {
                Imap::try_login(port, user, password).is_ok()
            });
        }
        assert!(Imap::try_login(port, "alice@example.com", "not alice's secret").is_err());
        assert!(Imap::try_login(port, "dave@example.com", "dave").is_err(), "closed");
        assert!(Imap::try_login(port, "gina@sub.example.com", "gina").is_err(), "her domain is in maintenance");
    }

    // Alice's old hash was replaced by ours when she signed in: an import brings the old one again, nothing else.
    let second = import(3, &["--no-update"]);
    for (kind, tally) in second["entries"].as_object().unwrap() {
        assert_eq!((&tally["created"], &tally["changed"]), (&Value::from(0), &Value::from(0)), "{kind}: {second:#}");
    }

    let file = cluster.folder.join("all.ldif");
    let out = zcluster(&cluster, 3, &["ldif", "export", "--output", path(&file)]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = fs::read_to_string(&file).unwrap();
    assert!(
        text.contains("\ndn: uid=alice,ou=people,dc=example,dc=com\n") && text.contains("dn: cn=config,cn=zimbra\n")
    );
    assert!(text.contains("\nuserPassword: {") || text.contains("\nuserPassword: $argon2id$"), "hashes are kept");
    the_file_says_what_is_there(&cluster, &file);
    one_domain_alone(&cluster);
    changes(&cluster);
}

fn the_file_says_what_is_there(cluster: &Cluster, file: &Path) {
    let again = report(&zcluster(cluster, 1, &["ldif", "import", path(file), "--json"]));
    for (kind, tally) in again["entries"].as_object().unwrap() {
        let zero = Value::from(0);
        assert_eq!((&tally["created"], &tally["changed"], &tally["left"]), (&zero, &zero, &zero), "{kind}: {again:#}");
    }
}

fn one_domain_alone(cluster: &Cluster) {
    let out = zcluster(cluster, 2, &["ldif", "export", "--base", "dc=sub,dc=example,dc=com", "--filter", "(uid=gina)"]);
    let text = String::from_utf8(out.stdout).unwrap();
    let names: Vec<&str> = text.lines().filter(|l| l.starts_with("dn: ")).collect();
    assert_eq!(names, ["dn: uid=gina,ou=people,dc=sub,dc=example,dc=com"], "{text}");
}

fn changes(cluster: &Cluster) {
    let file = cluster.folder.join("changes.ldif");
    let gina = "dn: uid=gina,ou=people,dc=sub,dc=example,dc=com\n";
    let text = format!(
        "version: 1\n\n{gina}changetype: modify\nreplace: displayName\ndisplayName:: R2luYSDDhA==\n-\n\n\
         {gina}changetype: modrdn\nnewrdn: uid=regina\ndeleteoldrdn: 1\n\n\
         dn: uid=nobody,ou=people,dc=example,dc=com\nchangetype: delete\n"
    );
    fs::write(&file, text).unwrap();
    let out = zcluster(cluster, 2, &["ldif", "import", path(&file), "--json"]);
    assert_eq!(out.status.code(), Some(3), "one record was left");
    let told = report(&out);
    assert_eq!(count(&told, "change record", "changed"), 2, "{told:#}");
    assert!(told["entries_left"][0]["why"].as_str().unwrap_or_default().contains("NO_SUCH_ACCOUNT"), "{told:#}");
    let shown = cluster.prov(&["getAccount", "regina@sub.example.com"]);
    assert!(shown.contains("displayName: Gina Ä"), "{shown}");
}
