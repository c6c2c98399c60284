//! A smart host that wants a password over TLS: Postfix with Dovecot behind it.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::cluster::{Cluster, PASSWORD, Port, path, run};
use crate::support::eventually;
use crate::support::mail::unique;
use crate::support::remote::{Dns, Remote, postfix_is_there};
use crate::support::tools::succeed;

const ALICE: &str = "alice@example.com";
const LONG: Duration = Duration::from_secs(60);

/// Dovecot as what Postfix asks about passwords, and nothing else; it knows one user.
struct Dovecot {
    child: Child,
    folder: tempfile::TempDir,
}

impl Dovecot {
    fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("zcluster-dovecot-").tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let at = path(folder.path());
        fs::write(folder.path().join("users"), "relay:{PLAIN}a secret\n").unwrap();
        fs::set_permissions(folder.path().join("users"), fs::Permissions::from_mode(0o644)).unwrap();
        let config = folder.path().join("dovecot.conf");
        let text = format!(
            "base_dir = {at}/run\nstate_dir = {at}/state\nlog_path = {at}/log\nprotocols =\nssl = no\n\
             auth_mechanisms = plain login\nauth_failure_delay = 0\n\
             passdb {{\n  driver = passwd-file\n  args = {at}/users\n}}\n\
             userdb {{\n  driver = static\n  args = uid=nobody gid=nogroup home=/tmp\n}}\n\
             service auth {{\n  unix_listener {at}/auth {{\n    mode = 0666\n  }}\n}}\n"
        );
        fs::write(&config, text).unwrap();
        let child = Command::new("dovecot")
            .args(["-F", "-c", path(&config)])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let this = Self { child, folder };
        eventually("Dovecot listens", Duration::from_secs(20), || this.socket().exists());
        this
    }

    fn socket(&self) -> std::path::PathBuf {
        self.folder.path().join("auth")
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- Dovecot said:\n{}", fs::read_to_string(self.folder.path().join("log")).unwrap_or_default());
        }
        // SAFETY: kill takes no pointers; the child has not been waited for.
        unsafe { libc::kill(self.child.id() as libc::pid_t, libc::SIGTERM) };
        let _ = self.child.wait();
    }
}

/// An authority, and a pair for `smart.test` by it.
fn certificates(folder: &Path) {
    let at = |name: &str| path(&folder.join(name)).to_owned();
    let new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
    succeed(Command::new("openssl").args(["req", "-x509"]).args(new).args([
        "-subj",
        "/CN=an authority",
        "-addext",
        "keyUsage=keyCertSign",
        "-keyout",
        &at("ca.key"),
        "-out",
        &at("ca.pem"),
    ]));
    succeed(Command::new("openssl").args(["req", "-x509"]).args(new).args([
        "-subj",
        "/CN=smart.test",
        "-addext",
        "subjectAltName=DNS:smart.test",
        "-addext",
        "basicConstraints=critical,CA:FALSE",
        "-CA",
        &at("ca.pem"),
        "-CAkey",
        &at("ca.key"),
        "-keyout",
        &at("key.pem"),
        "-out",
        &at("cert.pem"),
    ]));
}

fn submit(cluster: &Cluster, to: &str, id: &str) {
    let port = cluster.port(1, Port::Submission).to_string();
    succeed(
        Command::new("swaks")
            .args(["--server", "127.0.0.1", "--port", &port, "--tls", "--from", ALICE, "--to", to])
            .args(["--auth", "PLAIN", "--auth-user", ALICE, "--auth-password", PASSWORD])
            .args(["--h-Subject", id, "--body", "by the smart host"]),
    );
}

/// What the operator is told about the message for this recipient.
fn note(cluster: &Cluster, recipient: &str) -> String {
    let data = path(&cluster.node(1).data).to_owned();
    let listed = run(&["queue", "list", "--recipient", recipient, "--json", "--data", &data]);
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    listed[0]["note"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_smart_host_gets_the_password_over_tls_and_nothing_without() {
    if !postfix_is_there() || !Path::new("/usr/sbin/dovecot").exists() {
        println!(
            "skipped: only root can start Postfix, which needs Dovecot here; deploy/prerequisites test installs both"
        );
        return;
    }
    let dovecot = Dovecot::start();
    let certs = tempfile::tempdir().unwrap();
    certificates(certs.path());
    let at = path(certs.path());
    let sasl = format!(
        "smtpd_sasl_auth_enable = yes\nsmtpd_sasl_type = dovecot\nsmtpd_sasl_path = {}\nsmtpd_tls_auth_only = yes\n\
         smtpd_tls_security_level = may\nsmtpd_tls_cert_file = {at}/cert.pem\nsmtpd_tls_key_file = {at}/key.pem\n\
         smtpd_tls_loglevel = 1\nsmtpd_recipient_restrictions = permit_sasl_authenticated, reject\n",
        path(&dovecot.socket())
    );
    let (smart, plain) = (Remote::start_with(&sasl), Remote::start_with("smtpd_tls_security_level = none\n"));
    let dns = Dns::start();
    let mut passwords = tempfile::NamedTempFile::new().unwrap();
    writeln!(passwords, "[smart.test]:{0} relay:a secret\n[wrong.test]:{0} relay:a guess", smart.port).unwrap();
    let mut config = dns.node_config(25);
    writeln!(config, "credentials_file = \"{}\"\nca_file = \"{at}/ca.pem\"", path(passwords.path())).unwrap();
    let cluster = Cluster::start_with(1, &["--config", path(config.path())]);
    let map = |recipient: &str, host: &str, port: u16| format!("{recipient} smtp:[{host}]:{port}");
    cluster.prov(&[
        "modifyConfig",
        "zclusterTransportMap",
        &map("user@remote.test", "smart.test", smart.port),
        "zclusterTransportMap",
        &map("second@remote.test", "wrong.test", smart.port),
        "zclusterTransportMap",
        &map("user@bare.test", "plain.test", plain.port),
        "zclusterTlsPolicy",
        "smart.test verify",
        "zclusterTlsPolicy",
        "wrong.test encrypt",
        "zclusterTlsPolicy",
        "plain.test encrypt",
    ]);

    // The right password, to a host that proves who it is.
    let id = unique("smart");
    submit(&cluster, "user@remote.test", &id);
    eventually(&format!("it arrives; {}", smart.log()), LONG, || {
        smart.messages("user").iter().any(|m| m.contains(&id))
    });
    assert!(smart.log().contains("sasl_method=PLAIN, sasl_username=relay"), "{}", smart.log());
    assert!(smart.log().contains("TLS connection established from"), "{}", smart.log());

    // A wrong one is the operator's affair: the message waits, and says why.
    submit(&cluster, "second@remote.test", &unique("wrong"));
    eventually("the refusal is noted", LONG, || note(&cluster, "second@remote.test").contains("signing in: 535"));
    let told = note(&cluster, "second@remote.test");
    assert!(told.starts_with("4.7.8 wrong.test: "), "{told}");
    assert!(!told.contains("guess"), "{told}");

    // Where TLS must be and is not, nothing is sent.
    submit(&cluster, "user@bare.test", &unique("plain"));
    eventually("the lack is noted", LONG, || note(&cluster, "user@bare.test").starts_with("4.7.4 plain.test: "));
    let log = plain.log();
    assert!(log.contains("connect from"), "{log}");
    assert!(!log.contains("client=") && !log.contains("mail=") && plain.messages("user").is_empty(), "{log}");
    assert!(smart.messages("second").is_empty());
}
