//! Postfix hands mail over by LMTP, as on the edge of a site that keeps it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::cluster::{Port, path};
use crate::support::mail::{message, unique};
use crate::support::scene::{Scene, must_be_exactly};
use crate::support::smtp::{Delivery, Smtp};
use crate::support::tools::{finish, succeed};
use crate::support::{cluster, eventually};

const ALICE: &str = "alice@example.com";
/// Messages before and after the kill; the swaks ones among them.
const BEFORE: usize = 60;
const AFTER: usize = 60;
const SWAKS: usize = 5;

#[test]
fn postfix_delivers_by_lmtp_through_a_failover_and_nothing_is_lost_or_doubled() {
    if !can_run() {
        return;
    }
    let mut scene = Scene::start(ALICE);
    let postfix = Postfix::start(&[scene.port(Port::Lmtp), scene.cluster.port(scene.other, Port::Lmtp)]);
    let mut sent: Vec<String> = (0..SWAKS).map(|_| with_swaks(&postfix)).collect();
    let mut smtp = Smtp::esmtp(postfix.port).unwrap();
    for round in 0..BEFORE + AFTER {
        if round == BEFORE {
            scene.kill_primary();
        }
        let id = unique("postfix");
        assert_eq!(smtp.deliver(ALICE, &message(&id, 3_000)), Delivery::Acknowledged);
        sent.push(id);
    }
    sent.extend((0..SWAKS).map(|_| with_swaks(&postfix)));
    let arrived = || scene.ids("INBOX").values().sum::<usize>();
    eventually(&format!("everything arrives; {}", postfix.log()), Duration::from_secs(45), || {
        arrived() >= sent.len() && postfix.queue_is_empty()
    });
    must_be_exactly("INBOX after Postfix", &scene.ids("INBOX"), &sent);
    unknown_users_bounce_at_once(&postfix, scene.port(Port::Lmtp));
}

/// Whether there is a Postfix that can be started.
pub fn can_run() -> bool {
    // SAFETY: reads the process's own id.
    let root = unsafe { libc::geteuid() } == 0;
    let can = root && Path::new("/usr/sbin/postfix").exists();
    if !can {
        println!("skipped: only root can start Postfix, and deploy/prerequisites leaves another agent in its place");
    }
    can
}

fn with_swaks(postfix: &Postfix) -> String {
    let id = unique("swaks");
    // As swaks spells it: another spelling would be a second one.
    let header = format!("Message-Id: <{id}@ledger>");
    let port = postfix.port.to_string();
    let to = ["--server", "127.0.0.1", "--port", &port, "--from", "sender@example.org", "--to", ALICE];
    succeed(Command::new("swaks").args(to).args([
        "--header",
        &header,
        "--body",
        "by swaks\nthrough Postfix",
        "--suppress-data",
    ]));
    id
}

/// A recipient that does not exist is refused for good: Postfix must not keep the message.
fn unknown_users_bounce_at_once(postfix: &Postfix, lmtp: u16) {
    let mut direct = Smtp::lmtp(lmtp).unwrap();
    direct.command("MAIL FROM:<sender@example.org>", 250).unwrap();
    let (code, text) = direct.ask("RCPT TO:<nobody@example.com>").unwrap();
    assert!((500..600).contains(&code), "{text}");
    let mut smtp = Smtp::esmtp(postfix.port).unwrap();
    // The empty sender: Postfix drops the bounce of a bounce.
    smtp.command("MAIL FROM:<>", 250).unwrap();
    smtp.command("RCPT TO:<nobody@example.com>", 250).unwrap();
    smtp.command("DATA", 354).unwrap();
    smtp.wire.send(b"Subject: to nobody\r\n\r\nnothing\r\n.\r\n").unwrap();
    assert_eq!(smtp.reply().unwrap().0, 250);
    eventually("Postfix gives the message up", Duration::from_secs(20), || {
        postfix.log().contains("status=bounced") && postfix.queue_is_empty()
    });
}

/// An instance with its own configuration and queue, outside of the data folder: its processes run as another user.
pub struct Postfix {
    folder: tempfile::TempDir,
    pub port: u16,
}

impl Postfix {
    fn start(lmtp: &[u16]) -> Self {
        let next_hops: Vec<String> = lmtp.iter().map(|port| format!("inet:127.0.0.1:{port}")).collect();
        Self::start_with(&format!("virtual_transport = lmtp:{}", next_hops.join(", ")))
    }

