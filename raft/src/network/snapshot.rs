//! Sending a snapshot: a manifest, then chunk after chunk with a hash each, then a hash over all of them, on the lane
//! for bulk so that no heartbeat waits behind it.

use super::{Peers, rpc_error};
use crate::state_machine::{RaftSnapshot, SnapshotData};
use crate::types::{C, RaftVote, vote_from_raft, vote_to_raft};
use crate::wire::{self, SnapshotBegin, SnapshotFinish, method};
use crate::{SnapshotSource, log};
use bytes::Bytes;
use openraft::errors::{NetworkError, ReplicationClosed, StreamingError};
use openraft::raft::SnapshotResponse;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use zcluster_rpc::Lane;
use zcluster_runtime::{Either, probe};

/// How long the receiver may take to make ready, and to write one chunk, whatever the whole may take: an answer that is
/// lost must not hold the follower up for as long as a large snapshot needs.
const STEP_TIMEOUT: Duration = Duration::from_secs(60);

type Outcome = Result<SnapshotResponse<C>, StreamingError<C>>;

/// Sends `snapshot` and waits until it is installed; gives up when `cancel` ends.
pub(super) async fn send(
    peers: &Peers,
    to: u64,
    vote: RaftVote,
    snapshot: RaftSnapshot,
    cancel: impl Future<Output = ReplicationClosed>,
    timeout: Duration,
) -> Outcome {
    let SnapshotData::Source(source) = snapshot.snapshot else {
        return Err(network_error(&io::Error::other("the snapshot has nothing to send")));
    };
    let transfer = Transfer { peers, to, vote, session: zcluster_runtime::random_u64(), timeout };
    let outcome = match zcluster_runtime::select(cancel, transfer.run(source)).await {
        Either::Left(closed) => Err(StreamingError::Closed(closed)),
        Either::Right(outcome) => outcome,
    };
    if outcome.is_err() {
        probe("raft.snapshot.broken", &[u64::from(peers.group), to]);
    }
    outcome
}

fn network_error(e: &io::Error) -> StreamingError<C> {
    StreamingError::Network(NetworkError::new(e))
}

struct Transfer<'a> {
    peers: &'a Peers,
    to: u64,
    vote: RaftVote,
    session: u64,
    timeout: Duration,
}

impl Transfer<'_> {
    async fn run(&self, source: Arc<dyn SnapshotSource>) -> Outcome {
        let group = self.peers.group;
        let at = source.applied().last.map(|l| l.index);
        let begin = SnapshotBegin {
            vote: vote_from_raft(&self.vote),
            session: self.session,
            applied: source.applied(),
            manifest: source.manifest(),
        };
        tracing::info!(group, to = self.to, index = at, "sending a snapshot");
        let step = self.timeout.min(STEP_TIMEOUT);
        if let Some(higher) = self.ask(method::SNAPSHOT_BEGIN, wire::encode_begin(group, &begin), step).await? {
            return Ok(SnapshotResponse::new(higher));
        }
        let mut all = blake3::Hasher::new();
        let mut n = 0;
        while let Some((hash, data)) = read(&source, n).await.map_err(|e| network_error(&e))? {
            all.update(&hash);
            let body = wire::encode_chunk(group, self.session, n, &hash, &data);
            if let Some(higher) = self.ask(method::SNAPSHOT_CHUNK, body, step).await? {
                return Ok(SnapshotResponse::new(higher));
            }
            n += 1;
        }
        let finish = SnapshotFinish { session: self.session, chunks: n, hash: *all.finalize().as_bytes() };
        let higher = self.ask(method::SNAPSHOT_FINISH, wire::encode_finish(group, &finish), self.timeout).await?;
        tracing::info!(group, to = self.to, chunks = n, "snapshot sent");
        probe("raft.snapshot.sent", &[u64::from(group), self.to, n]);
        if self.peers.progress.applied().map(|l| l.index) > at {
            probe("raft.snapshot.sent_during_writes", &[u64::from(group), self.to]);
        }
        Ok(SnapshotResponse::new(higher.unwrap_or(self.vote)))
    }

    /// Asks, and returns the receiver's vote if it is higher than ours: then we are deposed.
    async fn ask(&self, method: u16, body: Bytes, timeout: Duration) -> Result<Option<RaftVote>, StreamingError<C>> {
        let call = self.peers.network.call(self.to, Lane::Bulk, method, body, timeout);
        let answer = call.await.map_err(rpc_error)?;
        let vote: log::Vote =
            wire::decode_vote_only(answer).map(|v| vote_from_raft(&v)).map_err(|e| network_error(&e))?;
        let theirs = vote_to_raft(vote);
        Ok((theirs > self.vote).then_some(theirs))
    }
}

async fn read(source: &Arc<dyn SnapshotSource>, n: u64) -> io::Result<Option<([u8; 32], Bytes)>> {
    let source = source.clone();
    zcluster_runtime::spawn_blocking(move || {
        let chunk = source.chunk(n)?;
        Ok(chunk.map(|data| (*blake3::hash(&data).as_bytes(), data)))
    })
    .await
    .map_err(io::Error::other)?
}
