//! Nodes join and leave while mail flows; replicas move, and nodes without one still answer.

use crate::cluster::*;
use futures::{StreamExt, TryStreamExt};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use zcluster_api::directory::{Account, NodeState};
use zcluster_api::*;
use zcluster_runtime::{spawn, timeout};

fn holders(cluster: &Cluster, group: GroupId) -> BTreeSet<u32> {
    let runs = |n: &&u32| cluster.nodes[*n].raft.group(group.0).is_some();
    cluster.nodes.keys().filter(runs).copied().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fourth_node_takes_its_share_while_mail_flows() {
    let mut cluster = Cluster::start(3, 8).await;
    let mut accounts = Vec::new();
    for i in 0..8 {
        accounts.push(cluster.account(i % 3 + 1, &format!("user{i}")).await);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4usize)
        .map(|w| {
            let (router, stop) = (cluster.router(w as u32 % 3 + 1), stop.clone());
            let mine: Vec<Account> = accounts[w * 2..w * 2 + 2].to_vec();
            spawn(async move {
                let mut sent = [0u32; 2];
                while !stop.load(Ordering::Relaxed) {
                    for (i, account) in mine.iter().enumerate() {
                        let text = format!("w{w} a{i} {}", sent[i]);
                        deliver(&router, account, &text).await.unwrap();
                        sent[i] += 1;
                    }
                }
                sent
            })
        })
        .collect();
    cluster.join(4).await;
    cluster.settled().await;
    stop.store(true, Ordering::Relaxed);
    let mut sent = Vec::new();
    for w in writers {
        sent.extend(w.await.unwrap());
    }
    // Eight shards, three replicas each, four nodes: six each.
    let shares: Vec<usize> =
        (1..=4).map(|n| cluster.shards(1).iter().filter(|s| s.replicas.contains(&NodeId(id(n)))).count()).collect();
    assert_eq!(shares, vec![6; 4]);
    until("moved replicas are gone from where they were", || async {
        (1..=8).all(|g| holders(&cluster, GroupId(g)).len() == 3)
    })
    .await;

    for (account, sent) in accounts.iter().zip(sent) {
        let homes = holders(&cluster, account.home.group);
        let without = (1..=4).find(|n| !homes.contains(n)).unwrap();
        let router = cluster.router(without);
        // No replica here: read, follow, write and fetch through others.
        let found = messages(&router, account).await.unwrap();
        assert_eq!(found.len(), sent as usize);
        let last = found.last().unwrap();
        let blob = last.blob.clone().unwrap();
        let pieces: Vec<Bytes> = MailboxApi::get(&*router, call(account, blob.clone()), 0..blob.size)
            .await
            .unwrap()
            .try_collect()
            .await
            .unwrap();
        assert_eq!(blake3::hash(&pieces.concat()).as_bytes(), &blob.id.0);
        let mut watch = MailboxApi::watch(&*router, account.id, last.modseq);
        deliver(&router, account, "from afar").await.unwrap();
        let told = timeout(Duration::from_secs(5), watch.next()).await.unwrap().unwrap();
        assert!(told > last.modseq);
        cluster.same_state(account.home.group).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_node_gives_everything_away() {
    let cluster = Cluster::start(4, 6).await;
    let account = cluster.account(2, "bob").await;
    deliver(&cluster.router(4), &account, "before").await.unwrap();
    cluster.system(1, DirectoryCommand::PutNode(record(1, NodeState::Draining), None)).await.unwrap();
    until("node 1 has no shard and no vote", || async {
        let Ok(status) = cluster.router(2).status(Duration::from_secs(1)).await else { return false };
        let free = |g: &zcluster_router::GroupSummary| {
            g.leader.is_some_and(|l| l.0 != id(1)) && !g.voters.contains(&NodeId(id(1))) && g.voters.len() == 3
        };
        status.groups.iter().all(free) && (1..=6).all(|g| !holders(&cluster, GroupId(g)).contains(&1))
    })
    .await;
    // It still answers for everybody.
    deliver(&cluster.router(1), &account, "after").await.unwrap();
    assert_eq!(messages(&cluster.router(1), &account).await.unwrap().len(), 2);
}
