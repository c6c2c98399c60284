//! IDLE (RFC 2177): how soon new mail is seen, and what a silent connection costs.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures::future::try_join_all;

use super::client::Client;
use crate::deliver::{Dialect, Session};
use crate::message::Messages;
use crate::options::{IdleLatency, IdleMemory, ImapOptions};
use crate::process::Watch;
use crate::stats::{Meter, Recorder, Report};

/// So many connections are opened at the same time; servers limit how many may be waiting for accept.
const OPENING_AT_ONCE: usize = 50;
/// Memory counts as settled when it has changed by less than this part within [`SETTLE_STEP`].
const SETTLED: f64 = 0.002;
const SETTLE_STEP: Duration = Duration::from_secs(2);
/// Steps after which it is read as it is.
const SETTLE_STEPS: u32 = 15;

/// From the final dot of a delivery to EXISTS on a connection in IDLE.
pub async fn latency(options: &IdleLatency) -> Result<Report> {
    let target = &options.imap.target;
    crate::check(target)?;
    let account = target.account_of(0);
    let mut watcher = Client::open(target.address_of(0)).await?;
    watcher.login(account, &options.imap.password).await?;
    let mut exists = watcher.select(&options.imap.folder).await?;
    watcher.idle().await?;
    let mut session = Session::open(options.lmtp, Dialect::Lmtp).await?;
    let messages = Messages::new(options.imap.size);
    let mut recorder = Recorder::default();
    let meter = Meter::start(&target.pids);
    for _ in 0..options.imap.count {
        let text = messages.next(account);
        if let Err(refused) = session.begin(account, text.len()).await? {
            recorder.error(&refused);
            continue;
        }
        let started = Instant::now();
        session.body(&text).await?;
        let seen = async {
            exists = watcher.await_exists(exists + 1).await?;
            anyhow::Ok(started.elapsed())
        };
        let (seen, accepted) = futures::try_join!(seen, session.outcome())?;
        match accepted {
            Ok(()) => recorder.record(seen),
            Err(reply) => recorder.error(&reply),
        }
        tokio::time::sleep(Duration::from_millis(options.pause_ms)).await;
    }
    let mut report = meter.finish("imap idle latency", recorder, 1);
    // Mostly pauses: what the server does in them is not the price of a delivery.
    report.cpu_s_per_1000 = None;
    Ok(report)
}

/// Memory per connection that is logged in, has the folder selected and sits in IDLE.
pub async fn memory(options: &IdleMemory) -> Result<Report> {
    let options = &options.imap;
    crate::check(&options.target)?;
    ensure!(!options.target.pids.is_empty(), "no --pid given: whose memory should be read?");
    let watch = Watch::new(&options.target.pids);
    // What a first connection loads is not the price of the next one.
    let warm = idle_connections(options, 0..32.min(options.count)).await?;
    drop(warm);
    let before = settled_memory(&watch).await;
    let meter = Meter::start(&options.target.pids);
    let started = Instant::now();
    let mut open = Vec::with_capacity(options.count);
    let mut recorder = Recorder::default();
    while open.len() < options.count {
        let end = (open.len() + OPENING_AT_ONCE).min(options.count);
        let at = Instant::now();
        open.extend(idle_connections(options, open.len()..end).await?);
        recorder.record(at.elapsed());
    }
    let opened = started.elapsed();
    let after = settled_memory(&watch).await;
    let mut report = meter.finish("imap idle memory", recorder, 1);
    report.operations = open.len() as u64;
    report.seconds = opened.as_secs_f64();
    report.per_second = open.len() as f64 / report.seconds;
    report.cpu_s_per_1000 = None;
    report.kib_per_connection = Some((after as f64 - before as f64) / open.len() as f64);
    Ok(report)
}

/// Allocators give memory back after a while, and so do processes that end.
async fn settled_memory(watch: &Watch) -> u64 {
    let mut last = watch.memory_kib();
    for _ in 0..SETTLE_STEPS {
        tokio::time::sleep(SETTLE_STEP).await;
        let now = watch.memory_kib();
        let change = (now as f64 - last as f64).abs() / now.max(1) as f64;
        last = now;
        if change < SETTLED {
            break;
        }
    }
    last
}

/// So many connections that are logged in, have the folder selected and sit in IDLE.
pub async fn open_many(options: &ImapOptions, count: usize) -> Result<Vec<Client>> {
    let mut open = Vec::with_capacity(count);
    while open.len() < count {
        let end = (open.len() + OPENING_AT_ONCE).min(count);
        open.extend(idle_connections(options, open.len()..end).await?);
    }
    Ok(open)
}

async fn idle_connections(options: &ImapOptions, range: std::ops::Range<usize>) -> Result<Vec<Client>> {
    try_join_all(range.map(|index| async move {
        let mut client = Client::open_small(options.target.address_of(index)).await?;
        client.login(options.target.account_of(index), &options.password).await?;
        client.select(&options.folder).await?;
        client.idle().await?;
        anyhow::Ok(client)
    }))
    .await
}
