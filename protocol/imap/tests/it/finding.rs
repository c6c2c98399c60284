//! SORT, THREAD, ESORT, PARTIAL, contexts and object ids.

use crate::support::{Client, Site};

/// A message with these header fields.
fn mail(fields: &str) -> String {
    format!("{}\r\n\r\ntext\r\n", fields.trim_end().replace('\n', "\r\n"))
}

async fn add(c: &mut Client, arguments: &str, fields: &str) {
    let reply = c.append(&format!("INBOX {arguments}"), &mail(fields)).await;
    assert!(reply.contains("# OK [APPENDUID "), "{reply}");
}

/// Five messages to put in order.
async fn five(site: &Site) -> Client {
    let mut c = site.alice().await;
    add(
        &mut c,
        "(\\Seen) \"3-Feb-2000 12:00:00 +0000\"",
        "Date: Tue, 1 Feb 2000 10:00:00 +0100\nFrom: Zoe <b@x.org>\nTo: m@y\nSubject: Re: [l] beta\nCc: q@y",
    )
    .await;
    add(
        &mut c,
        "() \"1-Feb-2000 12:00:00 +0000\"",
        "Date: Tue, 1 Feb 2000 09:30:00 +0000\nFrom: adam@x.org\nTo: Ann <z@y>\nSubject: alpha",
    )
    .await;
    add(
        &mut c,
        "(\\Seen) \"2-Feb-2000 12:00:00 +0000\"",
        "From: =?utf-8?q?=C3=84nne?= <c@x.org>\nTo: k@y\nSubject: BETA\nCc: p@y",
    )
    .await;
    add(&mut c, "() \"4-Feb-2000 12:00:00 +0000\"", "Date: Mon, 31 Jan 2000 10:00:00 +0000\nFrom: B@x.org\nTo: k@y\nX: a much longer header than the others have, for SIZE is to tell them apart\nX-More: still more of it here").await;
    add(
        &mut c,
        "() \"5-Feb-2000 12:00:00 +0000\"",
        "Date: junk\nFrom: \"d e\" <a@x.org>\nSubject: =?iso-8859-1?q?=E4pfel?=",
    )
    .await;
    c.ok("SELECT INBOX").await;
    c
}

async fn sorts(c: &mut Client, criteria: &str, expect: &str) {
    let shown = format!("* SORT {expect}");
    c.expect(&format!("SORT ({criteria}) UTF-8 ALL"), &[shown.trim_end(), "# OK SORT completed"]).await;
}

#[tokio::test]
async fn sort_criteria() {
    let site = Site::new();
    let mut c = five(&site).await;
    sorts(&mut c, "ARRIVAL", "2 3 1 4 5").await;
    sorts(&mut c, "REVERSE ARRIVAL", "5 4 1 3 2").await;
    sorts(&mut c, "DATE", "4 1 2 3 5").await;
    // "", "ALPHA", "BETA" twice, and a decomposed A behind the plain letters it begins with.
    sorts(&mut c, "SUBJECT", "4 2 5 1 3").await;
    sorts(&mut c, "SUBJECT REVERSE DATE", "4 2 5 3 1").await;
    sorts(&mut c, "FROM", "5 2 1 4 3").await;
    sorts(&mut c, "TO DATE", "5 4 3 1 2").await;
    sorts(&mut c, "CC", "2 4 5 3 1").await;
    sorts(&mut c, "DISPLAYFROM", "2 3 4 5 1").await;
    sorts(&mut c, "DISPLAYTO", "5 2 3 4 1").await;
    let largest = c.ok("SORT (REVERSE SIZE) US-ASCII ALL").await;
    assert!(largest.starts_with("* SORT 4 "), "{largest}");
    c.expect("UID SORT (REVERSE DATE) UTF-8 SEEN", &["* SORT 3 1", "# OK SORT completed"]).await;
    c.expect("SORT (DATE) UTF-8 DELETED", &["* SORT", "# OK SORT completed"]).await;
    let modseq = c.ok("SORT (DATE) UTF-8 MODSEQ 1 SEEN").await;
    assert!(modseq.contains("* SORT 1 3 (MODSEQ "), "{modseq}");
    c.expect("SORT (DATE) X-KLINGON ALL", &["# NO [BADCHARSET (US-ASCII UTF-8)] unknown charset"]).await;
    let many = format!("SORT ({}) UTF-8 ALL", "DATE ".repeat(17).trim_end());
    for bad in [
        "SORT",
        "SORT () UTF-8 ALL",
        "SORT (DATE)",
        "SORT (DATE) UTF-8",
        "SORT (REVERSE) UTF-8 ALL",
        "SORT (X) UTF-8 ALL",
        "SORT DATE UTF-8 ALL",
        "THREAD",
        "THREAD REFERENCES UTF-8",
        "THREAD X UTF-8 ALL",
        "SORT (DATE) UTF-8 9",
        "UID SORT RETURN (X) (DATE) UTF-8 ALL",
        &many,
    ] {
        assert!(c.run(bad).await.starts_with("# BAD"), "{bad}");
    }
    c.ok("NOOP").await;
}

