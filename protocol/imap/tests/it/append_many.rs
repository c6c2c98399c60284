//! MULTIAPPEND (RFC 3502), literal8 (RFC 3516) and the UTF8 form (RFC 6855): all or nothing, and never out of step.

use crate::support::{Client, Site, message, number_after};
use proptest::prelude::*;
use zcluster_imap::ImapConfig;

fn literals(raws: &[&str]) -> String {
    raws.iter().map(|r| format!(" {{{}+}}\r\n{r}", r.len())).collect()
}

async fn count(c: &mut Client) -> u64 {
    number_after(&c.ok("STATUS INBOX (MESSAGES)").await, "MESSAGES")
}

#[tokio::test]
async fn several_messages_with_their_own_flags_and_dates() {
    let site = Site::new();
    let mut c = site.inbox().await;
    let (one, two) = (message("one", "1"), message("two", "2"));
    // Step by step, as a client without LITERAL+ does it.
    c.send(format!("A003 APPEND INBOX (\\Seen) {{{}}}\r\n", one.len())).await;
    assert_eq!(c.line().await, "+ go ahead");
    c.send(format!("{one} (\\Flagged $k) \" 7-Feb-1994 22:43:04 -0800\" {{{}}}\r\n", two.len())).await;
    assert_eq!(c.line().await, "+ go ahead");
    c.send(format!("{two} UTF8 (~{{{}}}\r\n", one.len())).await;
    assert_eq!(c.line().await, "+ go ahead");
    c.send(format!("{one})\r\n")).await;
    let reply = c.until_tagged("A003").await;
    assert!(reply.contains("* 3 EXISTS\r\n"), "{reply}");
    assert!(reply.contains("# OK [APPENDUID ") && reply.contains(" 1:3] APPEND completed"), "{reply}");
    let got = c.ok("FETCH 1:* (FLAGS INTERNALDATE BODY.PEEK[HEADER.FIELDS (SUBJECT)])").await;
    assert!(got.contains("* 1 FETCH (FLAGS (\\Seen \\Recent)"), "{got}");
    assert!(
        got.contains("* 2 FETCH (FLAGS (\\Recent \\Flagged $k) INTERNALDATE \" 8-Feb-1994 06:43:04 +0000\""),
        "{got}"
    );
    assert!(got.contains("Subject: two"), "{got}");
}

#[tokio::test]
async fn a_refusal_in_the_middle_takes_all_back() {
    let config = ImapConfig { allow_plaintext_auth: true, append_bytes_max: 1_000, ..ImapConfig::default() };
    let site = Site::with(config);
    let mut c = site.inbox().await;
    let raw = message("s", "t");
    let large = "x".repeat(1_001);
    // Not waited for: read to the end all the same, whatever looks like a command in it.
    let text = format!("APPEND INBOX{}", literals(&[&raw, &large, "x LOGOUT\r\n"]));
    assert_eq!(c.run(text).await, "# NO [TOOBIG] message is larger than APPENDLIMIT\r\n");
    // Waited for: refused before it comes, and the command is over.
    c.send(format!("a APPEND INBOX {{{}}}\r\n", raw.len())).await;
    assert_eq!(c.line().await, "+ go ahead");
    c.send(format!("{raw} {{1001}}\r\n")).await;
    assert_eq!(c.line().await, "a NO [TOOBIG] message is larger than APPENDLIMIT");
    c.expect("NOOP", &["# OK NOOP completed"]).await;
    // First waited for, then not.
    c.send(format!("b APPEND INBOX {{{}}}\r\n", raw.len())).await;
    assert_eq!(c.line().await, "+ go ahead");
    c.send(format!("{raw} (\\Nonsense) {{9+}}\r\nx LOGOUT\n\r\n")).await;
    assert!(c.line().await.starts_with("b BAD"));
    // Abandoned by an empty literal (RFC 3502).
    assert!(c.run(format!("APPEND INBOX{} {{0+}}\r\n", literals(&[&raw]))).await.starts_with("# NO"));
    assert!(c.run(format!("APPEND INBOX{} {{0}}", literals(&[&raw]))).await.starts_with("# NO"));
    // NUL where there must be none.
    let text = format!("APPEND INBOX{}", literals(&[&raw, "a\0b", &raw]));
    assert!(c.run(text).await.starts_with("# NO [UNKNOWN-CTE]"));
    // A line that is far too long behind a message, with and without a literal at its end.
    for end in ["", " {7+}\r\nx NOOP\n"] {
        let text = format!("APPEND INBOX{} ({}){end}", literals(&[&raw]), "k ".repeat(40_000));
        assert!(c.run(text).await.starts_with("# BAD [TOOBIG]"), "{end}");
    }
    // Too large even to be thrown away.
    let text = format!("APPEND nowhere{}", literals(&[&raw, &raw]));
    assert_eq!(c.run(text).await, "# NO [TRYCREATE] no such mailbox\r\n");
    assert_eq!(count(&mut c).await, 0);
    let reply = c.run(format!("APPEND INBOX{}", literals(&[&raw, &raw]))).await;
    assert!(reply.contains(" 1:2] APPEND completed"), "{reply}");
    c.send(format!("z APPEND INBOX{} {{99999999999+}}\r\n", literals(&[&raw]))).await;
    assert_eq!(c.line().await, "* BYE a literal is far too large");
}

