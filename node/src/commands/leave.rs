//! `zcluster drain` and `zcluster leave`: moving everything off a node.

use crate::admin::client::Client;
use crate::admin::status::StatusReply;
use crate::admin::{NodeRequest, WantedState};
use crate::cli::{Drain, Leave, Reach};
use crate::datadir::DataDir;
use anyhow::{Context, Result, bail};
use std::time::Duration;
use zcluster_runtime::sleep;

/// Pause between two looks at the progress.
const LOOK: Duration = Duration::from_millis(500);

/// Runs `zcluster drain`.
///
/// # Errors
/// What to tell the user.
pub async fn drain(args: Drain) -> Result<()> {
    let client = Client::new(&args.reach)?;
    let node = number(&args.reach, args.node)?;
    if args.undo {
        set(&client, node, WantedState::Active).await?;
        println!("node {node} takes its share again");
        return Ok(());
    }
    empty(&client, node).await?;
    println!("node {node} holds nothing any more; `zcluster drain --node {node} --undo` reverses that");
    Ok(())
}

/// Runs `zcluster leave`.
///
/// # Errors
/// What to tell the user.
pub async fn leave(args: Leave) -> Result<()> {
    let client = Client::new(&args.reach)?;
    let node = number(&args.reach, args.node)?;
    empty(&client, node).await?;
    set(&client, node, WantedState::Removed).await?;
    println!("node {node} has left the cluster; its process ends, and its data directory can be deleted");
    Ok(())
}

fn number(reach: &Reach, named: Option<u32>) -> Result<u32> {
    match (named, &reach.data) {
        (Some(number), _) => Ok(number),
        (None, Some(data)) => Ok(DataDir::at(data).read_node()?.number),
        (None, None) => bail!("say which node with --node N"),
    }
}

async fn set(client: &Client, node: u32, state: WantedState) -> Result<StatusReply> {
    client.post("/v1/node", &NodeRequest { node, state }).await
}

/// Drains the node and waits until it holds nothing. Stopped half-way, the draining goes on.
async fn empty(client: &Client, node: u32) -> Result<()> {
    let mut status = set(client, node, WantedState::Draining).await?;
    let mut told = None;
    loop {
        let view = status.nodes.iter().find(|n| n.id == node && n.state != "removed").context("the node is gone")?;
        let left = view.holds.len();
        if left == 0 {
            return Ok(());
        }
        if told != Some(left) {
            eprintln!("node {node} still holds {left} replicas");
            told = Some(left);
        }
        sleep(LOOK).await;
        status = client.get("/v1/status").await?;
    }
}