    /// One that hands mail for example.com over as these lines of its main.cf say.
    pub fn start_with(transport: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("zcluster-postfix-").tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let this = Self { port: cluster::free_ports(), folder };
        for sub in ["etc", "queue", "data"] {
            fs::create_dir_all(this.folder.path().join(sub)).unwrap();
        }
        succeed(Command::new("chown").arg("postfix").arg(this.folder.path().join("data")));
        fs::write(this.etc().join("main.cf"), main_cf(this.folder.path(), transport)).unwrap();
        fs::write(this.etc().join("master.cf"), master_cf(this.port)).unwrap();
        this.control("start");
        eventually("Postfix listens", Duration::from_secs(20), || Smtp::esmtp(this.port).is_ok());
        this
    }

    fn etc(&self) -> PathBuf {
        self.folder.path().join("etc")
    }

    fn control(&self, verb: &str) {
        let output = finish(Command::new("postfix").arg("-c").arg(self.etc()).arg(verb));
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "postfix {verb}: {text}{}", self.log());
    }

    pub fn queue_is_empty(&self) -> bool {
        let queues = ["maildrop", "incoming", "active", "deferred"];
        let files = |name: &str| {
            succeed(Command::new("find").arg(self.folder.path().join("queue").join(name)).args(["-type", "f"]))
        };
        queues.iter().all(|name| files(name).is_empty())
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("data/postfix.log")).unwrap_or_default()
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- Postfix said:\n{}", self.log());
        }
        let _ = Command::new("postfix").arg("-c").arg(self.etc()).arg("stop").output();
    }
}

fn main_cf(folder: &Path, transport: &str) -> String {
    let folder = path(folder);
    format!(
        "compatibility_level = 3.6\nqueue_directory = {folder}/queue\ndata_directory = {folder}/data\n\
         mail_owner = postfix\nsetgid_group = postdrop\ncommand_directory = /usr/sbin\n\
         daemon_directory = /usr/lib/postfix/sbin\nmaillog_file = {folder}/data/postfix.log\n\
         maillog_file_prefixes = {folder}\nmyhostname = edge.example.org\nmydestination =\nalias_maps =\n\
         alias_database =\nlocal_recipient_maps =\ninet_interfaces = 127.0.0.1\ninet_protocols = ipv4\n\
         mynetworks = 127.0.0.0/8\nlocal_transport = error:nobody lives here\ndefault_transport = error:nothing leaves\n\
         virtual_mailbox_domains = example.com\nvirtual_mailbox_maps = static:all\n\
         {transport}\nsmtpd_client_connection_count_limit = 0\nsmtpd_error_sleep_time = 0\n\
         minimal_backoff_time = 2s\nmaximal_backoff_time = 4s\nqueue_run_delay = 2s\n\
         transport_retry_time = 2s\nlmtp_connect_timeout = 5s\nlmtp_connection_cache_on_demand = yes\n"
    )
}

fn master_cf(port: u16) -> String {
    let mut text = format!("127.0.0.1:{port} inet n - n - - smtpd\n");
    for (name, kind, private, wakeup, most, program) in [
        ("pickup", "unix", "n", "60", "1", "pickup"),
        ("cleanup", "unix", "n", "-", "0", "cleanup"),
        ("qmgr", "unix", "n", "300", "1", "qmgr"),
        ("rewrite", "unix", "-", "-", "-", "trivial-rewrite"),
        ("bounce", "unix", "-", "-", "0", "bounce"),
        ("defer", "unix", "-", "-", "0", "bounce"),
        ("trace", "unix", "-", "-", "0", "bounce"),
        ("verify", "unix", "-", "-", "1", "verify"),
        ("flush", "unix", "n", "1000?", "0", "flush"),
        ("proxymap", "unix", "-", "-", "-", "proxymap"),
        ("smtp", "unix", "-", "-", "-", "smtp"),
        ("error", "unix", "-", "-", "-", "error"),
        ("retry", "unix", "-", "-", "-", "error"),
        ("discard", "unix", "-", "-", "-", "discard"),
        ("lmtp", "unix", "-", "-", "-", "lmtp"),
        ("anvil", "unix", "-", "-", "1", "anvil"),
        ("tlsmgr", "unix", "-", "1000?", "1", "tlsmgr"),
        ("scache", "unix", "-", "-", "1", "scache"),
        ("postlog", "unix-dgram", "n", "-", "1", "postlogd"),
    ] {
        text.push_str(&format!("{name} {kind} {private} - n {wakeup} {most} {program}\n"));
    }
    text
}
