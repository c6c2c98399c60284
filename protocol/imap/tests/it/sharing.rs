//! Two accounts and what they share: ACL (RFC 4314), the other users' namespace (RFC 2342), LIST-MYRIGHTS (RFC 8440).

use crate::support::{ALICE, Client, Site, message, number_after};
use zcluster_auth::{HashParams, hash_password_with};

pub const BOB: &str = "bob@example.com";
/// Alice's folder Work as Bob names it.
pub const WORK: &str = "/home/alice@example.com/Work";

/// Alice has a folder Work with two messages, Work/Deep below it, and a message in the Inbox; Bob has nothing yet.
pub async fn pair() -> (Site, Client, Client) {
    let site = Site::new();
    site.memory.add_account(BOB, &hash_password_with(HashParams::cheap(), "pw"));
    let mut alice = site.alice().await;
    alice.fill_inbox(1).await;
    alice.ok("CREATE Work/Deep").await;
    for i in 1..=2 {
        alice.append("Work", &message(&format!("w{i}"), &format!("work text {i}"))).await;
    }
    let mut bob = site.connect().await;
    bob.ok(&format!("LOGIN {BOB} pw")).await;
    (site, alice, bob)
}

pub async fn refused(c: &mut Client, command: &str, code: &str) {
    let reply = c.run(command).await;
    assert!(reply.lines().last().unwrap_or_default().starts_with(&format!("# NO {code}")), "{command}: {reply}");
}

#[tokio::test]
async fn grants_are_set_told_and_taken() {
    let (_site, mut alice, mut bob) = pair().await;
    let caps = alice.ok("CAPABILITY").await;
    for cap in [" ACL ", " RIGHTS=texk ", " LIST-MYRIGHTS", " METADATA ", " LIST-METADATA", " NAMESPACE "] {
        assert!(caps.replace("\r\n", " ").contains(cap), "{cap}: {caps}");
    }
    alice.expect("MYRIGHTS Work", &["* MYRIGHTS Work lrswipkxteacd", "# OK MYRIGHTS completed"]).await;
    alice.ok("SETACL Work BOB@example.com lrs").await;
    alice.ok("SETACL Work bob +d").await;
    alice.ok("SETACL Work bob -e").await;
    alice.ok("SETACL Work anyone l").await;
    alice.ok("SETACL Work -anyone w").await;
    let acl = "* ACL Work alice@example.com lrswipkxteacd bob@example.com lrstd anyone l -anyone w";
    alice.expect("GETACL Work", &[acl, "# OK GETACL completed"]).await;
    // Below it is the same until it is said otherwise, and then a copy.
    alice.expect("GETACL Work/Deep", &[&acl.replace("Work", "Work/Deep"), "# OK GETACL completed"]).await;
    alice.ok("DELETEACL Work/Deep anyone").await;
    alice.ok("DELETEACL Work/Deep -anyone").await;
    let deep = "* ACL Work/Deep alice@example.com lrswipkxteacd bob@example.com lrstd";
    alice.expect("GETACL Work/Deep", &[deep, "# OK GETACL completed"]).await;
    let each = "* LISTRIGHTS Work bob \"\" l r s w i p k x t e a c d";
    alice.expect("LISTRIGHTS Work bob", &[each, "# OK LISTRIGHTS completed"]).await;
    let own = format!("* LISTRIGHTS Work {ALICE} lrswipkxteacd");
    alice.expect(&format!("LISTRIGHTS Work {ALICE}"), &[&own, "# OK LISTRIGHTS completed"]).await;

    refused(&mut alice, "SETACL Work nobody@example.com l", "[CANNOT]").await;
    refused(&mut alice, &format!("SETACL Work {ALICE} l"), "[CANNOT]").await;
    refused(&mut alice, "SETACL Nothing bob l", "[NONEXISTENT]").await;
    assert!(alice.run("SETACL Work bob lq").await.starts_with("# BAD"));
    assert!(alice.run("SETACL Work bob").await.starts_with("# BAD"));

    bob.expect(&format!("MYRIGHTS {WORK}"), &[&format!("* MYRIGHTS {WORK} lrstd"), "# OK MYRIGHTS completed"]).await;
    refused(&mut bob, &format!("GETACL {WORK}"), "[NOPERM]").await;
    refused(&mut bob, &format!("SETACL {WORK} bob lrswipkxtea"), "[NOPERM]").await;
    refused(&mut bob, "MYRIGHTS /home/alice@example.com/INBOX", "[NONEXISTENT]").await;
    refused(&mut bob, "MYRIGHTS /home/alice@example.com/None", "[NONEXISTENT]").await;
    refused(&mut bob, "MYRIGHTS /home/nobody@example.com/INBOX", "[NONEXISTENT]").await;
    // Who may give rights gives them on the owner's folder.
    alice.ok("SETACL Work bob +a").await;
    bob.ok(&format!("SETACL {WORK} anyone lr")).await;
    let reply = alice.ok("GETACL Work").await;
    assert!(reply.contains(" anyone lr"), "{reply}");
    refused(&mut bob, &format!("SETACL {WORK} {ALICE} l"), "[CANNOT]").await;
}

