//! `zcluster-bench compare`: the same loads on the same machine in the same run against zcluster with one node, with
//! three nodes, Dovecot, and Postfix in front of Dovecot.

pub mod dovecot;
mod large;
mod loads;
mod postfix;
pub mod queue;
pub mod table;
mod zcluster;

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use serde::Serialize;

use crate::stats::Report;

/// Options of the comparison.
#[derive(Args, Clone, Debug)]
pub struct CompareOptions {
    /// The zcluster binary; the one beside this program unless given.
    #[arg(long)]
    pub zcluster: Option<PathBuf>,
    /// Servers to run: `one`, `three`, `dovecot`, `postfix` (in front of Dovecot, for the loads of an MTA only).
    #[arg(long, num_args = 1.., value_delimiter = ',', default_value = "dovecot,one,three")]
    pub servers: Vec<String>,
    /// Loads to run, all unless given: deliver, sieve, login, select, fetch, store, append, idle-latency, idle-memory,
    /// idle-fanout; large (all of a large folder) or some of resync, summaries, sort, thread, search; smtp, smtp-tls, submission, queue.
    #[arg(long, num_args = 1.., value_delimiter = ',')]
    pub loads: Vec<String>,
    /// A tenth of the work, to see whether everything runs.
    #[arg(long)]
    pub quick: bool,
    /// Where data is written; its disk is part of what is measured. A folder below it is made and removed.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    pub data: PathBuf,
    /// The first port of the zcluster demos.
    #[arg(long, default_value_t = 21000)]
    pub base_port: u16,
    /// How many accounts the mail is spread over.
    #[arg(long, default_value_t = 16)]
    pub accounts: usize,
}

/// A server that is running, with all that a load must know.
pub struct Running {
    /// Its name in the table.
    pub name: String,
    /// LMTP listeners, one a node.
    pub lmtp: Vec<std::net::SocketAddr>,
    /// SMTP listeners that take mail from elsewhere, one a node; none where the server is no MTA.
    pub smtp: Vec<std::net::SocketAddr>,
    /// Submission listeners, one a node.
    pub submission: Vec<std::net::SocketAddr>,
    /// IMAP listeners, one a node.
    pub imap: Vec<std::net::SocketAddr>,
    /// ManageSieve listeners, one a node; none where the server has no Sieve.
    pub managesieve: Vec<std::net::SocketAddr>,
    /// Its processes.
    pub pids: Vec<u32>,
    /// Accounts that may log in, all with the password `demo`.
    pub accounts: Vec<String>,
    /// Who looks after its queue; none where there is none, or where several nodes share it.
    pub operator: Option<Box<dyn queue::Operator>>,
    /// Stops the server and removes its data when dropped.
    _guard: Box<dyn std::any::Any>,
}

/// All reports of one server.
#[derive(Serialize)]
pub struct Column {
    /// The server.
    pub server: String,
    /// What it did.
    pub reports: Vec<Report>,
}

/// Runs everything and prints the table.
pub async fn run(options: CompareOptions, json: bool) -> Result<()> {
    let binary = binary(&options)?;
    std::fs::create_dir_all(&options.data)?;
    let mut columns = Vec::new();
    for server in &options.servers {
        let mut running = match server.as_str() {
            "one" => zcluster::start(&options, &binary, 1).await?,
            "three" => zcluster::start(&options, &binary, 3).await?,
            "postfix" => match postfix::start(&options).await? {
                Some(running) => running,
                None => {
                    eprintln!("Postfix or Dovecot is not installed, or this is not root: skipped.");
                    continue;
                }
            },
            "dovecot" => match dovecot::start(&options).await? {
                Some(running) => running,
                None => {
                    eprintln!("Dovecot is not installed: skipped. `deploy/prerequisites bench` installs it.");
                    continue;
                }
            },
            other => bail!("unknown server {other}: one, three, dovecot or postfix"),
        };
        eprintln!("== {}", running.name);
        columns.push(Column { server: running.name.clone(), reports: loads::run(&options, &mut running).await? });
    }
    if json {
        println!("{}", serde_json::to_string_pretty(&columns)?);
    } else {
        table::print(&columns);
    }
    Ok(())
}

fn binary(options: &CompareOptions) -> Result<PathBuf> {
    let path = match &options.zcluster {
        Some(path) => path.clone(),
        None => std::env::current_exe()?.with_file_name("zcluster"),
    };
    let needed = options.servers.iter().any(|server| server == "one" || server == "three");
    if needed && !path.exists() {
        bail!(
            "{} does not exist: build it with `cargo build --release --bin zcluster`, or name it with --zcluster",
            path.display()
        );
    }
    Ok(path)
}

/// Where the sink listens that stands for all other hosts.
fn sink_address(options: &CompareOptions) -> std::net::SocketAddr {
    ([127, 0, 0, 1], options.base_port + 26).into()
}

/// The accounts that every server gets.
fn account_names(count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("user{number}@example.com")).collect()
}