#[tokio::test]
async fn extended_sort() {
    let site = Site::new();
    let mut c = five(&site).await;
    c.send("e1 SORT RETURN () (REVERSE DATE) UTF-8 ALL\r\n").await;
    assert_eq!(c.until_tagged("e1").await, "* ESEARCH (TAG \"e1\") ALL 5,3,2,1,4\r\n# OK SORT completed\r\n");
    c.send("e2 UID SORT RETURN (MIN MAX COUNT ALL) (ARRIVAL) UTF-8 ALL\r\n").await;
    assert_eq!(
        c.until_tagged("e2").await,
        "* ESEARCH (TAG \"e2\") UID MIN 2 MAX 5 COUNT 5 ALL 2:3,1,4:5\r\n# OK SORT completed\r\n"
    );
    c.send("e3 SORT RETURN (PARTIAL 2:3 COUNT) (ARRIVAL) UTF-8 ALL\r\n").await;
    assert_eq!(
        c.until_tagged("e3").await,
        "* ESEARCH (TAG \"e3\") COUNT 5 PARTIAL (2:3 3,1)\r\n# OK SORT completed\r\n"
    );
    c.send("e4 SORT RETURN (SAVE MIN) (DATE) UTF-8 ALL\r\n").await;
    assert_eq!(c.until_tagged("e4").await, "* ESEARCH (TAG \"e4\") MIN 4\r\n# OK SORT completed\r\n");
    c.expect("SEARCH $", &["* SEARCH 4", "# OK SEARCH completed"]).await;
    c.ok("SORT RETURN (SAVE) (DATE) UTF-8 SEEN").await;
    c.expect("SEARCH $", &["* SEARCH 1 3", "# OK SEARCH completed"]).await;
    c.expect("THREAD REFERENCES UTF-8 $", &["* THREAD (3 1)", "# OK THREAD completed"]).await;
}

