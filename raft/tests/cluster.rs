//! Three nodes in one process: elections, reads, crashes, partitions.

mod common;

use bytes::Bytes;
use common::{Cluster, LONG, set};
use std::time::Duration;
use zcluster_raft::{ProposeError, ReadError};

const SHORT: Duration = Duration::from_millis(1500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn elects_and_replicates() {
    let c = Cluster::memory(&[1, 2, 3]).await;
    c.initialize(&[1, 2, 3]).await;
    let leader = c.leader_of(&[1, 2, 3]).await;
    c.put(&[1, 2, 3], "one").await;
    for id in [1, 2, 3] {
        c.wait_value(id, "one").await;
    }
    // A second initialize does nothing.
    c.initialize(&[1, 2, 3]).await;
    let follower = [1, 2, 3].into_iter().find(|id| *id != leader).unwrap();
    let refused = c.group(follower).propose(Bytes::from_static(b"x"), SHORT).await;
    assert_eq!(refused, Err(ProposeError::NotLeader { leader: Some(leader) }));
    let barrier = c.group(leader).read_barrier(LONG).await.unwrap();
    let anywhere = c.group(follower).read_barrier_anywhere(LONG).await.unwrap();
    assert!(anywhere >= barrier);
    assert!(c.group(follower).status().applied >= Some(barrier));
    assert_eq!(c.group(follower).read_barrier(LONG).await, Err(ReadError::NotLeader { leader: Some(leader) }));
    let status = c.group(leader).status();
    assert_eq!((status.voters, status.joint, status.followers.len()), (set(&[1, 2, 3]), false, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proposals_are_bound_to_a_term() {
    let c = Cluster::memory(&[1]).await;
    c.initialize(&[1]).await;
    c.leader_of(&[1]).await;
    let g = c.group(1);
    let term = g.leadership().borrow().term;
    g.propose_in_term(term, Bytes::from_static(b"now"), LONG).await.unwrap();
    let past = g.propose_in_term(term - 1, Bytes::from_static(b"then"), LONG).await;
    assert!(matches!(past, Err(ProposeError::NotLeader { .. })), "{past:?}");
    assert!(!c.values(1).contains(&Bytes::from_static(b"then")));
    let large = g.propose(Bytes::from(vec![0; 9 << 20]), LONG).await;
    assert!(matches!(large, Err(ProposeError::Refused(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_voter_reads_without_rpc() {
    let c = Cluster::memory(&[1, 2]).await;
    c.initialize(&[1]).await;
    c.leader_of(&[1]).await;
    c.put(&[1], "one").await;
    let before = c.hub.all_calls();
    for _ in 0..100 {
        c.group(1).read_barrier(LONG).await.unwrap();
    }
    assert_eq!(c.hub.all_calls(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_readers_share_rounds() {
    let c = Cluster::memory(&[1, 2, 3]).await;
    c.initialize(&[1, 2, 3]).await;
    let leader = c.leader_of(&[1, 2, 3]).await;
    c.put(&[1, 2, 3], "one").await;
    c.hub.set_delay(Duration::from_millis(5));
    let before = c.hub.calls(0);
    let readers: Vec<_> = (0..200)
        .map(|_| {
            let g = c.group(leader);
            zcluster_runtime::spawn(async move { g.read_barrier(LONG).await })
        })
        .collect();
    // One that gives up must not take the round with it.
    let _ = c.group(leader).read_barrier(Duration::from_millis(1)).await;
    for r in readers {
        r.await.unwrap().unwrap();
    }
    let appends = c.hub.calls(0) - before;
    assert!(appends < 40, "{appends} messages for 200 reads");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partitioned_leader_neither_reads_nor_acknowledges() {
    let c = Cluster::memory(&[1, 2, 3]).await;
    c.initialize(&[1, 2, 3]).await;
    let old = c.leader_of(&[1, 2, 3]).await;
    c.put(&[1, 2, 3], "before").await;
    let rest: Vec<u64> = [1, 2, 3].into_iter().filter(|id| *id != old).collect();
    c.hub.isolate(old, &rest);
    let g = c.group(old);
    let (write, read) = futures::join!(g.propose(Bytes::from_static(b"lost"), SHORT), g.read_barrier(SHORT));
    assert!(matches!(write, Err(ProposeError::Unknown(_) | ProposeError::NotLeader { .. })), "{write:?}");
    assert!(read.is_err(), "{read:?}");
    let new = c.leader_of(&rest).await;
    assert_ne!(new, old);
    c.put(&rest, "after").await;
    assert!(g.read_barrier(SHORT).await.is_err());
    c.hub.heal();
    for id in [1, 2, 3] {
        c.wait_value(id, "after").await;
    }
    assert_eq!(c.values(old), c.values(new));
    assert!(!c.values(old).contains(&Bytes::from_static(b"lost")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partitioned_follower_does_not_raise_its_term() {
    let c = Cluster::memory(&[1, 2, 3]).await;
    c.initialize(&[1, 2, 3]).await;
    let leader = c.leader_of(&[1, 2, 3]).await;
    c.put(&[1, 2, 3], "before").await;
    let lonely = [1, 2, 3].into_iter().find(|id| *id != leader).unwrap();
    let rest: Vec<u64> = [1, 2, 3].into_iter().filter(|id| *id != lonely).collect();
    let term = c.group(lonely).status().term;
    c.hub.isolate(lonely, &rest);
    zcluster_runtime::sleep(Duration::from_secs(3)).await;
    assert_eq!(c.group(lonely).status().term, term, "pre-vote keeps the term");
    c.hub.heal();
    c.put(&[1, 2, 3], "after").await;
    c.wait_value(lonely, "after").await;
    assert_eq!(c.group(leader).status().term, term, "its return disturbs nobody");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leadership_is_handed_over() {
    let c = Cluster::memory(&[1, 2, 3]).await;
    c.initialize(&[1, 2, 3]).await;
    let old = c.leader_of(&[1, 2, 3]).await;
    c.put(&[1, 2, 3], "before").await;
    let to = [1, 2, 3].into_iter().find(|id| *id != old).unwrap();
    let start = zcluster_runtime::Instant::now();
    c.group(old).transfer_leader(to).await.unwrap();
    println!("transfer took {:?}", start.elapsed());
    assert_eq!(c.leader_of(&[1, 2, 3]).await, to);
    c.put(&[1, 2, 3], "after").await;
    assert!(c.group(to).transfer_leader(9).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_nodes_come_back_with_everything_acknowledged() {
    let mut c = Cluster::rocks(&[1, 2, 3]).await;
    c.initialize(&[1, 2, 3]).await;
    let all = [1, 2, 3];
    for round in 0..6 {
        for n in 0..30 {
            c.put(&all, &format!("{round}-{n}")).await;
        }
        // The leader every other time.
        let leader = c.leader_of(&all).await;
        let victim = if round % 2 == 0 { leader } else { all.into_iter().find(|id| *id != leader).unwrap() };
        let (dir, disk) = c.kill(victim).await;
        let rest: Vec<u64> = all.into_iter().filter(|id| *id != victim).collect();
        c.put(&rest, &format!("{round}-without")).await;
        c.boot(victim, dir, disk).await;
        c.put(&all, &format!("{round}-again")).await;
        c.wait_value(victim, &format!("{round}-again")).await;
    }
    for id in all {
        c.wait_value(id, "5-again").await;
    }
    assert_eq!(c.values(1).len(), 6 * 32);
    assert_eq!(c.values(1), c.values(2));
    assert_eq!(c.values(1), c.values(3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_nodes_killed_at_once_lose_nothing() {
    let mut c = Cluster::rocks(&[1, 2, 3]).await;
    c.initialize(&[1, 2, 3]).await;
    for round in 0..3 {
        let mut acknowledged = Vec::new();
        for n in 0..40 {
            let what = format!("{round}-{n}");
            c.put(&[1, 2, 3], &what).await;
            acknowledged.push(what);
        }
        let mut dead = Vec::new();
        for id in [1, 2, 3] {
            dead.push((id, c.kill(id).await));
        }
        for (id, (dir, disk)) in dead {
            c.boot(id, dir, disk).await;
        }
        let leader = c.leader_of(&[1, 2, 3]).await;
        c.group(leader).read_barrier(LONG).await.unwrap();
        let values = c.values(leader);
        for what in acknowledged {
            assert_eq!(values.iter().filter(|v| *v == what.as_bytes()).count(), 1, "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_that_dies_stops_the_node() {
    let c = Cluster::memory(&[1]).await;
    c.initialize(&[1]).await;
    c.leader_of(&[1]).await;
    let outcome = c.group(1).propose(Bytes::from_static(b"poison"), LONG).await;
    assert!(matches!(outcome, Err(ProposeError::Unknown(_) | ProposeError::Stopped)), "{outcome:?}");
    let reason = zcluster_runtime::timeout(LONG, c.nodes[&1].multi.fatal().wait()).await.unwrap();
    assert!(reason.contains("group 7"), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_can_be_stopped_and_deleted() {
    let c = Cluster::rocks(&[1]).await;
    c.initialize(&[1]).await;
    c.put(&[1], "one").await;
    let multi = &c.nodes[&1].multi;
    let mut leadership = c.group(1).leadership();
    multi.stop_group(common::GROUP).await.unwrap();
    assert!(multi.group(common::GROUP).is_none());
    zcluster_runtime::timeout(LONG, async { while leadership.changed().await.is_ok() {} }).await.unwrap();
    assert!(!leadership.borrow().is_leader);
    assert_eq!(c.nodes[&1].log.groups(), [common::GROUP]);
    let before = c.nodes[&1].log.state(common::GROUP);
    multi.delete_group(common::GROUP).await.unwrap();
    let kept = c.nodes[&1].log.state(common::GROUP);
    assert!(kept.vote == before.vote && kept.left == before.last && kept.last.is_none() && kept.owes().is_some());
    assert!(multi.fatal().reason().is_none());
    multi.shutdown().await.unwrap();
}
