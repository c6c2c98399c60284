//! The programs that people use: swaks sends to one node; curl, mbsync and mutt read from the others.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::cluster::{Cluster, PASSWORD, Port, path};
use crate::support::mail::{delicate, id_of, unique};
use crate::support::pop3::Pop3;
use crate::support::tools::{succeed, succeed_with_open_input};

const BOB: &str = "bob@example.com";

#[test]
fn mail_sent_with_swaks_is_read_byte_identical_with_curl_mbsync_and_mutt() {
    let cluster = Cluster::start(3);
    let sent = send_with_swaks(&cluster);
    let stored = stored_forms(&cluster, &sent);
    for node in [2, 3] {
        curl_reads(&cluster, node, &stored);
        mbsync_reads(&cluster, node, &stored);
        mutt_reads(&cluster, node, &stored);
    }
}

/// Three messages to node 1: over SMTP, over SMTP with STARTTLS, over LMTP.
fn send_with_swaks(cluster: &Cluster) -> Vec<Vec<u8>> {
    let ways: [(&str, Port, &[&str]); 3] = [
        ("smtp", Port::Smtp, &[]),
        ("starttls", Port::Smtp, &["--tls"]),
        ("lmtp", Port::Lmtp, &["--protocol", "LMTP"]),
    ];
    ways.into_iter()
        .map(|(name, port, arguments)| {
            let message = delicate(&unique(name));
            let file = cluster.folder.join(format!("{name}.eml"));
            // swaks stuffs dots, sends LF as CRLF, and ends the last line itself.
            let text = String::from_utf8(message.clone()).unwrap().replace("\r\n", "\n");
            fs::write(&file, text.strip_suffix('\n').unwrap()).unwrap();
            succeed(
                Command::new("swaks")
                    .args(["--server", "127.0.0.1", "--port", &cluster.port(1, port).to_string()])
                    .args(["--from", "sender@example.org", "--to", BOB, "--data"])
                    .arg(format!("@{}", path(&file)))
                    .args(["--suppress-data"])
                    .args(arguments),
            );
            message
        })
        .collect()
}

/// What the server keeps: the trace fields (RFC 5321 §4.4) that it put in front, then exactly what was sent.
fn stored_forms(cluster: &Cluster, sent: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut imap = cluster.imap(1, BOB);
    assert_eq!(imap.select("INBOX").unwrap(), sent.len());
    let stored: Vec<Vec<u8>> = imap.bodies().unwrap().into_values().collect();
    for (stored, sent) in stored.iter().zip(sent) {
        assert_ends_with(stored, sent);
        let trace = String::from_utf8_lossy(&stored[..stored.len() - sent.len()]);
        assert!(trace.contains("Return-Path: <sender@example.org>"), "{trace}");
        assert!(trace.contains("Received:"), "{trace}");
    }
    stored
}

fn assert_ends_with(stored: &[u8], sent: &[u8]) {
    if !stored.ends_with(sent) {
        panic!(
            "what is stored does not end with what was sent:\n{}\n---\n{}",
            stored.escape_ascii(),
            sent.escape_ascii()
        );
    }
}

fn curl_reads(cluster: &Cluster, node: usize, stored: &[Vec<u8>]) {
    let login = format!("{BOB}:{PASSWORD}");
    for (index, expected) in stored.iter().enumerate() {
        let urls = [
            format!("imap://127.0.0.1:{}/INBOX;MAILINDEX={}", cluster.port(node, Port::Imap), index + 1),
            format!("imaps://127.0.0.1:{}/INBOX;MAILINDEX={}", cluster.port(node, Port::Imaps), index + 1),
            format!("pop3://127.0.0.1:{}/{}", cluster.port(node, Port::Pop3), index + 1),
            format!("pop3s://127.0.0.1:{}/{}", cluster.port(node, Port::Pop3s), index + 1),
        ];
        for url in urls {
            let got = succeed(Command::new("curl").args(["-sS", "-k", "--max-time", "30", "--user", &login, &url]));
            assert!(got == *expected, "curl {url}:\n{}\n---\n{}", got.escape_ascii(), expected.escape_ascii());
        }
    }
    let mut pop3 = Pop3::login(cluster.port(node, Port::Pop3), BOB, PASSWORD).unwrap();
    assert_eq!(pop3.count().unwrap(), stored.len());
    for (index, expected) in stored.iter().enumerate() {
        assert!(pop3.retrieve(index + 1).unwrap() == *expected, "POP3 RETR {}", index + 1);
    }
    pop3.command("QUIT").unwrap();
}

/// The stored form as a Unix program keeps it: LF line ends.
fn with_lf(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len());
    for (index, &byte) in message.iter().enumerate() {
        if !(byte == b'\r' && message.get(index + 1) == Some(&b'\n')) {
            out.push(byte);
        }
    }
    out
}

