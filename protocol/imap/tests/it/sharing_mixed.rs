//! What the other extensions do in a folder of another account's.
//!
//! Bob has a folder with the same id as the one that is shared with him: whatever asked his own mailbox by mistake would
//! find another message.

use crate::sharing::{BOB, WORK, pair, refused};
use crate::support::{Client, Site, message, number_after};

/// Bob has selected Alice's folder, which has two messages; his own of the same id has one.
async fn twins(rights: &str) -> (Site, Client, Client) {
    let (site, mut alice, mut bob) = pair().await;
    bob.fill_inbox(1).await;
    let own = bob.ok("CREATE Own/Deep").await;
    bob.append("Own", &message("own", "mine")).await;
    assert!(own.contains("MAILBOXID"), "{own}");
    let id = |reply: &str| number_after(reply, "MAILBOXID (F");
    let (hers, his) = (alice.ok("STATUS Work (MAILBOXID)").await, bob.ok("STATUS Own (MAILBOXID)").await);
    assert_eq!(id(&hers.replace("(F", "(F ")), id(&his.replace("(F", "(F ")), "{hers}{his}");
    alice.ok(&format!("SETACL Work bob {rights}")).await;
    alice.ok("SELECT Work").await;
    bob.ok(&format!("SELECT {WORK}")).await;
    (site, alice, bob)
}

#[tokio::test]
async fn sort_thread_and_searches_that_go_on() {
    let (_site, mut alice, mut bob) = twins("lr").await;
    bob.expect("SORT (REVERSE SUBJECT) UTF-8 ALL", &["* SORT 2 1", "# OK SORT completed"]).await;
    bob.expect("THREAD ORDEREDSUBJECT UTF-8 ALL", &["* THREAD (1)(2)", "# OK THREAD completed"]).await;
    bob.expect("UID THREAD REFERENCES UTF-8 SUBJECT w2", &["* THREAD (2)", "# OK THREAD completed"]).await;
    let reply = bob.ok("UID SEARCH RETURN (PARTIAL -1:-1) ALL").await;
    assert!(reply.contains(" UID PARTIAL (-1:-1 2)"), "{reply}");
    let reply = bob.ok("UID FETCH 1:* (FLAGS) (PARTIAL 2:2)").await;
    assert!(reply.starts_with("* 2 FETCH (UID 2 "), "{reply}");
    bob.send("ctx UID SEARCH RETURN (UPDATE COUNT) FLAGGED\r\n").await;
    assert_eq!(bob.until_tagged("ctx").await, "* ESEARCH (TAG \"ctx\") UID COUNT 0\r\n# OK SEARCH completed\r\n");
    alice.ok("STORE 2 +FLAGS (\\Flagged)").await;
    let news = bob.ok("NOOP").await;
    assert!(news.contains("* ESEARCH (TAG \"ctx\") UID ADDTO (0 2)"), "{news}");
    // Whoever may not read may not find either.
    alice.ok("SETACL Work bob l").await;
    for command in ["SORT (DATE) UTF-8 ALL", "THREAD REFS UTF-8 ALL", "SEARCH ALL"] {
        let reply = bob.run(command).await;
        assert!(!reply.contains("SORT 1") && !reply.contains("(1)") && !reply.contains("SEARCH 1"), "{reply}");
    }
    refused(&mut bob, &format!("SELECT {WORK}"), "[NOPERM]").await;
}

#[tokio::test]
async fn what_was_missed_in_a_shared_folder() {
    let (_site, mut alice, mut bob) = twins("lr").await;
    bob.ok("ENABLE QRESYNC").await;
    let selected = bob.ok(&format!("SELECT {WORK}")).await;
    let (validity, modseq) = (number_after(&selected, "[UIDVALIDITY"), number_after(&selected, "[HIGHESTMODSEQ"));
    bob.ok("UNSELECT").await;
    alice.ok("STORE 1 +FLAGS (\\Deleted)").await;
    alice.ok("EXPUNGE").await;
    alice.ok("STORE 1 +FLAGS (\\Flagged)").await;
    let told = bob.ok(&format!("SELECT {WORK} (QRESYNC ({validity} {modseq} 1:2))")).await;
    assert!(told.contains("* VANISHED (EARLIER) 1\r\n") && told.contains("* 1 FETCH (UID 2 MODSEQ"), "{told}");
    assert!(told.contains("\\Flagged") && told.contains("# OK [READ-ONLY] SELECT completed"), "{told}");
    let told = bob.ok(&format!("UID FETCH 1:9 (FLAGS) (CHANGEDSINCE {modseq} VANISHED)")).await;
    assert!(told.contains("* VANISHED (EARLIER) 1\r\n") && told.contains("UID 2"), "{told}");
    // Nor can what is not shared be asked after.
    refused(&mut bob, &format!("SELECT /home/alice@example.com/INBOX (QRESYNC ({validity} 1))"), "[NONEXISTENT]").await;
}

