//! The loads of the comparison, in the order in which one prepares the next.

use anyhow::Result;

use super::{CompareOptions, Running, large, queue};
use crate::deliver::{self, DeliverOptions, Dialect};
use crate::filtered::{self, FilteredOptions};
use crate::imap;
use crate::mta::{self, InboundOptions, SendOptions, SubmissionOptions};
use crate::options::{IdleLatency, IdleMemory, ImapOptions, Target};
use crate::stats::{Report, micros, number};

/// Bytes of a message: ordinary text mail.
const SIZE: usize = 6 * 1024;
/// Connections that deliver at the same time.
const CONNECTIONS: usize = 16;
/// Messages that an MTA client brings before it leaves.
const PER_CONNECTION: usize = 20;
/// Of every account.
const PASSWORD: &str = "demo";
/// Messages in the folder that is listed.
const ENVELOPES: usize = 10_000;

/// Runs all wanted loads on one server.
pub async fn run(options: &CompareOptions, running: &mut Running) -> Result<Vec<Report>> {
    let scale = |count: usize| if options.quick { count / 10 } else { count };
    let has_store = !running.lmtp.is_empty();
    let asked = |name: &str| options.loads.is_empty() || options.loads.iter().any(|load| load == name);
    let wanted = |name: &str| has_store && asked(name);
    let mut reports = Vec::new();
    let mut done = |mut report: Report, name: &str| {
        report.load = name.to_owned();
        progress(&report);
        reports.push(report);
    };
    let all = &running.accounts.clone();
    let lister = &all[all.len() - 1..];
    let rest = &all[..all.len() - 1];

    if wanted("deliver") {
        deliver::run(&delivery(running, rest, scale(2_000)), Dialect::Lmtp).await?; // warm-up
        done(deliver::run(&delivery(running, rest, scale(10_000)), Dialect::Lmtp).await?, "LMTP delivery, 6 KB");
    }
    if wanted("sieve") && running.managesieve.is_empty() {
        eprintln!("   no ManageSieve: delivery with a script is skipped");
    } else if wanted("sieve") {
        let options = FilteredOptions {
            delivery: delivery(running, rest, scale(10_000)),
            managesieve: running.managesieve.clone(),
            password: PASSWORD.to_owned(),
        };
        done(filtered::run(&options).await?, "LMTP delivery, Sieve");
    }
    for (load, tls, name) in [("smtp", false, "SMTP to mailbox, 6 KB"), ("smtp-tls", true, "SMTP with TLS to mailbox")]
    {
        if asked(load) && !running.smtp.is_empty() {
            let load = |messages| InboundOptions {
                send: send(running, &running.smtp, rest, messages, tls),
                imap: running.imap[0],
            };
            mta::inbound(&load(scale(1_000))).await?; // warm-up
            done(mta::inbound(&load(scale(10_000))).await?, name);
        }
    }
    if asked("submission") && !running.submission.is_empty() {
        let load = |messages| SubmissionOptions {
            send: send(running, &running.submission, rest, messages, true),
            sink: super::sink_address(options),
            recipient: "someone@sink.example.net".to_owned(),
        };
        mta::submission(&load(scale(1_000))).await?; // warm-up
        done(mta::submission(&load(scale(10_000))).await?, "submission to smtp-sink");
    }
    if asked("queue") && running.operator.is_some() {
        let load = |running: &Running, messages| send(running, &running.submission, rest, messages, false);
        queue::run(options, running, load, &mut done).await?;
    }
    if wanted("login") {
        // Once for every account on every node: the first login of each costs a slow hash on purpose.
        let first = rest.len() * running.imap.len() * 4;
        imap::login::run(&session(running, rest, CONNECTIONS, first)).await?;
        done(imap::login::run(&session(running, rest, CONNECTIONS, scale(3_000))).await?, "IMAP login");
    }
    if wanted("select") {
        done(imap::select::run(&session(running, rest, CONNECTIONS, scale(20_000))).await?, "IMAP SELECT");
    }
    if wanted("store") {
        deliver::run(&delivery(running, rest, CONNECTIONS * 10), Dialect::Lmtp).await?;
        done(imap::store::run(&session(running, rest, CONNECTIONS, scale(10_000))).await?, "IMAP STORE");
    }
    if wanted("append") {
        done(imap::append::run(&session(running, rest, CONNECTIONS, scale(5_000))).await?, "IMAP APPEND, 6 KB");
    }
    if wanted("fetch") {
        eprintln!("   filling a folder with {} messages", scale(ENVELOPES));
        deliver::run(&delivery(running, lister, scale(ENVELOPES)), Dialect::Lmtp).await?;
        imap::fetch::run(&session(running, lister, 1, 1)).await?;
        done(imap::fetch::run(&session(running, lister, 1, 5)).await?, "IMAP FETCH envelopes");
    }
    if wanted("idle-latency") {
        let imap = session(running, &all[..1], 1, scale(100));
        let last = running.lmtp[running.lmtp.len() - 1];
        done(imap::idle::latency(&IdleLatency { imap, lmtp: last, pause_ms: 20 }).await?, "delivery to EXISTS");
    }
    if wanted("idle-memory") {
        let imap = session(running, rest, 1, scale(1_000));
        done(imap::idle::memory(&IdleMemory { imap }).await?, "idle connection");
    }
    if wanted("idle-fanout") {
        let sessions = if options.quick { 200 } else { 1_000 };
        let imap = session(running, &all[..1], sessions, scale(100));
        let last = running.lmtp[running.lmtp.len() - 1];
        let name = format!("delivery to EXISTS on {sessions} sessions");
        done(imap::fanout::run(&IdleLatency { imap, lmtp: last, pause_ms: 100 }).await?, &name);
    }
    if wanted("large") || large::LOADS.iter().any(|load| wanted(load)) {
        let folder = |connections, count| ImapOptions {
            folder: large::FOLDER.to_owned(),
            ..session(running, lister, connections, count)
        };
        large::run(options, &folder, &mut done).await?;
    }
    Ok(reports)
}

