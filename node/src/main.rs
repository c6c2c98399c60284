//! `zcluster`: the one binary. Assembles the floors below into a node, and talks to running nodes.

mod acme;
mod admin;
mod assembly;
mod certificates;
mod cli;
mod commands;
mod config;
mod datadir;
mod demo;
mod dns;
mod external;
mod failures;
mod finder;
mod join;
mod lessons;
mod oauth;
mod pki;
mod ports;
mod relay;
mod telemetry;
mod texts;
mod token;
mod volumes;

use clap::Parser;
use std::ffi::OsString;
use std::io::Write;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ! {
    // Before anything else exists in this process.
    texts::work_if_asked();
    let cli = cli::Cli::parse_from(arguments());
    if cli.command.is_short() {
        // `zcluster status | head` ends quietly when head has seen enough.
        // SAFETY: sets a disposition before any thread exists.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    }
    let short = cli.command.is_short();
    let code = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let code = run(&runtime, cli.command);
            if short {
                // A thread may still wait for a line from stdin: nobody waits for it.
                runtime.shutdown_background();
            }
            code
        }
        Err(e) => {
            eprintln!("zcluster: cannot start threads: {e}");
            1
        }
    };
    let _ = std::io::stdout().flush();
    // Everything that must be on disk is there. Background threads still hold databases, whose C++ parts must not be
    // torn down under them: the process ends without running destructors.
    // SAFETY: takes no pointers and does not return.
    unsafe { libc::_exit(code) }
}

fn run(runtime: &tokio::runtime::Runtime, command: cli::Command) -> i32 {
    match runtime.block_on(commands::run(command)) {
        Ok(code) => code.into(),
        Err(e) => {
            eprintln!("zcluster: {e:#}");
            1
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
