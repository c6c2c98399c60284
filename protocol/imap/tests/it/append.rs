//! APPEND: literals of both kinds, limits, errors that keep the connection in step.

use crate::support::{Site, message, number_after};
use zcluster_imap::ImapConfig;

#[tokio::test]
async fn append_and_read_back() {
    let site = Site::new();
    let mut c = site.inbox().await;
    let raw = message("hello", "line\r\n.dot\r\ntr\u{e4}iling");
    c.send(format!("a APPEND INBOX (\\Flagged \\Seen $label) \"17-Jul-1996 02:44:25 -0700\" {{{}}}\r\n", raw.len()))
        .await;
    assert_eq!(c.line().await, "+ go ahead");
    c.send(format!("{raw}\r\n")).await;
    let reply = c.until_tagged("a").await;
    assert!(reply.contains("* 1 EXISTS\r\n* 1 RECENT\r\n# OK [APPENDUID "), "{reply}");
    assert!(reply.ends_with(" 1] APPEND completed\r\n"), "{reply}");
    let got = c.ok("FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])").await;
    assert!(
        got.contains("FLAGS (\\Seen \\Recent \\Flagged $label) INTERNALDATE \"17-Jul-1996 09:44:25 +0000\""),
        "{got}"
    );
    assert_eq!(number_after(&got, "RFC822.SIZE"), raw.len() as u64);
    assert!(got.contains(&format!("BODY[] {{{}}}\r\n{raw})\r\n", raw.len())), "{got}");
}

#[tokio::test]
async fn a_large_message_takes_the_long_way() {
    let site = Site::new();
    let mut c = site.inbox().await;
    // Noise, so that it stays large when compressed.
    let mut x = 1u64;
    let text: String = (0..400_000)
        .map(|i| {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            if i % 70 == 69 { '\n' } else { char::from(b'!' + (x >> 58) as u8) }
        })
        .collect();
    let raw = message("big", &text);
    let reply = c.append("INBOX", &raw).await;
    assert!(reply.contains("# OK [APPENDUID"), "{reply}");
    let got = c.ok("FETCH 1 BODY.PEEK[]").await;
    assert!(got.contains(&raw), "byte-identical");
    let part = c.ok("FETCH 1 BODY.PEEK[]<300000.5000>").await;
    assert!(part.contains(&format!("BODY[]<300000> {{5000}}\r\n{})", &raw[300_000..305_000])));
}

#[tokio::test]
async fn refusals_keep_the_connection_in_step() {
    let config = ImapConfig { allow_plaintext_auth: true, append_bytes_max: 1000, ..ImapConfig::default() };
    let site = Site::with(config);
    let mut c = site.alice().await;
    let raw = message("s", "t");
    let reply = c.append("nowhere", &raw).await;
    assert_eq!(reply, "# NO [TRYCREATE] no such mailbox\r\n");
    let reply = c.append("INBOX", &"x".repeat(1001)).await;
    assert_eq!(reply, "# NO [TOOBIG] message is larger than APPENDLIMIT\r\n");
    // The limit is checked before the literal is read.
    c.expect("APPEND INBOX {1001}", &["# NO [TOOBIG] message is larger than APPENDLIMIT"]).await;
    c.expect("APPEND INBOX {4000000000}", &["# NO [TOOBIG] message is larger than APPENDLIMIT"]).await;
    c.expect("APPEND nowhere {10}", &["# NO [TRYCREATE] no such mailbox"]).await;
    assert!(c.append("INBOX (\\Nonsense)", &raw).await.starts_with("# BAD"));
    assert!(c.append("INBOX \"yesterday\"", &raw).await.starts_with("# BAD"));
    assert!(c.append("INBOX", "a\0b").await.starts_with("# NO [UNKNOWN-CTE]"));
    assert!(c.append("INBOX", "").await.starts_with("# NO"));
    assert!(c.run("APPEND INBOX").await.starts_with("# BAD"));
    // What stands behind a message and is none is not mistaken for a command.
    let two = format!("APPEND INBOX {{{0}+}}\r\n{raw} ({{{0}+}}\r\n{raw}", raw.len());
    assert!(c.run(two).await.starts_with("# BAD"));
    c.expect("STATUS INBOX (MESSAGES)", &["* STATUS INBOX (MESSAGES 0)", "# OK STATUS completed"]).await;
    assert!(c.append("INBOX", &raw).await.starts_with("# OK [APPENDUID"));
}

#[tokio::test]
async fn append_needs_sign_in() {
    let site = Site::new();
    let mut c = site.connect().await;
    c.expect("APPEND INBOX {10}", &["# BAD sign in first"]).await;
    c.expect("APPEND INBOX {10+}\r\nx NOOP\r\nyz", &["# BAD sign in first"]).await;
    c.expect("NOOP", &["# OK NOOP completed"]).await;
    c.send("a APPEND INBOX {100000000+}\r\n").await;
    assert_eq!(c.line().await, "* BYE a literal is far too large");
}
