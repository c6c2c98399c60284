//! `zcluster fault`: cuts a node off from others, for tests.

use crate::admin::FaultRequest;
use crate::admin::client::Client;
use crate::cli::Fault;
use anyhow::{Context, Result};
use std::collections::BTreeSet;

/// Runs the command.
///
/// # Errors
/// What to tell the user.
pub async fn run(args: Fault) -> Result<()> {
    let parts = args.block.split(',').map(str::trim).filter(|p| !p.is_empty());
    let block = parts
        .map(|p| p.parse::<u32>().with_context(|| format!("--block {p:?}: give node numbers with commas")))
        .collect::<Result<BTreeSet<u32>>>()?;
    let _: FaultRequest = Client::new(&args.reach)?.post("/v1/fault", &FaultRequest { block }).await?;
    Ok(())
}
