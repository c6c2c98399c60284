//! What a domain publishes about TLS with its mail hosts, DANE and MTA-STS, against a signed DNS, a web server and another
//! site's Postfix; and what it is told about it (RFC 8460).

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::support::cluster::{Cluster, PASSWORD, Port, path, run};
use crate::support::eventually;
use crate::support::mail::unique;
use crate::support::published::{Authority, Signed, Web};
use crate::support::remote::{Remote, postfix_is_there};
use crate::support::tools::succeed;

const ALICE: &str = "alice@example.com";
const LONG: Duration = Duration::from_secs(60);
/// Domains whose zone is signed, and what their TLSA records are: of the host's key, of its authority, of another key, of
/// the host's key but changed on the way; none.
const SIGNED: [&str; 5] = ["dane.test", "ta.test", "mismatch.test", "forged.test", "bare.test"];
/// Domains without signatures: with a policy that its host fits or does not, that is only tried, that names another host,
/// that cannot be had; without a policy.
const OPEN: [&str; 6] = [
    "enforce.open.test",
    "wrong.open.test",
    "testing.open.test",
    "other.open.test",
    "broken.open.test",
    "plain.open.test",
];

struct Site {
    cluster: Cluster,
    remote: Remote,
    web: Web,
    folder: tempfile::TempDir,
    _dns: Signed,
}

fn folder() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::Builder::new().prefix("zcluster-published-").tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

fn zones(authority: &Authority, port: u16, web_port: u16) -> (String, String) {
    let host = |domain: &str| format!("{domain}. IN MX 10 mx.{domain}.\nmx.{domain}. IN A 127.0.0.1\n");
    let mut signed: String = SIGNED.iter().map(|d| host(d)).collect();
    let (key, ca) = (authority.key_digest("mx"), authority.ca_digest());
    for (domain, record) in [
        ("dane.test", format!("3 1 1 {key}")),
        ("ta.test", format!("2 0 1 {ca}")),
        ("mismatch.test", format!("3 1 1 {}", "0".repeat(64))),
        ("forged.test", format!("3 1 1 {}", "f".repeat(64))),
    ] {
        signed += &format!("_{port}._tcp.mx.{domain}. IN TLSA {record}\n");
    }
    for domain in ["dane.test", "mismatch.test"] {
        signed += &format!("_smtp._tls.{domain}. IN TXT \"v=TLSRPTv1; rua=mailto:user@plain.open.test\"\n");
    }
    let mut open: String = OPEN.iter().map(|d| host(d)).collect();
    for domain in &OPEN[..5] {
        open += &format!("_mta-sts.{domain}. IN TXT \"v=STSv1; id=1\"\nmta-sts.{domain}. IN A 127.0.0.1\n");
    }
    // Its own hosts are what is wrong with it: the report must arrive all the same.
    open += "_smtp._tls.wrong.open.test. IN TXT \"v=TLSRPTv1; rua=mailto:second@wrong.open.test\"\n";
    open += &format!(
        "_smtp._tls.testing.open.test. IN TXT \"v=TLSRPTv1; rua=https://reports.open.test:{web_port}/v1\"\n\
         reports.open.test. IN A 127.0.0.1\n"
    );
    (signed, open)
}

impl Site {
    fn start() -> Self {
        let folder = folder();
        let authority = Authority::new(folder.path());
        let chain = authority.chain("mx", &["mx.enforce.open.test", "mx.ta.test", "mx.other.open.test"]);
        let tls = format!(
            "smtpd_tls_security_level = may\nsmtpd_tls_chain_files = {}\nsmtpd_tls_received_header = yes\n\
             smtpd_tls_loglevel = 1\n",
            path(&chain)
        );
        let remote = Remote::start_for(&[&SIGNED[..], &OPEN[..]].concat(), &tls);
        let policies: Vec<String> = OPEN[..4].iter().map(|d| format!("mta-sts.{d}")).collect();
        let mut hosts: Vec<&str> = policies.iter().map(String::as_str).collect();
        hosts.push("reports.open.test");
        // Its certificate is not for mta-sts.broken.open.test.
        let web = Web::start(folder.path(), &authority, &hosts);
        for (domain, mode) in
            [("enforce.open.test", "enforce"), ("wrong.open.test", "enforce"), ("testing.open.test", "testing")]
        {
            web.policy(domain, mode, &format!("mx.{domain}"));
        }
        web.policy("other.open.test", "enforce", "mx.elsewhere.test");
        web.policy("broken.open.test", "enforce", "mx.broken.open.test");
        let (signed, open) = zones(&authority, remote.port, web.port);
        let (from, to) = ("f".repeat(64), authority.key_digest("mx"));
        let dns = Signed::start(folder.path(), &signed, &open, (&from, &to));
        let config = folder.path().join("node.toml");
        let text = format!(
            "[relay]\nresolvers = [\"127.0.0.1:{}\"]\nport = {}\nsts_port = {}\nipv6 = false\nca_file = \"{}\"\n\
             trust_anchor = \"{}\"\n[reports]\norganization = \"The Example\"\ncontact = \"reports@example.com\"\n",
            dns.port,
            remote.port,
            web.port,
            path(&authority.ca()),
            path(&dns.anchor)
        );
        std::fs::write(&config, text).unwrap();
        let cluster = Cluster::start_with(1, &["--config", path(&config)]);
        cluster.prov(&["modifyConfig", "zimbraMtaMinimalBackoffTime", "1s", "zimbraMtaMaximalBackoffTime", "2s"]);
        Site { cluster, remote, web, folder, _dns: dns }
    }