fn send(
    running: &Running,
    address: &[std::net::SocketAddr],
    accounts: &[String],
    messages: usize,
    tls: bool,
) -> SendOptions {
    SendOptions {
        target: target(running, address, accounts, CONNECTIONS),
        messages,
        size: SIZE,
        tls,
        per_connection: PER_CONNECTION,
        password: PASSWORD.to_owned(),
    }
}

fn target(running: &Running, address: &[std::net::SocketAddr], accounts: &[String], connections: usize) -> Target {
    Target { address: address.to_vec(), accounts: accounts.to_vec(), pids: running.pids.clone(), connections }
}

fn delivery(running: &Running, accounts: &[String], messages: usize) -> DeliverOptions {
    DeliverOptions { target: target(running, &running.lmtp, accounts, CONNECTIONS), messages, size: SIZE }
}

fn session(running: &Running, accounts: &[String], connections: usize, count: usize) -> ImapOptions {
    ImapOptions {
        target: target(running, &running.imap, accounts, connections),
        password: PASSWORD.to_owned(),
        folder: "INBOX".to_owned(),
        count,
        size: SIZE,
    }
}

fn progress(report: &Report) {
    let cpu = report.cpu_s_per_1000.map_or_else(String::new, |cpu| format!(", {cpu:.3} CPU-s per 1000"));
    let memory = report.kib_per_connection.map_or_else(String::new, |kib| format!(", {kib:.1} KiB per connection"));
    eprintln!(
        "   {:<28} {:>9}/s, p50 {}, p99 {}, p99.9 {}{cpu}{memory}, {} errors {}",
        report.load,
        number(report.per_second),
        micros(report.p50_us),
        micros(report.p99_us),
        micros(report.p999_us),
        report.errors,
        report.first_error.as_deref().unwrap_or(""),
    );
}
