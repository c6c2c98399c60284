//! `zcluster volume`: where bodies lie outside of the shards.

use crate::admin::client::Client;
use crate::admin::volume::{NodeMeasured, VolumeAction, VolumeReply};
use crate::cli::Reach;
use crate::volumes::{MEASURE_COUNT_MAX, MEASURE_MAX};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use comfy_table::Table;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zcluster_volume::Credentials;

/// Bytes of a file with a credential.
const SECRET_MAX: u64 = 64 * 1024;
/// Time for what asks every node once.
const ASK_MAX: Duration = Duration::from_secs(120);
/// Nodes that a measurement waits for.
const NODES_MAX: u32 = 64;

/// How often it is asked whether a volume is empty.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// `zcluster volume`.
#[derive(Debug, Args)]
pub struct Volume {
    /// What to do.
    #[command(subcommand)]
    pub command: VolumeCommand,
}

/// What to do with volumes.
#[derive(Debug, Subcommand)]
pub enum VolumeCommand {
    /// Make a bucket or a shared folder a volume, when every node reaches it
    Add(Add),
    /// Show the volumes, and how each node sees them
    List(Only),
    /// Replace what the store is shown; none given: each node's own
    Credentials(Replace),
    /// Say where bodies go from now on
    Default(SetDefault),
    /// Forget a volume on which nothing lies
    Remove(Remove),
    /// Measure PUT, GET, LIST and DELETE from every node
    Test(Test),
    /// Say which bodies go to a volume by age, size, flags and folder (Zimbra's zimbraHsmPolicy)
    Policy(Policy),
    /// Have everything moved away from a volume, so that it can be removed
    Drain(Drain),
}

/// `zcluster volume policy`.
#[derive(Debug, Args)]
pub struct Policy {
    /// What to do.
    #[command(subcommand)]
    pub command: PolicyCommand,
}

/// What to do with a volume's policy.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Set it: types:query, as message,document:before:-30days has:attachment
    Set(SetPolicy),
    /// Remove it: what lies there stays there
    Remove(RemovePolicy),
}

/// `zcluster volume policy set`.
#[derive(Debug, Args)]
pub struct SetPolicy {
    /// The volume
    pub name: String,
    /// types:query; of the query: before, after, larger, smaller, size, has:attachment, is, in, under, - for not
    pub policy: String,
    /// Only for accounts of this COS; they have no other policies then
    #[arg(long)]
    pub cos: Option<String>,
    /// Where.
    #[command(flatten)]
    pub only: Only,
}

/// `zcluster volume policy remove`.
#[derive(Debug, Args)]
pub struct RemovePolicy {
    /// The volume
    pub name: String,
    /// That of this COS
    #[arg(long)]
    pub cos: Option<String>,
    /// Where.
    #[command(flatten)]
    pub only: Only,
}

/// `zcluster volume drain`.
#[derive(Debug, Args)]
pub struct Drain {
    /// The volume
    pub name: String,
    /// Do not empty it any more
    #[arg(long, conflicts_with = "wait")]
    pub stop: bool,
    /// Wait until it is empty
    #[arg(long)]
    pub wait: bool,
    /// Where.
    #[command(flatten)]
    pub only: Only,
}

/// `zcluster volume add`.
#[derive(Debug, Args)]
pub struct Add {
    /// Its name: small letters, digits, -
    pub name: String,
    /// file:///path, s3://bucket/prefix, az://container/prefix or gs://bucket/prefix
    pub url: String,
    /// region, endpoint, path_style, sse, kms_key, bucket_key, conditional_put, account, ca_file
    #[arg(long = "option", short = 'o', value_name = "KEY=VALUE")]
    pub options: Vec<String>,
    /// To get in.
    #[command(flatten)]
    pub given: Given,
    /// Bodies go there from now on
    #[arg(long)]
    pub default: bool,
    /// Also when not every node reaches it, or something lies there already
    #[arg(long)]
    pub force: bool,
    /// Where.
    #[command(flatten)]
    pub only: Only,
}

/// Credentials.
#[derive(Debug, Args)]
pub struct Given {
    /// A part of the credentials that is no secret: access_key_id, tenant_id, client_id
    #[arg(long = "credential", value_name = "KEY=VALUE")]
    pub credentials: Vec<String>,
    /// A secret part, in a file: secret_access_key, session_token, access_key, client_secret, service_account_key
    #[arg(long = "credential-file", value_name = "KEY=FILE")]
    pub credential_files: Vec<String>,
}

