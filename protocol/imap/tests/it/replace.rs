//! REPLACE and UID REPLACE (RFC 8508).

use crate::support::{Site, message, number_after};

#[tokio::test]
async fn a_draft_takes_the_old_ones_place() {
    let site = Site::new();
    let mut c = site.alice().await;
    for i in 1..=4 {
        assert!(c.append("Drafts", &message(&format!("d{i}"), "x")).await.contains("# OK"));
    }
    c.ok("SELECT Drafts").await;
    let mut other = site.alice().await;
    other.ok("SELECT Drafts").await;
    let raw = message("new", "draft");
    c.send(format!("A003 REPLACE 4 Drafts (\\Seen \\Draft MyKeyword) {{{}}}\r\n", raw.len())).await;
    assert_eq!(c.line().await, "+ go ahead");
    c.send(format!("{raw}\r\n")).await;
    let reply = c.until_tagged("A003").await;
    let at = |what: &str| reply.find(what).unwrap_or_else(|| panic!("{what} in {reply}"));
    assert!(at("* OK [APPENDUID ") < at("* 5 EXISTS") && at("* 5 EXISTS") < at("* 4 EXPUNGE"), "{reply}");
    assert!(reply.contains(" 5] replacement") && reply.ends_with("# OK REPLACE completed\r\n"), "{reply}");
    let got = c.ok("FETCH 4 (UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])").await;
    assert!(got.contains("UID 5") && got.contains("MyKeyword") && got.contains("Subject: new"), "{got}");
    // Another session hears of both.
    let news = other.ok("NOOP").await;
    assert!(news.contains("* 4 EXPUNGE") && news.contains("EXISTS"), "{news}");
    // By UID, out of parts, the last one, into another mailbox.
    let reply = c.run("UID REPLACE 5 Trash CATENATE (URL \";UID=5/;SECTION=HEADER\" TEXT {3+}\r\nnew)").await;
    assert!(reply.contains("* 4 EXPUNGE\r\n# OK") && !reply.contains("EXISTS"), "{reply}");
    assert_eq!(number_after(&c.ok("STATUS Trash (MESSAGES)").await, "MESSAGES"), 1);
    assert!(c.run(format!("REPLACE * Drafts {{{}+}}\r\n{raw}", raw.len())).await.contains("* 3 EXPUNGE"));
}

#[tokio::test]
async fn refusals_leave_the_old_one() {
    let site = Site::new();
    let mut c = site.inbox().await;
    c.fill_inbox(2).await;
    let raw = message("r", "s");
    let text = |what: &str| format!("{what} {{{}+}}\r\n{raw}", raw.len());
    assert!(c.run(text("REPLACE 3 INBOX")).await.starts_with("# BAD"));
    assert!(c.run(text("UID REPLACE 3 INBOX")).await.starts_with("# NO [NONEXISTENT]"));
    assert!(c.run(text("REPLACE 1 nowhere")).await.starts_with("# NO [TRYCREATE]"));
    assert!(c.run(text("REPLACE 1:2 INBOX")).await.starts_with("# BAD"));
    assert!(c.run(text("REPLACE 1 INBOX (\\Bad)")).await.starts_with("# BAD"));
    assert!(c.run("REPLACE 1 INBOX").await.starts_with("# BAD"));
    // One message for one message.
    let two = format!("{} {{{}+}}\r\n{raw}", text("REPLACE 1 INBOX"), raw.len());
    assert!(c.run(two).await.starts_with("# BAD one message"));
    c.expect("REPLACE 1 INBOX {0}", &["# NO [CANNOT] a message of no bytes"]).await;
    c.expect("REPLACE 1 INBOX {4000000000}", &["# NO [TOOBIG] message is larger than APPENDLIMIT"]).await;
    // Expunged by somebody else meanwhile.
    let mut other = site.inbox().await;
    other.ok("STORE 2 +FLAGS (\\Deleted)").await;
    other.ok("EXPUNGE").await;
    assert!(c.run(text("REPLACE 2 INBOX")).await.contains("# NO [EXPUNGEISSUED]"));
    c.ok("NOOP").await;
    assert_eq!(number_after(&c.ok("STATUS INBOX (MESSAGES)").await, "MESSAGES"), 1);
    c.ok("EXAMINE INBOX").await;
    assert!(c.run(text("REPLACE 1 INBOX")).await.starts_with("# NO [READ-ONLY]"));
    c.ok("UNSELECT").await;
    assert!(c.run(text("REPLACE 1 INBOX")).await.starts_with("# BAD"));
    let mut stranger = site.connect().await;
    assert!(stranger.run(text("REPLACE 1 INBOX")).await.starts_with("# BAD"));
    stranger.expect("NOOP", &["# OK NOOP completed"]).await;
}
