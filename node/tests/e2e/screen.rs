//! Content and sender checks with the programs that do them: clamd, SpamAssassin, rspamd, OpenDKIM as a milter, dnsmasq
//! for the DNS, dkimpy to sign and verify.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::cluster::{Cluster, PASSWORD, Port, free_ports, path};
use crate::support::daemon::Daemon;
use crate::support::eventually;
use crate::support::smtp::{Smtp, stuffed};
use crate::support::tools::succeed;

const ALICE: &str = "alice@example.com";
/// The virus that is none, in two pieces so that no scanner takes this file for it.
const EICAR: [&str; 2] = ["X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-", "STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"];
/// The spam that is none.
const GTUBE: [&str; 2] = ["XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-", "STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"];

/// Debian's Python, which has Debian's modules.
fn python(program: &str, arguments: &[&str]) -> Vec<u8> {
    succeed(Command::new("/usr/bin/python3").args(["-c", program]).args(arguments))
}

/// A site of one node with a `[screen]` section, and a folder for the programs beside it.
struct Site {
    cluster: Cluster,
    folder: tempfile::TempDir,
}

impl Site {
    fn start(folder: tempfile::TempDir, screen: &str) -> Self {
        let config = folder.path().join("zcluster.toml");
        fs::write(&config, format!("[mail]\nhostname = \"mx.example.com\"\n[screen]\n{screen}")).unwrap();
        let cluster = Cluster::start_with(1, &["--config", path(&config)]);
        Site { cluster, folder }
    }

    /// Sends a message to Alice; the reply to its end.
    fn send(&self, sender: &str, message: &[u8]) -> (u16, String) {
        let mut smtp = Smtp::esmtp(self.cluster.port(1, Port::Smtp)).unwrap();
        smtp.command(&format!("MAIL FROM:<{sender}>"), 250).unwrap();
        smtp.command(&format!("RCPT TO:<{ALICE}>"), 250).unwrap();
        smtp.command("DATA", 354).unwrap();
        smtp.wire.send(&stuffed(message)).unwrap();
        smtp.reply().unwrap()
    }

    fn takes(&self, sender: &str, message: &[u8]) {
        let (code, text) = self.send(sender, message);
        assert_eq!(code, 250, "{text}");
    }

    fn refuses(&self, sender: &str, message: &[u8], with: &str) {
        let (code, text) = self.send(sender, message);
        assert!(text.contains(with) && code >= 400, "{text}, not {with}");
    }

    fn config(&self, name: &str, value: &str) {
        self.cluster.prov(&["modifyConfig", name, value]);
    }

    /// The message in a folder with this Message-ID; none or one.
    fn stored(&self, folder: &str, id: &str) -> Option<String> {
        let mut imap = self.cluster.imap(1, ALICE);
        imap.select(folder).unwrap();
        let all = imap.bodies().unwrap();
        let mine = all.values().map(|raw| String::from_utf8_lossy(raw).into_owned());
        let mut mine = mine.filter(|raw| raw.contains(&format!("<{id}@sender.test>")));
        let found = mine.next();
        assert!(mine.next().is_none(), "{id} is there twice");
        found
    }

    fn must_be_in(&self, folder: &str, id: &str) -> String {
        self.stored(folder, id).unwrap_or_else(|| panic!("{id} is not in {folder}"))
    }
}