#[tokio::test]
async fn the_namespace_of_others() {
    let (_site, mut alice, mut bob) = pair().await;
    let namespace = "* NAMESPACE ((\"\" \"/\")) ((\"/home/\" \"/\")) NIL";
    bob.expect("NAMESPACE", &[namespace, "# OK NAMESPACE completed"]).await;
    let listed = "# OK LIST completed";
    bob.expect("LIST \"\" /home/%", &[listed]).await;
    bob.expect("LIST /home/ *", &[listed]).await;
    alice.ok("SETACL Work bob lr").await;
    let top = "* LIST (\\Noselect \\HasChildren) \"/\" /home/alice@example.com";
    let home = "* LIST (\\Noselect \\HasChildren) \"/\" /home";
    let work = format!("* LIST (\\HasChildren) \"/\" {WORK}");
    let deep = format!("* LIST (\\HasNoChildren) \"/\" {WORK}/Deep");
    bob.expect("LIST \"\" /%", &[home, listed]).await;
    bob.expect("LIST /home/ %", &[top, listed]).await;
    bob.expect("LIST \"\" /home/*", &[top, &work, &deep, listed]).await;
    bob.expect("LIST /home/alice@example.com/ %", &[&work, listed]).await;
    bob.expect("LIST \"\" /home/alice@example.com/%/D%", &[&deep, listed]).await;
    bob.expect("LIST /home/ \"\"", &["* LIST (\\Noselect) \"/\" \"/home/\"", listed]).await;
    let reply = bob.ok("LIST \"\" *").await;
    assert!(!reply.contains("/home"), "{reply}");
    alice.expect("LIST /home/ *", &[listed]).await;

    let query = format!("LIST \"\" {WORK} RETURN (MYRIGHTS STATUS (MESSAGES))");
    let status = format!("* STATUS {WORK} (MESSAGES 2)");
    let rights = format!("* MYRIGHTS {WORK} lr");
    bob.expect(&query, &[&work, &status, &rights, listed]).await;
    let reply = alice.ok("LIST \"\" Work RETURN (MYRIGHTS)").await;
    assert!(reply.contains("* MYRIGHTS Work lrswipkxteacd\r\n"), "{reply}");

    // A subscription is the subscriber's, by name.
    bob.ok(&format!("SUBSCRIBE {WORK}")).await;
    refused(&mut bob, "SUBSCRIBE /home/alice@example.com/INBOX", "[NONEXISTENT]").await;
    bob.expect("LSUB \"\" /home/*", &[&format!("* LSUB () \"/\" {WORK}"), "# OK LSUB completed"]).await;
    let reply = bob.ok("LSUB \"\" %").await;
    assert!(!reply.contains("\"\"") && !reply.contains("home"), "{reply}");
    bob.expect("LSUB \"\" /%", &["* LSUB (\\Noselect) \"/\" /home", "# OK LSUB completed"]).await;
    let reply = bob.ok("LIST (SUBSCRIBED) \"\" *").await;
    assert!(reply.contains(&format!("* LIST (\\Subscribed) \"/\" {WORK}\r\n")), "{reply}");
    let reply = bob.ok(&format!("LIST \"\" {WORK} RETURN (SUBSCRIBED)")).await;
    assert!(reply.starts_with(&format!("* LIST (\\HasChildren \\Subscribed) \"/\" {WORK}\r\n")), "{reply}");
    let reply = alice.ok("LIST \"\" Work RETURN (SUBSCRIBED)").await;
    assert!(reply.starts_with("* LIST (\\HasChildren) \"/\" Work\r\n"), "{reply}");
    alice.ok("DELETEACL Work bob").await;
    let reply = bob.ok("LIST (SUBSCRIBED) \"\" /home/*").await;
    assert!(reply.contains(&format!("* LIST (\\NonExistent \\Subscribed) \"/\" {WORK}\r\n")), "{reply}");
    bob.expect("LIST /home/ *", &[listed]).await;
    bob.ok(&format!("UNSUBSCRIBE {WORK}")).await;
    bob.expect("LSUB \"\" /home/*", &["# OK LSUB completed"]).await;
}

