//! Proposing: append on the leader, commit on a quorum, apply here, reply.

use super::{Group, Inner};
use crate::ProposeError;
use crate::types::{C, Command};
use bytes::Bytes;
use openraft::errors::ClientWriteError;
use openraft::impls::ProgressResponder;
use openraft::raft::ClientWriteResult;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use zcluster_runtime::{Instant, probe};

impl Group {
    /// Appends a command on the leader and waits until it is committed and applied here; returns the machine's reply.
    ///
    /// # Errors
    /// See [`ProposeError`]. After `timeout` the outcome is unknown.
    pub async fn propose(&self, command: Bytes, timeout: Duration) -> Result<Bytes, ProposeError> {
        self.0.propose(None, command, timeout).await
    }

    /// Like [`propose`](Self::propose), but only while this node leads in `term`: for work that a leader does in steps.
    ///
    /// # Errors
    /// [`ProposeError::NotLeader`] when the term has passed.
    pub async fn propose_in_term(&self, term: u64, command: Bytes, timeout: Duration) -> Result<Bytes, ProposeError> {
        self.0.propose(Some(term), command, timeout).await
    }
}

/// Counts a proposal while somebody waits for it.
struct Slot<'a>(&'a AtomicUsize);

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Inner {
    async fn propose(&self, term: Option<u64>, command: Bytes, timeout: Duration) -> Result<Bytes, ProposeError> {
        let _slot = self.admit(command.len())?;
        let start = Instant::now();
        let (responder, outcome) = ProgressResponder::<C, ClientWriteResult<C>>::complete_only();
        let mut write = self.raft.write(Command(command)).responder(responder);
        if let Some(term) = term {
            write = write.with_leader(term);
        }
        let committed = async {
            write.await.map_err(|_| ProposeError::Stopped)?;
            outcome.await.map_err(|_| ProposeError::Unknown("the group stopped".into()))
        };
        let result = zcluster_runtime::timeout(timeout, committed)
            .await
            .map_err(|_| ProposeError::Unknown("not committed in time".into()))??;
        self.propose_seconds.record(start.elapsed().as_secs_f64());
        match result {
            Ok(reply) => Ok(reply.data.0),
            Err(ClientWriteError::ForwardToLeader(to)) => Err(ProposeError::NotLeader { leader: to.leader_id }),
            Err(ClientWriteError::PreconditionFailed(_)) => Err(ProposeError::NotLeader { leader: self.leader() }),
            Err(e) => {
                // Another leader put something else in its place.
                probe("raft.proposal.overtaken", &[u64::from(self.id)]);
                Err(ProposeError::Unknown(e.to_string()))
            }
        }
    }

    fn admit(&self, bytes: usize) -> Result<Slot<'_>, ProposeError> {
        if bytes > self.config.max_proposal_bytes {
            return Err(ProposeError::Refused(format!("{bytes} bytes are too many for one proposal")));
        }
        let waiting = self.proposals.fetch_add(1, Ordering::Relaxed);
        let slot = Slot(&self.proposals);
        if waiting >= self.config.max_proposals {
            return Err(ProposeError::Refused(format!("{waiting} proposals wait already")));
        }
        Ok(slot)
    }

    pub(super) fn leader(&self) -> Option<u64> {
        self.leadership.borrow().leader
    }
}
