//! Operations, what they lead to, and directories copied from under a living process.

use bytes::Bytes;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use zcluster_raft::log::{LogState, Op, RocksLog, RocksOptions, Vote};
use zcluster_raft::{Entry, EntryKind, Fatal, LogEngine, LogId};
use zcluster_simulation::disk::{NodeDisk, Opened};
use zcluster_simulation::world::{self, Guard, Keep};

/// Groups that the tests write to.
pub const GROUPS: u32 = 3;
/// Bytes of entries in one read: small, so that reads go on.
const READ_BYTES: usize = 700;

/// How many cases to run: `default`, or what `PROPTEST_CASES` says.
pub fn cases(default: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok());
    ProptestConfig { cases: asked.unwrap_or(default), failure_persistence: None, ..ProptestConfig::default() }
}

/// Copies the files of a database that may be open: what a process that is killed now leaves.
pub fn copy_dir(from: &Path, to: &Path) {
    // What is copied while the engine's threads write and remove files is no state that the disk ever had.
    loop {
        let before = files(from);
        let _ = std::fs::remove_dir_all(to);
        std::fs::create_dir_all(to).unwrap();
        for (name, ..) in &before {
            match std::fs::copy(from.join(name), to.join(name)) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                result => drop(result.unwrap()),
            }
        }
        if files(from) == before {
            return;
        }
    }
}

/// Name, length and time of change of all files that a copy needs.
fn files(dir: &Path) -> Vec<(String, u64, (i64, i64))> {
    let mut found = Vec::new();
    for file in std::fs::read_dir(dir).unwrap().map(|f| f.unwrap()) {
        let name = file.file_name().into_string().unwrap();
        // Files that nobody needs any more are removed while the database is open; its own log is not part of it.
        if let Ok(meta) = file.metadata()
            && meta.is_file()
            && name != "LOCK"
            && !name.starts_with("LOG")
        {
            found.push((name, meta.len(), (meta.mtime(), meta.mtime_nsec())));
        }
    }
    found.sort();
    found
}

/// Name and length of the newest write-ahead log.
pub fn newest_wal(dir: &Path) -> (String, u64) {
    let files = std::fs::read_dir(dir).unwrap().map(|f| f.unwrap());
    let logs = files.filter(|f| f.file_name().to_string_lossy().ends_with(".log"));
    logs.map(|f| (f.file_name().into_string().unwrap(), f.metadata().unwrap().len())).max().unwrap()
}

/// Cuts a file.
pub fn cut(path: &Path, len: u64) {
    std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(len).unwrap();
}

/// The real log, with a cache so small that reads reach the database.
pub fn open_rocks(dir: &Path) -> io::Result<RocksLog> {
    let options = RocksOptions { cache_bytes: 2_000, write_buffer_bytes: 64 << 10, ..RocksOptions::default() };
    RocksLog::open(dir, options, Fatal::new())
}

/// Submits and waits on a real log.
pub fn wait(log: &dyn LogEngine, group: u32, op: Op) -> io::Result<()> {
    let (tx, rx) = mpsc::channel();
    log.submit(group, op, Some(Box::new(move |r| tx.send(r).unwrap())));
    rx.recv().unwrap()
}

/// An entry whose content follows from where it stands.
pub fn entry(term: u64, index: u64, len: usize) -> Entry {
    let body = Bytes::from(vec![(index % 251) as u8 ^ term as u8; len]);
    let kind = match index % 7 {
        0 => EntryKind::Blank,
        1 => EntryKind::Membership(body),
        _ => EntryKind::Normal(body),
    };
    Entry { id: LogId { term, index }, kind }
}

/// Everything that a log tells of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contents {
    pub groups: Vec<u32>,
    pub states: BTreeMap<u32, LogState>,
    /// Printed: entries cannot be compared.
    pub entries: BTreeMap<u32, Vec<String>>,
}

impl Contents {
    pub fn of(log: &dyn LogEngine) -> io::Result<Self> {
        let mut all = Contents { groups: log.groups(), ..Contents::default() };
        for group in 0..GROUPS {
            all.states.insert(group, log.state(group));
            let entries = read_all(log, group)?;
            all.entries.insert(group, entries.iter().map(|e| format!("{e:?}")).collect());
        }
        Ok(all)
    }
    /// Without what a crash may take along: marks are hints, and groups of which nothing else is kept are none.
    pub fn without_hints(mut self) -> Self {
        self.states.values_mut().for_each(|s| s.committed = None);
        let states = &self.states;
        self.groups.retain(|g| states.get(g).is_some_and(|s| *s != LogState::default()));
        self
    }
}

