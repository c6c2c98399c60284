//! `zcluster`: the one binary. Assembles the floors below into a node, and talks to running nodes.

mod admin;
mod assembly;
mod cli;
mod commands;
mod config;
mod datadir;
mod demo;
mod join;
mod pki;
mod ports;
mod prov;
mod telemetry;
mod token;

use clap::Parser;
use std::ffi::OsString;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = cli::Cli::parse_from(arguments());
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("zcluster: cannot start threads: {e}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(commands::run(cli.command));
    // Whatever still runs in the background ends with the process.
    runtime.shutdown_background();
    match outcome {
        Ok(code) => code,
        Err(e) => {
            eprintln!("zcluster: {e:#}");
            ExitCode::FAILURE
        }
    }
}

/// The arguments; called as `zmprov`, the program is `zcluster prov`.
fn arguments() -> Vec<OsString> {
    let mut args: Vec<OsString> = std::env::args_os().collect();
    let name = args.first().and_then(|a| std::path::Path::new(a).file_name());
    if name.is_some_and(|n| n == "zmprov") {
        args.insert(1, "prov".into());
    }
    args
}
