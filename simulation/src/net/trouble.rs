//! Large faults: cuts, deaths, and their end.

use super::hop::{Hop, Path};
use super::link::Key;
use super::weather::Cut;
use super::{Process, State};
use crate::world::{self, Stream};
use zcluster_rpc::{Lane, RpcError, node_number};

/// A cut is noticed after so long, nanoseconds: within the ping's interval and its timeout, see `zcluster_rpc::client`.
const NOTICE_NS: (u64, u64) = (500_000_000, 2_000_000_000);
/// After the network is mended it takes up to so long until the next attempt to connect, nanoseconds.
const RECONNECT_NS: u64 = 1_200_000_000;

/// How long until a keepalive runs out.
pub(super) fn keepalive() -> u64 {
    world::draw(Stream::Network, |r| r.range(NOTICE_NS.0, NOTICE_NS.1))
}

impl State {
    /// Gives the hop back unless a cut stops it.
    pub(super) fn pass(&mut self, hop: Hop) -> Option<Hop> {
        if self.weather.cuts.is_empty() && self.weather.clients_cut.is_empty() {
            return Some(hop);
        }
        match hop.path() {
            Path::Nodes(from, to) => match self.weather.cuts.get(&(from, to)).copied() {
                Some(cut) => self.stop(hop, (from, to), cut),
                None => return Some(hop),
            },
            Path::Client(node) if self.weather.clients_cut.contains(&node) => {
                world::count("net.cut_clients");
                self.clients.parked.push(hop);
            }
            Path::Client(_) | Path::Local => return Some(hop),
        }
        None
    }

    fn stop(&mut self, hop: Hop, at: (u32, u32), cut: Cut) {
        world::count("net.cut");
        world::event("net.cut", &[u64::from(at.0), u64::from(at.1)]);
        let is_call = matches!(hop, Hop::Request(_) | Hop::Answer { .. } | Hop::Cancel { .. });
        if cut.noticed || !is_call {
            // TCP sends it again and again until the cut is mended or the connection is given up.
            return self.parked.entry(at).or_default().push(hop);
        }
        // Lost for good, on the Raft lane together with what was sent behind it. Nobody is told.
        if let Hop::Request(r) = hop
            && r.key.lane == Lane::Raft
        {
            self.swallow(r.key, r.conn);
        }
    }

    /// A connection of the Raft lane goes on as a new one, and its caller does not know.
    fn swallow(&mut self, key: Key, conn: u64) {
        let Some(link) = self.links.get_mut(&key) else { return };
        link.accept_from = link.accept_from.max(conn + 1);
        if link.conn != conn {
            return;
        }
        (link.conn, link.last_arrival) = (conn + 1, 0);
        let life = link.life;
        if life != 0 && self.processes.get(&key.to).is_none_or(|p| p.life != life) {
            // The reset that a dying process sent was for the connection by its old number.
            let at = self.back(&key);
            self.queue.push(at, Hop::Break { key, conn: conn + 1, linger: false });
        }
    }

    pub(super) fn cut(&mut self, from: u32, to: u32) {
        if from == to || self.weather.cuts.contains_key(&(from, to)) {
            return;
        }
        world::event("net.cut_begins", &[u64::from(from), u64::from(to)]);
        let id = self.fresh_id();
        let noticed = world::draw(Stream::Network, |r| r.below(2) == 0);
        self.weather.cuts.insert((from, to), Cut { id, noticed, dark: None });
        self.queue.push(world::now() + keepalive(), Hop::Notice { from, to, cut: id });
    }

    /// Keepalives have run out on a cut.
    pub(super) fn notice(&mut self, from: u32, to: u32, id: u64) {
        let Some(cut) = self.weather.cuts.get_mut(&(from, to)).filter(|c| c.id == id) else { return };
        if !cut.noticed {
            // A stream cannot go on with a hole in it.
            return self.end_flows_between(from, to);
        }
        cut.dark = Some(world::now());
        self.break_pair(from, to);
        for at in [(from, to), (to, from)] {
            let parked = self.parked.remove(&at).unwrap_or_default();
            // The server's keepalive cancels what the caller would have.
            for hop in parked {
                if let Hop::Cancel { cancel, .. } = hop {
                    cancel.cancel();
                }
            }
        }
    }

    /// Mends everything.
    pub(super) fn heal(&mut self) {
        world::event("net.heal", &[]);
        for ((from, to), cut) in self.weather.clear() {
            if cut.dark.is_some() {
                self.reconnect_later(from, to);
            } else if cut.noticed && world::draw(Stream::Network, |r| r.below(2) == 0) {
                self.break_pair(from, to);
            }
        }
        let parked = std::mem::take(&mut self.parked).into_values().flatten();
        let clients = std::mem::take(&mut self.clients.parked);
        for hop in parked.chain(clients) {
            world::count("net.parked");
            self.queue.push_overdue(hop);
        }
    }

    /// Attempts to connect go on in the background, with pauses.
    fn reconnect_later(&mut self, a: u32, b: u32) {
        let now = world::now();
        for (key, link) in self.links.iter_mut().filter(|(k, _)| k.is_between(a, b)) {
            let until = now + world::draw(Stream::Network, |r| r.below(RECONNECT_NS));
            link.down = Some((until, RpcError::Unreachable(key.to, "no connection yet".into())));
            link.ready_at = 0;
        }
    }

    /// Takes a process off the network. Its service must be dropped without the lock.
    pub(super) fn process_died(&mut self, id: u64) -> Option<Process> {
        self.inbox.remove(&node_number(id));
        self.forget_caller(id);
        let to_it = |(k, l): &(&Key, &super::Link)| k.to == id && l.life != 0;
        let links: Vec<(Key, u64)> = self.links.iter().filter(to_it).map(|(k, l)| (*k, l.conn)).collect();
        for (key, conn) in links {
            // Its kernel closes the sockets; behind a cut nobody hears of it.
            let at = self.back(&key);
            self.queue.push(at, Hop::Break { key, conn, linger: false });
        }
        self.processes.remove(&id)
    }
}
