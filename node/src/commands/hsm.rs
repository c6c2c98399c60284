//! `zcluster hsm`: the volume policies' runs (Zimbra's zmhsm).

use crate::admin::blob::{HsmNode, HsmRequest};
use crate::admin::client::Client;
use crate::commands::volume::Only;
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use comfy_table::Table;
use std::time::Duration;
use zcluster_router::HsmAsk;

/// How often it is asked whether a run has ended.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// `zcluster hsm`.
#[derive(Debug, Args)]
pub struct Hsm {
    /// What to do.
    #[command(subcommand)]
    pub command: HsmCommand,
}

/// What to do with the policies.
#[derive(Debug, Subcommand)]
pub enum HsmCommand {
    /// How far each node is, and what it has moved
    Status(Only),
    /// Apply the policies now (`zcluster volume policy`)
    Run(Begin),
    /// Count what would be moved, and move nothing
    DryRun(Begin),
    /// Stop what runs; what was moved stays moved
    Stop(Only),
}

/// `zcluster hsm run`.
#[derive(Debug, Args)]
pub struct Begin {
    /// Wait for its end
    #[arg(long)]
    pub wait: bool,
    /// Where.
    #[command(flatten)]
    pub only: Only,
}

/// Runs the command.
///
/// # Errors
/// What to tell the user.
pub async fn run(args: Hsm) -> Result<()> {
    let (only, ask, wait) = match args.command {
        HsmCommand::Status(only) => (only, HsmAsk::Status, false),
        HsmCommand::Stop(only) => (only, HsmAsk::Stop, false),
        HsmCommand::Run(begin) => (begin.only, HsmAsk::Run { dry: false }, begin.wait),
        HsmCommand::DryRun(begin) => (begin.only, HsmAsk::Run { dry: true }, begin.wait),
    };
    let client = Client::new(&only.reach)?;
    let mut nodes: Vec<HsmNode> = client.post("/v1/hsm", &HsmRequest { ask }).await?;
    while wait && nodes.iter().any(|n| n.status.as_ref().is_some_and(|s| s.running)) {
        zcluster_runtime::sleep(LOOK_EVERY).await;
        nodes = client.post("/v1/hsm", &HsmRequest { ask: HsmAsk::Status }).await?;
    }
    if only.json {
        println!("{}", serde_json::to_string_pretty(&nodes)?);
    } else {
        print(&nodes);
    }
    let silent: Vec<_> = nodes.iter().filter(|n| n.error.is_some()).map(|n| n.node.to_string()).collect();
    if !silent.is_empty() {
        bail!("no answer from node {}", silent.join(", "));
    }
    Ok(())
}

fn print(nodes: &[HsmNode]) {
    let mut table = Table::new();
    table.load_style(comfy_table::TableStyle::new());
    table.set_header([
        "node",
        "state",
        "shards",
        "mailboxes",
        "messages",
        "volume",
        "to move",
        "bytes",
        "moved",
        "bytes",
    ]);
    for node in nodes {
        let Some(s) = &node.status else {
            println!("node {}: {}", node.node, node.error.as_deref().unwrap_or("no answer"));
            continue;
        };
        let state = match (s.running, s.dry, s.stopped, s.started_ms) {
            (true, true, ..) => "counts",
            (true, false, ..) => "moves",
            (false, _, _, 0) => "never ran",
            (false, _, true, _) => "stopped",
            (false, true, ..) => "counted",
            (false, false, ..) => "done",
        };
        let mut head = [
            node.node.to_string(),
            state.to_string(),
            format!("{} of {}", s.shards_done, s.shards),
            format!("{} of {}", s.mailboxes_done, s.mailboxes),
            s.messages.to_string(),
        ]
        .to_vec();
        if s.volumes.is_empty() {
            table.add_row(head.clone());
        }
        for v in &s.volumes {
            let counts = [v.bodies, v.bytes, v.moved_bodies, v.moved_bytes].map(|n| n.to_string());
            table.add_row(head.iter().cloned().chain([v.volume.clone()]).chain(counts).collect::<Vec<_>>());
            head.iter_mut().for_each(String::clear);
        }
    }
    println!("{table}");
    for node in nodes {
        if let Some(error) = node.status.as_ref().and_then(|s| s.error.as_ref()) {
            println!("node {}: {error}", node.node);
        }
    }
}