    fn data(&self) -> &Path {
        &self.cluster.node(1).data
    }

    /// Alice writes to `user` of a domain.
    fn submit(&self, domain: &str) -> String {
        let (id, port) = (unique("tls"), self.cluster.port(1, Port::Submission).to_string());
        succeed(
            Command::new("swaks")
                .args(["--server", "127.0.0.1", "--port", &port, "--tls", "--from", ALICE])
                .args(["--to", &format!("user@{domain}"), "--h-Subject", &id])
                .args(["--auth", "PLAIN", "--auth-user", ALICE, "--auth-password", PASSWORD]),
        );
        id
    }

    fn arrives(&self, domain: &str) -> String {
        let id = self.submit(domain);
        let found = || self.remote.messages("user").into_iter().find(|m| m.contains(&id));
        eventually(&format!("mail for {domain}; {}", self.cluster.node(1).tail(20)), LONG, || found().is_some());
        found().unwrap()
    }

    /// It waits, and says why.
    fn waits(&self, domain: &str, why: &str) {
        let id = self.submit(domain);
        let list = || -> Vec<Value> {
            let text = run(&["queue", "list", "--domain", domain, "--json", "--data", path(self.data())]);
            serde_json::from_str(&text).unwrap()
        };
        eventually(&format!("{domain} waits because of {why:?}"), LONG, || {
            list().iter().any(|w| w["note"].as_str().is_some_and(|n| n.starts_with("4.7.5") && n.contains(why)))
        });
        assert!(!self.remote.messages("user").iter().any(|m| m.contains(&id)), "{domain} has it");
        run(&["queue", "delete", "--domain", domain, "--data", path(self.data())]);
    }

    fn report(&self, what: &str) -> Vec<Value> {
        serde_json::from_str(&run(&["report", what, "--json", "--data", path(self.data())])).unwrap()
    }
}

/// Takes a report apart, the way a receiver would: fields, parts, file name, JSON. With `zone`, checks its signature.
const READ: &str = r#"
import email, email.policy, gzip, json, re, sys
import dkim
raw, zone = open(sys.argv[1], "rb").read(), sys.argv[2]
message = email.message_from_bytes(raw, policy=email.policy.default)
assert message.get_content_type() == "multipart/report", message.get_content_type()
assert message.get_param("report-type") == "tlsrpt"
text, report = message.iter_parts()
assert text.get_content_type() == "text/plain"
assert report.get_content_type() == "application/tlsrpt+gzip", report.get_content_type()
records = {n: "".join(re.findall(r'"([^"]*)"', t)) for n, t in re.findall(r'(\S+) IN TXT \(([^)]*)\)', zone)}
found = {
    "report": json.loads(gzip.decompress(report.get_content())),
    "name": report.get_filename(), "subject": message["Subject"], "from": message["From"],
    "domain": message["TLS-Report-Domain"], "submitter": message["TLS-Report-Submitter"],
    "required": message["TLS-Required"],
    "signed": dkim.verify(raw[raw.index(b"DKIM-Signature"):], dnsfunc=lambda name, timeout=5: records[name.decode()].encode()),
}
print(json.dumps(found))
"#;

