//! Nonsense, bounds, and what the connection survives.

use crate::support::Site;
use proptest::prelude::*;

#[tokio::test]
async fn nonsense_gets_bad_and_a_reason() {
    let site = Site::new();
    let mut c = site.alice().await;
    c.expect("FROBNICATE", &["# BAD no such command"]).await;
    c.expect("NOOP now", &["# BAD something is left over at the end"]).await;
    c.expect("LIST \"\" \"unclosed", &["# BAD a quoted string is not closed"]).await;
    c.expect("UID NOOP", &["# BAD no such UID command"]).await;
    c.send("\r\n").await;
    assert_eq!(c.line().await, "* BAD a tag was expected");
    c.send("+ NOOP\r\n").await;
    assert_eq!(c.line().await, "* BAD a tag was expected");
    c.send("lonely\r\n").await;
    assert_eq!(c.line().await, "lonely BAD a space was expected");
    c.send("nul NO\0OP\r\n").await;
    assert_eq!(c.line().await, "nul BAD NUL is not allowed");
    c.send("lf NOOP\n").await;
    assert_eq!(c.line().await, "lf OK NOOP completed");
}

#[tokio::test]
async fn long_lines_and_literals_keep_in_step() {
    let site = Site::new();
    let mut c = site.alice().await;
    c.send(format!("long LIST \"\" {}\r\n", "x".repeat(100_000))).await;
    assert_eq!(c.line().await, "long BAD [TOOBIG] a line is too long");
    // Such a line may still announce a literal that is sent without waiting: it is no command.
    c.send(format!("long LIST \"\" {} {{15+}}\r\nx DELETE Drafts \"\"\r\nnext NOOP\r\n", "x".repeat(100_000))).await;
    assert_eq!(c.line().await, "long BAD [TOOBIG] a line is too long");
    assert!(c.line().await.starts_with("next OK"));
    // A literal where none belongs, waited for and not.
    c.expect("NOOP {5}", &["# BAD something is left over at the end"]).await;
    c.expect("NOOP {9+}\r\nx LOGOUT\r", &["# BAD something is left over at the end"]).await;
    c.expect("LIST \"\" {70000}", &["# BAD [TOOBIG] a literal is too large"]).await;
    let big = "y".repeat(70_000);
    c.expect(&format!("LIST \"\" {{70000+}}\r\n{big} {{2+}}\r\nzz"), &["# BAD [TOOBIG] a literal is too large"]).await;
    // An open quote in front of what looks like a literal: nobody is kept waiting, nothing is swallowed.
    c.expect("LIST \"\" \"x {3}", &["# BAD a quoted string is not closed"]).await;
    c.expect("NOOP", &["# OK NOOP completed"]).await;
    let many = format!("SEARCH{}", " {1+}\r\nx".repeat(300));
    assert!(c.run(many).await.starts_with("# BAD"));
    c.expect("NOOP", &["# OK NOOP completed"]).await;
    c.send("a LIST \"\" {99999999999999999999+}\r\n").await;
    assert_eq!(c.line().await, "* BYE a literal is far too large");
}

#[tokio::test]
async fn before_sign_in_bounds_are_narrow() {
    let site = Site::new();
    let mut c = site.connect().await;
    c.send(format!("a LOGIN {} x\r\n", "u".repeat(14_000))).await;
    assert_eq!(c.line().await, "a BAD [TOOBIG] a line is too long");
    c.expect("LOGIN {14000}", &["# BAD [TOOBIG] a literal is too large"]).await;
    c.send("b LOGIN {1000000+}\r\n").await;
    assert_eq!(c.line().await, "* BYE a literal is far too large");
}

#[tokio::test]
async fn endless_nonsense_ends_in_bye() {
    let site = Site::new();
    let mut c = site.connect().await;
    c.send("GET / HTTP/1.1\r\n".repeat(30)).await;
    let mut last = String::new();
    loop {
        let line = c.line().await;
        if line.is_empty() {
            break;
        }
        last = line;
    }
    assert_eq!(last, "* BYE too many bad commands");
}