#[tokio::test]
async fn several_messages_at_once_and_pieces() {
    let (_site, mut alice, mut bob) = twins("lri").await;
    let raw = message("many", "x");
    let one = format!("(\\Flagged key) {{{}+}}\r\n{raw}", raw.len());
    let reply = bob.run(format!("APPEND {WORK} {one} {one}")).await;
    assert!(reply.contains("* 4 EXISTS") && reply.contains(" 3:4] APPEND completed"), "{reply}");
    // Without `w`, no flags.
    let reply = alice.ok("FETCH 1:* (FLAGS)").await;
    assert!(!reply.contains("\\Flagged") && !reply.contains("key"), "{reply}");
    // A piece of the selected message, and of one by its name, goes into one's own mailbox.
    let named = "/%2Fhome%2Falice%40example.com%2FWork/;UID=2/;SECTION=TEXT";
    let hidden = "/%2Fhome%2Falice%40example.com%2FINBOX/;UID=1";
    let reply = bob.run(format!("APPEND INBOX CATENATE (URL \"{named}\" URL \"{hidden}\")")).await;
    assert!(reply.contains(&format!("# NO [BADURL {hidden}]")), "{reply}");
    let reply = bob.run(format!("APPEND INBOX CATENATE (URL \";UID=1\" URL \"{named}\")")).await;
    assert!(reply.contains(" 2] APPEND completed"), "{reply}");
    // What is large is uploaded to the owner's mailbox, and given up there.
    let large = format!("{{{}+}}\r\n{}", 500_000, "y".repeat(500_000));
    alice.ok("SETACL Work bob lr").await;
    let reply = bob.run(format!("APPEND {WORK} {large} {one}")).await;
    assert!(reply.contains("# NO [NOPERM]"), "{reply}");
    alice.ok("SETACL Work bob lri").await;
    let reply = bob.run(format!("APPEND {WORK} {large} {one} {{0+}}\r\n")).await;
    assert!(reply.contains("# NO [CANNOT]"), "{reply}");
    let reply = bob.run(format!("APPEND {WORK} {large} {one}")).await;
    assert!(reply.contains(" 5:6] APPEND completed"), "{reply}");
    let reply = bob.ok("FETCH 5 (RFC822.SIZE BODY.PEEK[]<499990.20>)").await;
    assert!(reply.contains("RFC822.SIZE 500000") && reply.contains("yyyyyyyyyy)"), "{reply}");
    bob.ok("SELECT INBOX").await;
    let reply = bob.ok("FETCH 2 BODY.PEEK[TEXT]").await;
    assert!(reply.contains("work text 1") && reply.contains("work text 2"), "{reply}");
    // Access keys are the owner's.
    let url = "imap://bob%40example.com@h/%2Fhome%2Falice%40example.com%2FWork/;UID=1;URLAUTH=anonymous";
    assert!(bob.run(format!("GENURLAUTH \"{url}\" INTERNAL")).await.contains("# NO [NONEXISTENT]"));
    assert!(bob.run(format!("RESETKEY {WORK}")).await.contains("# NO [NONEXISTENT]"));
}

#[tokio::test]
async fn messages_are_replaced_within_one_account() {
    let (_site, mut alice, mut bob) = twins("lriw").await;
    let raw = message("new", "draft");
    let text = |what: &str| format!("{what} {{{}+}}\r\n{raw}", raw.len());
    refused(&mut bob, &text(&format!("REPLACE 1 {WORK}")), "[NOPERM]").await;
    alice.ok("SETACL Work bob lriwte").await;
    assert!(bob.run(text("REPLACE 1 INBOX")).await.contains("# NO [CANNOT]"));
    let reply = bob.run(text(&format!("UID REPLACE 1 {WORK} (\\Draft)"))).await;
    assert!(reply.contains(" 3] replacement") && reply.contains("* 1 EXPUNGE\r\n# OK"), "{reply}");
    let reply = alice.ok("NOOP").await;
    assert!(reply.contains("* 1 EXPUNGE"), "{reply}");
    let reply = alice.ok("UID FETCH 3 (FLAGS BODY.PEEK[TEXT])").await;
    assert!(reply.contains("draft") && reply.contains("\\Draft") && !reply.contains("\\Seen"), "{reply}");
    // The other way round: an own message cannot go for one there.
    bob.ok("SELECT INBOX").await;
    assert!(bob.run(text(&format!("REPLACE 1 {WORK}"))).await.contains("# NO [CANNOT]"));
    assert_eq!(number_after(&bob.ok("STATUS INBOX (MESSAGES)").await, "MESSAGES"), 1);
    assert!(bob.run(text("REPLACE 1 INBOX")).await.contains("# OK REPLACE"));
    alice.ok("SETACL Work bob lrte").await;
    bob.ok(&format!("SELECT {WORK}")).await;
    assert!(bob.run(text(&format!("REPLACE 1 {WORK}"))).await.contains("# NO [NOPERM]"));
}

