//! What is under way, in one queue, and the task that hands it over.

use super::client::Conn;
use super::link::Key;
use super::{Port, State, Wires};
use crate::world::{self, OUTSIDE};
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use zcluster_rpc::{RpcError, node_number};

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Call,
    Stream,
}

/// A call on its way to the peer.
#[derive(Clone)]
pub(super) struct Request {
    pub key: Key,
    /// The connection it rides on.
    pub conn: u64,
    /// The process that the connection leads to; 0 while it is being set up.
    pub life: u64,
    /// Whose answer; the caller may be gone when it arrives.
    pub call: u64,
    pub method: u16,
    pub body: Bytes,
    pub ask: Ask,
    /// Sent before the connection stood: never handed over once the caller was told that it was not.
    pub early: bool,
    /// The handler is entered twice.
    pub twice: bool,
    /// On lanes where a caller that gives up cancels the handler.
    pub cancel: Option<Arc<Cancel>>,
}

/// Something under way.
pub(super) enum Hop {
    Request(Request),
    Answer {
        key: Key,
        call: u64,
        result: Result<Bytes, RpcError>,
    },
    /// An item of a stream; `None`: its end.
    Item {
        key: Key,
        flow: u64,
        item: Option<Result<Bytes, RpcError>>,
    },
    /// The caller's end of a connection hears that it is broken. With `linger`, what is under way still arrives.
    Break {
        key: Key,
        conn: u64,
        linger: bool,
    },
    /// The caller hears that no connection could be made.
    Refuse {
        key: Key,
        conn: u64,
        error: RpcError,
    },
    /// A call ends like this unless it has ended.
    Fail {
        call: u64,
        error: RpcError,
    },
    /// The caller is not interested any more; with a path it must get there.
    Cancel {
        path: Option<Key>,
        cancel: Arc<Cancel>,
    },
    /// The caller's keepalive looks whether the peer stands still.
    Suspect {
        key: Key,
        conn: u64,
    },
    /// Keepalives on both sides of a cut have run out.
    Notice {
        from: u32,
        to: u32,
        cut: u64,
    },
    /// A client wants to connect.
    Dial {
        dial: u64,
        node: u32,
        port: Port,
    },
    /// And hears what came of it.
    Dialed {
        dial: u64,
        node: u32,
        result: io::Result<Arc<Conn>>,
    },
    /// The node's software takes a connection.
    Accept {
        node: u32,
        port: Port,
        conn: Arc<Conn>,
    },
    /// A client's or its server's bytes, sent by end `end`.
    Data {
        conn: Arc<Conn>,
        end: usize,
        bytes: Bytes,
    },
    /// No more bytes will come from end `end`.
    Fin {
        conn: Arc<Conn>,
        end: usize,
    },
    /// The connection is gone for both ends.
    Reset {
        conn: Arc<Conn>,
    },
}

/// Where a hop passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Path {
    /// From node to node.
    Nodes(u32, u32),
    /// Between the outside and a node.
    Client(u32),
    /// Nowhere: it happens at one place.
    Local,
}

impl Hop {
    pub(super) fn path(&self) -> Path {
        let there = |k: &Key| Path::Nodes(node_number(k.from), node_number(k.to));
        let back = |k: &Key| Path::Nodes(node_number(k.to), node_number(k.from));
        match self {
            Hop::Request(r) => there(&r.key),
            Hop::Cancel { path: Some(key), .. } => there(key),
            Hop::Answer { key, .. } | Hop::Item { key, .. } | Hop::Break { key, .. } | Hop::Refuse { key, .. } => {
                back(key)
            }
            Hop::Dial { node, .. } | Hop::Dialed { node, .. } => Path::Client(*node),
            Hop::Data { conn, .. } | Hop::Fin { conn, .. } | Hop::Reset { conn } => Path::Client(conn.node),
            Hop::Fail { .. } | Hop::Cancel { path: None, .. } | Hop::Suspect { .. } => Path::Local,
            Hop::Notice { .. } | Hop::Accept { .. } => Path::Local,
        }
    }
}

/// Tells a handler that its caller is not interested any more: it is dropped where it waits, as HTTP/2 does.
#[derive(Default)]
pub(super) struct Cancel {
    cancelled: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Cancel {
    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
        let waker = self.waker.lock().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
    /// Whether it was cancelled; if not, the task is woken when it is.
    pub(super) fn poll(&self, cx: &Context<'_>) -> bool {
        if !self.is_cancelled() {
            keep(&mut self.waker.lock(), cx);
        }
        self.is_cancelled()
    }
}

/// Remembers whom to wake.
pub(super) fn keep(slot: &mut Option<Waker>, cx: &Context<'_>) {
    if !slot.as_ref().is_some_and(|w| w.will_wake(cx.waker())) {
        *slot = Some(cx.waker().clone());
    }
}

/// Everything under way, in order of arrival; ties in order of sending.
#[derive(Default)]
pub(super) struct Queue {
    hops: BTreeMap<(u64, u64), Hop>,
    next: u64,
    pump: Option<Waker>,
    /// The timer that will wake the pump.
    armed: Option<(u64, world::Sleep)>,
    /// The pump is at work and will look for itself.
    pumping: bool,
}

impl Queue {
    /// `hop` arrives at true time `at`.
    pub(super) fn push(&mut self, at: u64, hop: Hop) {
        self.hops.insert((at, self.next), hop);
        self.next += 1;
        if !self.pumping && self.armed.as_ref().is_none_or(|(armed, _)| at < *armed) {
            self.arm(at);
        }
    }

    /// `hop` arrived long ago, as it were: before everything that has not arrived yet.
    pub(super) fn push_overdue(&mut self, hop: Hop) {
        self.push(0, hop);
    }

    fn arm(&mut self, at: u64) {
        // Before its first poll there is nobody to wake; it looks for itself then.
        let Some(pump) = &self.pump else { return };
        let mut sleep = world::sleep_until(at);
        // As the outside: a node whose timers stand still does not stop the wires.
        let due = world::within(OUTSIDE, || Pin::new(&mut sleep).poll(&mut Context::from_waker(pump))).is_ready();
        if due {
            pump.wake_by_ref();
        }
        self.armed = Some((at, sleep));
    }

    fn begin(&mut self, cx: &Context<'_>) {
        keep(&mut self.pump, cx);
        self.pumping = true;
    }

    fn end(&mut self) {
        self.pumping = false;
        self.armed = None;
        if let Some(at) = self.hops.first_key_value().map(|(key, _)| key.0) {
            self.arm(at);
        }
    }

    fn pop_due(&mut self) -> Option<Hop> {
        let first = self.hops.first_entry()?;
        if first.key().0 > world::now() { None } else { Some(first.remove()) }
    }
}

/// The task that hands over what arrives.
pub(super) struct Pump(Weak<Wires>);

impl Pump {
    pub(super) fn new(wires: Weak<Wires>) -> Self {
        Pump(wires)
    }
}

impl Future for Pump {
    type Output = ();
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(wires) = self.0.upgrade() else { return Poll::Ready(()) };
        wires.state.lock().queue.begin(cx);
        loop {
            let hop = wires.state.lock().next_arrival();
            let Some(hop) = hop else { break };
            wires.arrive(hop);
        }
        wires.state.lock().queue.end();
        Poll::Pending
    }
}

impl State {
    /// The next hop whose time has come and that no cut stops.
    fn next_arrival(&mut self) -> Option<Hop> {
        loop {
            let hop = self.queue.pop_due()?;
            if let Some(hop) = self.pass(hop) {
                return Some(hop);
            }
        }
    }
}
