//! The answering side: what happens when a hop's time has come.

use super::call::Outcome;
use super::frames::Giving;
use super::hop::{Ask, Cancel, Hop, Request};
use super::trouble::keepalive;
use super::{State, Wires};
use crate::world;
use bytes::Bytes;
use futures::future::BoxFuture;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use zcluster_rpc::frame::{BODY_BYTES_MAX, Frame};
use zcluster_rpc::{Frames, Lane, RpcError, Service, node_number};

impl Wires {
    /// Hands over what no cut has stopped.
    pub(super) fn arrive(self: &Arc<Self>, hop: Hop) {
        match hop {
            Hop::Request(request) => self.take(request, false),
            Hop::Answer { call, result, .. } => self.state.lock().resolve(call, result),
            Hop::Item { flow, item, .. } => self.state.lock().item_arrived(flow, item),
            Hop::Break { key, conn, linger } => self.state.lock().break_link(key, conn, linger),
            Hop::Refuse { key, conn, error } => self.state.lock().refuse_link(key, conn, error),
            Hop::Fail { call, error } => self.state.lock().resolve(call, Err(error)),
            Hop::Cancel { cancel, .. } => cancel.cancel(),
            Hop::Suspect { key, conn } => self.state.lock().suspect(key, conn),
            Hop::Notice { from, to, cut } => self.state.lock().notice(from, to, cut),
            Hop::Dial { .. }
            | Hop::Dialed { .. }
            | Hop::Accept { .. }
            | Hop::Data { .. }
            | Hop::Fin { .. }
            | Hop::Reset { .. } => self.arrive_client(hop),
        }
    }

    /// Takes a request at its target.
    fn take(self: &Arc<Self>, request: Request, held: bool) {
        let node = node_number(request.key.to);
        if !held && self.must_hold(node) {
            self.state.lock().watch_frozen(&request);
            return self.hold(node, Hop::Request(request));
        }
        let service = self.state.lock().admit(&request);
        let Some(service) = service else { return };
        let times = if request.twice { 2 } else { 1 };
        world::within(node, || (0..times).for_each(|_| self.enter(node, &*service, &request)));
    }

    /// Whether a node stands still, or has not yet read what came meanwhile.
    pub(super) fn must_hold(&self, node: u32) -> bool {
        world::is_frozen(node) || self.state.lock().inbox.get(&node).is_some_and(|waiting| !waiting.is_empty())
    }

    /// Keeps something, in order, for a node's software to find when it goes on.
    pub(super) fn hold(self: &Arc<Self>, node: u32, hop: Hop) {
        let first = {
            let mut s = self.state.lock();
            let inbox = s.inbox.entry(node).or_default();
            inbox.push_back(hop);
            inbox.len() == 1
        };
        if first {
            world::count("net.frozen");
            let wires = Arc::downgrade(self);
            world::spawn_on(node, async move {
                if let Some(wires) = wires.upgrade() {
                    wires.read_inbox(node);
                }
            });
        }
    }

    fn read_inbox(self: &Arc<Self>, node: u32) {
        loop {
            // The entry stays while it is read: what comes meanwhile queues behind.
            let hop = self.state.lock().inbox.get_mut(&node).and_then(|waiting| waiting.pop_front());
            match hop {
                None => break,
                Some(Hop::Request(request)) => self.take(request, true),
                Some(hop) => self.arrive_client(hop),
            }
        }
    }

    /// Calls the handler, in the node's context. Its answer is awaited in a task of the node.
    fn enter(self: &Arc<Self>, node: u32, service: &dyn Service, request: &Request) {
        let Request { key, conn, call, method, cancel, .. } = request;
        let (wires, body, cancel) = (Arc::downgrade(self), request.body.clone(), cancel.clone());
        let answering = Answering { wires, key: *key, conn: *conn, call: *call, cancel };
        world::event("net.call", &[key.from, key.to, u64::from(*method), body.len() as u64]);
        match request.ask {
            Ask::Call => world::spawn_on(node, Handling(service.call(key.from, *method, body), answering)),
            Ask::Stream => {
                let opening = service.stream(key.from, *method, body);
                world::spawn_on(node, open(Handling(opening, answering)));
            }
        }
    }

    /// An answer leaves the node.
    fn answer(&self, answering: &Answering, outcome: Outcome) {
        self.state.lock().send_answer(answering, outcome);
    }
}

impl State {
    /// The service that shall answer, if the request gets to it.
    fn admit(&mut self, r: &Request) -> Option<Arc<dyn Service>> {
        let link = self.links.get_mut(&r.key)?;
        if r.conn < link.accept_from {
            return None;
        }
        // While a connection is set up its frames do not know yet where it leads.
        let leads_to = if r.life == 0 && r.conn == link.conn { link.life } else { r.life };
        let Some(process) = self.processes.get(&r.key.to).filter(|p| leads_to == 0 || leads_to == p.life) else {
            self.turn_away(r, leads_to != 0);
            return None;
        };
        let waiting = self.calls.get(&r.call).is_some_and(|c| matches!(c.slot, super::call::Slot::Waiting(_)));
        if (r.early && !waiting) || r.cancel.as_ref().is_some_and(|c| c.is_cancelled()) {
            return None;
        }
        if r.conn == link.conn {
            link.is_up(process.life);
        }
        let service = process.service.clone();
        if let Some(call) = self.calls.get_mut(&r.call) {
            call.entered = true;
        }
        Some(service)
    }

