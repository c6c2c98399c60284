//! FETCH: items, sections, partials, `\Seen`, large sets.

use crate::support::{Site, message, number_after};

/// RFC 3501 §6.4.5's example of part numbers, cut short: text, an attached message with two parts.
const NESTED: &str = "From: a@x\r\nSubject: outer\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\npre\r\n--o\r\n\
    Content-Type: text/plain\r\n\r\nfirst\r\n--o\r\nContent-Type: message/rfc822\r\n\r\n\
    Subject: inner\r\nX-In: 1\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n--i\r\n\r\nplain\r\n--i\r\n\
    Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+aGkAPC9iPg==\r\n--i--\r\n--o--\r\n";

#[tokio::test]
async fn metadata() {
    let site = Site::new();
    let mut c = site.inbox().await;
    let raw = message("hello", "text");
    c.append("INBOX \"17-Jul-1996 02:44:25 -0700\"", &raw).await;
    let envelope = "ENVELOPE (\"Wed, 17 Jul 1996 02:23:25 -0700\" \"hello\" ((\"Terry Gray\" NIL \"gray\" \"cac.example\")) \
        ((\"Terry Gray\" NIL \"gray\" \"cac.example\")) ((\"Terry Gray\" NIL \"gray\" \"cac.example\")) \
        ((NIL NIL \"alice\" \"example.com\")) NIL NIL NIL \"<hello@cac.example>\")";
    let date = "INTERNALDATE \"17-Jul-1996 09:44:25 +0000\"";
    let size = format!("RFC822.SIZE {}", raw.len());
    let body = "BODY (\"text\" \"plain\" NIL NIL NIL \"7BIT\" 6 1)";
    for (items, expect) in [
        ("FAST", format!("FLAGS (\\Recent) {date} {size}")),
        ("ALL", format!("FLAGS (\\Recent) {date} {size} {envelope}")),
        ("FULL", format!("FLAGS (\\Recent) {date} {size} {envelope} {body}")),
        ("(UID PREVIEW)", "UID 1 PREVIEW \"text\"".into()),
        ("PREVIEW (LAZY)", "PREVIEW \"text\"".into()),
        ("BODYSTRUCTURE", "BODYSTRUCTURE (\"text\" \"plain\" NIL NIL NIL \"7BIT\" 6 1 NIL NIL NIL NIL)".into()),
        ("THREADID", "THREADID (T256)".into()),
    ] {
        c.expect(&format!("FETCH 1 {items}"), &[&format!("* 1 FETCH ({expect})"), "# OK FETCH completed"]).await;
    }
    let rare = c.ok("UID FETCH 1 (SAVEDATE EMAILID MODSEQ)").await;
    assert!(rare.contains("* OK [HIGHESTMODSEQ ") && rare.contains("FETCH (UID 1 MODSEQ ("), "{rare}");
    assert!(rare.contains(") SAVEDATE \"") && rare.contains(" EMAILID (M"), "{rare}");
}