#[tokio::test]
async fn partial_results() {
    let site = Site::new();
    let mut c = five(&site).await;
    c.ok("STORE 2 +FLAGS.SILENT (\\Deleted)").await;
    c.ok("EXPUNGE").await;
    for (n, range, shown) in
        [(1, "1:2", "1,3"), (2, "-1:-2", "4:5"), (3, "4:9", "5"), (4, "5:9", "NIL"), (5, "-9:-4", "1")]
    {
        c.send(format!("p{n} UID SEARCH RETURN (PARTIAL {range}) ALL\r\n")).await;
        let want = format!("* ESEARCH (TAG \"p{n}\") UID PARTIAL ({range} {shown})\r\n# OK SEARCH completed\r\n");
        assert_eq!(c.until_tagged(&format!("p{n}")).await, want);
    }
    for (save, kept) in [("PARTIAL 2:3", "3:4"), ("PARTIAL 2:2 MAX", "3,5"), ("PARTIAL 1:1 COUNT", "1,3:5")] {
        c.ok(&format!("UID SEARCH RETURN (SAVE {save}) ALL")).await;
        c.send("k UID SEARCH RETURN (ALL) $\r\n").await;
        assert_eq!(
            c.until_tagged("k").await,
            format!("* ESEARCH (TAG \"k\") UID ALL {kept}\r\n# OK SEARCH completed\r\n")
        );
    }
    c.expect(
        "UID FETCH 1:* (UID) (PARTIAL -1:-2)",
        &["* 3 FETCH (UID 4)", "* 4 FETCH (UID 5)", "# OK FETCH completed"],
    )
    .await;
    c.expect("UID FETCH 2:* (UID) (PARTIAL 1:1)", &["* 2 FETCH (UID 3)", "# OK FETCH completed"]).await;
    let changed = c.ok("UID FETCH 1:* (UID) (PARTIAL 1:2 CHANGEDSINCE 4)").await;
    assert!(changed.contains("(UID 4 ") && changed.contains("(UID 5 ") && !changed.contains("(UID 3 "), "{changed}");
    for bad in ["FETCH 1:* UID (PARTIAL 1:1)", "UID FETCH 1:* UID (PARTIAL 0:1)", "SEARCH RETURN (ALL PARTIAL 1:2) ALL"]
    {
        assert!(c.run(bad).await.starts_with("# BAD"), "{bad}");
    }
}

#[tokio::test]
async fn threads() {
    let site = Site::new();
    let mut c = site.alice().await;
    let date = |n: u32| format!("Date: Tue, {n} Feb 2000 10:00:00 +0000\n");
    for (n, fields) in [
        "Message-ID: <a@x>\nSubject: one",
        "Message-ID: <b@x>\nSubject: Re: one\nIn-Reply-To: <a@x>",
        "Message-ID: <c@x>\nSubject: Re: one\nReferences: <a@x> <b@x>",
        "Message-ID: <d@x>\nSubject: Re: one\nReferences: <a@x>",
        "Message-ID: <e@x>\nSubject: two",
        "Message-ID: <f@x>\nSubject: Re: one",
        "Message-ID: <g@x>\nSubject: three\nReferences: <none@x>",
        "Message-ID: <h@x>\nSubject: three\nReferences: <none@x>",
    ]
    .iter()
    .enumerate()
    {
        add(&mut c, "()", &format!("{}{fields}", date(n as u32 + 1))).await;
    }
    c.ok("SELECT INBOX").await;
    c.expect("THREAD REFERENCES UTF-8 ALL", &["* THREAD (1 (2 3)(4)(6))(5)((7)(8))", "# OK THREAD completed"]).await;
    c.expect("THREAD REFS UTF-8 ALL", &["* THREAD (1 (2 3)(4))(5)(6)((7)(8))", "# OK THREAD completed"]).await;
    c.expect("THREAD ORDEREDSUBJECT US-ASCII ALL", &["* THREAD (1 (2)(3)(4)(6))(5)(7 8)", "# OK THREAD completed"])
        .await;
    c.expect("THREAD REFERENCES UTF-8 2:3", &["* THREAD (2 3)", "# OK THREAD completed"]).await;
    c.expect("THREAD REFERENCES UTF-8 SEEN", &["* THREAD", "# OK THREAD completed"]).await;
    c.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    c.ok("EXPUNGE").await;
    c.expect("UID THREAD REFERENCES UTF-8 ALL", &["* THREAD ((2 3)(4)(6))(5)((7)(8))", "# OK THREAD completed"]).await;
    // THREADID stays what it was.
    let ids = c.ok("FETCH 1:* (THREADID EMAILID)").await;
    let of =
        |n: usize| ids.lines().nth(n - 1).and_then(|l| l.split("THREADID (").nth(1)).and_then(|l| l.split(')').next());
    assert!(of(1).is_some_and(|t| t.starts_with('T')), "{ids}");
    // An answer that names none joins by its subject (`zimbraMailThreadingAlgorithm` is `references`).
    assert!(of(1) == of(2) && of(2) == of(3) && of(4) != of(1) && of(5) == of(1) && of(6) == of(7), "{ids}");
    let thread = of(1).unwrap_or_default().to_string();
    c.expect(&format!("SEARCH THREADID {thread}"), &["* SEARCH 1 2 3 5", "# OK SEARCH completed"]).await;
}

