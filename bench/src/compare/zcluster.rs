//! zcluster as a peer of the comparison: `zcluster demo --json`, with accounts added by `zcluster prov`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::future::BoxFuture;
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::queue::Operator;
use super::{CompareOptions, Running, account_names};

/// How long the cluster may take to be ready.
const STARTUP: Duration = Duration::from_secs(90);

/// What `demo --json` prints, as far as it matters here.
#[derive(Deserialize)]
struct Demo {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    pid: u32,
    ports: Ports,
    #[serde(default)]
    data: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Ports {
    lmtp: u16,
    smtp: u16,
    submission: u16,
    imap: u16,
    managesieve: u16,
}

struct Guard {
    demo: Child,
    data: PathBuf,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(pid) = self.demo.id().and_then(|pid| libc::pid_t::try_from(pid).ok()) {
            // SAFETY: kill takes no pointers; the child has not been waited for, so the id is still its own.
            unsafe { libc::kill(pid, libc::SIGINT) };
            for _ in 0..100 {
                if matches!(self.demo.try_wait(), Ok(Some(_))) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        let _ = self.demo.start_kill();
        if let Err(error) = std::fs::remove_dir_all(&self.data) {
            eprintln!("cannot remove {}: {error}", self.data.display());
        }
    }
}

/// Looks after a cluster of one node: the demo, and after the first restart the node on its own.
struct OneNode {
    binary: PathBuf,
    data: PathBuf,
    pid: u32,
    restarted: Option<Child>,
}

impl Operator for OneNode {
    fn look(&self) -> Vec<String> {
        let (binary, data) = (self.binary.display().to_string(), self.data.display().to_string());
        [binary.as_str(), "queue", "summary", "--data", &data].map(str::to_owned).into()
    }

    fn stop(&mut self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            // SAFETY: kill takes no pointers.
            unsafe { libc::kill(libc::pid_t::try_from(self.pid)?, libc::SIGTERM) };
            for _ in 0..600 {
                // The demo waits for its nodes, so an ended one leaves no trace.
                if !Path::new(&format!("/proc/{}", self.pid)).exists() {
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            bail!("the node did not end")
        })
    }

    fn start(&mut self) -> BoxFuture<'_, Result<Vec<u32>>> {
        Box::pin(async {
            let mut node = Command::new(&self.binary);
            node.args(["serve", "--data"]).arg(&self.data).stdin(Stdio::null()).stdout(Stdio::null());
            let node = node.stderr(Stdio::null()).kill_on_drop(true).spawn()?;
            self.pid = node.id().context("the node ended at once")?;
            self.restarted = Some(node);
            Ok(vec![self.pid])
        })
    }
}

/// Starts a demo cluster of so many nodes and creates the accounts.
pub async fn start(options: &CompareOptions, binary: &Path, nodes: usize) -> Result<Running> {
    let data = options.data.join(format!("zcluster-bench-{}-{nodes}", std::process::id()));
    let mut demo = Command::new(binary)
        .args([
            "demo",
            "--json",
            "--nodes",
            &nodes.to_string(),
            "--base-port",
            &options.base_port.to_string(),
            "--data",
        ])
        .arg(&data)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start {}", binary.display()))?;
    let stdout = demo.stdout.take().context("the demo has no output")?;
    let guard = Guard { demo, data: data.clone() };
    let described: Demo = tokio::time::timeout(STARTUP, read_description(stdout))
        .await
        .with_context(|| format!("the demo was not ready within {STARTUP:?}"))??;
    let accounts = account_names(options.accounts);
    let first = described.nodes.first().context("the demo has no nodes")?;
    let node_data = first.data.clone().unwrap_or_else(|| data.join("node1"));
    for account in &accounts {
        prov(binary, &node_data, &["createAccount", account, "demo"]).await?;
    }
    let sink = super::sink_address(options);
    let relay = format!("[{}]:{}", sink.ip(), sink.port());
    prov(binary, &node_data, &["modifyConfig", "zimbraMtaRelayHost", &relay]).await?;
    let one = OneNode { binary: binary.to_owned(), data: node_data, pid: first.pid, restarted: None };
    let address = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    Ok(Running {
        name: format!("zcluster, {nodes} node{}", if nodes == 1 { "" } else { "s" }),
        lmtp: described.nodes.iter().map(|node| address(node.ports.lmtp)).collect(),
        smtp: described.nodes.iter().map(|node| address(node.ports.smtp)).collect(),
        submission: described.nodes.iter().map(|node| address(node.ports.submission)).collect(),
        imap: described.nodes.iter().map(|node| address(node.ports.imap)).collect(),
        managesieve: described.nodes.iter().map(|node| address(node.ports.managesieve)).collect(),
        pids: described.nodes.iter().map(|node| node.pid).collect(),
        accounts,
        operator: (nodes == 1).then(|| -> Box<dyn Operator> { Box::new(one) }),
        _guard: Box::new(guard),
    })
}

/// The demo prints one JSON object, on one line or several, and keeps running.
async fn read_description(stdout: tokio::process::ChildStdout) -> Result<Demo> {
    let mut lines = BufReader::new(stdout).lines();
    let mut text = String::new();
    while let Some(line) = lines.next_line().await? {
        text.push_str(&line);
        text.push('\n');
        match serde_json::from_str(&text) {
            Ok(demo) => {
                // What it prints later must not block it.
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                return Ok(demo);
            }
            Err(error) if error.is_eof() => {}
            Err(error) => return Err(error).context("the demo printed something else than its JSON"),
        }
    }
    bail!("the demo ended before it was ready")
}

async fn prov(binary: &Path, data: &Path, command: &[&str]) -> Result<()> {
    let output = Command::new(binary).args(["prov", "--data"]).arg(data).args(command).output().await?;
    if !output.status.success() {
        bail!("prov {}: {}", command.join(" "), String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
