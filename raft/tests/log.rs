//! The log engines: both do the same, and RocksDB keeps a prefix whatever is torn off its end.

mod common;

use bytes::Bytes;
use common::copy_dir;
use proptest::prelude::*;
use std::io;
use std::path::Path;
use std::sync::mpsc;
use zcluster_raft::log::{LogState, MemoryLog, Op, RocksLog, RocksOptions, Vote};
use zcluster_raft::{Entry, EntryKind, Fatal, Fence, FenceState, LogEngine, LogId};

fn open(dir: &Path) -> RocksLog {
    // A tiny cache, so that reads reach the database.
    let options = RocksOptions { cache_bytes: 2000, write_buffer_bytes: 64 << 10, ..RocksOptions::default() };
    RocksLog::open(dir, options, Fatal::new()).unwrap()
}

fn entry(term: u64, index: u64, len: usize) -> Entry {
    let body = vec![(index % 251) as u8; len];
    let kind = match index % 7 {
        0 => EntryKind::Blank,
        1 => EntryKind::Membership(body.into()),
        _ => EntryKind::Normal(body.into()),
    };
    Entry { id: LogId { term, index }, kind }
}

fn wait(log: &dyn LogEngine, group: u32, op: Op) -> io::Result<()> {
    let (tx, rx) = mpsc::channel();
    log.submit(group, op, Some(Box::new(move |r| tx.send(r).unwrap())));
    rx.recv().unwrap()
}

fn same(a: &[Entry], b: &[Entry]) -> bool {
    format!("{a:?}") == format!("{b:?}")
}

/// Everything in a group's log, read in small steps.
fn all(log: &dyn LogEngine, group: u32) -> Vec<Entry> {
    let LogState { purged, last, .. } = log.state(group);
    let mut next = purged.map_or(0, |p| p.index + 1);
    let end = last.map_or(0, |l| l.index + 1);
    let mut out = Vec::new();
    while next < end {
        let part = log.read(group, next, end, 500).unwrap();
        assert!(!part.is_empty(), "entry {next} of group {group} is missing");
        next += part.len() as u64;
        out.extend(part);
    }
    out
}

#[derive(Clone, Debug)]
enum Step {
    Vote(u64),
    Append(u8, usize),
    Truncate(u8),
    Purge(u8),
    Jump(u8),
    Commit(u8),
    Delete,
    Sync,
    Reopen,
    Read(u8, u8),
}

fn step() -> impl Strategy<Value = (u32, Step)> {
    let step = prop_oneof![
        2 => (0u64..9).prop_map(Step::Vote),
        8 => (1u8..8, 0usize..600).prop_map(|(n, len)| Step::Append(n, len)),
        2 => any::<u8>().prop_map(Step::Truncate),
        2 => any::<u8>().prop_map(Step::Purge),
        1 => (1u8..20).prop_map(Step::Jump),
        2 => any::<u8>().prop_map(Step::Commit),
        1 => Just(Step::Delete),
        2 => Just(Step::Sync),
        1 => Just(Step::Reopen),
        4 => (any::<u8>(), 1u8..20).prop_map(|(at, n)| Step::Read(at, n)),
    ];
    (0u32..3, step)
}

