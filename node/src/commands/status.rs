//! `zcluster status`: nodes, shards, leaders and what a stop of each node would cost.

use crate::admin::client::Client;
use crate::admin::status::StatusReply;
use crate::cli::Status;
use anyhow::Result;
use comfy_table::Table;
use std::time::Duration;

/// Time between two looks with `--watch`.
const WATCH_EVERY: Duration = Duration::from_secs(1);
/// Shards named one by one in a cell; more are counted.
const NAMED_MAX: usize = 6;

/// Runs the command.
///
/// # Errors
/// What to tell the user.
pub async fn run(args: Status) -> Result<()> {
    let client = Client::new(&args.reach)?;
    loop {
        let status = client.get::<StatusReply>("/v1/status").await;
        if !args.watch {
            print(&status?, args.json)?;
            return Ok(());
        }
        if !args.json {
            // Clears the screen.
            print!("\x1b[2J\x1b[H");
        }
        match status {
            Ok(status) => print(&status, args.json)?,
            Err(e) => eprintln!("{e:#}"),
        }
        zcluster_runtime::sleep(WATCH_EVERY).await;
    }
}

fn print(status: &StatusReply, json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string(status)?);
    } else {
        println!("{}", render(status));
    }
    Ok(())
}

/// The table and what to say about it.
pub fn render(status: &StatusReply) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::TableStyle::new());
    table.set_header(["node", "state", "address", "zone", "version", "leads", "holds", "lag", "if it stopped now"]);
    for node in &status.nodes {
        let state = if node.up { node.state.clone() } else { format!("{}, down", node.state) };
        let cost = if node.up { cost(&node.stop_costs) } else { "it is down".into() };
        table.add_row([
            node.id.to_string(),
            state,
            node.rpc.clone(),
            node.zone.clone(),
            node.version.clone(),
            node.leads.len().to_string(),
            node.holds.len().to_string(),
            node.lag.to_string(),
            cost,
        ]);
    }
    let shards = status.shards.len();
    let led = status.shards.iter().filter(|s| s.leader.is_some()).count();
    let mailboxes: u64 = status.shards.iter().map(|s| s.mailboxes).sum();
    let mut out = format!("cluster {}, seen by node {}\n{table}\n", status.cluster, status.seen_by);
    out += &format!("shards: {led} of {shards} led; mailboxes: {mailboxes}; ");
    let leader = status.directory.leader.map_or("nobody".into(), |n| format!("node {n}"));
    out += &format!("directory led by {leader}\n");
    let troubled: Vec<u32> = status.shards.iter().filter(|s| !s.is_well()).map(|s| s.shard).collect();
    if !troubled.is_empty() {
        out += &format!("without leader or quorum: {}\n", names(&troubled));
    }
    out + &space(status)
}

/// Where bodies lie, and what space comes back; nothing where all are in their shards.
fn space(status: &StatusReply) -> String {
    let sum = |name: &str| status.nodes.iter().filter_map(|n| n.packing.get(name)).sum::<u64>();
    if status.nodes.iter().all(|n| n.packing.is_empty()) {
        return String::new();
    }
    format!(
        "bodies on volumes: {} in {} objects of {}; waiting to be packed: {} of {}\n\
         space to come back: {} in {} objects of the trash, {} in objects that are still needed; given back since start: {} in {} objects\n",
        sum("packed_bodies"),
        sum("volume_objects"),
        bytes(sum("volume_bytes")),
        sum("pack_backlog_bodies"),
        bytes(sum("pack_backlog_bytes")),
        bytes(sum("volume_trash_bytes")),
        sum("volume_trash_objects"),
        bytes(sum("volume_dead_bytes")),
        bytes(sum("volume_freed_bytes")),
        sum("volume_freed_objects"),
    )
}

/// For people.
fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let (mut value, mut unit) = (n as f64, 0);
    while value >= 1_000.0 && unit + 1 < UNITS.len() {
        value /= 1_000.0;
        unit += 1;
    }
    if unit == 0 { format!("{n} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

fn cost(groups: &[u32]) -> String {
    if groups.is_empty() {
        return "every group goes on".into();
    }
    format!("no writes in {}", names(groups))
}

fn names(groups: &[u32]) -> String {
    let name = |g: &u32| if *g == 0 { "the directory".to_string() } else { format!("shard {g}") };
    let mut shown: Vec<String> = groups.iter().take(NAMED_MAX).map(name).collect();
    if groups.len() > NAMED_MAX {
        shown.push(format!("{} more", groups.len() - NAMED_MAX));
    }
    shown.join(", ")
}
