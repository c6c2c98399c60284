//! The calling side: the [`Network`] of one process.

use super::hop::{Ask, Cancel, Hop, Request, keep};
use super::link::{BYTES_MAX, CALLS_MAX, Key};
use super::weather::Fate;
use super::{State, Wires, frames};
use crate::world;
use bytes::Bytes;
use futures::future::BoxFuture;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use zcluster_rpc::client::CONNECT_TIMEOUT;
use zcluster_rpc::frame::BODY_BYTES_MAX;
use zcluster_rpc::{Frames, Lane, Network, RpcError, node_number};
use zcluster_runtime as rt;

/// What a caller waits for.
pub(super) type Outcome = Result<Bytes, RpcError>;

/// Where the outcome goes.
pub(super) enum Slot {
    Waiting(Option<Waker>),
    Done(Outcome),
}

/// A call whose caller waits.
pub(super) struct Call {
    pub key: Key,
    pub conn: u64,
    pub method: u16,
    bytes: usize,
    /// See [`Request::early`].
    pub early: bool,
    /// The handler was.
    pub entered: bool,
    pub cancel: Option<Arc<Cancel>>,
    pub slot: Slot,
}

/// What is asked.
pub(super) struct Asked {
    pub key: Key,
    pub method: u16,
    pub body: Bytes,
    pub ask: Ask,
}

/// The network as one process sees it.
pub(super) struct NodeNet {
    me: u64,
    wires: Weak<Wires>,
}

impl NodeNet {
    pub(super) fn new(me: u64, wires: Weak<Wires>) -> Self {
        NodeNet { me, wires }
    }
}

impl Network for NodeNet {
    fn call(&self, to: u64, lane: Lane, method: u16, body: Bytes, timeout: Duration) -> BoxFuture<'static, Outcome> {
        let asked = Asked { key: Key { from: self.me, to, lane }, method, body, ask: Ask::Call };
        let mut asking = Asking::new(self.wires.clone(), asked, timeout);
        if lane == Lane::Raft {
            // The place in the order is taken now.
            asking.send();
        }
        Box::pin(asking)
    }

    fn stream(
        &self,
        to: u64,
        lane: Lane,
        method: u16,
        body: Bytes,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<Frames, RpcError>> {
        // As in production, streams never ride on the Raft lane's connection.
        let lane = if lane == Lane::Raft { Lane::Bulk } else { lane };
        let asked = Asked { key: Key { from: self.me, to, lane }, method, body, ask: Ask::Stream };
        let asking = Asking::new(self.wires.clone(), asked, timeout);
        let wires = self.wires.clone();
        Box::pin(async move {
            let (id, opened) = asking.opened().await;
            // Made first, so that the flow is given up in either case.
            let frames = frames::Taking::new(wires, id);
            opened?;
            let frames: Frames = Box::pin(frames);
            Ok(frames)
        })
    }
}

enum Stage {
    Unsent(Asked),
    Sent(u64),
    Failed(RpcError),
    Over,
}

/// A caller that waits for its answer, by its node's clock.
struct Asking {
    wires: Weak<Wires>,
    to: u64,
    stage: Stage,
    timeout: Duration,
    sleep: Option<rt::Sleep>,
}

impl Asking {
    fn new(wires: Weak<Wires>, asked: Asked, timeout: Duration) -> Self {
        Asking { wires, to: asked.key.to, stage: Stage::Unsent(asked), timeout, sleep: None }
    }

    fn send(&mut self) {
        let asked = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Unsent(asked) => asked,
            sent => return self.stage = sent,
        };
        let sent = match self.wires.upgrade() {
            Some(wires) => wires.state.lock().send(asked),
            None => Err(RpcError::Unreachable(self.to, "there is no network any more".into())),
        };
        self.stage = sent.map_or_else(Stage::Failed, Stage::Sent);
    }

    /// The outcome, and the number of the call.
    async fn opened(mut self) -> (u64, Outcome) {
        self.send();
        let id = if let Stage::Sent(id) = self.stage { id } else { 0 };
        (id, self.await)
    }

    fn poll_sent(&mut self, id: u64, cx: &mut Context<'_>) -> Poll<Outcome> {
        let Some(wires) = self.wires.upgrade() else {
            return Poll::Ready(Err(RpcError::Lost("there is no network any more".into())));
        };
        if let Some(outcome) = wires.state.lock().take_outcome(id, cx) {
            return Poll::Ready(outcome);
        }
        let timeout = self.timeout;
        let sleep = self.sleep.get_or_insert_with(|| rt::sleep(timeout));
        if Pin::new(sleep).poll(cx).is_pending() {
            return Poll::Pending;
        }
        let never_sent = wires.state.lock().give_up(id);
        Poll::Ready(Err(match never_sent {
            true => RpcError::Unreachable(self.to, "not connected in time".into()),
            false => RpcError::Lost(format!("node {} did not answer within {timeout:?}", node_number(self.to))),
        }))
    }
}

