//! Signing in with tokens that the node knows nothing of: it asks an authorization server (RFC 7662), here Python's
//! http.server; the client is curl, over IMAP, POP3 and submission.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::cluster::{Cluster, Port, path, scratch};
use crate::support::eventually;
use crate::support::mail::{message, unique};
use crate::support::tools::finish;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/programs/introspection.py");
const ALICE: &str = "alice@example.com";
/// All that may stand in a token (RFC 6750 §2.1).
const GOOD: &str = "ali-ce.~+/==";

/// The authorization server; it ends with the test.
struct Issuer {
    child: Child,
    port: u16,
    folder: PathBuf,
}

impl Issuer {
    fn start() -> Self {
        let folder = scratch();
        let (port_file, log) = (folder.join("port"), folder.join("log"));
        let mut command = Command::new("python3");
        command.args(["-u", SCRIPT, path(&port_file), path(&log), "zcluster", "s3 cret"]).stdin(Stdio::null());
        let child = command.spawn().expect("python3; run deploy/prerequisites");
        eventually("the issuer listens", Duration::from_secs(20), || port_file.exists());
        let port = fs::read_to_string(&port_file).unwrap().parse().unwrap();
        Self { child, port, folder }
    }

    /// A node's settings that name this server.
    fn config(&self) -> PathBuf {
        fs::write(self.folder.join("secret"), "s3 cret\n").unwrap();
        let file = self.folder.join("zcluster.toml");
        let text = format!(
            "[oauth]\nissuer = \"https://id.example.com\"\naudience = [\"mail\"]\nusername_claim = \"username\"\n\
             scopes = [\"imap\"]\nintrospection_url = \"http://127.0.0.1:{}/introspect\"\nclient_id = \"zcluster\"\n\
             client_secret_file = \"secret\"\n",
            self.port
        );
        fs::write(&file, text).unwrap();
        file
    }

    /// The tokens that were asked about, in order.
    fn asked(&self) -> Vec<String> {
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines
            .map(|asked| {
                assert_eq!(asked["path"], "/introspect");
                assert_eq!(asked["form"]["token_type_hint"][0], "access_token");
                asked["form"]["token"][0].as_str().unwrap().to_owned()
            })
            .collect()
    }

    fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.stop();
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

fn curl(user: &str, token: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new("curl");
    command.args(["-sSk", "--max-time", "45", "--user", &format!("{user}:"), "--oauth2-bearer", token]);
    finish(command.args(arguments))
}

/// The tagged answer to AUTHENTICATE inside TLS: tokens are not offered without.
fn authenticate(port: u16, user: &str, token: &str) -> String {
    let url = format!("imap://127.0.0.1:{port}/");
    let output = curl(user, token, &["-v", "--ssl-reqd", &url]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let mut lines = said.lines().skip_while(|line| !line.contains(" AUTHENTICATE "));
    let tagged = lines.find_map(|line| line.strip_prefix("< A")?.split_once(' ').map(|(_, answer)| answer.to_owned()));
    tagged.unwrap_or_else(|| panic!("no answer: {said}"))
}

#[test]
fn tokens_are_asked_about_and_believed_as_far_as_the_answer_goes() {
    let mut issuer = Issuer::start();
    // Ports come from `init`; the settings only say whom to ask.
    let config = issuer.config();
    let cluster = Cluster::start_with(1, &["--config", path(&config)]);
    let url = |scheme: &str, port| format!("{scheme}://127.0.0.1:{}/", cluster.port(1, port));

    // curl uses OAUTHBEARER where it is offered.
    let listed = curl(ALICE, GOOD, &["--ssl-reqd", &url("imap", Port::Imap)]);
    let text = String::from_utf8_lossy(&listed.stdout).into_owned() + &String::from_utf8_lossy(&listed.stderr);
    assert!(listed.status.success() && text.contains("INBOX"), "{text}\n{}", cluster.node(1).tail(20));
    assert!(curl(ALICE, GOOD, &[&url("imaps", Port::Imaps)]).status.success());
    assert!(curl(ALICE, GOOD, &["--ssl-reqd", &url("pop3", Port::Pop3)]).status.success());
    assert!(curl(ALICE, GOOD, &[&url("pop3s", Port::Pop3s)]).status.success());
    let file = cluster.folder.join("message");
    fs::write(&file, message(&unique("token"), 1_000)).unwrap();
    let sending = ["--mail-from", ALICE, "--mail-rcpt", ALICE, "-T", path(&file)];
    let sent = curl(ALICE, GOOD, &[&sending[..], &["--ssl-reqd", &url("smtp", Port::Submission)]].concat());
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    assert!(issuer.asked().iter().all(|token| token == GOOD), "as it was sent, character for character");

    // What the answer does not say, nobody gets; and nothing is told of why.
    let imap = cluster.port(1, Port::Imap);
    for token in ["revoked", "too-narrow", "for-others", "old", "nobodys", "bobs"] {
        let answer = authenticate(imap, ALICE, token);
        assert!(answer.starts_with("NO [AUTHENTICATIONFAILED]"), "{token}: {answer}");
    }
    assert!(authenticate(imap, ALICE, GOOD).starts_with("OK "));
    assert!(authenticate(imap, "bob@example.com", "bobs").starts_with("OK "));
    // An issuer that cannot answer is no verdict on the token.
    for token in ["broken", "nonsense", "endless"] {
        let answer = authenticate(imap, ALICE, token);
        assert!(answer.starts_with("NO [UNAVAILABLE]"), "{token}: {answer}");
    }
    let asked = issuer.asked();
    assert!(asked.contains(&"revoked".to_owned()) && asked.contains(&"endless".to_owned()));
    issuer.stop();
    let answer = authenticate(imap, "bob@example.com", "never-seen");
    assert!(answer.starts_with("NO [UNAVAILABLE]"), "{answer}");
    // Passwords need no issuer.
    cluster.imap(1, ALICE);
}