/// Bytes that look like commands to various degrees.
fn garbage() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just("FETCH".to_string()),
        Just("UID".into()),
        Just("SEARCH".into()),
        Just("SORT".into()),
        Just("THREAD".into()),
        Just("REFERENCES".into()),
        Just("(REVERSE DATE)".into()),
        Just("UTF-8".into()),
        Just("ALL".into()),
        Just("PARTIAL".into()),
        Just("-1:-2".into()),
        Just("(UPDATE COUNT)".into()),
        Just("CANCELUPDATE".into()),
        Just("ESEARCH".into()),
        Just("STORE".into()),
        Just("LIST".into()),
        Just("APPEND".into()),
        Just("INBOX".into()),
        Just("1:*".into()),
        Just("(".into()),
        Just(")".into()),
        Just("BODY[".into()),
        Just("HEADER.FIELDS".into()),
        Just("]".into()),
        Just("<0.5>".into()),
        Just("\"".into()),
        Just("\\Seen".into()),
        Just("NOT".into()),
        Just("OR".into()),
        Just("+FLAGS".into()),
        Just("RETURN".into()),
        Just("{3+}\r\na(b".into()),
        Just("~{2+}\r\n\0\0".into()),
        Just("SELECT".into()),
        Just("CREATE".into()),
        Just("RENAME".into()),
        Just("MOVE".into()),
        Just("FLAGS".into()),
        Just("&AOQ-".into()),
        Just("$".into()),
        Just("CHARSET".into()),
        Just("1-Feb-1994".into()),
        Just("COPY".into()),
        Just("EXPUNGE".into()),
        Just("REPLACE".into()),
        Just("CATENATE".into()),
        Just("URL".into()),
        Just("TEXT".into()),
        Just("UTF8".into()),
        Just("/INBOX;UID=1".into()),
        Just("GENURLAUTH".into()),
        Just("URLFETCH".into()),
        Just("RESETKEY".into()),
        Just("SETQUOTA".into()),
        Just("INTERNAL".into()),
        Just("{5}".into()),
        "[ -~]{0,12}",
        Just("\u{fc}".into()),
        Just("\0".into()),
    ];
    let line = (prop::collection::vec(word, 0..8), any::<bool>(), any::<bool>()).prop_map(|(words, tag, space)| {
        let mut line = if tag { "t ".to_string() } else { String::new() };
        line.push_str(&words.join(if space { " " } else { "" }));
        line.into_bytes()
    });
    let junk = prop::collection::vec(any::<u8>().prop_filter("no line ends", |b| *b != b'\n'), 0..40);
    prop_oneof![4 => line, 1 => junk]
}

/// Lines that take the rest of the conversation with them by right: LOGOUT, IDLE, a literal that never ends.
fn harmless(line: &[u8]) -> bool {
    let text = String::from_utf8_lossy(line).to_ascii_uppercase();
    let literal = zcluster_imap::codec::fragment::literal_at_end(line).is_some_and(|l| !l.sync);
    !text.contains("LOGOUT") && !text.contains("IDLE") && !text.contains("AUTHENTICATE") && !literal
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever is sent, the next command is understood.
    #[test]
    fn garbage_never_desynchronises(lines in prop::collection::vec(garbage().prop_filter("harmless", |l| harmless(l)), 1..6)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let site = Site::new();
            let mut c = site.inbox().await;
            for line in &lines {
                c.send([&line[..], b"\r\n"].concat()).await;
                // A literal that was asked for is given as nothing but its end.
                c.send("sync NOOP\r\n").await;
                let reply = sync(&mut c).await;
                prop_assert!(reply.is_some(), "{:?} lost the thread", String::from_utf8_lossy(line));
            }
            Ok(())
        })?;
    }

    #[test]
    fn the_parser_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), text in garbage()) {
        let _ = zcluster_imap::codec::parse::command(&bytes, false);
        let _ = zcluster_imap::codec::parse::command(&text, true);
    }
}

/// Reads up to the answer to `sync NOOP`. A synchronising literal that was admitted takes our NOOP's bytes as its own;
/// then enough is sent to end it.
async fn sync(c: &mut crate::support::Client) -> Option<()> {
    for _ in 0..2_000 {
        let line = c.line().await;
        if line.starts_with("sync ") {
            return Some(());
        }
        if line.starts_with("+ ") {
            c.send(format!("{}\r\nsync NOOP\r\nsync NOOP\r\n", " ".repeat(70_000))).await;
        }
        if line.is_empty() || line.starts_with("* BYE") {
            return None;
        }
    }
    None
}
