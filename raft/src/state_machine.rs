//! openraft's state machine on a [`StateMachine`], and the points up to which the log may be cut.
//!
//! A machine's state is durable by its own flushes, so an openraft "snapshot" has two meanings here that are kept
//! apart. For cutting the log, a snapshot is only a *point*: an applied position that is flushed; remembering it costs
//! nothing. For a follower that is too far behind, the live machine is asked for a view of its present state, and
//! only then.

use crate::types::{
    C, Meta, RaftId, Reply, StoredMembers, applied_from_meta, encode_members, from_raft, meta_from_applied, to_raft,
};
use crate::{Applied, Config, Entry, EntryKind, LogId, SnapshotSink, SnapshotSource, StateMachine};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use openraft::alias::SnapshotOf;
use openraft::storage::{ApplyResponder, EntryResponder, RaftSnapshotBuilder, RaftStateMachine, Snapshot};
use openraft::{EntryPayload, OptionalSend, StoredMembership};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use zcluster_runtime::planted::{Bug, planted};
use zcluster_runtime::{probe, watch};

/// Points remembered at most; when there are more, every second one is dropped.
const MAX_POINTS: usize = 1024;
/// Points per cut of the log: how finely a cut can follow the flushed position.
const POINTS_PER_CUT: u64 = 16;

/// What a group's machine shares with the group's handles and its log.
pub(crate) struct Progress {
    /// The last applied entry.
    pub(crate) applied: watch::Sender<Option<LogId>>,
    /// Raised when the log has grown enough in bytes to be cut.
    pub(crate) cut: watch::Sender<u64>,
    /// The next cut goes as far as the flushed state allows, leaving nothing for slow followers.
    pub(crate) cut_all: AtomicBool,
    /// The group runs: a snapshot is now something to send.
    pub(crate) running: AtomicBool,
    /// First index that must stay in the log: one behind what is known to be flushed.
    purge_end: AtomicU64,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self {
            applied: watch::channel(None).0,
            cut: watch::channel(0).0,
            cut_all: AtomicBool::new(false),
            running: AtomicBool::new(false),
            purge_end: AtomicU64::new(0),
        }
    }
    pub(crate) fn applied(&self) -> Option<LogId> {
        *self.applied.borrow()
    }
    pub(crate) fn may_purge(&self, index: u64) -> bool {
        index < self.purge_end()
    }
    pub(crate) fn purge_end(&self) -> u64 {
        self.purge_end.load(Ordering::Acquire)
    }
    fn flushed(&self, index: Option<u64>) {
        self.purge_end.fetch_max(index.map_or(0, |i| i + 1), Ordering::AcqRel);
    }
}

/// What openraft hands around as snapshot data.
pub(crate) enum SnapshotData {
    /// A point: nothing to send.
    Point,
    /// A view to send.
    Source(Arc<dyn SnapshotSource>),
    /// Completely received.
    Received(Box<dyn SnapshotSink>),
}

/// An applied position that may become a cut of the log.
struct Point {
    id: RaftId,
    membership: StoredMembers,
    /// Bytes applied up to here.
    bytes: u64,
}

/// The adapter. It owns the machine; `None` only while a blocking thread has it.
pub(crate) struct Machine {
    group: u32,
    machine: Mutex<Option<Box<dyn StateMachine>>>,
    config: Arc<Config>,
    progress: Arc<Progress>,
    membership: StoredMembers,
    last: Option<RaftId>,
    /// Bytes applied since the start.
    bytes: u64,
    points: VecDeque<Point>,
    /// Where the flushed state stood at the start.
    start: Option<Meta>,
    /// The last point that was reported to openraft.
    reported: Option<RaftId>,
    /// `bytes` when the last cut was asked for.
    asked_at: u64,
}

impl Machine {
    /// The last entry that was applied.
    pub(crate) fn last(&self) -> Option<LogId> {
        self.last.as_ref().map(from_raft)
    }

    /// Reads what the machine has applied, which is what is on its disk: nothing was applied since the start.
    pub(crate) fn new(
        group: u32,
        mut machine: Box<dyn StateMachine>,
        config: Arc<Config>,
        progress: Arc<Progress>,
    ) -> io::Result<Self> {
        let applied = machine.applied()?;
        let meta = meta_from_applied(&applied)?;
        progress.flushed(applied.last.map(|l| l.index));
        progress.applied.send_replace(applied.last);
        let start = applied.last.map(|_| meta.clone());
        Ok(Self {
            group,
            start,
            machine: Mutex::new(Some(machine)),
            config,
            progress,
            membership: meta.last_membership,
            last: meta.last_log_id,
            bytes: 0,
            points: VecDeque::new(),
            reported: meta.last_log_id,
            asked_at: 0,
        })
    }