#[tokio::test]
async fn quota_is_for_all_of_them() {
    let site = Site::new();
    let limit = zcluster_api::directory::Modification::set("zimbraMailQuota", "800");
    let modify = zcluster_api::DirectoryCommand::ModifyAccount { id: site.alice, changes: vec![limit] };
    site.memory.command(modify).expect("quota is set");
    let mut c = site.inbox().await;
    let raw = message("s", &"t".repeat(300));
    let reply = c.run(format!("APPEND INBOX{}", literals(&[&raw, &raw]))).await;
    assert!(reply.starts_with("# NO [OVERQUOTA]"), "{reply}");
    assert_eq!(count(&mut c).await, 0);
    assert!(c.run(format!("APPEND INBOX{}", literals(&[&raw]))).await.contains("# OK"));
    assert!(c.run("COPY 1 Trash").await.starts_with("# NO [OVERQUOTA]"));
}

#[tokio::test]
async fn many_and_large_ones_have_a_bound() {
    let site = Site::new();
    let mut c = site.inbox().await;
    let raw = message("s", "t");
    let text = format!("APPEND INBOX{}", literals(&vec![raw.as_str(); 501]));
    assert_eq!(c.run(text).await, "# NO [LIMIT] too many messages in one command\r\n");
    let text = format!("APPEND INBOX{}", literals(&vec![raw.as_str(); 500]));
    assert!(c.run(text).await.contains(" 1:500] APPEND completed"));
    // Noise, so that it stays large when compressed: uploaded, and given up again.
    let mut x = 1u64;
    let mut noise = |n: usize| -> String {
        (0..n)
            .map(|_| {
                x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                char::from(b'!' + (x >> 58) as u8)
            })
            .collect()
    };
    let large: Vec<String> = (0..17).map(|i| message(&format!("l{i}"), &noise(200_000))).collect();
    let all: Vec<&str> = large.iter().map(String::as_str).collect();
    for _ in 0..3 {
        let text = format!("APPEND INBOX{}", literals(&all));
        assert_eq!(c.run(text).await, "# NO [LIMIT] too many large messages in one command\r\n");
    }
    // None of the uploads is left: a mailbox could have 32 only.
    let reply = c.run(format!("APPEND INBOX{}", literals(&all[..16]))).await;
    assert!(reply.contains(" 501:516] APPEND completed"), "{reply}");
    let got = c.ok("FETCH 516 BODY.PEEK[]").await;
    assert!(got.contains(all[15]), "byte-identical");
}

