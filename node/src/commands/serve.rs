//! `zcluster serve`: runs this node.

use crate::assembly::{self, Options};
use crate::cli::Serve;
use crate::config::Config;
use crate::datadir::DataDir;
use crate::telemetry;
use anyhow::Result;

/// Runs the command, until the node is asked to stop.
///
/// # Errors
/// What to tell the user.
pub async fn run(args: Serve) -> Result<u8> {
    let dir = DataDir::at(&args.data);
    let mut node = dir.read_node()?;
    let lock = dir.lock()?;
    let newer = args.place.overrides();
    if newer != Default::default() {
        node.overrides = node.overrides.clone().with(newer);
    }
    let config = Config::load(&node.overrides)?;
    telemetry::start_logging(&config.log)?;
    let options = Options { fault_injection: args.enable_fault_injection, with_parent: args.with_parent };
    let result = assembly::run(dir, node, config, options).await;
    drop(lock);
    match result {
        Ok(()) => Ok(0),
        Err(e) => {
            tracing::error!(error = format!("{e:#}"), "node stopped");
            Ok(1)
        }
    }
}
