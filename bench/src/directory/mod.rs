//! The directory with many accounts: one node is made, filled from an LDIF file through `zcluster ldif import`, asked,
//! over LDAP beside Debian's slapd with the same entries, killed and started again, and joined by a second node. Every
//! figure is of this run.

mod data;
mod ldap;
pub mod node;
mod slapd;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use self::data::{PASSWORD, address, spread};
use self::node::{Node, run, text};
use crate::compare::{Column, table};
use crate::connection::Connection;

/// How long a start, a restart or a join may take.
const PATIENCE: Duration = Duration::from_secs(3_600);
/// Recipients of one LMTP transaction.
const RECIPIENTS: u64 = 100;
/// The second node's ports begin so far above the first one's.
const NEXT_PORTS: u16 = 100;
const LMTP: u16 = 24;
const RPC: u16 = 7;
const LDAP: u16 = 89;
/// slapd's port begins so far above the first node's.
const SLAPD: u16 = 98;

/// Options of the run.
#[derive(Args, Clone, Debug)]
pub struct DirectoryOptions {
    /// The binary under test.
    #[arg(long, default_value = "target/release/zcluster")]
    pub zcluster: PathBuf,
    /// Accounts.
    #[arg(long, default_value_t = 1_000_000)]
    pub accounts: u64,
    /// Domains that they are in.
    #[arg(long, default_value_t = 1_000)]
    pub domains: u64,
    /// Classes of service that they have.
    #[arg(long, default_value_t = 50)]
    pub cos: u64,
    /// Mailbox shards.
    #[arg(long, default_value_t = 8)]
    pub shards: u32,
    /// Recipients looked up.
    #[arg(long, default_value_t = 200_000)]
    pub lookups: u64,
    /// Searches of one LDAP load; other loads have a part of them.
    #[arg(long, default_value_t = 100_000)]
    pub ldap_searches: u64,
    /// Accounts that sign in over LDAP.
    #[arg(long, default_value_t = 500)]
    pub ldap_binds: u64,
    /// LDAP connections at a time.
    #[arg(long, default_value_t = 16)]
    pub ldap_connections: usize,
    /// Leave slapd out.
    #[arg(long)]
    pub alone: bool,
    /// The folder is of an earlier run: nothing is loaded, and only LDAP is asked, with the same options as then.
    #[arg(long)]
    pub ask_again: bool,
    /// Folder for all data; it must not exist, and is left behind.
    #[arg(long)]
    pub folder: PathBuf,
    /// Ports of the first node begin here.
    #[arg(long, default_value_t = 15_000)]
    pub base_port: u16,
}

/// What was measured.
#[derive(Debug, Default, Serialize)]
struct Measured {
    accounts: u64,
    domains: u64,
    cos: u64,
    ldif_bytes: u64,
    load_seconds: f64,
    accounts_per_second: f64,
    load_cpu_seconds_of_node: f64,
    again_seconds: f64,
    again_cpu_seconds_of_node: f64,
    memory_kib_empty: u64,
    memory_kib_loaded: u64,
    memory_kib_restarted: u64,
    memory_kib_after_lookups: u64,
    disk_bytes: u64,
    disk_bytes_per_account: u64,
    first_lookups_per_second: f64,
    lookups_per_second: f64,
    lookup_cpu_us: f64,
    restart_seconds: f64,
    catch_up_seconds: f64,
    joined_disk_bytes: u64,
    unindexed_search_seconds: f64,
    memory_kib_after_ldap: u64,
    slapd_load_seconds: f64,
    slapd_disk_bytes: u64,
    slapd_unindexed_search_seconds: f64,
    slapd_memory_kib: u64,
}

