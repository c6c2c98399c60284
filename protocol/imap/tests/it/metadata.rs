//! METADATA (RFC 5464) and LIST-METADATA (RFC 9590).

use crate::support::{Client, Site};
use zcluster_api::DirectoryCommand;
use zcluster_api::directory::Modification;
use zcluster_auth::{HashParams, hash_password_with};

const DONE: &str = "# OK GETMETADATA completed";

#[tokio::test]
async fn annotations_are_set_and_told() {
    let site = Site::new();
    let mut c = site.alice().await;
    c.expect("GETMETADATA INBOX /shared/comment", &["* METADATA INBOX (/shared/comment NIL)", DONE]).await;
    c.ok("SETMETADATA INBOX (/shared/Comment \"ours\" /private/comment \"mine\")").await;
    c.expect(
        "GETMETADATA INBOX /SHARED/comment",
        &["* METADATA INBOX (/shared/comment ours)".replace("ours", "\"ours\"").as_str(), DONE],
    )
    .await;
    let both = "* METADATA INBOX (/private/comment \"mine\" /shared/comment \"ours\")";
    c.expect("GETMETADATA INBOX (/shared/comment /private/comment)", &[both, DONE]).await;
    c.expect("GETMETADATA (DEPTH infinity) INBOX (/shared /private)", &[both, DONE]).await;
    c.ok("SETMETADATA INBOX (/private/v/a \"1\" /private/v/a/b \"22\")").await;
    c.expect("GETMETADATA (DEPTH 1) INBOX /private/v", &["* METADATA INBOX (/private/v/a \"1\")", DONE]).await;
    let long = "# OK [METADATA LONGENTRIES 2] GETMETADATA completed";
    let one = "* METADATA INBOX (/private/v/a \"1\")";
    c.expect("GETMETADATA INBOX (MAXSIZE 1 DEPTH infinity) (/private/v)", &[one, long]).await;
    c.expect("GETMETADATA (MAXSIZE 1) INBOX /private/v/a/b", &[long]).await;
    c.ok("SETMETADATA INBOX (/private/v/a NIL)").await;
    c.expect("GETMETADATA INBOX /private/v/a", &["* METADATA INBOX (/private/v/a NIL)", DONE]).await;
    // A value may be any bytes.
    c.ok("SETMETADATA INBOX (/private/bin ~{3+}\r\na\0b)").await;
    c.expect("GETMETADATA INBOX /private/bin", &["* METADATA INBOX (/private/bin ~{3}", "a\0b)", DONE]).await;
    c.send("w SETMETADATA INBOX (/private/bin ~{3}\r\n").await;
    assert_eq!(c.line().await, "+ go ahead");
    c.send("\0\0\0)\r\n").await;
    assert_eq!(c.until_tagged("w").await, "# OK SETMETADATA completed\r\n");
    c.expect("NOOP", &["# OK NOOP completed"]).await;
    for bad in
        ["(/other/x \"y\")", "(/shared/x* \"y\")", "(/shared//x \"y\")", "(/shared \"y\")", "/shared/x \"y\"", "()"]
    {
        let reply = c.run(format!("SETMETADATA INBOX {bad}")).await;
        assert!(reply.starts_with("# BAD"), "{bad}: {reply}");
    }
    assert!(c.run("SETMETADATA Nothing (/shared/x \"y\")").await.starts_with("# NO [NONEXISTENT]"));
    assert!(c.run("GETMETADATA Nothing /shared/x").await.starts_with("# NO [NONEXISTENT]"));
}

#[tokio::test]
async fn bounds_are_told() {
    let site = Site::new();
    let mut c = site.alice().await;
    let value = "x".repeat(40_000);
    let reply = c.run(format!("SETMETADATA INBOX (/shared/x {{{}+}}\r\n{value})", value.len())).await;
    assert!(reply.starts_with("# NO [METADATA MAXSIZE 32768]"), "{reply}");
    for n in 0..100 {
        c.ok(&format!("SETMETADATA INBOX (/private/n{n} \"x\")")).await;
    }
    let reply = c.run("SETMETADATA INBOX (/private/more \"x\")").await;
    assert!(reply.starts_with("# NO [METADATA TOOMANY]"), "{reply}");
    c.ok("SETMETADATA INBOX (/shared/more \"x\")").await;
    // They are gone with their folder.
    c.ok("CREATE a").await;
    c.ok("SETMETADATA a (/shared/x \"y\")").await;
    c.ok("DELETE a").await;
    c.ok("CREATE a").await;
    c.expect("GETMETADATA a /shared/x", &["* METADATA a (/shared/x NIL)", DONE]).await;
}

#[tokio::test]
async fn the_server_has_annotations_too() {
    let site = Site::new();
    let mut c = site.alice().await;
    let admin = vec![Modification::set("zclusterServerAdmin", "mailto:postmaster@example.com")];
    site.memory.command(DirectoryCommand::ModifyConfig(admin)).unwrap();
    c.ok("SETMETADATA \"\" (/private/vendor/x \"mine\")").await;
    let all = "* METADATA \"\" (/private/vendor/x \"mine\" /shared/admin \"mailto:postmaster@example.com\")";
    c.expect("GETMETADATA (DEPTH infinity) \"\" (/private /shared)", &[all, DONE]).await;
    c.expect("GETMETADATA \"\" /shared/comment", &["* METADATA \"\" (/shared/comment NIL)", DONE]).await;
    assert!(c.run("SETMETADATA \"\" (/shared/comment \"x\")").await.starts_with("# NO [NOPERM]"));
}

