//! Replication in a pipeline: the next append is sent without waiting for the answer to the one before.
//!
//! [`zcluster_rpc::Network`] keeps the order of calls to a peer, and the receiver handles a group's appends in that
//! order, so answers belong to requests first come, first served.

use super::{Peers, bad_answer, rpc_error};
use crate::types::{C, RaftId};
use crate::wire::{self, method};
use bytes::Bytes;
use futures::Stream;
use futures::StreamExt;
use futures::future::BoxFuture;
use openraft::errors::RPCError;
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, StreamAppendResult};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use zcluster_rpc::{Lane, RpcError};

type Outcome = Result<StreamAppendResult<C>, RPCError<C>>;

struct InFlight {
    prev: Option<RaftId>,
    last: Option<RaftId>,
    answer: BoxFuture<'static, Result<Bytes, RpcError>>,
}

struct Pipeline<S> {
    peers: Arc<Peers>,
    to: u64,
    /// `None` when it has ended.
    input: Option<S>,
    in_flight: VecDeque<InFlight>,
    /// An error ends the stream: what was sent behind it is void.
    ended: bool,
}

/// Answers in the order of the requests; ends with the input or the first error.
pub(super) fn pipeline<S>(peers: Arc<Peers>, to: u64, input: S) -> impl Stream<Item = Outcome> + Send
where
    S: Stream<Item = AppendEntriesRequest<C>> + Send + Unpin + 'static,
{
    let mut p = Pipeline { peers, to, input: Some(input), in_flight: VecDeque::new(), ended: false };
    futures::stream::poll_fn(move |cx| p.poll(cx))
}

impl<S: Stream<Item = AppendEntriesRequest<C>> + Unpin> Pipeline<S> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Outcome>> {
        if self.ended {
            return Poll::Ready(None);
        }
        self.send_more(cx);
        let Some(first) = self.in_flight.front_mut() else {
            return if self.input.is_none() { Poll::Ready(None) } else { Poll::Pending };
        };
        let Poll::Ready(answer) = first.answer.as_mut().poll(cx) else { return Poll::Pending };
        let (prev, last) = (first.prev, first.last);
        self.in_flight.pop_front();
        let outcome = answer
            .map_err(rpc_error)
            .and_then(|bytes| wire::decode_append_answer(bytes).map_err(bad_answer))
            .and_then(|a| match a {
                // Nothing comes before the first entry that could conflict; openraft would panic on it.
                AppendEntriesResponse::Conflict if prev.is_none() => {
                    Err(bad_answer(io::Error::other("a conflict before the first entry")))
                }
                a => Ok(a.into_stream_result(prev, last)),
            });
        self.ended = !matches!(outcome, Ok(Ok(_)));
        Poll::Ready(Some(outcome))
    }

    fn send_more(&mut self, cx: &mut Context<'_>) {
        while self.in_flight.len() < self.peers.pipeline {
            let Some(input) = &mut self.input else { return };
            match input.poll_next_unpin(cx) {
                Poll::Pending => return,
                Poll::Ready(None) => self.input = None,
                Poll::Ready(Some(request)) => self.send(request),
            }
        }
    }

    fn send(&mut self, request: AppendEntriesRequest<C>) {
        let prev = request.prev_log_id;
        let last = request.entries.last().map(|e| e.log_id).or(prev);
        let body = wire::encode_append(self.peers.group, request);
        let timeout = self.peers.append_timeout;
        let answer = self.peers.network.call(self.to, Lane::Raft, method::APPEND, body, timeout);
        self.in_flight.push_back(InFlight { prev, last, answer });
    }
}
