//! Questions put to a server, again and again, by one or several at the same time.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use futures::future::join_all;
use serde_json::json;

use super::http::Http;
use super::node::Zcluster;
use super::question::{Ask, Put, Question};
use super::server::Server;
use super::{DOMAIN, Found, LARGE, mailbox};
use crate::imap::client::Client;
use crate::stats::{Meter, Recorder, Report};

/// At the same time.
const TOGETHER: usize = 8;
/// A question that takes so many times as long as a load is put by one only.
const TOO_SLOW: u32 = 3;

/// Somebody who asks.
pub enum Session {
    /// Over IMAP, with the large mailbox selected.
    Imap(Client),
    /// Through the administration.
    Admin(Http),
}

impl Session {
    /// How many messages are found.
    async fn ask(&mut self, ask: &Ask) -> Result<u64> {
        match (self, &ask.put) {
            (Session::Imap(client), Put::Imap(command)) => Ok(client.must(command).await?.named),
            (Session::Admin(http), Put::Admin(request)) => {
                let page = http.post("/v1/mailbox/search", request).await?;
                page["total"].as_u64().ok_or_else(|| anyhow::anyhow!("no total: {page}"))
            }
            _ => bail!("asked in the wrong place"),
        }
    }
}

/// Sessions in the large mailbox.
pub async fn over_imap(server: &Server) -> Result<Vec<Session>> {
    let mut sessions = Vec::new();
    for _ in 0..TOGETHER {
        let mut client = server.session(&mailbox(LARGE)).await?;
        client.select("INBOX").await?;
        sessions.push(Session::Imap(client));
    }
    Ok(sessions)
}

/// Connections to the administration.
pub async fn at(zcluster: &Zcluster) -> Result<Vec<Session>> {
    let mut sessions = Vec::new();
    for _ in 0..TOGETHER {
        sessions.push(Session::Admin(zcluster.admin().await?));
    }
    Ok(sessions)
}

/// Each question from one session, then from all; every set was put once before. What is found goes to `found`.
///
/// # Errors
/// A refusal, a broken connection.
pub async fn all(
    questions: &[Question],
    sessions: &mut [Session],
    pid: u32,
    time: Duration,
    found: &mut Vec<Found>,
) -> Result<Vec<Report>> {
    let mut reports = Vec::new();
    for question in questions {
        let (mut hits, began, mut slowest) = (Vec::new(), Instant::now(), Duration::ZERO);
        for ask in &question.asks {
            let each = Instant::now();
            hits.push(sessions[0].ask(ask).await?);
            slowest = slowest.max(each.elapsed());
            if began.elapsed() > time {
                break;
            }
        }
        let asks = &question.asks[..hits.len()];
        found.push(Found {
            load: question.name,
            expected: asks.iter().map(|ask| ask.expected).collect(),
            hits: hits.clone(),
        });
        for many in [1, TOGETHER] {
            if many > 1 && slowest > time * TOO_SLOW {
                eprintln!("   {}: too slow to be put by {many} at the same time", question.name);
                continue;
            }
            if many > 1 && slowest < time {
                // Each session has caches, and a process, of its own.
                for answer in join_all(sessions.iter_mut().map(|session| session.ask(&asks[0]))).await {
                    answer?;
                }
            }
            let name = format!("{}, {many} at a time", question.name);
            let report = load(&name, asks, &hits, &mut sessions[..many], pid, time).await;
            super::progress(&report);
            reports.push(report);
        }
    }
    Ok(reports)
}

async fn load(name: &str, asks: &[Ask], hits: &[u64], sessions: &mut [Session], pid: u32, time: Duration) -> Report {
    let meter = Meter::start(&[pid]);
    let until = Instant::now() + time;
    let workers = sessions.iter_mut().enumerate().map(|(worker, session)| async move {
        let mut recorder = Recorder::default();
        for k in (worker..).map(|k| k % asks.len()) {
            let began = Instant::now();
            match session.ask(&asks[k]).await {
                Ok(count) if count == hits[k] => recorder.record(began.elapsed()),
                Ok(count) => recorder.error(&format!("{:?}: {count} hits, {} before", asks[k].put, hits[k])),
                Err(error) => {
                    recorder.error(&format!("{error:#}"));
                    break;
                }
            }
            if Instant::now() >= until {
                break;
            }
        }
        recorder
    });
    let mut all = Recorder::default();
    for recorder in join_all(workers).await {
        all.merge(recorder);
    }
    meter.finish(name, all, 1)
}

/// The words over all mailboxes: until the first line of the answer, until the last.
///
/// # Errors
/// A refusal, a broken connection, an answer that says that it is not all.
pub async fn discover(
    zcluster: &Zcluster,
    name: &'static str,
    words: &[String],
    found: &mut Vec<Found>,
) -> Result<Vec<Report>> {
    let mut admin = zcluster.admin().await?;
    let (mut firsts, mut lasts) = (Recorder::default(), Recorder::default());
    let mut hits = Vec::new();
    let mut meter = Meter::start(&[zcluster.server.pid]);
    for is_measured in [false, true] {
        meter.pause();
        if is_measured {
            meter = Meter::start(&[zcluster.server.pid]);
        }
        for word in words {
            let request = json!({ "query": word, "limit": 10, "domain": DOMAIN });
            let (began, mut first, mut all) = (Instant::now(), None, Vec::new());
            let show = |piece: &[u8]| {
                first.get_or_insert_with(|| began.elapsed());
                all.extend_from_slice(piece);
            };
            admin.pieces("/v1/discover", &request, show).await?;
            let last = began.elapsed();
            let done = all.trim_ascii_end().rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
            let done: serde_json::Value = serde_json::from_slice(done)?;
            let Some(messages) = done["done"]["messages"].as_u64() else {
                bail!("the discovery of {word} ended: {done}")
            };
            if is_measured {
                firsts.record(first.unwrap_or(last));
                lasts.record(last);
                hits.push(messages);
            }
        }
    }
    found.push(Found { load: name, expected: vec![None; hits.len()], hits });
    Ok(both(name, meter, firsts, lasts))
}

/// The reports of a discovery.
pub fn both(name: &str, meter: Meter, firsts: Recorder, lasts: Recorder) -> Vec<Report> {
    let last = meter.finish(&format!("{name}, all hits"), lasts, 1);
    let mut first = Meter::start(&[]).finish(&format!("{name}, first hit"), firsts, 1);
    (first.seconds, first.per_second) = (last.seconds, last.per_second);
    super::progress(&first);
    super::progress(&last);
    vec![first, last]
}
