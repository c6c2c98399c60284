//! A network in memory: calls on the raft lane arrive in order; nodes can be taken off it.

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use zcluster_rpc::{Frames, Lane, Network, RpcError, Service};
use zcluster_runtime::{Either, select, watch};

type Answer = Result<Bytes, RpcError>;
type Waiting = (u64, BoxFuture<'static, Option<BoxFuture<'static, Answer>>>, oneshot::Sender<Answer>);

struct State {
    services: BTreeMap<u64, Arc<dyn Service>>,
    cut: BTreeSet<(u64, u64)>,
    lanes: BTreeMap<(u64, u64), mpsc::UnboundedSender<Waiting>>,
}

/// Where all nodes meet.
pub struct Hub {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
}

impl Hub {
    pub fn new() -> Arc<Self> {
        let state = State { services: BTreeMap::new(), cut: BTreeSet::new(), lanes: BTreeMap::new() };
        Arc::new(Hub { state: Mutex::new(state), changed: watch::channel(0).0 })
    }
    pub fn network(self: &Arc<Self>, me: u64) -> Arc<dyn Network> {
        Arc::new(NodeNet { me, hub: self.clone() })
    }
    fn change(&self, f: impl FnOnce(&mut State)) {
        f(&mut self.state.lock());
        self.changed.send_if_modified(|n| {
            *n += 1;
            true
        });
    }
    pub fn attach(&self, id: u64, service: Arc<dyn Service>) {
        self.change(|s| drop(s.services.insert(id, service)));
    }
    pub fn detach(&self, id: u64) {
        self.change(|s| {
            s.services.remove(&id);
            s.lanes.retain(|(a, b), _| *a != id && *b != id);
        });
    }
    /// Cuts a node off from `others`, both ways.
    pub fn isolate(&self, id: u64, others: &[u64]) {
        self.change(|s| s.cut.extend(others.iter().flat_map(|o| [(id, *o), (*o, id)])));
    }
    pub fn heal(&self) {
        self.change(|s| s.cut.clear());
    }
    fn reach(&self, from: u64, to: u64) -> Option<Arc<dyn Service>> {
        let s = self.state.lock();
        if s.cut.contains(&(from, to)) || !s.services.contains_key(&from) {
            return None;
        }
        s.services.get(&to).cloned()
    }
    async fn until_cut(&self, from: u64, to: u64) {
        let mut changed = self.changed.subscribe();
        while self.reach(from, to).is_some() && self.reach(to, from).is_some() {
            let _ = changed.changed().await;
        }
    }
}

async fn in_order(mut calls: mpsc::UnboundedReceiver<Waiting>) {
    while let Some((_, begin, reply)) = calls.recv().await {
        // The handler is entered in order, its future runs on its own.
        let Some(answer) = begin.await else { continue };
        zcluster_runtime::spawn(async move {
            let _ = reply.send(answer.await);
        });
    }
}

struct NodeNet {
    me: u64,
    hub: Arc<Hub>,
}

impl Network for NodeNet {
    fn call(&self, to: u64, lane: Lane, method: u16, body: Bytes, timeout: Duration) -> BoxFuture<'static, Answer> {
        let (me, hub) = (self.me, self.hub.clone());
        let (reply, answer) = oneshot::channel();
        let begin = {
            let hub = hub.clone();
            async move { hub.reach(me, to).map(|s| s.call(me, method, body)) }.boxed()
        };
        if lane == Lane::Raft {
            let mut state = hub.state.lock();
            let lane = state.lanes.entry((me, to)).or_insert_with(|| {
                let (tx, rx) = mpsc::unbounded_channel();
                zcluster_runtime::spawn(in_order(rx));
                tx
            });
            let _ = lane.send((to, begin, reply));
        } else {
            zcluster_runtime::spawn(async move {
                if let Some(answer) = begin.await {
                    let _ = reply.send(answer.await);
                }
            });
        }
        async move {
            let unreachable = || RpcError::Unreachable(to, "cut".into());
            if hub.reach(me, to).is_none() {
                return Err(unreachable());
            }
            let wait = async {
                match select(answer, hub.until_cut(me, to)).await {
                    Either::Left(Ok(answer)) => answer,
                    Either::Left(Err(_)) => Err(unreachable()),
                    Either::Right(()) => Err(RpcError::Lost("cut".into())),
                }
            };
            zcluster_runtime::timeout(timeout, wait).await.unwrap_or(Err(RpcError::Lost("timeout".into())))
        }
        .boxed()
    }

    fn stream(
        &self,
        to: u64,
        _lane: Lane,
        method: u16,
        body: Bytes,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<Frames, RpcError>> {
        let (me, hub) = (self.me, self.hub.clone());
        async move {
            let service = hub.reach(me, to).ok_or_else(|| RpcError::Unreachable(to, "cut".into()))?;
            let opened = zcluster_runtime::timeout(timeout, service.stream(me, method, body)).await;
            let frames = opened.unwrap_or(Err(RpcError::Lost("timeout".into())))?;
            let guarded = futures::stream::unfold((frames, hub), move |(mut frames, hub)| async move {
                match select(frames.next(), hub.until_cut(me, to)).await {
                    Either::Left(frame) => frame.map(|f| (f, (frames, hub))),
                    Either::Right(()) => {
                        Some((Err(RpcError::Lost("cut".into())), (futures::stream::empty().boxed(), hub)))
                    }
                }
            });
            Ok(guarded.boxed())
        }
        .boxed()
    }
}