/// Turns a step into an operation that makes sense for a group as it is.
fn operation(log: &MemoryLog, group: u32, step: &Step, term: u64) -> Option<Op> {
    let state = log.state(group);
    let end = state.last.map_or(0, |l| l.index + 1);
    let first = state.purged.map_or(0, |p| p.index + 1);
    let pick = |n: u8| {
        let at = first + u64::from(n) % (end - first).max(1);
        log.read(group, at, at + 1, 1).unwrap().first().map(|e| e.id)
    };
    Some(match step {
        Step::Vote(t) => Op::Vote(Vote { term: *t, node: t % 3, committed: t % 2 == 0 }),
        Step::Append(n, len) => Op::Append((end..end + u64::from(*n)).map(|i| entry(term, i, *len)).collect()),
        Step::Truncate(n) => Op::TruncateAfter(Some(pick(*n)?)),
        Step::Purge(n) => Op::Purge(pick(*n)?),
        Step::Jump(n) => Op::Purge(LogId { term, index: end + u64::from(*n) }),
        Step::Commit(n) => Op::Committed(pick(*n)?),
        Step::Delete => Op::Delete { left: state.left.max(state.last) },
        Step::Sync | Step::Reopen | Step::Read(..) => return None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn both_engines_do_the_same(steps in prop::collection::vec(step(), 1..120)) {
        let dir = tempfile::tempdir().unwrap();
        let memory = MemoryLog::new();
        let mut rocks = open(dir.path());
        for (n, (group, step)) in steps.iter().enumerate() {
            let (group, state) = (*group, memory.state(*group));
            match step {
                Step::Sync => wait(&rocks, group, Op::Vote(Vote { term: 1, node: 1, committed: false }))
                    .and_then(|()| wait(&memory, group, Op::Vote(Vote { term: 1, node: 1, committed: false })))
                    .unwrap(),
                Step::Reopen => {
                    rocks.close().unwrap();
                    drop(rocks);
                    rocks = open(dir.path());
                }
                Step::Read(at, len) => {
                    let first = state.purged.map_or(0, |p| p.index + 1);
                    let from = first + u64::from(*at) % (state.last.map_or(0, |l| l.index + 1) - first + 1);
                    let (a, b) = (
                        memory.read(group, from, from + u64::from(*len), 700).unwrap(),
                        rocks.read(group, from, from + u64::from(*len), 700).unwrap(),
                    );
                    prop_assert!(same(&a, &b), "{:?} != {:?}", a, b);
                }
                _ => if let Some(op) = operation(&memory, group, step, n as u64) {
                    memory.submit(group, op.clone(), None);
                    rocks.submit(group, op, None);
                }
            }
            // A commit mark may be behind what was truncated: both then say what they like.
            let plain = |s: LogState| LogState { committed: None, ..s };
            prop_assert_eq!(plain(memory.state(group)), plain(rocks.state(group)));
        }
        rocks.close().unwrap();
        drop(rocks);
        let rocks = open(dir.path());
        for group in 0..3 {
            prop_assert_eq!(memory.state(group).vote, rocks.state(group).vote);
            prop_assert!(same(&all(&memory, group), &all(&rocks, group)));
        }
    }
}

#[test]
fn entries_are_readable_before_they_are_durable() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    for index in 0..200 {
        log.submit(1, Op::Append(vec![entry(1, index, 100)]), None);
        assert!(log.read_cached(1, index, index + 1, 1).is_some_and(|e| e.len() == 1));
    }
    assert_eq!(all(&log, 1).len(), 200);
    wait(&log, 1, Op::Vote(Vote { term: 1, node: 1, committed: true })).unwrap();
    // The cache is bounded once all is synced; the rest is on disk.
    wait(&log, 1, Op::Vote(Vote { term: 1, node: 1, committed: true })).unwrap();
    assert!(log.read_cached(1, 0, 1, 1).is_none());
    assert_eq!(all(&log, 1).len(), 200);
    assert!(log.read(1, 200, 300, 1000).unwrap().is_empty());
}

#[test]
fn callbacks_come_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let (tx, rx) = mpsc::channel();
    for n in 0..1000u64 {
        let tx = tx.clone();
        let op = Op::Append(vec![entry(1, n / 4, 50)]);
        log.submit((n % 4) as u32, op, Some(Box::new(move |r| tx.send((n, r.is_ok())).unwrap())));
    }
    for n in 0..1000 {
        assert_eq!(rx.recv().unwrap(), (n, true));
    }
}

