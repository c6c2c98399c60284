//! Prints what a commit costs. Nothing is asserted about time: machines differ.

mod common;

use bytes::Bytes;
use common::{Cluster, LONG};
use zcluster_runtime::Instant;

/// CPU used by this process so far, in seconds.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

async fn load(name: &str, ids: &[u64], rocks: bool, writers: usize, each: usize) {
    let c = Cluster::start(ids, rocks, |c| *c = zcluster_raft::Config::new(c.node)).await;
    c.initialize(ids).await;
    let leader = c.leader_of(ids).await;
    c.put(ids, "warm").await;
    let body = Bytes::from(vec![7; 6 << 10]);
    let (start, before) = (Instant::now(), cpu());
    let tasks: Vec<_> = (0..writers)
        .map(|_| {
            let (g, body) = (c.group(leader), body.clone());
            zcluster_runtime::spawn(async move {
                for _ in 0..each {
                    g.propose(body.clone(), LONG).await.unwrap();
                }
            })
        })
        .collect();
    for t in tasks {
        t.await.unwrap();
    }
    let (wall, used, n) = (start.elapsed().as_secs_f64(), cpu() - before, (writers * each) as f64);
    println!("{name}: {:.0} commits/s, {:.0} us CPU each", n / wall, used / n * 1e6);
    let reads = 2000;
    let (start, before) = (Instant::now(), cpu());
    for _ in 0..reads {
        c.group(leader).read_barrier(LONG).await.unwrap();
    }
    let (wall, used) = (start.elapsed().as_secs_f64(), cpu() - before);
    println!("{name}: barrier {:.0} us, {:.0} us CPU", wall / f64::from(reads) * 1e6, used / f64::from(reads) * 1e6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prints_what_a_commit_costs() {
    load("one node, memory, 1 writer", &[1], false, 1, 3000).await;
    load("one node, RocksDB, 1 writer", &[1], true, 1, 1000).await;
    load("one node, RocksDB, 16 writers", &[1], true, 16, 300).await;
    load("one node, RocksDB, 256 writers", &[1], true, 256, 40).await;
    load("three nodes, RocksDB, 16 writers", &[1, 2, 3], true, 16, 200).await;
}

/// What many idle groups cost, and how long a failover takes with production's timers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prints_what_idling_and_failing_over_cost() {
    const GROUPS: u32 = 64;
    let production = |c: &mut zcluster_raft::Config| *c = zcluster_raft::Config::new(c.node);
    let mut c = Cluster::start(&[1, 2, 3], false, production).await;
    c.initialize(&[1, 2, 3]).await;
    for n in 100..100 + GROUPS {
        for node in c.nodes.values() {
            let machine = common::machine::TestMachine::open(Default::default());
            node.multi.start_group(n, Box::new(machine)).await.unwrap();
        }
        c.nodes[&(1 + u64::from(n) % 3)].multi.initialize(n, common::set(&[1, 2, 3])).await.unwrap();
    }
    zcluster_runtime::sleep(std::time::Duration::from_secs(4)).await;
    let (before, calls) = (cpu(), c.hub.all_calls());
    zcluster_runtime::sleep(std::time::Duration::from_secs(5)).await;
    let (used, calls) = (cpu() - before, c.hub.all_calls() - calls);
    println!("{GROUPS} idle groups on three nodes: {:.1} % of a core, {} calls/s", used / 5.0 * 100.0, calls / 5);
    let leader = c.leader_of(&[1, 2, 3]).await;
    c.put(&[1, 2, 3], "before").await;
    let rest: Vec<u64> = [1, 2, 3].into_iter().filter(|id| *id != leader).collect();
    let start = Instant::now();
    c.kill(leader).await;
    c.put(&rest, "after").await;
    println!("failover after {:?}", start.elapsed());
    let (old, to) = (c.leader_of(&rest).await, rest.clone());
    let to = to.into_iter().find(|id| *id != old).unwrap();
    let start = Instant::now();
    c.group(old).transfer_leader(to).await.unwrap();
    c.put(&rest, "transferred").await;
    println!("transfer after {:?}", start.elapsed());
}
