//! `zcluster demo --failover`: mail keeps coming while the mailbox's primary is killed; nothing may be lost, doubled or
//! disconnected.

use super::cluster::Cluster;
use super::imap::Imap;
use super::smtp::{Refused, Smtp};
use super::{DOMAIN, PASSWORD, mail};
use crate::admin::LocateReply;
use crate::admin::status::{GroupView, StatusReply};
use crate::cli::Demo;
use anyhow::{Context, Result, bail};
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use zcluster_runtime::{Instant, sleep, spawn};

/// When the primary is killed.
const KILL_AFTER: Duration = Duration::from_secs(4);
/// Pause between two messages.
const PACE: Duration = Duration::from_millis(10);
/// Pause before the same message is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(50);
/// After the end, the last message may take so long to be acknowledged.
const LAST_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the session idles between two NOOPs.
const IDLE_TIME: Duration = Duration::from_secs(1);
/// Accounts that are tried until one's primary is where it will stay.
const ACCOUNTS_MAX: usize = 16;
/// Messages whose headers are fetched at once when counting.
const FETCH_STEP: usize = 500;

/// What happened.
#[derive(Debug, Serialize)]
struct Outcome {
    account: String,
    killed_node: u16,
    sender_node: u16,
    imap_node: u16,
    seconds: f64,
    acknowledged: usize,
    present: usize,
    lost: usize,
    doubled: usize,
    longest_gap_seconds: f64,
    gap_after_kill_seconds: f64,
    retries: usize,
    imap_connections_dropped: usize,
    imap_messages_announced: u64,
}

impl Outcome {
    fn is_good(&self) -> bool {
        self.lost == 0 && self.doubled == 0 && self.imap_connections_dropped == 0 && self.acknowledged > 0
    }
}

/// Who does what.
struct Cast {
    account: String,
    primary: u16,
    sender: usize,
    reader: usize,
}

/// What the sender and the reader write down.
#[derive(Default)]
struct Ledger {
    /// When each message was acknowledged.
    acknowledged: Mutex<BTreeMap<u64, Instant>>,
    retries: AtomicUsize,
    dropped: AtomicUsize,
    announced: Mutex<u64>,
    stop_sending: AtomicBool,
    stop_reading: AtomicBool,
}

/// Runs it on a complete cluster.
///
/// # Errors
/// What kept it from being carried out; what it found is its exit code.
pub async fn run(args: &Demo, cluster: &mut Cluster) -> Result<u8> {
    let cast = cast(cluster).await?;
    let (sender, reader) = (&cluster.members[cast.sender], &cluster.members[cast.reader]);
    let (sender_number, reader_number) = (sender.number, reader.number);
    let say = |text: String| {
        if !args.json {
            println!("{text}");
        }
    };
    say(format!(
        "mail for {} is sent to node {sender_number}, read on node {reader_number}; its primary is node {}",
        cast.account, cast.primary
    ));
    let run = format!("{:08x}", zcluster_runtime::random_u64() as u32);
    let ledger = Arc::new(Ledger::default());
    let sending = spawn(send(sender.ports.lmtp, cast.account.clone(), run.clone(), ledger.clone()));
    let reading = spawn(read(reader.ports.imap, cast.account.clone(), ledger.clone()));
    let begun = Instant::now();
    sleep(KILL_AFTER).await;
    // Leaderships may have moved meanwhile.
    let primary = primary(cluster, &cast.account).await?;
    if primary == sender_number || primary == reader_number {
        bail!("the primary moved to node {primary} while mail was sent; run it again");
    }
    let killed_at = Instant::now();
    cluster.kill(primary).await?;
    say(format!("kill -9 node {primary} after {:.1} s", begun.elapsed().as_secs_f64()));
    sleep((begun + Duration::from_secs(args.seconds)).remaining()).await;
    ledger.stop_sending.store(true, Ordering::Release);
    zcluster_runtime::timeout(LAST_TIMEOUT, sending).await.context("the last message was never acknowledged")??;
    let seconds = begun.elapsed().as_secs_f64();
    ledger.stop_reading.store(true, Ordering::Release);
    reading.await?;

    let mut counts = Vec::new();
    for member in [&cluster.members[cast.sender], &cluster.members[cast.reader]] {
        let counted = count(member.ports.imap, &cast.account, &run).await;
        counts.push(counted.with_context(|| format!("reading on node {}", member.number))?);
    }
    let outcome = judge(&cast, primary, (sender_number, reader_number), seconds, (begun, killed_at), &ledger, &counts);
    if args.json {
        println!("{}", serde_json::to_string(&outcome)?);
    } else {
        println!("{}", report(&outcome));
    }
    Ok(if outcome.is_good() { 0 } else { 1 })
}

