//! A cluster of real processes: `init`, `join` and `serve`, and the signals that tests send them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::imap::Imap;

/// Entries that a voter may be behind and is still caught up: writes that are under way while the status is made.
const LAG_UNDER_LOAD: u64 = 16;
/// The binary under test.
pub const ZCLUSTER: &str = env!("CARGO_BIN_EXE_zcluster");
/// Accounts that every cluster has, with [`PASSWORD`].
pub const ACCOUNTS: [&str; 3] = ["admin@example.com", "alice@example.com", "bob@example.com"];
/// The password of all of them.
pub const PASSWORD: &str = "correct horse";
/// How long a cluster may take to come up on a busy machine with two cores.
const STARTUP: Duration = Duration::from_secs(90);
/// Shards of a test cluster: enough that every node leads some, few enough to start quickly.
const SHARDS: u32 = 6;
/// Ports of one node, and of one cluster.
const PORTS_PER_NODE: u16 = 100;
const PORTS_PER_CLUSTER: u16 = 500;
/// Below the kernel's range for outgoing connections.
const FIRST_PORT: u16 = 20_000;
const LAST_PORT: u16 = 32_000;

/// Offsets from a node's base port (the table of the command line's documentation).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    Smtp = 25,
    Lmtp = 24,
    Submission = 87,
    Submissions = 65,
    Imap = 43,
    Imaps = 93,
    Pop3 = 10,
    Pop3s = 95,
    ManageSieve = 90,
    Ldap = 89,
    Ldaps = 36,
    Rpc = 7,
    Metrics = 9,
}

/// One node's process and folder.
pub struct Node {
    /// 1, 2, 3 as people count them.
    pub number: usize,
    /// Its base port.
    pub base: u16,
    /// Its data folder.
    pub data: PathBuf,
    log: PathBuf,
    child: Option<Child>,
}

/// A running cluster; dropped, it is stopped and its data removed.
pub struct Cluster {
    pub nodes: Vec<Node>,
    pub folder: PathBuf,
    serve_arguments: Vec<String>,
    /// The first node's configuration file, less its ports.
    config: Option<String>,
    /// The shard of each account's mailbox.
    homes: BTreeMap<String, u64>,
    _permit: Option<Permit>,
}

impl Cluster {
    /// A cluster with so many nodes, all voters caught up, with the usual accounts.
    pub fn start(count: usize) -> Self {
        Self::start_with(count, &[])
    }

    /// The same, with arguments for every `serve`.
    pub fn start_with(count: usize, serve_arguments: &[&str]) -> Self {
        let permit = Permit::take();
        Self::start_permitted(count, serve_arguments, Some(permit))
    }

    /// A cluster of one node with a configuration file; `config` is told the cluster's folder and writes all of it but
    /// `[ports]` and `[node]`.
    pub fn start_configured(config: impl FnOnce(&Path) -> String) -> Self {
        let permit = Permit::take();
        let folder = scratch();
        let text = config(&folder);
        Self::start_in(folder, 1, &[], Some(text), Some(permit))
    }

    /// Another cluster, of one node, while this one runs.
    pub fn beside(&self) -> Self {
        Self::start_permitted(1, &[], None)
    }

    fn start_permitted(count: usize, serve_arguments: &[&str], permit: Option<Permit>) -> Self {
        Self::start_in(scratch(), count, serve_arguments, None, permit)
    }

    fn start_in(
        folder: PathBuf,
        count: usize,
        serve_arguments: &[&str],
        config: Option<String>,
        permit: Option<Permit>,
    ) -> Self {
        let base = free_ports();
        let nodes = (1..=count)
            .map(|number| Node {
                number,
                base: base + PORTS_PER_NODE * (number as u16 - 1),
                data: folder.join(format!("node{number}")),
                log: folder.join(format!("node{number}.log")),
                child: None,
            })
            .collect();
        let serve_arguments = serve_arguments.iter().map(|&argument| argument.to_owned()).collect();
        let mut cluster = Self { nodes, folder, serve_arguments, config, homes: BTreeMap::new(), _permit: permit };
        cluster.found();
        for number in 2..=count {
            cluster.join(number);
        }
        cluster.await_ready(STARTUP);
        for account in &ACCOUNTS[1..] {
            cluster.create_account(account);
        }
        cluster
    }