impl Future for Asking {
    type Output = Outcome;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        self.send();
        let outcome = match &self.stage {
            Stage::Sent(id) => {
                let id = *id;
                std::task::ready!(self.poll_sent(id, cx))
            }
            Stage::Failed(e) => Err(e.clone()),
            Stage::Unsent(_) | Stage::Over => unreachable!("polled after its end"),
        };
        self.stage = Stage::Over;
        Poll::Ready(outcome)
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        if let Stage::Sent(id) = self.stage
            && let Some(wires) = self.wires.upgrade()
        {
            wires.state.lock().give_up(id);
        }
    }
}

impl State {
    /// Sends a request; the number of the call, or why it cannot be sent.
    fn send(&mut self, asked: Asked) -> Result<u64, RpcError> {
        let Asked { key, method, body, ask } = asked;
        let refused = |text: String| Err(RpcError::Unreachable(key.to, text));
        if body.len() > BODY_BYTES_MAX {
            return refused(format!("call of {} bytes is too large", body.len()));
        }
        let (now, id) = (world::now(), self.fresh_id());
        let link = self.links.entry(key).or_default();
        if link.calls >= CALLS_MAX || link.bytes + body.len() > BYTES_MAX {
            world::count("net.full");
            return refused("too much waits to be sent".into());
        }
        match &link.down {
            Some((until, error)) if *until > now => return Err(error.clone()),
            _ => {}
        }
        let (conn, life, early) = (link.conn, link.life, link.life == 0);
        let cancel = (key.lane != Lane::Raft).then(Arc::<Cancel>::default);
        let request = Request { key, conn, life, call: id, method, body, ask, early, twice: false, cancel };
        if let Some(dark) = self.weather.dark(node_number(key.from), node_number(key.to)) {
            return self.send_into_the_dark(request, dark);
        }
        let fate = self.weather.request(&key, request.body.len(), early);
        self.launch(request, fate)
    }

    /// The first attempt to connect after a cut was noticed waits for its timeout; after it, calls fail at once.
    fn send_into_the_dark(&mut self, request: Request, dark: u64) -> Result<u64, RpcError> {
        let (id, give_up) = (request.call, dark + CONNECT_TIMEOUT.as_nanos() as u64);
        let error = RpcError::Unreachable(request.key.to, format!("no connection within {CONNECT_TIMEOUT:?}"));
        if world::now() >= give_up {
            return Err(error);
        }
        self.expect(&request);
        self.queue.push(give_up, Hop::Fail { call: id, error });
        Ok(id)
    }

    fn launch(&mut self, mut request: Request, fate: Fate) -> Result<u64, RpcError> {
        let (key, conn, id) = (request.key, request.conn, request.call);
        let departure = self.departure(&key);
        let mut at = departure + fate.ns + fate.stale.unwrap_or(0);
        if key.lane == Lane::Raft
            && let Some(link) = self.links.get_mut(&key)
        {
            at = at.max(link.last_arrival + 1);
            link.last_arrival = at;
        }
        if fate.stale.is_some() {
            return self.launch_stale(request, at);
        }
        self.expect(&request);
        if fate.lost {
            world::count("net.drop");
            world::event("net.drop", &[key.from, key.to, u64::from(request.method)]);
            if key.lane == Lane::Raft {
                self.queue.push(at, Hop::Break { key, conn, linger: false });
            }
            return Ok(id);
        }
        if fate.twice && request.ask == Ask::Call {
            world::count("net.duplicate");
            if key.lane == Lane::Raft {
                request.twice = true;
            } else {
                let again = at + self.weather.latency(node_number(key.from), node_number(key.to), 0);
                self.queue.push(again, Hop::Request(Request { cancel: None, ..request.clone() }));
            }
        }
        self.queue.push(at, Hop::Request(request));
        Ok(id)
    }

