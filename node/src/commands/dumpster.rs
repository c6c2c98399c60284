//! `zcluster mailbox dumpster`: deleted messages that can be brought back.

use crate::admin::client::Client;
use crate::admin::dumpster::{
    DeletedItem, ListReply, ListRequest, PurgeReply, PurgeRequest, RecoverReply, RecoverRequest,
};
use crate::cli::Reach;
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use comfy_table::Table;
use zcluster_api::directory::duration;
use zcluster_runtime::wall_ms;

/// Messages brought back or removed with one call.
const PER_CALL: usize = 500;

/// What to do with deleted messages.
#[derive(Debug, Subcommand)]
pub enum DumpsterCommand {
    /// List deleted messages, those deleted first in front
    List(List),
    /// Bring deleted messages back
    Recover(Recover),
    /// Remove deleted messages for good, now
    Purge(Purge),
}

/// When messages were deleted.
#[derive(Debug, Args)]
pub struct Span {
    /// Those deleted within this time: 7d, 12h
    #[arg(long, value_name = "AGE")]
    pub since: Option<String>,
    /// Those deleted longer ago
    #[arg(long, value_name = "AGE")]
    pub before: Option<String>,
}

/// `zcluster mailbox dumpster list`.
#[derive(Debug, Args)]
pub struct List {
    /// The account: address, alias or id
    pub account: String,
    /// Of which time.
    #[command(flatten)]
    pub span: Span,
    /// Messages at most
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub limit: usize,
    /// How to reach the cluster.
    #[command(flatten)]
    pub reach: Reach,
    /// Write a JSON object
    #[arg(long)]
    pub json: bool,
}

/// `zcluster mailbox dumpster recover`.
#[derive(Debug, Args)]
pub struct Recover {
    /// The account: address, alias or id
    pub account: String,
    /// Item numbers, as `list` shows them
    #[arg(value_name = "ITEM", required_unless_present = "all")]
    pub items: Vec<u32>,
    /// All that `list` would show
    #[arg(long, conflicts_with = "items")]
    pub all: bool,
    /// Of which time, with --all.
    #[command(flatten)]
    pub span: Span,
    /// Into this folder; else each goes where it was
    #[arg(long, value_name = "PATH")]
    pub folder: Option<String>,
    /// How to reach the cluster.
    #[command(flatten)]
    pub reach: Reach,
    /// Write a JSON object
    #[arg(long)]
    pub json: bool,
}

