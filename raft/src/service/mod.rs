//! The receiving side: answers the peers' raft calls (methods 0-99).

mod append;
mod snapshot;

pub(crate) use snapshot::Session;

use crate::group::Inner;
use crate::multi::MultiRaft;
use crate::types::{C, to_raft};
use crate::wire::{self, method};
use bytes::Bytes;
use futures::future::BoxFuture;
use openraft::errors::RaftError;
use openraft::raft::VoteResponse;
use std::io;
use std::sync::{Arc, Weak};
use zcluster_rpc::{Frames, RpcError, Service};
use zcluster_runtime::probe;

/// Hands calls to groups. Holds the groups weakly: they hold the network, which holds this.
pub(crate) struct RaftService(pub(crate) Weak<MultiRaft>);

type Answer = BoxFuture<'static, Result<Bytes, RpcError>>;

fn ready(result: Result<Bytes, RpcError>) -> Answer {
    Box::pin(std::future::ready(result))
}

fn refuse(why: impl ToString) -> RpcError {
    RpcError::Remote(why.to_string())
}

fn raft_error(e: &RaftError<C>) -> RpcError {
    refuse(e)
}

/// A leader or candidate speaks for itself: a vote that names another node than the one the call came from (which
/// the transport has authenticated) is refused.
fn check_sender(from: u64, vote_of: u64) -> io::Result<()> {
    if from == vote_of { Ok(()) } else { Err(io::Error::other(format!("node {from} speaks for node {vote_of}"))) }
}

impl Service for RaftService {
    fn call(&self, from: u64, method: u16, body: Bytes) -> Answer {
        let (group, reader) = match wire::open(body) {
            Ok(opened) => opened,
            Err(e) => return ready(Err(refuse(e))),
        };
        let Some(inner) = self.0.upgrade().and_then(|m| m.inner(group)) else {
            return ready(Err(refuse(format!("group {group} does not run here"))));
        };
        match method {
            method::APPEND => append::handle(inner, from, reader),
            method::VOTE => Box::pin(vote(inner, from, reader, false)),
            method::PRE_VOTE => Box::pin(vote(inner, from, reader, true)),
            method::TRANSFER_LEADER => Box::pin(transfer(inner, reader)),
            method::READ_INDEX => Box::pin(read_index(inner, reader)),
            method::SNAPSHOT_BEGIN => Box::pin(snapshot::begin(inner, from, reader)),
            method::SNAPSHOT_CHUNK => Box::pin(snapshot::chunk(inner, from, reader)),
            method::SNAPSHOT_FINISH => Box::pin(snapshot::finish(inner, from, reader)),
            _ => ready(Err(refuse(format!("unknown raft method {method}")))),
        }
    }

    fn stream(&self, _from: u64, method: u16, _body: Bytes) -> BoxFuture<'static, Result<Frames, RpcError>> {
        Box::pin(async move { Err(refuse(format!("raft method {method} has no stream"))) })
    }
}

async fn vote(inner: Arc<Inner>, from: u64, reader: crate::codec::Reader, pre: bool) -> Result<Bytes, RpcError> {
    let request = wire::decode_vote(reader).map_err(refuse)?;
    check_sender(from, request.vote.leader_id.voted_for).map_err(refuse)?;
    if let Some(owed) = inner.owes() {
        // With the log it had it might have refused, and would have named this as its end.
        probe("raft.removed.abstained", &[u64::from(inner.id)]);
        let answer = VoteResponse::new(inner.vote(), Some(to_raft(owed)), false);
        return Ok(wire::encode_vote_answer(&answer));
    }
    let answer = if pre { inner.raft.pre_vote(request).await } else { inner.raft.vote(request).await };
    answer.map(|a| wire::encode_vote_answer(&a)).map_err(|e| raft_error(&e))
}

async fn transfer(inner: Arc<Inner>, reader: crate::codec::Reader) -> Result<Bytes, RpcError> {
    let request = wire::decode_transfer(reader).map_err(refuse)?;
    if inner.owes().is_some() {
        return Err(refuse(format!("this replica of group {} lacks what it had before it was removed", inner.id)));
    }
    let answer = inner.raft.handle_transfer_leader(request).await.map_err(refuse)?;
    Ok(wire::encode_transfer_answer(&answer))
}

/// A follower asks for the position it must have applied before it may answer a read.
async fn read_index(inner: Arc<Inner>, reader: crate::codec::Reader) -> Result<Bytes, RpcError> {
    reader.end().map_err(refuse)?;
    Ok(wire::encode_read_answer(&inner.read_index().await))
}
