//! Several volumes: what is damaged there is found and put back, small packs are merged, a volume is emptied, and policies
//! send bodies where they say.

use crate::cluster::*;
use futures::future::{BoxFuture, FutureExt};
use futures::{StreamExt, TryStreamExt};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use zcluster_api::directory::{Account, Modification, ModifyKind};
use zcluster_api::*;
use zcluster_router::{HSM_ATTRIBUTE, HsmAsk, HsmStatus, Problem, ProblemKind, Router, Tally, VerifyAsk, VerifyNews};
use zcluster_runtime::sleep;

/// Long ago, for what was written by nobody.
const OLD_MS: u64 = 1_600_000_000_000;

/// What lies on all volumes; shared by the nodes.
#[derive(Default)]
struct Warehouse {
    objects: Mutex<BTreeMap<(String, String), Bytes>>,
    default: Mutex<Option<String>>,
    changed_ms: Mutex<BTreeMap<String, u64>>,
}

/// One node's way to it.
struct Door {
    warehouse: Arc<Warehouse>,
    out: AtomicBool,
}

impl Warehouse {
    fn put(&self, volume: &str, object: &str, bytes: &[u8]) {
        self.objects.lock().insert((volume.into(), object.into()), Bytes::copy_from_slice(bytes));
    }
    fn on(&self, volume: &str) -> Vec<String> {
        self.objects.lock().keys().filter(|(v, _)| v == volume).map(|(_, o)| o.clone()).collect()
    }
    fn default(&self, volume: Option<&str>) {
        *self.default.lock() = volume.map(str::to_string);
    }
    /// Changes a byte.
    fn flip(&self, volume: &str, object: &str, at: usize) {
        let mut objects = self.objects.lock();
        let bytes = objects.get_mut(&(volume.to_string(), object.to_string())).unwrap();
        let mut changed = bytes.to_vec();
        changed[at] ^= 1;
        *bytes = changed.into();
    }
}

impl Door {
    fn open(&self) -> Result<()> {
        match self.out.load(Ordering::Relaxed) {
            true => Err(Error::Unavailable("out of order".into())),
            false => Ok(()),
        }
    }
}

impl Volumes for Door {
    fn read(&self, volume: &str, object: &str, range: Range<u64>) -> BoxFuture<'static, Result<Bytes>> {
        let key = (volume.to_string(), object.to_string());
        let found = self.open().and_then(|()| {
            let objects = self.warehouse.objects.lock();
            let bytes = objects.get(&key).filter(|b| range.end <= b.len() as u64);
            let bytes = bytes.ok_or_else(|| Error::NotFound(object.into()))?;
            Ok(bytes.slice(range.start as usize..range.end as usize))
        });
        async move { found }.boxed()
    }
    fn put(&self, volume: &str, object: &str, bytes: Bytes) -> BoxFuture<'static, Result<()>> {
        let done = self.open().map(|()| self.warehouse.put(volume, object, &bytes));
        async move { done }.boxed()
    }
    fn delete(&self, volume: &str, object: &str) -> BoxFuture<'static, Result<()>> {
        let key = (volume.to_string(), object.to_string());
        let done = self.open().map(|()| drop(self.warehouse.objects.lock().remove(&key)));
        async move { done }.boxed()
    }
    fn list(&self, volume: &str, prefix: &str, after: &str, limit: usize) -> BoxFuture<'static, Result<Vec<Listed>>> {
        let listed = self.open().map(|()| {
            let (objects, changed) = (self.warehouse.objects.lock(), self.warehouse.changed_ms.lock());
            let of = |((v, object), bytes): (&(String, String), &Bytes)| {
                let is_it = v == volume && object.starts_with(prefix) && object.as_str() > after;
                let changed_ms = changed.get(object).copied().unwrap_or_else(zcluster_runtime::wall_ms);
                is_it.then(|| Listed { object: object.clone(), bytes: bytes.len() as u64, changed_ms })
            };
            objects.iter().filter_map(of).take(limit).collect()
        });
        async move { listed }.boxed()
    }
    fn default_volume(&self) -> Option<String> {
        self.warehouse.default.lock().clone()
    }
    fn names(&self) -> Vec<String> {
        vec!["cold".into(), "warm".into()]
    }
}

