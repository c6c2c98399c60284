//! What clients get wrong, by accident or on purpose: clear answers, bounded memory, and a session that stays in sync.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::cluster::{Cluster, PASSWORD, Port};
use crate::support::imap::Imap;
use crate::support::mail::message;
use crate::support::smtp::{Delivery, Smtp};
use crate::support::wire::Wire;

const ALICE: &str = "alice@example.com";
/// What a node may grow while it is being abused, in KiB.
const GROWTH_KIB: u64 = 96 * 1024;

type Step = fn(&Cluster);

/// One cluster for all of these: they are many and short.
#[test]
fn bad_input_is_answered_and_survived() {
    let cluster = Cluster::start(1);
    // What first use allocates is not abuse.
    assert_eq!(deliver(&cluster, "warm"), Delivery::Acknowledged);
    drop(cluster.imap(1, ALICE));
    let before = cluster.node(1).rss_kib();
    let steps: [(&str, Step); 13] = [
        ("smtp: oversized lines", smtp_oversized_lines),
        ("smtp: NUL and 8-bit in commands", smtp_odd_bytes),
        ("smtp: smuggling", smtp_smuggling),
        ("smtp: a dot alone and stuffed dots", smtp_dots),
        ("smtp: relaying", smtp_relaying),
        ("lmtp: a refused recipient beside a good one", lmtp_per_recipient),
        ("imap: oversized lines", imap_oversized_lines),
        ("imap: endless literals", imap_literals),
        ("imap: odd bytes", imap_odd_bytes),
        ("imap: states", imap_states),
        ("pop3: oversized and unknown", pop3_garbage),
        ("all: random bytes", random_bytes),
        ("all: half-open connections", half_open),
    ];
    for (name, step) in steps {
        println!("{name}");
        step(&cluster);
        assert_eq!(deliver(&cluster, name), Delivery::Acknowledged, "the node still works after: {name}");
    }
    slow_readers(&cluster);
    let after = cluster.node(1).rss_kib();
    println!("resident memory: {before} KiB before, {after} KiB after");
    assert!(after < before + GROWTH_KIB, "memory grew from {before} to {after} KiB");
}

fn deliver(cluster: &Cluster, name: &str) -> Delivery {
    let id =
        format!("{}-{}", crate::support::mail::unique("bad"), name.replace(|c: char| !c.is_ascii_alphanumeric(), ""));
    Smtp::lmtp(cluster.port(1, Port::Lmtp)).unwrap().deliver(ALICE, &message(&id, 500))
}

fn smtp(cluster: &Cluster) -> Smtp {
    Smtp::esmtp(cluster.port(1, Port::Smtp)).unwrap()
}

/// The server either kept the session (then it is in sync) or closed it after an answer.
fn in_sync_or_closed(smtp: &mut Smtp) {
    if let Ok((code, text)) = smtp.ask("NOOP") {
        assert!(code == 250 || code == 421, "out of sync: {text}");
    }
}

fn smtp_oversized_lines(cluster: &Cluster) {
    // RFC 5321 §4.5.3.1.4: 512 octets must do; a server may take more, but not everything.
    for size in [2_000, 100_000, 4_000_000] {
        let mut session = smtp(cluster);
        let line = format!("MAIL FROM:<{}@example.org>\r\n", "a".repeat(size));
        let answer = session.wire.send(line.as_bytes()).and_then(|()| session.reply());
        if let Ok((code, text)) = answer {
            assert!((500..600).contains(&code) || code == 421, "{size} octets: {text}");
            in_sync_or_closed(&mut session);
        }
    }
    // A line in the message: 998 octets by the book, far more in the wild. Either answer is fine, a hang is not.
    let mut session = smtp(cluster);
    let text = format!("Subject: long\r\n\r\n{}\r\n", "b".repeat(1_000_000));
    let fate = session.deliver(ALICE, text.as_bytes());
    assert!(!matches!(fate, Delivery::Unknown(_)), "a megabyte without a line end: {fate:?}");
    in_sync_or_closed(&mut session);
}

