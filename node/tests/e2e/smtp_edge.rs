//! What is in front of port 25 and its kin: certificates by name, load balancers, defences.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::cluster::{Cluster, PASSWORD, Port, free_ports, path};
use crate::support::eventually;
use crate::support::smtp::Smtp;
use crate::support::tools::{finish, succeed};
use crate::support::wire::Wire;

const ALICE: &str = "alice@example.com";
const BOB: &str = "bob@example.com";

/// A self-signed pair as certbot would keep it.
fn certificate(certs: &Path, folder: &str, name: &str) {
    let folder = certs.join(folder);
    fs::create_dir_all(&folder).unwrap();
    let (chain, key) = (folder.join("fullchain.pem"), folder.join("privkey.pem"));
    succeed(
        Command::new("openssl").args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]).args([
            "-nodes",
            "-days",
            "2",
            "-subj",
            &format!("/CN={name}"),
            "-addext",
            &format!("subjectAltName=DNS:{name}"),
            "-keyout",
            path(&key),
            "-out",
            path(&chain),
        ]),
    );
}

/// The subject of the certificate that a client is shown.
fn shown(port: u16, name: Option<&str>, starttls: Option<&str>) -> String {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &format!("127.0.0.1:{port}")]);
    match name {
        Some(name) => command.args(["-servername", name]),
        None => command.arg("-noservername"),
    };
    if let Some(protocol) = starttls {
        command.args(["-starttls", protocol]);
    }
    let output = finish(&mut command);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().find_map(|l| l.strip_prefix("subject=")).unwrap_or(&text).trim().replace(' ', "")
}