#[tokio::test]
async fn copies_share_their_email_id() {
    let site = Site::new();
    let mut c = site.inbox().await;
    c.fill_inbox(1).await;
    c.ok("NOOP").await;
    c.ok("COPY 1 INBOX").await;
    let both = c.ok("FETCH 1:2 EMAILID").await;
    let id = |n: usize| {
        both.lines().filter(|l| l.contains("EMAILID")).nth(n).map(|l| l.split("EMAILID ").nth(1).map(str::to_string))
    };
    assert_eq!(id(0), id(1), "{both}");
    let id = both.split("EMAILID (").nth(1).and_then(|l| l.split(')').next()).unwrap_or_default().to_string();
    c.expect(&format!("SEARCH EMAILID {id}"), &["* SEARCH 1 2", "# OK SEARCH completed"]).await;
    c.expect("SEARCH SAVEDSINCE 1-Jan-2020 FUZZY SUBJECT s1", &["* SEARCH 1 2", "# OK SEARCH completed"]).await;
}

#[tokio::test]
async fn contexts_of_search() {
    let site = Site::new();
    let mut c = five(&site).await;
    let mut other = site.inbox().await;
    c.send("u1 UID SEARCH RETURN (UPDATE COUNT) SEEN\r\n").await;
    assert_eq!(c.until_tagged("u1").await, "* ESEARCH (TAG \"u1\") UID COUNT 2\r\n# OK SEARCH completed\r\n");
    other.ok("STORE 2 +FLAGS.SILENT (\\Seen)").await;
    other.ok("STORE 3 -FLAGS.SILENT (\\Seen)").await;
    let news = c.ok("NOOP").await;
    assert!(news.contains("* ESEARCH (TAG \"u1\") UID REMOVEFROM (0 3) ADDTO (0 2)\r\n"), "{news}");
    // Its own changes count too.
    let own = c.ok("STORE 4:5 +FLAGS (\\Seen)").await;
    assert!(own.contains("* ESEARCH (TAG \"u1\") UID ADDTO (0 4:5)\r\n"), "{own}");
    // Out of the result before out of the mailbox.
    other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    other.ok("EXPUNGE").await;
    let gone = c.ok("NOOP").await;
    let (out, expunged) = (gone.find("UID REMOVEFROM (0 1)"), gone.find("* 1 EXPUNGE"));
    assert!(out.is_some() && out < expunged, "{gone}");
    // New mail, after its EXISTS.
    add(&mut other, "(\\Seen)", "Subject: new").await;
    let new = c.ok("NOOP").await;
    assert!(new.find("EXISTS") < new.find("* ESEARCH (TAG \"u1\") UID ADDTO (0 6)"), "{new}");
    c.send("u1 SEARCH RETURN (UPDATE) ALL\r\n").await;
    assert!(c.until_tagged("u1").await.starts_with("# BAD"), "a tag in use");
    c.expect("CANCELUPDATE \"u1\"", &["# OK CANCELUPDATE completed"]).await;
    assert!(c.run("CANCELUPDATE \"u1\"").await.starts_with("# BAD"));
    other.ok("STORE 1 -FLAGS.SILENT (\\Seen)").await;
    assert!(!c.ok("NOOP").await.contains("ESEARCH"));
}