#[test]
fn a_torn_wal_keeps_a_prefix() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    wait(&log, 1, Op::Vote(Vote { term: 1, node: 1, committed: true })).unwrap();
    // How long the WAL was when each entry was acknowledged.
    let mut acknowledged = Vec::new();
    for index in 0..40 {
        wait(&log, 1, Op::Append(vec![entry(1, index, 30 + 17 * index as usize)])).unwrap();
        acknowledged.push((wal(dir.path()).1, index));
    }
    let sequence = log.sequence();
    let (name, len) = wal(dir.path());
    for cut in (0..=len).rev().step_by(131).chain(0..8) {
        let copy = tempfile::tempdir().unwrap();
        copy_dir(dir.path(), copy.path());
        let file = std::fs::OpenOptions::new().write(true).open(copy.path().join(&name)).unwrap();
        file.set_len(cut).unwrap();
        let log = open(copy.path());
        let entries = all(&log, 1);
        for (n, e) in entries.iter().enumerate() {
            assert!(same(std::slice::from_ref(e), &[entry(1, n as u64, 30 + 17 * n)]));
        }
        let must = acknowledged.iter().filter(|(at, _)| *at <= cut).count();
        assert!(entries.len() >= must, "cut at {cut}: {} of {must} entries", entries.len());
        // What is gone shows in the sequence number, so the fence would tell.
        assert!(log.sequence() <= sequence);
        assert_eq!(log.sequence() == sequence, entries.len() == 40, "cut at {cut}");
        // And the log goes on from there.
        wait(&log, 1, Op::Append(vec![entry(2, entries.len() as u64, 5)])).unwrap();
    }
}

fn wal(dir: &Path) -> (String, u64) {
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|f| f.unwrap())
        .filter(|f| f.file_name().to_string_lossy().ends_with(".log"))
        .map(|f| (f.file_name().into_string().unwrap(), f.metadata().unwrap().len()))
        .collect();
    files.sort();
    files.pop().unwrap()
}

#[test]
fn the_fence_follows_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("FENCE");
    let old = tempfile::tempdir().unwrap();
    let log_dir = dir.path().join("log");
    let log = open(&log_dir);
    let fence = Fence::open(&path).unwrap();
    assert_eq!(fence.check(log.sequence()), FenceState::Ok);
    log.keep_fence(fence).unwrap();
    wait(&log, 1, Op::Append(vec![entry(1, 0, 10)])).unwrap();
    copy_dir(&log_dir, old.path());
    wait(&log, 1, Op::Append(vec![entry(1, 1, 10)])).unwrap();
    log.close().unwrap();
    drop(log);
    let log = open(&log_dir);
    assert_eq!(Fence::open(&path).unwrap().check(log.sequence()), FenceState::Ok);
    // Yesterday's backup in place of the log.
    let log = open(old.path());
    assert!(matches!(Fence::open(&path).unwrap().check(log.sequence()), FenceState::LostData { .. }));
}

#[test]
fn a_closed_log_takes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    wait(&log, 1, Op::Append(vec![entry(1, 0, 10)])).unwrap();
    log.close().unwrap();
    assert!(wait(&log, 1, Op::Append(vec![entry(1, 1, 10)])).is_err());
    assert_eq!(all(&log, 1).len(), 1);
}

#[test]
fn a_hole_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    wait(&log, 1, Op::Append(vec![entry(1, 0, 10)])).unwrap();
    assert!(wait(&log, 1, Op::Append(vec![entry(1, 2, 10)])).is_err());
    assert!(log.fatal().reason().is_some());
}

#[test]
fn bodies_share_memory_with_what_was_given() {
    let log = MemoryLog::new();
    let body = Bytes::from(vec![1; 1000]);
    let e = Entry { id: LogId { term: 1, index: 0 }, kind: EntryKind::Normal(body.clone()) };
    log.submit(1, Op::Append(vec![e]), None);
    let back = log.read(1, 0, 1, 1).unwrap();
    let EntryKind::Normal(b) = &back[0].kind else { panic!() };
    assert_eq!(b.as_ptr(), body.as_ptr());
}
