//! `zcluster demo`: a real cluster on loopback, as child processes.

mod children;
mod cluster;
mod failover;
mod imap;
mod mail;
mod show;
mod smtp;

use crate::cli::Demo;
use anyhow::{Context, Result, bail};
use cluster::Cluster;
use std::path::{Path, PathBuf};
use tokio::signal::unix::{SignalKind, signal};
use zcluster_runtime::{Either, select};

/// The accounts' domain.
const DOMAIN: &str = "example.com";
/// Local parts of the accounts; the first one administers.
const ACCOUNTS: [&str; 3] = ["admin", "alice", "bob"];
/// Everybody's password.
const PASSWORD: &str = "demo";

/// Where the nodes' data is.
struct Home {
    path: PathBuf,
    /// Removed at the end.
    temporary: bool,
}

impl Home {
    fn new(kept: Option<&Path>) -> Result<Home> {
        let (path, temporary) = match kept {
            Some(path) => (std::path::absolute(path)?, false),
            None => {
                let name = format!("zcluster-demo-{:016x}", zcluster_runtime::random_u64());
                (std::env::temp_dir().join(name), true)
            }
        };
        std::fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Home { path, temporary })
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if self.temporary
            && let Err(e) = std::fs::remove_dir_all(&self.path)
        {
            eprintln!("zcluster: cannot remove {}: {e}", self.path.display());
        }
    }
}

/// Runs the command.
///
/// # Errors
/// What to tell the user.
pub async fn run(args: Demo) -> Result<u8> {
    if args.failover && args.nodes < 3 {
        bail!("--failover kills a node: it needs --nodes 3 or more, so that the others have a majority");
    }
    let home = Home::new(args.data.as_deref())?;
    let mut cluster = Cluster::new(&args, &home.path)?;
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let outcome = {
        let stop = select(interrupt.recv(), terminate.recv());
        match select(stop, demonstrate(&args, &mut cluster)).await {
            Either::Left(_) => Ok(0),
            Either::Right(outcome) => outcome,
        }
    };
    if !args.json {
        eprintln!("stopping {} nodes", cluster.running());
    }
    cluster.stop().await;
    outcome
}

async fn demonstrate(args: &Demo, cluster: &mut Cluster) -> Result<u8> {
    let begun = zcluster_runtime::Instant::now();
    if !args.json {
        println!("starting {} nodes on 127.0.0.1, data in {} ...", args.nodes, cluster.home().display());
    }
    cluster.start().await?;
    if args.failover {
        return failover::run(args, cluster).await;
    }
    mail::deliver_samples(cluster).await?;
    let status = cluster.status().await?;
    if args.json {
        println!("{}", serde_json::to_string(&show::describe(cluster, &status))?);
    } else {
        println!("ready after {:.1} s\n\n{}", begun.elapsed().as_secs_f64(), show::table(cluster, &status));
    }
    // People kill nodes to see what happens; the others go on.
    while cluster.running() > 0 {
        let ended = cluster.any_ended().await;
        eprintln!(
            "node {} ended ({}), its log is {}; start it again with:\n{} serve --data {}",
            ended.number,
            ended.status,
            ended.log.display(),
            std::env::current_exe()?.display(),
            ended.data.display()
        );
    }
    bail!("no node runs any more")
}
