//! A machine and its service manager: what survives a process, switching on and off, starting again what failed.

use super::Cluster;
use super::process::{self, End, Parts};
use crate::disk::NodeDisk;
use crate::world::{self, OUTSIDE};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use zcluster_api::NodeId;
use zcluster_replica::MemoryTexts;
use zcluster_runtime::{Either, select};

/// The service manager waits so long before it starts a failed process again.
const RESTART_PAUSE: Duration = Duration::from_secs(1);
/// The service manager kills a process that has not ended so long after SIGTERM.
const STOP_TIMEOUT: Duration = Duration::from_secs(90);

/// What `init` leaves for the first start of the first node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bootstrap {
    /// Shards to make.
    pub shards: u32,
}

/// One machine.
pub(crate) struct Machine {
    /// Its node's number.
    pub number: u32,
    /// Its disk.
    pub disk: Arc<NodeDisk>,
    /// Its text indexes: what was committed to them stays, whatever becomes of the rows they were made from.
    pub texts: MemoryTexts,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Counts starts and ends: what was meant for one turn must not strike another.
    turn: u64,
    /// A process runs (it may be starting).
    up: bool,
    /// What serves, once it does.
    parts: Option<Arc<Parts>>,
    /// SIGTERM.
    stop: Option<oneshot::Sender<()>>,
    /// Under which raft id the process answers.
    attached: Option<NodeId>,
    bootstrap: Option<Bootstrap>,
    /// The node is no member any more.
    left: bool,
    /// The operator wants it to leave.
    leaving: bool,
    /// A bit on the disk was flipped, and nobody has noticed yet.
    damaged: bool,
    /// The disk was replaced: the node's identity was restored, databases there are none.
    emptied: bool,
}

impl Machine {
    pub fn new(number: u32) -> Arc<Self> {
        let (disk, texts, state) = (NodeDisk::new(number), MemoryTexts::default(), Mutex::default());
        Arc::new(Machine { number, disk, texts, state })
    }
    /// What serves.
    pub fn parts(&self) -> Option<Arc<Parts>> {
        self.state.lock().parts.clone()
    }
    /// Whether a process runs.
    pub fn is_up(&self) -> bool {
        self.state.lock().up
    }
    pub fn has_left(&self) -> bool {
        self.state.lock().left
    }
    /// The node is no member any more: nobody starts it again.
    pub fn set_left(&self) {
        self.state.lock().left = true;
    }
    /// The operator wants the node to leave; false when he does already.
    pub fn begin_leaving(&self) -> bool {
        !std::mem::replace(&mut self.state.lock().leaving, true)
    }
    /// The operator has given up.
    pub fn end_leaving(&self) {
        self.state.lock().leaving = false;
    }
    /// Whether a flipped bit waits to be found.
    pub fn is_damaged(&self) -> bool {
        self.state.lock().damaged
    }
    pub fn set_damaged(&self) {
        self.state.lock().damaged = true;
    }
    /// Whether the disk was replaced and the node has not begun anew.
    pub fn is_emptied(&self) -> bool {
        self.state.lock().emptied
    }
    /// The databases are new: no flaw is on the disk, nothing is missing.
    pub fn set_renewed(&self) {
        let mut state = self.state.lock();
        (state.damaged, state.emptied) = (false, false);
    }
    /// Which start or end was the last.
    pub fn turn(&self) -> u64 {
        self.state.lock().turn
    }
    pub fn bootstrap(&self) -> Option<Bootstrap> {
        self.state.lock().bootstrap
    }
    pub fn set_bootstrap(&self, bootstrap: Option<Bootstrap>) {
        self.state.lock().bootstrap = bootstrap;
    }
    /// The process answers peers under this id from now on.
    pub fn set_attached(&self, id: NodeId) {
        self.state.lock().attached = Some(id);
    }
    /// The process serves.
    pub fn set_serving(&self, parts: Arc<Parts>) {
        let before = self.state.lock().parts.replace(parts);
        drop(before);
    }
    /// Asks the process to end in order (SIGTERM). False when there is none to ask.
    pub fn terminate(&self) -> bool {
        let stop = self.state.lock().stop.take();
        stop.is_some_and(|stop| stop.send(()).is_ok())
    }
}

