//! A network in memory: calls arrive in order, after a delay, unless the way is cut.

use bytes::Bytes;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use zcluster_rpc::{Frames, Lane, Network, RpcError, Service};
use zcluster_runtime::Instant;

type Reply = Result<Bytes, RpcError>;

struct Call {
    due: Instant,
    method: u16,
    body: Bytes,
    reply: oneshot::Sender<Reply>,
}

#[derive(Default)]
struct State {
    services: BTreeMap<u64, Arc<dyn Service>>,
    cut: BTreeSet<(u64, u64)>,
    delay: Duration,
    ways: BTreeMap<(u64, u64, Lane), mpsc::UnboundedSender<Call>>,
    calls: BTreeMap<u16, u64>,
    /// Fails calls of a method once its count is used up.
    fail_after: BTreeMap<u16, u64>,
}

/// Where all nodes meet.
#[derive(Default)]
pub struct Hub(Mutex<State>);

impl Hub {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }
    pub fn network(self: &Arc<Self>, me: u64) -> Arc<dyn Network> {
        Arc::new(NodeNet { me, hub: self.clone() })
    }
    pub fn attach(&self, id: u64, service: Arc<dyn Service>) {
        self.0.lock().services.insert(id, service);
    }
    pub fn detach(&self, id: u64) {
        self.0.lock().services.remove(&id);
    }
    pub fn set_delay(&self, delay: Duration) {
        self.0.lock().delay = delay;
    }
    /// Cuts a node off from `others`, both ways.
    pub fn isolate(&self, id: u64, others: &[u64]) {
        let mut s = self.0.lock();
        for other in others {
            s.cut.insert((id, *other));
            s.cut.insert((*other, id));
        }
    }
    pub fn heal(&self) {
        let mut s = self.0.lock();
        s.cut.clear();
        s.fail_after.clear();
    }
    /// Lets `n` calls of `method` pass, then none.
    pub fn fail_after(&self, method: u16, n: u64) {
        self.0.lock().fail_after.insert(method, n);
    }
    pub fn calls(&self, method: u16) -> u64 {
        self.0.lock().calls.get(&method).copied().unwrap_or(0)
    }
    pub fn all_calls(&self) -> u64 {
        self.0.lock().calls.values().sum()
    }
    fn passes(&self, from: u64, to: u64) -> bool {
        !self.0.lock().cut.contains(&(from, to))
    }
    fn deliver(&self, from: u64, to: u64, method: u16) -> Option<Arc<dyn Service>> {
        let mut s = self.0.lock();
        if let Some(left) = s.fail_after.get_mut(&method) {
            *left = left.checked_sub(1)?;
        }
        *s.calls.entry(method).or_default() += 1;
        // A node that was killed neither hears nor speaks.
        if s.cut.contains(&(from, to)) || !s.services.contains_key(&from) {
            return None;
        }
        s.services.get(&to).cloned()
    }
    fn send(self: &Arc<Self>, from: u64, to: u64, lane: Lane, call: Call) {
        let mut s = self.0.lock();
        let way = s.ways.entry((from, to, lane)).or_insert_with(|| {
            let (tx, rx) = mpsc::unbounded_channel();
            zcluster_runtime::spawn(carry(self.clone(), from, to, rx));
            tx
        });
        let _ = way.send(call);
    }
}

async fn carry(hub: Arc<Hub>, from: u64, to: u64, mut calls: mpsc::UnboundedReceiver<Call>) {
    while let Some(call) = calls.recv().await {
        if call.due > Instant::now() {
            zcluster_runtime::sleep_until(call.due).await;
        }
        let Some(service) = hub.deliver(from, to, call.method) else { continue };
        let answer = service.call(from, call.method, call.body);
        let hub = hub.clone();
        zcluster_runtime::spawn(async move {
            let answer = answer.await;
            if hub.passes(to, from) {
                let _ = call.reply.send(answer);
            }
        });
    }
}

struct NodeNet {
    me: u64,
    hub: Arc<Hub>,
}

impl Network for NodeNet {
    fn call(&self, to: u64, lane: Lane, method: u16, body: Bytes, timeout: Duration) -> BoxFuture<'static, Reply> {
        let (reply, answer) = oneshot::channel();
        let due = Instant::now() + self.hub.0.lock().delay;
        self.hub.send(self.me, to, lane, Call { due, method, body, reply });
        Box::pin(async move {
            match zcluster_runtime::timeout(timeout, answer).await {
                Ok(Ok(reply)) => reply,
                Ok(Err(_)) => Err(RpcError::Unreachable(to, "cut".into())),
                Err(_) => Err(RpcError::Lost("timeout".into())),
            }
        })
    }
    fn stream(
        &self,
        _to: u64,
        _lane: Lane,
        _method: u16,
        _body: Bytes,
        _timeout: Duration,
    ) -> BoxFuture<'static, Result<Frames, RpcError>> {
        Box::pin(async { Err(RpcError::Refused("no streams here".into())) })
    }
}