    /// `init` and `serve` of the first node.
    fn found(&mut self) {
        let password = self.folder.join("password");
        fs::write(&password, PASSWORD).unwrap();
        let node = &self.nodes[0];
        let shards = SHARDS.to_string();
        let base = node.base.to_string();
        let file = self.folder.join("zcluster.toml");
        let place = match &self.config {
            Some(config) => {
                fs::write(&file, format!("{}{config}", ports_table(node.base))).unwrap();
                ["--config", path(&file)]
            }
            None => ["--base-port", &base],
        };
        run(&[
            "init",
            "--data",
            path(&node.data),
            place[0],
            place[1],
            "--listen",
            "127.0.0.1",
            "--shards",
            &shards,
            "--domain",
            "example.com",
            "--admin",
            ACCOUNTS[0],
            "--password-file",
            path(&password),
        ]);
        self.serve(1);
        self.node(1).await_port(Port::Rpc, STARTUP);
        self.node(1).await_port(Port::Imap, STARTUP);
    }

    /// `join` and `serve` of another node.
    fn join(&mut self, number: usize) {
        let token = self.token();
        let address = format!("127.0.0.1:{}", self.node(1).port(Port::Rpc));
        let node = self.node(number);
        let base = node.base.to_string();
        let place = ["--base-port", &base, "--listen", "127.0.0.1"];
        run(&[&["join", &address, "--token", &token, "--data", path(&node.data)], &place[..]].concat());
        self.serve(number);
        self.node(number).await_port(Port::Imap, STARTUP);
    }

    /// Creates an account, and notes its shard.
    fn create_account(&mut self, account: &str) {
        self.prov(&["createAccount", account, PASSWORD]);
        let located = run(&["mailbox", "locate", account, "--json", "--data", path(&self.node(1).data)]);
        let located: Value = serde_json::from_str(&located).expect("JSON");
        self.homes.insert(account.to_owned(), located["shard"].as_u64().expect("a shard"));
    }

    /// A fresh join token.
    pub fn token(&self) -> String {
        run(&["token", "--data", path(&self.node(1).data)]).trim().to_owned()
    }

    /// Starts a node's process.
    pub fn serve(&mut self, number: usize) {
        let arguments = self.serve_arguments.clone();
        self.nodes[number - 1].serve(&arguments);
    }

    /// The node with this number.
    pub fn node(&self, number: usize) -> &Node {
        &self.nodes[number - 1]
    }

    /// A listener's port on a node.
    pub fn port(&self, number: usize, port: Port) -> u16 {
        self.node(number).port(port)
    }

