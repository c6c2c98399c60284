//! Certificates by ACME on three nodes: acme2certifier, a server written by others, is the authority, and its challenges
//! come to a node that did not order.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::cluster::{Cluster, Port, free_ports, path, scratch};
use crate::support::daemon::Daemon;
use crate::support::eventually;
use crate::support::tools::{finish, succeed};
use crate::support::wire::Wire;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/programs/acme_ca.py");
/// Behind a node's base port: where challenges come to.
const TLS_OFFSET: u16 = 44;
const HTTP_OFFSET: u16 = 80;
/// How long an order may take on a busy machine.
const SOON: Duration = Duration::from_secs(90);

/// A Python that has the authority's program; deploy/prerequisites installs it.
fn python() -> Option<PathBuf> {
    let folder = |name: &str, below: &str| std::env::var_os(name).map(|value| Path::new(&value).join(below));
    let cache = folder("ZCLUSTER_CACHE", "")
        .or_else(|| folder("XDG_CACHE_HOME", "zcluster"))
        .or_else(|| folder("HOME", ".cache/zcluster"))
        .unwrap_or_default();
    let known = [cache.join("acme2certifier/bin/python3"), PathBuf::from("python3")];
    known.into_iter().find(|python| {
        let mut command = Command::new(python);
        command.args(["-c", "import acme2certifier"]).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    })
}

/// The authority.
struct Authority {
    _daemon: Daemon,
    folder: PathBuf,
    port: u16,
}