fn judge(
    cast: &Cast,
    killed_node: u16,
    (sender_node, imap_node): (u16, u16),
    seconds: f64,
    (begun, killed_at): (Instant, Instant),
    ledger: &Ledger,
    counts: &[BTreeMap<u64, usize>],
) -> Outcome {
    let acknowledged = ledger.acknowledged.lock();
    let present: BTreeSet<u64> =
        acknowledged.keys().copied().filter(|n| counts.iter().all(|c| c.contains_key(n))).collect();
    let doubled: BTreeSet<u64> =
        counts.iter().flat_map(|c| c.iter().filter(|(_, times)| **times > 1).map(|(n, _)| *n)).collect();
    let mut times: Vec<Instant> = acknowledged.values().copied().collect();
    times.sort();
    let gaps = std::iter::once(begun).chain(times.iter().copied()).zip(times.iter().copied());
    let next_after_kill = times.iter().find(|t| **t > killed_at);
    Outcome {
        account: cast.account.clone(),
        killed_node,
        sender_node,
        imap_node,
        seconds,
        acknowledged: acknowledged.len(),
        present: present.len(),
        lost: acknowledged.len() - present.len(),
        doubled: doubled.len(),
        longest_gap_seconds: gaps.map(|(a, b)| (b - a).as_secs_f64()).fold(0.0, f64::max),
        gap_after_kill_seconds: next_after_kill.map_or(f64::NAN, |t| (*t - killed_at).as_secs_f64()),
        retries: ledger.retries.load(Ordering::Acquire),
        imap_connections_dropped: ledger.dropped.load(Ordering::Acquire),
        imap_messages_announced: *ledger.announced.lock(),
    }
}

fn report(o: &Outcome) -> String {
    let rows = [
        ("messages acknowledged", o.acknowledged.to_string()),
        ("present", o.present.to_string()),
        ("lost", o.lost.to_string()),
        ("doubled", o.doubled.to_string()),
        ("longest time without an acknowledgement", format!("{:.2} s", o.longest_gap_seconds)),
        ("from the kill to the next acknowledgement", format!("{:.2} s", o.gap_after_kill_seconds)),
        ("deliveries repeated by the sender", o.retries.to_string()),
        ("messages announced to the IMAP session", o.imap_messages_announced.to_string()),
        ("IMAP connections dropped", o.imap_connections_dropped.to_string()),
    ];
    let lines: Vec<String> = rows.iter().map(|(what, value)| format!("{what:<44}{value:>10}")).collect();
    format!("\nnode {} was killed with kill -9, {:.0} s of mail:\n{}", o.killed_node, o.seconds, lines.join("\n"))
}

/// An account whose primary is where the shard map wants it (so that no planned move interferes), and two other nodes.
async fn cast(cluster: &Cluster) -> Result<Cast> {
    for n in 1..=ACCOUNTS_MAX {
        let account = format!("failover-{n}@{DOMAIN}");
        cluster.create_account(&account).await?;
        let status = cluster.status().await?;
        let shard = shard_of(cluster, &status, &account).await?;
        let Some(primary) = shard.leader.filter(|l| shard.wanted.first() == Some(l)) else { continue };
        let others: Vec<usize> =
            (0..cluster.members.len()).filter(|i| u32::from(cluster.members[*i].number) != primary).collect();
        let (Some(sender), Some(reader)) = (others.first(), others.get(1)) else { break };
        return Ok(Cast { account, primary: u16::try_from(primary)?, sender: *sender, reader: *reader });
    }
    bail!("no mailbox's primary is where the shard map wants it yet; run it again")
}

async fn shard_of(cluster: &Cluster, status: &StatusReply, account: &str) -> Result<GroupView> {
    let alive = cluster.members.iter().position(|m| m.pid() != 0).context("no node runs")?;
    let located: LocateReply = cluster.client(alive)?.get_with("/v1/locate", &[("account", account)]).await?;
    status.shards.iter().find(|s| s.shard == located.shard).cloned().context("the mailbox's shard is not in the status")
}

async fn primary(cluster: &Cluster, account: &str) -> Result<u16> {
    let status = cluster.status().await?;
    let shard = shard_of(cluster, &status, account).await?;
    Ok(u16::try_from(shard.leader.context("the shard has no leader before the kill")?)?)
}

fn message(account: &str, run: &str, number: u64) -> String {
    let header =
        mail::header(&format!("stream@{DOMAIN}"), account, &format!("message {number}"), &message_id(run, number));
    format!("{header}\nThis is message {number} of a steady stream.\n")
}

