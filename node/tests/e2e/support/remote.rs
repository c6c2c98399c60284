//! The rest of the world: a DNS server (dnsmasq), another site's Postfix, Postfix's smtp-sink, and a host that dies when
//! it is told to.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::cluster::{free_ports, path};
use super::eventually;
use super::smtp::Smtp;
use super::tools::{finish, succeed};

/// Whether the programs that need root are to be had.
pub fn postfix_is_there() -> bool {
    // SAFETY: reads the process's own id.
    let root = unsafe { libc::geteuid() } == 0;
    root && Path::new("/usr/sbin/postfix").exists()
}

/// A name server for `remote.test`, whose mail host is this machine.
pub struct Dns {
    child: Child,
    pub port: u16,
}

impl Dns {
    pub fn start() -> Self {
        let port = free_ports();
        let child = Command::new("dnsmasq")
            .args(["--keep-in-foreground", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", "--bind-interfaces"])
            .args(["--listen-address=127.0.0.1", "--pid-file=", "--user=root", "--local=/test/"])
            .arg(format!("--port={port}"))
            .args(["--mx-host=remote.test,mx2.remote.test,20", "--mx-host=remote.test,mx1.remote.test,10"])
            // The better host does not answer.
            .args(["--host-record=mx1.remote.test,127.0.0.9", "--host-record=mx2.remote.test,127.0.0.1"])
            .args(["--dns-rr=null.test,15,000000", "--host-record=bare.test,127.0.0.1"])
            .args(["smart", "wrong", "plain", "old"].map(|name| format!("--host-record={name}.test,127.0.0.1")))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| panic!("dnsmasq: {e}; run deploy/prerequisites"));
        eventually("dnsmasq listens", Duration::from_secs(10), || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { child, port }
    }

    /// A file for the nodes: this server, and hosts that MX names listening on `smtp`.
    pub fn node_config(&self, smtp: u16) -> tempfile::NamedTempFile {
        self.node_config_of(self.port, smtp)
    }

    /// The same with another server, before this one.
    pub fn node_config_of(&self, resolver: u16, smtp: u16) -> tempfile::NamedTempFile {
        let mut file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
        let text = format!("[relay]\nresolvers = [\"127.0.0.1:{resolver}\"]\nport = {smtp}\nipv6 = false\n");
        file.write_all(text.as_bytes()).unwrap();
        file
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Another site: Postfix, final for `remote.test` and `bare.test`, where `user` and `second` live.
pub struct Remote {
    folder: tempfile::TempDir,
    pub port: u16,
}

impl Remote {
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// One with more lines in its main.cf.
    pub fn start_with(lines: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("zcluster-remote-").tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let this = Self { port: free_ports(), folder };
        for sub in ["etc", "queue", "data", "mail"] {
            fs::create_dir_all(this.folder.path().join(sub)).unwrap();
        }
        succeed(Command::new("chown").arg("postfix").arg(this.folder.path().join("data")));
        succeed(Command::new("chown").arg("nobody").arg(this.folder.path().join("mail")));
        let mut users = String::new();
        for domain in ["remote.test", "bare.test"] {
            for user in ["user", "second"] {
                users.push_str(&format!("{user}@{domain} {user}/\n"));
            }
        }
        fs::write(this.etc().join("users"), users).unwrap();
        fs::write(this.etc().join("main.cf"), this.main_cf() + lines).unwrap();
        fs::write(this.etc().join("master.cf"), master_cf(this.port)).unwrap();
        this.control("start");
        eventually("Postfix listens", Duration::from_secs(20), || Smtp::esmtp(this.port).is_ok());
        this
    }

    fn etc(&self) -> PathBuf {
        self.folder.path().join("etc")
    }

    fn main_cf(&self) -> String {
        let folder = path(self.folder.path());
        format!(
            "compatibility_level = 3.6\nqueue_directory = {folder}/queue\ndata_directory = {folder}/data\n\
             mail_owner = postfix\nsetgid_group = postdrop\ncommand_directory = /usr/sbin\n\
             daemon_directory = /usr/lib/postfix/sbin\nmaillog_file = {folder}/data/postfix.log\n\
             maillog_file_prefixes = {folder}\nmyhostname = mx2.remote.test\nmydestination =\nalias_maps =\n\
             alias_database =\nlocal_recipient_maps =\ninet_interfaces = 127.0.0.1\ninet_protocols = ipv4\n\
             mynetworks = 127.0.0.2/32\nlocal_transport = error:nobody lives here\n\
             default_transport = error:nothing leaves\nvirtual_mailbox_domains = remote.test bare.test\n\
             virtual_mailbox_maps = texthash:{folder}/etc/users\nvirtual_mailbox_base = {folder}/mail\n\
             virtual_uid_maps = static:65534\nvirtual_gid_maps = static:65534\nvirtual_minimum_uid = 100\n\
             virtual_transport = virtual\nsmtpd_client_connection_count_limit = 0\nsmtpd_error_sleep_time = 0\n\
             smtputf8_enable = no\nunknown_local_recipient_reject_code = 550\n"
        )
    }

    fn control(&self, verb: &str) {
        let output = finish(Command::new("postfix").arg("-c").arg(self.etc()).arg(verb));
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "postfix {verb}: {text}{}", self.log());
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("data/postfix.log")).unwrap_or_default()
    }

    /// The messages that a user of it has.
    pub fn messages(&self, user: &str) -> Vec<String> {
        let folder = self.folder.path().join("mail").join(user).join("new");
        let files = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
        files.map(|f| String::from_utf8_lossy(&fs::read(f.path()).unwrap_or_default()).into_owned()).collect()
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the remote Postfix said:\n{}", self.log());
        }
        let _ = Command::new("postfix").arg("-c").arg(self.etc()).arg("stop").output();
    }
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
        ("proxymap", "unix", "-", "-", "-", "proxymap"),
        ("error", "unix", "-", "-", "-", "error"),
        ("retry", "unix", "-", "-", "-", "error"),
        ("virtual", "unix", "-", "-", "-", "virtual"),
        ("anvil", "unix", "-", "-", "1", "anvil"),
        ("tlsmgr", "unix", "-", "1000?", "1", "tlsmgr"),
        ("postlog", "unix-dgram", "n", "-", "1", "postlogd"),
    ] {
        let private = if name == "virtual" { "- n" } else { &format!("{private} -") };
        text.push_str(&format!("{name} {kind} {private} n {wakeup} {most} {program}\n"));
    }
    text
}