fn mbsync_reads(cluster: &Cluster, node: usize, stored: &[Vec<u8>]) {
    let home = cluster.folder.join(format!("mbsync{node}"));
    fs::create_dir_all(home.join("mail")).unwrap();
    let config = home.join("mbsyncrc");
    let certificate = certificate_of(cluster, node, &home);
    fs::write(
        &config,
        format!(
            "IMAPAccount z\nHost localhost\nPort {}\nUser {BOB}\nPass \"{PASSWORD}\"\nSSLType IMAPS\nCertificateFile {}\n\n\
             IMAPStore far\nAccount z\n\nMaildirStore near\nPath {mail}/\nInbox {mail}/INBOX\nSubFolders Verbatim\n\n\
             Channel all\nFar :far:\nNear :near:\nPatterns *\nCreate Near\nSyncState *\n",
            cluster.port(node, Port::Imaps),
            path(&certificate),
            mail = path(&home.join("mail")),
        ),
    )
    .unwrap();
    succeed(Command::new("mbsync").arg("-c").arg(&config).arg("-a").env("HOME", &home));
    let mut files = maildir_files(&home.join("mail/INBOX"));
    assert_eq!(files.len(), stored.len(), "mbsync fetched {files:?}");
    for expected in stored {
        let expected = with_lf(expected);
        let at = files.iter().position(|file| without_line(&fs::read(file).unwrap(), b"X-TUID: ") == expected);
        files.remove(at.unwrap_or_else(|| panic!("mbsync changed a message:\n{}", expected.escape_ascii())));
    }
}

/// The server's self-signed certificate, as a client pins it.
fn certificate_of(cluster: &Cluster, node: usize, home: &Path) -> PathBuf {
    let file = home.join("server.pem");
    let script = format!(
        "openssl s_client -connect 127.0.0.1:{} -showcerts </dev/null 2>/dev/null | sed -n '/BEGIN CERT/,/END CERT/p' > {}",
        cluster.port(node, Port::Imaps),
        path(&file)
    );
    succeed(Command::new("sh").args(["-c", &script]));
    assert!(fs::metadata(&file).unwrap().len() > 0, "no certificate from node {node}");
    file
}

fn maildir_files(folder: &Path) -> Vec<PathBuf> {
    ["cur", "new"]
        .iter()
        .flat_map(|sub| fs::read_dir(folder.join(sub)).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect()
}

/// A message without the lines that begin so.
fn without_line(message: &[u8], begin: &[u8]) -> Vec<u8> {
    message.split_inclusive(|&byte| byte == b'\n').filter(|line| !line.starts_with(begin)).flatten().copied().collect()
}

/// mutt, driven by its own key bindings, copies the whole folder into a Maildir.
fn mutt_reads(cluster: &Cluster, node: usize, stored: &[Vec<u8>]) {
    let home = cluster.folder.join(format!("mutt{node}"));
    fs::create_dir_all(&home).unwrap();
    // Without its folder mutt begins with a question.
    fs::create_dir_all(home.join("Mail")).unwrap();
    let copy = home.join("copy");
    for sub in ["cur", "new", "tmp"] {
        fs::create_dir_all(copy.join(sub)).unwrap();
    }
    let user = BOB.replace('@', "%40");
    let folder = format!("imap://{user}@127.0.0.1:{}/INBOX", cluster.port(node, Port::Imap));
    let config = home.join("muttrc");
    fs::write(
        &config,
        format!(
            "set imap_user=\"{BOB}\"\nset imap_pass=\"{PASSWORD}\"\nset ssl_starttls=no\nset ssl_force_tls=no\n\
             set mbox_type=Maildir\nset confirmappend=no\nset confirmcreate=no\nset copy=no\nset delete=no\nset quit=yes\n\
             set mark_old=no\nset header_cache=\nset sleep_time=0\nset resolve=no\nset wait_key=no\n\
             push \"<tag-pattern>~A<enter><tag-prefix><copy-message><kill-line>{}<enter><exit>\"\n",
            path(&copy)
        ),
    )
    .unwrap();
    // mutt wants a terminal: script(1) gives it one.
    let inner = format!("mutt -n -d 2 -F {} -f '{folder}'", path(&config));
    let mut command = Command::new("script");
    command.args(["-qec", &inner, "/dev/null"]).env("HOME", &home).env("TERM", "vt100").env("LC_ALL", "C.UTF-8");
    let screen = succeed_with_open_input(&mut command);
    let copied = maildir_files(&copy).len();
    let debug = fs::read_to_string(home.join(".muttdebug0")).unwrap_or_default();
    assert_eq!(copied, stored.len(), "mutt did not copy everything:\n{}\n{debug}", screen.escape_ascii());
    for file in maildir_files(&copy) {
        let got = fs::read(&file).unwrap();
        let id = id_of(&String::from_utf8_lossy(&got).replace('\n', "\r\n").into_bytes()).expect("a Message-ID");
        let expected =
            stored.iter().find(|message| id_of(message).as_ref() == Some(&id)).expect("a message that was sent");
        // mutt notes what it knows of a message in these two fields of its copy.
        let got = without_line(&without_line(&got, b"Content-Length: "), b"Lines: ");
        assert!(got == with_lf(expected), "mutt:\n{}\n---\n{}", got.escape_ascii(), with_lf(expected).escape_ascii());
    }
}
