//! Every kind of fault strikes, and the cluster comes to rest afterwards with everything that was acknowledged.

use super::*;
use crate::cluster::tests::{count, deliver, in_world, knobs, settle, shape};
use crate::world::Summary;

/// A quarter of a minute under these faults, a delivery now and then, then healing: nothing acknowledged is missing.
fn under(seed: u64, nodes: u32, faults: Vec<(u64, Fault)>) -> Summary {
    in_world(seed, move || async move {
        let cluster = Cluster::new(&shape(nodes, 3), &knobs());
        cluster.found().await;
        let timed = faults.into_iter().map(|(at_ms, fault)| TimedFault { at_ms, fault }).collect();
        meanwhile(carry_out(cluster.clone(), timed));
        let mut acknowledged = [0; 3];
        for n in 0..24usize {
            world::sleep(Duration::from_millis(600)).await;
            let up = cluster.up();
            let Some(node) = up.get(n % up.len().max(1)) else { continue };
            let account = n % 3;
            if matches!(deliver(&cluster, *node, account as u32, &format!("m{n}")).await, Some(Ok(_))) {
                acknowledged[account] += 1;
            }
        }
        cluster.heal_all().await;
        settle(&cluster).await;
        // Who has left is stopped in the end, if it has not heard of it.
        world::sleep(Duration::from_secs(20)).await;
        let up = cluster.up();
        for (account, least) in acknowledged.into_iter().enumerate() {
            let node = up.get(account % up.len().max(1)).copied().unwrap_or(1);
            let there = count(&cluster, node, account as u32).await.unwrap_or(0);
            assert!(there >= least, "account {account}: {there} of {least} messages");
        }
        assert!(acknowledged.iter().sum::<usize>() > 0, "nothing was delivered");
    })
}

fn struck(summary: &Summary, names: &[&str]) {
    for name in names {
        let violations = &summary.violations;
        assert!(summary.counters.contains_key(name), "{name} did not strike: {violations:?} {:?}", summary.counters);
    }
}

#[test]
fn processes_die_stop_and_stand_still() {
    let faults = vec![
        (500, Fault::Crash { node: 1, down_ms: 700, torn: true }),
        (2_500, Fault::Pause { node: 2, ms: 1_500 }),
        (4_500, Fault::Suspend { node: 3, ms: 2_500 }),
        (7_500, Fault::Restart { node: 1, down_ms: 300 }),
        (9_500, Fault::CrashAll { down_ms: 500, torn: false }),
        (12_000, Fault::RollingRestart { down_ms: 200 }),
    ];
    let summary = under(11, 3, faults);
    struck(&summary, &["fault.crash", "fault.pause", "fault.suspend", "fault.restart", "fault.crash_all"]);
    struck(&summary, &["fault.rolling_restart", "restart.rolled"]);
}

#[test]
fn disks_fail_and_are_lost() {
    let faults = vec![
        (500, Fault::SlowDisk { node: 1, factor: 30, for_ms: 2_000 }),
        (1_500, Fault::IoError { node: 2 }),
        (4_500, Fault::NoSpace { node: 3, for_ms: 2_500 }),
        (10_000, Fault::LoseDisk { node: 1, down_ms: 500 }),
        (10_100, Fault::LoseDisk { node: 2, down_ms: 500 }),
    ];
    let summary = under(12, 3, faults);
    struck(&summary, &["fault.slow_disk", "fault.io_error", "fault.no_space", "fault.lose_disk", "node.anew"]);
    assert_eq!(summary.counters["fault.lose_disk"], 1, "the second one would have cost the quorum");
}

#[test]
fn a_flipped_bit_is_found_at_the_next_start() {
    let faults =
        vec![(3_000, Fault::FlipBit { node: 2 }), (4_000, Fault::Crash { node: 2, down_ms: 300, torn: false })];
    struck(&under(13, 3, faults), &["fault.flip_bit", "node.lost_data", "node.anew"]);
}

#[test]
fn clocks_and_wires_go_wrong() {
    let faults = vec![
        (300, Fault::ClockJump { node: 1, ms: -3_600_000 }),
        (400, Fault::ClockRate { node: 2, ppm: 20_000 }),
        (500, Fault::CutOneWay { from: 1, to: 2 }),
        (3_000, Fault::Partition { side: vec![3] }),
        (3_500, Fault::CutClients { node: 1 }),
        (7_000, Fault::HealNetwork),
        (7_100, Fault::SlowLink { a: 1, b: 3, factor: 50 }),
        (8_000, Fault::ResetLinks { a: 1, b: 2 }),
        (8_100, Fault::ResetClients { node: 2 }),
        (9_000, Fault::Partition { side: vec![1] }),
    ];
    let summary = under(14, 3, faults);
    struck(&summary, &["fault.clock_jump", "fault.clock_rate", "fault.cut_one_way", "fault.partition"]);
    struck(&summary, &["fault.cut_clients", "fault.heal_network", "fault.slow_link", "fault.reset_links"]);
}

#[test]
fn nodes_come_and_go_and_replicas_move() {
    let faults = vec![
        (300, Fault::Join),
        (2_000, Fault::MoveReplica { shard: 1 }),
        (3_000, Fault::Transfer { group: 0 }),
        (4_000, Fault::CutLog { group: 2 }),
        (6_000, Fault::Leave { node: 2 }),
        (7_000, Fault::Transfer { group: 3 }),
        (8_000, Fault::CutLog { group: 0 }),
    ];
    let summary = under(15, 4, faults);
    struck(&summary, &["node.joined", "fault.move_replica", "fault.transfer", "group.log_cut", "node.left"]);
}

#[test]
fn nothing_can_be_done_to_whom_is_not_there() {
    let faults = vec![
        (100, Fault::Crash { node: 9, down_ms: 100, torn: true }),
        (100, Fault::LoseDisk { node: 1, down_ms: 100 }),
        (100, Fault::MoveReplica { shard: 1 }),
        (100, Fault::Partition { side: vec![1] }),
        (100, Fault::Transfer { group: 0 }),
    ];
    let summary = under(16, 1, faults);
    assert_eq!(summary.counters["fault.skipped"], 5);
}
