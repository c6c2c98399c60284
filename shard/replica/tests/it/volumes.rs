//! Bodies that were moved to a volume: read, searched, and never believed when they are wrong.

use crate::support::*;
use bytes::Bytes;
use futures::TryStreamExt;
use futures::future::{BoxFuture, FutureExt, ready};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use zcluster_api::body::CHUNK_MAX;
use zcluster_api::mailbox::{Want, folders};
use zcluster_api::pack::Placed;
use zcluster_api::*;
use zcluster_raft::{Entry, EntryKind, Fatal, LogId, StateMachine};
use zcluster_replica::{MemoryEngine, Replicas, proposal};

/// A volume in memory, which can be made to fail.
#[derive(Default)]
struct Shelf {
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
    out: Mutex<bool>,
    reads: Mutex<u64>,
}

impl Volumes for Shelf {
    fn read(&self, _: &str, object: &str, range: Range<u64>) -> BoxFuture<'static, Result<Bytes>> {
        *self.reads.lock() += 1;
        let found = match (*self.out.lock(), self.objects.lock().get(object)) {
            (true, _) => Err(Error::Unavailable("out of order".into())),
            (_, None) => Err(Error::NotFound(object.into())),
            (_, Some(bytes)) => Ok(Bytes::copy_from_slice(&bytes[range.start as usize..range.end as usize])),
        };
        ready(found).boxed()
    }
    fn put(&self, _: &str, object: &str, bytes: Bytes) -> BoxFuture<'static, Result<()>> {
        self.objects.lock().insert(object.into(), bytes.to_vec());
        ready(Ok(())).boxed()
    }
    fn delete(&self, _: &str, object: &str) -> BoxFuture<'static, Result<()>> {
        self.objects.lock().remove(object);
        ready(Ok(())).boxed()
    }
    fn list(&self, _: &str, _: &str, _: &str, _: usize) -> BoxFuture<'static, Result<Vec<Listed>>> {
        ready(Ok(Vec::new())).boxed()
    }
    fn default_volume(&self) -> Option<String> {
        Some("v".into())
    }
}

struct Rig {
    replicas: Arc<Replicas>,
    machine: Box<dyn StateMachine>,
    shelf: Arc<Shelf>,
    index: u64,
}

impl Rig {
    fn new() -> Rig {
        let replicas = Replicas::with_engine(MemoryEngine::new(), Fatal::new()).unwrap();
        let mut machine = replicas.machine(GROUP).unwrap();
        apply(&mut machine, &log(3));
        Rig { replicas, machine, shelf: Arc::default(), index: 3 }
    }

    fn run(&mut self, command: MailboxCommand) -> Receipt {
        let entry = crate::support::command(self.index, command);
        self.index += 1;
        receipt(&self.machine.apply(vec![entry]).unwrap()[0])
    }

    fn bodies(&mut self, command: BodiesCommand) -> BodiesReceipt {
        let payload = proposal::bodies(request(self.index), 1_700_000_000_000 + self.index, command);
        let entry = Entry { id: LogId { term: 1, index: self.index }, kind: EntryKind::Normal(payload) };
        self.index += 1;
        proposal::bodies_reply(&self.machine.apply(vec![entry]).unwrap()[0]).unwrap()
    }

    fn add(&mut self, raw: &Bytes) {
        let prepared = zcluster_mail::prepare(raw);
        let body = prepared.inline().unwrap_or_else(|| {
            let (upload, stored) = (request(self.index + 1_000_000), prepared.stored.len() as u64);
            let chunks: Vec<_> = prepared.stored.chunks(CHUNK_MAX).collect();
            for (seq, bytes) in chunks.iter().enumerate() {
                let bytes = Bytes::copy_from_slice(bytes);
                self.run(MailboxCommand::Chunk { upload, seq: seq as u32, bytes });
            }
            let (id, size, codec, chunks) = (prepared.id, prepared.size, prepared.codec, chunks.len() as u32);
            Body::Uploaded { id, size, codec, upload, chunks, stored }
        });
        self.run(message(raw, body));
    }

    async fn blobs(&self) -> Vec<BlobRef> {
        let query = MailboxQuery::Messages {
            folder: folders::INBOX,
            uids: UidSet::range(1, u32::MAX),
            want: Want { summary: false, blob: true },
            changed_since: None,
            limit: 1000,
        };
        let Ok(MailboxReply::Messages { messages, .. }) = ask(&self.replicas, query).await else { panic!() };
        messages.into_iter().map(|m| m.blob.unwrap()).collect()
    }

    /// Moves everything that lies in the shard to an object.
    async fn pack(&mut self, name: &str) {
        let (mut bytes, mut entries) = (vec![7; 11], Vec::new());
        for blob in self.blobs().await {
            let Some((codec, stored)) = self.replicas.stored_body(GROUP, blob.id).unwrap() else { continue };
            let (offset, len) = (bytes.len() as u64, stored.len() as u64);
            entries.push(Placed { id: blob.id, offset, len, codec });
            bytes.extend_from_slice(&stored);
        }
        let announce = BodiesCommand::Announce { volume: "v".into(), object: name.into() };
        let BodiesReceipt::Announced { object } = self.bodies(announce) else { panic!() };
        let (len, count) = (bytes.len() as u64, entries.len() as u64);
        self.shelf.objects.lock().insert(name.into(), bytes);
        let moved = BodiesCommand::Moved { object, bytes: len, entries, from: vec![], last: true };
        assert_eq!(self.bodies(moved), BodiesReceipt::Moved { bodies: count });
    }

