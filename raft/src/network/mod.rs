//! The sending side: openraft's network on [`zcluster_rpc::Network`].

mod append;
mod snapshot;

use crate::state_machine::{Progress, RaftSnapshot, SnapshotData};
use crate::types::{C, RaftVote};
use crate::wire::{self, method};
use bytes::Bytes;
use futures::Stream;
use openraft::base::{BoxFuture, BoxStream};
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{Backoff, RPCOption};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{EmptyNode, OptionalSend, RaftNetworkFactory, RaftNetworkV2};
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use zcluster_rpc::{Lane, Network, RpcError};

/// First wait before a peer that was not reached is tried again; it doubles up to [`BACKOFF_MAX`].
const BACKOFF_MIN: Duration = Duration::from_millis(50);
/// Longest wait between tries: a peer that comes back is heard after half a second.
const BACKOFF_MAX: Duration = Duration::from_millis(500);

/// What all clients of a group share.
pub(crate) struct Peers {
    pub(crate) group: u32,
    pub(crate) network: Arc<dyn Network>,
    pub(crate) progress: Arc<Progress>,
    /// How long an append may wait for its answer: a follower's slow fsync is no reason to send it all again.
    pub(crate) append_timeout: Duration,
    /// Appends on their way to one follower.
    pub(crate) pipeline: usize,
}

/// Makes clients; they connect to nothing by themselves.
#[derive(Clone)]
pub(crate) struct Factory(pub(crate) Arc<Peers>);

/// The way to one peer for one group.
pub(crate) struct Client {
    peers: Arc<Peers>,
    to: u64,
}

impl RaftNetworkFactory<C> for Factory {
    type Network = Client;
    async fn new_client(&mut self, target: u64, _node: &EmptyNode) -> Client {
        Client { peers: self.0.clone(), to: target }
    }
}

/// What openraft does about it: a peer that surely was not reached, or does not want us, is left alone for a while;
/// a lost answer is tried again at once (a few times).
fn rpc_error(e: RpcError) -> RPCError<C> {
    match e {
        RpcError::Lost(_) => RPCError::Network(NetworkError::new(&e)),
        RpcError::Unreachable(..) | RpcError::Refused(_) | RpcError::Remote(_) => {
            RPCError::Unreachable(Unreachable::new(&e))
        }
    }
}

/// An answer that does not parse: the peer speaks another version, so it is left alone for a while.
fn bad_answer(e: io::Error) -> RPCError<C> {
    RPCError::Unreachable(Unreachable::new(&e))
}

impl Client {
    async fn ask<T>(
        &self,
        method: u16,
        body: Bytes,
        timeout: Duration,
        decode: impl FnOnce(Bytes) -> io::Result<T>,
    ) -> Result<T, RPCError<C>> {
        let answer = self.peers.network.call(self.to, Lane::Raft, method, body, timeout).await.map_err(rpc_error)?;
        decode(answer).map_err(bad_answer)
    }
}

impl RaftNetworkV2<C> for Client {
    type SnapshotData = SnapshotData;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<C>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<C>, RPCError<C>> {
        let body = wire::encode_append(self.peers.group, rpc);
        self.ask(method::APPEND, body, option.soft_ttl(), wire::decode_append_answer).await
    }

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        _option: RPCOption,
    ) -> BoxFuture<'s, Result<BoxStream<'s, Result<StreamAppendResult<C>, RPCError<C>>>, RPCError<C>>>
    where
        S: Stream<Item = AppendEntriesRequest<C>> + OptionalSend + Unpin + 'static,
    {
        let stream: BoxStream<'s, _> = Box::pin(append::pipeline(self.peers.clone(), self.to, input));
        Box::pin(async move { Ok(stream) })
    }

    async fn vote(&mut self, rpc: VoteRequest<C>, option: RPCOption) -> Result<VoteResponse<C>, RPCError<C>> {
        let body = wire::encode_vote(self.peers.group, &rpc);
        self.ask(method::VOTE, body, option.soft_ttl(), wire::decode_vote_answer).await
    }

    /// Without this, openraft's default would grant every pre-vote, and a partitioned node would raise its term.
    async fn pre_vote(&mut self, rpc: VoteRequest<C>, option: RPCOption) -> Result<VoteResponse<C>, RPCError<C>> {
        let body = wire::encode_vote(self.peers.group, &rpc);
        self.ask(method::PRE_VOTE, body, option.soft_ttl(), wire::decode_vote_answer).await
    }

    async fn full_snapshot(
        &mut self,
        vote: RaftVote,
        snapshot: RaftSnapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<C>, StreamingError<C>> {
        snapshot::send(&self.peers, self.to, vote, snapshot, cancel, option.hard_ttl()).await
    }

    async fn transfer_leader(
        &mut self,
        req: TransferLeaderRequest<C>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<C>, RPCError<C>> {
        let body = wire::encode_transfer(self.peers.group, &req);
        self.ask(method::TRANSFER_LEADER, body, option.soft_ttl(), wire::decode_transfer_answer).await
    }

    fn backoff(&self) -> Option<Backoff> {
        let mut next = BACKOFF_MIN;
        Some(Backoff::new(std::iter::from_fn(move || {
            let d = next;
            next = (next * 2).min(BACKOFF_MAX);
            Some(zcluster_runtime::jitter(d))
        })))
    }
}