/// `zcluster mailbox dumpster purge`.
#[derive(Debug, Args)]
pub struct Purge {
    /// The account: address, alias or id
    pub account: String,
    /// Item numbers, as `list` shows them
    #[arg(value_name = "ITEM", required_unless_present_any = ["all", "before"])]
    pub items: Vec<u32>,
    /// Everything
    #[arg(long)]
    pub all: bool,
    /// What was deleted longer ago than this: 30d, 12h
    #[arg(long, value_name = "AGE", conflicts_with = "all")]
    pub before: Option<String>,
    /// How to reach the cluster.
    #[command(flatten)]
    pub reach: Reach,
    /// Write a JSON object
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
///
/// # Errors
/// What to tell the user.
pub async fn run(command: DumpsterCommand) -> Result<()> {
    match command {
        DumpsterCommand::List(args) => list(args).await,
        DumpsterCommand::Recover(args) => recover(args).await,
        DumpsterCommand::Purge(args) => purge(args).await,
    }
}

/// So long ago, Unix milliseconds.
fn ago(span: &str) -> Result<u64> {
    let span = duration(span).with_context(|| format!("{span:?} is no span of time: write 30d, 12h, 45m"))?;
    Ok(wall_ms().saturating_sub(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
}

/// Calls `visit` with each page of what was deleted within the span, until it says that it has enough.
async fn pages(
    client: &Client,
    account: &str,
    span: &Span,
    mut visit: impl AsyncFnMut(ListReply) -> Result<bool>,
) -> Result<()> {
    let mut request = ListRequest { account: account.to_string(), ..ListRequest::default() };
    request.since_ms = span.since.as_deref().map(ago).transpose()?;
    request.until_ms = span.before.as_deref().map(ago).transpose()?;
    loop {
        let page: ListReply = client.post("/v1/mailbox/dumpster/list", &request).await?;
        request.after = page.next;
        if !visit(page).await? || request.after.is_none() {
            return Ok(());
        }
    }
}

async fn list(args: List) -> Result<()> {
    let client = Client::new(&args.reach)?;
    let (mut whole, mut more): (Option<ListReply>, bool) = (None, false);
    pages(&client, &args.account, &args.span, async |page| {
        let all = match &mut whole {
            Some(all) => {
                all.next = page.next;
                all.items.extend(page.items);
                all
            }
            none => none.insert(page),
        };
        more = all.items.len() > args.limit || all.items.len() == args.limit && all.next.is_some();
        all.items.truncate(args.limit);
        Ok(all.items.len() < args.limit)
    })
    .await?;
    let Some(mut all) = whole else { bail!("the node sent no page") };
    if args.json {
        all.next = None;
        println!("{}", serde_json::to_string(&all)?);
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(comfy_table::TableStyle::new());
    table.set_header(["item", "deleted", "folder", "size", "from", "subject"]);
    let now = wall_ms();
    for DeletedItem { id, deleted_ms, folder, size, from, subject, .. } in &all.items {
        let age = format!("{} ago", span(now.saturating_sub(*deleted_ms)));
        table.add_row([id.to_string(), age, folder.clone(), size.to_string(), from.clone(), subject.clone()]);
    }
    println!("{table}");
    let shown = all.items.len();
    println!("{shown}{} of {} deleted messages, {} bytes", if more { " shown" } else { "" }, all.messages, all.bytes);
    if !all.holds.is_empty() {
        println!("under legal hold: {}", all.holds.join(", "));
    }
    Ok(())
}

/// A time span as people say it.
fn span(ms: u64) -> String {
    match ms / 1000 {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

async fn recover(args: Recover) -> Result<()> {
    let client = Client::new(&args.reach)?;
    let mut items = args.items.clone();
    if args.all {
        pages(&client, &args.account, &args.span, async |page| {
            items.extend(page.items.iter().map(|item| item.id));
            Ok(true)
        })
        .await?;
    }
    let mut recovered = Vec::new();
    for part in items.chunks(PER_CALL) {
        let (account, folder) = (args.account.clone(), args.folder.clone());
        let request = RecoverRequest { account, items: part.to_vec(), folder };
        let reply: RecoverReply = client.post("/v1/mailbox/dumpster/recover", &request).await?;
        recovered.extend(reply.recovered);
    }
    if args.json {
        println!("{}", serde_json::to_string(&RecoverReply { recovered })?);
    } else {
        println!("{} of {} messages are back", recovered.len(), items.len());
    }
    Ok(())
}

async fn purge(args: Purge) -> Result<()> {
    let client = Client::new(&args.reach)?;
    let before_ms = match (&args.before, args.all) {
        (Some(span), _) => Some(ago(span)?),
        (None, true) => Some(wall_ms().saturating_add(1)),
        (None, false) => None,
    };
    let mut sum = PurgeReply::default();
    let mut parts: Vec<Vec<u32>> = args.items.chunks(PER_CALL).map(<[u32]>::to_vec).collect();
    parts.push(Vec::new());
    for items in parts {
        loop {
            let before_ms = before_ms.filter(|_| items.is_empty());
            if items.is_empty() && before_ms.is_none() {
                break;
            }
            let request = PurgeRequest { account: args.account.clone(), items: items.clone(), before_ms };
            let reply: PurgeReply = client.post("/v1/mailbox/dumpster/purge", &request).await?;
            (sum.messages, sum.bytes) = (sum.messages + reply.messages, sum.bytes + reply.bytes);
            if !reply.more {
                break;
            }
        }
    }
    if args.json {
        println!("{}", serde_json::to_string(&sum)?);
    } else {
        println!("{} messages, {} bytes removed for good", sum.messages, sum.bytes);
    }
    Ok(())
}