fn read(site: &Site, raw: &str, zone: &str) -> Value {
    let file = site.folder.path().join("report.eml");
    // As it went over the wire; Postfix keeps lines that end with LF.
    std::fs::write(&file, raw.replace("\r\n", "\n").replace('\n', "\r\n")).unwrap();
    let text = succeed(Command::new("/usr/bin/python3").args(["-c", READ, path(&file), zone]));
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn what_domains_publish_is_done_and_reported() {
    if !postfix_is_there() {
        println!("skipped: only root can start Postfix, and deploy/prerequisites leaves another agent in its place");
        return;
    }
    let site = Site::start();
    let data = path(site.data()).to_owned();
    run(&["dkim", "generate", "example.com", "--type", "ed25519", "--selector", "e1", "--data", &data]);
    run(&["dkim", "activate", "example.com", "--data", &data]);
    let zone = run(&["dkim", "show", "example.com", "--data", &data]);

    // DANE: the key, or the authority above it, is the one that a proven record names.
    for domain in ["dane.test", "ta.test", "bare.test"] {
        let message = site.arrives(domain);
        assert!(message.contains("using TLS"), "{domain}: {message}");
    }
    site.waits("mismatch.test", "(DANE)");
    site.waits("forged.test", "TLSA of mx.forged.test");
    // MTA-STS: the name that the policy allows is in the certificate, or it is only tried.
    for domain in ["enforce.open.test", "testing.open.test", "broken.open.test", "plain.open.test"] {
        let message = site.arrives(domain);
        assert!(message.contains("using TLS"), "{domain}: {message}");
    }
    site.waits("wrong.open.test", "(MTA-STS)");
    site.waits("other.open.test", "not among the hosts of other.open.test's MTA-STS policy");

    // Each is counted.
    let counted = site.report("list");
    let of = |domain: &str| {
        let found = counted.iter().find(|p| p["domain"] == domain).unwrap_or_else(|| panic!("{domain}: {counted:?}"));
        (found["good"].as_u64().unwrap(), found["bad"].as_u64().unwrap())
    };
    for domain in ["dane.test", "ta.test", "enforce.open.test", "plain.open.test", "bare.test"] {
        assert_eq!(of(domain), (1, 0), "{domain}");
    }
    for domain in ["mismatch.test", "forged.test", "wrong.open.test", "other.open.test"] {
        let (good, bad) = of(domain);
        assert!(good == 0 && bad >= 1, "{domain}: {good}, {bad}");
    }
    assert_eq!(of("testing.open.test"), (0, 1));
    assert_eq!(of("broken.open.test"), (1, 1), "without a policy it was sent; the policy could not be had");

    // They are still there after a restart, and go to those who want them.
    let mut site = site;
    site.cluster.restart(1);
    let sent = site.report("send-now");
    let outcome = |domain: &str| &sent.iter().find(|s| s["report"]["domain"] == domain).unwrap()["outcome"];
    assert_eq!(outcome("ta.test"), "unwanted");
    assert_eq!(outcome("dane.test")["sent"][0], "user@plain.open.test");
    assert_eq!(outcome("wrong.open.test")["sent"][0], "second@wrong.open.test");
    assert!(site.report("list").iter().all(|p| p["kind"] != "tls" || p["domain"] == "plain.open.test"), "{sent:?}");

    let find = |user: &str, domain: &str| {
        let line = format!("TLS-Report-Domain: {domain}");
        let found = || site.remote.messages(user).into_iter().find(|m| m.contains(&line));
        eventually(&format!("the report for {domain}"), LONG, || found().is_some());
        read(&site, &found().unwrap(), &zone)
    };
    let policy = |found: &Value, kind: &str| {
        let all = found["report"]["policies"].as_array().unwrap().clone();
        let mine = all.iter().find(|p| p["policy"]["policy-type"] == kind);
        mine.unwrap_or_else(|| panic!("{kind}: {found}")).clone()
    };
    let dane = find("user", "dane.test");
    assert_eq!((dane["signed"].as_bool(), dane["required"].as_str()), (Some(true), Some("No")), "{dane}");
    assert_eq!((dane["submitter"].as_str(), dane["from"].as_str()), (Some("example.com"), Some("reports@example.com")));
    assert_eq!(dane["report"]["organization-name"], "The Example");
    assert!(dane["name"].as_str().unwrap().starts_with("example.com!dane.test!"), "{dane}");
    assert!(
        dane["subject"].as_str().unwrap().starts_with("Report Domain: dane.test Submitter: example.com Report-ID: <")
    );
    let counts = policy(&dane, "tlsa");
    assert_eq!(counts["summary"]["total-successful-session-count"], 1, "{dane}");
    assert!(counts["policy"]["policy-string"][0].as_str().unwrap().starts_with("3 1 1 "), "{dane}");

    let mismatch = policy(&find("user", "mismatch.test"), "tlsa");
    assert_eq!(mismatch["failure-details"][0]["result-type"], "tlsa-invalid", "{mismatch}");
    assert_eq!(mismatch["failure-details"][0]["receiving-mx-hostname"], "mx.mismatch.test");
    assert_eq!(mismatch["failure-details"][0]["receiving-ip"], "127.0.0.1");
    // Past the very policy that it reports on.
    let wrong = policy(&find("second", "wrong.open.test"), "sts");
    assert_eq!(wrong["failure-details"][0]["result-type"], "certificate-host-mismatch", "{wrong}");
    assert_eq!(wrong["policy"]["mx-host"][0], "mx.wrong.open.test");
    assert_eq!(wrong["policy"]["policy-string"][1], "mode: enforce");

    // By https.
    let posted = site.web.posted("application/tlsrpt+gzip");
    let program = "import gzip, sys; print(gzip.decompress(open(sys.argv[1], 'rb').read()).decode())";
    let text = succeed(Command::new("/usr/bin/python3").args(["-c", program, path(&posted)]));
    let testing = policy(&serde_json::json!({ "report": serde_json::from_slice::<Value>(&text).unwrap() }), "sts");
    assert_eq!(testing["failure-details"][0]["result-type"], "certificate-host-mismatch", "{testing}");
    assert_eq!(testing["summary"]["total-failure-session-count"], 1, "{testing}");
}
