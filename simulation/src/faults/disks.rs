//! What goes wrong with disks. Nothing here may take away what a quorum has acknowledged: raft promises nothing then.

use super::nodes::running;
use super::{meanwhile, struck};
use crate::cluster::Cluster;
use crate::world;
use std::sync::Arc;
use std::time::Duration;

pub(super) fn lose(cluster: &Arc<Cluster>, node: u32, down: Duration) -> bool {
    let Some(machine) = running(cluster, node).filter(|_| cluster.can_spare_disk(node)) else { return false };
    cluster.power_cut(&machine, false);
    cluster.replace_disk(&machine);
    cluster.switch_on_later(&machine, down);
    struck("fault.lose_disk", node, &[u64::from(node)], || "the disk is lost; an empty one is put in".into())
}

pub(super) fn flip_bit(cluster: &Cluster, node: u32) -> bool {
    // When it is found, all of the node's data is worthless.
    let Some(machine) = running(cluster, node).filter(|_| cluster.can_spare_disk(node)) else { return false };
    if !machine.disk.flip_bit() {
        return false;
    }
    machine.set_damaged();
    struck("fault.flip_bit", node, &[u64::from(node)], || "a bit of a synced record is wrong from now on".into())
}

pub(super) fn no_space(cluster: &Cluster, node: u32, time: Duration) -> bool {
    let Some(machine) = running(cluster, node) else { return false };
    machine.disk.set_full(true);
    meanwhile(async move {
        world::sleep(time).await;
        machine.disk.set_full(false);
        world::note(node, "node", || "there is space on the disk again".into());
    });
    struck("fault.no_space", node, &[u64::from(node)], || format!("the disk is full for {} ms", time.as_millis()))
}

pub(super) fn io_error(cluster: &Cluster, node: u32) -> bool {
    let Some(machine) = running(cluster, node) else { return false };
    machine.disk.fail_next_write();
    struck("fault.io_error", node, &[u64::from(node)], || "the next write to the disk fails".into())
}

pub(super) fn slow(cluster: &Cluster, node: u32, factor: u32, time: Duration) -> bool {
    let Some(machine) = running(cluster, node) else { return false };
    machine.disk.set_slow(factor);
    meanwhile(async move {
        world::sleep(time).await;
        machine.disk.set_slow(1);
    });
    struck("fault.slow_disk", node, &[u64::from(node), u64::from(factor)], || {
        format!("the disk is {factor} times as slow for {} ms", time.as_millis())
    })
}
