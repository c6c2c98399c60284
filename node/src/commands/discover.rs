//! `zcluster discover`: one search over many mailboxes, with an export of what is found.

mod export;

use crate::admin::client::Client;
use crate::admin::search::{DiscoverLine, DiscoverRequest};
use crate::cli::Reach;
use crate::commands::search::{clean, date};
use crate::finder::Ask;
use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use export::Export;
use std::path::PathBuf;
use std::time::Duration;

/// A discovery may take so long.
const DISCOVER_MAX: Duration = Duration::from_secs(3_600);

/// `zcluster discover`.
#[derive(Debug, Args)]
pub struct Discover {
    /// What to look for, in Zimbra's query language. Trash and Junk are looked through, too
    pub query: String,
    /// All accounts of this domain
    #[arg(long, conflicts_with = "account", required_unless_present_any = ["account", "all_domains"])]
    pub domain: Option<String>,
    /// This account; may be given several times
    #[arg(long)]
    pub account: Vec<String>,
    /// All accounts of all domains
    #[arg(long, conflicts_with_all = ["account", "domain"])]
    pub all_domains: bool,
    /// Hits shown of each mailbox, at most
    #[arg(short, long, default_value_t = 10)]
    pub limit: u32,
    /// Show all hits
    #[arg(long)]
    pub all: bool,
    /// Write all messages found there: a folder (eml, mbox) or a file (zip), which must not be there yet
    #[arg(long, value_name = "PATH")]
    pub export: Option<PathBuf>,
    /// How
    #[arg(long, value_enum, default_value = "zip")]
    pub format: Format,
    /// Time zone of dates in the query (IANA name); else UTC
    #[arg(long)]
    pub tz: Option<String>,
    /// Language of dates in the query
    #[arg(long)]
    pub locale: Option<String>,
    /// Write what comes, as lines of JSON
    #[arg(long)]
    pub json: bool,
    /// How to reach the cluster.
    #[command(flatten)]
    pub reach: Reach,
}

/// How messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One file a message, in a folder for each account
    Eml,
    /// One mbox (RFC 4155) for each account
    Mbox,
    /// One file a message, all in a zip archive
    Zip,
}

/// Runs the command; its exit code: 1 when nothing was found.
///
/// # Errors
/// What to tell the user.
pub async fn run(args: Discover) -> Result<u8> {
    let mut export = match &args.export {
        Some(path) => Some(Export::begin(path, args.format, &args.query)?),
        None => None,
    };
    let ask = Ask {
        query: args.query.clone(),
        limit: args.limit.clamp(1, 1_000),
        tz: args.tz.clone(),
        locale: args.locale.clone(),
        ..Ask::default()
    };
    let request = DiscoverRequest {
        ask,
        domain: args.domain.clone(),
        accounts: args.account.clone(),
        all: args.all || export.is_some(),
        bodies: export.is_some(),
    };
    let mut lines = Client::new(&args.reach)?.lines("/v1/discover", &request, DISCOVER_MAX).await?;
    let mut last = String::new();
    while let Some(line) = lines.next::<DiscoverLine>().await? {
        if args.json && export.is_none() {
            println!("{}", serde_json::to_string(&line)?);
        }
        match line {
            DiscoverLine::Found { account, id, shard, position, total, mut hits } => {
                if !args.json && account != last {
                    println!("{account}: {total}");
                }
                for hit in &mut hits {
                    let message = hit.message.take();
                    if !args.json && export.is_none() {
                        let (from, subject) = (clean(&hit.shown.from), clean(&hit.shown.subject));
                        println!(
                            "  {:>8}  {}  {}  {from}  {subject}",
                            hit.shown.id,
                            date(hit.shown.date),
                            hit.shown.folder
                        );
                    }
                    if let Some(export) = &mut export {
                        export.add((&account, &id), (shard, position), &hit.shown, message)?;
                    }
                }
                last = account;
            }
            DiscoverLine::Done { mailboxes, found, messages, explained, took_ms } => {
                let written = match export.take() {
                    Some(export) => Some(export.finish(&explained, mailboxes)?),
                    None => None,
                };
                if !args.json {
                    println!("{messages} messages in {found} of {mailboxes} mailboxes, {took_ms} ms");
                    if let Some(written) = written {
                        println!("{written}");
                    }
                }
                return Ok(u8::from(messages == 0));
            }
            DiscoverLine::Failed { error } => bail!("{error}: what came so far is not all"),
        }
    }
    bail!("the node broke off: what came so far is not all")
}