fn smtp_odd_bytes(cluster: &Cluster) {
    for line in [
        &b"NO\0OP\r\n"[..],
        b"\0\0\0\0\r\n",
        b"\xff\xfe\xfd\r\n",
        b"\r\n",
        b"   \r\n",
        b"MAIL\tFROM:<a@b>\r\n",
        b"RCPT TO:<alice@example.com\r\n",
    ] {
        let mut session = smtp(cluster);
        session.wire.send(line).unwrap();
        let (code, text) = session.reply().unwrap();
        assert!((500..600).contains(&code), "{line:?}: {text}");
        in_sync_or_closed(&mut session);
    }
}

/// RFC 5321 §4.1.1.4: only `<CRLF>.<CRLF>` ends a message. Each of these hides a second message behind another ending.
fn smtp_smuggling(cluster: &Cluster) {
    let endings: [&[u8]; 8] =
        [b"\n.\r\n", b"\n.\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\r\n\0.\r\n", b"\n\n.\r\r\n"];
    for lmtp in [false, true] {
        for (number, ending) in endings.iter().enumerate() {
            let mark = format!("smuggled{number}{lmtp}");
            smuggle(cluster, ending, &mark, lmtp);
            let mut imap = cluster.imap(1, ALICE);
            let present = imap.ids("INBOX").unwrap();
            assert!(!present.contains_key(&mark), "{ending:?} ended a message (lmtp {lmtp})");
        }
    }
}

fn smuggle(cluster: &Cluster, ending: &[u8], mark: &str, lmtp: bool) {
    let mut session = if lmtp { Smtp::lmtp(cluster.port(1, Port::Lmtp)).unwrap() } else { smtp(cluster) };
    for (command, wanted) in [("MAIL FROM:<a@example.org>", 250), (&format!("RCPT TO:<{ALICE}>"), 250), ("DATA", 354)] {
        session.command(command, wanted).unwrap();
    }
    let mut bytes = b"Subject: outer\r\n\r\nouter".to_vec();
    bytes.extend_from_slice(ending);
    bytes.extend_from_slice(
        format!("MAIL FROM:<evil@example.org>\r\nRCPT TO:<{ALICE}>\r\nDATA\r\nMessage-ID: <{mark}@ledger>\r\n\r\ninner\r\n.\r\n").as_bytes(),
    );
    // A server may refuse and close while we still write.
    let _ = session.wire.send(&bytes);
    if let Ok((code, text)) = session.reply() {
        assert!(code == 250 || (400..600).contains(&code), "{text}");
        in_sync_or_closed(&mut session);
    }
}

fn smtp_dots(cluster: &Cluster) {
    let id = crate::support::mail::unique("dots");
    let text = format!("Message-ID: <{id}@ledger>\r\n\r\n.\r\n..\r\n.hidden\r\nend.\r\n");
    assert_eq!(smtp(cluster).deliver(ALICE, text.as_bytes()), Delivery::Acknowledged);
    let mut imap = cluster.imap(1, ALICE);
    imap.select("INBOX").unwrap();
    let bodies = imap.bodies().unwrap();
    assert!(bodies.values().any(|body| body.ends_with(text.as_bytes())), "dots did not survive");
}

fn smtp_relaying(cluster: &Cluster) {
    let mut session = smtp(cluster);
    session.command("MAIL FROM:<a@example.org>", 250).unwrap();
    for to in [
        "x@elsewhere.example",
        "nobody@example.com",
        "alice%elsewhere.example@example.com",
        "@example.com:x@elsewhere.example",
    ] {
        let (code, text) = session.ask(&format!("RCPT TO:<{to}>")).unwrap();
        assert!((500..600).contains(&code), "{to}: {text}");
    }
    let (code, _) = session.ask("DATA").unwrap();
    assert!((500..600).contains(&code), "DATA without a recipient");
}

/// RFC 2033 §4.2: one reply for each recipient that was accepted.
fn lmtp_per_recipient(cluster: &Cluster) {
    let mut session = Smtp::lmtp(cluster.port(1, Port::Lmtp)).unwrap();
    session.command("MAIL FROM:<a@example.org>", 250).unwrap();
    session.command(&format!("RCPT TO:<{ALICE}>"), 250).unwrap();
    assert!((500..600).contains(&session.ask("RCPT TO:<nobody@example.com>").unwrap().0));
    session.command("RCPT TO:<bob@example.com>", 250).unwrap();
    session.command("DATA", 354).unwrap();
    session.wire.send(b"Subject: two of three\r\n\r\nbody\r\n.\r\n").unwrap();
    for _ in 0..2 {
        let (code, text) = session.reply().unwrap();
        assert_eq!(code, 250, "{text}");
    }
    session.command("NOOP", 250).unwrap();
}

