//! Read barriers: ReadIndex, one round at a time per group.
//!
//! A round proves leadership *at the moment it is sent*: whoever joins it must have called before that. So callers
//! that arrive during a round wait for the next one, which serves all of them. (etcd served stale reads by letting a
//! late answer of an old round satisfy a newer request.)

use super::{Group, Inner};
use crate::types::from_raft;
use crate::wire::{self, method};
use crate::{LogId, ReadError};
use openraft::ReadPolicy;
use openraft::errors::{LinearizableReadError, RaftError};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use zcluster_rpc::Lane;
use zcluster_runtime::planted::{Bug, planted};
use zcluster_runtime::{Instant, probe};

type Round = Result<LogId, ReadError>;

/// Who waits for which round.
#[derive(Default)]
pub(crate) struct Gate(Mutex<GateState>);

#[derive(Default)]
struct GateState {
    /// A round is under way.
    running: bool,
    /// Callers for the next one.
    waiting: Vec<oneshot::Sender<Round>>,
}

/// A round under way, driven by one of its callers.
struct Running<'a>(Option<&'a Arc<Inner>>);

impl Running<'_> {
    /// Whoever came during the round is served by a task.
    fn finish(mut self) {
        let Some(inner) = self.0.take() else { return };
        let more = {
            let mut gate = inner.gate.0.lock();
            gate.running = !gate.waiting.is_empty();
            gate.running
        };
        if more {
            zcluster_runtime::spawn(serve_waiting(inner.clone()));
        }
    }
}

impl Drop for Running<'_> {
    /// The caller gave up in the middle: those who wait are sent away, and one of them begins a round itself.
    fn drop(&mut self) {
        if let Some(inner) = self.0 {
            let mut gate = inner.gate.0.lock();
            gate.running = false;
            gate.waiting.clear();
        }
    }
}

async fn serve_waiting(inner: Arc<Inner>) {
    loop {
        let callers = {
            let mut gate = inner.gate.0.lock();
            gate.running = !gate.waiting.is_empty();
            std::mem::take(&mut gate.waiting)
        };
        if callers.is_empty() {
            return;
        }
        if callers.len() > 1 {
            probe("raft.read.shared", &[u64::from(inner.id), callers.len() as u64]);
        }
        let round = inner.round().await;
        for caller in callers {
            let _ = caller.send(round.clone());
        }
    }
}

impl Inner {
    /// One ReadIndex round. A group with one voter needs no peer: openraft answers at once.
    async fn round(&self) -> Round {
        match self.raft.get_read_log_id(ReadPolicy::ReadIndex).await {
            Ok((id, _)) => Ok(from_raft(id.log_id())),
            Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(to))) => {
                Err(ReadError::NotLeader { leader: to.leader_id })
            }
            Err(_) => Err(ReadError::Unavailable),
        }
    }

    /// The position that a read which begins now must have seen, proved by a round that was sent after this call.
    pub(crate) async fn read_index(self: &Arc<Self>) -> Round {
        loop {
            let ticket = {
                let mut gate = self.gate.0.lock();
                if gate.running {
                    let (tx, rx) = oneshot::channel();
                    gate.waiting.push(tx);
                    Some(rx)
                } else {
                    gate.running = true;
                    None
                }
            };
            let Some(ticket) = ticket else {
                let running = Running(Some(self));
                let round = self.round().await;
                running.finish();
                return round;
            };
            if let Ok(round) = ticket.await {
                return round;
            }
        }
    }

    async fn ask_leader(&self, leader: u64, timeout: Duration) -> Round {
        let body = wire::writer(0, self.id).finish();
        let answer = self.peers.network.call(leader, Lane::Raft, method::READ_INDEX, body, timeout).await;
        let answer = answer.map_err(|_| ReadError::Unavailable)?;
        wire::decode_read_answer(answer).map_err(|_| ReadError::Unavailable)?
    }

    /// Learns a read position and waits until it is applied here.
    async fn barrier(&self, position: impl Future<Output = Round>) -> Round {
        if planted(Bug::StaleRead) {
            // Whatever is here is taken for the newest.
            return Ok(self.progress.applied().unwrap_or_default());
        }
        let id = position.await?;
        self.applied_at_least(id.index).await?;
        Ok(id)
    }

    async fn applied_at_least(&self, index: u64) -> Result<(), ReadError> {
        if self.progress.applied().is_some_and(|a| a.index >= index) {
            return Ok(());
        }
        let mut applied = self.progress.applied.subscribe();
        while applied.borrow_and_update().is_none_or(|a| a.index < index) {
            applied.changed().await.map_err(|_| ReadError::Unavailable)?;
        }
        Ok(())
    }
}

impl Group {
    /// On the leader: after this, the local state holds everything acknowledged before the call.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn read_barrier(&self, timeout: Duration) -> Result<LogId, ReadError> {
        let barrier = self.0.barrier(self.0.read_index());
        zcluster_runtime::timeout(timeout, barrier).await.map_err(|_| ReadError::Unavailable)?
    }

    /// On any replica: asks the leader for its read position and waits until this node has applied it.
    ///
    /// # Errors
    /// [`ReadError::Unavailable`] when no leader is known or it did not answer in time.
    pub async fn read_barrier_anywhere(&self, timeout: Duration) -> Result<LogId, ReadError> {
        let deadline = Instant::now() + timeout;
        let me = self.node();
        let position = async {
            match self.leader() {
                None => Err(ReadError::Unavailable),
                Some(leader) if leader == me => self.0.read_index().await,
                Some(leader) => self.0.ask_leader(leader, deadline.remaining()).await,
            }
        };
        zcluster_runtime::timeout_at(deadline, self.0.barrier(position)).await.map_err(|_| ReadError::Unavailable)?
    }

    /// Waits until this node has applied `index`.
    ///
    /// # Errors
    /// [`ReadError::Unavailable`] when that takes longer than `timeout`.
    pub async fn wait_applied(&self, index: u64, timeout: Duration) -> Result<(), ReadError> {
        zcluster_runtime::timeout(timeout, self.0.applied_at_least(index)).await.map_err(|_| ReadError::Unavailable)?
    }
}
