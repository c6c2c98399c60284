//! Connections of clients: who listens, who dials, and what arrives.

use super::hop::{Hop, keep};
use super::pipe::{Pipe, SimStream};
use super::{Port, Wires};
use crate::world::{self, OUTSIDE, Stream};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// The client's end of a connection.
pub(super) const CLIENT: usize = 0;
/// The node's end.
pub(super) const SERVER: usize = 1;

/// A connection between a client and a node.
pub(super) struct Conn {
    pub id: u64,
    pub node: u32,
    pub pipe: Mutex<Pipe>,
}

/// A client that waits for its connection.
struct Dial {
    waker: Option<Waker>,
    result: Option<io::Result<Arc<Conn>>>,
}

type Listening = Arc<dyn Fn(SimStream) + Send + Sync>;

/// Everything about clients.
#[derive(Default)]
pub(super) struct Clients {
    pub listeners: BTreeMap<(u32, Port), Listening>,
    dials: BTreeMap<u64, Dial>,
    /// Connections with at least one end open.
    pub conns: BTreeMap<u64, Arc<Conn>>,
    /// What ran into a cut.
    pub parked: Vec<Hop>,
}

impl Wires {
    /// Hands over what concerns clients.
    pub(super) fn arrive_client(self: &Arc<Self>, hop: Hop) {
        match hop {
            Hop::Dial { dial, node, port } => self.dialed(dial, node, port),
            Hop::Dialed { dial, result, .. } => self.answered(dial, result),
            Hop::Accept { node, port, conn } => self.accept(node, port, conn),
            Hop::Data { conn, end, bytes } => {
                let refused = conn.pipe.lock().data_arrived(end, bytes);
                if refused {
                    self.reset_back(&conn);
                }
            }
            Hop::Fin { conn, end } => conn.pipe.lock().fin_arrived(end),
            Hop::Reset { conn } => self.reset_conn(&conn),
            _ => {}
        }
    }

    /// The node's kernel hears that a client wants to connect.
    fn dialed(self: &Arc<Self>, dial: u64, node: u32, port: Port) {
        world::event("net.dial", &[dial, u64::from(node)]);
        let conn = {
            let mut s = self.state.lock();
            let at = world::now() + s.weather.latency(OUTSIDE, node, 0);
            if !s.clients.listeners.contains_key(&(node, port)) {
                let result = Err(io::ErrorKind::ConnectionRefused.into());
                return s.queue.push(at, Hop::Dialed { dial, node, result });
            }
            let conn = Arc::new(Conn { id: s.fresh_id(), node, pipe: Mutex::default() });
            s.clients.conns.insert(conn.id, conn.clone());
            s.queue.push(at, Hop::Dialed { dial, node, result: Ok(conn.clone()) });
            conn
        };
        // The kernel completes the handshake also for software that stands still.
        if self.must_hold(node) {
            self.hold(node, Hop::Accept { node, port, conn });
        } else {
            self.accept(node, port, conn);
        }
    }

    fn accept(self: &Arc<Self>, node: u32, port: Port, conn: Arc<Conn>) {
        let listener = self.state.lock().clients.listeners.get(&(node, port)).cloned();
        let stream = SimStream::new(Arc::downgrade(self), conn.clone(), SERVER);
        match listener {
            Some(accept) => world::within(node, || accept(stream)),
            None => {
                drop(stream);
                self.reset_back(&conn);
            }
        }
    }

    /// The client hears what came of it.
    fn answered(self: &Arc<Self>, dial: u64, result: io::Result<Arc<Conn>>) {
        let mut s = self.state.lock();
        match s.clients.dials.get_mut(&dial) {
            Some(waiting) => {
                waiting.result = Some(result);
                let waker = waiting.waker.take();
                drop(s);
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            None => {
                drop(s);
                if let Ok(conn) = result {
                    // The client has given up meanwhile.
                    drop(SimStream::new(Arc::downgrade(self), conn, CLIENT));
                }
            }
        }
    }

    /// Both ends hear that the connection is gone.
    fn reset_conn(&self, conn: &Conn) {
        if conn.pipe.lock().reset() {
            world::event("net.client_reset", &[conn.id, u64::from(conn.node)]);
        }
    }

    /// An end that is closed answers data with a reset.
    pub(super) fn reset_back(&self, conn: &Arc<Conn>) {
        let mut s = self.state.lock();
        let at = world::now() + s.weather.latency(OUTSIDE, conn.node, 0);
        s.queue.push(at, Hop::Reset { conn: conn.clone() });
    }

    fn clients_of(&self, node: u32) -> Vec<Arc<Conn>> {
        self.state.lock().clients.conns.values().filter(|c| c.node == node).cloned().collect()
    }

    /// Breaks all connections of a node's clients.
    pub(super) fn break_clients(&self, node: u32) {
        for conn in self.clients_of(node) {
            world::count("net.clients_reset");
            self.reset_back(&conn);
        }
    }

    /// A node's process has died: its clients hear of it, and hear or do not hear what it said last.
    pub(super) fn clients_of_dead(&self, node: u32) {
        let listeners = {
            let all = &mut self.state.lock().clients.listeners;
            all.extract_if(.., |(of, _), _| *of == node).collect::<Vec<_>>()
        };
        drop(listeners);
        for conn in self.clients_of(node) {
            world::count("net.clients_reset");
            let last_words = world::draw(Stream::Network, |r| r.below(2) == 0);
            let mut pipe = conn.pipe.lock();
            pipe.server_died(last_words);
            let mut s = self.state.lock();
            let at = world::now() + s.weather.latency(OUTSIDE, node, 0);
            let at = pipe.in_order(SERVER, at);
            s.queue.push(at, Hop::Reset { conn: conn.clone() });
        }
    }
}

/// A client that connects.
pub(super) struct Dialing {
    wires: Arc<Wires>,
    dial: u64,
}

impl Dialing {
    pub(super) fn start(wires: &Arc<Wires>, node: u32, port: Port) -> Self {
        let mut s = wires.state.lock();
        let dial = s.fresh_id();
        let at = world::now() + s.weather.latency(OUTSIDE, node, 0);
        s.clients.dials.insert(dial, Dial { waker: None, result: None });
        s.queue.push(at, Hop::Dial { dial, node, port });
        drop(s);
        Dialing { wires: wires.clone(), dial }
    }
}

impl Future for Dialing {
    type Output = io::Result<SimStream>;
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<SimStream>> {
        let result = {
            let mut s = self.wires.state.lock();
            match s.clients.dials.get_mut(&self.dial) {
                Some(dial) if dial.result.is_none() => {
                    keep(&mut dial.waker, cx);
                    return Poll::Pending;
                }
                Some(dial) => dial.result.take(),
                None => None,
            }
        };
        let gone = || Err(io::ErrorKind::ConnectionAborted.into());
        let wires = Arc::downgrade(&self.wires);
        Poll::Ready(result.unwrap_or_else(gone).map(|conn| SimStream::new(wires, conn, CLIENT)))
    }
}

impl Drop for Dialing {
    fn drop(&mut self) {
        let dial = self.wires.state.lock().clients.dials.remove(&self.dial);
        if let Some(Ok(conn)) = dial.and_then(|dial| dial.result) {
            // Connected, and nobody took the connection.
            drop(SimStream::new(Arc::downgrade(&self.wires), conn, CLIENT));
        }
    }
}