/// Carries out the run and prints what it measured.
///
/// # Errors
/// Whatever went wrong.
pub async fn measure(options: &DirectoryOptions, json: bool) -> Result<()> {
    if options.ask_again {
        return ask_again(options).await;
    }
    ensure!(!options.folder.exists(), "{} exists already", options.folder.display());
    fs::create_dir_all(&options.folder)?;
    let options = &DirectoryOptions { folder: fs::canonicalize(&options.folder)?, ..options.clone() };
    let mut m =
        Measured { accounts: options.accounts, domains: options.domains, cos: options.cos, ..Measured::default() };
    let file = options.folder.join("accounts.ldif");
    m.ldif_bytes = data::write_ldif(options, &file, false)?;
    let mut columns = Vec::new();
    if !options.alone {
        eprintln!("slapd with the same entries");
        columns.push(beside(options, &mut m).await?);
    }
    let data = options.folder.join("node1");
    let base = options.base_port.to_string();
    let shards = options.shards.to_string();
    run(&options.zcluster, &["init", "--data", text(&data), "--base-port", &base, "--shards", &shards])?;
    let mut node = Node::serve(&options.zcluster, &data)?;
    ready(options, &data).await?;
    m.memory_kib_empty = node.watch().memory_kib();

    eprintln!("loading {} accounts", options.accounts);
    let cpu = node.watch().cpu_seconds();
    let began = Instant::now();
    let import = ["ldif", "import", text(&file), "--json", "--data", text(&data)];
    created(&run(&options.zcluster, &import)?, options.accounts, "created")?;
    m.load_seconds = began.elapsed().as_secs_f64();
    m.accounts_per_second = options.accounts as f64 / m.load_seconds;
    m.load_cpu_seconds_of_node = node.watch().cpu_seconds() - cpu;
    m.memory_kib_loaded = node.watch().memory_kib();

    eprintln!("the same once more");
    let cpu = node.watch().cpu_seconds();
    let began = Instant::now();
    created(&run(&options.zcluster, &import)?, options.accounts, "same")?;
    m.again_seconds = began.elapsed().as_secs_f64();
    m.again_cpu_seconds_of_node = node.watch().cpu_seconds() - cpu;

    eprintln!("killing and starting it again");
    let began = Instant::now();
    node.child.kill()?;
    node.child.wait()?;
    node = Node::serve(&options.zcluster, &data)?;
    ready(options, &data).await?;
    m.restart_seconds = began.elapsed().as_secs_f64();
    m.memory_kib_restarted = node.watch().memory_kib();

    eprintln!("{} recipients for the first time: their mailboxes come into being", options.lookups);
    let began = Instant::now();
    look_up(options).await?;
    m.first_lookups_per_second = options.lookups as f64 / began.elapsed().as_secs_f64();
    eprintln!("looking up {} recipients", options.lookups);
    let cpu = node.watch().cpu_seconds();
    let began = Instant::now();
    look_up(options).await?;
    m.lookups_per_second = options.lookups as f64 / began.elapsed().as_secs_f64();
    m.lookup_cpu_us = (node.watch().cpu_seconds() - cpu) * 1e6 / options.lookups as f64;
    m.memory_kib_after_lookups = node.watch().memory_kib();
    eprintln!("LDAP");
    columns.insert(0, over_ldap(options, &data, &node, &mut m).await?);
    m.disk_bytes = node.disk();
    m.disk_bytes_per_account = m.disk_bytes / options.accounts;

    eprintln!("a second node joins");
    let began = Instant::now();
    let joined = join(options, &data).await?;
    m.catch_up_seconds = began.elapsed().as_secs_f64();
    m.joined_disk_bytes = joined.disk();
    if json {
        println!("{}", serde_json::to_string_pretty(&json!({ "directory": &m, "ldap": &columns }))?);
        return Ok(());
    }
    table::print(&columns);
    if let Value::Object(rows) = serde_json::to_value(&m)? {
        rows.iter().for_each(|(name, value)| println!("{:<28} {value}", name.replace('_', " ")));
    }
    Ok(())
}

/// Asks what an earlier run has left: for a look at one load, or at another version with the same data.
async fn ask_again(options: &DirectoryOptions) -> Result<()> {
    let options = &DirectoryOptions { folder: fs::canonicalize(&options.folder)?, ..options.clone() };
    let (mut m, mut columns) = (Measured::default(), Vec::new());
    if !options.alone {
        let slapd = slapd::Slapd::open(&options.folder.join("slapd"), options.base_port + SLAPD)?;
        columns.push(ask_slapd(options, &slapd, &mut m).await?);
    }
    let data = options.folder.join("node1");
    let node = Node::serve(&options.zcluster, &data)?;
    ready(options, &data).await?;
    columns.insert(0, ask_node(options, &node, &mut m).await?);
    table::print(&columns);
    let (ours, theirs) = (m.unindexed_search_seconds, m.slapd_unindexed_search_seconds);
    println!("unindexed search seconds     {ours} (slapd: {theirs})");
    println!("memory kib after ldap        {} (slapd: {})", m.memory_kib_after_ldap, m.slapd_memory_kib);
    Ok(())
}

/// The accounts over LDAP, from the node's own copy of the directory.
async fn over_ldap(options: &DirectoryOptions, data: &Path, node: &Node, m: &mut Measured) -> Result<Column> {
    let account =
        ["prov", "--data", text(data), "createAccount", "asker@d0.example", PASSWORD, "zimbraIsAdminAccount", "TRUE"];
    run(&options.zcluster, &account)?;
    ask_node(options, node, m).await
}

async fn ask_node(options: &DirectoryOptions, node: &Node, m: &mut Measured) -> Result<Column> {
    let server = ldap::Server { url: format!("ldap://127.0.0.1:{}", options.base_port + LDAP), pid: node.child.id() };
    let reports = ldap::run(options, &server).await?;
    m.unindexed_search_seconds = ldap::unindexed(options, &server).await?;
    m.memory_kib_after_ldap = node.watch().memory_kib();
    Ok(Column { server: "zcluster, 1 node".into(), reports })
}