    fn now(&mut self) -> io::Result<&mut Box<dyn StateMachine>> {
        self.machine.get_mut().as_mut().ok_or_else(|| io::Error::other("the state machine was lost in a panic"))
    }

    /// Runs slow work with the machine on a blocking thread.
    async fn blocking<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut dyn StateMachine) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        self.now()?;
        let taken = self.machine.get_mut().take();
        let (machine, result) = zcluster_runtime::spawn_blocking(move || {
            let mut machine = taken;
            let result = machine
                .as_mut()
                .map_or_else(|| Err(io::Error::other("the state machine is away")), |m| work(m.as_mut()));
            (machine, result)
        })
        .await
        .map_err(io::Error::other)?;
        *self.machine.get_mut() = machine;
        result
    }

    /// Begins to receive a snapshot.
    pub(crate) async fn begin_install(&mut self, manifest: Bytes) -> io::Result<Box<dyn SnapshotSink>> {
        self.blocking(move |m| m.begin_install(manifest)).await
    }

    /// Applies a batch and answers whoever waits.
    fn apply_batch(&mut self, batch: &mut Batch) -> io::Result<()> {
        let entries = std::mem::take(&mut batch.entries);
        let Some(last) = entries.last().map(|e| e.id) else { return Ok(()) };
        let count = entries.len();
        let machine = self.now()?;
        // A machine that panics must stop the group like one that fails, not leave its callers waiting.
        let replies = catch_unwind(AssertUnwindSafe(|| machine.apply(entries)))
            .map_err(|_| io::Error::other("the state machine panicked"))??;
        if replies.len() != count {
            return Err(io::Error::other(format!("{} replies to {count} entries", replies.len())));
        }
        self.last = Some(to_raft(last));
        self.bytes += std::mem::take(&mut batch.bytes) as u64;
        if let Some(membership) = batch.membership.take() {
            self.membership = membership;
        }
        // Readers that wait for this position go first: they need no reply to be built.
        self.progress.applied.send_replace(Some(last));
        for (responder, reply) in batch.responders.drain(..).zip(replies) {
            if let Some(responder) = responder {
                responder.send(Reply(reply));
            }
        }
        self.remember_point();
        Ok(())
    }

    fn remember_point(&mut self) {
        let Some(id) = self.last else { return };
        let (at, bytes) =
            self.points.back().map_or((self.reported.map_or(0, |r| r.index), 0), |p| (p.id.index, p.bytes));
        let entries_step = (self.config.snapshot_every / POINTS_PER_CUT).max(1);
        let bytes_step = (self.config.snapshot_bytes / POINTS_PER_CUT).max(1);
        if id.index.saturating_sub(at) >= entries_step || self.bytes - bytes >= bytes_step {
            self.points.push_back(Point { id, membership: self.membership.clone(), bytes: self.bytes });
        }
        if self.points.len() > MAX_POINTS {
            let mut keep = false;
            self.points.retain(|_| {
                keep = !keep;
                keep
            });
        }
        if self.bytes - self.asked_at >= self.config.snapshot_bytes {
            self.asked_at = self.bytes;
            self.progress.cut.send_if_modified(|n| {
                *n += 1;
                true
            });
        }
    }

    /// The newest point that is flushed and leaves enough log for a follower that was away for a moment.
    fn next_point(&mut self) -> io::Result<Option<Meta>> {
        let all = self.progress.cut_all.swap(false, Ordering::AcqRel);
        let mut durable = self.now()?.durable_index()?;
        if planted(Bug::PurgeBeyondSnapshot) {
            // What is applied is taken for flushed.
            durable = self.last.map(|l| l.index);
        }
        self.progress.flushed(durable);
        let applied = self.last.map_or(0, |l| l.index);
        if all && let Some(id) = self.last.filter(|l| durable >= Some(l.index)) {
            self.points.push_back(Point { id, membership: self.membership.clone(), bytes: self.bytes });
        }
        let (keep_entries, keep_bytes) = (self.config.keep_entries, self.config.keep_bytes);
        let may = |p: &Point| {
            let behind = all || applied - p.id.index >= keep_entries || self.bytes - p.bytes >= keep_bytes;
            behind && durable >= Some(p.id.index)
        };
        let Some(at) = self.points.iter().rposition(may) else {
            self.now()?.request_flush();
            return Ok(None);
        };
        let point = self.points.drain(..=at).next_back();
        let point = point.filter(|p| Some(p.id) > self.reported);
        if let Some(p) = &point {
            self.reported = Some(p.id);
            tracing::debug!(group = self.group, index = p.id.index, applied, "log may be cut");
        }
        Ok(point.map(|p| Meta { last_log_id: Some(p.id), last_membership: p.membership }))
    }
}

