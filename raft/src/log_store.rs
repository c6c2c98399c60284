//! openraft's log storage on a [`LogEngine`].

use crate::log::{LogEngine, Op, Vote};
use crate::state_machine::Progress;
use crate::types::{
    C, RaftEntry, RaftId, RaftVote, entry_from_raft, entry_to_raft, from_raft, to_raft, vote_from_raft, vote_to_raft,
};
use crate::{Entry, LogId};
use futures::Stream;
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader};
use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;
use tokio::sync::oneshot;
use zcluster_runtime::probe;

/// One group's log. Clones read and write the same log.
#[derive(Clone)]
pub(crate) struct LogStore {
    engine: Arc<dyn LogEngine>,
    group: u32,
    /// Bytes of entries in one read.
    max_bytes: usize,
    progress: Arc<Progress>,
}

impl LogStore {
    pub(crate) fn new(engine: Arc<dyn LogEngine>, group: u32, max_bytes: usize, progress: Arc<Progress>) -> Self {
        Self { engine, group, max_bytes, progress }
    }

    /// Entries from `from` on, at least one, at most a read's worth. What is not in memory is read on a blocking
    /// thread.
    async fn chunk(&self, from: u64, to: u64) -> io::Result<Vec<Entry>> {
        if let Some(entries) = self.engine.read_cached(self.group, from, to, self.max_bytes) {
            return Ok(entries);
        }
        probe("raft.log.read_disk", &[u64::from(self.group), from]);
        let (engine, group, max_bytes) = (self.engine.clone(), self.group, self.max_bytes);
        zcluster_runtime::spawn_blocking(move || engine.read(group, from, to, max_bytes))
            .await
            .map_err(io::Error::other)?
            .inspect_err(|e| tracing::error!(group, from, to, error = %e, "reading the log failed"))
    }

    /// Cuts off what contradicts the state machine. A crash may take a truncation, and the entries written behind it,
    /// that were not synced yet but committed by others, applied here from memory and flushed: the log then has an old
    /// leader's entries where the state has the new leader's. Those were never committed.
    pub(crate) async fn drop_contradiction(&self, applied: Option<LogId>) -> io::Result<()> {
        let state = self.engine.state(self.group);
        let (Some(applied), Some(last)) = (applied, state.last) else { return Ok(()) };
        if last.index < applied.index || state.purged.is_some_and(|p| p.index >= applied.index) {
            return Ok(());
        }
        let before = applied.index.saturating_sub(1);
        let mut entries = Vec::new();
        for index in before.max(state.purged.map_or(0, |p| p.index + 1))..=applied.index {
            entries.extend(self.chunk(index, index + 1).await?);
        }
        let at = |index: u64| entries.iter().map(|e| e.id).find(|id| id.index == index);
        if at(applied.index) == Some(applied) {
            return Ok(());
        }
        let keep = if applied.index == 0 { None } else { at(before).or(state.purged) };
        tracing::warn!(group = self.group, ?applied, ?last, "entries that were never committed are cut off");
        probe("raft.log.contradicted", &[u64::from(self.group), applied.index, last.index]);
        self.submit_and_wait(Op::TruncateAfter(keep)).await
    }

    fn vote(&self) -> Option<Vote> {
        self.engine.state(self.group).vote
    }

    /// Submits and waits until it is durable.
    async fn submit_and_wait(&self, op: Op) -> io::Result<()> {
        let (tx, rx) = oneshot::channel();
        let done = Box::new(move |result| {
            let _ = tx.send(result);
        });
        self.engine.submit(self.group, op, Some(done));
        rx.await.map_err(|_| io::Error::other("the log was closed"))?
    }
}

fn bounds(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let from = match range.start_bound() {
        Bound::Included(n) => *n,
        Bound::Excluded(n) => n.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let to = match range.end_bound() {
        Bound::Included(n) => n.saturating_add(1),
        Bound::Excluded(n) => *n,
        Bound::Unbounded => u64::MAX,
    };
    (from, to)
}

impl RaftLogReader<C> for LogStore {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> io::Result<Vec<RaftEntry>>
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let (from, to) = bounds(&range);
        // Entries that were cut off, or that do not exist yet, may be missing at the ends of the range.
        let state = self.engine.state(self.group);
        let mut next = from.max(state.purged.map_or(0, |p| p.index + 1));
        let to = to.min(state.last.map_or(0, |l| l.index + 1));
        let mut out = Vec::new();
        while next < to {
            let chunk = self.chunk(next, to).await?;
            if chunk.is_empty() {
                break;
            }
            next += chunk.len() as u64;
            for entry in chunk {
                out.push(entry_to_raft(entry)?);
            }
        }
        Ok(out)
    }

    async fn read_vote(&mut self) -> io::Result<Option<RaftVote>> {
        Ok(self.vote().map(vote_to_raft))
    }

    /// Entries to be applied: read chunk by chunk while the state machine takes them.
    async fn entries_stream<RB>(&mut self, range: RB) -> impl Stream<Item = io::Result<RaftEntry>> + OptionalSend
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let (from, to) = bounds(&range);
        let state = (self.clone(), VecDeque::new(), from);
        futures::stream::try_unfold(state, move |(log, mut chunk, next)| async move {
            if chunk.is_empty() && next < to {
                chunk = VecDeque::from(log.chunk(next, to).await?);
                if chunk.is_empty() {
                    return Err(io::Error::other(format!("committed entry {next} is missing")));
                }
            }
            let Some(entry) = chunk.pop_front() else { return Ok(None) };
            Ok(Some((entry_to_raft(entry)?, (log, chunk, next + 1))))
        })
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<RaftEntry>> {
        self.chunk(start, end).await?.into_iter().map(entry_to_raft).collect()
    }
}

