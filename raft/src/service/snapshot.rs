//! Receiving a snapshot. One transfer per group at a time; a newer one takes the place of an older one, whose sink is
//! dropped: junk beside the state, never damage to it. Only a complete transfer is handed to openraft.

use super::{check_sender, refuse};
use crate::SnapshotSink;
use crate::codec::Reader;
use crate::group::Inner;
use crate::state_machine::SnapshotData;
use crate::types::{Meta, RaftVote, meta_from_applied, vote_to_raft};
use crate::wire;
use bytes::Bytes;
use openraft::storage::Snapshot;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use zcluster_rpc::RpcError;
use zcluster_runtime::{Instant, probe};

/// A transfer in progress.
pub(crate) struct Session {
    id: u64,
    from: u64,
    vote: RaftVote,
    meta: Meta,
    /// Taken while a blocking thread writes a chunk.
    sink: Option<Box<dyn SnapshotSink>>,
    next: u64,
    hashes: blake3::Hasher,
    touched: Instant,
}

/// A transfer that was silent for this long is given up.
const IDLE_MAX: Duration = Duration::from_secs(600);

impl Session {
    /// The sender is gone: its junk may go too.
    pub(crate) fn is_stale(&self) -> bool {
        self.touched.elapsed() > IDLE_MAX
    }
}

pub(super) async fn begin(inner: Arc<Inner>, from: u64, reader: Reader) -> Result<Bytes, RpcError> {
    let begin = wire::decode_begin(reader).map_err(refuse)?;
    check_sender(from, begin.vote.node).map_err(refuse)?;
    let vote = vote_to_raft(begin.vote);
    let mine = inner.vote();
    if mine > vote {
        return Ok(wire::encode_vote_only(&mine));
    }
    // No leader has a snapshot of a later term than its own; openraft would take it for corruption and panic.
    if begin.applied.last.is_none_or(|last| last.term > begin.vote.term) {
        return Err(refuse("a snapshot from the future"));
    }
    let meta = meta_from_applied(&begin.applied).map_err(refuse)?;
    // Whoever is behind comes second; the lock is held so that chunks wait until the sink is there.
    let mut slot = inner.snapshot.lock().await;
    if slot.take().is_some() {
        probe("raft.snapshot.superseded", &[u64::from(inner.id)]);
    }
    let manifest = begin.manifest;
    let sink = inner
        .raft
        .with_state_machine(|machine| Box::pin(async move { machine.begin_install(manifest).await }))
        .await
        .map_err(refuse)?
        .map_err(|e| failed(&inner, &e))?;
    tracing::info!(group = inner.id, from, "receiving a snapshot");
    let hashes = blake3::Hasher::new();
    let id = begin.session;
    *slot = Some(Session { id, from, vote, meta, sink: Some(sink), next: 0, hashes, touched: Instant::now() });
    Ok(wire::encode_vote_only(&vote))
}

fn failed(inner: &Inner, e: &io::Error) -> RpcError {
    tracing::warn!(group = inner.id, error = %e, "receiving a snapshot failed");
    refuse(e)
}

pub(super) async fn chunk(inner: Arc<Inner>, from: u64, reader: Reader) -> Result<Bytes, RpcError> {
    let chunk = wire::decode_chunk(reader).map_err(refuse)?;
    let mut slot = inner.snapshot.lock().await;
    let session = find(slot.as_mut(), from, chunk.session)?;
    if chunk.n != session.next {
        return Err(refuse(format!("chunk {} where {} comes next", chunk.n, session.next)));
    }
    let Some(mut sink) = session.sink.take() else { return Err(refuse("the transfer failed")) };
    let (n, hash, data) = (chunk.n, chunk.hash, chunk.data);
    let written = zcluster_runtime::spawn_blocking(move || {
        if *blake3::hash(&data).as_bytes() != hash {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "hash of a chunk does not match"));
        }
        sink.put(n, data)?;
        Ok(sink)
    })
    .await
    .map_err(io::Error::other)
    .and_then(|r| r);
    // After a failure the sink is gone, and with it the transfer: the sender begins anew.
    let sink = written.map_err(|e| failed(&inner, &e))?;
    session.sink = Some(sink);
    session.hashes.update(&hash);
    session.next += 1;
    session.touched = Instant::now();
    Ok(wire::encode_vote_only(&session.vote))
}

pub(super) async fn finish(inner: Arc<Inner>, from: u64, reader: Reader) -> Result<Bytes, RpcError> {
    let finish = wire::decode_finish(reader).map_err(refuse)?;
    let session = {
        let mut slot = inner.snapshot.lock().await;
        find(slot.as_mut(), from, finish.session)?;
        slot.take()
    };
    let Some(Session { vote, meta, sink: Some(sink), next, hashes, .. }) = session else {
        return Err(refuse("the transfer failed"));
    };
    if next != finish.chunks || *hashes.finalize().as_bytes() != finish.hash {
        return Err(refuse("the snapshot is not complete"));
    }
    let snapshot = Snapshot { meta, snapshot: SnapshotData::Received(sink) };
    let answer = inner.raft.install_full_snapshot(vote, snapshot).await.map_err(refuse)?;
    Ok(wire::encode_vote_only(&answer.vote))
}

fn find(slot: Option<&mut Session>, from: u64, id: u64) -> Result<&mut Session, RpcError> {
    slot.filter(|s| s.id == id && s.from == from).ok_or_else(|| refuse("no such transfer"))
}