/// After a BAD the session goes on; a server may also say BYE.
fn imap_goes_on(imap: &mut Imap) {
    if let Ok(answer) = imap.ask("NOOP") {
        assert!(answer.ok(), "out of sync: {answer:?}");
    }
}

fn imap_oversized_lines(cluster: &Cluster) {
    for size in [70_000, 1_000_000, 8_000_000] {
        let mut imap = cluster.imap(1, ALICE);
        let tag = imap.send(&format!("NOOP {}", "x".repeat(size)));
        if let Ok(tag) = tag
            && let Ok(answer) = imap.answer(&tag)
        {
            assert!(!answer.ok(), "{size} octets were taken");
            imap_goes_on(&mut imap);
        }
    }
}

fn imap_literals(cluster: &Cluster) {
    for literal in [
        "{99999999999999999999}",
        "{4294967296}",
        "{4294967295+}",
        "{2147483647}",
        "{-1}",
        "{}",
        "{12",
        "{1x}",
        "{1000000000+}",
    ] {
        let mut imap = cluster.imap(1, ALICE);
        imap.wire.patience(Duration::from_secs(10)).unwrap();
        imap.send(&format!("APPEND INBOX {literal}")).unwrap();
        let line = imap.wire.text().unwrap_or_default();
        assert!(!line.starts_with('+'), "{literal} was invited");
        assert!(
            line.is_empty() || line.contains("BAD") || line.contains("NO") || line.contains("BYE"),
            "{literal}: {line}"
        );
    }
    // Before authentication nobody may make the server keep much.
    let mut imap = Imap::open(cluster.port(1, Port::Imap)).unwrap();
    imap.wire.patience(Duration::from_secs(10)).unwrap();
    imap.send("LOGIN {100000000}").unwrap();
    let line = imap.wire.text().unwrap_or_default();
    assert!(!line.starts_with('+'), "a login name of 100 MB was invited");
    // A literal that never comes to its end, then silence and a closed connection.
    let mut imap = cluster.imap(1, ALICE);
    imap.send("APPEND INBOX {100000}").unwrap();
    assert!(imap.wire.text().unwrap().starts_with('+'));
    imap.wire.send(b"only this").unwrap();
    drop(imap);
}

fn imap_odd_bytes(cluster: &Cluster) {
    for line in [
        &b"a NO\0OP\r\n"[..],
        b"\r\n",
        b"a\r\n",
        b"a \r\n",
        b"\xff\xff \xff\r\n",
        b"* NOOP\r\n",
        b"a FETCH\r\n",
        b"a UID\r\n",
        b"a SELECT \"unclosed\r\n",
        b"a FETCH 1 (BODY[\r\n",
    ] {
        let mut imap = cluster.imap(1, ALICE);
        imap.wire.send(line).unwrap();
        let answer = imap.wire.text().unwrap();
        assert!(answer.contains("BAD") || answer.contains("BYE"), "{line:?}: {answer}");
        imap_goes_on(&mut imap);
    }
    let mut imap = cluster.imap(1, ALICE);
    imap.select("INBOX").unwrap();
    for command in [
        "FETCH 0 (FLAGS)",
        "FETCH 1:* (NONSENSE)",
        "UID FETCH abc (FLAGS)",
        "SEARCH BEFORE never",
        "STORE 1 +FLAGS",
        "COPY 1",
        "SELECT",
    ] {
        let answer = imap.ask(command).unwrap();
        assert!(!answer.ok(), "{command} was taken");
    }
    let deep = format!("SEARCH {}ALL{}", "(".repeat(5_000), ")".repeat(5_000));
    assert!(!imap.ask(&deep).unwrap().ok(), "5,000 parentheses were taken");
    imap_goes_on(&mut imap);
}

