//! Users' programs send to here and elsewhere: msmtp over TLS from the first byte, swaks with STARTTLS; Postfix's smtp-sink is
//! the other site.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::cluster::{Cluster, PASSWORD, Port, free_ports, path};
use crate::support::eventually;
use crate::support::tools::succeed;

const ALICE: &str = "alice@example.com";
const BOB: &str = "bob@example.com";
const FRIEND: &str = "friend@elsewhere.example";
const SINK: &str = "/usr/sbin/smtp-sink";

/// Another site's server, which keeps each message in a file.
struct Sink {
    child: Child,
    folder: PathBuf,
}

impl Sink {
    fn start(folder: &Path, port: u16) -> Self {
        let folder = folder.join("sink");
        fs::create_dir_all(&folder).unwrap();
        // It will not run as root: somebody else writes the files then.
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
        // SAFETY: reads the process's own id.
        let root = unsafe { libc::geteuid() } == 0;
        let user: &[&str] = if root { &["-u", "nobody"] } else { &[] };
        let to = format!("127.0.0.1:{port}");
        let child = Command::new(SINK)
            .args(user)
            .args(["-d", "%s.", &to, "100"])
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Sink { child, folder }
    }

    /// Whole files; smtp-sink writes what the client said of the envelope in front.
    fn messages(&self) -> Vec<String> {
        let files = fs::read_dir(&self.folder).unwrap().map(|f| f.unwrap().path());
        files.filter_map(|f| fs::read(f).ok()).map(|b| String::from_utf8_lossy(&b).into_owned()).collect()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn one_submission_reaches_mailboxes_here_and_another_site() {
    if !Path::new(SINK).exists() {
        println!("skipped: smtp-sink comes with Postfix, and deploy/prerequisites leaves another agent in its place");
        return;
    }
    let cluster = Cluster::start(1);
    let port = free_ports();
    let sink = Sink::start(&cluster.folder, port);
    eventually("smtp-sink listens", Duration::from_secs(20), || {
        std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    cluster.prov(&["mcf", "zimbraMtaRelayHost", &format!("[127.0.0.1]:{port}")]);
    msmtp(&cluster);
    swaks(&cluster);
    let mut imap = cluster.imap(1, BOB);
    imap.select("INBOX").unwrap();
    let here: Vec<String> =
        imap.bodies().unwrap().into_values().map(|b| String::from_utf8_lossy(&b).into_owned()).collect();
    assert_eq!(here.len(), 2, "recipients here have it when the program returns");
    eventually("the other site has both", Duration::from_secs(60), || sink.messages().len() >= 2);
    let there = sink.messages();
    for (subject, with) in [("by msmtp", "ESMTPSA"), ("by swaks", "ESMTPSA")] {
        for (place, all) in [("here", &here), ("there", &there)] {
            let message = all.iter().find(|m| m.contains(&format!("Subject: {subject}")));
            let message = message.unwrap_or_else(|| panic!("{subject} is not {place}: {all:?}"));
            assert!(message.contains(&format!(" with {with} id ")), "{message}");
            assert!(!message.contains("secret@elsewhere.example"), "Bcc is told: {message}");
            assert!(message.contains("Message-I") && message.contains("Date: "), "{message}");
        }
    }
}

/// A foreign sender address is refused before anything is sent.
fn msmtp(cluster: &Cluster) {
    let config = cluster.folder.join("msmtprc");
    fs::write(
        &config,
        format!(
            "account default\nhost 127.0.0.1\nport {}\ntls on\ntls_starttls off\ntls_certcheck off\nauth on\nuser {ALICE}\n\
             password {PASSWORD}\nfrom {ALICE}\n",
            cluster.port(1, Port::Submissions)
        ),
    )
    .unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
    let message = cluster.folder.join("message");
    fs::write(&message, format!("Subject: by msmtp\nTo: {BOB}\nBcc: secret@elsewhere.example\n\nhello\n")).unwrap();
    let send = |from: &str| {
        let script = format!(
            "msmtp -C '{}' --undisclosed-recipients=off --from={from} {BOB} {FRIEND} < '{}'",
            path(&config),
            path(&message)
        );
        Command::new("sh").args(["-c", &script]).output().unwrap()
    };
    let refused = send("ceo@example.com");
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && text.contains("5.7.1"), "{text}");
    let sent = send(ALICE);
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
}

fn swaks(cluster: &Cluster) {
    let port = cluster.port(1, Port::Submission).to_string();
    succeed(
        Command::new("swaks")
            .args([
                "--server",
                "127.0.0.1",
                "--port",
                &port,
                "--tls",
                "--from",
                ALICE,
                "--to",
                &format!("{BOB},{FRIEND}"),
            ])
            .args(["--auth", "PLAIN", "--auth-user", ALICE, "--auth-password", PASSWORD])
            .args(["--h-Subject", "by swaks", "--header", "Bcc: secret@elsewhere.example", "--body", "hello"]),
    );
}
