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
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use zcluster_rpc::{Lane, RpcError};
use zcluster_runtime::{Instant, Sleep, probe};

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
    /// The last entry that was sent in this stream, and when entries were sent.
    sent: Option<(RaftId, Instant)>,
    /// Entries come so fast that the next are worth waiting for.
    busy: bool,
    held: Option<Held>,
}

/// A request that says nothing but how far the leader has committed. The follower needs that to apply, and nobody waits
/// for its answer: the next entries say it as well. See [`Config::hold_commits`](crate::Config::hold_commits).
struct Held {
    request: AppendEntriesRequest<C>,
    until: Pin<Box<Sleep>>,
}

/// Answers in the order of the requests; ends with the input or the first error. A request that was held and then left out
/// has no answer of its own: that to the one behind it, which says all it said, stands for both.
pub(super) fn pipeline<S>(peers: Arc<Peers>, to: u64, input: S) -> impl Stream<Item = Outcome> + Send
where
    S: Stream<Item = AppendEntriesRequest<C>> + Send + Unpin + 'static,
{
    let mut p = Pipeline {
        peers,
        to,
        input: Some(input),
        in_flight: VecDeque::new(),
        ended: false,
        sent: None,
        busy: false,
        held: None,
    };
    futures::stream::poll_fn(move |cx| p.poll(cx))
}

impl<S: Stream<Item = AppendEntriesRequest<C>> + Unpin> Pipeline<S> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Outcome>> {
        if self.ended {
            return Poll::Ready(None);
        }
        self.send_more(cx);
        self.release(cx);
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
                Poll::Ready(Some(request)) if self.may_hold(&request) => self.hold(request),
                Poll::Ready(Some(request)) => self.send(request),
            }
        }
    }

    /// Whether the request can wait: it brings no entries, the follower has been sent all that come before it, and more
    /// entries are likely to come soon.
    fn may_hold(&self, request: &AppendEntriesRequest<C>) -> bool {
        let Some((last, at)) = self.sent else { return false };
        let is_soon = self.busy && at.elapsed() < self.peers.hold_commits;
        is_soon && request.entries.is_empty() && request.prev_log_id == Some(last)
    }

    fn hold(&mut self, request: AppendEntriesRequest<C>) {
        probe("raft.commit.held", &[u64::from(self.peers.group), self.to]);
        match &mut self.held {
            // Not longer than the first of them.
            Some(held) => held.request = request,
            None => {
                let until = Box::pin(zcluster_runtime::sleep(self.peers.hold_commits));
                self.held = Some(Held { request, until });
            }
        }
    }

    /// Sends what is held when it is time, when the follower has asked for it, or when nothing else will come.
    fn release(&mut self, cx: &mut Context<'_>) {
        let Some(held) = &mut self.held else { return };
        let is_time = held.until.as_mut().poll(cx).is_ready();
        let is_wanted = self.peers.hurry.is_wanted(self.to, cx.waker());
        if (is_time || is_wanted || self.input.is_none())
            && let Some(held) = self.held.take()
        {
            self.send(held.request);
        }
    }

    fn send(&mut self, request: AppendEntriesRequest<C>) {
        // It says what was held, too.
        self.held = None;
        let prev = request.prev_log_id;
        let last = request.entries.last().map(|e| e.log_id).or(prev);
        if let Some(last) = request.entries.last().map(|e| e.log_id) {
            let before = self.sent.replace((last, Instant::now()));
            self.busy = before.is_some_and(|(_, at)| at.elapsed() < self.peers.hold_commits);
        }
        let body = wire::encode_append(self.peers.group, request);
        let timeout = self.peers.append_timeout;
        let answer = self.peers.network.call(self.to, Lane::Raft, method::APPEND, body, timeout);
        self.in_flight.push_back(InFlight { prev, last, answer });
    }
}

/// Followers that wait for what is held back from them.
#[derive(Default)]
pub(crate) struct Hurry(Mutex<BTreeMap<u64, Wanted>>);

#[derive(Default)]
struct Wanted {
    now: bool,
    /// Of the stream that holds something back.
    waker: Option<Waker>,
}