impl Authority {
    fn start(python: &Path) -> Self {
        let (folder, port) = (scratch(), free_ports());
        let key = |command: &mut Command| {
            command.args(["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
        };
        let mut ca = Command::new("openssl");
        key(&mut ca);
        ca.args(["-x509", "-days", "2", "-subj", "/CN=Authority", "-addext", "basicConstraints=critical,CA:TRUE"]);
        ca.args(["-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", "ca.key", "-out", "ca.pem"]);
        succeed(ca.current_dir(&folder));
        let mut request = Command::new("openssl");
        key(&mut request);
        request.args(["-subj", "/CN=acme", "-keyout", "server.key", "-out", "server.csr"]);
        succeed(request.current_dir(&folder));
        fs::write(folder.join("ext"), "subjectAltName=DNS:localhost\n").unwrap();
        let mut sign = Command::new("openssl");
        sign.args(["x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"]);
        succeed(sign.args(["-days", "2", "-extfile", "ext", "-out", "server.pem"]).current_dir(&folder));
        let this = |daemon| Self { _daemon: daemon, folder: folder.clone(), port };
        fs::write(folder.join("seconds"), "7776000").unwrap();
        fs::write(folder.join("target"), "1").unwrap();
        let mut command = Command::new(python);
        command.args(["-u", SCRIPT, path(&folder), &port.to_string()]);
        this(Daemon::start("acme2certifier", &mut command, &folder, port))
    }

    /// To which port of this machine the next challenges go.
    fn aim(&self, port: u16) {
        fs::write(self.folder.join("target"), port.to_string()).unwrap();
    }

    /// How long the next certificates count.
    fn make_for(&self, seconds: u32) {
        fs::write(self.folder.join("seconds"), seconds.to_string()).unwrap();
    }

    /// The serial number of the certificate that a node shows for a name, if this authority signed it for that name.
    fn serial(&self, cluster: &Cluster, node: usize, name: &str) -> Option<String> {
        let to = format!("127.0.0.1:{}", cluster.port(node, Port::Submissions));
        let mut client = Command::new("openssl");
        client.args(["s_client", "-connect", &to, "-servername", name, "-verify_hostname", name]);
        client.args(["-verify_return_error", "-CAfile", path(&self.folder.join("ca.pem"))]);
        let shown = finish(&mut client);
        let text = String::from_utf8_lossy(&shown.stdout).into_owned();
        if !text.contains("Verify return code: 0 (ok)") {
            return None;
        }
        let file = self.folder.join(format!("shown-{node}"));
        fs::write(&file, text).unwrap();
        let serial = succeed(Command::new("openssl").args(["x509", "-noout", "-serial", "-in", path(&file)]));
        Some(String::from_utf8_lossy(&serial).trim().to_string())
    }

    /// Waits until every node shows the name's certificate, and the same one.
    fn await_everywhere(&self, cluster: &Cluster, name: &str) -> String {
        let mut serial = None;
        eventually(&format!("every node has a certificate for {name}\n{}", logs(cluster)), SOON, || {
            let all: Vec<_> = (1..=3).map(|node| self.serial(cluster, node, name)).collect();
            serial.clone_from(&all[0]);
            all[0].is_some() && all.iter().all(|one| *one == all[0])
        });
        serial.unwrap()
    }
}

fn logs(cluster: &Cluster) -> String {
    cluster.nodes.iter().map(|node| format!("node {}:\n{}\n", node.number, node.tail(8))).collect()
}

/// Nodes whose logs have a line with both.
fn who_says(cluster: &Cluster, what: &str, name: &str) -> Vec<usize> {
    let says = |log: String| log.lines().any(|line| line.contains(what) && line.contains(name));
    cluster.nodes.iter().filter(|node| says(node.log())).map(|node| node.number).collect()
}

#[test]
fn one_node_orders_any_node_is_asked_and_every_node_shows() {
    let Some(python) = python() else {
        println!("skipped: there is no acme2certifier; deploy/prerequisites test installs it");
        return;
    };
    let authority = Authority::start(&python);
    let cluster = Cluster::start(3);
    let base = |node: usize| cluster.node(node).base;
    let certificate = fs::read_to_string(authority.folder.join("ca.pem")).unwrap();
    let url = format!("https://localhost:{}/directory", authority.port);
    authority.aim(base(1) + TLS_OFFSET);
    cluster.prov(&["md", "example.com", "zimbraVirtualHostname", "one.example.com"]);
    cluster.prov(&["mcf", "zclusterAcmeDirectory", &url]);
    cluster.prov(&["mcf", "zclusterAcmeServerCertificate", &certificate]);
    cluster.prov(&["mcf", "zclusterAcmeContact", "postmaster@example.com"]);
    cluster.prov(&["mcf", "zclusterAcmeEnabled", "TRUE"]);
    authority.await_everywhere(&cluster, "one.example.com");
    assert_eq!(who_says(&cluster, "a challenge was answered", "one.example.com"), [1]);

    // The next challenge goes to a node that is not the one that orders; this certificate is a short one.
    let ordered = who_says(&cluster, "certificate issued", "one.example.com");
    let &[orderer] = &ordered[..] else { panic!("{ordered:?} ordered") };
    let asked = orderer % 3 + 1;
    authority.aim(base(asked) + TLS_OFFSET);
    authority.make_for(120);
    cluster.prov(&["md", "example.com", "+zimbraVirtualHostname", "two.example.com"]);
    let first = authority.await_everywhere(&cluster, "two.example.com");
    assert_eq!(who_says(&cluster, "certificate issued", "two.example.com"), [orderer]);
    assert_eq!(who_says(&cluster, "a challenge was answered", "two.example.com"), [asked]);

    // Renewed while it still counts; what is connected stays connected.
    let mut open = Wire::open(cluster.port(2, Port::Smtp)).unwrap();
    assert!(open.text().unwrap().starts_with("220 "));
    let mut tls = connected(&cluster, "two.example.com");
    authority.make_for(7_776_000);
    let mut shown = Vec::new();
    eventually(&format!("a renewed certificate on every node\n{}", logs(&cluster)), Duration::from_secs(150), || {
        shown = (1..=3).filter_map(|node| authority.serial(&cluster, node, "two.example.com")).collect();
        assert_eq!(shown.len(), 3, "there is a good one at any time");
        shown.iter().all(|serial| *serial != first)
    });
    open.send(b"NOOP\r\n").unwrap();
    assert!(open.text().unwrap().starts_with("250 "));
    assert!(tls.still_speaks(), "a session under the old certificate goes on");

    // The other challenge, again to a node that did not order.
    authority.aim(base(asked) + HTTP_OFFSET);
    cluster.prov(&["mcf", "zclusterAcmeChallenge", "http-01"]);
    cluster.prov(&["mcf", "zclusterAcmeHostname", "three.example.com"]);
    authority.await_everywhere(&cluster, "three.example.com");
    assert_eq!(who_says(&cluster, "a challenge was answered", "three.example.com"), [asked]);

    // A name that cannot be proven is left alone for a while, and the others do not suffer.
    authority.aim(1);
    cluster.prov(&["mcf", "+zclusterAcmeHostname", "four.example.com"]);
    eventually(&format!("it fails\n{}", logs(&cluster)), 2 * SOON, || {
        !who_says(&cluster, "no certificate", "four.example.com").is_empty()
    });
    assert!(authority.serial(&cluster, 3, "three.example.com").is_some());

    // Keys are shown nowhere.
    let config = cluster.prov(&["gacf"]);
    let domain = cluster.prov(&["gd", "example.com"]);
    let told = cluster.nodes.iter().fold(config + &domain, |all, node| all + &node.log());
    assert!(!told.contains("PRIVATE KEY") && !told.contains("key_pkcs8"));
}

/// A client in the middle of a session over TLS.
struct Session {
    child: std::process::Child,
    output: std::io::BufReader<std::process::ChildStdout>,
}

fn connected(cluster: &Cluster, name: &str) -> Session {
    let to = format!("127.0.0.1:{}", cluster.port(3, Port::Submissions));
    let mut child = Command::new("openssl")
        .args(["s_client", "-quiet", "-connect", &to, "-servername", name])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut session = Session { child, output };
    assert!(session.line().starts_with("220 "));
    session
}

impl Session {
    fn line(&mut self) -> String {
        let mut line = String::new();
        std::io::BufRead::read_line(&mut self.output, &mut line).unwrap();
        line
    }

    fn still_speaks(&mut self) -> bool {
        std::io::Write::write_all(self.child.stdin.as_mut().unwrap(), b"NOOP\r\n").unwrap();
        self.line().starts_with("250 ")
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
