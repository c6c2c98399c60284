//! The rest of the world: a DNS server (dnsmasq), another site's Postfix, Postfix's smtp-sink, and a host that dies when
//! it is told to.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::cluster::{free_dns_port, free_ports, path};
use super::eventually;
use super::postfix::Postfix;
pub use super::postfix::can_run as postfix_is_there;
use super::tools::succeed;

/// A name server for `remote.test`, whose mail host is this machine.
pub struct Dns {
    child: Child,
    pub port: u16,
}

impl Dns {
    pub fn start() -> Self {
        let port = free_dns_port();
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
    postfix: Postfix,
    pub port: u16,
}

impl Remote {
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// One with more lines in its main.cf.
    pub fn start_with(lines: &str) -> Self {
        Self::start_for(&["remote.test", "bare.test"], lines)
    }

    /// The same for other domains, with more lines of `main.cf`.
    pub fn start_for(domains: &[&str], more: &str) -> Self {
        let postfix = Postfix::start(|folder| main_cf(folder, domains, more));
        Self { port: postfix.port, postfix }
    }

    pub fn log(&self) -> String {
        self.postfix.log()
    }

    /// The messages that a user of it has.
    pub fn messages(&self, user: &str) -> Vec<String> {
        let folder = self.postfix.folder().join("mail").join(user).join("new");
        let files = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
        files.map(|f| String::from_utf8_lossy(&fs::read(f.path()).unwrap_or_default()).into_owned()).collect()
    }
}

fn main_cf(folder: &Path, domains: &[&str], more: &str) -> String {
    fs::create_dir_all(folder.join("mail")).unwrap();
    succeed(Command::new("chown").arg("nobody").arg(folder.join("mail")));
    let mut users = String::new();
    for domain in domains {
        for user in ["user", "second"] {
            users.push_str(&format!("{user}@{domain} {user}/\n"));
        }
    }
    fs::write(folder.join("etc/users"), users).unwrap();
    let (folder, domains) = (path(folder), domains.join(" "));
    format!(
        "myhostname = mx2.remote.test\nmynetworks = 127.0.0.2/32\nvirtual_mailbox_domains = {domains}\n\
         virtual_mailbox_maps = texthash:{folder}/etc/users\nvirtual_mailbox_base = {folder}/mail\n\
         virtual_uid_maps = static:65534\nvirtual_gid_maps = static:65534\nvirtual_minimum_uid = 100\n\
         virtual_transport = virtual\nsmtputf8_enable = no\nunknown_local_recipient_reject_code = 550\n{more}"
    )
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
