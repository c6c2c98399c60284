//! Stands where sockets do: calls and streams between nodes, byte streams for clients, and everything that goes wrong
//! with them.
//!
//! What travels is a [`hop::Hop`] in one queue ordered by true time; a single task, the pump, hands each over when its
//! time has come, in the context of the node it arrives at. [`link`] says what a connection between nodes promises and
//! how it ends, [`weather`] what goes wrong, [`call`] and [`frames`] are the calling side, [`arrive`] the answering
//! one, [`client`] and [`pipe`] the connections of clients.

mod arrive;
mod call;
mod client;
mod frames;
mod hop;
mod link;
mod pipe;
mod trouble;
mod weather;

#[cfg(test)]
mod tests;

pub use pipe::SimStream;

use crate::plan::Knobs;
use crate::world;
use call::{Call, NodeNet};
use client::{Clients, Dialing};
use frames::Flow;
use hop::{Hop, Queue};
use link::{Key, Link};
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use weather::Weather;
use zcluster_rpc::{Network, Service, node_number};

/// What a client connects to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Port {
    /// Mail comes in.
    Lmtp,
    /// Mail is read.
    Imap,
}

/// Takes a client's connection, in the context of the node that listens.
pub type Accept = Box<dyn Fn(SimStream) + Send + Sync>;

/// All wires of a world. Whoever owns it keeps the network alive: what [`Wires::network`] gives out does not.
pub struct Wires {
    state: Mutex<State>,
}

/// A process that answers calls.
struct Process {
    /// Which of the processes that ever were: connections lead to a process, not to a name.
    life: u64,
    service: Arc<dyn Service>,
}

/// Everything the wires know. Locked for moments only, and never while software of a node runs.
struct State {
    queue: Queue,
    weather: Weather,
    processes: BTreeMap<u64, Process>,
    links: BTreeMap<Key, Link>,
    calls: BTreeMap<u64, Call>,
    flows: BTreeMap<u64, Flow>,
    /// What came to a node that stands still: it lies in the kernel's buffers.
    inbox: BTreeMap<u32, VecDeque<Hop>>,
    /// What ran into a cut and is sent again when it is mended.
    parked: BTreeMap<(u32, u32), Vec<Hop>>,
    clients: Clients,
    next_id: u64,
}

impl State {
    /// A number that nothing else has.
    fn fresh_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }
}

impl Wires {
    /// Everything is connected, nobody is there.
    pub fn new(knobs: &Knobs) -> Arc<Self> {
        let wires = Arc::new(Wires {
            state: Mutex::new(State {
                queue: Queue::default(),
                weather: Weather::new(knobs),
                processes: BTreeMap::new(),
                links: BTreeMap::new(),
                calls: BTreeMap::new(),
                flows: BTreeMap::new(),
                inbox: BTreeMap::new(),
                parked: BTreeMap::new(),
                clients: Clients::default(),
                next_id: 0,
            }),
        });
        world::spawn_on(world::OUTSIDE, hop::Pump::new(Arc::downgrade(&wires)));
        wires
    }

    /// How the process with raft id `me` reaches others.
    pub fn network(self: &Arc<Self>, me: u64) -> Arc<dyn Network> {
        Arc::new(NodeNet::new(me, Arc::downgrade(self)))
    }

    /// A process answers from now on.
    pub fn attach(&self, raft_id: u64, service: Arc<dyn Service>) {
        world::event("net.attach", &[raft_id]);
        let before = {
            let mut s = self.state.lock();
            let life = s.fresh_id();
            s.processes.insert(raft_id, Process { life, service })
        };
        // The service may own things whose destructors call back.
        drop(before);
    }

    /// The process has died: call it together with [`world::kill`]. Its calls fail, those made to it are lost, its
    /// listeners vanish, its clients lose their connections.
    pub fn detach(&self, raft_id: u64) {
        world::event("net.detach", &[raft_id]);
        let gone = self.state.lock().process_died(raft_id);
        drop(gone);
        self.clients_of_dead(node_number(raft_id));
    }

    /// The node's present process takes clients' connections from now on.
    pub fn listen(&self, node: u32, port: Port, accept: Accept) {
        let before = self.state.lock().clients.listeners.insert((node, port), Arc::from(accept));
        drop(before);
    }

    /// The node takes no more connections (a process that ends in order); those it has go on.
    pub fn unlisten(&self, node: u32, port: Port) {
        let gone = self.state.lock().clients.listeners.remove(&(node, port));
        drop(gone);
    }

    /// Connects a client.
    ///
    /// # Errors
    /// `ConnectionRefused` when nobody listens. Hangs while the node is cut off from clients.
    pub async fn connect(self: &Arc<Self>, node: u32, port: Port) -> io::Result<SimStream> {
        Dialing::start(self, node, port).await
    }

    /// Nothing gets from one node to another any more. What was under way is lost or comes when the cut is mended.
    pub fn cut(&self, from: u32, to: u32) {
        self.state.lock().cut(from, to);
    }

    /// Nothing gets from clients to the node or back any more.
    pub fn cut_clients(&self, node: u32) {
        world::event("net.cut_clients", &[u64::from(node)]);
        self.state.lock().weather.clients_cut.insert(node);
    }

    /// The link between two nodes is slower by a factor, both ways.
    pub fn slow(&self, a: u32, b: u32, factor: u32) {
        world::event("net.slow", &[u64::from(a), u64::from(b), u64::from(factor)]);
        self.state.lock().weather.set_slow(a, b, factor);
    }

    /// All cuts and slow links are mended.
    pub fn heal(&self) {
        self.state.lock().heal();
    }

    /// Connections between two nodes break, both ways.
    pub fn reset(&self, a: u32, b: u32) {
        world::event("net.reset_links", &[u64::from(a), u64::from(b)]);
        self.state.lock().break_pair(a, b);
    }

    /// The node's clients lose their connections.
    pub fn reset_clients(&self, node: u32) {
        world::event("net.reset_clients", &[u64::from(node)]);
        self.break_clients(node);
    }

    /// From now on small things go wrong as often as this.
    pub fn set_knobs(&self, knobs: &Knobs) {
        self.state.lock().weather.knobs = knobs.clone();
    }
}