/// Entries on their way into the machine.
#[derive(Default)]
struct Batch {
    entries: Vec<Entry>,
    responders: Vec<Option<ApplyResponder<C>>>,
    bytes: usize,
    membership: Option<StoredMembers>,
    next: Option<u64>,
}

impl Batch {
    fn push(&mut self, (entry, responder): EntryResponder<C>) -> io::Result<()> {
        let id = from_raft(&entry.log_id);
        // A hole in the log would make replicas differ for ever: better to stop here.
        if self.next.is_some_and(|next| next != id.index) {
            return Err(io::Error::other(format!("entry {} to apply where {:?} comes next", id.index, self.next)));
        }
        self.next = Some(id.index + 1);
        let kind = match entry.payload {
            EntryPayload::Blank => EntryKind::Blank,
            EntryPayload::Normal(command) => EntryKind::Normal(command.0),
            EntryPayload::Membership(m) => {
                let bytes = encode_members(&m);
                self.membership = Some(StoredMembership::new(Some(entry.log_id), m));
                EntryKind::Membership(bytes)
            }
        };
        let entry = Entry { id, kind };
        self.bytes += crate::log::weight(&entry);
        self.entries.push(entry);
        self.responders.push(responder);
        Ok(())
    }
    fn is_full(&self, config: &Config) -> bool {
        self.entries.len() >= config.max_apply_entries || self.bytes >= config.max_apply_bytes
    }
}

impl RaftStateMachine<C> for Machine {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = PointBuilder;

    async fn applied_state(&mut self) -> io::Result<(Option<RaftId>, StoredMembers)> {
        Ok((self.last, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<C>>> + Unpin + OptionalSend,
    {
        let mut batch = Batch { next: Some(self.last.map_or(0, |l| l.index + 1)), ..Batch::default() };
        while let Some(entry) = entries.next().await {
            batch.push(entry?)?;
            if batch.is_full(&self.config) {
                self.apply_batch(&mut batch)?;
            }
        }
        self.apply_batch(&mut batch)
    }

    async fn try_create_snapshot_builder(&mut self, force: bool) -> Option<PointBuilder> {
        match self.next_point() {
            Ok(Some(meta)) => Some(PointBuilder(Ok(meta))),
            // Forced only at the start, when the log was cut and the machine knows of nothing.
            Ok(None) if force => Some(PointBuilder(Err("the log was cut, but the state machine is empty".into()))),
            Ok(None) => None,
            Err(e) => Some(PointBuilder(Err(e.to_string()))),
        }
    }

    async fn get_snapshot_builder(&mut self) -> PointBuilder {
        PointBuilder(Err("not used".into()))
    }

    async fn install_snapshot(&mut self, meta: &Meta, data: SnapshotData) -> io::Result<()> {
        let SnapshotData::Received(sink) = data else {
            return Err(io::Error::other("a snapshot that was never received"));
        };
        let applied = applied_from_meta(meta);
        let last = applied.last;
        self.blocking(move |m| m.finish_install(sink, applied)).await?;
        let index = last.map_or(0, |l| l.index);
        tracing::info!(group = self.group, index, "snapshot installed");
        probe("raft.snapshot.installed", &[u64::from(self.group), index]);
        self.last = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.points.clear();
        self.reported = meta.last_log_id;
        self.progress.flushed(last.map(|l| l.index));
        self.progress.applied.send_replace(last);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<RaftSnapshot>> {
        if !self.progress.running.load(Ordering::Acquire) {
            // At the start openraft only asks where the flushed state stands.
            return Ok(self.start.clone().map(|meta| Snapshot { meta, snapshot: SnapshotData::Point }));
        }
        let source = self.blocking(|m| m.snapshot()).await?;
        let applied: Applied = source.applied();
        if applied.last.is_none() {
            return Ok(None);
        }
        let meta = meta_from_applied(&applied)?;
        Ok(Some(Snapshot { meta, snapshot: SnapshotData::Source(Arc::from(source)) }))
    }
}

/// A snapshot as openraft passes it on.
pub(crate) type RaftSnapshot = SnapshotOf<C, SnapshotData>;

/// Reports a point to openraft.
pub(crate) struct PointBuilder(Result<Meta, String>);

impl RaftSnapshotBuilder<C> for PointBuilder {
    type SnapshotData = SnapshotData;
    async fn build_snapshot(&mut self) -> io::Result<RaftSnapshot> {
        let meta = self.0.clone().map_err(io::Error::other)?;
        Ok(Snapshot { meta, snapshot: SnapshotData::Point })
    }
}
