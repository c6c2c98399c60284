//! SEARCH: keys, ESEARCH, SEARCHRES, CONDSTORE.

use crate::support::{Client, Site, message, number_after};

async fn finds(c: &mut Client, keys: &str, expect: &str) {
    let shown = if expect.is_empty() { "* SEARCH".to_string() } else { format!("* SEARCH {expect}") };
    c.expect(&format!("SEARCH {keys}"), &[&shown, "# OK SEARCH completed"]).await;
}

/// Three messages: 1 old and seen, 2 flagged with a keyword, 3 large and new.
async fn three(site: &Site) -> Client {
    let mut c = site.alice().await;
    c.append("INBOX (\\Seen \\Answered) \"1-Feb-1994 12:00:00 +0000\"", &message("alpha", "first words")).await;
    c.append("INBOX (\\Flagged work $Forwarded) \"1-Mar-2000 12:00:00 +0000\"", &message("beta", "gr\u{fc}n")).await;
    c.append("INBOX", &message("gamma", &"word ".repeat(500)).replace("17 Jul 1996", "18 Jul 1996")).await;
    c.ok("SELECT INBOX").await;
    c
}

#[tokio::test]
async fn keys() {
    let site = Site::new();
    let mut c = three(&site).await;
    for (keys, expect) in [
        ("ALL", "1 2 3"),
        ("2:*", "2 3"),
        ("UID 3,1", "1 3"),
        ("NOT 2", "1 3"),
        ("SEEN", "1"),
        ("UNSEEN", "2 3"),
        ("ANSWERED", "1"),
        ("UNANSWERED", "2 3"),
        ("FLAGGED", "2"),
        ("UNFLAGGED", "1 3"),
        ("DELETED", ""),
        ("UNDELETED", "1 2 3"),
        ("DRAFT", ""),
        ("UNDRAFT", "1 2 3"),
        ("RECENT", "1 2 3"),
        ("NEW", "2 3"),
        ("OLD", ""),
        ("KEYWORD WORK", "2"),
        ("UNKEYWORD work", "1 3"),
        ("KEYWORD $Forwarded", "2"),
        ("LARGER 1000", "3"),
        ("SMALLER 1000", "1 2"),
        ("BEFORE 1-Feb-1994", ""),
        ("ON 1-Feb-1994", "1"),
        ("SINCE \"1-Feb-1994\"", "1 2 3"),
        ("SINCE 2-Feb-1994 BEFORE 1-Jan-2001", "2"),
        ("OLDER 60", "1 2"),
        ("YOUNGER 31536000", "3"),
        ("SENTON 17-Jul-1996", "1 2"),
        ("SENTBEFORE 17-Jul-1996", ""),
        ("SENTSINCE 18-Jul-1996", "3"),
        ("FROM gray", "1 2 3"),
        ("TO ALICE SUBJECT beta", "2"),
        ("CC x", ""),
        ("BCC x", ""),
        ("HEADER X-Rare \"\"", "1 2 3"),
        ("HEADER X-None \"\"", ""),
        ("BODY words", "1"),
        ("TEXT alpha", "1"),
        ("CHARSET UTF-8 BODY \"gr\u{fc}n\"", "2"),
        ("BODY {5+}\r\nGR\u{dc}N", "2"),
        ("OR SEEN FLAGGED", "1 2"),
        ("(OR SEEN (FLAGGED KEYWORD work)) NOT ANSWERED", "2"),
        ("EMAILID M999999", ""),
        ("THREADID T1", ""),
        ("SAVEDBEFORE 1-Jan-2000", ""),
        ("SAVEDSINCE 1-Jan-2000 SAVEDATESUPPORTED", "1 2 3"),
    ] {
        finds(&mut c, keys, expect).await;
    }
}

#[tokio::test]
async fn bad_searches() {
    let site = Site::new();
    let mut c = three(&site).await;
    c.expect("SEARCH CHARSET X-KLINGON ALL", &["# NO [BADCHARSET (US-ASCII UTF-8)] unknown charset"]).await;
    let deep = format!("SEARCH {}ALL", "NOT ".repeat(60));
    for bad in [
        "SEARCH",
        "SEARCH 4",
        "SEARCH FOO",
        "SEARCH OR SEEN",
        "SEARCH ()",
        "SEARCH (SEEN",
        "SEARCH ON yesterday",
        "SEARCH OLDER 0",
        &deep,
    ] {
        assert!(c.run(bad).await.starts_with("# BAD"), "{bad}");
    }
}