impl Cluster {
    /// Starts the process, unless it runs or the node has left.
    pub(crate) fn switch_on(self: &Arc<Self>, machine: &Arc<Machine>) {
        let (stop, stopped) = oneshot::channel();
        let turn = {
            let mut state = machine.state.lock();
            if state.up || state.left {
                return;
            }
            state.up = true;
            state.turn += 1;
            state.stop = Some(stop);
            state.turn
        };
        let number = machine.number;
        world::event("node.start", &[u64::from(number), turn]);
        world::note(number, "node", || "the process starts".into());
        world::start_node(number);
        let (end, ended) = oneshot::channel();
        let (cluster, this) = (self.clone(), machine.clone());
        world::spawn_on(number, async move {
            let _ = end.send(process::run(cluster, this, stopped).await);
        });
        let (cluster, this) = (self.clone(), machine.clone());
        world::spawn_on(OUTSIDE, async move {
            // Without an answer the process was killed: whoever did that goes on from there.
            if let Ok(end) = ended.await {
                cluster.ended(&this, turn, end).await;
            }
        });
    }

    /// The service manager: sweeps up after a process and decides what comes next.
    async fn ended(self: &Arc<Self>, machine: &Arc<Machine>, turn: u64, end: End) {
        if machine.turn() != turn {
            return;
        }
        let number = machine.number;
        world::event("node.end", &[u64::from(number), turn, end.code()]);
        world::note(number, "node", || format!("the process ends: {end}"));
        self.take_down(machine);
        match end {
            End::Stopped => return,
            End::Left => return machine.set_left(),
            End::Failed { reason, excused } => {
                world::count("node.failed");
                if !excused && !machine.disk.is_excused() {
                    world::violate("no_node_stops_by_itself", format!("node {number}: {reason}"));
                }
                machine.disk.crash(false);
            }
        }
        let turn = machine.turn();
        world::sleep(RESTART_PAUSE).await;
        if machine.turn() == turn {
            self.switch_on(machine);
        }
    }

    /// Ends the process as a power cut does. False when there was none.
    pub(crate) fn power_cut(&self, machine: &Arc<Machine>, torn: bool) -> bool {
        // Even without a process the service manager may be about to start one: it is gone as well.
        let was_up = machine.is_up();
        self.take_down(machine);
        machine.disk.crash(torn);
        was_up
    }

    /// Nothing of the process is left afterwards but what its disk holds.
    fn take_down(&self, machine: &Arc<Machine>) {
        let parts = {
            let mut state = machine.state.lock();
            state.turn += 1;
            state.up = false;
            state.stop = None;
            state.parts.take()
        };
        self.cut_off(machine);
        world::kill(machine.number);
        world::within(machine.number, || drop(parts));
    }

    /// Nobody reaches the process any more.
    pub(super) fn cut_off(&self, machine: &Machine) {
        let attached = machine.state.lock().attached.take();
        if let Some(id) = attached {
            world::within(machine.number, || self.wires().detach(id.0));
        }
    }

    /// SIGTERM, and SIGKILL if that does not help in time. Ends when the process is gone.
    pub(crate) async fn stop(self: &Arc<Self>, machine: &Arc<Machine>) {
        let turn = machine.turn();
        machine.terminate();
        let gone = async {
            while machine.turn() == turn {
                world::sleep(Duration::from_millis(20)).await;
            }
        };
        if let Either::Right(()) = select(gone, world::sleep(STOP_TIMEOUT)).await
            && machine.turn() == turn
        {
            world::count("node.stop_timeout");
            self.power_cut(machine, false);
        }
    }

    /// Starts the machine after a while, unless somebody does before or it is taken down again.
    pub(crate) fn switch_on_later(self: &Arc<Self>, machine: &Arc<Machine>, after: Duration) {
        let (cluster, machine, turn) = (self.clone(), machine.clone(), machine.turn());
        world::spawn_on(OUTSIDE, async move {
            world::sleep(after).await;
            if machine.turn() == turn {
                cluster.switch_on(&machine);
            }
        });
    }

    /// Puts an empty disk into a machine that is off; the operator restores the node's identity from a backup, as the
    /// real node's `node.json` and certificates would be.
    pub(crate) fn replace_disk(&self, machine: &Machine) {
        let file = machine.disk.node_file();
        machine.disk.wipe();
        if let Some(file) = file {
            machine.disk.write_node_file(file);
        }
        machine.set_renewed();
        machine.state.lock().emptied = true;
    }
}
