//! Bodies go to a volume, are read from there on every node, and what nobody needs is removed there; mail flows while
//! the volume is out of order, and packers die.

use crate::cluster::*;
use futures::TryStreamExt;
use futures::future::{BoxFuture, FutureExt};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use zcluster_api::mailbox::folders;
use zcluster_api::*;
use zcluster_router::Router;
use zcluster_runtime::sleep;

/// A volume in memory. Every third write fails although it had its effect.
#[derive(Default)]
struct Shelf {
    objects: Arc<Mutex<BTreeMap<String, Bytes>>>,
    out: Arc<AtomicBool>,
    puts: AtomicU64,
}

impl Shelf {
    fn count(&self) -> usize {
        self.objects.lock().len()
    }
    fn checked(&self) -> Result<()> {
        match self.out.load(Ordering::Relaxed) {
            true => Err(Error::Unavailable("out of order".into())),
            false => Ok(()),
        }
    }
}

impl Volumes for Shelf {
    fn read(&self, _: &str, object: &str, range: Range<u64>) -> BoxFuture<'static, Result<Bytes>> {
        let found = self.checked().and_then(|()| {
            let objects = self.objects.lock();
            let bytes = objects.get(object).ok_or_else(|| Error::NotFound(object.into()))?;
            Ok(bytes.slice(range.start as usize..range.end as usize))
        });
        async move { found }.boxed()
    }
    fn put(&self, _: &str, object: &str, bytes: Bytes) -> BoxFuture<'static, Result<()>> {
        let done = self.checked().and_then(|()| {
            assert!(self.objects.lock().insert(object.into(), bytes).is_none(), "names are fresh");
            let fails = self.puts.fetch_add(1, Ordering::Relaxed) % 3 == 2;
            if fails { Err(Error::Unavailable("no answer".into())) } else { Ok(()) }
        });
        async move {
            sleep(Duration::from_millis(20)).await;
            done
        }
        .boxed()
    }
    fn delete(&self, _: &str, object: &str) -> BoxFuture<'static, Result<()>> {
        let done = self.checked().map(|()| drop(self.objects.lock().remove(object)));
        async move { done }.boxed()
    }
    fn list(&self, _: &str, _: &str, _: &str, _: usize) -> BoxFuture<'static, Result<Vec<Listed>>> {
        async { Ok(Vec::new()) }.boxed()
    }
    fn default_volume(&self) -> Option<String> {
        Some("cold".into())
    }
}

async fn all_read(router: &Router, account: &directory::Account, count: usize) {
    let messages = messages(router, account).await.unwrap();
    assert_eq!(messages.len(), count);
    for message in messages {
        let blob = message.blob.unwrap();
        let stream = MailboxApi::get(router, call(account, blob.clone()), 0..u64::MAX).await.unwrap();
        let bytes: Vec<Bytes> = stream.try_collect().await.unwrap();
        assert_eq!(BlobId(*blake3::hash(&bytes.concat()).as_bytes()), blob.id);
    }
}

fn figure(cluster: &Cluster, name: &str) -> u64 {
    let of = |n: &NodeUp| n.router.figures().into_iter().filter(|(f, _)| *f == name).map(|(_, v)| v).sum::<u64>();
    cluster.nodes.values().map(of).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_move_come_back_and_go() {
    let mut cluster = Cluster::start(3, 2).await;
    let shelf = Arc::new(Shelf::default());
    let account = cluster.account(1, "bob").await;
    for n in 0..10 {
        deliver(&cluster.router(1), &account, &format!("before {n}")).await.unwrap();
    }
    shelf.out.store(true, Ordering::Relaxed);
    for n in 1..=3 {
        cluster.router(n).run_packer(shelf.clone());
    }
    // The volume is out of order: mail comes in, is read, and is seen to wait.
    until("the backlog is told of", || async {
        figure(&cluster, "pack_failures") > 0 && figure(&cluster, "pack_backlog_bodies") == 10
    })
    .await;
    for n in 0..10 {
        deliver(&cluster.router(2), &account, &format!("meanwhile {n}")).await.unwrap();
    }
    all_read(&cluster.router(3), &account, 20).await;
    shelf.out.store(false, Ordering::Relaxed);
    let packed = || async { figure(&cluster, "packed_bodies") == 20 && figure(&cluster, "pack_backlog_bodies") == 0 };
    until("everything is packed", packed).await;
    for n in 1..=3 {
        all_read(&cluster.router(n), &account, 20).await;
    }
    // Writes that failed have left objects that are still to be removed.
    let used = VolumeUse::bodies(&*cluster.router(2), "cold").await.unwrap();
    assert!((20..40).contains(&used), "{used}");
    assert_eq!(VolumeUse::bodies(&*cluster.router(3), "other").await, Ok(0));
    // The leader dies while there is something to do; the next goes on.
    for n in 0..30 {
        deliver(&cluster.router(1), &account, &format!("more {n}")).await.unwrap();
    }
    let leader = cluster.leader(account.home.group).await;
    cluster.kill(leader).await;
    let alive = *cluster.nodes.keys().next().unwrap();
    until("the next leader packs", || async { figure(&cluster, "packed_bodies") == 50 }).await;
    all_read(&cluster.router(alive), &account, 50).await;
    // Most of it goes: what is left moves on, and the objects go too.
    let uids = UidSet::range(1, 45);
    let expunge = MailboxCommand::Expunge { folder: folders::INBOX, uids, only_deleted: false };
    MailboxApi::write(&*cluster.router(alive), call(&account, expunge)).await.unwrap();
    until("sparse packs are packed again", || async { shelf.count() <= 5 && figure(&cluster, "packed_bodies") == 5 })
        .await;
    all_read(&cluster.router(alive), &account, 5).await;
    let expunge =
        MailboxCommand::Expunge { folder: folders::INBOX, uids: UidSet::range(1, u32::MAX), only_deleted: false };
    MailboxApi::write(&*cluster.router(alive), call(&account, expunge)).await.unwrap();
    until("the volume is empty", || async { shelf.count() == 0 && figure(&cluster, "volume_objects") == 0 }).await;
    assert_eq!(VolumeUse::bodies(&*cluster.router(alive), "cold").await, Ok(0));
    cluster.same_state(account.home.group).await;
}
