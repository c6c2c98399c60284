//! `zcluster-bench`: the load generator, and the side-by-side run with Dovecot and Postfix.
//!
//! It speaks LMTP, SMTP, IMAP and ManageSieve to any server and imports nothing of zcluster, so that every server is measured by
//! the same client. Each load prints its throughput, its latencies (p50, p99, p99.9) and, when it is given the
//! server's process ids, the CPU seconds that the server spent per 1,000 operations.
// This is the outermost edge: real clocks, real tasks, real chance.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::disallowed_macros)]

mod compare;
mod connection;
mod corpus;
mod deliver;
mod directory;
mod filtered;
mod imap;
mod managesieve;
mod message;
mod mta;
mod options;
mod process;
mod search;
mod stats;
mod tls;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::deliver::{DeliverOptions, Dialect};
use crate::filtered::FilteredOptions;
use crate::options::{IdleMemory, ImapOptions, Target};
use crate::stats::Report;

/// Loads a mail server and says what it did and what it cost.
#[derive(Parser)]
#[command(name = "zcluster-bench", version)]
struct Cli {
    /// Print one JSON array of reports instead of a table.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    load: Load,
}

#[derive(Subcommand)]
enum Load {
    /// Deliver messages over LMTP (RFC 2033).
    Lmtp(DeliverOptions),
    /// Deliver messages over SMTP (RFC 5321).
    Smtp(DeliverOptions),
    /// Send messages over SMTP, with TLS if wanted, and wait until all of them are in their mailboxes.
    Inbound(mta::InboundOptions),
    /// Submit messages for another domain and wait until all of them arrived at `smtp-sink`.
    Submission(mta::SubmissionOptions),
    /// Deliver messages over LMTP to accounts that a Sieve script files mail for.
    Filtered(FilteredOptions),
    /// IMAP loads.
    #[command(subcommand)]
    Imap(ImapLoad),
    /// Fill the directory of one node with accounts; load rate, sizes, look-ups, restart, and a second node's catch-up.
    Directory(directory::DirectoryOptions),
    /// Full-text search beside Dovecot with its FTS: how fast mail is indexed, how large the indexes are, what searches take.
    Search(search::SearchOptions),
    /// Run every load against zcluster (one node, three nodes), Dovecot and Postfix on this machine; print the ratios.
    Compare(compare::CompareOptions),
}

#[derive(Subcommand)]
enum ImapLoad {
    /// Connect, log in, log out.
    Login(ImapOptions),
    /// SELECT the folder over and over on connections that are logged in.
    Select(ImapOptions),
    /// List all envelopes of the folder; one operation is one message.
    Fetch(ImapOptions),
    /// Set and clear a flag on one message at a time.
    Store(ImapOptions),
    /// Append messages to the folder.
    Append(ImapOptions),
    /// From the final dot of an LMTP delivery to IDLE's EXISTS on another connection.
    IdleLatency(options::IdleLatency),
    /// Memory of the server per connection that sits in IDLE.
    IdleMemory(IdleMemory),
    /// From a delivery to EXISTS on the last of all `--connections` that sit in IDLE on one mailbox.
    IdleFanout(options::IdleLatency),
    /// Make the folder and fill it by MULTIAPPEND; one operation is one message.
    Fill(ImapOptions),
    /// Come back to the folder with QRESYNC after changes.
    Resync(ImapOptions),
    /// List flags, envelopes and body structures of the folder; one operation is one message.
    Summaries(ImapOptions),
    /// SORT, THREAD or SEARCH the folder.
    Ask {
        /// What to ask.
        question: imap::question::Question,
        #[command(flatten)]
        options: ImapOptions,
    },
}

fn main() -> std::process::ExitCode {
    match real_main() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("zcluster-bench: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn real_main() -> Result<()> {
    let cli = Cli::parse();
    // One thread: the generator must leave the machine to the server.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let json = cli.json;
    runtime.block_on(async move {
        let reports = match cli.load {
            Load::Directory(options) => return directory::measure(&options, json).await,
            Load::Search(options) => return search::measure(&options, json).await,
            Load::Compare(options) => return compare::run(options, json).await,
            Load::Lmtp(options) => vec![deliver::run(&options, Dialect::Lmtp).await?],
            Load::Smtp(options) => vec![deliver::run(&options, Dialect::Smtp).await?],
            Load::Inbound(options) => vec![mta::inbound(&options).await?],
            Load::Submission(options) => vec![mta::submission(&options).await?],
            Load::Filtered(options) => vec![filtered::run(&options).await?],
            Load::Imap(load) => vec![run_imap(load).await?],
        };
        stats::print(&reports, json)
    })
}

async fn run_imap(load: ImapLoad) -> Result<Report> {
    match load {
        ImapLoad::Login(options) => imap::login::run(&options).await,
        ImapLoad::Select(options) => imap::select::run(&options).await,
        ImapLoad::Fetch(options) => imap::fetch::run(&options).await,
        ImapLoad::Store(options) => imap::store::run(&options).await,
        ImapLoad::Append(options) => imap::append::run(&options).await,
        ImapLoad::IdleLatency(options) => imap::idle::latency(&options).await,
        ImapLoad::IdleMemory(options) => imap::idle::memory(&options).await,
        ImapLoad::IdleFanout(options) => imap::fanout::run(&options).await,
        ImapLoad::Fill(options) => imap::fill::run(&options).await,
        ImapLoad::Resync(options) => imap::resync::run(&options).await,
        ImapLoad::Summaries(options) => imap::fetch::summaries(&options).await,
        ImapLoad::Ask { question, options } => imap::question::run(&options, question).await,
    }
}

/// Fails early when a load names no server or no account.
fn check(target: &Target) -> Result<()> {
    anyhow::ensure!(!target.address.is_empty(), "no --address given");
    anyhow::ensure!(!target.accounts.is_empty(), "no --accounts given");
    Ok(())
}