impl Hurry {
    /// What is held back from a node, or would be next, goes at once.
    pub(crate) fn hurry(&self, to: u64) {
        let waker = {
            let mut all = self.0.lock();
            let wanted = all.entry(to).or_default();
            wanted.now = true;
            wanted.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether it is to go now; if not, `waker` is woken when it is.
    fn is_wanted(&self, to: u64, waker: &Waker) -> bool {
        let mut all = self.0.lock();
        let wanted = all.entry(to).or_default();
        if std::mem::take(&mut wanted.now) {
            return true;
        }
        wanted.waker = Some(waker.clone());
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state_machine::Progress;
    use crate::types::{RaftVote, entry_to_raft, to_raft};
    use crate::{Entry, EntryKind, LogId};
    use futures::FutureExt;
    use std::time::Duration;
    use zcluster_rpc::{Frames, Network};

    /// Notes what is sent, and says yes to all of it.
    #[derive(Default)]
    struct Yes(Mutex<Vec<(usize, Option<u64>)>>);

    impl Network for Yes {
        fn call(
            &self,
            _: u64,
            _: Lane,
            _: u16,
            body: Bytes,
            _: Duration,
        ) -> BoxFuture<'static, Result<Bytes, RpcError>> {
            let (_, reader) = wire::open(body).unwrap();
            let request = wire::decode_append(reader).unwrap();
            self.0.lock().push((request.entries.len(), request.leader_commit.map(|id| id.index)));
            futures::future::ready(Ok(wire::encode_append_answer(&AppendEntriesResponse::Success))).boxed()
        }
        fn stream(
            &self,
            _: u64,
            _: Lane,
            _: u16,
            _: Bytes,
            _: Duration,
        ) -> BoxFuture<'static, Result<Frames, RpcError>> {
            futures::future::ready(Err(RpcError::Remote("none".into()))).boxed()
        }
    }

    fn id(index: u64) -> LogId {
        LogId { term: 1, index }
    }

    /// Entry `index` when there is one to send, else only that `commit` is committed.
    fn request(prev: u64, entry: Option<u64>, commit: u64) -> AppendEntriesRequest<C> {
        let entries = entry.map(|index| entry_to_raft(Entry { id: id(index), kind: EntryKind::Blank }).unwrap());
        AppendEntriesRequest {
            vote: RaftVote::new_committed(1, 1),
            prev_log_id: Some(to_raft(id(prev))),
            leader_commit: Some(to_raft(id(commit))),
            entries: entries.into_iter().collect(),
        }
    }

    struct Rig {
        network: Arc<Yes>,
        peers: Arc<Peers>,
        input: tokio::sync::mpsc::UnboundedSender<AppendEntriesRequest<C>>,
        output: futures::stream::BoxStream<'static, Outcome>,
    }

    fn rig(hold: Duration) -> Rig {
        let network = Arc::new(Yes::default());
        let peers = Arc::new(Peers {
            group: 3,
            network: network.clone(),
            progress: Arc::new(Progress::new()),
            append_timeout: Duration::from_secs(1),
            pipeline: 16,
            hold_commits: hold,
            hurry: Hurry::default(),
        });
        let (input, mut requests) = tokio::sync::mpsc::unbounded_channel();
        let requests = futures::stream::poll_fn(move |cx| requests.poll_recv(cx));
        let output = pipeline(peers.clone(), 2, requests).boxed();
        Rig { network, peers, input, output }
    }

    impl Rig {
        /// Hands requests in and takes the answers there are; what was sent.
        fn give(&mut self, requests: Vec<AppendEntriesRequest<C>>) -> Vec<(usize, Option<u64>)> {
            for request in requests {
                self.input.send(request).unwrap();
            }
            while let Some(Some(answer)) = self.output.next().now_or_never() {
                answer.unwrap().unwrap();
            }
            std::mem::take(&mut *self.network.0.lock())
        }
    }

    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn a_commit_waits_for_the_next_entries_when_they_come_fast() {
        let mut rig = rig(LONG);
        assert_eq!(rig.give(vec![request(0, None, 0)]), [(0, Some(0))], "a probe");
        assert_eq!(rig.give(vec![request(0, Some(1), 0), request(1, None, 1)]), [(1, Some(0)), (0, Some(1))], "quiet");
        assert_eq!(rig.give(vec![request(1, Some(2), 1), request(2, None, 2)]), [(1, Some(1))], "busy");
        assert_eq!(rig.give(vec![request(2, Some(3), 2), request(3, None, 3)]), [(1, Some(2))], "with the next");
        rig.peers.hurry.hurry(2);
        assert_eq!(rig.give(vec![]), [(0, Some(3))], "its follower waits for it");
        assert_eq!(rig.give(vec![request(3, Some(4), 3), request(4, None, 4)]), [(1, Some(3))]);
        rig.peers.hurry.hurry(7);
        assert_eq!(rig.give(vec![]), [], "another's wish");
        // The end of the stream keeps nothing back.
        let Rig { network, input, mut output, .. } = rig;
        drop(input);
        assert!(output.next().await.unwrap().is_ok() && output.next().await.is_none());
        assert_eq!(*network.0.lock(), [(0, Some(4))]);
    }

    #[tokio::test]
    async fn a_wish_that_comes_first_is_granted() {
        let mut rig = rig(LONG);
        rig.give(vec![request(0, Some(1), 0), request(1, Some(2), 0)]);
        rig.peers.hurry.hurry(2);
        assert_eq!(rig.give(vec![request(2, None, 1)]), [(0, Some(1))]);
        assert_eq!(rig.give(vec![request(2, None, 2)]), [], "once");
    }

    #[tokio::test]
    async fn what_is_held_goes_when_its_time_is_over() {
        let mut rig = rig(Duration::from_millis(50));
        assert_eq!(rig.give(vec![request(0, Some(1), 0), request(1, Some(2), 0), request(2, None, 2)]).len(), 2);
        let answer = rig.output.next().await.unwrap();
        assert!(answer.unwrap().is_ok());
        assert_eq!(*rig.network.0.lock(), [(0, Some(2))]);
    }

    #[tokio::test]
    async fn nothing_is_held_where_that_is_off() {
        let mut rig = rig(Duration::ZERO);
        assert_eq!(rig.give(vec![request(0, Some(1), 0), request(1, Some(2), 0), request(2, None, 2)]).len(), 3);
    }
}
