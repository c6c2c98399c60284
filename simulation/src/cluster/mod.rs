//! Production nodes on simulated disks and wires, and the operator who runs them.
//!
//! [`Cluster`] is the data centre: machines that are switched on and off ([`machine`]), the life of the process on one
//! of them ([`process`], which follows the real node's assembly step by step), and what an operator does
//! ([`operator`]). Everything a process owns is made and dropped in its node's context.

mod census;
mod founding;
mod machine;
mod mail;
mod operator;
mod peers;
mod process;
mod servers;
mod settle;
mod storage;

#[cfg(test)]
pub(crate) mod tests;

pub(crate) use machine::Machine;

use crate::net::Wires;
use crate::plan::{ClockShape, Knobs, Shape};
use crate::warehouse::Warehouse;
use crate::world::{self, Clock};
use parking_lot::Mutex;
pub use process::Parts;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use zcluster_api::{AccountId, GroupId, NodeId};
use zcluster_raft::MultiRaft;
use zcluster_replica::Replicas;
use zcluster_router::Router;

/// The domain of all accounts that exist from the beginning.
pub const DOMAIN: &str = "sim.example";
/// Wires and disks of a healthy data centre: while the cluster is founded, and after everything is healed.
pub const CALM: Knobs = Knobs {
    drop_request: 0,
    drop_answer: 0,
    duplicate: 0,
    delay: 0,
    stale: 0,
    client_reset: 0,
    client_fragments: 0,
    slow_fsync: 0,
    latency_us: (100, 100),
    fsync_us: (200, 200),
};

/// The whole cluster.
pub struct Cluster {
    shape: Shape,
    knobs: Knobs,
    wires: Arc<Wires>,
    machines: Mutex<BTreeMap<u32, Arc<Machine>>>,
    founded: AtomicBool,
    healing: AtomicBool,
    /// Attempts to join that have not come to an end.
    joining: AtomicUsize,
    /// Nodes that replicas were moved away from.
    moved: Mutex<BTreeSet<(NodeId, GroupId)>>,
    /// Where bodies are packed.
    warehouse: Option<Arc<Warehouse>>,
}

impl Cluster {
    /// Machines, switched off, with empty disks. `knobs` take effect when the cluster is founded.
    pub fn new(shape: &Shape, knobs: &Knobs) -> Arc<Self> {
        Arc::new(Cluster {
            shape: shape.clone(),
            knobs: knobs.clone(),
            wires: Wires::new(&CALM),
            machines: Mutex::default(),
            founded: AtomicBool::new(false),
            healing: AtomicBool::new(false),
            joining: AtomicUsize::new(0),
            moved: Mutex::default(),
            warehouse: shape.volume.as_ref().map(Warehouse::new),
        })
    }

    /// The settings.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The network.
    pub fn wires(&self) -> &Arc<Wires> {
        &self.wires
    }

    /// The volume, if this world has one.
    pub fn warehouse(&self) -> Option<&Arc<Warehouse>> {
        self.warehouse.as_ref()
    }

    /// The router of a node that serves. Call it on behalf of that node only (see [`ask`](Self::ask)).
    pub fn router(&self, node: u32) -> Option<Arc<Router>> {
        self.parts(node).map(|p| p.router.clone())
    }

    /// The nodes that serve.
    pub fn up(&self) -> Vec<u32> {
        self.all().into_iter().filter(|m| m.parts().is_some()).map(|m| m.number).collect()
    }

    /// The nodes that belong to the cluster or are about to, whether up or down.
    pub fn members(&self) -> Vec<u32> {
        self.all().into_iter().filter(|m| !m.has_left()).map(|m| m.number).collect()
    }

    /// What serves: node number, groups, replicas.
    pub fn nodes(&self) -> Vec<(u32, Arc<MultiRaft>, Arc<Replicas>)> {
        let serving = self.all().into_iter().filter_map(|m| m.parts().map(|p| (m.number, p)));
        serving.map(|(number, p)| (number, p.raft.clone(), p.replicas.clone())).collect()
    }

    /// Account number `n` of those that exist from the beginning.
    pub fn account(&self, n: u32) -> AccountId {
        let mut id = *b"account-........";
        id[8..].copy_from_slice(&u64::from(n).to_be_bytes());
        AccountId(id)
    }

    /// Remembers that a replica is moved away from a node.
    pub(crate) fn note_move(&self, from: NodeId, group: GroupId) {
        self.moved.lock().insert((from, group));
    }

    /// Whether a replica was moved away from the node before.
    pub(crate) fn had_replica(&self, node: NodeId, group: GroupId) -> bool {
        self.moved.lock().contains(&(node, group))
    }

    pub(crate) fn all(&self) -> Vec<Arc<Machine>> {
        self.machines.lock().values().cloned().collect()
    }

    pub(crate) fn machine(&self, node: u32) -> Option<Arc<Machine>> {
        self.machines.lock().get(&node).cloned()
    }

    pub(crate) fn parts(&self, node: u32) -> Option<Arc<Parts>> {
        self.machine(node)?.parts()
    }

    /// Sets up a machine with an empty disk and the clock that the shape gives it.
    pub(crate) fn add_machine(&self, number: u32) -> Arc<Machine> {
        let machine = Machine::new(number);
        let knobs = self.knobs_now();
        machine.disk.set_fsync(knobs.fsync_us, knobs.slow_fsync);
        let clocks = &self.shape.clocks;
        let shape = clocks.get((number as usize).saturating_sub(1) % clocks.len().max(1));
        if let Some(ClockShape { offset_ms, ppm, wall_error_ms }) = shape.copied() {
            world::with_clock(number, |c, _| *c = Clock::new(offset_ms * 1_000_000, ppm, wall_error_ms));
        }
        self.machines.lock().insert(number, machine.clone());
        machine
    }

    /// Lets small things go wrong as often as they should in the present phase.
    fn apply_knobs(&self) {
        let knobs = self.knobs_now();
        self.wires.set_knobs(knobs);
        if let Some(warehouse) = &self.warehouse {
            warehouse.set_troubled(self.is_troubled());
        }
        for machine in self.all() {
            machine.disk.set_fsync(knobs.fsync_us, knobs.slow_fsync);
        }
    }

    /// The knobs of the present phase.
    fn knobs_now(&self) -> &Knobs {
        if self.is_troubled() { &self.knobs } else { &CALM }
    }

    fn is_troubled(&self) -> bool {
        self.founded.load(Ordering::Relaxed) && !self.is_healing()
    }

    /// Whether the second phase has begun: nothing is broken on purpose any more.
    pub(crate) fn is_healing(&self) -> bool {
        self.healing.load(Ordering::Relaxed)
    }

    /// Mends everything: network, disks, clocks; lets go on what is frozen; starts everything that is down. What was
    /// begun (a node that joins or leaves) may be finished.
    pub async fn heal_all(self: &Arc<Self>) {
        self.healing.store(true, Ordering::Relaxed);
        world::event("heal", &[]);
        world::note(world::OUTSIDE, "heal", || "everything is mended".into());
        self.wires.heal();
        self.apply_knobs();
        for machine in self.all() {
            machine.disk.set_full(false);
            machine.disk.set_slow(1);
            world::with_clock(machine.number, |c, now| {
                c.set_rate(now, 0);
                c.set_wall_right();
            });
            world::thaw(machine.number);
            if !machine.has_left() {
                self.switch_on(&machine);
            }
        }
        self.tidy_up();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The wires hold the services, which hold the wires.
        for machine in self.all() {
            self.cut_off(&machine);
        }
    }
}
