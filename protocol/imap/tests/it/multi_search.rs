//! ESEARCH over several mailboxes (RFC 7377).

use crate::support::{Client, Site, message, number_after};
use zcluster_auth::{HashParams, hash_password_with};

/// Sends a command under a tag of its own, which the answers name.
async fn ask(c: &mut Client, tag: &str, command: &str) -> Vec<String> {
    c.send(format!("{tag} {command}\r\n")).await;
    c.until_tagged(tag).await.lines().map(str::to_string).collect()
}

/// `folder1` with two messages, of which the first is read, `folder2/banana` and `folder2/peach/stone` with one, `empty`.
async fn fruits(site: &Site) -> Client {
    let mut c = site.alice().await;
    for name in ["folder1", "folder2", "folder2/banana", "folder2/peach/stone", "empty"] {
        c.ok(&format!("CREATE {name}")).await;
    }
    for (name, subject) in [
        ("folder1 (\\Seen)", "one"),
        ("folder1", "two"),
        ("folder2/banana", "three"),
        ("folder2/peach/stone", "four"),
        ("INBOX", "five"),
    ] {
        assert!(c.append(name, &message(subject, "needle")).await.contains("# OK"));
    }
    c
}

async fn validity(c: &mut Client, name: &str) -> u64 {
    number_after(&c.ok(&format!("STATUS {name} (UIDVALIDITY)")).await, "UIDVALIDITY")
}

#[tokio::test]
async fn mailboxes_and_trees() {
    let site = Site::new();
    let mut c = fruits(&site).await;
    assert!(c.ok("CAPABILITY").await.contains(" MULTISEARCH"));
    let expect = |name: &'static str, found: &'static str| (name, found);
    let (one, banana) = (expect("folder1", "1:2"), expect("folder2/banana", "1"));
    let stone = expect("folder2/peach/stone", "1");
    for (sources, key, expected) in [
        ("mailboxes folder1 subtree folder2", "TEXT needle", vec![one, banana, stone]),
        ("mailboxes folder1 subtree-one folder2", "TEXT needle", vec![one, banana]),
        ("subtree-one (folder1 FOLDER2)", "UNSEEN", vec![("folder1", "2"), banana]),
        ("mailboxes (nowhere folder1 folder1 empty)", "ALL", vec![one]),
        ("personal", "SUBJECT three", vec![banana]),
        ("personal mailboxes folder1", "SUBJECT two", vec![("folder1", "2")]),
        // Numbers are those of each mailbox; what lies beyond is no error.
        ("mailboxes folder1 mailboxes folder2/banana", "2:100", vec![("folder1", "2")]),
        ("mailboxes folder1 mailboxes folder2/banana", "*", vec![("folder1", "2"), banana]),
        ("mailboxes folder1", "UID 2:*", vec![("folder1", "2")]),
        ("personal", "SUBJECT nothing", vec![]),
    ] {
        let got = ask(&mut c, "tag1", &format!("ESEARCH IN ({sources}) {key}")).await;
        let mut wanted = Vec::new();
        for (name, found) in expected {
            let validity = validity(&mut c, name).await;
            wanted.push(format!("* ESEARCH (TAG \"tag1\" MAILBOX {name} UIDVALIDITY {validity}) UID ALL {found}"));
        }
        wanted.push("# OK ESEARCH completed".into());
        assert_eq!(got, wanted, "{sources}: {key}");
    }
    // Result options are told for each mailbox, and of none without a match.
    let got =
        ask(&mut c, "t2", "ESEARCH IN (subtree folder2 mailboxes folder1) RETURN (MIN MAX COUNT PARTIAL 1:1) UNSEEN")
            .await;
    assert_eq!(got.len(), 4, "{got:?}");
    assert!(got[0].ends_with("UID MIN 2 MAX 2 COUNT 1 PARTIAL (1:1 2)"), "{got:?}");
    // Mod-sequences, which switch CONDSTORE on.
    let got = ask(&mut c, "t3", "ESEARCH IN (mailboxes folder1) RETURN (MIN) MODSEQ 1").await;
    assert!(got[0].contains(" UID MIN 1 MODSEQ "), "{got:?}");
}