/// `zcluster volume credentials`.
#[derive(Debug, Args)]
pub struct Replace {
    /// The volume
    pub name: String,
    /// To get in.
    #[command(flatten)]
    pub given: Given,
    /// Also when not every node gets in with them
    #[arg(long)]
    pub force: bool,
    /// Where.
    #[command(flatten)]
    pub only: Only,
}

/// What all of them take.
#[derive(Debug, Args)]
pub struct Only {
    /// How to reach the cluster.
    #[command(flatten)]
    pub reach: Reach,
    /// Write a JSON object
    #[arg(long)]
    pub json: bool,
}

/// `zcluster volume default`.
#[derive(Debug, Args)]
pub struct SetDefault {
    /// The volume
    #[arg(required_unless_present = "none", conflicts_with = "none")]
    pub name: Option<String>,
    /// Bodies stay in their shards
    #[arg(long)]
    pub none: bool,
    /// Where.
    #[command(flatten)]
    pub only: Only,
}

/// `zcluster volume remove`.
#[derive(Debug, Args)]
pub struct Remove {
    /// The volume
    pub name: String,
    /// Also when it cannot be asked whether something lies there
    #[arg(long)]
    pub force: bool,
    /// Where.
    #[command(flatten)]
    pub only: Only,
}

/// `zcluster volume test`.
#[derive(Debug, Args)]
pub struct Test {
    /// The volume
    pub name: String,
    /// How many objects of 16 KiB
    #[arg(long, default_value_t = 50, value_parser = count)]
    pub small: usize,
    /// How many objects of 8 MiB
    #[arg(long, default_value_t = 4, value_parser = count)]
    pub large: usize,
    /// Where.
    #[command(flatten)]
    pub only: Only,
}

fn count(text: &str) -> Result<usize, String> {
    let n: usize = text.parse().map_err(|_| "a number is expected".to_string())?;
    if n <= MEASURE_COUNT_MAX { Ok(n) } else { Err(format!("at most {MEASURE_COUNT_MAX}")) }
}

/// Runs the command.
///
/// # Errors
/// What to tell the user.
pub async fn run(args: Volume) -> Result<()> {
    let (mut within, mut wait) = (ASK_MAX, false);
    let (only, action) = match args.command {
        VolumeCommand::List(only) => (only, VolumeAction::List),
        VolumeCommand::Add(add) => {
            let credentials = credentials(&add.given)?;
            let words = [format!("name={}", add.name), format!("url={}", add.url)].into_iter().chain(add.options);
            let volume = words.collect::<Vec<_>>().join(" ");
            (add.only, VolumeAction::Add { volume, credentials, default: add.default, force: add.force })
        }
        VolumeCommand::Credentials(args) => {
            let credentials = credentials(&args.given)?;
            (args.only, VolumeAction::Credentials { name: args.name, credentials, force: args.force })
        }
        VolumeCommand::Default(args) => (args.only, VolumeAction::Default { name: args.name }),
        VolumeCommand::Remove(args) => (args.only, VolumeAction::Remove { name: args.name, force: args.force }),
        VolumeCommand::Policy(args) => match args.command {
            PolicyCommand::Set(SetPolicy { name, policy, cos, only }) => {
                (only, VolumeAction::Policy { name, policy: Some(policy), cos })
            }
            PolicyCommand::Remove(RemovePolicy { name, cos, only }) => {
                (only, VolumeAction::Policy { name, policy: None, cos })
            }
        },
        VolumeCommand::Drain(Drain { name, stop, wait: to_the_end, only }) => {
            wait = to_the_end;
            (only, VolumeAction::Drain { name, stop })
        }
        VolumeCommand::Test(args) => {
            within = MEASURE_MAX * NODES_MAX;
            (args.only, VolumeAction::Test { name: args.name, small: args.small, large: args.large })
        }
    };
    let is_test = matches!(action, VolumeAction::Test { .. });
    let client = Client::new(&only.reach)?;
    let mut reply: VolumeReply = client.post_within("/v1/volume", &action, within).await?;
    while wait && reply.left.is_some_and(|left| left > 0) {
        zcluster_runtime::sleep(LOOK_EVERY).await;
        reply = client.post_within("/v1/volume", &action, within).await?;
    }
    if only.json {
        println!("{}", serde_json::to_string_pretty(&reply)?);
    } else if is_test {
        print_measured(&reply.nodes);
    } else {
        print(&reply);
    }
    let failed: Vec<_> = reply.nodes.iter().filter(|n| n.error.is_some()).map(|n| n.node.to_string()).collect();
    if !failed.is_empty() {
        bail!("the volume does not work on node {}", failed.join(", "));
    }
    Ok(())
}