fn message_id(run: &str, number: u64) -> String {
    format!("{number}.{run}@failover.{DOMAIN}")
}

/// Sends one message after the other; each again and again, unchanged, until it is acknowledged.
async fn send(port: u16, account: String, run: String, ledger: Arc<Ledger>) {
    let mut connection: Option<Smtp> = None;
    let mut number = 0;
    while !ledger.stop_sending.load(Ordering::Acquire) {
        number += 1;
        let message = message(&account, &run, number);
        while let Err(e) = attempt(&mut connection, port, &account, &message).await {
            ledger.retries.fetch_add(1, Ordering::AcqRel);
            if let Some(refused) = e.downcast_ref::<Refused>()
                && !refused.is_temporary()
            {
                eprintln!("message {number} was refused for good: {refused}");
                return;
            }
            sleep(RETRY_PAUSE).await;
        }
        ledger.acknowledged.lock().insert(number, Instant::now());
        sleep(PACE).await;
    }
}

async fn attempt(connection: &mut Option<Smtp>, port: u16, account: &str, message: &str) -> Result<()> {
    let mut smtp = match connection.take() {
        Some(smtp) => smtp,
        None => Smtp::connect(port, true).await?,
    };
    let outcome = smtp.deliver(&format!("stream@{DOMAIN}"), account, message).await;
    // A reply leaves the connection usable, whatever it says; anything else does not.
    if outcome.as_ref().map_or_else(|e| e.is::<Refused>(), |()| true) {
        *connection = Some(smtp);
    }
    outcome
}

/// Holds a session that idles, with a NOOP now and then; counts how often it is thrown out.
async fn read(port: u16, account: String, ledger: Arc<Ledger>) {
    while !ledger.stop_reading.load(Ordering::Acquire) {
        if let Err(e) = session(port, &account, &ledger).await {
            eprintln!("the IMAP session was lost: {e:#}");
            ledger.dropped.fetch_add(1, Ordering::AcqRel);
            sleep(RETRY_PAUSE).await;
        }
    }
}

async fn session(port: u16, account: &str, ledger: &Ledger) -> Result<()> {
    let mut imap = Imap::connect(port, account, PASSWORD).await?;
    note_exists(ledger, &imap.ask("SELECT INBOX").await?);
    while !ledger.stop_reading.load(Ordering::Acquire) {
        note_exists(ledger, &imap.idle(IDLE_TIME).await?);
        note_exists(ledger, &imap.ask("NOOP").await?);
    }
    imap.ask("LOGOUT").await.map(drop).or(Ok(()))
}

fn note_exists(ledger: &Ledger, responses: &[String]) {
    for response in responses {
        let mut words = response.split_whitespace();
        if let (Some("*"), Some(number), Some("EXISTS")) = (words.next(), words.next(), words.next())
            && let Ok(number) = number.parse::<u64>()
        {
            *ledger.announced.lock() = number;
        }
    }
}

/// How often each numbered message of this run is in the mailbox, as one node shows it.
async fn count(port: u16, account: &str, run: &str) -> Result<BTreeMap<u64, usize>> {
    let mut imap = Imap::connect(port, account, PASSWORD).await?;
    let selected = imap.ask("SELECT INBOX").await?;
    let exists = selected.iter().find_map(|r| r.strip_prefix("* ")?.split_once(" EXISTS")?.0.parse::<usize>().ok());
    let exists = exists.context("SELECT told no number of messages")?;
    let mut counts = BTreeMap::new();
    for first in (1..=exists).step_by(FETCH_STEP) {
        let last = (first + FETCH_STEP - 1).min(exists);
        let fetched = imap.ask(&format!("FETCH {first}:{last} (BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")).await?;
        for number in fetched.iter().filter_map(|response| numbered(response, run)) {
            *counts.entry(number).or_insert(0) += 1;
        }
    }
    Ok(counts)
}

/// The number in a response with one of this run's Message-IDs.
fn numbered(response: &str, run: &str) -> Option<u64> {
    let (before, _) = response.split_once(&format!(".{run}@failover."))?;
    before[before.rfind('<')? + 1..].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fetched_header_gives_its_number_back() {
        let id = message_id("00ab", 77);
        let response = format!("* 1 FETCH (BODY[HEADER.FIELDS (MESSAGE-ID)] {{40}}\r\nMessage-ID: <{id}>\r\n\r\n)\r\n");
        assert_eq!(numbered(&response, "00ab"), Some(77));
        assert_eq!(numbered(&response, "00ac"), None);
    }
}