#[tokio::test]
async fn the_selected_mailbox() {
    let site = Site::new();
    let mut c = fruits(&site).await;
    for refused in ["ESEARCH ALL", "ESEARCH IN (selected) ALL", "ESEARCH IN (selected personal) ALL"] {
        assert!(c.run(refused).await.starts_with("# BAD"), "{refused}");
    }
    assert!(c.run("ESEARCH IN (personal) RETURN (UPDATE) ALL").await.starts_with("# BAD"));
    c.ok("SELECT folder1").await;
    let validity = validity(&mut c, "folder1").await;
    let head = |tag: &str| format!("* ESEARCH (TAG \"{tag}\" MAILBOX folder1 UIDVALIDITY {validity}) UID");
    for command in ["ESEARCH UNSEEN", "ESEARCH IN (selected) UNSEEN", "ESEARCH IN (SELECTED) RETURN () 2"] {
        let got = ask(&mut c, "a", command).await;
        assert_eq!(got, [format!("{} ALL 2", head("a")), "# OK ESEARCH completed".into()], "{command}");
    }
    assert_eq!(ask(&mut c, "b", "ESEARCH SUBJECT nothing").await, ["# OK ESEARCH completed"]);
    // What is saved is the selected mailbox's.
    assert_eq!(ask(&mut c, "c", "ESEARCH RETURN (SAVE) UNSEEN").await, ["# OK ESEARCH completed"]);
    assert_eq!(ask(&mut c, "d", "ESEARCH IN (mailboxes folder1) $").await[0], format!("{} ALL 2", head("d")));
    assert!(c.run("ESEARCH IN (mailboxes INBOX) $").await.starts_with("# NO [CANNOT]"));
    assert!(c.run("ESEARCH IN (personal) RETURN (SAVE) ALL").await.starts_with("# BAD"));
    // So is what is kept up to date.
    let got = ask(&mut c, "e", "ESEARCH IN (mailboxes INBOX) RETURN (UPDATE COUNT) ALL").await;
    assert!(got[1].starts_with("* NO [NOUPDATE \"e\"]"), "{got:?}");
    let got = ask(&mut c, "f", "ESEARCH RETURN (UPDATE COUNT) UNSEEN").await;
    assert_eq!(got[0], format!("{} COUNT 1", head("f")));
    site.alice().await.append("folder1", &message("six", "t")).await;
    let news = c.ok("NOOP").await;
    assert!(news.contains("* ESEARCH (TAG \"f\") UID ADDTO (0 3)\r\n"), "{news}");
    // Another mailbox is searched without leaving this one.
    assert!(ask(&mut c, "g", "ESEARCH IN (mailboxes INBOX) ALL").await[0].contains("MAILBOX INBOX"));
    c.expect("FETCH 1 UID", &["* 1 FETCH (UID 1)", "# OK FETCH completed"]).await;
}

#[tokio::test]
async fn shared_mailboxes_as_far_as_the_rights_reach() {
    let site = Site::new();
    let mut alice = fruits(&site).await;
    site.memory.add_account("bob@example.com", &hash_password_with(HashParams::cheap(), "pw"));
    let mut bob = site.connect().await;
    bob.ok("LOGIN bob@example.com pw").await;
    let home = "/home/alice@example.com";
    let sources = format!("mailboxes ({home}/folder1 /home/nobody@example.com/x {home}/none) subtree {home}/folder2");
    assert_eq!(ask(&mut bob, "a", &format!("ESEARCH IN ({sources}) ALL")).await, ["# OK ESEARCH completed"]);
    alice.ok("SETACL folder1 bob lr").await;
    alice.ok("SETACL folder2/banana bob l").await;
    alice.ok("SETACL folder2/peach/stone bob lr").await;
    let got = ask(&mut bob, "b", &format!("ESEARCH IN ({sources}) ALL")).await;
    assert_eq!(got.len(), 3, "{got:?}");
    assert!(got[0].contains(&format!("MAILBOX {home}/folder1 ")) && got[0].ends_with(" ALL 1:2"), "{got:?}");
    assert!(got[1].contains(&format!("MAILBOX {home}/folder2/peach/stone ")), "{got:?}");
}

#[tokio::test]
async fn nonsense_is_refused() {
    let site = Site::new();
    let mut c = site.inbox().await;
    for bad in [
        "ESEARCH",
        "ESEARCH IN ALL",
        "ESEARCH IN () ALL",
        "ESEARCH IN (bogus) ALL",
        "ESEARCH IN (\"selected\") ALL",
        "ESEARCH IN (selected-delayed) ALL",
        "ESEARCH IN (subtree-one) ALL",
        "ESEARCH IN (subtree-one ) ALL",
        "ESEARCH IN (mailboxes ()) ALL",
        "ESEARCH IN (personal (scope)) ALL",
        "ESEARCH IN (personal)",
        "ESEARCH IN (personal) RETURN (BOGUS) ALL",
        "UID ESEARCH ALL",
    ] {
        assert!(c.run(bad).await.starts_with("# BAD"), "{bad}");
    }
    let many = "personal ".repeat(65);
    assert!(c.run(format!("ESEARCH IN ({}) ALL", many.trim())).await.starts_with("# BAD"));
    assert!(c.run("NOTIFY SET (SUBTREE-ONE x NONE)").await.starts_with("# BAD"), "that is not NOTIFY's");
}
