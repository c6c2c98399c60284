//! One volume: repetition, time, counts, and whether it is ours at all.

use crate::backend::{self, Backend, Fault, Piece};
use crate::config::{Credentials, VolumeConfig};
use crate::limits::{Breaker, Limits};
use crate::mark::{self, Mark};
use bytes::Bytes;
use futures::future::BoxFuture;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use zcluster_api::volume::Requests;
use zcluster_api::{Error, Listed, Result};
use zcluster_runtime::{Instant, jitter, sleep, timeout, timeout_at};

/// Objects in one answer to a list of a store.
const LIST_MAX: usize = 10_000;

/// An open volume.
pub(crate) struct Store {
    pub(crate) config: VolumeConfig,
    pub(crate) credentials: Credentials,
    backend: Box<dyn Backend>,
    limits: Limits,
    breaker: Breaker,
    slots: Semaphore,
    cluster: String,
    /// Its mark was seen, and cannot have changed since.
    is_ours: AtomicBool,
}

/// What is asked.
#[derive(Clone, Copy)]
enum Op {
    Get,
    Put,
    Delete,
    List,
}

/// Requests of this process, in the order of [`Op`].
static REQUESTS: [AtomicU64; 4] = [const { AtomicU64::new(0) }; 4];

/// What this process has asked of stores.
pub(crate) fn requests() -> Requests {
    let [gets, puts, deletes, lists] = [0, 1, 2, 3].map(|op: usize| REQUESTS[op].load(Ordering::Relaxed));
    Requests { gets, puts, deletes, lists }
}

impl Op {
    fn name(self) -> &'static str {
        match self {
            Op::Get => "get",
            Op::Put => "put",
            Op::Delete => "delete",
            Op::List => "list",
        }
    }
}

impl Store {
    /// Opens a volume; no I/O but for a file of certificates.
    ///
    /// # Errors
    /// `Invalid`: its settings or credentials do not go together.
    pub(crate) fn open(
        config: VolumeConfig,
        credentials: Credentials,
        cluster: &str,
        limits: Limits,
    ) -> Result<Arc<Store>> {
        credentials.check(&config)?;
        let backend = backend::open(&config, &credentials)?;
        Ok(Arc::new(Self::with(backend, config, credentials, cluster, limits)))
    }

    pub(crate) fn with(
        backend: Box<dyn Backend>,
        config: VolumeConfig,
        credentials: Credentials,
        cluster: &str,
        limits: Limits,
    ) -> Store {
        let slots = Semaphore::new(limits.at_a_time.max(1));
        let (breaker, is_ours) = (Breaker::new(), AtomicBool::new(false));
        Store { config, credentials, backend, limits, breaker, slots, cluster: cluster.into(), is_ours }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.config.name
    }

