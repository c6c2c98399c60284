//! Connections between nodes.
//!
//! As in production each lane to a peer has a connection of its own, made when it is first needed. A connection leads
//! to one process: what is sent on it never reaches the process that is started later under the same name (its kernel
//! answers such packets with a reset), so "stale-connection delivery" means late delivery to the same process.
//!
//! - On [`Lane::Raft`] frames arrive in the order of the calls; one is lost only together with its connection.
//! - A call is `Unreachable` only if it was sent before its connection stood, and then its handler is never entered.
//! - When a connection breaks, its calls are `Lost`; a new one is made after a short pause.
//! - Nobody listens: `Unreachable` after a round trip, and at once from then on until the next attempt is due.
//! - Calls on other lanes whose callers give up (and all when their connection breaks) are cancelled: the handler is
//!   dropped where it waits, as HTTP/2 does. On the Raft lane handlers run on.

use super::State;
use super::call::Slot;
use super::hop::Hop;
use crate::world::{self, Stream};
use zcluster_rpc::client::{BACKOFF_MAX, BACKOFF_MIN};
use zcluster_rpc::{Lane, RpcError, node_number};

/// Calls under way on one connection of the Raft lane.
pub(super) const CALLS_MAX: usize = 16_384;
/// And their bytes.
pub(super) const BYTES_MAX: usize = 64 * 1024 * 1024;
/// Round trips that it takes to set up TCP, TLS and HTTP/2.
const SETUP_ROUND_TRIPS: u64 = 3;

/// Which connection: who calls whom (raft ids) on which lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub from: u64,
    pub to: u64,
    pub lane: Lane,
}

impl Key {
    /// Whether it connects these two nodes, either way.
    pub(super) fn is_between(&self, a: u32, b: u32) -> bool {
        let ends = (node_number(self.from), node_number(self.to));
        ends == (a, b) || ends == (b, a)
    }
}

/// The state of a connection, as far as both ends together know it.
#[derive(Default)]
pub(super) struct Link {
    /// The present connection; the one before is broken.
    pub conn: u64,
    /// Frames of older connections than this are not handed over.
    pub accept_from: u64,
    /// The process it leads to; 0 while it is being set up.
    pub life: u64,
    /// When frames may leave.
    pub ready_at: u64,
    /// Arrival of the last frame (Raft lane).
    pub last_arrival: u64,
    /// Arrival of the last answer (Raft lane).
    pub last_answer: u64,
    /// After a failed attempt: calls fail like this until the next one is due.
    pub down: Option<(u64, RpcError)>,
    /// The pause after the last failed attempt.
    backoff: u64,
    /// The keepalive will look whether the peer stands still.
    pub suspect: bool,
    /// Calls under way.
    pub calls: usize,
    /// Bytes of calls under way.
    pub bytes: usize,
}

impl Link {
    /// A new connection in place of this one, whose frames may still arrive if they `linger`.
    fn renew(&mut self, linger: bool) {
        self.conn += 1;
        if !linger {
            self.accept_from = self.conn;
        }
        (self.life, self.ready_at, self.last_arrival, self.last_answer) = (0, 0, 0, 0);
        self.suspect = false;
    }

    /// The peer took a call: the connection stands.
    pub(super) fn is_up(&mut self, life: u64) {
        (self.life, self.backoff, self.down) = (life, 0, None);
    }
}

fn ns(d: std::time::Duration) -> u64 {
    d.as_nanos() as u64
}

/// A quarter more or less.
fn jitter(ns: u64) -> u64 {
    world::draw(Stream::Network, |r| ns - ns / 4 + r.below(ns / 2 + 1))
}

impl State {
    /// When a frame sent now may leave: at once, or when the connection stands.
    pub(super) fn departure(&mut self, key: &Key) -> u64 {
        let now = world::now();
        let Some(link) = self.links.get(key) else { return now };
        if link.life == 0 && link.ready_at == 0 {
            let one_way = self.weather.latency(node_number(key.from), node_number(key.to), 0);
            if let Some(link) = self.links.get_mut(key) {
                link.ready_at = now + 2 * SETUP_ROUND_TRIPS * one_way;
            }
        }
        self.links.get(key).map_or(now, |link| link.ready_at.max(now))
    }

    /// Time from the peer back to the caller.
    pub(super) fn back(&self, key: &Key) -> u64 {
        world::now() + self.weather.latency(node_number(key.from), node_number(key.to), 0)
    }