fn folder() -> tempfile::TempDir {
    // Outside of the data folder: some of the programs run as other users.
    let folder = tempfile::Builder::new().prefix("zcluster-screen-").tempdir().unwrap();
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

fn message(id: &str, from: &str, body: &str) -> Vec<u8> {
    format!(
        "From: Someone <{from}>\r\nTo: Alice <{ALICE}>\r\nSubject: about {id}\r\n\
         Date: Fri, 27 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{id}@sender.test>\r\n\r\n{body}\r\n"
    )
    .into_bytes()
}

/// A message with a file, made by Python's mail and zip modules.
fn with_file(id: &str, name: &str, content: &str) -> Vec<u8> {
    let program = r#"
import sys, io, zipfile
from email.message import EmailMessage
from email.policy import SMTP
id, name, content = sys.argv[1:]
m = EmailMessage(policy=SMTP)
m['From'], m['To'], m['Subject'] = 'someone@sender.test', 'alice@example.com', 'about ' + id
m['Date'], m['Message-ID'] = 'Fri, 27 Nov 2026 10:00:00 +0000', '<%s@sender.test>' % id
m.set_content('see there')
data = content.encode()
if name.endswith('.zip'):
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w', zipfile.ZIP_DEFLATED) as z:
        inner = io.BytesIO()
        with zipfile.ZipFile(inner, 'w', zipfile.ZIP_DEFLATED) as y:
            y.writestr('folder/' + content, 'nothing')
        z.writestr('readme.txt', 'hello')
        z.writestr('inner.zip', inner.getvalue())
    data = file.getvalue()
m.add_attachment(data, maintype='application', subtype='octet-stream', filename=name)
sys.stdout.buffer.write(m.as_bytes())
"#;
    python(program, &[id, name, content])
}

fn clamd(folder: &Path, port: u16) -> Daemon {
    let database = folder.join("clamav");
    fs::create_dir_all(&database).unwrap();
    let hex: String = EICAR.concat().bytes().map(|b| format!("{b:02x}")).collect();
    fs::write(database.join("test.ndb"), format!("Eicar-Test:0:*:{hex}\n")).unwrap();
    let config = folder.join("clamd.conf");
    // SAFETY: reads the process's own id.
    let user = if unsafe { libc::geteuid() } == 0 { "User root\n" } else { "" };
    let text =
        format!("DatabaseDirectory {}\nTCPSocket {port}\nTCPAddr 127.0.0.1\nForeground yes\n{user}", path(&database));
    fs::write(&config, text).unwrap();
    let mut command = Command::new("/usr/sbin/clamd");
    Daemon::start("clamd", command.arg(format!("--config-file={}", path(&config))), folder, port)
}

fn spamd(folder: &Path, port: u16) -> Daemon {
    let mut command = Command::new("/usr/sbin/spamd");
    // Local rules only: nobody else is asked.
    command.args(["--local", "--nouser-config", "--allow-tell", "--max-children", "2", "--syslog", "stderr"]);
    let memory = folder.join("bayes");
    fs::create_dir_all(&memory).unwrap();
    succeed(Command::new("chmod").args(["777", path(&memory)]));
    command.arg(format!("--cf=bayes_path {}/bayes", path(&memory)));
    command.arg(format!("--listen=127.0.0.1:{port}")).arg(format!("--helper-home-dir={}", path(folder)));
    // SAFETY: reads the process's own id.
    if unsafe { libc::geteuid() } == 0 {
        command.arg("--username=nobody");
    }
    Daemon::start("spamd", &mut command, folder, port)
}

fn rspamd(folder: &Path, port: u16) -> Daemon {
    let at = path(folder);
    // The list of top-level domains is a minute's work to compile on a small machine: a short one will do.
    fs::write(folder.join("tld"), "com\norg\ntest\n").unwrap();
    let text = format!(
        "options {{ filters = \"\"; pidfile = \"{at}/rspamd.pid\"; control_socket = \"{at}/control\"; tempdir = \"{at}\";\n\
         url_tld = \"{at}/tld\"; disable_hyperscan = true; gtube_patterns = \"all\"; }}\n\
         logging {{ type = \"console\"; level = \"info\"; }}\nactions {{ reject = 15; add_header = 6; }}\n\
         worker \"normal\" {{ bind_socket = \"127.0.0.1:{port}\"; count = 1; }}\n"
    );
    fs::write(folder.join("rspamd.conf"), text).unwrap();
    let mut command = Command::new("/usr/bin/rspamd");
    Daemon::start("rspamd", command.args(["-f", "-i", "-c", path(&folder.join("rspamd.conf"))]), folder, port)
}

/// A DNS server that knows these TXT records and that there is nothing else in `test`.
fn dnsmasq(folder: &Path, port: u16, records: &[(&str, &str)]) -> Daemon {
    let mut text = format!("port={port}\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\nno-daemon\n");
    ["test", "org", "com", "arpa"].iter().for_each(|zone| text.push_str(&format!("local=/{zone}/\n")));
    for (name, value) in records {
        // A string of a TXT record has at most 255 bytes.
        let pieces: Vec<String> =
            value.as_bytes().chunks(200).map(|p| format!("\"{}\"", String::from_utf8_lossy(p))).collect();
        text.push_str(&format!("txt-record={name},{}\n", pieces.join(",")));
    }
    fs::write(folder.join("dnsmasq.conf"), text).unwrap();
    let mut command = Command::new("/usr/sbin/dnsmasq");
    command.arg("--user=root").arg(format!("--conf-file={}", path(&folder.join("dnsmasq.conf"))));
    Daemon::start("dnsmasq", &mut command, folder, port)
}

/// A DKIM key: the file with the private half, the record with the public one.
fn dkim_key(folder: &Path) -> (String, String) {
    let key = folder.join("dkim.pem");
    succeed(Command::new("openssl").args(["genrsa", "-traditional", "-out", path(&key), "2048"]));
    let public = succeed(
        Command::new("sh")
            .args(["-c", &format!("openssl rsa -in {} -pubout -outform DER 2>/dev/null | base64 -w0", path(&key))]),
    );
    (path(&key).to_string(), format!("v=DKIM1; k=rsa; p={}", String::from_utf8(public).unwrap()))
}

/// Signed by dkimpy.
fn signed(raw: &[u8], domain: &str, key: &str, folder: &Path) -> Vec<u8> {
    let file = folder.join("to-sign");
    fs::write(&file, raw).unwrap();
    let program = "import sys, dkim\nraw = open(sys.argv[1], 'rb').read()\nkey = open(sys.argv[3], 'rb').read()\n\
        sys.stdout.buffer.write(dkim.sign(raw, b'sel', sys.argv[2].encode(), key) + raw)";
    python(program, &[path(&file), domain, key])
}

/// What dkimpy says of a message, with this record as the DNS.
fn verifies(raw: &str, record: &str, folder: &Path) -> bool {
    let file = folder.join("to-verify");
    fs::write(&file, raw).unwrap();
    let program = "import sys, dkim\nraw = open(sys.argv[1], 'rb').read()\n\
        print(dkim.verify(raw, dnsfunc=lambda name, timeout=5: sys.argv[2].encode()))";
    python(program, &[path(&file), record]) == b"True\n"
}

#[test]
fn viruses_spam_and_attachments_with_clamd_and_spamassassin() {
    let (folder, ports) = (folder(), free_ports());
    let (virus_port, spam_port) = (ports, ports + 1);
    let filter = spamd(folder.path(), spam_port);
    let scanner = clamd(folder.path(), virus_port);
    let screen =
        format!("clamd = [\"127.0.0.1:{virus_port}\"]\nspamd = [\"127.0.0.1:{spam_port}\"]\nspamd_learns = true\n");
    let site = Site::start(folder, &screen);
    let sender = "someone@sender.test";

    let forged = [b"X-Spam-Flag: YES\r\nX-Virus-Status: Infected (no)\r\n", &message("clean", sender, "hello")[..]];
    site.takes(sender, &forged.concat());
    let clean = site.must_be_in("INBOX", "clean");
    assert!(clean.contains("\r\nX-Virus-Status: Clean\r\n") && clean.contains("\r\nX-Spam-Flag: NO\r\n"), "{clean}");
    assert!(clean.contains("\r\nX-Spam-Status: No, score=") && !clean.contains("Infected"), "{clean}");

    site.refuses(sender, &with_file("virus", "a.dat", &EICAR.concat()), "virus found: Eicar-Test");

    let spam = |id: &str| message(id, sender, &GTUBE.concat());
    // Zimbra's default for what is surely spam: taken, and stored nowhere.
    site.takes(sender, &spam("spam-1"));
    site.config("zimbraAmavisFinalSpamDestiny", "D_REJECT");
    site.refuses(sender, &spam("spam-2"), "550 5.7.1");
    site.config("zimbraAmavisFinalSpamDestiny", "D_PASS");
    site.config("zimbraSpamSubjectTag", "[SPAM]");
    site.takes(sender, &spam("spam-3"));
    let junk = site.must_be_in("Junk", "spam-3");
    assert!(junk.contains("\r\nX-Spam-Flag: YES\r\n") && junk.contains("GTUBE"), "{junk}");
    assert!(junk.contains("\r\nSubject: [SPAM] about spam-3\r\n") && !junk.contains("Subject: about"), "{junk}");
    for id in ["spam-1", "spam-2"] {
        assert!(site.stored("INBOX", id).is_none() && site.stored("Junk", id).is_none());
    }

    let archive = |id: &str| with_file(id, "papers.zip", "invoice.exe");
    site.takes(sender, &archive("exe-1"));
    site.config("+zimbraMtaBlockedExtension", "exe");
    site.refuses(sender, &archive("exe-2"), "attachment not allowed: file name folder/invoice.exe");
    site.takes(sender, &with_file("pdf", "papers.zip", "invoice.pdf"));

    // What users say is spam is learned, and collected.
    site.config("zimbraSpamIsSpamAccount", "bob@example.com");
    let mut imap = site.cluster.imap(1, ALICE);
    imap.select("INBOX").unwrap();
    imap.must("MOVE 1 Junk").unwrap();
    eventually("spamd is told", Duration::from_secs(30), || filter.said().contains("spamd: Tell: Setting local"));
    let mut collector = site.cluster.imap(1, "bob@example.com");
    eventually("the report arrives", Duration::from_secs(30), || collector.select("INBOX").unwrap() == 1);
    let report = collector.bodies().unwrap().into_values().next().unwrap();
    let report = String::from_utf8_lossy(&report).into_owned();
    assert!(
        report.contains("\r\nX-Zimbra-Spam-Report-Type: spam\r\n") && report.contains("<clean@sender.test>"),
        "{report}"
    );

    // Nobody looks for viruses: come again.
    drop(scanner);
    site.refuses(sender, &message("later", sender, "hello"), "451 4.3.0");
    let _scanner = clamd(site.folder.path(), virus_port);
    eventually("mail is taken again", Duration::from_secs(30), || {
        site.send(sender, &message("later", sender, "hello")).0 == 250
    });
    site.must_be_in("INBOX", "later");
}

#[test]
fn rspamd_decides_and_a_dead_one_is_stood_in_for() {
    let (folder, port) = (folder(), free_ports());
    let _rspamd = rspamd(folder.path(), port);
    let site = Site::start(folder, &format!("rspamd = [\"127.0.0.1:{}\", \"127.0.0.1:{port}\"]\n", port + 1));
    let sender = "someone@sender.test";
    for i in 0..4 {
        let id = format!("clean-{i}");
        site.takes(sender, &message(&id, sender, "hello"));
        assert!(site.must_be_in("INBOX", &id).contains("\r\nX-Spam-Score: "));
    }
    site.config("zimbraAmavisFinalSpamDestiny", "D_REJECT");
    site.refuses(sender, &message("spam", sender, &GTUBE.concat()), "the message looks like spam");
}

#[test]
fn senders_are_authenticated_and_policies_enforced() {
    let (folder, port) = (folder(), free_ports());
    let (key, record) = dkim_key(folder.path());
    let _dns = dnsmasq(
        folder.path(),
        port,
        &[
            ("sel._domainkey.signed.test", &record),
            ("_dmarc.signed.test", "v=DMARC1; p=reject"),
            ("signed.test", "v=spf1 -all"),
            ("here.test", "v=spf1 ip4:127.0.0.1 -all"),
            ("_dmarc.here.test", "v=DMARC1; p=reject"),
            ("away.test", "v=spf1 ip4:192.0.2.1 -all"),
            ("_dmarc.away.test", "v=DMARC1; p=quarantine"),
        ],
    );
    let screen = format!("sender = \"enforce\"\nresolvers = [\"127.0.0.1:{port}\"]\n");
    let site = Site::start(folder, &screen);
    let results = |id: &str, folder: &str| {
        let raw = site.must_be_in(folder, id);
        let at = raw.find("Authentication-Results: mx.example.com").unwrap_or_else(|| panic!("{raw}"));
        raw[at..]
            .split("\r\n")
            .enumerate()
            .take_while(|(i, l)| *i == 0 || l.starts_with('\t'))
            .map(|(_, l)| l)
            .collect::<String>()
    };
    let must =
        |results: &str, words: &[&str]| words.iter().for_each(|w| assert!(results.contains(w), "{w} in {results}"));

    // Signed by another's program; SPF fails, which DMARC forgives.
    let good = signed(&message("signed", "a@signed.test", "hello"), "signed.test", &key, site.folder.path());
    site.takes("a@signed.test", &good);
    must(&results("signed", "INBOX"), &["dkim=pass", "header.s=sel", "spf=fail", "dmarc=pass"]);
    let changed = String::from_utf8(good).unwrap().replace("hello", "hallo").replace("<signed@", "<changed@");
    site.refuses("a@signed.test", changed.as_bytes(), "550 5.7.26");

    site.takes("a@here.test", &message("spf", "a@here.test", "hello"));
    must(&results("spf", "INBOX"), &["spf=pass", "smtp.mailfrom=a@here.test", "dmarc=pass", "dkim=none"]);
    // The envelope is good, the author is another.
    site.refuses("a@here.test", &message("author", "a@signed.test", "hello"), "550 5.7.26");

    site.takes("a@away.test", &message("away", "a@away.test", "hello"));
    must(&results("away", "Junk"), &["spf=fail", "dmarc=fail", "policy.dmarc=quarantine"]);
    assert!(site.stored("INBOX", "away").is_none());

    let forged = b"Authentication-Results: mx.example.com; dmarc=pass header.from=none.test\r\n";
    site.takes("a@none.test", &[forged, &message("none", "a@none.test", "hello")[..]].concat());
    assert_eq!(site.must_be_in("INBOX", "none").matches("Authentication-Results").count(), 1);
    must(&results("none", "INBOX"), &["spf=none", "dmarc=none"]);
}

#[test]
fn opendkim_signs_as_a_milter_and_another_verifies() {
    let (folder, port) = (folder(), free_ports());
    let (key, record) = dkim_key(folder.path());
    let config = folder.path().join("opendkim.conf");
    let text = format!(
        "Mode s\nDomain example.com\nSelector sel\nKeyFile {key}\nSocket inet:{port}@127.0.0.1\nBackground no\n\
         RequireSafeKeys no\nInternalHosts 127.0.0.1\nCanonicalization relaxed/simple\n"
    );
    fs::write(&config, text).unwrap();
    let start = |folder: &Path| {
        let mut command = Command::new("/usr/sbin/opendkim");
        Daemon::start("opendkim", command.args(["-f", "-x", path(&config)]), folder, port)
    };
    let milter = start(folder.path());
    let site = Site::start(folder, "");
    site.config("zimbraMtaSmtpdMilters", &format!("inet:127.0.0.1:{port}"));
    let big = "a line of text\r\n".repeat(20_000);
    for (id, body) in [("small", "hello"), ("big", &big)] {
        site.takes("bob@example.com", &message(id, "bob@example.com", body));
        let raw = site.must_be_in("INBOX", id);
        assert!(raw.contains("DKIM-Signature: ") && raw.contains("d=example.com"), "{}", &raw[..raw.len().min(2_000)]);
        assert!(verifies(&raw, &record, site.folder.path()), "{}", &raw[..raw.len().min(2_000)]);
        let other = raw.replace("about", "without");
        assert!(!verifies(&other, &record, site.folder.path()));
    }
    // zimbraMtaMilterDefaultAction: by default the client comes again.
    drop(milter);
    let late = message("late", "bob@example.com", "hello");
    site.refuses("bob@example.com", &late, "451 4.3.0");
    site.config("zimbraMtaMilterDefaultAction", "accept");
    site.takes("bob@example.com", &late);
    assert!(!site.must_be_in("INBOX", "late").contains("DKIM-Signature"));
    // Users' own messages are told as well: submission.
    let _milter = start(site.folder.path());
    site.config("zimbraMtaMilterDefaultAction", "tempfail");
    let header = "Message-Id: <user@sender.test>";
    let port = site.cluster.port(1, Port::Submission).to_string();
    succeed(Command::new("swaks").args(["--server", "127.0.0.1", "--port", &port, "--tls", "--auth", "PLAIN"]).args([
        "--auth-user",
        "bob@example.com",
        "--auth-password",
        PASSWORD,
        "--from",
        "bob@example.com",
        "--to",
        ALICE,
        "--header",
        header,
        "--suppress-data",
    ]));
    assert!(verifies(&site.must_be_in("INBOX", "user"), &record, site.folder.path()));
}
