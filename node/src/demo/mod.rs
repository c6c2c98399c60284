//! `zcluster demo`.

use crate::cli::Demo;
use anyhow::{Result, bail};
use std::process::ExitCode;

/// Runs the command.
///
/// # Errors
/// What to tell the user.
pub async fn run(_args: Demo) -> Result<ExitCode> {
    bail!("in work")
}