#[tokio::test]
async fn contexts_of_sort() {
    let site = Site::new();
    let mut c = five(&site).await;
    let mut other = site.inbox().await;
    c.send("u1 SORT RETURN (UPDATE ALL) (ARRIVAL) UTF-8 UNFLAGGED\r\n").await;
    assert_eq!(c.until_tagged("u1").await, "* ESEARCH (TAG \"u1\") ALL 2:3,1,4:5\r\n# OK SORT completed\r\n");
    other.ok("STORE 1,3 +FLAGS.SILENT (\\Flagged)").await;
    let news = c.ok("NOOP").await;
    assert!(news.contains("* ESEARCH (TAG \"u1\") REMOVEFROM (3 1 2 3)\r\n"), "{news}");
    other.ok("STORE 1,3 -FLAGS.SILENT (\\Flagged)").await;
    let news = c.ok("NOOP").await;
    assert!(news.contains("* ESEARCH (TAG \"u1\") ADDTO (2 3 3 1)\r\n"), "{news}");
    other.ok("STORE 2 +FLAGS.SILENT (\\Deleted)").await;
    other.ok("EXPUNGE").await;
    let gone = c.ok("NOOP").await;
    assert!(gone.contains("* ESEARCH (TAG \"u1\") REMOVEFROM (1 2)\r\n* 2 EXPUNGE\r\n"), "{gone}");
    add(&mut other, "() \"2-Feb-2000 13:00:00 +0000\"", "Subject: new").await;
    let new = c.ok("NOOP").await;
    assert!(new.contains("* ESEARCH (TAG \"u1\") ADDTO (2 5)\r\n"), "{new}");
}

#[tokio::test]
async fn contexts_are_bounded() {
    let site = Site::new();
    let mut c = five(&site).await;
    for n in 1..=8 {
        c.send(format!("u{n} SEARCH RETURN (UPDATE COUNT) ALL\r\n")).await;
        assert!(!c.until_tagged(&format!("u{n}")).await.contains("NOUPDATE"));
    }
    c.send("u9 SEARCH RETURN (UPDATE COUNT CONTEXT) ALL\r\n").await;
    assert_eq!(
        c.until_tagged("u9").await,
        "* ESEARCH (TAG \"u9\") COUNT 5\r\n* NO [NOUPDATE \"u9\"] too many searches are being updated\r\n# OK SEARCH completed\r\n"
    );
    c.ok("SELECT INBOX").await;
    assert!(c.run("CANCELUPDATE \"u1\"").await.starts_with("# BAD"), "selecting anew ends them");
}

#[tokio::test]
async fn contexts_are_told_in_idle() {
    let site = Site::new();
    let mut c = five(&site).await;
    let mut other = site.inbox().await;
    c.send("u1 UID SEARCH RETURN (UPDATE COUNT) DELETED\r\n").await;
    c.until_tagged("u1").await;
    c.send("i IDLE\r\n").await;
    assert_eq!(c.line().await, "+ idling");
    other.ok("STORE 2 +FLAGS.SILENT (\\Deleted)").await;
    assert!(c.line().await.starts_with("* 2 FETCH "));
    assert_eq!(c.line().await, "* ESEARCH (TAG \"u1\") UID ADDTO (0 2)");
    c.send("DONE\r\n").await;
    assert!(c.until_tagged("i").await.starts_with("# OK"));
}

/// RFC 5465 §7: what is asked of new messages in the result comes behind their EXISTS and before the ADDTO.
#[tokio::test]
async fn contexts_tell_of_what_arrives() {
    let site = Site::new();
    let mut c = five(&site).await;
    let mut other = site.inbox().await;
    c.send("u1 UID SEARCH RETURN (COUNT UPDATE (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])) UNDELETED\r\n").await;
    assert!(c.until_tagged("u1").await.contains(" COUNT 5\r\n"));
    add(&mut other, "(\\Deleted)", "Subject: not in it").await;
    assert!(!c.ok("NOOP").await.contains("Subject:"));
    add(&mut other, "()", "Subject: new").await;
    let news = c.ok("NOOP").await;
    let order = [
        "* 7 EXISTS\r\n",
        "* 7 FETCH (UID 7 BODY[HEADER.FIELDS (SUBJECT)] {",
        "* ESEARCH (TAG \"u1\") UID ADDTO (0 7)",
    ];
    let at: Vec<Option<usize>> = order.iter().map(|line| news.find(line)).collect();
    assert!(at.iter().all(Option::is_some) && at.is_sorted(), "{news}");
    // What comes into it because flags changed is not new.
    other.ok("STORE 6 -FLAGS (\\Deleted)").await;
    let news = c.ok("NOOP").await;
    assert!(news.contains("UID ADDTO (0 6)") && !news.contains("Subject:"), "{news}");
}
