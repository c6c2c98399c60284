//! A state machine that keeps all values it was given, with a disk that it flushes now and then.

use bytes::{BufMut, Bytes, BytesMut};
use parking_lot::Mutex;
use std::io;
use std::sync::Arc;
use zcluster_raft::{Applied, Entry, EntryKind, SnapshotSink, SnapshotSource, StateMachine};

/// Entries between two flushes.
const FLUSH_EVERY: usize = 16;
/// Values in a snapshot's chunk.
const CHUNK: usize = 10;

#[derive(Clone, Default)]
struct State {
    applied: Applied,
    values: Vec<Bytes>,
}

#[derive(Default)]
struct Platter {
    live: State,
    flushed: State,
    since: usize,
}

/// What survives a process; clones are the same disk.
#[derive(Clone, Default)]
pub struct Disk(Arc<Mutex<Platter>>);

impl Disk {
    pub fn live(&self) -> Vec<Bytes> {
        self.0.lock().live.values.clone()
    }
    /// The disk after a crash: what was not flushed is gone. The old process keeps a disk of its own.
    pub fn crash(&self) -> Disk {
        let flushed = self.0.lock().flushed.clone();
        Disk(Arc::new(Mutex::new(Platter { live: flushed.clone(), flushed, since: 0 })))
    }
}

pub struct TestMachine(Disk);

impl TestMachine {
    pub fn open(disk: Disk) -> Self {
        Self(disk)
    }
}

impl StateMachine for TestMachine {
    fn applied(&mut self) -> io::Result<Applied> {
        Ok(self.0.0.lock().flushed.applied.clone())
    }

    fn apply(&mut self, entries: Vec<Entry>) -> io::Result<Vec<Bytes>> {
        let mut p = self.0.0.lock();
        let mut replies = Vec::new();
        for entry in entries {
            let next = p.live.applied.last.map_or(0, |l| l.index + 1);
            assert_eq!(entry.id.index, next, "indexes are contiguous");
            p.live.applied.last = Some(entry.id);
            match entry.kind {
                EntryKind::Blank => replies.push(Bytes::new()),
                EntryKind::Membership(m) => {
                    p.live.applied.membership = Some((entry.id, m));
                    replies.push(Bytes::new());
                }
                EntryKind::Normal(value) => {
                    assert!(value != "poison", "poisoned");
                    let mut reply = BytesMut::new();
                    reply.put_u64(entry.id.index);
                    p.live.values.push(value);
                    replies.push(reply.freeze());
                }
            }
            p.since += 1;
        }
        if p.since >= FLUSH_EVERY {
            p.since = 0;
            p.flushed = p.live.clone();
        }
        Ok(replies)
    }

    fn durable_index(&mut self) -> io::Result<Option<u64>> {
        Ok(self.0.0.lock().flushed.applied.last.map(|l| l.index))
    }

    fn request_flush(&mut self) {
        let mut p = self.0.0.lock();
        p.flushed = p.live.clone();
    }

    fn snapshot(&mut self) -> io::Result<Box<dyn SnapshotSource>> {
        Ok(Box::new(View(self.0.0.lock().live.clone())))
    }

    fn begin_install(&mut self, manifest: Bytes) -> io::Result<Box<dyn SnapshotSink>> {
        assert_eq!(manifest, "values");
        Ok(Box::new(Sink(Vec::new())))
    }

    fn finish_install(&mut self, sink: Box<dyn SnapshotSink>, applied: Applied) -> io::Result<()> {
        let sink = sink.as_any().downcast::<Sink>().map_err(|_| io::Error::other("another machine's sink"))?;
        let state = State { applied, values: sink.0 };
        *self.0.0.lock() = Platter { live: state.clone(), flushed: state, since: 0 };
        Ok(())
    }
}

struct View(State);

impl SnapshotSource for View {
    fn applied(&self) -> Applied {
        self.0.applied.clone()
    }
    fn manifest(&self) -> Bytes {
        Bytes::from_static(b"values")
    }
    fn chunk(&self, n: u64) -> io::Result<Option<Bytes>> {
        let Some(values) = self.0.values.chunks(CHUNK).nth(n as usize) else { return Ok(None) };
        let mut out = BytesMut::new();
        for v in values {
            out.put_u32(v.len() as u32);
            out.put_slice(v);
        }
        Ok(Some(out.freeze()))
    }
}

struct Sink(Vec<Bytes>);

impl SnapshotSink for Sink {
    fn put(&mut self, _n: u64, mut chunk: Bytes) -> io::Result<()> {
        while !chunk.is_empty() {
            let len = u32::from_be_bytes(chunk.split_to(4)[..].try_into().unwrap());
            self.0.push(chunk.split_to(len as usize));
        }
        Ok(())
    }
    fn as_any(self: Box<Self>) -> Box<dyn std::any::Any + Send> {
        self
    }
}
