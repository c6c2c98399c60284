//! The worker processes of a node: started when a document needs one, given one document at a time, killed when it takes too
//! long, and replaced.

mod child;

use crate::worker::Settings;
use crate::{Document, ExtractError, Extracted, Killed, Limits};
use child::{Child, Outcome};
use parking_lot::Mutex;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use zcluster_runtime::Instant;

/// Bytes of a document's media type and file name.
const NAMES_BYTES_MAX: usize = 64 * 1024;

/// How many workers, which program, and what a document may cost.
#[derive(Clone, Debug)]
pub struct PoolConfig {
    /// The program that calls [`crate::worker::run`]. `/proc/self/exe` is the caller's own, also after an upgrade of its file.
    pub program: PathBuf,
    /// What makes it do so.
    pub args: Vec<OsString>,
    /// Processes at the same time. Default 2.
    pub workers: usize,
    /// Documents that wait for a worker; more are refused with [`ExtractError::Busy`]. Default 64.
    pub waiting: usize,
    /// For one document, from when a worker has it. Default 20 s.
    pub timeout: Duration,
    /// Address space that documents may take in a worker, bytes. Default 512 MiB.
    pub memory_bytes: u64,
    /// Documents of one worker before it is replaced. Default 500.
    pub documents_per_worker: u64,
    /// Processor time of one worker's whole life. Default 10 minutes.
    pub cpu_per_worker: Duration,
    /// Takes workers only that filter system calls. Where a kernel cannot, there are no workers then. Default true.
    pub require_filter: bool,
    /// The limits of every document.
    pub limits: Limits,
}

impl PoolConfig {
    /// The defaults, for a program.
    pub fn new(program: impl Into<PathBuf>, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        PoolConfig {
            program: program.into(),
            args: args.into_iter().map(Into::into).collect(),
            workers: 2,
            waiting: 64,
            timeout: Duration::from_secs(20),
            memory_bytes: 512 << 20,
            documents_per_worker: 500,
            cpu_per_worker: Duration::from_secs(600),
            require_filter: true,
            limits: Limits::default(),
        }
    }

    fn settings(&self) -> Settings {
        Settings {
            memory_bytes: self.memory_bytes,
            cpu_seconds: self.cpu_per_worker.as_secs().max(1),
            limits: self.limits,
        }
    }
}

/// What a pool has done since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Documents that a worker answered, with text or with why there is none.
    pub documents: u64,
    /// Documents whose worker died or broke the protocol, other than by the time.
    pub killed: u64,
    /// Documents whose time ran out.
    pub timed_out: u64,
    /// Documents refused: too large, or too many waited.
    pub refused: u64,
    /// Workers started.
    pub started: u64,
}

#[derive(Default)]
struct Counters {
    documents: AtomicU64,
    killed: AtomicU64,
    timed_out: AtomicU64,
    refused: AtomicU64,
    started: AtomicU64,
}

/// The workers of a node. Dropping it ends them.
pub struct Pool {
    config: PoolConfig,
    /// One permit a worker.
    places: Semaphore,
    waiting: AtomicUsize,
    /// Workers without a document; those with one belong to its future.
    idle: Mutex<Vec<Child>>,
    counters: Counters,
}

impl Pool {
    /// A pool without a worker; the first document starts one.
    pub fn new(config: PoolConfig) -> Self {
        Pool {
            places: Semaphore::new(config.workers.max(1)),
            waiting: AtomicUsize::new(0),
            idle: Mutex::new(Vec::new()),
            counters: Counters::default(),
            config,
        }
    }

