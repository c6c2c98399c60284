//! What domains publish about their mail hosts' TLS: a root zone signed by the test (ldns) behind a validating resolver
//! (unbound), an authority that signs certificates (openssl), and a web server for MTA-STS policies (Python).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::cluster::{free_dns_port, free_ports, path};
use super::daemon::Daemon;
use super::eventually;
use super::tools::succeed;

/// An authority and certificates by it.
pub struct Authority {
    folder: PathBuf,
}

impl Authority {
    pub fn new(folder: &Path) -> Self {
        let this = Self { folder: folder.to_path_buf() };
        openssl(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=The test's authority",
            "-keyout",
            path(&this.file("ca.key")),
            "-out",
            path(&this.ca()),
        ]);
        this
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub fn ca(&self) -> PathBuf {
        self.file("ca.pem")
    }

    /// Key, certificate and authority in one file, for these host names.
    pub fn chain(&self, name: &str, hosts: &[&str]) -> PathBuf {
        let of = |kind: &str| self.file(&format!("{name}.{kind}"));
        let names: Vec<String> = hosts.iter().map(|h| format!("DNS:{h}")).collect();
        fs::write(of("ext"), format!("subjectAltName={}\n", names.join(","))).unwrap();
        openssl(&[
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            &format!("/CN={name}"),
            "-keyout",
            path(&of("key")),
            "-out",
            path(&of("csr")),
        ]);
        openssl(&[
            "x509",
            "-req",
            "-days",
            "2",
            "-in",
            path(&of("csr")),
            "-CA",
            path(&self.ca()),
            "-CAkey",
            path(&self.file("ca.key")),
            "-set_serial",
            &format!("{}", name.len() + 1000),
            "-extfile",
            path(&of("ext")),
            "-out",
            path(&of("pem")),
        ]);
        let all = [of("key"), of("pem"), self.ca()].map(|f| fs::read_to_string(f).unwrap());
        fs::write(of("chain"), all.concat()).unwrap();
        of("chain")
    }

    /// The SHA-256 of a host's key, as TLSA `3 1 1` has it.
    pub fn key_digest(&self, name: &str) -> String {
        let key = self.file(&format!("{name}.key"));
        self.digest(&["pkey", "-pubout", "-outform", "DER", "-in", path(&key)])
    }

    /// The SHA-256 of the authority's certificate, as TLSA `2 0 1` has it.
    pub fn ca_digest(&self) -> String {
        self.digest(&["x509", "-outform", "DER", "-in", path(&self.ca())])
    }

    fn digest(&self, command: &[&str]) -> String {
        let der = self.file("der");
        openssl(&[command, &["-out", path(&der)]].concat());
        let text = openssl(&["dgst", "-sha256", "-r", path(&der)]);
        String::from_utf8(text).unwrap().split(' ').next().unwrap().to_owned()
    }
}

fn openssl(arguments: &[&str]) -> Vec<u8> {
    succeed(Command::new("openssl").args(arguments))
}

/// A DNS with a root of its own: names below `open.test` are in a zone without signatures, all others are signed.
pub struct Signed {
    _unbound: Daemon,
    pub port: u16,
    /// What a resolver must trust.
    pub anchor: PathBuf,
}