    /// The process that the connection led to is gone, or nobody listens.
    fn turn_away(&mut self, r: &Request, stood: bool) {
        let (key, conn) = (r.key, r.conn);
        let at = self.back(&key);
        // What was sent behind it gets there no more than this.
        if let Some(link) = self.links.get_mut(&key) {
            link.accept_from = link.accept_from.max(conn + 1);
        }
        if stood {
            self.queue.push(at, Hop::Break { key, conn, linger: false });
            return;
        }
        let number = node_number(key.to);
        let other = self.processes.keys().find(|id| node_number(**id) == number && **id != key.to);
        let error = match other {
            Some(id) => RpcError::Refused(format!(
                "this is node {number} incarnation {}, the call is for incarnation {}",
                id & 0xffff,
                key.to & 0xffff
            )),
            None => RpcError::Unreachable(key.to, "connection refused".into()),
        };
        self.queue.push(at, Hop::Refuse { key, conn, error });
    }

    /// A frame came to a node that stands still: the caller's keepalive will find out.
    fn watch_frozen(&mut self, r: &Request) {
        let (key, conn) = (r.key, r.conn);
        let Some(link) = self.links.get_mut(&key).filter(|link| !link.suspect && link.conn == conn) else { return };
        link.suspect = true;
        self.queue.push(world::now() + keepalive(), Hop::Suspect { key, conn });
    }

    /// A peer that still stands still answers no pings: the connection is given up. What it has received it finds later.
    fn suspect(&mut self, key: super::link::Key, conn: u64) {
        let Some(link) = self.links.get_mut(&key).filter(|link| link.conn == conn) else { return };
        link.suspect = false;
        if world::is_frozen(node_number(key.to)) {
            self.break_link(key, conn, true);
        }
    }

    fn send_answer(&mut self, a: &Answering, outcome: Outcome) {
        // Nobody waits, or on another connection: the answer has nowhere to go.
        let Some(call) = self.waiting(a.call).filter(|c| c.conn == a.conn) else { return };
        let (key, method) = (a.key, call.method);
        let result = as_on_the_wire(key.lane, outcome);
        let len = result.as_ref().map_or(0, Bytes::len);
        let (ns, lost) = self.weather.answer(&key, len);
        let mut at = world::now() + ns;
        if key.lane == Lane::Raft
            && let Some(link) = self.links.get_mut(&key)
        {
            at = at.max(link.last_answer + 1);
            link.last_answer = at;
        }
        world::event("net.answer", &[key.to, key.from, u64::from(method), len as u64, u64::from(result.is_ok())]);
        if !lost {
            self.queue.push(at, Hop::Answer { key, call: a.call, result });
            return;
        }
        world::count("net.drop_answer");
        if key.lane == Lane::Raft {
            self.queue.push(at, Hop::Break { key, conn: a.conn, linger: false });
        }
    }
}

/// What production makes of an answer: limits of size, and errors as text.
fn as_on_the_wire(lane: Lane, outcome: Outcome) -> Outcome {
    match outcome {
        Ok(body) if body.len() <= BODY_BYTES_MAX => Ok(body),
        Ok(body) if lane != Lane::Raft => Err(RpcError::Lost(format!("answer of {} bytes is too large", body.len()))),
        other => Frame::answer(0, other).result(),
    }
}

/// Where a handler's answer goes.
struct Answering {
    wires: Weak<Wires>,
    key: super::link::Key,
    conn: u64,
    call: u64,
    cancel: Option<Arc<Cancel>>,
}

impl Answering {
    fn is_cancelled(&self, cx: &Context<'_>) -> bool {
        let cancelled = self.cancel.as_ref().is_some_and(|c| c.poll(cx));
        if cancelled {
            world::count("net.cancelled");
        }
        cancelled
    }
    fn answer(&self, outcome: Outcome) {
        if let Some(wires) = self.wires.upgrade() {
            wires.answer(self, outcome);
        }
    }
}

/// A handler at work.
struct Handling<T>(BoxFuture<'static, T>, Answering);

impl Future for Handling<Outcome> {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.1.is_cancelled(cx) {
            return Poll::Ready(());
        }
        let outcome = std::task::ready!(self.0.as_mut().poll(cx));
        self.1.answer(outcome);
        Poll::Ready(())
    }
}

/// `None`: cancelled.
type Opened = Option<Result<Frames, RpcError>>;

impl Future for &mut Handling<Result<Frames, RpcError>> {
    type Output = Opened;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Opened> {
        if self.1.is_cancelled(cx) {
            return Poll::Ready(None);
        }
        self.0.as_mut().poll(cx).map(Some)
    }
}

/// A handler that opens a stream, and then the stream.
async fn open(mut handling: Handling<Result<Frames, RpcError>>) {
    let Some(opened) = (&mut handling).await else { return };
    let Handling(_, answering) = handling;
    match (opened, answering.cancel.clone()) {
        (Ok(frames), Some(cancel)) => {
            answering.answer(Ok(Bytes::new()));
            Giving::new(answering.wires.clone(), answering.call, frames, cancel).await;
        }
        (Ok(_), None) => {}
        (Err(e), _) => answering.answer(Err(e)),
    }
}