#[tokio::test]
async fn binary_parts_come_back_as_they_were() {
    let site = Site::new();
    let mut c = site.inbox().await;
    let raw = "Subject: b\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhi\r\n--b\r\n\
               Content-Type: application/x\r\nContent-Transfer-Encoding: binary\r\n\r\na\0b\0c\r\n--b--\r\n";
    let text = format!("APPEND INBOX ~{{{}+}}\r\n{raw}", raw.len());
    assert!(c.run(text).await.contains("# OK [APPENDUID"));
    let got = c
        .ok("FETCH 1 (BINARY.SIZE[2] BINARY.PEEK[2] BINARY.PEEK[2]<1.2> BODY.PEEK[2] BINARY.PEEK[7] BINARY.SIZE[7])")
        .await;
    assert!(
        got.contains("BINARY.SIZE[2] 5 BINARY[2] ~{5}\r\na\0b\0c BINARY[2]<1> ~{2}\r\n\0b BODY[2] {8}\r\nYQBiAGM="),
        "{got:?}"
    );
    assert!(got.contains("BINARY[7] NIL BINARY.SIZE[7] 0"), "{got:?}");
    // NUL where no encoding can take it.
    assert!(c.run("APPEND INBOX ~{5+}\r\na\0b\r\n").await.starts_with("# NO [UNKNOWN-CTE]"));
    assert!(c.run("APPEND INBOX ~{5+}\r\na: b\n").await.contains("# OK"));
}

/// One literal of an APPEND, right or wrong in various ways.
#[derive(Clone, Debug)]
enum Part {
    Good,
    Catenated,
    Nul,
    BadFlag,
    BadUrl,
    Large,
    Nothing,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever is wrong somewhere: all or nothing, one tagged answer, and the next command is understood. A client that
    /// waits sends a literal only when asked.
    #[test]
    fn all_or_nothing_and_in_step(
        parts in prop::collection::vec((prop_oneof![
            6 => Just(Part::Good), 3 => Just(Part::Catenated), 1 => Just(Part::Nul), 1 => Just(Part::BadFlag),
            1 => Just(Part::BadUrl), 1 => Just(Part::Large), 1 => Just(Part::Nothing)], any::<bool>()), 1..6)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let config = ImapConfig { allow_plaintext_auth: true, append_bytes_max: 1_000, ..ImapConfig::default() };
            let site = Site::with(config);
            let mut c = site.inbox().await;
            c.fill_inbox(1).await;
            c.send("a APPEND INBOX").await;
            let mut answer = None;
            for (part, wait) in &parts {
                let raw = message("s", "t");
                let url = "CATENATE (URL \"/INBOX;UID=1\" TEXT";
                let (before, raw, after) = match part {
                    Part::Good => ("", raw, ""),
                    Part::Catenated => (url, raw, ")"),
                    Part::Nul => ("", "\0".into(), ""),
                    Part::BadFlag => ("(\\Wrong)", raw, ""),
                    Part::BadUrl => ("CATENATE (URL \"/INBOX;UID=9\" TEXT", raw, ")"),
                    Part::Large => ("", "y".repeat(1_001), ""),
                    Part::Nothing => ("", String::new(), ""),
                };
                let space = if before.is_empty() { "" } else { " " };
                let plus = if *wait { "" } else { "+" };
                c.send(format!("{space}{before} {{{}{plus}}}\r\n", raw.len())).await;
                if *wait {
                    let line = c.line().await;
                    if !line.starts_with("+ ") {
                        answer = Some(line);
                        break;
                    }
                }
                c.send(format!("{raw}{after}")).await;
            }
            if answer.is_none() {
                c.send("\r\n").await;
            }
            let answer = match answer {
                Some(line) => line,
                None => c.until_tagged("a").await.lines().last().unwrap_or_default().replacen('#', "a", 1),
            };
            let good = parts.iter().all(|(p, _)| matches!(p, Part::Good | Part::Catenated));
            assert_eq!(answer.starts_with("a OK"), good, "{answer}");
            let expected = if good { 1 + parts.len() as u64 } else { 1 };
            assert_eq!(count(&mut c).await, expected);
        });
    }
}