#[tokio::test]
async fn a_reader_reads_and_nothing_else() {
    let (_site, mut alice, mut bob) = pair().await;
    alice.ok("SETACL Work bob l").await;
    refused(&mut bob, &format!("SELECT {WORK}"), "[NOPERM]").await;
    refused(&mut bob, &format!("STATUS {WORK} (MESSAGES)"), "[NOPERM]").await;
    alice.ok("SETACL Work bob lr").await;
    let reply = bob.ok(&format!("SELECT {WORK}")).await;
    assert!(reply.contains("* 2 EXISTS\r\n* 0 RECENT\r\n") && reply.contains("[PERMANENTFLAGS ()]"), "{reply}");
    assert!(reply.contains("# OK [READ-ONLY] SELECT completed"), "{reply}");
    let reply = bob.ok("FETCH 1 (FLAGS BODY[TEXT])").await;
    assert!(reply.contains("work text 1") && !reply.contains("\\Seen"), "{reply}");
    bob.expect("SEARCH TEXT \"text 2\"", &["* SEARCH 2", "# OK SEARCH completed"]).await;
    for command in ["STORE 1 +FLAGS (\\Seen)", "STORE 1 FLAGS (x)", "EXPUNGE", "MOVE 1 INBOX"] {
        assert!(bob.run(command).await.contains("# NO "), "{command}");
    }
    assert!(bob.append(WORK, &message("x", "x")).await.contains("# NO [NOPERM]"));
    refused(&mut bob, &format!("CREATE {WORK}/New"), "[NOPERM]").await;
    refused(&mut bob, &format!("DELETE {WORK}"), "[NOPERM]").await;
    refused(&mut bob, &format!("RENAME {WORK} {WORK}2"), "[NOPERM]").await;
    refused(&mut bob, "CREATE /home/alice@example.com/Top", "[NOPERM]").await;
    refused(&mut bob, &format!("RENAME {WORK} Mine"), "[CANNOT]").await;
    // Nothing has changed, and \Recent is still the owner's.
    let reply = alice.ok("SELECT Work").await;
    assert!(reply.contains("* 2 EXISTS\r\n* 2 RECENT\r\n") && reply.contains("[UNSEEN 1]"), "{reply}");
}

#[tokio::test]
async fn rights_go_flag_by_flag() {
    let (_site, mut alice, mut bob) = pair().await;
    alice.ok("SETACL Work bob lrs").await;
    let reply = bob.ok(&format!("SELECT {WORK}")).await;
    assert!(reply.contains("[PERMANENTFLAGS (\\Seen)]") && reply.contains("[READ-WRITE]"), "{reply}");
    let reply = bob.ok("STORE 1 FLAGS (\\Seen \\Flagged \\Deleted)").await;
    assert!(reply.contains("FLAGS (\\Seen)"), "{reply}");
    refused(&mut bob, "STORE 1 +FLAGS (\\Deleted)", "[NOPERM]").await;
    refused(&mut bob, "STORE 1 +FLAGS (k)", "[NOPERM]").await;
    // A body fetched sets \Seen, which all who share the folder see.
    bob.ok("FETCH 2 BODY[]").await;
    let reply = alice.ok("STATUS Work (UNSEEN)").await;
    assert_eq!(number_after(&reply, "UNSEEN"), 0, "{reply}");
    // Given in the middle of the session, a right counts from the next command on; so does one that is taken.
    alice.ok("SETACL Work bob lrswte").await;
    let reply = bob.ok("STORE 2 +FLAGS (\\Deleted \\Flagged k)").await;
    assert!(reply.contains("\\Flagged") && reply.contains("\\Deleted") && reply.contains("k"), "{reply}");
    let reply = bob.ok("EXPUNGE").await;
    assert!(reply.contains("* 2 EXPUNGE\r\n"), "{reply}");
    alice.ok("SETACL Work bob lrw").await;
    refused(&mut bob, "EXPUNGE", "[NOPERM]").await;
    refused(&mut bob, "MOVE 1 INBOX", "[NOPERM]").await;
    bob.ok("SELECT INBOX").await;
    let reply = bob.ok(&format!("SELECT {WORK}")).await;
    assert!(reply.contains("[PERMANENTFLAGS (\\Answered \\Flagged \\Draft"), "{reply}");
    alice.ok("SETACL Work bob lr").await;
    let reply = bob.run("STORE 1 +FLAGS (\\Flagged)").await;
    assert!(reply.contains("[PERMANENTFLAGS ()]") && reply.contains("* OK [READ-ONLY]"), "{reply}");
    assert!(reply.contains("# NO [READ-ONLY]"), "{reply}");
    alice.ok("SETACL Work bob lrs").await;
    let reply = bob.ok("FETCH 1 (BODY[])").await;
    assert!(reply.contains("* OK [READ-WRITE]"), "{reply}");
}