fn credentials(given: &Given) -> Result<Credentials> {
    let mut out = Credentials::default();
    let split = |text: &str| match text.split_once('=') {
        Some((key, value)) if !key.is_empty() && !value.is_empty() => Ok((key.to_string(), value.to_string())),
        _ => bail!("expected KEY=VALUE"),
    };
    for text in &given.credentials {
        let (key, value) = split(text).context("--credential")?;
        out.0.insert(key, value);
    }
    for text in &given.credential_files {
        let (key, file) = split(text).context("--credential-file")?;
        let value = read_secret(Path::new(&file))?;
        out.0.insert(key, value);
    }
    Ok(out)
}

fn read_secret(file: &Path) -> Result<String> {
    let shown = || PathBuf::from(file).display().to_string();
    let size = std::fs::metadata(file).with_context(|| format!("cannot read {}", shown()))?.len();
    if size > SECRET_MAX {
        bail!("{} is too large for a credential", shown());
    }
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", shown()))?;
    match text.trim() {
        "" => bail!("{} is empty", shown()),
        text => Ok(text.to_string()),
    }
}

fn print(reply: &VolumeReply) {
    for note in &reply.notes {
        println!("{note}");
    }
    if reply.volumes.is_empty() {
        println!("no volumes: bodies lie in their shards");
        return;
    }
    let mut table = Table::new();
    table.load_style(comfy_table::TableStyle::new());
    table.set_header(["", "volume", "url", "options", "credentials", "nodes"]);
    for volume in &reply.volumes {
        let options: Vec<_> = volume.options.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let good = volume.nodes.iter().filter(|n| n.trouble.is_none()).count();
        let own = match volume.credentials.is_empty() {
            true => "each node's own".to_string(),
            false => volume.credentials.join(", "),
        };
        table.add_row([
            if volume.default { "*".to_string() } else { String::new() },
            volume.name.clone(),
            volume.url.clone(),
            options.join(" "),
            own,
            format!("{good} of {}", volume.nodes.len()),
        ]);
    }
    println!("{table}");
    for volume in &reply.volumes {
        if volume.drained {
            println!("{} is being emptied", volume.name);
        }
        for policy in &volume.policies {
            println!("{} takes {policy}", volume.name);
        }
        for node in &volume.nodes {
            if let Some(trouble) = &node.trouble {
                println!("{} on node {}: {trouble}", volume.name, node.node);
            }
        }
    }
}

fn print_measured(nodes: &[NodeMeasured]) {
    let mut table = Table::new();
    table.load_style(comfy_table::TableStyle::new());
    table.set_header(["node", "operation", "bytes", "count", "p50 ms", "p99 ms", "MB/s"]);
    for node in nodes {
        for row in node.measured.iter().flat_map(|m| &m.rows) {
            let ms = |us: u64| format!("{:.2}", us as f64 / 1000.0);
            let rate = if row.size > 0 { format!("{:.1}", row.mb_per_s) } else { String::new() };
            let size = if row.size > 0 { row.size.to_string() } else { String::new() };
            table.add_row([
                node.node.to_string(),
                row.operation.clone(),
                size,
                row.count.to_string(),
                ms(row.p50_us),
                ms(row.p99_us),
                rate,
            ]);
        }
    }
    println!("{table}");
    for node in nodes {
        match (&node.measured, &node.error) {
            (Some(m), _) => {
                let overwrite =
                    if m.refuses_to_overwrite { "refused" } else { "NOT refused: give conditional_put=false" };
                println!("node {}: durable {}; a second object of one name is {overwrite}", node.node, m.durability);
            }
            (None, error) => println!("node {}: {}", node.node, error.as_deref().unwrap_or("nothing was measured")),
        }
    }
}
