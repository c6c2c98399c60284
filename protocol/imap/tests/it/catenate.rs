//! CATENATE (RFC 4469): messages put together from others.

use crate::support::{Site, message, number_after};
use zcluster_imap::ImapConfig;

const MULTIPART: &str = "From: a@b\r\nSubject: parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n\
    --x\r\n\r\nfirst\r\n--x\r\nContent-Type: text/html\r\n\r\nsecond\r\n--x--\r\n";

#[tokio::test]
async fn texts_and_urls() {
    let site = Site::new();
    let mut c = site.inbox().await;
    assert!(c.append("INBOX", MULTIPART).await.contains("# OK"));
    let validity = number_after(&c.ok("STATUS INBOX (UIDVALIDITY)").await, "UIDVALIDITY");
    // As in RFC 4469 §3's example: a header of one's own, parts of an older message.
    c.send("A003 APPEND INBOX (\\Seen \\Draft) CATENATE (TEXT {43}\r\n").await;
    assert_eq!(c.line().await, "+ go ahead");
    let head = "Subject: new\r\nX: yyyyyyyyyyyyyyyyyyyy\r\n\r\n";
    assert_eq!(head.len(), 41);
    let url = format!("/INBOX;UIDVALIDITY={validity}/;UID=1/;section=1");
    c.send(format!("{head}>>")).await;
    c.send(format!(" URL \"{url}\" TEXT {{2+}}\r\n\r\n URL {{{}+}}\r\n{url} URL \"/INBOX/;UID=1/;SECTION=2.MIME\" \
                    URL \";UID=1;SECTION=2;PARTIAL=2.3\" URL \"imap://alice%40example.com@host/INBOX;UID=1/;SECTION=HEADER.FIELDS%20(SUBJECT)\")\r\n", url.len()))
        .await;
    assert_eq!(c.line().await, "* 2 EXISTS");
    let reply = c.until_tagged("A003").await;
    assert!(reply.ends_with(&format!("# OK [APPENDUID {validity} 2] APPEND completed\r\n")), "{reply}");
    let expected = format!("{head}>>first\r\nfirstContent-Type: text/html\r\n\r\ncon Subject: parts\r\n\r\n")
        .replace("con S", "conS");
    let got = c.ok("FETCH 2 (FLAGS BODY.PEEK[])").await;
    assert!(got.contains(&format!("BODY[] {{{}}}\r\n{expected})", expected.len())), "{got}\n{expected}");
    assert!(got.contains("\\Seen") && got.contains("\\Draft"), "{got}");
    // Without any literal, and two at once.
    let whole = format!("CATENATE (URL \"/INBOX;UIDVALIDITY={validity}/;UID=1\")");
    let reply = c.run(format!("APPEND INBOX {whole} (\\Flagged) {whole}")).await;
    assert!(reply.contains(" 3:4] APPEND completed"), "{reply}");
    let got = c.ok("FETCH 4 (FLAGS BODY.PEEK[])").await;
    assert!(
        got.contains(&format!("BODY[] {{{}}}\r\n{MULTIPART})", MULTIPART.len())) && got.contains("\\Flagged"),
        "{got}"
    );
}

#[tokio::test]
async fn bad_urls_are_told_and_nothing_is_added() {
    let site = Site::new();
    site.memory.add_account("bob@example.com", "none");
    let mut c = site.inbox().await;
    c.fill_inbox(1).await;
    for url in [
        "/INBOX;UIDVALIDITY=1/;UID=1",
        "/INBOX;UID=7",
        "/nowhere;UID=1",
        "/INBOX",
        "http://x/INBOX;UID=1",
        "/INBOX;UID=1/;SECTION=9",
        "imap://bob@h/INBOX;UID=1",
        "imap://nobody@h/INBOX;UID=1",
        "imap://h/;UID=1",
        "x",
        "/INBOX;UID=1/;SECTION=1.MIME.X",
    ] {
        let reply = c.run(format!("APPEND INBOX CATENATE (URL \"{url}\" TEXT {{9+}}\r\nx LOGOUT\n)")).await;
        assert!(reply.starts_with(&format!("# NO [BADURL {url}] ")), "{url}: {reply}");
    }
    let reply = c.run("APPEND INBOX CATENATE (URL \"/a]\\\\b\u{e4}\")").await;
    assert!(reply.starts_with("# NO [BADURL /a??b?] "), "{reply}");
    let reply = c.run("APPEND INBOX CATENATE (URL \"\")").await;
    assert!(reply.starts_with("# NO [BADURL ?] "), "{reply}");
    // The literal behind a bad URL is not asked for.
    let reply = c.run("APPEND INBOX CATENATE (URL /INBOX/;UID=7 TEXT {9}").await;
    assert!(reply.starts_with("# NO [BADURL "), "{reply}");
    assert!(
        c.run("APPEND INBOX CATENATE (URL {9000+}\r\n".to_string() + &"u".repeat(9_000) + ")")
            .await
            .starts_with("# BAD [TOOBIG]")
    );
    assert!(c.run("APPEND INBOX CATENATE (TEXT {2+}\r\nab").await.starts_with("# BAD"));
    assert!(c.run("APPEND INBOX CATENATE (TEXT {0+}\r\n)").await.starts_with("# NO"));
    assert!(c.run("APPEND nowhere CATENATE (TEXT {2+}\r\nab)").await.starts_with("# NO [TRYCREATE]"));
    assert_eq!(number_after(&c.ok("STATUS INBOX (MESSAGES)").await, "MESSAGES"), 1);
}

#[tokio::test]
async fn the_sum_has_a_bound() {
    let config = ImapConfig { allow_plaintext_auth: true, append_bytes_max: 1_000, ..ImapConfig::default() };
    let site = Site::with(config);
    let mut c = site.inbox().await;
    let raw = message("s", &"t".repeat(300));
    assert!(c.append("INBOX", &raw).await.contains("# OK"));
    let urls = " URL \"/INBOX;UID=1\"".repeat(50);
    let reply = c.run(format!("APPEND INBOX CATENATE ({})", urls.trim_start())).await;
    assert_eq!(reply, "# NO [TOOBIG] message is larger than APPENDLIMIT\r\n");
    let text = format!("APPEND INBOX CATENATE (TEXT {{600+}}\r\n{0} TEXT {{600+}}\r\n{0})", "z".repeat(600));
    assert_eq!(c.run(text).await, "# NO [TOOBIG] message is larger than APPENDLIMIT\r\n");
    let text = format!("APPEND INBOX CATENATE ({})", " TEXT {1+}\r\nz".repeat(990).trim_start());
    assert!(c.run(text).await.contains("# OK"));
    let text = format!("APPEND INBOX CATENATE ({})", " TEXT {0+}\r\n".repeat(1_100).trim_start());
    assert!(c.run(text).await.starts_with("# NO [LIMIT]"));
    c.expect("NOOP", &["# OK NOOP completed"]).await;
}