#[tokio::test]
async fn sessions_of_both_see_each_other() {
    let (_site, mut alice, mut bob) = pair().await;
    alice.ok("SETACL Work bob lrswit").await;
    alice.ok("SELECT Work").await;
    bob.ok(&format!("SELECT {WORK}")).await;
    bob.send("i IDLE\r\n").await;
    assert_eq!(bob.line().await, "+ idling");
    alice.append("Work", &message("w3", "three")).await;
    assert_eq!(bob.line().await, "* 3 EXISTS");
    bob.line().await;
    alice.ok("STORE 1 +FLAGS (\\Flagged)").await;
    let mut line = bob.line().await;
    while !line.contains("* 1 FETCH") {
        line = bob.line().await;
    }
    assert!(line.contains("\\Flagged"), "{line}");
    bob.send("DONE\r\n").await;
    bob.until_tagged("i").await;
    let reply = bob.append(&format!("{WORK} (\\Flagged)"), &message("from bob", "hello")).await;
    assert!(reply.contains("* 4 EXISTS") && reply.contains("# OK [APPENDUID "), "{reply}");
    let reply = alice.ok("NOOP").await;
    assert!(reply.contains("* 4 EXISTS"), "{reply}");
    // The end of sharing empties the view; nothing more can be had of it.
    alice.ok("DELETEACL Work bob").await;
    let reply = bob.ok("NOOP").await;
    assert!(reply.contains("* 1 EXPUNGE"), "{reply}");
    refused(&mut bob, &format!("SELECT {WORK}"), "[NONEXISTENT]").await;
}

#[tokio::test]
async fn messages_go_from_one_account_to_the_other() {
    let (_site, mut alice, mut bob) = pair().await;
    alice.ok("SETACL Work bob lr").await;
    alice.ok("SELECT Work").await;
    alice.ok("STORE 2 +FLAGS (\\Flagged key)").await;
    let dates = alice.ok("FETCH 1:2 (INTERNALDATE)").await;
    bob.ok(&format!("SELECT {WORK}")).await;
    let reply = bob.ok("COPY 1:2 INBOX").await;
    assert!(reply.contains("# OK [COPYUID ") && reply.contains(" 1:2 1:2] COPY completed"), "{reply}");
    refused(&mut bob, "MOVE 1 INBOX", "").await;
    bob.ok("SELECT INBOX").await;
    let reply = bob.ok("FETCH 1:2 (FLAGS INTERNALDATE BODY.PEEK[TEXT])").await;
    assert!(reply.contains("work text 1") && reply.contains("\\Flagged key"), "{reply}");
    let date = |reply: &str| {
        reply.lines().filter_map(|l| l.split("INTERNALDATE ").nth(1)).map(|l| l[..28].to_string()).collect::<Vec<_>>()
    };
    assert_eq!(date(&reply), date(&dates));
    // The other way, by somebody who may only add: no flags go along.
    alice.ok("SETACL Work bob lri").await;
    bob.ok("STORE 1:2 FLAGS (\\Seen \\Answered)").await;
    let reply = bob.ok(&format!("UID MOVE 1:2 {WORK}")).await;
    assert!(reply.starts_with("* OK [COPYUID ") && reply.contains(" 1:2 3:4] moved\r\n"), "{reply}");
    assert_eq!(reply.matches("EXPUNGE").count(), 2, "{reply}");
    alice.ok("NOOP").await;
    let reply = alice.ok("UID FETCH 3:4 (FLAGS)").await;
    assert!(!reply.contains("\\Seen") && !reply.contains("\\Answered") && reply.contains("UID 4"), "{reply}");
    // Within the other's mailbox.
    alice.ok("SETACL Work bob lrite").await;
    bob.ok(&format!("SELECT {WORK}")).await;
    let reply = bob.ok(&format!("MOVE 3 {WORK}/Deep")).await;
    assert!(reply.contains("* 3 EXPUNGE"), "{reply}");
    let reply = bob.ok("MOVE 1 INBOX").await;
    assert!(reply.contains("[COPYUID ") && reply.contains("* 1 EXPUNGE"), "{reply}");
    let reply = alice.ok("STATUS Work/Deep (MESSAGES)").await;
    assert_eq!(number_after(&reply, "MESSAGES"), 1, "{reply}");
    refused(&mut bob, "COPY 1 /home/alice@example.com/INBOX", "[TRYCREATE]").await;
    refused(&mut bob, "COPY 1 /home/nobody@example.com/INBOX", "").await;
}

