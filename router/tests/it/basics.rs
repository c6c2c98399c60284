//! Any node answers for any mailbox.

use crate::cluster::*;
use futures::{StreamExt, TryStreamExt};
use std::time::Duration;
use zcluster_api::*;
use zcluster_runtime::timeout;

#[tokio::test(flavor = "multi_thread")]
async fn delivered_through_any_node_and_read_from_any() {
    let cluster = Cluster::start(3, 8).await;
    for n in 1..=3 {
        // The first delivery finds no mailbox in the shard and creates it.
        let account = cluster.account(n, &format!("user{n}")).await;
        for via in 1..=3 {
            let receipt = deliver(&cluster.router(via), &account, &format!("via {via}")).await.unwrap();
            assert!(matches!(receipt, Receipt::Added { uid: Uid(u), .. } if u == via));
            for at in 1..=3 {
                assert_eq!(messages(&cluster.router(at), &account).await.unwrap().len(), via as usize);
            }
        }
    }
    let status = cluster.router(2).status(Duration::from_secs(1)).await.unwrap();
    assert_eq!((status.nodes.len(), status.groups.len()), (3, 9));
    assert!(status.nodes.iter().all(|n| n.report.is_some() && n.stop_costs.is_empty()));
    assert_eq!(status.groups.iter().map(|g| g.mailboxes).sum::<u64>(), 3);
    for group in 0..=8 {
        cluster.same_state(GroupId(group)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_twice_is_done_once() {
    let cluster = Cluster::start(3, 2).await;
    let account = cluster.account(2, "bob").await;
    let request = call(&account, add(prepared(&raw("once")).inline().unwrap()));
    let mut receipts = Vec::new();
    for via in 1..=3 {
        receipts.push(MailboxApi::write(&*cluster.router(via), request.clone()).await.unwrap());
    }
    assert!(receipts.windows(2).all(|w| w[0] == w[1]));
    assert_eq!(messages(&cluster.router(1), &account).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_come_back_from_every_node() {
    let cluster = Cluster::start(3, 2).await;
    let account = cluster.account(1, "bob").await;
    let text: String = (0..90_000).map(|n| format!("{n:07} ")).collect();
    let raw = raw(&text);
    let put = call(&account, prepared(&raw));
    let body = MailboxApi::put(&*cluster.router(3), put.clone()).await.unwrap();
    // The same upload again, through another node, is the same one.
    assert_eq!(MailboxApi::put(&*cluster.router(1), put).await.unwrap(), body);
    assert!(matches!(body, Body::Uploaded { chunks: 6, .. }));
    MailboxApi::write(&*cluster.router(2), call(&account, add(body))).await.unwrap();
    for n in 1..=3 {
        let router = cluster.router(n);
        let blob = messages(&router, &account).await.unwrap()[0].blob.clone().unwrap();
        let stream = MailboxApi::get(&*router, call(&account, blob.clone()), 0..u64::MAX).await.unwrap();
        let bytes: Vec<Bytes> = stream.try_collect().await.unwrap();
        assert!(bytes.concat() == raw, "node {n}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn others_are_denied_and_strangers_unknown() {
    let cluster = Cluster::start(1, 2).await;
    let (bob, eve) = (cluster.account(1, "bob").await, cluster.account(1, "eve").await);
    let router = cluster.router(1);
    let spy = Call { actor: Actor::Account(eve.id), ..call(&bob, MailboxQuery::Info) };
    assert!(matches!(MailboxApi::read(&*router, spy).await, Err(Error::Denied(_))));
    let mut nobody = bob.clone();
    nobody.id = AccountId([99; 16]);
    assert!(matches!(messages(&router, &nobody).await, Err(Error::NotFound(_))));
    let change = DirectoryCommand::DeleteAccount(bob.id);
    let denied = DirectoryApi::write(&*router, Actor::Account(eve.id), RequestId([5; 16]), change).await;
    assert!(matches!(denied, Err(Error::Denied(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_accounts_mailbox_is_emptied_and_its_watch_ends() {
    let cluster = Cluster::start(3, 2).await;
    let account = cluster.account(1, "gone").await;
    for i in 0..20 {
        deliver(&cluster.router(2), &account, &format!("m{i}")).await.unwrap();
    }
    let mut watch = MailboxApi::watch(&*cluster.router(3), account.id, ModSeq(0));
    // The local replica may lag a little; it tells of everything in the end.
    while watch.next().await.unwrap() <= ModSeq(20) {}
    cluster.system(2, DirectoryCommand::DeleteAccount(account.id)).await.unwrap();
    let end = timeout(LONG, async { while watch.next().await.is_some() {} }).await;
    assert!(end.is_ok(), "the watch ends");
    assert!(matches!(messages(&cluster.router(1), &account).await, Err(Error::NotFound(_))));
    until("the shard is empty", || async {
        let homes = cluster.nodes[&1].replicas.read_directory(&DirectoryQuery::DeletingHomes).unwrap();
        let left = cluster.nodes[&1].replicas.modseq(account.home.group, account.home.mailbox).unwrap();
        homes == DirectoryReply::Homes(vec![]) && left.is_none()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_follows_a_delivery_within_milliseconds() {
    let cluster = Cluster::start(3, 2).await;
    let account = cluster.account(1, "idle").await;
    deliver(&cluster.router(1), &account, "first").await.unwrap();
    let mut watches: Vec<_> = (1..=3).map(|n| MailboxApi::watch(&*cluster.router(n), account.id, ModSeq(0))).collect();
    let mut seen = vec![ModSeq(0); 3];
    for (w, s) in watches.iter_mut().zip(&mut seen) {
        *s = w.next().await.unwrap();
    }
    for i in 0..5 {
        deliver(&cluster.router(2), &account, &format!("next {i}")).await.unwrap();
        for (w, s) in watches.iter_mut().zip(&mut seen) {
            let now = timeout(Duration::from_secs(2), w.next()).await.unwrap().unwrap();
            assert!(now > *s);
            *s = now;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_folder_is_open_to_whom_it_is_shared_with_on_every_node() {
    use zcluster_api::body::BlobAt;
    use zcluster_api::mailbox::folders::INBOX;
    use zcluster_api::sharing::{Grantee, RightsChange};

    let cluster = Cluster::start(3, 2).await;
    let (bob, eve) = (cluster.account(1, "bob").await, cluster.account(1, "eve").await);
    deliver(&cluster.router(1), &bob, "for two").await.unwrap();
    let actor = Actor::Account(eve.id);
    let want = zcluster_api::mailbox::Want { summary: true, blob: true };
    let list = MailboxQuery::Messages { folder: INBOX, uids: UidSet::range(1, 9), want, changed_since: None, limit: 9 };
    let read = |n: u32| {
        let (router, call) = (cluster.router(n), Call { actor, ..call(&bob, list.clone()) });
        async move { MailboxApi::read(&*router, call).await }
    };
    for n in 1..=3 {
        assert!(matches!(read(n).await, Err(Error::NotFound(_))), "node {n}");
    }
    let set = |rights: &str| MailboxCommand::SetAcl {
        folder: INBOX,
        grantee: Grantee::Account(eve.id),
        negative: false,
        change: RightsChange::Replace(rights.parse().unwrap()),
    };
    let by_herself = Call { actor, ..call(&bob, set("lrswipkxtea")) };
    assert!(matches!(MailboxApi::write(&*cluster.router(2), by_herself).await, Err(Error::NotFound(_))));
    MailboxApi::write(&*cluster.router(3), call(&bob, set("lr"))).await.unwrap();
    for n in 1..=3 {
        let router = cluster.router(n);
        let Ok(MailboxReply::Messages { messages, .. }) = read(n).await else { panic!("node {n}") };
        let blob = messages[0].blob.clone().unwrap();
        let stream = MailboxApi::get(&*router, Call { actor, ..call(&bob, blob.clone()) }, 0..u64::MAX).await.unwrap();
        let bytes: Vec<Bytes> = stream.try_collect().await.unwrap();
        assert!(bytes.concat() == raw("for two"), "node {n}");
        // The name of a body opens nothing by itself, nor does a message that has another.
        for at in [None, Some(BlobAt { folder: INBOX, uid: Uid(7) })] {
            let call = Call { actor, ..call(&bob, BlobRef { at, ..blob.clone() }) };
            assert!(MailboxApi::get(&*router, call, 0..u64::MAX).await.is_err(), "node {n}");
        }
        let other = BlobRef { id: BlobId([7; 32]), ..blob };
        let call_other = Call { actor, ..call(&bob, other) };
        assert!(matches!(MailboxApi::get(&*router, call_other, 0..u64::MAX).await, Err(Error::Denied(_))));
        let add = Call { actor, ..call(&bob, add(prepared(&raw("hers")).inline().unwrap())) };
        assert!(matches!(MailboxApi::write(&*router, add).await, Err(Error::Denied(_))), "node {n}");
    }
    MailboxApi::write(&*cluster.router(1), call(&bob, set(""))).await.unwrap();
    assert!(matches!(read(2).await, Err(Error::NotFound(_))));
}
