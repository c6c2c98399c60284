//! Carrying out the plan's large faults and operations.
//!
//! A fault that makes no sense when it strikes does nothing and is counted as `fault.skipped`. One that struck is
//! counted under its own name, is an event of the history, and a line of the timeline. What a fault begins goes on in
//! tasks of the outside; the second phase ends all of them that break things.

mod clocks;
mod disks;
mod members;
mod nodes;
mod volumes;
mod wires;

#[cfg(test)]
mod tests;

use crate::cluster::Cluster;
use crate::plan::{Fault, TimedFault};
use crate::world::{self, OUTSIDE};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Lets each fault strike at its time, counted from the call. Returns when all were begun.
pub async fn carry_out(cluster: Arc<Cluster>, faults: Vec<TimedFault>) {
    let begun = world::now();
    for TimedFault { at_ms, fault } in faults {
        world::sleep_until(begun + at_ms * 1_000_000).await;
        if cluster.is_healing() {
            return;
        }
        if !strike(&cluster, &fault) {
            world::count("fault.skipped");
            world::note(OUTSIDE, "fault", || format!("skipped: {fault:?}"));
        }
    }
}

/// Begins a fault; false when it makes no sense now.
fn strike(cluster: &Arc<Cluster>, fault: &Fault) -> bool {
    match fault {
        Fault::CutOneWay { from, to } => wires::cut_one_way(cluster, *from, *to),
        Fault::Partition { side } => wires::partition(cluster, side),
        Fault::CutClients { node } => wires::cut_clients(cluster, *node),
        Fault::HealNetwork => wires::heal(cluster),
        Fault::SlowLink { a, b, factor } => wires::slow_link(cluster, *a, *b, *factor),
        Fault::ResetLinks { a, b } => wires::reset_links(cluster, *a, *b),
        Fault::ResetClients { node } => wires::reset_clients(cluster, *node),
        Fault::Crash { node, down_ms, torn } => nodes::crash(cluster, *node, ms(*down_ms), *torn),
        Fault::CrashAll { down_ms, torn } => nodes::crash_all(cluster, ms(*down_ms), *torn),
        Fault::Restart { node, down_ms } => nodes::restart(cluster, *node, ms(*down_ms)),
        Fault::RollingRestart { down_ms } => nodes::rolling_restart(cluster, ms(*down_ms)),
        Fault::Suspend { node, ms: time } => nodes::suspend(cluster, *node, ms(*time)),
        Fault::Pause { node, ms: time } => nodes::pause(cluster, *node, ms(*time)),
        Fault::LoseDisk { node, down_ms } => disks::lose(cluster, *node, ms(*down_ms)),
        Fault::FlipBit { node } => disks::flip_bit(cluster, *node),
        Fault::NoSpace { node, for_ms } => disks::no_space(cluster, *node, ms(*for_ms)),
        Fault::IoError { node } => disks::io_error(cluster, *node),
        Fault::SlowDisk { node, factor, for_ms } => disks::slow(cluster, *node, *factor, ms(*for_ms)),
        Fault::ClockJump { node, ms } => clocks::jump(cluster, *node, *ms),
        Fault::ClockRate { node, ppm } => clocks::rate(cluster, *node, *ppm),
        Fault::Join => members::join(cluster),
        Fault::Leave { node } => members::leave(cluster, *node),
        Fault::MoveReplica { shard } => members::move_replica(cluster, *shard),
        Fault::Transfer { group } => members::transfer(cluster, *group),
        Fault::CutLog { group } => members::cut_log(cluster, *group),
        Fault::VerifyBodies { repair } => volumes::verify(cluster, *repair),
        Fault::DrainVolume { for_ms } => volumes::drain(cluster, ms(*for_ms)),
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A fault has struck.
fn struck(name: &'static str, node: u32, facts: &[u64], text: impl FnOnce() -> String) -> bool {
    world::count(name);
    world::event(name, facts);
    world::note(node, "fault", text);
    true
}

/// What a fault goes on doing.
fn meanwhile(work: impl Future<Output = ()> + Send + 'static) {
    world::spawn_on(OUTSIDE, work);
}
