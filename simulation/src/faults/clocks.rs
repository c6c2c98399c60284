//! What goes wrong with clocks.

use super::struck;
use crate::cluster::Cluster;
use crate::world;

pub(super) fn jump(cluster: &Cluster, node: u32, ms: i64) -> bool {
    if ms == 0 || cluster.machine(node).is_none_or(|m| m.has_left()) {
        return false;
    }
    world::with_clock(node, |c, _| c.jump_wall(ms));
    struck("fault.clock_jump", node, &[u64::from(node), ms.cast_unsigned()], || {
        format!("the wall clock jumps by {ms} ms")
    })
}

pub(super) fn rate(cluster: &Cluster, node: u32, ppm: i64) -> bool {
    if cluster.machine(node).is_none_or(|m| m.has_left()) {
        return false;
    }
    world::with_clock(node, |c, now| c.set_rate(now, ppm));
    struck("fault.clock_rate", node, &[u64::from(node), ppm.cast_unsigned()], || format!("clocks go {ppm} ppm wrong"))
}
