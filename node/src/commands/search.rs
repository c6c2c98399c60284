//! `zcluster mailbox search`, `reindex`, `texts`.

use crate::admin::client::Client;
use crate::admin::search::{SearchRequest, TextsReply, TextsRequest};
use crate::cli::Reach;
use crate::finder::{Ask, AskCursor, Page, Shown, SortValue};
use anyhow::{Context, Result, bail};
use chrono::{DateTime, Local};
use clap::Args;
use comfy_table::Table;
use std::time::Duration;

/// A search may take so long.
const SEARCH_MAX: Duration = Duration::from_secs(40);
/// Bytes of a name and a subject in a line.
const FROM_CHARS: usize = 20;
const SUBJECT_CHARS: usize = 50;

/// `zcluster mailbox search`.
#[derive(Debug, Args)]
pub struct SearchMailbox {
    /// The account: address, alias or id
    pub account: String,
    /// What to look for, in Zimbra's query language: in:inbox from:ana has:attachment after:-2week
    pub query: String,
    /// Conversations, or messages
    #[arg(short = 't', long, value_parser = ["message", "conversation"], default_value = "message")]
    pub types: String,
    /// Hits at most (1 to 1000)
    #[arg(short, long, default_value_t = 25)]
    pub limit: u32,
    /// Hits left out first
    #[arg(long, default_value_t = 0)]
    pub offset: u32,
    /// dateDesc, dateAsc, subjAsc, subjDesc, nameAsc, nameDesc, rcptAsc, sizeDesc, ...
    #[arg(short, long)]
    pub sort: Option<String>,
    /// Go on behind a hit: ID:SORTVALUE, as printed with --json
    #[arg(long)]
    pub cursor: Option<String>,
    /// Also messages marked as deleted
    #[arg(long)]
    pub include_deleted: bool,
    /// Where words without an operator are looked for: subject:, content:, ...
    #[arg(long)]
    pub field: Option<String>,
    /// Time zone of dates in the query (IANA name); else the account's
    #[arg(long)]
    pub tz: Option<String>,
    /// Language of dates in the query; else the account's
    #[arg(long)]
    pub locale: Option<String>,
    /// Show the text around what was found
    #[arg(short = 'v', long)]
    pub fragments: bool,
    /// Say what the query was taken for
    #[arg(long)]
    pub explain: bool,
    /// Write a JSON object
    #[arg(long)]
    pub json: bool,
    /// How to reach the cluster.
    #[command(flatten)]
    pub reach: Reach,
}

/// `zcluster mailbox reindex`.
#[derive(Debug, Args)]
pub struct Reindex {
    /// The account: address, alias or id
    pub account: String,
    /// Do not wait until it is done
    #[arg(long)]
    pub no_wait: bool,
    /// How to reach the cluster.
    #[command(flatten)]
    pub reach: Reach,
}

/// `zcluster mailbox texts`.
#[derive(Debug, Args)]
pub struct Texts {
    /// Of this account's shard; none: of all shards
    pub account: Option<String>,
    /// Write a JSON object
    #[arg(long)]
    pub json: bool,
    /// How to reach the cluster.
    #[command(flatten)]
    pub reach: Reach,
}

/// Searches.
///
/// # Errors
/// What to tell the user.
pub async fn search(args: SearchMailbox) -> Result<()> {
    let ask = Ask {
        query: args.query,
        sort_by: args.sort,
        conversations: args.types == "conversation",
        limit: args.limit.clamp(1, 1_000),
        offset: args.offset,
        cursor: args.cursor.as_deref().map(cursor).transpose()?,
        include_tag_deleted: args.include_deleted,
        tz: args.tz,
        locale: args.locale,
        field: args.field,
        fragments: args.fragments,
    };
    let conversations = ask.conversations;
    let request = SearchRequest { account: args.account, ask };
    let page: Page = Client::new(&args.reach)?.post_within("/v1/mailbox/search", &request, SEARCH_MAX).await?;
    if args.json {
        println!("{}", serde_json::to_string(&page)?);
        return Ok(());
    }
    if args.explain {
        println!("{}", page.explained);
    }
    println!("num: {}, more: {}, total: {}", page.hits.len(), page.more, page.total);
    if page.hits.is_empty() {
        return Ok(());
    }
    println!();
    println!("{:>8}  {:<4}  {:<FROM_CHARS$}  {:<SUBJECT_CHARS$}  Date", "Id", "Type", "From", "Subject");
    println!(
        "{:>8}  {:<4}  {:<FROM_CHARS$}  {:<SUBJECT_CHARS$}  {}",
        "----",
        "----",
        "-".repeat(FROM_CHARS),
        "-".repeat(SUBJECT_CHARS),
        "-".repeat(14)
    );
    for (n, hit) in page.hits.iter().enumerate() {
        print_hit(args.offset as usize + n + 1, hit, conversations);
    }
    Ok(())
}