#[tokio::test]
async fn news_of_both_mailboxes() {
    let (site, mut alice, mut bob) = twins("lr").await;
    let mut again = site.connect().await;
    again.ok(&format!("LOGIN {BOB} pw")).await;
    bob.ok("NOTIFY SET (SELECTED (MessageNew MessageExpunge FlagChange)) (PERSONAL (MessageNew MessageExpunge))").await;
    for idle in [false, true] {
        if idle {
            bob.send("i IDLE\r\n").await;
            assert_eq!(bob.line().await, "+ idling");
        }
        alice.append("Work", &message("news", "x")).await;
        let line = bob.line().await;
        assert!(line.ends_with(" EXISTS"), "{line}");
        let line = bob.line().await;
        assert!(line.ends_with(" RECENT"), "{line}");
        // The folder of the same id in his own mailbox is not the selected one.
        again.append("Own", &message("more", "x")).await;
        let line = bob.line().await;
        assert!(line.starts_with("* STATUS Own (MESSAGES "), "{line}");
        if idle {
            bob.send("DONE\r\n").await;
            assert_eq!(bob.until_tagged("i").await, "# OK IDLE completed\r\n");
        }
    }
    // Back in his own, hers is of no concern.
    bob.ok("SELECT INBOX").await;
    alice.append("Work", &message("news", "x")).await;
    again.append("INBOX", &message("more", "x")).await;
    assert_eq!(bob.line().await, "* 2 EXISTS");
    assert!(!bob.ok("NOOP").await.contains("Work"));
}

#[tokio::test]
async fn object_ids_tell_whose_they_are() {
    let (_site, mut alice, mut bob) = twins("lrik").await;
    let between = |reply: &str, from: &str| {
        let rest = reply.split(from).nth(1).unwrap_or_else(|| panic!("{from} in {reply}"));
        rest.split(')').next().unwrap_or_default().to_string()
    };
    let his = between(&bob.ok("STATUS Own (MAILBOXID)").await, "MAILBOXID (");
    let hers = between(&bob.ok(&format!("STATUS {WORK} (MAILBOXID)")).await, "MAILBOXID (");
    assert!(hers.starts_with(&format!("{his}-")), "{his} {hers}");
    let reply = bob.ok(&format!("SELECT {WORK}")).await;
    assert_eq!(between(&reply, "[MAILBOXID ("), hers);
    let reply = bob.ok(&format!("LIST \"\" {WORK} RETURN (STATUS (MAILBOXID))")).await;
    assert_eq!(between(&reply, "MAILBOXID ("), hers);
    assert!(bob.ok(&format!("CREATE {WORK}/Sub")).await.contains(&hers[his.len()..]));
    let fetched = bob.ok("FETCH 2 (EMAILID THREADID)").await;
    let (email, thread) = (between(&fetched, "EMAILID ("), between(&fetched, "THREADID ("));
    assert!(email.ends_with(&hers[his.len()..]) && thread.ends_with(&hers[his.len()..]), "{fetched}");
    bob.expect(&format!("SEARCH EMAILID {email}"), &["* SEARCH 2", "# OK SEARCH completed"]).await;
    bob.expect(&format!("SEARCH THREADID {thread}"), &["* SEARCH 2", "# OK SEARCH completed"]).await;
    let bare = email.split('-').next().unwrap_or_default();
    bob.expect(&format!("SEARCH EMAILID {bare}"), &["* SEARCH", "# OK SEARCH completed"]).await;
    alice.expect(&format!("SEARCH EMAILID {bare}"), &["* SEARCH 2", "# OK SEARCH completed"]).await;
    bob.ok("SELECT Own").await;
    bob.expect(&format!("SEARCH EMAILID {email}"), &["* SEARCH", "# OK SEARCH completed"]).await;
}

#[tokio::test]
async fn names_of_imap4rev2() {
    let (_site, mut alice, mut bob) = twins("lrk").await;
    bob.ok("ENABLE IMAP4rev2").await;
    let reply = bob.ok("SELECT /home/alice@example.com/work").await;
    assert!(
        reply.contains(&format!("* LIST () \"/\" {WORK} (\"OLDNAME\" (/home/alice@example.com/work))\r\n")),
        "{reply}"
    );
    assert!(!reply.contains("RECENT") && !reply.contains("UNSEEN"), "{reply}");
    let reply = bob.ok(&format!("CREATE {WORK}/Sub/")).await;
    assert!(reply.contains(&format!("* LIST () \"/\" {WORK}/Sub (\"OLDNAME\"")), "{reply}");
    let reply = alice.ok("STATUS Work (RECENT DELETED-STORAGE)").await;
    assert!(reply.contains("RECENT 0 DELETED-STORAGE 0"), "{reply}");
    alice.ok("STORE 1 +FLAGS (\\Deleted)").await;
    let size = number_after(&alice.ok("FETCH 1 (RFC822.SIZE)").await, "RFC822.SIZE");
    let reply = bob.ok(&format!("STATUS {WORK} (DELETED-STORAGE)")).await;
    assert_eq!(number_after(&reply, "DELETED-STORAGE"), size, "{reply}");
    let reply = bob.ok(&format!("LIST \"\" {WORK} RETURN (STATUS (DELETED-STORAGE))")).await;
    assert_eq!(number_after(&reply, "DELETED-STORAGE"), size, "{reply}");
}