#[tokio::test]
async fn sections() {
    let site = Site::new();
    let mut c = site.inbox().await;
    let raw = message("hello", "text");
    c.append("INBOX", &raw).await;
    let (header, text) = raw.split_once("\r\n\r\n").map(|(h, t)| (format!("{h}\r\n\r\n"), t)).expect("a message");
    let literal = |s: &str| format!("{{{}}}\r\n{s}", s.len());
    for (item, value) in [
        ("BODY[]", literal(&raw)),
        ("BODY[HEADER]", literal(&header)),
        ("BODY[TEXT]", literal(text)),
        ("BODY[1]", literal(text)),
        ("BODY[1.MIME]", literal(&header)),
        ("BODY[2]", "NIL".into()),
        ("BODY[1.1]", "NIL".into()),
        (
            "BODY[HEADER.FIELDS (subject FROM nothing)]",
            literal("From: Terry Gray <gray@cac.example>\r\nSubject: hello\r\n\r\n"),
        ),
        ("BODY[HEADER.FIELDS (X-Rare)]", literal("X-Rare: yes\r\n\r\n")),
        ("BODY[HEADER.FIELDS.NOT (Date From To X-Rare Message-ID)]", literal("Subject: hello\r\n\r\n")),
    ] {
        let peek = item.replacen("BODY[", "BODY.PEEK[", 1);
        c.expect(&format!("FETCH 1 {peek}"), &[&format!("* 1 FETCH ({item} {value})"), "# OK FETCH completed"]).await;
    }
    for (partial, value) in [("<0.4>", "Date"), ("<2.3>", "te:"), ("<100000.5>", ""), ("<0.0>", "")] {
        let label = format!("BODY[]<{}>", &partial[1..partial.find('.').expect("a dot")]);
        let expect = format!("* 1 FETCH ({label} {})", literal(value));
        c.expect(&format!("FETCH 1 BODY.PEEK[]{partial}"), &[&expect, "# OK FETCH completed"]).await;
    }
    c.expect(
        "FETCH 1 RFC822.HEADER",
        &[&format!("* 1 FETCH (RFC822.HEADER {})", literal(&header)), "# OK FETCH completed"],
    )
    .await;
}

#[tokio::test]
async fn nested_parts() {
    let site = Site::new();
    let mut c = site.inbox().await;
    c.append("INBOX", NESTED).await;
    let literal = |s: &str| format!("{{{}}}\r\n{s}", s.len());
    for (section, value) in [
        ("1", literal("first")),
        ("1.MIME", literal("Content-Type: text/plain\r\n\r\n")),
        ("2.HEADER.FIELDS (X-IN)", literal("X-In: 1\r\n\r\n")),
        ("2.1", literal("plain")),
        ("2.2", literal("PGI+aGkAPC9iPg==")),
        ("2.2.MIME", literal("Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n")),
        ("1.HEADER", "NIL".into()),
        ("3", "NIL".into()),
    ] {
        let expect = format!("* 1 FETCH (BODY[{section}] {value})");
        c.expect(&format!("FETCH 1 BODY.PEEK[{section}]"), &[&expect, "# OK FETCH completed"]).await;
    }
    // Several at once come from one reading of the body.
    let both = c.ok("FETCH 1 (BODY.PEEK[1] BODY.PEEK[2.1])").await;
    assert_eq!(both, "* 1 FETCH (BODY[1] {5}\r\nfirst BODY[2.1] {5}\r\nplain)\r\n# OK FETCH completed\r\n");
    // RFC 3516: decoded, as literal8 where there is a NUL.
    c.expect("FETCH 1 BINARY.SIZE[2.2]", &["* 1 FETCH (BINARY.SIZE[2.2] 10)", "# OK FETCH completed"]).await;
    let decoded = "* 1 FETCH (BINARY[2.2] ~{10}\r\n<b>hi\0</b>)";
    c.expect("FETCH 1 BINARY.PEEK[2.2]", &[decoded, "# OK FETCH completed"]).await;
    c.expect("FETCH 1 BINARY.PEEK[2.2]<1.4>", &["* 1 FETCH (BINARY[2.2]<1> ~{4}\r\nb>hi)", "# OK FETCH completed"])
        .await;
    c.expect("FETCH 1 BINARY.PEEK[1]", &["* 1 FETCH (BINARY[1] {5}\r\nfirst)", "# OK FETCH completed"]).await;
}

#[tokio::test]
async fn reading_sets_seen() {
    let site = Site::new();
    let mut c = site.inbox().await;
    c.fill_inbox(3).await;
    assert!(!c.ok("FETCH 1 BODY.PEEK[TEXT]").await.contains("FLAGS"));
    let read = c.ok("FETCH 1 BODY[TEXT]").await;
    assert!(read.starts_with("* 1 FETCH (FLAGS (\\Seen \\Recent) BODY[TEXT] {8}\r\n"), "{read}");
    assert!(!c.ok("FETCH 1 BODY[TEXT]").await.contains("FLAGS"), "set already");
    assert!(c.ok("FETCH 2 RFC822").await.contains("* 2 FETCH (FLAGS (\\Seen \\Recent) RFC822 {"));
    assert!(!c.ok("FETCH 3 RFC822.HEADER").await.contains("FLAGS"));
    c.ok("EXAMINE INBOX").await;
    assert!(!c.ok("FETCH 3 BODY[]").await.contains("FLAGS"), "read-only");
    c.expect("SEARCH UNSEEN", &["* SEARCH 3", "# OK SEARCH completed"]).await;
}