#[tokio::test]
async fn folders_are_made_and_unmade_by_rights() {
    let (_site, mut alice, mut bob) = pair().await;
    alice.ok("SETACL Work bob lrkx").await;
    bob.ok(&format!("CREATE {WORK}/New/Newer")).await;
    refused(&mut bob, &format!("CREATE {WORK}/New"), "[ALREADYEXISTS]").await;
    refused(&mut bob, &format!("CREATE {WORK}/Use (USE (\\Sent))"), "").await;
    bob.ok(&format!("RENAME {WORK}/New/Newer {WORK}/Other")).await;
    bob.ok(&format!("DELETE {WORK}/Other")).await;
    refused(&mut bob, &format!("DELETE {WORK}"), "[HASCHILDREN]").await;
    refused(&mut bob, &format!("RENAME {WORK} /home/alice@example.com/Top"), "[NOPERM]").await;
    // Who may only add messages can do that, and knows of nothing else.
    alice.ok("SETACL Work bob i").await;
    assert!(bob.append(WORK, &message("drop", "box")).await.contains("# OK [APPENDUID "));
    for command in ["DELETE", "SELECT", "GETACL", "STATUS"] {
        let rest = if command == "STATUS" { " (MESSAGES)" } else { "" };
        refused(&mut bob, &format!("{command} {WORK}{rest}"), "[NONEXISTENT]").await;
    }
    refused(&mut bob, &format!("RENAME {WORK} {WORK}2"), "[NONEXISTENT]").await;
    bob.expect(
        "LIST \"\" /home/*",
        &["* LIST (\\Noselect \\HasChildren) \"/\" /home/alice@example.com", "# OK LIST completed"],
    )
    .await;
    let reply = alice.ok("LIST Work/ *").await;
    assert!(reply.contains("Work/New\r\n") && !reply.contains("Other"), "{reply}");
}

#[tokio::test]
async fn quota_is_the_owners() {
    let (_site, mut alice, mut bob) = pair().await;
    alice.ok("SETACL Work bob lr").await;
    let root = "/home/alice@example.com";
    let messages = |n: u32| format!("(MESSAGE {n} {})", u32::MAX);
    let quota = format!("* QUOTA {root} {}", messages(3));
    let lines = [&format!("* QUOTAROOT {WORK} {root}"), &quota, "# OK GETQUOTAROOT completed"];
    bob.expect(&format!("GETQUOTAROOT {WORK}"), &lines).await;
    bob.expect(&format!("GETQUOTA {root}"), &[lines[1], "# OK GETQUOTA completed"]).await;
    refused(&mut alice, &format!("GETQUOTA /home/{BOB}"), "[NONEXISTENT]").await;
    refused(&mut bob, "GETQUOTA /home/nobody@example.com", "[NONEXISTENT]").await;
    let own = format!("* QUOTA \"\" {}", messages(0));
    bob.expect("GETQUOTAROOT INBOX", &["* QUOTAROOT INBOX \"\"", &own, "# OK GETQUOTAROOT completed"]).await;
    refused(&mut bob, &format!("SETQUOTA {root} (STORAGE 1)"), "[NONEXISTENT]").await;
}
