//! `kill -9` under load. The child is this very test binary: told to by its environment, it writes to a log and a state
//! engine as fast as it can and prints what was acknowledged. The parent kills it, opens what is left, and wants to see
//! all of that.

use crate::support::{entry, open_rocks};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use zcluster_raft::log::{Op, Vote};
use zcluster_raft::{Fence, FenceState, LogEngine, LogId};
use zcluster_replica::engine::{Batch, Column, Reader};
use zcluster_replica::{RocksConfig, RocksEngine, StateEngine};
use zcluster_simulation::world::Random;

/// Tells the child where to write.
const DIR: &str = "ZCLUSTER_BRIDGE_CHILD";
/// What the child prints begins with this: the test harness prints too.
const MARK: &str = "@";
/// Groups that the child writes to, each from a thread of its own.
const GROUPS: u32 = 3;
/// How often the child is started and killed on the same directory.
const ROUNDS: u64 = 4;
/// Batches between two flushes of the state.
const FLUSH_EVERY: u64 = 20;

/// Prints one whole line at once.
fn tell(what: &str, group: u32, n: u64) {
    // The parent is gone or has killed us: nothing is left to be told.
    let _ = std::io::stdout().lock().write_all(format!("{MARK} {what} {group} {n}\n").as_bytes());
}

/// Not a test of its own: the child's part.
#[test]
fn child() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let dir = Path::new(&dir);
    let log = open_rocks(&dir.join("log")).unwrap();
    log.keep_fence(Fence::open(&dir.join("FENCE")).unwrap()).unwrap();
    let state = RocksEngine::open(&dir.join("state"), &RocksConfig::default()).unwrap();
    std::thread::scope(|scope| {
        let log = &log;
        for group in 0..GROUPS {
            scope.spawn(move || write_log(log, group));
        }
        scope.spawn(move || write_state(state.as_ref()));
    });
}

fn submit(log: &dyn LogEngine, group: u32, op: Op, what: &'static str, n: u64) {
    log.submit(group, op, Some(Box::new(move |r| r.map(|()| tell(what, group, n)).unwrap())));
}

fn write_log(log: &dyn LogEngine, group: u32) {
    let mut chance = Random::new(u64::from(std::process::id()), u64::from(group));
    let mut next = log.state(group).last.map_or(0, |l| l.index + 1);
    let mut term = log.state(group).vote.map_or(0, |v| v.term);
    loop {
        match chance.below(12) {
            0 => {
                term += 1;
                submit(log, group, Op::Vote(Vote { term, node: 1, committed: true }), "vote", term);
            }
            1 if next > 50 => {
                let upto = LogId { term: 1, index: next - 50 };
                submit(log, group, Op::Purge(upto), "purge", upto.index);
            }
            _ => {
                let n = chance.range(1, 5);
                let entries = (next..next + n).map(|i| entry(1, i, (i % 400) as usize)).collect();
                next += n;
                submit(log, group, Op::Append(entries), "entry", next - 1);
            }
        }
        // What waits stays within bounds.
        if chance.below(40) == 0 {
            std::thread::sleep(Duration::from_millis(3));
        }
    }
}

fn state_keys() -> [(Column, Vec<u8>); 2] {
    [(Column::State, b"last".to_vec()), (Column::Body, b"last".to_vec())]
}

fn last_batch(state: &dyn Reader) -> [u64; 2] {
    state_keys().map(|(column, key)| {
        let value = state.get(column, &key).unwrap();
        value.map_or(0, |v| u64::from_be_bytes(v.try_into().unwrap()))
    })
}

fn write_state(state: &dyn StateEngine) {
    let mut n = last_batch(state)[0];
    loop {
        n += 1;
        let mut batch = Batch::new();
        for (column, key) in state_keys() {
            batch.put(column, key, n.to_be_bytes().to_vec());
        }
        state.write(batch).unwrap();
        if n.is_multiple_of(FLUSH_EVERY) {
            state.flush().unwrap();
            tell("state", 0, n);
        }
    }
}

fn start(dir: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["kill::child", "--exact", "--nocapture", "--test-threads=1"]);
    command.env(DIR, dir).stdout(Stdio::piped()).spawn().unwrap()
}

/// Lets the child run for some time after its first acknowledgement, kills it, and returns the highest number that was
/// acknowledged of each kind and group.
fn run_and_kill(dir: &Path, time: Duration, acknowledged: &mut BTreeMap<(String, u32), u64>) {
    let mut child = start(dir);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut first = true;
    std::thread::scope(|scope| {
        while let Some(Ok(line)) = lines.next() {
            // A line that the kill cut short was never told; one without its end is not taken for another number.
            let words: Vec<&str> = line.split(' ').collect();
            let [MARK, what, group, n] = words[..] else { continue };
            if std::mem::take(&mut first) {
                let id = child.id();
                scope.spawn(move || {
                    std::thread::sleep(time);
                    assert!(Command::new("kill").args(["-9", &id.to_string()]).status().unwrap().success());
                });
            }
            let highest = acknowledged.entry((what.to_string(), group.parse().unwrap())).or_default();
            *highest = (*highest).max(n.parse().unwrap());
        }
    });
    assert!(!child.wait().unwrap().success());
    assert!(!first, "the child wrote nothing");
}

fn check(dir: &Path, acknowledged: &BTreeMap<(String, u32), u64>) {
    let log = open_rocks(&dir.join("log")).unwrap();
    let fence = Fence::open(&dir.join("FENCE")).unwrap();
    assert_eq!(fence.check(log.sequence()), FenceState::Ok);
    let state = RocksEngine::open(&dir.join("state"), &RocksConfig::default()).unwrap();
    for ((what, group), n) in acknowledged {
        let found = log.state(*group);
        match what.as_str() {
            "vote" => assert!(found.vote.unwrap().term >= *n),
            "purge" => assert!(found.purged.unwrap().index >= *n),
            "entry" => {
                let end = found.last.unwrap().index + 1;
                assert!(end > *n, "entry {n} of group {group} is gone, {end} is the end");
                let from = found.purged.map_or(0, |p| p.index + 1);
                let entries = log.read(*group, from, end, usize::MAX).unwrap();
                let expected = (from..end).map(|i| entry(1, i, (i % 400) as usize));
                assert!(entries.iter().map(|e| format!("{e:?}")).eq(expected.map(|e| format!("{e:?}"))));
            }
            "state" => {
                let [rows, bodies] = last_batch(state.as_ref());
                assert!(rows >= *n, "batch {n} was flushed, {rows} is the last");
                assert_eq!(rows, bodies, "a batch was kept in part");
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn a_killed_process_has_kept_what_it_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeMap::new();
    for round in 0..ROUNDS {
        run_and_kill(dir.path(), Duration::from_millis(150 + 350 * round), &mut acknowledged);
        check(dir.path(), &acknowledged);
    }
    // Three kinds for each group, and the state.
    assert_eq!(acknowledged.len() as u32, 3 * GROUPS + 1, "{acknowledged:?}");
}
