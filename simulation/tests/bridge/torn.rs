//! The end of the log database's newest write-ahead log, torn off at every byte. Whatever the cut, the log opens with
//! everything that was acknowledged when the file had that length, and with no more than was there; and if something is
//! gone that the fence knows of, the fence says so, and the node does not vote.
//!
//! `raft/tests/log.rs` (`a_torn_wal_keeps_a_prefix`) cuts a whole log of one group at coarse steps; here are all bytes
//! of the tail, all kinds of operations on several groups in it, and the fence.

use crate::support::{Act, Contents, GROUPS, copy_dir, cut, newest_wal, open_rocks, operation, wait};
use std::path::{Path, PathBuf};
use std::time::Duration;
use zcluster_raft::log::{Op, Vote};
use zcluster_raft::{Fence, FenceState};
use zcluster_simulation::world::Random;

/// How much of the end is torn off byte by byte.
const TAIL: u64 = 4 << 10;
/// Directories that are cut and opened at a time.
const WORKERS: u64 = 2;

/// The log after some operations.
struct Point {
    /// Length of the write-ahead log when the last of them was acknowledged.
    len: u64,
    sequence: u64,
    contents: Contents,
}

struct Written {
    dir: tempfile::TempDir,
    wal: String,
    points: Vec<Point>,
    /// The fence as it stood in the midst of it, and how many points it covers.
    fence: PathBuf,
    fenced: usize,
}

fn act(chance: &mut Random) -> Act {
    match chance.below(10) {
        0..6 => Act::Append(chance.range(1, 3) as u8, chance.below(120) as usize),
        6 => Act::Vote(chance.below(9)),
        7 => Act::Truncate(chance.below(256) as u8),
        8 => Act::Purge(chance.below(256) as u8),
        _ => Act::Commit(chance.below(256) as u8),
    }
}

/// Writes some 8 KiB, with the fence moved on when half of the last 4 KiB are written.
fn write() -> Written {
    let dir = tempfile::tempdir().unwrap();
    let fence = dir.path().join("FENCE");
    let log = open_rocks(dir.path()).unwrap();
    log.keep_fence(Fence::open(&fence).unwrap()).unwrap();
    let mut chance = Random::new(1, 1);
    let mut points = Vec::new();
    let mut fenced = 0;
    let mut term = 0;
    while newest_wal(dir.path()).1 < 2 * TAIL {
        term += 1;
        let group = chance.below(u64::from(GROUPS)) as u32;
        let Some(op) = operation(&log, group, &act(&mut chance), term) else { continue };
        wait(&log, group, op).unwrap();
        let len = newest_wal(dir.path()).1;
        points.push(Point { len, sequence: log.sequence(), contents: Contents::of(&log).unwrap().without_hints() });
        if fenced == 0 && len > 2 * TAIL - TAIL / 2 {
            fenced = points.len();
            let before = std::fs::read(&fence).unwrap();
            while std::fs::read(&fence).unwrap() == before {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
    // Read before the log is closed, which moves the fence to the end.
    let kept = tempfile::tempdir().unwrap();
    copy_dir(dir.path(), kept.path());
    let (wal, _) = newest_wal(kept.path());
    let fence = kept.path().join("FENCE");
    Written { dir: kept, wal, points, fence, fenced }
}

/// Opens a copy that ends at `at` and holds it against what was written.
fn check(written: &Written, copy: &Path, at: u64) {
    let log = open_rocks(copy).unwrap_or_else(|e| panic!("cut at {at}: {e}"));
    let found = Contents::of(&log).unwrap().without_hints();
    let must = written.points.iter().filter(|p| p.len <= at).count();
    // Points that differ in hints only look alike: the sequence number tells them apart.
    let sequence = log.sequence();
    let there = written.points.iter().filter(|p| p.sequence <= sequence).count();
    assert!(there >= must, "cut at {at}: {there} of {must} acknowledged operations");
    let expected = there.checked_sub(1).map(|n| &written.points[n].contents);
    assert_eq!(found, expected.cloned().unwrap_or_else(|| found_nothing(&found)), "cut at {at}");
    let fence = Fence::open(&written.fence).unwrap();
    let lost = matches!(fence.check(sequence), FenceState::LostData { .. });
    assert_eq!(lost, there < written.fenced, "cut at {at}: {there} operations, {} fenced", written.fenced);
    // And it goes on from there.
    wait(&log, 0, Op::Vote(Vote { term: 99, node: 1, committed: false })).unwrap();
}

fn found_nothing(found: &Contents) -> Contents {
    let mut nothing = Contents::default();
    (0..GROUPS).for_each(|g| {
        nothing.states.insert(g, Default::default());
        nothing.entries.insert(g, Vec::new());
    });
    assert_eq!(found.groups, Vec::<u32>::new());
    nothing
}

#[test]
fn torn_at_every_byte_of_the_tail() {
    let written = write();
    let len = written.points.last().unwrap().len;
    let cuts: Vec<u64> = (len - TAIL..=len).chain([0, 1, 7, 100]).collect();
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (written, cuts) = (&written, &cuts);
            scope.spawn(move || {
                for at in cuts.iter().skip(worker as usize).step_by(WORKERS as usize) {
                    let copy = tempfile::tempdir().unwrap();
                    copy_dir(written.dir.path(), copy.path());
                    cut(&copy.path().join(&written.wal), *at);
                    check(written, copy.path(), *at);
                }
            });
        }
    });
}