    /// The text of a document, read in a worker. Dropping the future kills the worker that is at it.
    ///
    /// A document whose worker dies is tried once more when that worker had read others before, since it may have died of those;
    /// never after its time ran out or it did what is forbidden.
    ///
    /// # Errors
    /// Every [`ExtractError`]; [`ExtractError::Busy`] and [`ExtractError::NoWorker`] say nothing about the document.
    pub async fn extract(&self, document: Document) -> Result<Extracted, ExtractError> {
        let began = Instant::now();
        let result = self.attempt(document).await;
        let outcome = match &result {
            Ok(_) => "text",
            Err(ExtractError::Unsupported(_)) => "unsupported",
            Err(ExtractError::Encrypted) => "encrypted",
            Err(ExtractError::Malformed(_)) => "malformed",
            Err(ExtractError::TooLarge(_)) => "too large",
            Err(ExtractError::Killed(Killed::Timeout)) => "timeout",
            Err(ExtractError::Killed(_)) => "killed",
            Err(ExtractError::Busy) => "busy",
            Err(ExtractError::NoWorker(_)) => "no worker",
        };
        metrics::counter!("zcluster_extract_documents_total", "outcome" => outcome).increment(1);
        metrics::histogram!("zcluster_extract_seconds", "outcome" => outcome).record(began.elapsed().as_secs_f64());
        result
    }

    /// What was done so far.
    pub fn counts(&self) -> Counts {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            documents: load(&self.counters.documents),
            killed: load(&self.counters.killed),
            timed_out: load(&self.counters.timed_out),
            refused: load(&self.counters.refused),
            started: load(&self.counters.started),
        }
    }

    async fn attempt(&self, document: Document) -> Result<Extracted, ExtractError> {
        let names = document.media_type.len() + document.filename.len();
        if document.bytes.len() as u64 > self.config.limits.input_bytes || names > NAMES_BYTES_MAX {
            count(&self.counters.refused);
            return Err(ExtractError::TooLarge(format!("{} bytes", document.bytes.len() + names)));
        }
        let _place = self.place().await?;
        let frame = crate::worker::frame::encoded(&document).map_err(|e| ExtractError::TooLarge(e.to_string()))?;
        drop(document);
        let idle = self.idle.lock().pop();
        if let Some(child) = idle {
            match self.feed(child, &frame).await {
                Err(ExtractError::Killed(why @ (Killed::Died(_) | Killed::Protocol(_)))) => {
                    tracing::debug!("extract: {why} after other documents, once more");
                }
                answer => return answer,
            }
        }
        let child = self.start().await?;
        self.feed(child, &frame).await
    }

    async fn place(&self) -> Result<tokio::sync::SemaphorePermit<'_>, ExtractError> {
        if let Ok(permit) = self.places.try_acquire() {
            return Ok(permit);
        }
        let _waits = Waits::begin(&self.waiting, self.config.waiting).ok_or_else(|| {
            count(&self.counters.refused);
            ExtractError::Busy
        })?;
        self.places.acquire().await.map_err(|_| ExtractError::Busy)
    }

    async fn start(&self) -> Result<Child, ExtractError> {
        let child = Child::start(&self.config).await.map_err(|why| {
            tracing::warn!("extract: no worker: {why}");
            ExtractError::NoWorker(why)
        })?;
        count(&self.counters.started);
        metrics::counter!("zcluster_extract_workers_started_total").increment(1);
        Ok(child)
    }

    /// Gives a document to a worker, and takes the worker back if it lives.
    async fn feed(&self, mut child: Child, frame: &[u8]) -> Result<Extracted, ExtractError> {
        let outcome = match zcluster_runtime::timeout(self.config.timeout, child.ask(frame, &self.config.limits)).await
        {
            Ok(outcome) => outcome,
            Err(_) => Outcome::Killed(Killed::Timeout),
        };
        let why = match outcome {
            Outcome::Answer(answer) => {
                count(&self.counters.documents);
                if child.answered() < self.config.documents_per_worker {
                    self.idle.lock().push(child);
                }
                return answer;
            }
            Outcome::Broken(why) => child.end(why).await,
            Outcome::Killed(why) => {
                child.kill().await;
                why
            }
        };
        count(if why == Killed::Timeout { &self.counters.timed_out } else { &self.counters.killed });
        tracing::info!("extract: a worker {why}");
        Err(ExtractError::Killed(why))
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// One document that waits.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn begin(waiting: &'a AtomicUsize, max: usize) -> Option<Self> {
        let more = |n| (n < max).then_some(n + 1);
        waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Waits(waiting))
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