struct Site {
    cluster: Cluster,
    warehouse: Arc<Warehouse>,
    doors: BTreeMap<u32, Arc<Door>>,
}

impl Site {
    async fn start() -> Site {
        let cluster = Cluster::start(3, 2).await;
        let warehouse = Arc::<Warehouse>::default();
        warehouse.default(Some("cold"));
        let mut doors = BTreeMap::new();
        for n in 1..=3 {
            let door = Arc::new(Door { warehouse: warehouse.clone(), out: false.into() });
            cluster.router(n).run_packer(door.clone());
            doors.insert(n, door);
        }
        Site { cluster, warehouse, doors }
    }

    /// An account in one of the two shards.
    async fn account(&self, name: &str, shard: usize) -> Account {
        let (id, group) = (AccountId(zcluster_runtime::random_bytes()), self.cluster.shards(1)[shard].group);
        let command = DirectoryCommand::CreateAccount { id, name: format!("{name}@x.org"), attrs: vec![], group };
        self.cluster.system(1, command).await.unwrap().into_account().unwrap()
    }

    async fn configure(&self, name: &str, values: &[&str]) {
        let values = values.iter().map(|v| v.to_string()).collect();
        let change = Modification { name: name.into(), kind: ModifyKind::Replace, values };
        self.cluster.system(1, DirectoryCommand::ModifyConfig(vec![change])).await.unwrap();
        until("all nodes know", || async {
            let want = self.cluster.nodes[&1].replicas.directory_version_now();
            self.cluster.nodes.values().all(|n| n.replicas.directory_version_now() >= want)
        })
        .await;
    }

    fn figure(&self, name: &str) -> u64 {
        let of = |n: &NodeUp| n.router.figures().into_iter().filter(|(f, _)| *f == name).map(|(_, v)| v).sum::<u64>();
        self.cluster.nodes.values().map(of).sum()
    }

    async fn packed(&self, bodies: u64) {
        let all = || async { self.figure("packed_bodies") == bodies && self.figure("pack_backlog_bodies") == 0 };
        until("everything is packed", all).await;
    }

    /// What is found wrong, and the sum; asked of one node.
    async fn verify(&self, node: u32, ask: VerifyAsk) -> (Vec<Problem>, Tally) {
        let news: Vec<VerifyNews> = self.cluster.router(node).verify(ask).collect().await;
        let mut problems = Vec::new();
        for news in &news {
            match news {
                VerifyNews::Problem(problem) => problems.push(problem.clone()),
                VerifyNews::Done(tally) => return (problems, *tally),
                VerifyNews::Progress(_) => {}
            }
        }
        panic!("it ended before its end: {news:?}");
    }

    async fn hsm(&self, ask: HsmAsk) -> HsmStatus {
        self.cluster.router(1).hsm(ask).await;
        let mut sum = HsmStatus::default();
        until("the policies are applied", || async {
            let nodes = self.cluster.router(2).hsm(HsmAsk::Status).await;
            nodes.into_iter().all(|(_, status)| status.is_ok_and(|s| !s.running && s.started_ms > 0))
        })
        .await;
        for (_, status) in self.cluster.router(3).hsm(HsmAsk::Status).await {
            let status = status.unwrap();
            assert_eq!(status.error, None);
            sum.messages += status.messages;
            for v in status.volumes {
                match sum.volumes.iter_mut().find(|s| s.volume == v.volume) {
                    Some(same) => {
                        same.bodies += v.bodies;
                        same.moved_bodies += v.moved_bodies;
                    }
                    None => sum.volumes.push(v),
                }
            }
        }
        sum
    }
}