fn cursor(text: &str) -> Result<AskCursor> {
    let (id, value) = text.split_once(':').context("--cursor takes ID:SORTVALUE")?;
    let id = id.parse().context("--cursor takes ID:SORTVALUE")?;
    Ok(AskCursor { id, sort_val: value.parse().map_or_else(|_| SortValue::Text(value.into()), SortValue::Number) })
}

fn print_hit(number: usize, hit: &Shown, conversations: bool) {
    let kind = if conversations { "conv" } else { "mess" };
    let id = if conversations { hit.conversation } else { hit.id };
    let subject = if hit.messages > 1 { format!("{} ({})", hit.subject, hit.messages) } else { hit.subject.clone() };
    let (from, subject) = (fit(&hit.from, FROM_CHARS), fit(&subject, SUBJECT_CHARS));
    println!("{number}. {id:>6}  {kind:<4}  {from}  {subject}  {}", date(hit.date));
    if let Some(fragment) = &hit.fragment {
        println!("          {}", marked(&fragment.text, &fragment.found));
    }
}

/// The text with what was found in it between asterisks.
fn marked(text: &str, found: &[(u32, u32)]) -> String {
    let (mut out, mut at) = (String::new(), 0);
    for (from, to) in found {
        let (from, to) = (*from as usize, *to as usize);
        let (Some(before), Some(inside)) = (text.get(at..from), text.get(from..to)) else { continue };
        out.push_str(&format!("{before}*{inside}*"));
        at = to;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    clean(&out)
}

/// Without what would move the cursor of a terminal.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Exactly so many characters.
fn fit(text: &str, chars: usize) -> String {
    let text = clean(text);
    let shown: String = text.chars().take(chars).collect();
    format!("{shown:<chars$}")
}

/// A time as people here write it.
pub fn date(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms)
        .map(|at| at.with_timezone(&Local).format("%m/%d/%y %H:%M").to_string())
        .unwrap_or_default()
}

/// Has a mailbox indexed anew.
///
/// # Errors
/// What to tell the user.
pub async fn reindex(args: Reindex) -> Result<()> {
    let client = Client::new(&args.reach)?;
    let mut request = TextsRequest { account: Some(args.account.clone()), reindex: true };
    let mut reply: TextsReply = client.post("/v1/mailbox/texts", &request).await?;
    if reply.indexes.is_empty() {
        bail!("no node has an index of {}", args.account);
    }
    println!("{} is indexed anew on {} nodes", args.account, reply.indexes.len());
    request.reindex = false;
    if args.no_wait {
        return Ok(());
    }
    loop {
        zcluster_runtime::sleep(Duration::from_millis(500)).await;
        reply = client.post("/v1/mailbox/texts", &request).await?;
        if let Some(trouble) = reply.indexes.iter().find_map(|i| Some((i.node, i.trouble.as_ref()?))) {
            bail!("node {}: {}", trouble.0, trouble.1);
        }
        if reply.indexes.iter().all(|index| index.anew == 0 && index.building.is_none()) {
            println!("done");
            return Ok(());
        }
    }
}

/// Shows how far the indexes are.
///
/// # Errors
/// What to tell the user.
pub async fn texts(args: Texts) -> Result<()> {
    let request = TextsRequest { account: args.account, reindex: false };
    let reply: TextsReply = Client::new(&args.reach)?.post("/v1/mailbox/texts", &request).await?;
    if args.json {
        println!("{}", serde_json::to_string(&reply)?);
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(comfy_table::TableStyle::new());
    table.set_header(["shard", "node", "messages", "bytes", "behind", "state"]);
    for index in &reply.indexes {
        let state = match (&index.trouble, index.building, index.anew) {
            (Some(trouble), ..) => trouble.clone(),
            (None, Some(looked), _) => format!("being built, {looked} messages looked at"),
            (None, None, 0) => "complete".into(),
            (None, None, anew) => format!("{anew} mailboxes to be indexed anew"),
        };
        table.add_row([
            index.shard.to_string(),
            index.node.to_string(),
            index.items.to_string(),
            index.bytes.to_string(),
            index.behind.to_string(),
            state,
        ]);
    }
    println!("{table}");
    for node in &reply.silent {
        println!("node {node} does not answer");
    }
    Ok(())
}
