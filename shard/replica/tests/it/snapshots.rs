//! Snapshots: whole, in pieces, damaged, cut short, and interrupted at every point.

use crate::support::*;
use bytes::Bytes;
use std::sync::Arc;
use zcluster_raft::{Applied, Fatal, SnapshotSource, StateMachine};
use zcluster_replica::{MemoryEngine, Replicas};

fn memory(engine: &Arc<MemoryEngine>) -> Arc<Replicas> {
    Replicas::with_engine(engine.clone(), Fatal::new()).unwrap()
}

fn chunks(source: &dyn SnapshotSource) -> Vec<Bytes> {
    let mut all = Vec::new();
    while let Some(chunk) = source.chunk(all.len() as u64).unwrap() {
        assert!(chunk.len() <= 1 << 20);
        // The last one may be asked for again.
        assert_eq!(source.chunk(all.len() as u64).unwrap().as_ref(), Some(&chunk));
        all.push(chunk);
    }
    all
}

fn put_all(machine: &mut Box<dyn StateMachine>, manifest: Bytes, chunks: &[Bytes], applied: Applied) {
    let mut sink = machine.begin_install(manifest).unwrap();
    for (n, chunk) in chunks.iter().enumerate() {
        sink.put(n as u64, chunk.clone()).unwrap();
    }
    machine.finish_install(sink, applied).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_from_a_snapshot_is_the_same_one() {
    let tmp = tempfile::tempdir().unwrap();
    let log = log(2500);
    let from = rocks(&tmp.path().join("a"));
    let mut sender = from.machine(GROUP).unwrap();
    apply(&mut sender, &log[..2400]);
    let source = sender.snapshot().unwrap();
    let hash = from.state_hash(GROUP).unwrap();
    // The view stays while the group goes on.
    apply(&mut sender, &log[2400..]);
    let chunks = chunks(source.as_ref());
    assert!(chunks.len() > 2, "{} chunks", chunks.len());
    assert_eq!(source.applied().last.unwrap().index, 2399);

    let dir = tmp.path().join("b");
    let to = rocks(&dir);
    let mut receiver = to.machine(GROUP).unwrap();
    // The receiver has something of its own, which the snapshot replaces.
    apply(&mut receiver, &log[..100]);
    let mut followed = to.subscribe(GROUP, BOX);
    put_all(&mut receiver, source.manifest(), &chunks, source.applied());
    assert_eq!(to.state_hash(GROUP).unwrap(), hash);
    assert_eq!(receiver.durable_index().unwrap(), Some(2399));
    assert!(followed.changed().await > zcluster_api::ModSeq(100), "followers hear of the jump");
    apply(&mut receiver, &log[2400..]);
    assert_eq!(to.state_hash(GROUP).unwrap(), from.state_hash(GROUP).unwrap());

    // The flip was flushed: a power cut right now keeps the snapshot.
    power_cut(&dir, &tmp.path().join("c"));
    let back = rocks(&tmp.path().join("c"));
    assert_eq!(back.machine(GROUP).unwrap().applied().unwrap(), source.applied());
    assert_eq!(back.state_hash(GROUP).unwrap(), hash);
}

#[tokio::test]
async fn a_crash_before_the_flip_leaves_the_old_state_and_no_junk() {
    let log = log(400);
    let from = memory(&MemoryEngine::new());
    let mut sender = from.machine(GROUP).unwrap();
    apply(&mut sender, &log);
    let source = sender.snapshot().unwrap();
    let chunks = chunks(source.as_ref());

    for upto in 0..=chunks.len() {
        let engine = MemoryEngine::new();
        let to = memory(&engine);
        let mut receiver = to.machine(GROUP).unwrap();
        apply(&mut receiver, &log[..50]);
        let old = to.state_hash(GROUP).unwrap();
        to.flush().unwrap();
        let rows = engine.as_ref().rows();
        let mut sink = receiver.begin_install(source.manifest()).unwrap();
        for (n, chunk) in chunks[..upto].iter().enumerate() {
            sink.put(n as u64, chunk.clone()).unwrap();
        }
        // What came so far reaches the disk, the flip does not.
        to.flush().unwrap();
        std::mem::forget(sink);
        engine.crash();
        let back = memory(&engine);
        assert_eq!(back.state_hash(GROUP).unwrap(), old);
        assert_eq!(engine.rows(), rows, "junk was removed at the start");
        // And a second try goes through.
        put_all(&mut back.machine(GROUP).unwrap(), source.manifest(), &chunks, source.applied());
        assert_eq!(back.state_hash(GROUP).unwrap(), from.state_hash(GROUP).unwrap());
    }
}

#[tokio::test]
async fn damaged_short_and_foreign_snapshots_are_refused() {
    let engine = MemoryEngine::new();
    let from = memory(&engine);
    let mut sender = from.machine(GROUP).unwrap();
    apply(&mut sender, &log(200));
    let source = sender.snapshot().unwrap();
    let chunks = chunks(source.as_ref());
    let target = MemoryEngine::new();
    let to = memory(&target);
    let mut receiver = to.machine(GROUP).unwrap();

    let mut bad = chunks[0].to_vec();
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    assert!(receiver.begin_install(source.manifest()).unwrap().put(0, bad.into()).is_err());
    assert!(receiver.begin_install(source.manifest()).unwrap().put(1, chunks[0].clone()).is_err());
    let mut short = receiver.begin_install(source.manifest()).unwrap();
    for (n, chunk) in chunks[..chunks.len() - 1].iter().enumerate() {
        short.put(n as u64, chunk.clone()).unwrap();
    }
    assert!(receiver.finish_install(short, source.applied()).is_err());
    let mut other = to.machine(zcluster_api::GroupId(9)).unwrap();
    assert!(other.begin_install(source.manifest()).is_err());
    // Nothing of all that stayed, and the old state stands.
    assert_eq!(target.rows(), 0);
    assert_eq!(receiver.applied().unwrap(), Applied::default());
}