    async fn read(&self, blob: &BlobRef, range: Range<u64>) -> Result<Option<Vec<u8>>> {
        let Some(stream) = self.replicas.body(GROUP, blob, range).await? else { return Ok(None) };
        let pieces: Vec<Bytes> = stream.try_collect().await?;
        assert!(pieces.iter().all(|p| !p.is_empty() && p.len() <= 256 * 1024));
        Ok(Some(pieces.concat()))
    }

    async fn found(&self, expr: SearchExpr) -> Result<String> {
        let query = MailboxQuery::Search { folder: folders::INBOX, within: None, expr };
        match ask(&self.replicas, query).await? {
            MailboxReply::Found { uids, .. } => Ok(uids.to_string()),
            other => panic!("{other:?}"),
        }
    }
}

fn noise(len: usize) -> Vec<u8> {
    let mut state = 88172645463325252u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..len).map(|_| next()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn moved_bodies_are_read_as_before_and_wrong_ones_are_refused() {
    let mut rig = Rig::new();
    let head = b"Subject: x\r\n\r\n";
    let raws: Vec<Bytes> = vec![
        mail(1),
        [&head[..], b"tiny"].concat().into(),
        [&head[..], &noise(700_000)].concat().into(),
        [&head[..], &noise(3_900_000), &[b'a'; 5_000_000][..], &noise(50_000)].concat().into(),
    ];
    raws.iter().for_each(|raw| rig.add(raw));
    let before = rig.blobs().await;
    rig.pack("p/1").await;
    // By references of before and of now, but not without knowing the volume.
    let now = rig.blobs().await;
    assert!(now.iter().all(|b| matches!(b.place, Place::Object { .. })));
    assert!(matches!(rig.read(&before[0], 0..5).await, Err(Error::Unavailable(_))));
    rig.replicas.set_volumes(rig.shelf.clone());
    for (raw, blob) in raws.iter().zip(&before).chain(raws.iter().zip(&now)) {
        let len = blob.size;
        for (from, to) in [(0, len), (0, 1), (len - 1, len), (len / 2, len / 2 + 70_000), (5, 5), (0, u64::MAX)] {
            let want = &raw[from.min(len) as usize..to.min(len) as usize];
            assert!(rig.read(blob, from..to).await.unwrap().unwrap() == want, "{len} bytes, {from}..{to}");
        }
    }
    // An outage is an outage; other bytes are an error, never other mail; a lost object is no body.
    *rig.shelf.out.lock() = true;
    assert!(matches!(rig.read(&now[0], 0..5).await, Err(Error::Unavailable(_))));
    *rig.shelf.out.lock() = false;
    for (blob, range) in [(&now[1], 0..1), (&now[2], 0..u64::MAX), (&now[3], 0..u64::MAX)] {
        let Place::Object { offset, len, .. } = blob.place else { panic!() };
        let at = (offset + len - 3) as usize;
        rig.shelf.objects.lock().get_mut("p/1").unwrap()[at] ^= 1;
        assert!(matches!(rig.read(blob, range.clone()).await, Err(Error::Internal(_))), "{range:?}");
        rig.shelf.objects.lock().get_mut("p/1").unwrap()[at] ^= 1;
        assert!(rig.read(blob, range).await.unwrap().is_some());
    }
    rig.shelf.objects.lock().clear();
    assert_eq!(rig.read(&now[0], 0..5).await, Ok(None));
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_look_into_moved_bodies() {
    let mut rig = Rig::new();
    rig.replicas.doubt_indexes();
    (1..=40).for_each(|n| rig.add(&mail(n)));
    rig.pack("p/1").await;
    rig.replicas.set_volumes(rig.shelf.clone());
    (41..=43).for_each(|n| rig.add(&mail(n)));
    let body = |text: &str| SearchExpr::Body(text.into());
    assert_eq!(rig.found(body("DULL boy")).await.unwrap(), "1:43");
    let reads = *rig.shelf.reads.lock();
    assert_eq!(reads, 40, "each is read once");
    assert_eq!(rig.found(SearchExpr::Text("number5".into())).await.unwrap(), "5");
    // What is found in one condition decides whether the next is asked.
    let both = SearchExpr::And(vec![body("dull"), SearchExpr::Not(Box::new(body("number7"))), body("jack a")]);
    assert_eq!(rig.found(both).await.unwrap(), "1:43");
    let header = |text: &str| SearchExpr::Header { name: "x-day".into(), text: text.into() };
    assert_eq!(rig.found(header("NUMBER42")).await.unwrap(), "42");
    assert_eq!(rig.found(header("number8")).await.unwrap(), "8");
    *rig.shelf.out.lock() = true;
    assert!(matches!(rig.found(body("dull")).await, Err(Error::Unavailable(_))));
}