fn read_all(log: &dyn LogEngine, group: u32) -> io::Result<Vec<Entry>> {
    let LogState { purged, last, .. } = log.state(group);
    let mut next = purged.map_or(0, |p| p.index + 1);
    let end = last.map_or(0, |l| l.index + 1);
    let mut out = Vec::new();
    while next < end {
        let part = log.read(group, next, end, READ_BYTES)?;
        if part.is_empty() {
            return Err(io::Error::other(format!("entry {next} of group {group} is not there")));
        }
        next += part.len() as u64;
        out.extend(part);
    }
    Ok(out)
}

/// What to do to one group, before it is known how the group will stand.
#[derive(Clone, Debug)]
pub enum Act {
    Vote(u64),
    Append(u8, usize),
    Truncate(u8),
    Purge(u8),
    /// A cut behind the end, as after a snapshot.
    Jump(u8),
    Commit(u8),
    Delete,
}

pub fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (0u64..9).prop_map(Act::Vote),
        8 => (1u8..8, 0usize..600).prop_map(|(n, len)| Act::Append(n, len)),
        2 => any::<u8>().prop_map(Act::Truncate),
        2 => any::<u8>().prop_map(Act::Purge),
        1 => (1u8..20).prop_map(Act::Jump),
        3 => any::<u8>().prop_map(Act::Commit),
        1 => Just(Act::Delete),
    ]
}

/// Turns an act into an operation that makes sense for the group as it is; `None` when there is none. `term` rises
/// with every operation.
pub fn operation(log: &dyn LogEngine, group: u32, act: &Act, term: u64) -> Option<Op> {
    let state = log.state(group);
    let end = state.last.map_or(0, |l| l.index + 1);
    let first = state.purged.map_or(0, |p| p.index + 1);
    let pick = |n: u8| {
        let at = first + u64::from(n) % (end - first).max(1);
        log.read(group, at, at + 1, 1).unwrap().first().map(|e| e.id)
    };
    Some(match act {
        Act::Vote(t) => Op::Vote(Vote { term: *t, node: t % 3, committed: t % 2 == 0 }),
        Act::Append(n, len) => Op::Append((end..end + u64::from(*n)).map(|i| entry(term, i, *len)).collect()),
        Act::Truncate(n) => Op::TruncateAfter(Some(pick(*n)?)),
        Act::Purge(n) => Op::Purge(pick(*n)?),
        Act::Jump(n) => Op::Purge(LogId { term, index: end + u64::from(*n) }),
        Act::Commit(n) => Op::Committed(pick(*n)?),
        Act::Delete => Op::Delete { left: state.left.max(state.last) },
    })
}

/// A simulated disk, in a world of its own on this thread.
pub struct Simulated {
    pub disk: Arc<NodeDisk>,
    pub opened: Opened,
    pub guard: Guard,
}

impl Simulated {
    pub fn new(seed: u64) -> Self {
        let guard = world::enter(seed, Keep::default());
        zcluster_simulation::audit::begin();
        zcluster_simulation::audit::look_away();
        world::start_node(1);
        let disk = NodeDisk::new(1);
        let opened = open_simulated(&disk);
        Simulated { disk, opened, guard }
    }
    /// The next process.
    pub fn reopen(&mut self) {
        self.opened = open_simulated(&self.disk);
    }
    /// Submits and lets time go on until it is durable.
    pub fn wait(&self, group: u32, op: Op) -> io::Result<()> {
        let (tx, rx) = mpsc::channel();
        let done = Arc::new(AtomicBool::new(false));
        let seen = done.clone();
        let told = Box::new(move |r| {
            seen.store(true, Ordering::Relaxed);
            tx.send(r).unwrap();
        });
        self.opened.log.submit(group, op, Some(told));
        while !done.load(Ordering::Relaxed) {
            assert!(!world::is_over(), "{:?}", world::violations());
            world::run_until(world::now() + 10_000_000);
        }
        rx.recv().unwrap()
    }
}

fn open_simulated(disk: &Arc<NodeDisk>) -> Opened {
    let opened = disk.open(Fatal::new()).unwrap();
    assert_eq!(opened.lost, None);
    opened
}
