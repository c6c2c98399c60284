//! Nodes die and come back; nothing acknowledged is lost or doubled, and nobody stops listening.

use crate::cluster::*;
use futures::StreamExt;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use zcluster_api::*;
use zcluster_router::Router;
use zcluster_runtime::{Instant, JoinHandle, sleep, spawn, timeout};

/// Delivers numbered messages one after the other; returns what was acknowledged.
fn sender(router: Arc<Router>, account: directory::Account, name: String, count: u32) -> JoinHandle<Vec<String>> {
    spawn(async move {
        let mut acked = Vec::new();
        for i in 0..count {
            let text = format!("{name}-{i}");
            match deliver(&router, &account, &text).await {
                Ok(_) => acked.push(text),
                Err(e) => panic!("{text}: {e}"),
            }
        }
        acked
    })
}

/// How often each body is in the mailbox.
async fn tally(router: &Router, account: &directory::Account) -> BTreeMap<BlobId, u32> {
    let mut tally = BTreeMap::new();
    for m in messages(router, account).await.unwrap() {
        *tally.entry(m.blob.unwrap().id).or_default() += 1;
    }
    tally
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leader_loses_and_doubles_nothing() {
    let mut cluster = Cluster::start(3, 2).await;
    let account = cluster.account(1, "bob").await;
    deliver(&cluster.router(1), &account, "first").await.unwrap();
    let group = account.home.group;
    for round in 0..2 {
        let victim = cluster.leader(group).await;
        let others: Vec<u32> = cluster.nodes.keys().copied().filter(|n| *n != victim).collect();
        let senders: Vec<_> = (0..6)
            .map(|s| sender(cluster.router(others[s % 2]), account.clone(), format!("r{round}s{s}"), 30))
            .collect();
        sleep(Duration::from_millis(60)).await;
        let disks = cluster.kill(victim).await;
        let begun = Instant::now();
        deliver(&cluster.router(others[0]), &account, &format!("after {round}")).await.unwrap();
        let gap = begun.elapsed();
        assert!(gap < Duration::from_secs(4), "no acknowledgement for {gap:?}");
        let mut acked = BTreeSet::new();
        for s in senders {
            acked.extend(s.await.unwrap());
        }
        let tally = tally(&cluster.router(others[1]), &account).await;
        for text in &acked {
            assert_eq!(tally.get(&prepared(&raw(text)).id), Some(&1), "{text}");
        }
        assert!(tally.values().all(|n| *n == 1));
        cluster.restart(victim, disks).await;
        cluster.same_state(group).await;
        assert_eq!(messages(&cluster.router(victim), &account).await.unwrap().len(), tally.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_survives_the_leader_and_a_return() {
    let mut cluster = Cluster::start(3, 2).await;
    let account = cluster.account(1, "bob").await;
    deliver(&cluster.router(1), &account, "first").await.unwrap();
    let victim = cluster.leader(account.home.group).await;
    let other = *cluster.nodes.keys().find(|n| **n != victim).unwrap();
    let mut watch = MailboxApi::watch(&*cluster.router(other), account.id, ModSeq(0));
    let before = watch.next().await.unwrap();
    let disks = cluster.kill(victim).await;
    deliver(&cluster.router(other), &account, "second").await.unwrap();
    let after = timeout(Duration::from_secs(5), watch.next()).await.unwrap().unwrap();
    assert!(after > before);
    cluster.restart(victim, disks).await;
    deliver(&cluster.router(victim), &account, "third").await.unwrap();
    assert!(timeout(Duration::from_secs(5), watch.next()).await.unwrap().unwrap() > after);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minority_refuses_in_time_and_never_splits() {
    let cluster = Cluster::start(3, 2).await;
    let account = cluster.account(1, "bob").await;
    deliver(&cluster.router(1), &account, "first").await.unwrap();
    let alone = cluster.leader(account.home.group).await;
    let others: Vec<u32> = cluster.nodes.keys().copied().filter(|n| *n != alone).collect();
    cluster.hub.isolate(id(alone), &others.iter().map(|n| id(*n)).collect::<Vec<_>>());
    let mut lonely = call(&account, add(prepared(&raw("lonely")).inline().unwrap()));
    lonely.timeout = Duration::from_secs(3);
    let begun = Instant::now();
    let refused = MailboxApi::write(&*cluster.router(alone), lonely.clone()).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    assert!(begun.elapsed() < Duration::from_secs(4));
    let read = Call { timeout: Duration::from_secs(1), ..call(&account, MailboxQuery::Info) };
    assert!(matches!(MailboxApi::read(&*cluster.router(alone), read).await, Err(Error::Unavailable(_))));
    deliver(&cluster.router(others[0]), &account, "majority").await.unwrap();
    cluster.hub.heal();
    // The refused one's outcome was unknown; repeated under its id it is there exactly once.
    lonely.timeout = LONG;
    MailboxApi::write(&*cluster.router(alone), lonely).await.unwrap();
    for n in 1..=3 {
        let tally = tally(&cluster.router(n), &account).await;
        assert_eq!(tally.len(), 3);
        assert!(tally.values().all(|n| *n == 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_nodes_at_once_come_back_with_everything() {
    let mut cluster = Cluster::start(3, 4).await;
    let accounts = [cluster.account(1, "a").await, cluster.account(2, "b").await];
    for i in 0..30 {
        deliver(&cluster.router(i % 3 + 1), &accounts[i as usize % 2], &format!("m{i}")).await.unwrap();
    }
    let mut disks = Vec::new();
    for n in 1..=3 {
        disks.push((n, cluster.kill(n).await));
    }
    for (n, disk) in disks {
        cluster.restart(n, disk).await;
    }
    for account in &accounts {
        for n in 1..=3 {
            let tally = tally(&cluster.router(n), account).await;
            assert_eq!((tally.len(), tally.values().max()), (15, Some(&1)));
        }
        cluster.same_state(account.home.group).await;
    }
}