/// smtp-sink: takes everything, or says "not now" to every recipient.
pub struct Sink(Child);

impl Sink {
    pub fn start(port: u16, not_now: bool) -> Self {
        let mut command = Command::new("smtp-sink");
        if not_now {
            command.args(["-r", "rcpt"]);
        }
        command.args(["-u", "postfix"]).arg(format!("127.0.0.1:{port}")).arg("20");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let this = Self(child.unwrap_or_else(|e| panic!("smtp-sink: {e}; run deploy/prerequisites")));
        eventually("smtp-sink listens", Duration::from_secs(10), || TcpStream::connect(("127.0.0.1", port)).is_ok());
        this
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a [`Mortal`] host does with the next message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Takes it.
    Take,
    /// Closes the connection in the middle of the data.
    DieInData,
    /// Waits before it asks for the data.
    WaitBeforeData(Duration),
    /// Takes all of it, and waits before it says so.
    WaitBeforeTaking(Duration),
}

/// A host that does as it is told, and keeps a book.
pub struct Mortal {
    pub port: u16,
    mood: Arc<Mutex<Mood>>,
    /// Messages for which it said 250.
    taken: Arc<Mutex<Vec<String>>>,
    /// Connections that reached DATA.
    data: Arc<Mutex<usize>>,
}

impl Mortal {
    pub fn start(mood: Mood) -> Self {
        let port = free_ports();
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let this = Self { port, mood: Arc::new(Mutex::new(mood)), taken: Arc::default(), data: Arc::default() };
        let shared = (this.mood.clone(), this.taken.clone(), this.data.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (mood, taken, data) = shared.clone();
                std::thread::spawn(move || {
                    let _ = serve(stream, &mood, &taken, &data);
                });
            }
        });
        this
    }

    pub fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    pub fn taken(&self) -> Vec<String> {
        self.taken.lock().unwrap().clone()
    }

    pub fn reached_data(&self) -> usize {
        *self.data.lock().unwrap()
    }
}

fn serve(
    stream: TcpStream,
    mood: &Mutex<Mood>,
    taken: &Mutex<Vec<String>>,
    data: &Mutex<usize>,
) -> std::io::Result<()> {
    let mut out = stream.try_clone()?;
    let mut lines = BufReader::new(stream);
    let mut say = |text: &str| out.write_all(format!("{text}\r\n").as_bytes());
    say("220 mortal.test ESMTP")?;
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" => say("250-mortal.test\r\n250-PIPELINING\r\n250 8BITMIME")?,
            "QUIT" => return say("221 bye"),
            "DATA" => {
                *data.lock().unwrap() += 1;
                let now = *mood.lock().unwrap();
                if let Mood::WaitBeforeData(wait) = now {
                    std::thread::sleep(wait);
                }
                say("354 go on")?;
                let mut message = String::new();
                loop {
                    let mut line = String::new();
                    if lines.read_line(&mut line)? == 0 {
                        return Ok(());
                    }
                    if now == Mood::DieInData && message.len() > 500 {
                        // The next one is treated better.
                        *mood.lock().unwrap() = Mood::Take;
                        return Ok(());
                    }
                    if line == ".\r\n" {
                        break;
                    }
                    message.push_str(&line);
                }
                if let Mood::WaitBeforeTaking(wait) = now {
                    std::thread::sleep(wait);
                }
                taken.lock().unwrap().push(message);
                say("250 taken")?;
            }
            _ => say("250 ok")?,
        }
    }
}