fn imap_states(cluster: &Cluster) {
    let mut imap = Imap::open(cluster.port(1, Port::Imap)).unwrap();
    for command in ["SELECT INBOX", "FETCH 1 (FLAGS)", "LIST \"\" *", "IDLE", "APPEND INBOX {5}"] {
        assert!(!imap.ask(command).unwrap().ok(), "{command} before LOGIN");
    }
    assert!(!imap.ask(&format!("LOGIN {ALICE} wrong")).unwrap().ok());
    assert!(!imap.ask("LOGIN nobody@example.com x").unwrap().ok());
    assert!(imap.ask(&format!("LOGIN {ALICE} \"{PASSWORD}\"")).unwrap().ok());
    assert!(!imap.ask("FETCH 1 (FLAGS)").unwrap().ok(), "FETCH before SELECT");
    imap_goes_on(&mut imap);
}

fn pop3_garbage(cluster: &Cluster) {
    for line in
        [format!("USER {}\r\n", "x".repeat(100_000)), "RETR 1\r\n".into(), "\0\r\n".into(), "NONSENSE\r\n".into()]
    {
        let mut wire = Wire::open(cluster.port(1, Port::Pop3)).unwrap();
        assert!(wire.text().unwrap().starts_with("+OK"));
        let _ = wire.send(line.as_bytes());
        if let Ok(answer) = wire.text() {
            assert!(answer.starts_with("-ERR"), "{answer}");
        }
    }
    let mut wire = Wire::open(cluster.port(1, Port::Pop3)).unwrap();
    wire.text().unwrap();
    wire.send(format!("USER {ALICE}\r\nPASS wrong\r\n").as_bytes()).unwrap();
    wire.text().unwrap();
    assert!(wire.text().unwrap().starts_with("-ERR"));
}

/// Bytes of a fixed sequence, so that a failure can be repeated.
fn random_bytes(cluster: &Cluster) {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    for port in [
        Port::Smtp,
        Port::Lmtp,
        Port::Submission,
        Port::Submissions,
        Port::Imap,
        Port::Imaps,
        Port::Pop3,
        Port::Pop3s,
        Port::ManageSieve,
        Port::Rpc,
    ] {
        for _ in 0..10 {
            let bytes: Vec<u8> = (0..3_000).map(|_| next()).collect();
            let mut stream = TcpStream::connect(("127.0.0.1", cluster.port(1, port))).unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            let _ = stream.write_all(&bytes);
            let _ = stream.read(&mut [0; 1_024]);
        }
    }
}

fn half_open(cluster: &Cluster) {
    let mut silent = Vec::new();
    for port in [Port::Smtp, Port::Lmtp, Port::Imap, Port::Imaps, Port::Pop3, Port::ManageSieve, Port::Submissions] {
        for _ in 0..50 {
            let mut stream = TcpStream::connect(("127.0.0.1", cluster.port(1, port))).unwrap();
            // Half a command, or half a TLS hello.
            let _ = stream.write_all(b"\x16\x03\x01");
            silent.push(stream);
        }
    }
    assert_eq!(deliver(cluster, "half-open"), Delivery::Acknowledged);
    drop(silent);
}

/// Clients that ask for a lot and read nothing: the server must not keep the answers in memory.
fn slow_readers(cluster: &Cluster) {
    println!("slow readers");
    let mut imap = cluster.imap(1, ALICE);
    imap.must("CREATE Large").unwrap();
    for _ in 0..40 {
        let large = message(&crate::support::mail::unique("large"), 500_000);
        assert!(imap.append("Large", &large).unwrap().ok());
    }
    let before = cluster.node(1).rss_kib();
    let mut readers = Vec::new();
    for _ in 0..20 {
        let mut reader = cluster.imap(1, ALICE);
        reader.select("Large").unwrap();
        for _ in 0..5 {
            reader.send("FETCH 1:* (BODY.PEEK[])").unwrap();
        }
        readers.push(reader);
    }
    std::thread::sleep(Duration::from_secs(3));
    let after = cluster.node(1).rss_kib();
    println!("20 clients that do not read 2 GB of answers: {before} KiB before, {after} KiB after");
    assert!(after < before + GROWTH_KIB, "memory grew from {before} to {after} KiB");
    assert_eq!(deliver(cluster, "slow readers"), Delivery::Acknowledged);
}