/// slapd with the same entries, asked the same.
async fn beside(options: &DirectoryOptions, m: &mut Measured) -> Result<Column> {
    let folder = options.folder.join("slapd");
    fs::create_dir_all(&folder)?;
    let file = folder.join("accounts.ldif");
    data::write_ldif(options, &file, true)?;
    let port = options.base_port + SLAPD;
    let slapd = slapd::Slapd::start(&folder, &file, port)?;
    (m.slapd_load_seconds, m.slapd_disk_bytes) = (slapd.load_seconds, slapd.disk_bytes);
    ask_slapd(options, &slapd, m).await
}

async fn ask_slapd(options: &DirectoryOptions, slapd: &slapd::Slapd, m: &mut Measured) -> Result<Column> {
    let port = options.base_port + SLAPD;
    let server = ldap::Server { url: format!("ldap://127.0.0.1:{port}"), pid: slapd.pid() };
    let reports = ldap::run(options, &server).await?;
    m.slapd_unindexed_search_seconds = ldap::unindexed(options, &server).await?;
    m.slapd_memory_kib = slapd.watch().memory_kib();
    Ok(Column { server: "slapd (mdb)".into(), reports })
}

fn created(report: &str, accounts: u64, what: &str) -> Result<()> {
    let report: Value = serde_json::from_str(report)?;
    let count = report["entries"]["account"][what].as_u64();
    ensure!(count == Some(accounts), "{what}: {count:?} of {accounts} accounts: {report}");
    Ok(())
}

/// Waits until the node tells its status, and all groups have a leader and no lag.
async fn ready(options: &DirectoryOptions, data: &Path) -> Result<()> {
    wait(|| async {
        let status = status(&options.zcluster, data)?;
        let directory = &status["directory"];
        let shards = status["shards"].as_array().context("no shards")?;
        let led = |g: &Value| g["leader"].is_u64();
        ensure!(led(directory) && shards.len() == options.shards as usize && shards.iter().all(led), "no leaders yet");
        Ok(())
    })
    .await
}

async fn wait<F: Future<Output = Result<()>>>(check: impl Fn() -> F) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    loop {
        match check().await {
            Ok(()) => return Ok(()),
            Err(e) if Instant::now() > until => return Err(e),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

fn status(zcluster: &Path, data: &Path) -> Result<Value> {
    Ok(serde_json::from_str(&run(zcluster, &["status", "--json", "--data", text(data)])?)?)
}

/// `RCPT TO` for accounts all over: the look-up of account, COS and domain, and a look at the mailbox's quota.
async fn look_up(options: &DirectoryOptions) -> Result<()> {
    let at = ([127, 0, 0, 1], options.base_port + LMTP).into();
    let mut connection = Connection::open(at).await?;
    connection.expect(220).await?;
    connection.send(b"LHLO bench.example\r\n").await?;
    connection.expect(250).await?;
    let mut n = 0;
    while n < options.lookups {
        let mut burst = String::from("MAIL FROM:<>\r\n");
        let many = RECIPIENTS.min(options.lookups - n);
        for k in n..n + many {
            let (user, domain) = address(options, spread(options, k));
            burst.push_str(&format!("RCPT TO:<{user}@d{domain}.example>\r\n"));
        }
        burst.push_str("RSET\r\n");
        connection.send(burst.as_bytes()).await?;
        for _ in 0..many + 2 {
            connection.expect(250).await?;
        }
        n += many;
    }
    Ok(())
}

/// A second node; returns when it holds all groups and lags behind in none.
async fn join(options: &DirectoryOptions, data: &Path) -> Result<Node> {
    let token: Value = serde_json::from_str(&run(&options.zcluster, &["token", "--json", "--data", text(data)])?)?;
    let token = token["token"].as_str().context("no token")?;
    let second = options.folder.join("node2");
    let (member, base) =
        (format!("127.0.0.1:{}", options.base_port + RPC), (options.base_port + NEXT_PORTS).to_string());
    let arguments = ["join", &member, "--token", token, "--data", text(&second), "--base-port", &base];
    run(&options.zcluster, &arguments)?;
    let node = Node::serve(&options.zcluster, &second)?;
    wait(|| async {
        let status = status(&options.zcluster, data)?;
        let caught = |g: &Value| g["voters"].as_array().is_some_and(|v| v.len() == 2) && g["lag"].as_u64() == Some(0);
        if !caught(&status["directory"]) {
            bail!("not yet");
        }
        Ok(())
    })
    .await?;
    Ok(node)
}