    /// The connection breaks for the caller, and what it sent arrives long after.
    fn launch_stale(&mut self, mut request: Request, at: u64) -> Result<u64, RpcError> {
        let (key, conn, id) = (request.key, request.conn, request.call);
        world::count("net.stale");
        world::event("net.stale", &[key.from, key.to, u64::from(request.method)]);
        let told = self.back(&key);
        self.expect(&request);
        if key.lane == Lane::Raft {
            // Calls made meanwhile are stuck in the same buffer.
            self.queue.push(told, Hop::Break { key, conn, linger: true });
        } else {
            let error = RpcError::Lost(format!("the connection to node {} broke", node_number(key.to)));
            self.queue.push(told, Hop::Fail { call: id, error });
            if let Some(call) = self.calls.get_mut(&id) {
                call.cancel = None;
            }
            request.cancel = None;
        }
        if request.ask == Ask::Call {
            self.queue.push(at, Hop::Request(request));
        }
        Ok(id)
    }

    /// Somebody waits for the answer from now on.
    fn expect(&mut self, request: &Request) {
        let (key, bytes) = (request.key, request.body.len());
        if let Some(link) = self.links.get_mut(&key) {
            link.calls += 1;
            link.bytes += bytes;
        }
        if let (Ask::Stream, Some(cancel)) = (request.ask, &request.cancel) {
            self.flows.insert(request.call, frames::Flow::new(key, request.conn, cancel.clone()));
        }
        let call = Call {
            key,
            conn: request.conn,
            method: request.method,
            bytes,
            early: request.early,
            entered: false,
            cancel: request.cancel.clone(),
            slot: Slot::Waiting(None),
        };
        self.calls.insert(request.call, call);
    }

    /// The call, if its caller still waits.
    pub(super) fn waiting(&mut self, id: u64) -> Option<&mut Call> {
        self.calls.get_mut(&id).filter(|c| matches!(c.slot, Slot::Waiting(_)))
    }

    /// Ends a call, unless it has ended.
    pub(super) fn resolve(&mut self, id: u64, outcome: Outcome) {
        let Some(call) = self.waiting(id) else { return };
        if let Slot::Waiting(Some(waker)) = std::mem::replace(&mut call.slot, Slot::Done(outcome)) {
            waker.wake();
        }
    }

    fn take_outcome(&mut self, id: u64, cx: &Context<'_>) -> Option<Outcome> {
        let lost = || Some(Err(RpcError::Lost("this process is off the network".into())));
        match self.calls.get_mut(&id).map(|c| &mut c.slot) {
            None => return lost(),
            Some(Slot::Waiting(waker)) => {
                keep(waker, cx);
                return None;
            }
            Some(Slot::Done(_)) => {}
        }
        match self.remove_call(id)?.slot {
            Slot::Done(outcome) => Some(outcome),
            Slot::Waiting(_) => lost(),
        }
    }

    fn remove_call(&mut self, id: u64) -> Option<Call> {
        let call = self.calls.remove(&id)?;
        if let Some(link) = self.links.get_mut(&call.key) {
            link.calls = link.calls.saturating_sub(1);
            link.bytes = link.bytes.saturating_sub(call.bytes);
        }
        Some(call)
    }

    /// Nobody waits for the answer any more. Whether the call was surely never sent (and then it never will be).
    fn give_up(&mut self, id: u64) -> bool {
        if let Some(flow) = self.flows.remove(&id) {
            self.cancel_there(flow.key, flow.cancel);
        }
        let Some(call) = self.remove_call(id) else { return false };
        if matches!(call.slot, Slot::Done(_)) {
            return false;
        }
        if let Some(cancel) = call.cancel {
            self.cancel_there(call.key, cancel);
        }
        call.early && !call.entered
    }

    /// Tells the peer that nobody waits any more.
    pub(super) fn cancel_there(&mut self, key: Key, cancel: Arc<Cancel>) {
        let at = self.back(&key);
        self.queue.push(at, Hop::Cancel { path: Some(key), cancel });
    }
}