#[tokio::test]
async fn extended_results() {
    let site = Site::new();
    let mut c = three(&site).await;
    c.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    c.ok("EXPUNGE").await;
    c.send("q1 UID SEARCH RETURN (MIN MAX COUNT ALL) UNDELETED\r\n").await;
    assert_eq!(
        c.until_tagged("q1").await,
        "* ESEARCH (TAG \"q1\") UID MIN 2 MAX 3 COUNT 2 ALL 2:3\r\n# OK SEARCH completed\r\n"
    );
    c.send("q2 SEARCH RETURN () UNDELETED\r\n").await;
    assert_eq!(c.until_tagged("q2").await, "* ESEARCH (TAG \"q2\") ALL 1:2\r\n# OK SEARCH completed\r\n");
    c.send("q3 SEARCH RETURN (MIN COUNT ALL) DELETED\r\n").await;
    assert_eq!(c.until_tagged("q3").await, "* ESEARCH (TAG \"q3\") COUNT 0\r\n# OK SEARCH completed\r\n");
    c.send("q4 SEARCH RETURN (MAX) MODSEQ 1\r\n").await;
    let max = c.until_tagged("q4").await;
    assert!(max.contains("* ESEARCH (TAG \"q4\") MAX 2 MODSEQ "), "{max}");
    let plain = c.ok("SEARCH MODSEQ \"/flags/\\\\draft\" all 1").await;
    assert!(plain.starts_with("* SEARCH 1 2 (MODSEQ ") && number_after(&plain, "(MODSEQ") > 0, "{plain}");
    c.expect("SEARCH MODSEQ 999999", &["* SEARCH", "# OK SEARCH completed"]).await;
}

#[tokio::test]
async fn saved_results() {
    let site = Site::new();
    let mut c = three(&site).await;
    c.expect("SEARCH RETURN (SAVE) UNSEEN", &["# OK SEARCH completed"]).await;
    c.expect("FETCH $ UID", &["* 2 FETCH (UID 2)", "* 3 FETCH (UID 3)", "# OK FETCH completed"]).await;
    finds(&mut c, "$ FLAGGED", "2").await;
    c.ok("UID SEARCH RETURN (SAVE MAX) UNSEEN").await;
    c.expect("UID FETCH $ UID", &["* 3 FETCH (UID 3)", "# OK FETCH completed"]).await;
    c.ok("UID STORE $ +FLAGS.SILENT (\\Deleted)").await;
    c.ok("EXPUNGE").await;
    c.expect("FETCH $ UID", &["# OK FETCH completed"]).await;
    c.ok("SEARCH RETURN (SAVE) ALL").await;
    assert!(c.run("SEARCH RETURN (SAVE) 17").await.starts_with("# BAD"));
    c.expect("FETCH $ UID", &["* 1 FETCH (UID 1)", "* 2 FETCH (UID 2)", "# OK FETCH completed"]).await;
}

/// Days are the account's (`zimbraPrefTimeZoneId`), and dates are told as its clocks show them.
#[tokio::test]
async fn days_of_the_users_zone() {
    let site = Site::new();
    let zone = zcluster_api::directory::Modification::set("zimbraPrefTimeZoneId", "Asia/Tokyo");
    let modify = zcluster_api::DirectoryCommand::ModifyAccount { id: site.alice, changes: vec![zone] };
    site.memory.command(modify).unwrap();
    let mut c = site.inbox().await;
    c.append("INBOX \" 1-Feb-1994 14:59:59 +0000\"", &message("first", "x")).await;
    c.append("INBOX \" 1-Feb-1994 15:00:00 +0000\"", &message("second", "x")).await;
    c.expect(
        "FETCH 1:* INTERNALDATE",
        &[
            "* 1 FETCH (INTERNALDATE \" 1-Feb-1994 23:59:59 +0900\")",
            "* 2 FETCH (INTERNALDATE \" 2-Feb-1994 00:00:00 +0900\")",
            "# OK FETCH completed",
        ],
    )
    .await;
    for (key, found) in
        [("ON 1-Feb-1994", " 1"), ("ON 2-Feb-1994", " 2"), ("BEFORE 2-Feb-1994", " 1"), ("SINCE 3-Feb-1994", "")]
    {
        c.expect(&format!("SEARCH {key}"), &[&format!("* SEARCH{found}"), "# OK SEARCH completed"]).await;
    }
    assert!(c.ok("FETCH 1 SAVEDATE").await.contains(" +0900\")"));
}