#[tokio::test]
async fn sets() {
    let site = Site::new();
    let mut c = site.inbox().await;
    c.expect("UID FETCH 1:* FLAGS", &["# OK FETCH completed"]).await;
    assert!(c.run("FETCH 1 FLAGS").await.starts_with("# BAD"));
    c.fill_inbox(5).await;
    c.ok("STORE 2,4 +FLAGS.SILENT (\\Deleted)").await;
    c.ok("EXPUNGE").await;
    c.expect("FETCH *,1 UID", &["* 1 FETCH (UID 1)", "* 3 FETCH (UID 5)", "# OK FETCH completed"]).await;
    c.expect("UID FETCH 2:4 UID", &["* 2 FETCH (UID 3)", "# OK FETCH completed"]).await;
    c.expect("UID FETCH 999:* UID", &["* 3 FETCH (UID 5)", "# OK FETCH completed"]).await;
    c.expect("UID FETCH 2 UID", &["# OK FETCH completed"]).await;
    for bad in [
        "FETCH 4 UID",
        "FETCH 0 UID",
        "FETCH 1:4 UID",
        "FETCH x UID",
        "FETCH 1",
        "FETCH 1 ()",
        "FETCH 1 (ALL)",
        "FETCH 1 BODY[MIME]",
    ] {
        assert!(c.run(bad).await.starts_with("# BAD"), "{bad}");
    }
}

#[tokio::test]
async fn changed_since() {
    let site = Site::new();
    let mut c = site.inbox().await;
    c.fill_inbox(3).await;
    let before = number_after(&c.ok("STATUS INBOX (HIGHESTMODSEQ)").await, "(HIGHESTMODSEQ");
    let stored = c.ok("STORE 2 +FLAGS (\\Flagged)").await;
    let modseq = number_after(&stored, "MODSEQ");
    assert!(modseq > before, "{stored}");
    let expect = format!("* 2 FETCH (UID 2 FLAGS (\\Recent \\Flagged) MODSEQ ({modseq}))");
    c.expect(&format!("UID FETCH 1:* (FLAGS) (CHANGEDSINCE {before})"), &[&expect, "# OK FETCH completed"]).await;
    c.expect(&format!("FETCH 1:* (UID) (CHANGEDSINCE {modseq})"), &["# OK FETCH completed"]).await;
}

#[tokio::test]
async fn many_messages_come_in_pages() {
    let site = Site::new();
    let mut c = site.inbox().await;
    c.fill_inbox(1200).await;
    let flags = c.ok("FETCH 1:* (UID RFC822.SIZE)").await;
    let lines: Vec<&str> = flags.lines().collect();
    assert_eq!(lines.len(), 1201);
    assert!(lines[1199].starts_with("* 1200 FETCH (UID 1200 RFC822.SIZE "));
    let subjects = c.ok("FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])").await;
    assert!(subjects.contains("* 777 FETCH (BODY[HEADER.FIELDS (SUBJECT)] {17}\r\nSubject: s777\r\n\r\n)\r\n"));
    // Larger than one command of the mailbox may be.
    let stored = c.ok("STORE 1:* +FLAGS (\\Seen)").await;
    assert_eq!(stored.matches(" FETCH (UID ").count(), 1200);
    let copied = c.ok("COPY 1:* Trash").await;
    assert!(copied.contains(" 1:1200 1:1200] COPY completed"), "{copied}");
    c.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)").await;
    let expunged = c.ok("EXPUNGE").await;
    assert_eq!(expunged.matches(" EXPUNGE\r\n").count(), 1200);
}