async fn read(router: &Router, account: &Account) -> Vec<Result<BlobId>> {
    let mut out = Vec::new();
    for message in messages(router, account).await.unwrap() {
        let blob = message.blob.unwrap();
        let body = async {
            let timed = Call { timeout: Duration::from_secs(3), ..call(account, blob.clone()) };
            let pieces: Vec<Bytes> = MailboxApi::get(router, timed, 0..u64::MAX).await?.try_collect().await?;
            Ok(BlobId(*blake3::hash(&pieces.concat()).as_bytes()))
        };
        out.push(body.await.inspect(|id| assert_eq!(*id, blob.id)));
    }
    out
}

async fn volumes_of(router: &Router, account: &Account) -> Vec<Option<String>> {
    let of = |message: mailbox::Message| match message.blob.unwrap().place {
        Place::Object { volume, .. } => Some(volume),
        Place::Shard { .. } => None,
    };
    messages(router, account).await.unwrap().into_iter().map(of).collect()
}

fn kinds(problems: &[Problem]) -> Vec<ProblemKind> {
    let mut kinds: Vec<ProblemKind> = problems.iter().map(|p| p.kind).collect();
    kinds.sort_by_key(|k| k.name());
    kinds
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_cannot_reach_the_volume_reads_from_one_that_can() {
    let site = Site::start().await;
    let bob = site.account("bob", 0).await;
    for n in 0..3 {
        deliver(&site.cluster.router(1), &bob, &format!("message {n}")).await.unwrap();
    }
    site.packed(3).await;
    site.doors[&2].out.store(true, Ordering::Relaxed);
    assert!(read(&site.cluster.router(2), &bob).await.iter().all(Result::is_ok));
    // Nobody reaches it: that is told soon, and as what it is.
    site.doors.values().for_each(|door| door.out.store(true, Ordering::Relaxed));
    let all = read(&site.cluster.router(2), &bob).await;
    assert!(all.iter().all(|r| matches!(r, Err(Error::Unavailable(why)) if why.contains("out of order"))), "{all:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_damaged_is_found_and_put_back_from_where_it_still_is() {
    let site = Site::start().await;
    let (bob, carol) = (site.account("bob", 0).await, site.account("carol", 1).await);
    let router = site.cluster.router(1);
    for n in 0..6 {
        deliver(&router, &bob, &format!("to both {n}")).await.unwrap();
        deliver(&router, &carol, &format!("to both {n}")).await.unwrap();
    }
    site.packed(12).await;
    let deep = VerifyAsk { deep: true, ..VerifyAsk::default() };
    let (problems, tally) = site.verify(2, deep.clone()).await;
    assert_eq!(problems, []);
    assert_eq!((tally.shards, tally.messages, tally.volume_bodies, tally.verified_bodies), (2, 12, 12, 12));

    // In bob's shard a body is damaged, something strange lies beside it; and outside of all shards too.
    let mine = format!("packs/{}/", bob.home.group);
    let mine: Vec<String> = site.warehouse.on("cold").into_iter().filter(|o| o.starts_with(&mine)).collect();
    let first = messages(&router, &bob).await.unwrap()[0].blob.clone().unwrap();
    let Place::Object { object, offset, .. } = first.place else { panic!("{first:?}") };
    site.warehouse.flip("cold", &object, offset as usize + 3);
    let strange = format!("packs/{}/stranger", bob.home.group);
    for name in [strange.as_str(), "letters/somebody", "young"] {
        site.warehouse.put("cold", name, b"what is this");
        site.warehouse.changed_ms.lock().insert(name.into(), OLD_MS);
    }
    site.warehouse.changed_ms.lock().remove("young");
    assert!(mine.contains(&object));
    let (problems, _) = site.verify(3, VerifyAsk::default()).await;
    assert_eq!(kinds(&problems), [ProblemKind::Orphan; 3], "lengths are right");
    let (problems, tally) = site.verify(3, deep.clone()).await;
    assert_eq!(kinds(&problems), [&[ProblemKind::DamagedBody][..], &[ProblemKind::Orphan; 3]].concat());
    assert_eq!((tally.problems, tally.repaired), (4, 0));
    let damaged = problems.iter().find(|p| p.kind == ProblemKind::DamagedBody).unwrap();
    assert_eq!(damaged.body, Some(first.id.to_string()));
    assert_eq!(read(&router, &bob).await.iter().filter(|r| r.is_err()).count(), 1);

    // Carol's shard has the same content.
    let repair = VerifyAsk { repair: true, ..deep.clone() };
    let (problems, tally) = site.verify(3, repair.clone()).await;
    assert_eq!((tally.problems, tally.repaired), (4, 3), "{problems:?}");
    let young = problems.iter().find(|p| !p.repaired).unwrap();
    assert!(young.text.contains("left alone"), "{young}");
    let all = read(&router, &bob).await;
    assert!(all.iter().all(Result::is_ok), "{all:?}");
    // The strangers go the way of objects that came to nothing, and the damaged one that of those that hold nothing.
    until("strangers and the damaged object are gone", || async {
        let there = site.warehouse.on("cold");
        ![strange.as_str(), "letters/somebody", object.as_str()].iter().any(|gone| there.contains(&gone.to_string()))
    })
    .await;
    site.warehouse.objects.lock().remove(&("cold".to_string(), "young".to_string()));
    let (problems, _) = site.verify(1, deep.clone()).await;
    assert_eq!(problems, []);

    // A whole object is gone, and what was in it is nowhere else: carol's part of it comes back, the rest is named.
    deliver(&router, &bob, "to bob alone").await.unwrap();
    site.packed(13).await;
    let alone = messages(&router, &bob).await.unwrap().pop().unwrap().blob.unwrap();
    let Place::Object { object, .. } = alone.place else { panic!("{alone:?}") };
    site.warehouse.objects.lock().remove(&("cold".to_string(), object.clone()));
    let (problems, _) = site.verify(2, VerifyAsk::default()).await;
    assert_eq!(kinds(&problems), [ProblemKind::MissingObject], "{problems:?}");
    let (problems, tally) = site.verify(2, repair).await;
    assert_eq!(tally.repaired, 0);
    let lost: Vec<&Problem> = problems.iter().filter(|p| p.text.contains("LOST")).collect();
    assert_eq!(lost.len(), 1, "{problems:?}");
    assert_eq!(lost[0].body, Some(alone.id.to_string()));
    assert!(lost[0].text.contains(&format!("mailbox {}", bob.home.mailbox.0)), "{}", lost[0]);
    // The volume cannot be asked: that is no clean bill of health.
    site.doors.values().for_each(|door| door.out.store(true, Ordering::Relaxed));
    let (problems, _) = site.verify(1, VerifyAsk::default()).await;
    assert!(kinds(&problems).contains(&ProblemKind::Unanswered), "{problems:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn small_packs_become_one_and_a_volume_is_emptied() {
    let site = Site::start().await;
    let bob = site.account("bob", 0).await;
    let router = site.cluster.router(1);
    for n in 0..12 {
        deliver(&router, &bob, &format!("day {n}")).await.unwrap();
        site.packed(n + 1).await;
    }
    until("packs are merged", || async { site.warehouse.on("cold").len() <= 5 }).await;
    assert!(read(&router, &bob).await.iter().all(Result::is_ok));
    // To another volume.
    site.warehouse.default(Some("warm"));
    site.configure("zclusterVolumeDrained", &["cold"]).await;
    until("cold is empty", || async { VolumeUse::bodies(&*router, "cold").await == Ok(0) }).await;
    assert_eq!(site.warehouse.on("cold"), Vec::<String>::new());
    assert_eq!(volumes_of(&router, &bob).await, vec![Some("warm".to_string()); 12]);
    // Back into the shard.
    site.warehouse.default(None);
    site.configure("zclusterVolumeDrained", &["cold", "warm"]).await;
    until("warm is empty", || async { VolumeUse::bodies(&*router, "warm").await == Ok(0) }).await;
    assert_eq!(volumes_of(&router, &bob).await, vec![None; 12]);
    assert!(read(&router, &bob).await.iter().all(Result::is_ok));
    assert!(site.warehouse.objects.lock().is_empty());
    let (problems, tally) = site.verify(1, VerifyAsk { deep: true, ..VerifyAsk::default() }).await;
    assert_eq!((problems, tally.shard_bodies, tally.verified_bodies), (vec![], 12, 12));
    site.cluster.same_state(bob.home.group).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_send_bodies_to_their_volumes() {
    let site = Site::start().await;
    let (bob, carol) = (site.account("bob", 0).await, site.account("carol", 1).await);
    let router = site.cluster.router(1);
    for n in 0..4 {
        let text = if n < 2 { format!("small {n}") } else { format!("large {n} {}", "x".repeat(2_000)) };
        deliver(&router, &bob, &text).await.unwrap();
        deliver(&router, &carol, &format!("carol {text}")).await.unwrap();
    }
    site.packed(8).await;
    site.configure(HSM_ATTRIBUTE, &["warm message,document:before:-30days larger:1KB"]).await;
    let status = site.hsm(HsmAsk::Run { dry: true }).await;
    let warm = &status.volumes[0];
    assert_eq!((status.messages, warm.bodies, warm.moved_bodies), (4, 4, 0));
    assert!(site.warehouse.on("warm").is_empty());
    let status = site.hsm(HsmAsk::Run { dry: false }).await;
    assert_eq!((status.volumes[0].bodies, status.volumes[0].moved_bodies), (4, 4));
    let (small, large) = (Some("cold".to_string()), Some("warm".to_string()));
    for account in [&bob, &carol] {
        let on = volumes_of(&router, account).await;
        assert_eq!(on, [small.clone(), small.clone(), large.clone(), large.clone()]);
        assert!(read(&router, account).await.iter().all(Result::is_ok));
    }
    // Again: there is nothing left to move. And nothing moves whose owner is to have no policy.
    assert_eq!(site.hsm(HsmAsk::Run { dry: false }).await.volumes, []);
    let none =
        DirectoryCommand::ModifyAccount { id: carol.id, changes: vec![Modification::set(HSM_ATTRIBUTE, "none")] };
    site.cluster.system(1, none).await.unwrap();
    site.configure(HSM_ATTRIBUTE, &["warm message:in:Inbox", "cold message:larger:1KB"]).await;
    let status = site.hsm(HsmAsk::Run { dry: false }).await;
    assert_eq!((status.messages, status.volumes[0].moved_bodies), (4 + 2, 2), "the first policy wins");
    assert_eq!(volumes_of(&router, &bob).await.into_iter().collect::<BTreeSet<_>>(), [large].into());
    assert_eq!(volumes_of(&router, &carol).await[0], small);
    sleep(Duration::from_millis(300)).await;
    let (problems, _) = site.verify(1, VerifyAsk { deep: true, ..VerifyAsk::default() }).await;
    assert_eq!(problems, []);
    // Stopped, or asked of a volume that is being emptied.
    site.cluster.router(2).hsm(HsmAsk::Stop).await;
    site.configure("zclusterVolumeDrained", &["warm"]).await;
    site.cluster.router(1).hsm(HsmAsk::Run { dry: true }).await;
    until("a policy for a volume that is being emptied is told of", || async {
        let nodes = site.cluster.router(2).hsm(HsmAsk::Status).await;
        nodes.iter().any(|(_, s)| s.as_ref().is_ok_and(|s| s.error.as_ref().is_some_and(|e| e.contains("emptied"))))
    })
    .await;
}