impl Signed {
    /// With these records; `forged` is done to the zone after it was signed: text, and what stands in its place.
    pub fn start(folder: &Path, signed: &str, open: &str, forged: (&str, &str)) -> Self {
        let (zone, child) = (folder.join("root.zone"), folder.join("open.zone"));
        let head = "$TTL 60\n. IN SOA a.root. h.root. 1 3600 600 86400 60\n. IN NS a.root.\na.root. IN A 127.0.0.1\n\
            open.test. IN NS ns.open.test.\nns.open.test. IN A 127.0.0.1\n";
        fs::write(&zone, format!("{head}{signed}")).unwrap();
        let head = "$TTL 60\nopen.test. IN SOA ns.open.test. h.root. 1 3600 600 86400 60\n\
            open.test. IN NS ns.open.test.\nns.open.test. IN A 127.0.0.1\n";
        fs::write(&child, format!("{head}{open}")).unwrap();
        let made = succeed(Command::new("ldns-keygen").args(["-a", "ECDSAP256SHA256", "-k", "."]).current_dir(folder));
        let key = String::from_utf8(made).unwrap().trim().to_owned();
        succeed(Command::new("ldns-signzone").args(["-o", ".", "root.zone", &key]).current_dir(folder));
        let signed = fs::read_to_string(folder.join("root.zone.signed")).unwrap();
        assert!(signed.contains(forged.0), "{signed}");
        fs::write(folder.join("root.zone.signed"), signed.replace(forged.0, forged.1)).unwrap();
        let anchor = folder.join("anchor.key");
        fs::copy(folder.join(format!("{key}.key")), &anchor).unwrap();
        let port = free_dns_port();
        let (dir, auth) = (path(folder), |name: &str, file: &str| {
            format!(
                "auth-zone:\n  name: \"{name}\"\n  zonefile: \"{}/{file}\"\n  for-downstream: no\n  for-upstream: yes\n  \
                 fallback-enabled: no\n",
                path(folder)
            )
        });
        let text = format!(
            "server:\n  interface: 127.0.0.1\n  port: {port}\n  access-control: 127.0.0.0/8 allow\n  chroot: \"\"\n  \
             username: \"\"\n  directory: \"{dir}\"\n  pidfile: \"\"\n  use-syslog: no\n  logfile: \"\"\n  \
             do-daemonize: no\n  do-not-query-localhost: no\n  module-config: \"validator iterator\"\n  \
             local-zone: \"test.\" nodefault\n  trust-anchor-file: \"{}\"\nremote-control:\n  control-enable: no\n{}{}",
            path(&anchor),
            auth(".", "root.zone.signed"),
            auth("open.test.", "open.zone")
        );
        fs::write(folder.join("unbound.conf"), text).unwrap();
        let mut command = Command::new("/usr/sbin/unbound");
        command.arg("-c").arg(folder.join("unbound.conf"));
        Self { _unbound: Daemon::start("unbound", &mut command, folder, port), port, anchor }
    }
}

/// Serves policies over https, by host, and keeps what is posted.
const WEB: &str = r#"
import http.server, os, ssl, sys
folder, port = sys.argv[1], int(sys.argv[2])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        host = self.headers["Host"].split(":")[0]
        file = os.path.join(folder, host + ".txt")
        if self.path != "/.well-known/mta-sts.txt" or not os.path.exists(file):
            return self.send_error(404)
        body = open(file, "rb").read()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        kind = self.headers["Content-Type"].replace("/", "_")
        with open(os.path.join(folder, "posted." + kind), "wb") as out:
            out.write(body)
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()
server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(os.path.join(folder, "web.chain"))
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"#;

/// A web server with a certificate for these hosts.
pub struct Web {
    _python: Daemon,
    folder: PathBuf,
    pub port: u16,
}

impl Web {
    pub fn start(folder: &Path, authority: &Authority, hosts: &[&str]) -> Self {
        authority.chain("web", hosts);
        let port = free_ports();
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-c", WEB, path(folder), &port.to_string()]);
        let python = Daemon::start("web", &mut command, folder, port);
        Self { _python: python, folder: folder.to_path_buf(), port }
    }

    /// What a domain's policy is.
    pub fn policy(&self, domain: &str, mode: &str, mx: &str) {
        let text = format!("version: STSv1\r\nmode: {mode}\r\nmx: {mx}\r\nmax_age: 86400\r\n");
        fs::write(self.folder.join(format!("mta-sts.{domain}.txt")), text).unwrap();
    }

    /// What was posted with this content type, once something was.
    pub fn posted(&self, kind: &str) -> PathBuf {
        let file = self.folder.join(format!("posted.{}", kind.replace('/', "_")));
        eventually("something is posted", Duration::from_secs(20), || file.exists());
        file
    }
}