impl RaftLogStorage<C> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<C>> {
        let state = self.engine.state(self.group);
        Ok(LogState { last_purged_log_id: state.purged.map(to_raft), last_log_id: state.last.map(to_raft) })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &RaftVote) -> io::Result<()> {
        self.submit_and_wait(Op::Vote(vote_from_raft(vote))).await
    }

    async fn save_committed(&mut self, committed: Option<RaftId>) -> io::Result<()> {
        if let Some(id) = committed {
            self.engine.submit(self.group, Op::Committed(from_raft(&id)), None);
        }
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<RaftId>> {
        Ok(self.engine.state(self.group).committed.map(to_raft))
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<C>) -> io::Result<()>
    where
        I: IntoIterator<Item = RaftEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().map(entry_from_raft).collect();
        let done = Box::new(move |result| callback.io_completed(result));
        self.engine.submit(self.group, Op::Append(entries), Some(done));
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<RaftId>) -> io::Result<()> {
        let last: Option<LogId> = last.as_ref().map(from_raft);
        let end = |id: Option<LogId>| id.map_or(0, |l| l.index + 1);
        let (cut, keep) = (end(self.engine.state(self.group).last), end(last));
        if cut > keep {
            // Another leader's entries stand where some of this node's did: those were never committed.
            probe("raft.log.truncated", &[u64::from(self.group), keep, cut - keep]);
        }
        self.engine.submit(self.group, Op::TruncateAfter(last), None);
        Ok(())
    }

    /// Cuts the log, never beyond what the state machine has on disk: behind that point the log is the only copy.
    async fn purge(&mut self, upto: RaftId) -> io::Result<()> {
        let upto: LogId = from_raft(&upto);
        if !self.progress.may_purge(upto.index) {
            return Err(io::Error::other(format!(
                "refusing to purge group {} up to {}: the state machine is durable only below {}",
                self.group,
                upto.index,
                self.progress.purge_end()
            )));
        }
        probe("raft.log.cut", &[u64::from(self.group), upto.index]);
        self.engine.submit(self.group, Op::Purge(upto), None);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EntryKind;
    use crate::log::MemoryLog;

    fn id(term: u64, index: u64) -> LogId {
        LogId { term, index }
    }

    fn log(ids: &[LogId]) -> LogStore {
        let engine = Arc::new(MemoryLog::new());
        let entries = ids.iter().map(|id| Entry { id: *id, kind: EntryKind::Blank }).collect();
        engine.submit(1, Op::Append(entries), None);
        LogStore::new(engine, 1, 1 << 20, Arc::new(Progress::new()))
    }

    /// Simulator, seed 8161: after a power cut the log ended with an entry of a term before the one that was applied.
    #[tokio::test]
    async fn what_contradicts_the_state_is_cut_off() {
        let ids = [id(1, 0), id(1, 1), id(7, 2), id(7, 3), id(7, 4)];
        let last_after = async |applied: Option<LogId>, purged: Option<LogId>| {
            let log = log(&ids);
            if let Some(purged) = purged {
                log.engine.submit(1, Op::Purge(purged), None);
            }
            log.drop_contradiction(applied).await.unwrap();
            log.engine.state(1).last
        };
        assert_eq!(last_after(Some(id(8, 4)), None).await, Some(id(7, 3)));
        assert_eq!(last_after(Some(id(8, 2)), None).await, Some(id(1, 1)));
        assert_eq!(last_after(Some(id(8, 2)), Some(id(1, 1))).await, Some(id(1, 1)));
        assert_eq!(last_after(Some(id(8, 0)), None).await, None);
        // Nothing to mend: the same entry, a state behind or ahead of the log, an empty state.
        for applied in [Some(id(7, 4)), Some(id(1, 1)), Some(id(7, 2)), Some(id(8, 5)), None] {
            assert_eq!(last_after(applied, None).await, Some(id(7, 4)), "{applied:?}");
        }
        assert_eq!(last_after(Some(id(7, 3)), Some(id(7, 3))).await, Some(id(7, 4)));
    }
}
