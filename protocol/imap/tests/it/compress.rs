//! COMPRESS=DEFLATE (RFC 4978).

use crate::support::{Site, message};

#[tokio::test]
async fn a_compressed_session() {
    let site = Site::new();
    let mut c = site.alice().await;
    assert!(c.ok("CAPABILITY").await.contains(" COMPRESS=DEFLATE"));
    c.expect("COMPRESS LZMA", &["# NO [CANNOT] the only algorithm is DEFLATE"]).await;
    c.expect("COMPRESS DEFLATE", &["# OK DEFLATE active"]).await;
    c.deflate();
    assert!(!c.ok("CAPABILITY").await.contains("COMPRESS=DEFLATE"));
    assert!(c.run("COMPRESS DEFLATE").await.starts_with("# NO [COMPRESSIONACTIVE]"));
    assert!(c.run("STARTTLS").await.starts_with("# BAD"));
    c.ok("SELECT INBOX").await;
    let big = message("big", &"all work and no play\r\n".repeat(20_000));
    assert!(c.append("INBOX", &big).await.contains("# OK"));
    c.fill_inbox(50).await;
    let got = c.ok("FETCH 1:* (FLAGS BODY.PEEK[])").await;
    assert!(got.contains(&big), "byte-identical");
    // A literal that waits, and IDLE.
    c.send("w APPEND INBOX {3}\r\n").await;
    assert_eq!(c.line().await, "+ go ahead");
    c.send("a:b\r\n").await;
    assert!(c.until_tagged("w").await.contains("# OK [APPENDUID"));
    let mut other = site.alice().await;
    for round in 0..3 {
        c.send("i IDLE\r\n").await;
        assert_eq!(c.line().await, "+ idling");
        assert!(other.append("INBOX", &message("x", "y")).await.contains("# OK"));
        assert_eq!(c.line().await, format!("* {} EXISTS", 53 + round));
        assert!(c.line().await.ends_with(" RECENT"));
        c.send("DONE\r\n").await;
        assert_eq!(c.line().await, "i OK IDLE completed");
    }
    c.expect("LOGOUT", &["* BYE see you", "# OK LOGOUT completed"]).await;
}

#[tokio::test]
async fn only_after_sign_in_and_with_nothing_behind_it() {
    let site = Site::new();
    let mut c = site.connect().await;
    assert!(!c.ok("CAPABILITY").await.contains("COMPRESS"));
    c.expect("COMPRESS DEFLATE", &["# BAD sign in first"]).await;
    let mut c = site.alice().await;
    c.send("a COMPRESS DEFLATE\r\nb NOOP\r\n").await;
    assert!(c.line().await.starts_with("a BAD"));
    assert_eq!(c.line().await, "b OK NOOP completed");
}

#[tokio::test]
async fn what_is_no_deflate_ends_the_connection_and_bombs_meet_the_bounds() {
    let site = Site::new();
    let mut c = site.alice().await;
    c.ok("COMPRESS DEFLATE").await;
    c.send("a NOOP\r\n").await;
    assert_eq!(c.line().await, "", "closed");
    let mut c = site.alice().await;
    c.ok("COMPRESS DEFLATE").await;
    c.deflate();
    let line = format!("a LIST \"\" {}", "x".repeat(900_000));
    assert!(c.run(line).await.starts_with("# BAD") || c.run("NOOP").await.contains("OK"));
    c.send(vec![b'x'; 3_000_000]).await;
    assert_ne!(c.line().await, "a OK");
}
