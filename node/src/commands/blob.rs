//! `zcluster blob`: proving that bodies are where they should be, and what they cost.

mod cost;

use crate::admin::client::Client;
use crate::commands::volume::Only;
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use std::io::{IsTerminal, Write};
use std::time::Duration;
use zcluster_router::{Tally, VerifyAsk, VerifyNews};

/// A whole cluster's bodies may take days to be read.
const VERIFY_MAX: Duration = Duration::from_secs(30 * 86_400);

/// `zcluster blob`.
#[derive(Debug, Args)]
pub struct Blob {
    /// What to do.
    #[command(subcommand)]
    pub command: BlobCommand,
}

/// What to do with bodies.
#[derive(Debug, Subcommand)]
pub enum BlobCommand {
    /// Prove that every body is where its shard says, and that nothing else lies on the volumes (Zimbra's zmblobchk)
    #[command(visible_alias = "zmblobchk")]
    Verify(Verify),
    /// What bodies on volumes cost, in cents per mailbox and year, with packs and without
    Cost(cost::Cost),
}

/// `zcluster blob verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// Read every body and compare it with its name; verify the index of every pack
    #[arg(long)]
    pub deep: bool,
    /// Only this volume; without it: all volumes, and what lies in the shards
    #[arg(long, value_name = "NAME")]
    pub volume: Option<String>,
    /// Put back what another node, a cache or another shard still has; send what no shard knows to the trash
    #[arg(long)]
    pub repair: bool,
    /// Where.
    #[command(flatten)]
    pub only: Only,
}

/// Runs the command; its exit code.
///
/// # Errors
/// What to tell the user.
pub async fn run(args: Blob) -> Result<u8> {
    match args.command {
        BlobCommand::Verify(verify) => run_verify(verify).await,
        BlobCommand::Cost(cost) => cost::run(cost).await.map(|()| 0),
    }
}

/// 1 when problems are left.
async fn run_verify(args: Verify) -> Result<u8> {
    let ask = VerifyAsk { volume: args.volume, deep: args.deep, repair: args.repair };
    let client = Client::new(&args.only.reach)?;
    let (json, shows) = (args.only.json, std::io::stderr().is_terminal());
    let mut last = None;
    let each = |news: VerifyNews| {
        if json {
            println!("{}", serde_json::to_string(&news).unwrap_or_default());
        }
        match news {
            VerifyNews::Progress(tally) if shows && !json => {
                eprint!("\r{} bodies, {} objects, {} problems ", bodies(&tally), tally.objects, tally.problems);
                let _ = std::io::stderr().flush();
            }
            VerifyNews::Problem(problem) if !json => println!("{problem}"),
            VerifyNews::Done(tally) => last = Some(tally),
            VerifyNews::Progress(_) | VerifyNews::Problem(_) => {}
        }
        true
    };
    client.post_lines("/v1/blob/verify", &ask, VERIFY_MAX, each).await?;
    let Some(tally) = last else { bail!("it ended before its end: the node stopped?") };
    if !json {
        if shows {
            eprintln!();
        }
        println!("{}", summary(&tally, args.deep));
    }
    Ok(u8::from(tally.problems > tally.repaired))
}

fn bodies(tally: &Tally) -> u64 {
    tally.shard_bodies + tally.volume_bodies
}

fn summary(tally: &Tally, deep: bool) -> String {
    let Tally { shards, messages, shard_bodies, volume_bodies, objects, object_bytes, trash, .. } = tally;
    let read = if deep { format!(", {} read and compared", tally.verified_bodies) } else { String::new() };
    let problems = match (tally.problems, tally.repaired) {
        (0, _) => "no problems".to_string(),
        (problems, 0) => format!("{problems} problems"),
        (problems, repaired) => format!("{problems} problems, {repaired} of them put right"),
    };
    format!(
        "{shards} shards, {messages} messages; bodies: {shard_bodies} in shards, {volume_bodies} on volumes{read}; \
         {objects} objects of {object_bytes} bytes, {trash} in the trash; {problems}"
    )
}
