//! Instances of Postfix with their own configuration and queue, outside of the data folder: its processes run as another
//! user.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::cluster::{free_ports, path};
use super::eventually;
use super::smtp::Smtp;
use super::tools::{finish, succeed};

/// Whether there is a Postfix that can be started; says so where there is none.
pub fn can_run() -> bool {
    // SAFETY: reads the process's own id.
    let root = unsafe { libc::geteuid() } == 0;
    let can = root && Path::new("/usr/sbin/postfix").exists();
    if !can {
        println!("skipped: only root can start Postfix, and deploy/prerequisites leaves another agent in its place");
    }
    can
}

/// An instance; it ends with the test.
pub struct Postfix {
    folder: tempfile::TempDir,
    pub port: u16,
}

impl Postfix {
    /// One whose main.cf has, behind what all have, the lines that `main_cf` makes for its folder. It may put files into
    /// `etc` and make more folders.
    pub fn start(main_cf: impl FnOnce(&Path) -> String) -> Self {
        let folder = tempfile::Builder::new().prefix("zcluster-postfix-").tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let this = Self { port: free_ports(), folder };
        for sub in ["etc", "queue", "data"] {
            fs::create_dir_all(this.folder.path().join(sub)).unwrap();
        }
        succeed(Command::new("chown").arg("postfix").arg(this.folder.path().join("data")));
        let text = common(this.folder.path()) + &main_cf(this.folder.path());
        fs::write(this.etc().join("main.cf"), text).unwrap();
        fs::write(this.etc().join("master.cf"), master_cf(this.port)).unwrap();
        this.control("start");
        eventually("Postfix listens", Duration::from_secs(20), || Smtp::esmtp(this.port).is_ok());
        this
    }

    /// Where it lives.
    pub fn folder(&self) -> &Path {
        self.folder.path()
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

fn common(folder: &Path) -> String {
    let folder = path(folder);
    format!(
        "compatibility_level = 3.6\nqueue_directory = {folder}/queue\ndata_directory = {folder}/data\n\
         mail_owner = postfix\nsetgid_group = postdrop\ncommand_directory = /usr/sbin\n\
         daemon_directory = /usr/lib/postfix/sbin\nmaillog_file = {folder}/data/postfix.log\n\
         maillog_file_prefixes = {folder}\nmydestination =\nalias_maps =\nalias_database =\nlocal_recipient_maps =\n\
         inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nlocal_transport = error:nobody lives here\n\
         default_transport = error:nothing leaves\nsmtpd_client_connection_count_limit = 0\n\
         smtpd_error_sleep_time = 0\n"
    )
}

fn master_cf(port: u16) -> String {
    let mut text = format!("127.0.0.1:{port} inet n - n - - smtpd\n");
    for (name, kind, private, unprivileged, wakeup, most, program) in [
        ("pickup", "unix", "n", "-", "60", "1", "pickup"),
        ("cleanup", "unix", "n", "-", "-", "0", "cleanup"),
        ("qmgr", "unix", "n", "-", "300", "1", "qmgr"),
        ("rewrite", "unix", "-", "-", "-", "-", "trivial-rewrite"),
        ("bounce", "unix", "-", "-", "-", "0", "bounce"),
        ("defer", "unix", "-", "-", "-", "0", "bounce"),
        ("trace", "unix", "-", "-", "-", "0", "bounce"),
        ("verify", "unix", "-", "-", "-", "1", "verify"),
        ("flush", "unix", "n", "-", "1000?", "0", "flush"),
        ("proxymap", "unix", "-", "-", "-", "-", "proxymap"),
        ("smtp", "unix", "-", "-", "-", "-", "smtp"),
        ("error", "unix", "-", "-", "-", "-", "error"),
        ("retry", "unix", "-", "-", "-", "-", "error"),
        ("discard", "unix", "-", "-", "-", "-", "discard"),
        ("lmtp", "unix", "-", "-", "-", "-", "lmtp"),
        ("virtual", "unix", "-", "n", "-", "-", "virtual"),
        ("anvil", "unix", "-", "-", "-", "1", "anvil"),
        ("tlsmgr", "unix", "-", "-", "1000?", "1", "tlsmgr"),
        ("scache", "unix", "-", "-", "-", "1", "scache"),
        ("postlog", "unix-dgram", "n", "-", "-", "1", "postlogd"),
    ] {
        text.push_str(&format!("{name} {kind} {private} {unprivileged} n {wakeup} {most} {program}\n"));
    }
    text
}