#[test]
fn certificates_by_name_are_taken_up_renewed_and_dropped() {
    let cluster = Cluster::start_configured(|folder| {
        let certs = folder.join("live");
        certificate(&certs, "a", "mail.a.example");
        certificate(&certs, "b", "*.b.example");
        format!("[tls]\ndirectory = \"{}\"\npoll_seconds = 1\n", path(&certs))
    });
    let certs = cluster.folder.join("live");
    let (smtps, smtp, imaps) =
        (cluster.port(1, Port::Submissions), cluster.port(1, Port::Smtp), cluster.port(1, Port::Imaps));
    for (port, starttls) in [(smtps, None), (smtp, Some("smtp")), (imaps, None)] {
        assert_eq!(shown(port, Some("mail.a.example"), starttls), "CN=mail.a.example");
        assert_eq!(shown(port, Some("MX.b.example"), starttls), "CN=*.b.example");
        for other in [Some("elsewhere.example"), None] {
            let subject = shown(port, other, starttls);
            assert!(!subject.contains("a.example") && !subject.contains("b.example"), "{other:?}: {subject}");
        }
    }
    certificate(&certs, "c", "late.example");
    eventually("a new pair", Duration::from_secs(20), || shown(smtps, Some("late.example"), None) == "CN=late.example");
    // Renewed under another name; what is broken does not take the old one away.
    certificate(&certs, "a", "new.a.example");
    fs::write(certs.join("c/fullchain.pem"), "nonsense").unwrap();
    eventually("a renewed pair", Duration::from_secs(20), || {
        shown(smtps, Some("new.a.example"), None) == "CN=new.a.example"
    });
    assert_eq!(shown(smtps, Some("late.example"), None), "CN=late.example");
    fs::remove_dir_all(certs.join("b")).unwrap();
    eventually("a pair that is gone", Duration::from_secs(20), || {
        shown(smtps, Some("mx.b.example"), None) != "CN=*.b.example"
    });
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_balancer_says_who_the_client_is_and_nobody_else_may() {
    let cluster = Cluster::start_configured(|_| {
        "[proxy_protocol]\nservices = [\"smtp\", \"submissions\"]\ntrusted = [\"127.0.0.3\"]\n".into()
    });
    let (smtp, smtps) = (cluster.port(1, Port::Smtp), cluster.port(1, Port::Submissions));
    let front = free_ports();
    let config = cluster.folder.join("haproxy.cfg");
    let section = |name: &str, port: u16, to: u16, how: &str| {
        format!("listen {name}\n  bind 127.0.0.1:{port}\n  server n1 127.0.0.1:{to} {how} source 127.0.0.3\n")
    };
    let text = "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n".to_string()
        + &section("one", front, smtp, "send-proxy")
        + &section("two", front + 1, smtp, "send-proxy-v2")
        + &section("tls", front + 2, smtps, "send-proxy-v2");
    fs::write(&config, text).unwrap();
    let haproxy = Command::new("haproxy").args(["-db", "-f", path(&config)]).stdin(Stdio::null()).spawn();
    let _haproxy = Running(haproxy.expect("haproxy; run deploy/prerequisites"));
    eventually("haproxy listens", Duration::from_secs(20), || Smtp::esmtp(front).is_ok());
    for (number, port) in [front, front + 1].into_iter().enumerate() {
        let port = port.to_string();
        succeed(
            Command::new("swaks")
                .args(["--server", "127.0.0.1", "--port", &port, "--local-interface", "127.0.0.2"])
                .args(["--from", "s@elsewhere.example", "--to", ALICE, "--h-Subject", &format!("through {number}")]),
        );
    }
    let port = (front + 2).to_string();
    succeed(
        Command::new("swaks")
            .args(["--server", "127.0.0.1", "--port", &port, "--local-interface", "127.0.0.4", "--tls-on-connect"])
            .args(["--auth", "PLAIN", "--auth-user", BOB, "--auth-password", PASSWORD, "--from", BOB, "--to", ALICE]),
    );
    let mut imap = cluster.imap(1, ALICE);
    imap.select("INBOX").unwrap();
    let got: Vec<String> =
        imap.bodies().unwrap().into_values().map(|b| String::from_utf8_lossy(&b).into_owned()).collect();
    assert_eq!(got.len(), 3);
    for (message, client) in got.iter().zip(["[127.0.0.2]", "[127.0.0.2]", "[127.0.0.4]"]) {
        let received = message.lines().find(|l| l.starts_with("Received: from ")).unwrap();
        assert!(received.contains(client), "{received}");
    }
    // From elsewhere such a header is nonsense, and the client stays who it is.
    let mut wire = Wire::open(smtp).unwrap();
    assert!(wire.text().unwrap().starts_with("220 "));
    wire.send(b"PROXY TCP4 10.1.2.3 10.1.2.4 1 25\r\n").unwrap();
    assert!(wire.text().unwrap().starts_with("500 "));
}

/// Strangers are refused what swaks asks of them; the client's address comes from a PROXY header.
#[test]
fn strangers_meet_the_defences() {
    let cluster =
        Cluster::start_configured(|_| "[proxy_protocol]\nservices = [\"smtp\"]\ntrusted = [\"127.0.0.1\"]\n".into());
    cluster.prov(&["mcf", "zclusterMtaGreylistEnabled", "TRUE"]);
    cluster.prov(&["mcf", "zimbraMtaRestriction", "reject_non_fqdn_helo_hostname"]);
    cluster.prov(&["mcf", "zimbraMtaMyNetworks", "198.51.100.0/24"]);
    let open = |client: &str, helo: &str| {
        let mut wire = Wire::open(cluster.port(1, Port::Smtp)).unwrap();
        wire.send(format!("PROXY TCP4 {client} 192.0.2.25 4000 25\r\n").as_bytes()).unwrap();
        let mut smtp = Smtp { wire };
        assert_eq!(smtp.reply().unwrap().0, 220);
        smtp.command(&format!("EHLO {helo}"), 250).unwrap();
        smtp.command("MAIL FROM:<s@elsewhere.example>", 250).unwrap();
        smtp
    };
    eventually("the settings are known", Duration::from_secs(30), || {
        open("203.0.113.9", "bare").ask(&format!("RCPT TO:<{ALICE}>")).unwrap().0 == 504
    });
    let mut stranger = open("203.0.113.9", "mail.elsewhere.example");
    assert_eq!(stranger.ask(&format!("RCPT TO:<{ALICE}>")).unwrap().0, 451, "greylisted");
    assert_eq!(stranger.ask("RCPT TO:<nobody@example.com>").unwrap().0, 550);
    assert!(stranger.ask("RCPT TO:<victim@elsewhere.example>").unwrap().1.contains("relay access denied"));
    let mut ours = open("198.51.100.5", "bare");
    assert_eq!(ours.ask(&format!("RCPT TO:<{ALICE}>")).unwrap().0, 250);
    assert_eq!(ours.ask("RCPT TO:<friend@elsewhere.example>").unwrap().0, 250, "our hosts may relay");
}