    /// kill -9.
    pub fn kill9(&mut self, number: usize) {
        let node = &mut self.nodes[number - 1];
        if let Some(child) = &mut node.child {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        node.child = None;
    }

    /// SIGTERM, and the process anew.
    pub fn restart(&mut self, number: usize) {
        self.restart_after(number, |_| {});
    }

    /// SIGTERM if it runs, something done to the data folder, and the process anew.
    pub fn restart_after(&mut self, number: usize, meanwhile: impl FnOnce(&Path)) {
        if self.node(number).child.is_some() {
            self.node(number).signal(libc::SIGTERM);
        }
        if let Some(mut child) = self.nodes[number - 1].child.take() {
            child.wait().unwrap();
        }
        meanwhile(&self.node(number).data);
        self.serve(number);
        self.await_ready(STARTUP);
    }

    /// SIGSTOP.
    pub fn stop(&self, number: usize) {
        self.node(number).signal(libc::SIGSTOP);
    }

    /// SIGCONT.
    pub fn cont(&self, number: usize) {
        self.node(number).signal(libc::SIGCONT);
    }

    /// Waits until every node lets people log in and every shard has all its replicas.
    pub fn await_ready(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        for node in &self.nodes {
            loop {
                let login = Imap::try_login(node.port(Port::Imap), ACCOUNTS[0], PASSWORD);
                match login {
                    Ok(_) => break,
                    Err(error) => {
                        assert!(
                            Instant::now() < deadline,
                            "node {} is not ready: {error}\n{}",
                            node.number,
                            node.tail(30)
                        );
                        std::thread::sleep(Duration::from_millis(200));
                    }
                }
            }
        }
        self.await_replicas(deadline);
    }

    /// Waits until the status shows every node as a caught-up voter of every group.
    pub fn await_replicas(&self, deadline: Instant) {
        loop {
            let status = self.status(1);
            if status.as_ref().is_some_and(|status| self.complete(status)) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "the cluster is not complete: {}\n{}",
                status.map_or_else(|| "no status".to_owned(), |status| status.to_string()),
                self.node(1).tail(30)
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn complete(&self, status: &Value) -> bool {
        let wanted = self.nodes.len().min(3);
        let shards = status["shards"].as_array().map_or(&[][..], Vec::as_slice);
        shards.len() == SHARDS as usize
            && shards.iter().chain([&status["directory"]]).all(|group| {
                !group["leader"].is_null()
                    && group["lag"].as_u64().is_some_and(|lag| lag <= LAG_UNDER_LOAD)
                    && group["live"].as_u64() >= Some(wanted as u64)
                    && group["voters"].as_array().is_some_and(|voters| voters.len() >= wanted)
            })
    }

    /// `status --json` as one node sees it.
    pub fn status(&self, number: usize) -> Option<Value> {
        let output = command(&["status", "--json", "--data", path(&self.node(number).data)]).output().unwrap();
        if !output.status.success() {
            return None;
        }
        serde_json::from_slice(&output.stdout).ok()
    }

    /// `zcluster prov ...` through the first node that runs; it must succeed.
    pub fn prov(&self, arguments: &[&str]) -> String {
        let output = self.try_prov(arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "prov {arguments:?} failed: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// `zcluster prov ...`, however it ends.
    pub fn try_prov(&self, arguments: &[&str]) -> Output {
        let node = self.nodes.iter().find(|node| node.child.is_some()).expect("a node runs");
        let mut all = vec!["prov", "--data", path(&node.data)];
        all.extend_from_slice(arguments);
        command(&all).output().unwrap()
    }

    /// The node that leads the shard of this account's mailbox, asked from a node that runs.
    pub fn primary_of(&self, account: &str) -> usize {
        let mut found = None;
        super::eventually("a primary of the mailbox", Duration::from_secs(30), || {
            found =
                self.nodes.iter().filter(|node| node.child.is_some()).find_map(|node| self.ask_primary(node, account));
            found.is_some()
        });
        found.unwrap()
    }

    fn ask_primary(&self, node: &Node, account: &str) -> Option<usize> {
        let status = self.status(node.number)?;
        let home = self.homes[account];
        let shard = status["shards"].as_array()?.iter().find(|shard| shard["shard"].as_u64() == Some(home))?;
        let leader = usize::try_from(shard["leader"].as_u64()?).ok()?;
        self.node(leader).child.is_some().then_some(leader)
    }

    /// A node that is not this one and runs.
    pub fn another(&self, than: usize) -> usize {
        let other = self.nodes.iter().find(|node| node.number != than && node.child.is_some());
        other.expect("another node runs").number
    }

    /// A logged-in IMAP session on a node.
    pub fn imap(&self, number: usize, account: &str) -> Imap {
        Imap::try_login(self.port(number, Port::Imap), account, PASSWORD).unwrap_or_else(|error| {
            panic!("{account} cannot log in on node {number}: {error}\n{}", self.node(number).tail(20))
        })
    }
}

impl Node {
    /// A listener's port.
    pub fn port(&self, port: Port) -> u16 {
        self.base + port as u16
    }

    /// The process id; the node must run.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the node runs").id()
    }

    fn serve(&mut self, arguments: &[String]) {
        assert!(self.child.is_none(), "node {} runs already", self.number);
        let log = File::options().create(true).append(true).open(&self.log).unwrap();
        let mut command = command(&["serve", "--data", path(&self.data)]);
        command.args(arguments).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(command.spawn().unwrap());
    }

    fn signal(&self, signal: libc::c_int) {
        // SAFETY: kill takes no pointers; the child is ours and has not been waited for.
        let result = unsafe { libc::kill(self.pid() as libc::pid_t, signal) };
        assert_eq!(result, 0);
    }

    /// Whether SIGSTOP has reached all its threads: until then they may go on for a moment.
    pub fn is_stopped(&self) -> bool {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap().flatten();
        let state = |task: fs::DirEntry| fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        // The name, in parentheses, may hold anything; behind it comes the state.
        tasks.map(state).all(|stat| stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('T')))
    }

    fn await_port(&self, port: Port, limit: Duration) {
        let deadline = Instant::now() + limit;
        while std::net::TcpStream::connect(("127.0.0.1", self.port(port))).is_err() {
            assert!(Instant::now() < deadline, "node {} does not listen on {port:?}:\n{}", self.number, self.tail(30));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What the node wrote.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The last lines of it.
    pub fn tail(&self, lines: usize) -> String {
        let log = self.log();
        let all: Vec<&str> = log.lines().filter(|line| !line.contains(" openraft::")).collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// Resident memory in KiB.
    pub fn rss_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            if let Some(child) = &mut node.child {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
        let panicked = self.nodes.iter().find(|node| node.log().contains("panicked at"));
        if std::thread::panicking() {
            for node in &self.nodes {
                eprintln!("--- node {} said last:\n{}", node.number, node.tail(15));
            }
            eprintln!("--- everything is kept in {}", self.folder.display());
        } else if let Some(node) = panicked {
            let log = node.log();
            let at = log.lines().position(|line| line.contains("panicked at")).unwrap_or(0);
            let shown: Vec<&str> = log.lines().skip(at).take(20).collect();
            panic!("node {} panicked:\n{}", node.number, shown.join("\n"));
        } else {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// A command of the binary under test, with quiet surroundings.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(ZCLUSTER);
    command.args(arguments).stdin(Stdio::null()).env_remove("RUST_BACKTRACE");
    command
}

/// Runs a command that must succeed, and returns what it printed.
pub fn run(arguments: &[&str]) -> String {
    let output = command(arguments).output().unwrap();
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "zcluster {arguments:?} failed: {out}{error}");
    out.into_owned()
}

/// Runs a command that must fail, and returns what it complained.
pub fn run_refused(arguments: &[&str]) -> String {
    let output = command(arguments).output().unwrap();
    assert!(!output.status.success(), "zcluster {arguments:?} succeeded: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A path as an argument.
pub fn path(path: &Path) -> &str {
    path.to_str().expect("test paths are UTF-8")
}

/// An empty folder on the disk of the target folder.
pub fn scratch() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(folder).unwrap();
    tempfile::Builder::new().prefix("e2e-").tempdir_in(folder).unwrap().keep()
}

/// The first of a run of ports that nobody listens on.
pub fn free_ports() -> u16 {
    static NEXT: Mutex<u16> = Mutex::new(0);
    let mut next = NEXT.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let slots = (LAST_PORT - FIRST_PORT) / PORTS_PER_CLUSTER;
    if *next == 0 {
        *next = (std::process::id() % u32::from(slots)) as u16;
    }
    for _ in 0..slots {
        let base = FIRST_PORT + (*next % slots) * PORTS_PER_CLUSTER;
        *next += 1;
        if (base..base + 4 * PORTS_PER_NODE).all(|port| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok()) {
            return base;
        }
    }
    panic!("no {PORTS_PER_CLUSTER} free ports in a row between {FIRST_PORT} and {LAST_PORT}");
}

/// A port that nobody listens on, neither by TCP nor by UDP: for a DNS server that is started at once.
pub fn free_dns_port() -> u16 {
    let free = |port: &u16| std::net::UdpSocket::bind(("127.0.0.1", *port)).is_ok();
    (0..100).map(|_| free_ports()).find(free).expect("a port without UDP")
}

/// What `--base-port` does, as a configuration file says it.
fn ports_table(base: u16) -> String {
    let offsets = [
        ("smtp", 25),
        ("lmtp", 24),
        ("submission", 87),
        ("submissions", 65),
        ("imap", 43),
        ("imaps", 93),
        ("pop3", 10),
        ("pop3s", 95),
        ("managesieve", 90),
        ("ldap", 89),
        ("ldaps", 36),
        ("admin", 71),
        ("rpc", 7),
        ("metrics", 9),
    ];
    let lines: String = offsets.iter().map(|(name, offset)| format!("{name} = {}\n", base + offset)).collect();
    format!("[ports]\n{lines}")
}

/// The right to run a cluster.
pub struct Permit(());

static RUNNING: Mutex<usize> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();

impl Permit {
    /// Waits for its turn.
    pub fn take() -> Self {
        let allowed = std::env::var("ZCLUSTER_TEST_CLUSTERS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
        let mut running = RUNNING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        while *running >= allowed {
            running = ENDED.wait(running).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
        *running += 1;
        Self(())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        *RUNNING.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) -= 1;
        ENDED.notify_one();
    }
}
