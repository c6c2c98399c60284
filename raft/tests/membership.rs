//! Members come and go; snapshots carry those that are far behind.

mod common;

use bytes::Bytes;
use common::machine::{Disk, TestMachine};
use common::{Cluster, GROUP, LONG, set};
use std::time::Duration;
use zcluster_raft::{AdminError, Config};

/// Cuts come early, and leave little for those who lag.
fn cut_early(c: &mut Config) {
    c.snapshot_every = 64;
    c.keep_entries = 8;
    c.keep_bytes = 1 << 20;
}

async fn caught_up(c: &Cluster, leader: u64, node: u64) {
    let deadline = zcluster_runtime::Instant::now() + LONG;
    loop {
        let status = c.group(leader).status();
        if status.followers.iter().any(|f| f.node == node && f.matched.is_some() && f.lag < 10) {
            return;
        }
        assert!(zcluster_runtime::Instant::now() < deadline, "node {node} does not catch up: {status:?}");
        zcluster_runtime::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_are_replaced() {
    let c = Cluster::memory(&[1, 2, 3, 4]).await;
    c.initialize(&[1]).await;
    c.put(&[1], "one").await;
    let g = c.group(1);
    assert!(matches!(g.change_voters(set(&[1, 2])).await, Err(AdminError::Refused(_))), "not a learner yet");
    for node in [2, 3] {
        g.add_learner(node).await.unwrap();
        g.add_learner(node).await.unwrap();
        caught_up(&c, 1, node).await;
    }
    assert_eq!(g.status().learners, set(&[2, 3]));
    g.change_voters(set(&[1, 2, 3])).await.unwrap();
    g.change_voters(set(&[1, 2, 3])).await.unwrap();
    assert_eq!((g.status().voters, g.status().learners), (set(&[1, 2, 3]), set(&[])));
    // 3 goes, 4 comes; a bystander stays a learner.
    g.add_learner(4).await.unwrap();
    caught_up(&c, 1, 4).await;
    let leader = c.leader_of(&[1, 2, 3]).await;
    c.group(leader).change_voters(set(&[1, 2, 4])).await.unwrap();
    let leader = c.leader_of(&[1, 2, 4]).await;
    let status = c.group(leader).status();
    assert_eq!((status.voters, status.learners, status.joint), (set(&[1, 2, 4]), set(&[]), false));
    c.put(&[1, 2, 4], "two").await;
    c.wait_value(4, "two").await;
    c.nodes[&3].multi.delete_group(GROUP).await.unwrap();
    c.put(&[1, 2, 4], "three").await;
}

/// Found by the simulator: a member sleeps through the removal of another. When that one is called back, with an empty
/// log, the two are a majority of the membership that the sleeper remembers; a vote from the empty log would make it lead
/// beside the leader of the real members, without what those have committed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_replica_that_is_called_back_does_not_vote_from_an_empty_log() {
    let mut c = Cluster::memory(&[1, 2, 3, 4]).await;
    c.initialize(&[1, 2, 3]).await;
    c.put(&[1, 2, 3], "one").await;
    let leader = c.leader_of(&[1, 2, 3]).await;
    let [sleeper, gone] = [1, 2, 3].into_iter().filter(|n| *n != leader).collect::<Vec<_>>()[..] else { panic!() };
    c.hub.isolate(sleeper, &[leader, gone, 4]);
    c.put(&[leader, gone], "two").await;
    c.group(leader).add_learner(4).await.unwrap();
    caught_up(&c, leader, 4).await;
    c.group(leader).change_voters(set(&[sleeper, leader, 4])).await.unwrap();
    let node = c.nodes.get_mut(&gone).unwrap();
    node.multi.delete_group(GROUP).await.unwrap();
    node.disk = Disk::default();
    let back = TestMachine::open(node.disk.clone());
    node.multi.start_group(GROUP, Box::new(back)).await.unwrap();
    c.hub.heal();
    c.hub.isolate(sleeper, &[leader, 4]);
    c.hub.isolate(gone, &[leader, 4]);
    // Several elections' time.
    for _ in 0..60 {
        assert!(!c.group(sleeper).leadership().borrow().is_leader, "{:?}", c.group(sleeper).status());
        zcluster_runtime::sleep(Duration::from_millis(50)).await;
    }
    // With its log back it has all rights again.
    c.hub.heal();
    let rest = leader;
    let all = [sleeper, rest, 4];
    let leader = c.leader_of(&all).await;
    c.group(leader).add_learner(gone).await.unwrap();
    caught_up(&c, leader, gone).await;
    c.put(&all, "three").await;
    let leader = c.leader_of(&all).await;
    c.group(leader).change_voters(set(&[gone, rest, 4])).await.unwrap();
    let all = [gone, rest, 4];
    let leader = c.leader_of(&all).await;
    c.group(leader).transfer_leader(gone).await.unwrap();
    assert_eq!(c.leader_of(&all).await, gone);
    c.wait_value(gone, "three").await;
    assert_eq!(c.values(gone).len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_can_remove_itself_and_learners_stay() {
    let c = Cluster::memory(&[1, 2, 3, 4]).await;
    c.initialize(&[1, 2, 3]).await;
    let leader = c.leader_of(&[1, 2, 3]).await;
    c.put(&[1, 2, 3], "one").await;
    c.group(leader).add_learner(4).await.unwrap();
    let rest: Vec<u64> = [1, 2, 3].into_iter().filter(|id| *id != leader).collect();
    c.group(leader).change_voters(set(&rest)).await.unwrap();
    let next = c.leader_of(&rest).await;
    assert_eq!((c.group(next).status().voters, c.group(next).status().learners), (set(&rest), set(&[4])));
    c.put(&rest, "two").await;
    c.wait_value(4, "two").await;
    c.group(next).remove_learners(set(&[4])).await.unwrap();
    c.group(next).remove_learners(set(&[4])).await.unwrap();
    assert!(matches!(c.group(next).remove_learners(set(&rest)).await, Err(AdminError::Refused(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_change_is_finished_by_asking_again() {
    let mut c = Cluster::memory(&[1, 2, 3, 4, 5]).await;
    c.initialize(&[1, 2, 3]).await;
    let old = c.leader_of(&[1, 2, 3]).await;
    for node in [4, 5] {
        c.group(old).add_learner(node).await.unwrap();
        caught_up(&c, old, node).await;
    }
    c.put(&[1, 2, 3], "before").await;
    // The new majority cannot answer: the change stops half way, in the joint configuration.
    for node in [4, 5] {
        c.hub.isolate(node, &[1, 2, 3, 4, 5]);
    }
    let goal = set(&[old, 4, 5]);
    let g = c.group(old);
    let change = {
        let (g, goal) = (g.clone(), goal.clone());
        zcluster_runtime::spawn(async move { g.change_voters(goal).await })
    };
    while !g.status().joint {
        zcluster_runtime::sleep(Duration::from_millis(5)).await;
    }
    zcluster_runtime::sleep(Duration::from_millis(200)).await;
    c.kill(old).await;
    drop(change);
    c.hub.heal();
    let rest: Vec<u64> = [1, 2, 3].into_iter().filter(|id| *id != old).collect();
    let deadline = zcluster_runtime::Instant::now() + LONG;
    let everyone: Vec<u64> = rest.iter().copied().chain([4, 5]).collect();
    loop {
        let leader = everyone.iter().copied().find(|id| c.group(*id).leadership().borrow().is_leader);
        if let Some(leader) = leader {
            assert!(c.group(leader).status().joint || c.group(leader).status().voters == goal);
            match c.group(leader).change_voters(goal.clone()).await {
                Ok(()) => break,
                Err(e) => println!("asking again: {e}"),
            }
        }
        assert!(zcluster_runtime::Instant::now() < deadline, "never finished");
        zcluster_runtime::sleep(Duration::from_millis(50)).await;
    }
    let leader = c.leader_of(&[4, 5]).await;
    let status = c.group(leader).status();
    assert_eq!((status.joint, status.voters), (false, goal));
    c.put(&[4, 5], "after").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_cut_behind_the_flushed_state_only() {
    let c = Cluster::start(&[1], true, cut_early).await;
    c.initialize(&[1]).await;
    for n in 0..500 {
        c.put(&[1], &format!("{n}")).await;
    }
    c.group(1).trigger_snapshot().await.unwrap();
    let deadline = zcluster_runtime::Instant::now() + LONG;
    while c.group(1).status().purged.is_none_or(|p| p.index < 490) {
        assert!(zcluster_runtime::Instant::now() < deadline, "{:?}", c.group(1).status());
        zcluster_runtime::sleep(Duration::from_millis(10)).await;
    }
    let status = c.group(1).status();
    assert!(status.purged <= status.snapshot && status.snapshot <= status.applied);
    // And it comes back from what is left.
    let mut c = c;
    let (dir, disk) = c.kill(1).await;
    c.boot(1, dir, disk).await;
    c.put(&[1], "again").await;
    assert_eq!(c.values(1).len(), 501);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_far_behind_gets_a_snapshot() {
    let mut c = Cluster::start(&[1, 2, 3], true, cut_early).await;
    c.initialize(&[1, 2, 3]).await;
    c.put(&[1, 2, 3], "first").await;
    let leader = c.leader_of(&[1, 2, 3]).await;
    let lost = [1, 2, 3].into_iter().find(|id| *id != leader).unwrap();
    let rest: Vec<u64> = [1, 2, 3].into_iter().filter(|id| *id != lost).collect();
    let (dir, disk) = c.kill(lost).await;
    for n in 0..400 {
        c.put(&rest, &format!("{n}")).await;
    }
    let leader = c.leader_of(&rest).await;
    c.group(leader).trigger_snapshot().await.unwrap();
    // The way breaks after a few chunks, and the receiver is killed with a half of a snapshot.
    c.hub.fail_after(6, 5);
    c.boot(lost, dir, disk).await;
    let deadline = zcluster_runtime::Instant::now() + LONG;
    while c.hub.calls(6) < 5 {
        assert!(zcluster_runtime::Instant::now() < deadline, "no snapshot was sent");
        zcluster_runtime::sleep(Duration::from_millis(10)).await;
    }
    assert!(c.values(lost).len() < 10, "nothing half received is visible");
    let (dir, disk) = c.kill(lost).await;
    c.boot(lost, dir, disk).await;
    c.hub.heal();
    c.put(&[1, 2, 3], "last").await;
    c.wait_value(lost, "last").await;
    assert_eq!(c.values(lost), c.values(leader));
    assert!(c.hub.calls(7) >= 1);
    // What it received is enough to start from.
    let (dir, disk) = c.kill(lost).await;
    c.boot(lost, dir, disk).await;
    c.put(&[1, 2, 3], "very last").await;
    c.wait_value(lost, "very last").await;
    assert_eq!(c.values(lost), c.values(leader));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_learner_gets_a_snapshot_while_writes_go_on() {
    let c = Cluster::start(&[1, 2], false, cut_early).await;
    c.initialize(&[1]).await;
    for n in 0..300 {
        c.put(&[1], &format!("{n}")).await;
    }
    c.group(1).trigger_snapshot().await.unwrap();
    let g = c.group(1);
    let writer = zcluster_runtime::spawn(async move {
        for n in 300..1000 {
            g.propose(Bytes::from(format!("{n}")), LONG).await.unwrap();
        }
    });
    c.group(1).add_learner(2).await.unwrap();
    writer.await.unwrap();
    c.wait_value(2, "999").await;
    assert_eq!(c.values(1), c.values(2));
}