    /// How it makes durable what is written.
    pub(crate) fn durability(&self) -> &'static str {
        self.backend.durability()
    }

    /// Why it is left alone at the moment, if it is.
    pub(crate) fn away(&self) -> Option<String> {
        self.breaker.away()
    }

    /// Asks until there is an answer, within the limits. `bytes` is what will be carried.
    async fn ask<'a, T>(
        &'a self,
        op: Op,
        bytes: u64,
        call: impl Fn() -> BoxFuture<'a, Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let carrying = self.limits.transfer(bytes);
        let begun = Instant::now();
        let deadline = begun + self.limits.total + carrying;
        let mut last = Fault::Away("other calls to this volume took the time".into());
        let mut outcome = Err(last.clone());
        if let Ok(Ok(_slot)) = timeout_at(deadline, self.slots.acquire()).await {
            for attempt in 0..self.limits.attempts.max(1) {
                let wait = if attempt == 0 { Duration::ZERO } else { jitter(self.limits.wait(attempt)) };
                if attempt > 0 {
                    if deadline.remaining() <= wait {
                        break;
                    }
                    sleep(wait).await;
                    metrics::counter!("zcluster_volume_repeats_total", "volume" => self.name().to_string(),
                        "operation" => op.name())
                    .increment(1);
                }
                if let Err(why) = self.breaker.ask(&self.limits) {
                    outcome = Err(Fault::Away(why));
                    break;
                }
                REQUESTS[op as usize].fetch_add(1, Ordering::Relaxed);
                let time = (self.limits.attempt + carrying).min(deadline.remaining());
                let answer = timeout(time, call()).await;
                let answer = answer.unwrap_or_else(|_| Err(Fault::Away(format!("no answer in {time:?}"))));
                match answer {
                    Err(Fault::Away(why)) => {
                        self.failed(&why);
                        last = Fault::Away(why);
                        outcome = Err(last.clone());
                    }
                    answered => {
                        self.answered(!matches!(answered, Err(Fault::Refused(_))));
                        outcome = answered;
                        break;
                    }
                }
            }
        }
        self.count(op, &outcome, begun);
        outcome
    }

    fn failed(&self, why: &str) {
        if self.breaker.failed(why, &self.limits) {
            tracing::warn!(volume = self.name(), why, "the volume does not answer");
            metrics::gauge!("zcluster_volume_up", "volume" => self.name().to_string()).set(0.0);
        }
    }

    /// Something came back; of use or, with a wrong key say, of none.
    fn answered(&self, works: bool) {
        if self.breaker.answered() {
            tracing::info!(volume = self.name(), "the volume answers again");
        }
        let up = if works { 1.0 } else { 0.0 };
        metrics::gauge!("zcluster_volume_up", "volume" => self.name().to_string()).set(up);
    }

    fn count<T>(&self, op: Op, outcome: &Result<T, Fault>, begun: Instant) {
        let result = match outcome {
            Ok(_) => "ok",
            Err(Fault::NotFound) => "absent",
            Err(Fault::Exists) => "exists",
            Err(Fault::Short | Fault::Refused(_)) => "refused",
            Err(Fault::Away(_)) => "away",
        };
        let volume = self.name().to_string();
        metrics::counter!("zcluster_volume_requests_total", "volume" => volume.clone(), "operation" => op.name(),
            "result" => result)
        .increment(1);
        metrics::histogram!("zcluster_volume_seconds", "volume" => volume, "operation" => op.name())
            .record(begun.elapsed().as_secs_f64());
    }

    fn count_bytes(&self, op: Op, bytes: u64) {
        metrics::counter!("zcluster_volume_bytes_total", "volume" => self.name().to_string(), "operation" => op.name())
            .increment(bytes);
    }

    fn error(&self, object: &str, fault: Fault) -> Error {
        let name = self.name();
        match fault {
            Fault::NotFound => Error::NotFound(format!("object {name}:{object}")),
            Fault::Exists => Error::Exists(format!("object {name}:{object}")),
            Fault::Short => Error::NotFound(format!("so many bytes in object {name}:{object}")),
            // Settings may be put right: nothing is said about what lies there.
            Fault::Refused(why) | Fault::Away(why) => Error::Unavailable(format!("volume {name}: {why}")),
        }
    }

    /// Bytes of a range, as far as the object goes.
    pub(crate) async fn get(&self, object: &str, range: Range<u64>) -> Result<Piece> {
        let outcome = self.get_unchecked(object, range).await;
        if matches!(outcome, Err(Error::NotFound(_))) {
            // Perhaps not this object is missing, but the bucket, or the disk behind the folder.
            self.look().await?;
        }
        outcome
    }

    /// Without looking whose the volume is.
    pub(crate) async fn get_unchecked(&self, object: &str, range: Range<u64>) -> Result<Piece> {
        let asked = range.end.saturating_sub(range.start);
        let piece = self.ask(Op::Get, asked, || self.backend.get(object, range.clone())).await;
        let piece = piece.map_err(|e| self.error(object, e))?;
        self.count_bytes(Op::Get, piece.bytes.len() as u64);
        Ok(piece)
    }

    /// See [`zcluster_api::Volumes::put`].
    pub(crate) async fn put(&self, object: &str, bytes: Bytes) -> Result<()> {
        self.check().await?;
        self.put_unchecked(object, bytes).await
    }

    /// Without looking whose the volume is.
    pub(crate) async fn put_unchecked(&self, object: &str, bytes: Bytes) -> Result<()> {
        let size = bytes.len() as u64;
        match self.ask(Op::Put, size, || self.backend.put(object, bytes.clone())).await {
            Ok(()) => {}
            // From a try whose answer was lost, or from a caller's earlier one: it counts if it is the same.
            Err(Fault::Exists) => {
                let there = self.ask(Op::Get, size, || self.backend.get(object, 0..size + 1)).await;
                if there.map_err(|e| self.error(object, e))?.bytes != bytes {
                    return Err(self.error(object, Fault::Exists));
                }
            }
            Err(fault) => return Err(self.error(object, fault)),
        }
        self.count_bytes(Op::Put, size);
        Ok(())
    }

    /// See [`zcluster_api::Volumes::delete`].
    pub(crate) async fn delete(&self, object: &str) -> Result<()> {
        self.check().await?;
        self.delete_unchecked(object).await
    }

    /// Without looking whose the volume is.
    pub(crate) async fn delete_unchecked(&self, object: &str) -> Result<()> {
        self.ask(Op::Delete, 0, || self.backend.delete(object)).await.map_err(|e| self.error(object, e))
    }

    /// See [`zcluster_api::Volumes::list`].
    pub(crate) async fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<Listed>> {
        self.check().await?;
        self.list_unchecked(prefix, after, limit).await
    }

    /// Without looking whose the volume is.
    pub(crate) async fn list_unchecked(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<Listed>> {
        let limit = limit.min(LIST_MAX);
        let listed = self.ask(Op::List, 0, || self.backend.list(prefix, after, limit)).await;
        listed.map_err(|e| self.error(prefix, e))
    }

    /// Its mark; none: it has none.
    pub(crate) async fn mark(&self) -> Result<Option<Mark>> {
        match self.ask(Op::Get, 0, || self.backend.get(mark::NAME, 0..mark::MAX)).await {
            Ok(piece) => Mark::parse(&piece.bytes).map(Some).ok_or_else(|| {
                Error::Unavailable(format!("volume {}: {} is not a mark of ours", self.name(), mark::NAME))
            }),
            Err(Fault::NotFound) => Ok(None),
            Err(fault) => Err(self.error(mark::NAME, fault)),
        }
    }

    /// Makes it ours.
    ///
    /// # Errors
    /// `Conflict`: it is somebody's already.
    pub(crate) async fn claim(&self) -> Result<()> {
        let own = Mark { cluster: self.cluster.clone(), name: self.name().into() };
        match self.put_unchecked(mark::NAME, own.text().into()).await {
            Err(Error::Exists(_)) => Err(Error::Conflict(self.foreign(self.mark().await?.as_ref()))),
            other => other,
        }
    }

    /// Gives it up: it is nobody's any more.
    pub(crate) async fn release(&self) -> Result<()> {
        self.check().await?;
        self.is_ours.store(false, Ordering::Relaxed);
        self.delete_unchecked(mark::NAME).await
    }

    /// The same as [`check`](Self::check), asked now whatever is known.
    pub(crate) async fn look(&self) -> Result<()> {
        self.is_ours.store(false, Ordering::Relaxed);
        self.check().await
    }

    /// Whether what is there under the volume's address is this volume.
    ///
    /// # Errors
    /// `Unavailable`: it is not, or cannot be asked.
    pub(crate) async fn check(&self) -> Result<()> {
        if self.is_ours.load(Ordering::Relaxed) && !self.backend.may_be_replaced() {
            return Ok(());
        }
        let found = self.mark().await?;
        match &found {
            Some(mark) if mark.cluster == self.cluster && mark.name == self.name() => {
                self.is_ours.store(true, Ordering::Relaxed);
                Ok(())
            }
            other => Err(Error::Unavailable(self.foreign(other.as_ref()))),
        }
    }

    /// How it is not ours.
    pub(crate) fn foreign(&self, mark: Option<&Mark>) -> String {
        let (name, file) = (self.name(), mark::NAME);
        match mark {
            None if self.config.is_folder() => {
                format!("volume {name}: {} has no {file} in it; is it mounted?", self.config.url)
            }
            None => format!("volume {name}: {} has no {file} in it; is it the right bucket?", self.config.url),
            Some(m) if m.cluster == self.cluster => {
                format!("{} is volume {} of this cluster", self.config.url, m.name)
            }
            Some(m) => format!("{} is volume {} of another cluster ({})", self.config.url, m.name, m.cluster),
        }
    }
}