    /// The connection `conn` is broken, and the caller's end knows.
    pub(super) fn break_link(&mut self, key: Key, conn: u64, linger: bool) {
        let Some(link) = self.links.get_mut(&key).filter(|link| link.conn == conn) else { return };
        link.renew(linger);
        world::event("net.break", &[key.from, key.to, conn]);
        let pause = jitter(ns(BACKOFF_MIN));
        let setup = self.back(&key) - world::now();
        if let Some(link) = self.links.get_mut(&key) {
            link.ready_at = world::now() + pause + 2 * SETUP_ROUND_TRIPS * setup;
        }
        let lost = RpcError::Lost(format!("the connection to node {} broke", node_number(key.to)));
        let early = RpcError::Unreachable(key.to, "the connection broke before the call was sent".into());
        let struck = self.fail_calls(key, conn, &early, &lost) + self.end_flows(key, conn, &lost);
        if struck > 0 {
            world::count("net.reset");
            world::note(node_number(key.from), "net", || {
                format!("connection to {} ({:?}) broke with {struck} calls", node_number(key.to), key.lane)
            });
        }
    }

    /// No connection could be made.
    pub(super) fn refuse_link(&mut self, key: Key, conn: u64, error: RpcError) {
        let Some(link) = self.links.get_mut(&key).filter(|link| link.conn == conn) else { return };
        link.renew(false);
        world::event("net.refused", &[key.from, key.to, conn]);
        world::count("net.refused");
        link.backoff = (link.backoff * 2).clamp(ns(BACKOFF_MIN), ns(BACKOFF_MAX));
        let until = world::now() + jitter(link.backoff);
        if let Some(link) = self.links.get_mut(&key) {
            link.down = Some((until, error.clone()));
        }
        self.fail_calls(key, conn, &error, &error);
        self.end_flows(key, conn, &error);
    }

    /// Ends the calls of a connection: with `early` those that were never sent, with `sent` the others.
    fn fail_calls(&mut self, key: Key, conn: u64, early: &RpcError, sent: &RpcError) -> usize {
        let mine = |c: &super::Call| c.key == key && c.conn == conn && matches!(c.slot, Slot::Waiting(_));
        let ids: Vec<u64> = self.calls.iter().filter(|(_, c)| mine(c)).map(|(id, _)| *id).collect();
        for id in &ids {
            let Some(call) = self.calls.get_mut(id) else { continue };
            let error = if call.early && !call.entered { early } else { sent };
            let cancel = call.cancel.take();
            self.resolve(*id, Err(error.clone()));
            self.cancel_locally(&key, cancel);
        }
        ids.len()
    }

    /// The peer's end hears that the connection is broken, by the reset or its own keepalive.
    pub(super) fn cancel_locally(&mut self, key: &Key, cancel: Option<std::sync::Arc<super::hop::Cancel>>) {
        if let Some(cancel) = cancel {
            let at = self.back(key);
            self.queue.push(at, Hop::Cancel { path: None, cancel });
        }
    }

    /// All connections between two nodes break.
    pub(super) fn break_pair(&mut self, a: u32, b: u32) {
        let links: Vec<(Key, u64)> =
            self.links.iter().filter(|(k, _)| k.is_between(a, b)).map(|(k, l)| (*k, l.conn)).collect();
        for (key, conn) in links {
            self.break_link(key, conn, false);
        }
    }

    /// The caller's process is gone and so are its connections; what it sent last arrives or does not. Peers stop
    /// working on what they have taken from it.
    pub(super) fn forget_caller(&mut self, from: u64) {
        let linger = world::draw(Stream::Network, |r| r.below(2) == 0);
        let calls = self.calls.extract_if(.., |_, c| c.key.from == from).filter_map(|(_, c)| Some((c.key, c.cancel?)));
        let flows = self.flows.extract_if(.., |_, f| f.key.from == from).map(|(_, f)| (f.key, f.cancel));
        let cancels: Vec<_> = calls.chain(flows).collect();
        for (key, cancel) in cancels {
            self.cancel_locally(&key, Some(cancel));
        }
        for (_, link) in self.links.iter_mut().filter(|(k, _)| k.from == from) {
            link.renew(linger);
            (link.down, link.backoff, link.calls, link.bytes) = (None, 0, 0, 0);
        }
    }
}
