//! Processes that die, stop, stand still.

use super::{meanwhile, struck};
use crate::cluster::{Cluster, Machine};
use crate::world::{self, OUTSIDE};
use std::sync::Arc;
use std::time::Duration;

/// How long a rolling restart waits for a node to serve again before it goes on (an operator would not wait for ever).
const BACK_WITHIN: Duration = Duration::from_secs(60);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// The machine, if its process runs.
pub(super) fn running(cluster: &Cluster, node: u32) -> Option<Arc<Machine>> {
    cluster.machine(node).filter(|m| m.is_up())
}

pub(super) fn crash(cluster: &Arc<Cluster>, node: u32, down: Duration, torn: bool) -> bool {
    let Some(machine) = running(cluster, node) else { return false };
    cluster.power_cut(&machine, torn);
    cluster.switch_on_later(&machine, down);
    struck("fault.crash", node, &[u64::from(node)], || format!("power cut for {} ms", down.as_millis()))
}

pub(super) fn crash_all(cluster: &Arc<Cluster>, down: Duration, torn: bool) -> bool {
    let up: Vec<_> = cluster.members().into_iter().filter_map(|n| running(cluster, n)).collect();
    if up.is_empty() {
        return false;
    }
    for machine in &up {
        cluster.power_cut(machine, torn);
        cluster.switch_on_later(machine, down);
    }
    struck("fault.crash_all", OUTSIDE, &[up.len() as u64], || format!("power cut for {} ms", down.as_millis()))
}

pub(super) fn restart(cluster: &Arc<Cluster>, node: u32, down: Duration) -> bool {
    let Some(machine) = running(cluster, node) else { return false };
    let cluster = cluster.clone();
    meanwhile(async move { restart_one(&cluster, &machine, down).await });
    struck("fault.restart", node, &[u64::from(node)], || "is asked to stop".into())
}

async fn restart_one(cluster: &Arc<Cluster>, machine: &Arc<Machine>, down: Duration) {
    cluster.stop(machine).await;
    cluster.switch_on_later(machine, down);
}

pub(super) fn rolling_restart(cluster: &Arc<Cluster>, down: Duration) -> bool {
    let cluster = cluster.clone();
    meanwhile(async move {
        for node in cluster.members() {
            let Some(machine) = running(&cluster, node) else { continue };
            if cluster.is_healing() {
                return;
            }
            world::event("restart.rolls", &[u64::from(node)]);
            world::note(node, "fault", || "is asked to stop, in its turn".into());
            restart_one(&cluster, &machine, down).await;
            let until = world::now() + (down + BACK_WITHIN).as_nanos() as u64;
            while machine.parts().is_none() && world::now() < until && !cluster.is_healing() {
                world::sleep(LOOK).await;
            }
        }
        world::count("restart.rolled");
    });
    struck("fault.rolling_restart", OUTSIDE, &[], || "each node in turn is asked to stop".into())
}

/// Freezes a process that runs and is not frozen yet; thaws it later if it still is the same.
fn stand_still(cluster: &Cluster, node: u32, time: Duration) -> bool {
    let Some(machine) = running(cluster, node).filter(|_| !world::is_frozen(node)) else { return false };
    world::freeze(node);
    let turn = machine.turn();
    meanwhile(async move {
        world::sleep(time).await;
        // Started anew it is not frozen; and what the second phase has thawed may not be frozen again.
        if machine.turn() == turn && world::is_frozen(node) {
            world::thaw(node);
            world::note(node, "node", || "goes on".into());
        }
    });
    true
}

pub(super) fn suspend(cluster: &Cluster, node: u32, time: Duration) -> bool {
    if !stand_still(cluster, node, time) {
        return false;
    }
    world::hold(node, time);
    struck("fault.suspend", node, &[u64::from(node), time.as_nanos() as u64], || {
        format!("the machine is suspended for {} ms", time.as_millis())
    })
}

pub(super) fn pause(cluster: &Cluster, node: u32, time: Duration) -> bool {
    stand_still(cluster, node, time)
        && struck("fault.pause", node, &[u64::from(node), time.as_nanos() as u64], || {
            format!("the process stands still for {} ms", time.as_millis())
        })
}
