//! Entries on their way to a node, in batches.

use crate::admin::client::{CallError, Client};
use crate::admin::directory::{BringReply, BringRequest};
use anyhow::{Context, Result, bail};
use std::io::{IsTerminal, Write};
use std::time::Duration;
use zcluster_directory::wanted::{Manner, Outcome, Wanted};
use zcluster_runtime::{Instant, JoinHandle, sleep, spawn};

/// Entries of one call.
const BATCH: usize = 250;
/// Bytes of one call, about; a single entry may be larger.
const BATCH_BYTES: usize = 1024 * 1024;
/// How often a call is made again that could not be carried out now: a change of leaders takes seconds.
const ATTEMPTS: u32 = 30;
const PAUSE: Duration = Duration::from_secs(1);
/// How often progress is shown.
const SHOWN_EVERY: Duration = Duration::from_millis(500);

/// What became of the entries of a batch.
type Told = Vec<(Wanted, Outcome)>;

/// Sends entries on, a batch at a time: while the node works on one, the next one is read.
pub struct Batches {
    client: Client,
    manner: Manner,
    waiting: Vec<Wanted>,
    bytes: usize,
    sent: Option<JoinHandle<Result<Told>>>,
}

impl Batches {
    /// To this node.
    pub fn new(client: Client, manner: Manner) -> Self {
        Batches { client, manner, waiting: Vec::new(), bytes: 0, sent: None }
    }

    /// Takes an entry; if a batch is full with it, sends that and tells what became of the batch before.
    ///
    /// # Errors
    /// What to tell the user.
    pub async fn put(&mut self, wanted: Wanted) -> Result<Told> {
        let bytes = wanted.bytes();
        let full = self.waiting.len() >= BATCH || !self.waiting.is_empty() && self.bytes + bytes > BATCH_BYTES;
        let done = if full { self.send().await? } else { Vec::new() };
        self.bytes += bytes;
        self.waiting.push(wanted);
        Ok(done)
    }

    /// Sends what waits, and tells what became of all that was not told yet.
    ///
    /// # Errors
    /// What to tell the user.
    pub async fn flush(&mut self) -> Result<Told> {
        let mut told = self.send().await?;
        told.extend(self.told().await?);
        Ok(told)
    }

    /// Sends what waits when the batch before is done.
    async fn send(&mut self) -> Result<Told> {
        let told = self.told().await?;
        self.bytes = 0;
        if !self.waiting.is_empty() {
            let request = BringRequest { wanted: std::mem::take(&mut self.waiting), manner: self.manner };
            self.sent = Some(spawn(carry(self.client.clone(), request)));
        }
        Ok(told)
    }

    async fn told(&mut self) -> Result<Told> {
        match self.sent.take() {
            Some(sent) => sent.await.context("the call was given up")?,
            None => Ok(Vec::new()),
        }
    }
}

async fn carry(client: Client, request: BringRequest) -> Result<Told> {
    let reply: BringReply = patiently(|| client.post("/v1/directory/bring", &request)).await?;
    if reply.outcomes.len() != request.wanted.len() {
        bail!("the node told of {} entries, not of {}", reply.outcomes.len(), request.wanted.len());
    }
    Ok(request.wanted.into_iter().zip(reply.outcomes).collect())
}

/// Makes a call until it is answered, if what is in its way passes by. The calls of an import may be made twice: what is
/// there already is passed over.
///
/// # Errors
/// The last one.
pub async fn patiently<T, F: Future<Output = Result<T>>>(call: impl Fn() -> F) -> Result<T> {
    let mut attempt = 1;
    loop {
        match call().await {
            Err(e) if attempt < ATTEMPTS && passes_by(&e) => {
                attempt += 1;
                sleep(PAUSE).await;
            }
            other => return other,
        }
    }
}

fn passes_by(error: &anyhow::Error) -> bool {
    match error.downcast_ref::<CallError>() {
        Some(refused) => refused.code == "service.TEMPORARILY_UNAVAILABLE",
        None => error.to_string().starts_with("cannot reach"),
    }
}

/// A line that tells how far it is, on a terminal.
pub struct Progress {
    shown: Option<Instant>,
    began: Instant,
    on: bool,
}

impl Progress {
    /// Silent unless people look.
    pub fn new() -> Self {
        Progress { shown: None, began: Instant::now(), on: std::io::stderr().is_terminal() }
    }

    /// Shows `done` of `all` (0: unknown).
    pub fn show(&mut self, what: &str, done: u64, all: u64) {
        if !self.on || self.shown.is_some_and(|at| at.elapsed() < SHOWN_EVERY) {
            return;
        }
        self.shown = Some(Instant::now());
        let rate = done as f64 / self.began.elapsed().as_secs_f64().max(0.001);
        let of = if all > 0 { format!(" of {all}") } else { String::new() };
        eprint!("\r{what}: {done}{of}, {rate:.0}/s\x1b[K");
        let _ = std::io::stderr().flush();
    }

    /// Begins another count.
    pub fn restart(&mut self) {
        self.clear();
        (self.shown, self.began) = (None, Instant::now());
    }

    /// Takes the line away.
    pub fn clear(&self) {
        if self.on && self.shown.is_some() {
            eprint!("\r\x1b[K");
        }
    }
}
