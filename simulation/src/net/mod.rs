//! Stands where sockets do: calls and streams between nodes, byte streams for clients, and everything that goes wrong
//! with them.
//!
//! What travels is a [`hop::Hop`] in one queue ordered by true time; a single task, the pump, hands each over when its
//! time has come, in the context of the node it arrives at. See [`link`] for what a connection between nodes promises.

mod pipe;

pub use pipe::SimStream;

use crate::plan::Knobs;
use std::io;
use std::sync::Arc;
use zcluster_rpc::{Network, Service};

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
pub struct Wires {}

impl Wires {
    /// Everything is connected, nobody is there.
    pub fn new(_knobs: &Knobs) -> Arc<Self> {
        Arc::new(Wires {})
    }
    /// How the process with raft id `me` reaches others.
    pub fn network(self: &Arc<Self>, _me: u64) -> Arc<dyn Network> {
        unreachable!("being written")
    }
    /// A process answers from now on.
    pub fn attach(&self, _raft_id: u64, _service: Arc<dyn Service>) {}
    /// The process has died: call it together with `world::kill`. Connections are reset, listeners vanish.
    pub fn detach(&self, _raft_id: u64) {}
    /// The node's present process takes clients' connections from now on.
    pub fn listen(&self, _node: u32, _port: Port, _accept: Accept) {}
    /// The node takes no more connections (a process that ends in order).
    pub fn unlisten(&self, _node: u32, _port: Port) {}
    /// Connects a client.
    ///
    /// # Errors
    /// `ConnectionRefused` when nobody listens. Hangs while the node is cut off from clients.
    pub async fn connect(self: &Arc<Self>, _node: u32, _port: Port) -> io::Result<SimStream> {
        unreachable!("being written")
    }
    /// Nothing gets from one node to another any more.
    pub fn cut(&self, _from: u32, _to: u32) {}
    /// Nothing gets from clients to the node or back any more.
    pub fn cut_clients(&self, _node: u32) {}
    /// The link between two nodes is slower by a factor, both ways.
    pub fn slow(&self, _a: u32, _b: u32, _factor: u32) {}
    /// All cuts and slow links are mended.
    pub fn heal(&self) {}
    /// Connections between two nodes break, both ways.
    pub fn reset(&self, _a: u32, _b: u32) {}
    /// The node's clients lose their connections.
    pub fn reset_clients(&self, _node: u32) {}
    /// From now on small things go wrong as often as this.
    pub fn set_knobs(&self, _knobs: &Knobs) {}
}