async fn bob(site: &Site) -> Client {
    site.memory.add_account("bob@example.com", &hash_password_with(HashParams::cheap(), "pw"));
    let mut bob = site.connect().await;
    bob.ok("LOGIN bob@example.com pw").await;
    bob
}

#[tokio::test]
async fn shared_folders_share_them() {
    let site = Site::new();
    let (mut alice, mut bob) = (site.alice().await, bob(&site).await);
    let inbox = "/home/alice@example.com/Inbox";
    alice.ok("SETMETADATA INBOX (/shared/comment \"ours\" /private/comment \"mine\")").await;
    assert!(bob.run(format!("GETMETADATA {inbox} /shared/comment")).await.starts_with("# NO [NONEXISTENT]"));
    alice.ok("SETACL INBOX bob lr").await;
    let lines = format!("* METADATA {inbox} (/private/comment NIL /shared/comment \"ours\")");
    bob.expect(&format!("GETMETADATA {inbox} (/shared/comment /private/comment)"), &[&lines, DONE]).await;
    bob.ok(&format!("SETMETADATA {inbox} (/private/comment \"his\")")).await;
    alice.expect("GETMETADATA INBOX /private/comment", &["* METADATA INBOX (/private/comment \"mine\")", DONE]).await;
    let reply = bob.run(format!("SETMETADATA {inbox} (/shared/comment \"his\")")).await;
    assert!(reply.starts_with("# NO [NOPERM]"), "{reply}");
    alice.ok("SETACL INBOX bob lrw").await;
    bob.ok(&format!("SETMETADATA {inbox} (/shared/comment \"his\")")).await;
    let reply = bob.ok("LIST \"\" /home/alice@example.com/* RETURN (METADATA (/shared/comment))").await;
    assert!(reply.contains(&format!("\r\n* METADATA {inbox} (/shared/comment \"his\")\r\n")), "{reply}");
    let reply = alice.ok("LIST \"\" % RETURN (METADATA (/shared/comment /private/x))").await;
    assert!(reply.contains("* METADATA INBOX (/private/x NIL /shared/comment \"his\")\r\n"), "{reply}");
    assert!(reply.contains("* METADATA Trash (/private/x NIL /shared/comment NIL)\r\n"), "{reply}");
}

/// RFC 5464 §4.4: those who enabled it hear which annotations others changed, not what to.
#[tokio::test]
async fn changes_of_others_are_told_to_those_who_enabled_it() {
    let site = Site::new();
    let (mut a, mut b) = (site.alice().await, site.alice().await);
    b.expect("ENABLE METADATA", &["* ENABLED METADATA", "# OK ENABLE completed"]).await;
    b.expect("ENABLE METADATA", &["* ENABLED", "# OK ENABLE completed"]).await;
    a.ok("SETMETADATA INBOX (/shared/comment \"x\")").await;
    a.ok("SETMETADATA INBOX (/private/comment \"x\")").await;
    a.ok("SETMETADATA Sent (/shared/comment \"x\")").await;
    let told = ["* METADATA INBOX /private/comment /shared/comment", "* METADATA Sent /shared/comment"];
    b.expect("NOOP", &[told[0], told[1], "# OK NOOP completed"]).await;
    a.expect("NOOP", &["# OK NOOP completed"]).await;
    b.ok("SETMETADATA INBOX (/shared/comment \"mine\")").await;
    b.expect("NOOP", &["# OK NOOP completed"]).await;
    // In IDLE, with a mailbox selected and without.
    b.send("i IDLE\r\n").await;
    assert_eq!(b.line().await, "+ idling");
    a.ok("SETMETADATA INBOX (/shared/comment NIL)").await;
    assert_eq!(b.line().await, "* METADATA INBOX /shared/comment");
    b.send("DONE\r\n").await;
    b.until_tagged("i").await;
    b.ok("SELECT Sent").await;
    b.send("i IDLE\r\n").await;
    assert_eq!(b.line().await, "+ idling");
    a.ok("SETMETADATA \"\" (/private/comment \"s\")").await;
    assert_eq!(b.line().await, "* METADATA \"\" /private/comment");
    b.send("DONE\r\n").await;
    b.until_tagged("i").await;
    // What the administrators say to all.
    let comment = vec![Modification::set("zclusterServerComment", "down on Sunday")];
    site.memory.command(DirectoryCommand::ModifyConfig(comment)).unwrap();
    b.expect("NOOP", &["* METADATA \"\" /shared/comment", "# OK NOOP completed"]).await;
    b.expect("NOOP", &["# OK NOOP completed"]).await;
    // Too much to be told one by one.
    for _ in 0..=1_000 {
        a.ok("SETMETADATA INBOX (/shared/comment \"x\")").await;
    }
    let told = "* NO too many annotations changed to tell them all";
    b.expect("NOOP", &[told, "# OK NOOP completed"]).await;
    b.expect("NOOP", &["# OK NOOP completed"]).await;
}
