use super::*;
use zcluster_runtime::planted::{Bug, plant};

/// Appends until power fails at a moment drawn from the seed; says how many were acknowledged, and how many are there.
fn appends_and_crash(seed: u64, torn: bool) -> (Rig, u64, u64) {
    let mut rig = Rig::new(seed);
    let mut chance = Random::new(seed, 99);
    let told = Told::default();
    let opened = rig.open();
    let mut n = 0;
    for _ in 0..chance.below(12) {
        for _ in 0..chance.range(1, 4) {
            told.submit(&opened.log, n, append(n));
            n += 1;
        }
        rig.run_us(chance.below(900));
    }
    rig.disk.crash(torn);
    let acknowledged = told.ok();
    let opened = rig.open();
    // A process that does something has told all that it found.
    opened.log.submit(GROUP, Op::Vote(vote(1)), None);
    rig.run_ms(50);
    assert_eq!(told.ok(), acknowledged, "a process that is gone tells nothing");
    let there = end_of(&opened.log);
    assert_eq!(opened.log.read(GROUP, 0, there, usize::MAX).unwrap().len() as u64, there);
    (rig, acknowledged, there)
}

#[test]
fn acknowledged_entries_survive_and_a_prefix_of_the_others_may() {
    let (mut kept, mut lost) = (0, 0);
    for seed in 0..200 {
        let (rig, acknowledged, there) = appends_and_crash(seed, false);
        assert!(there >= acknowledged, "seed {seed}: {there} of {acknowledged}");
        kept += rig.counted("disk.unsynced_kept");
        lost += rig.counted("disk.unsynced_lost");
        assert!(rig.guard.summary().violations.is_empty());
    }
    assert!(kept > 10 && lost > 10, "{kept} {lost}");
}

#[test]
fn a_torn_record_is_lost_whole() {
    let mut torn = 0;
    for seed in 0..100 {
        let (rig, acknowledged, there) = appends_and_crash(seed, true);
        assert_eq!(there, acknowledged);
        torn += rig.counted("disk.torn_record");
    }
    assert!(torn > 10, "{torn}");
}

#[test]
fn callbacks_come_in_order_and_one_sync_serves_many() {
    let mut rig = Rig::new(1);
    let log = rig.open().log;
    let told = Told::default();
    (0..100).for_each(|n| told.submit(&log, n, append(n)));
    assert_eq!(end_of(&log), 100, "visible at once");
    assert!(told.all().is_empty(), "durable later");
    rig.run_ms(20);
    assert_eq!(told.all(), (0..100).map(|n| (n, true)).collect::<Vec<_>>());
    assert_eq!(rig.disk.with(|d| d.log.synced()), 1);
}

#[test]
fn the_commit_mark_rides_along_and_is_never_synced_alone() {
    let mut rig = Rig::new(1);
    let log = rig.open().log;
    log.submit(GROUP, append(0), None);
    rig.run_ms(10);
    let told = Told::default();
    told.submit(&log, 0, Op::Committed(id(1, 0)));
    assert_eq!(told.ok(), 1, "it waits for nothing");
    rig.run_ms(10);
    assert_eq!(log.state(GROUP).committed, Some(id(1, 0)));
    let log = rig.open().log;
    assert_eq!(log.state(GROUP).committed, None);
    log.submit(GROUP, Op::Committed(id(1, 0)), None);
    log.submit(GROUP, append(1), None);
    rig.run_ms(10);
    assert_eq!(rig.open().log.state(GROUP).committed, Some(id(1, 0)));
}

#[test]
fn closing_makes_everything_durable() {
    let mut rig = Rig::new(1);
    let log = rig.open().log;
    let told = Told::default();
    (0..5).for_each(|n| told.submit(&log, n, append(n)));
    rig.run_us(5);
    (5..10).for_each(|n| told.submit(&log, n, append(n)));
    log.submit(GROUP, Op::Committed(id(1, 9)), None);
    log.close().unwrap();
    assert_eq!(told.ok(), 10);
    assert_eq!(rig.disk.with(|d| d.fenced()), rig.disk.with(|d| d.log.synced()));
    told.submit(&log, 10, append(10));
    assert_eq!(told.all().last(), Some(&(10, false)));
    rig.run_ms(10);
    let state = rig.open().log.state(GROUP);
    assert_eq!((state.last, state.committed), (Some(id(1, 9)), Some(id(1, 9))));
}

#[test]
fn truncated_purged_and_deleted() {
    let mut rig = Rig::new(1);
    let log = rig.open().log;
    (0..20).for_each(|n| log.submit(GROUP, append(n), None));
    log.submit(GROUP, Op::Vote(vote(3)), None);
    log.submit(GROUP, Op::Committed(id(1, 4)), None);
    log.submit(GROUP, Op::Purge(id(1, 4)), None);
    log.submit(GROUP, Op::TruncateAfter(Some(id(1, 11))), None);
    log.submit(GROUP, Op::Append(vec![entry(2, 12, 5)]), None);
    log.submit(8, Op::Vote(vote(1)), None);
    log.submit(8, append(0), None);
    log.submit(8, Op::Delete { left: Some(id(1, 0)) }, None);
    log.submit(9, Op::Delete { left: None }, None);
    rig.run_ms(10);
    let before = log.state(GROUP);
    assert_eq!(rig.guard.summary().violations, []);
    let log = rig.open().log;
    let (committed, last) = (Some(id(1, 4)), Some(id(2, 12)));
    let expected = LogState { vote: Some(vote(3)), committed, purged: committed, last, left: None };
    assert_eq!((before, log.state(GROUP)), (expected, expected));
    // What a removed replica promised stays, and where its log ended.
    assert_eq!(log.groups(), [GROUP, 8]);
    let promised = LogState { vote: Some(vote(1)), left: Some(id(1, 0)), ..LogState::default() };
    assert_eq!(log.state(8), promised);
    assert_eq!(log.read(GROUP, 5, 99, usize::MAX).unwrap().len(), 8);
    assert!(log.read_cached(GROUP, 5, 6, 1).is_none(), "nothing is in memory after a start");
    assert!(log.read(GROUP, 4, 6, 1).unwrap().is_empty());
}

#[test]
fn a_hole_is_refused() {
    let mut rig = Rig::new(1);
    let log = rig.open().log;
    let told = Told::default();
    told.submit(&log, 0, append(0));
    told.submit(&log, 1, append(2));
    assert_eq!(told.all(), [(1, false)]);
    assert!(rig.fatal.reason().is_some());
}

/// Puts the planted defect back, whatever happens.
struct Planted;

impl Planted {
    fn new(bug: Bug) -> Self {
        plant(Some(bug));
        Planted
    }
}

impl Drop for Planted {
    fn drop(&mut self) {
        plant(None);
    }
}

#[test]
fn planted_acknowledging_before_the_sync_loses_entries_and_is_seen() {
    let _planted = Planted::new(Bug::AckBeforeFsync);
    let seen = (0..50).filter(|seed| {
        let (rig, acknowledged, there) = appends_and_crash(*seed, true);
        let violated = !rig.guard.summary().violations.is_empty();
        assert_eq!(violated, there < acknowledged);
        violated
    });
    assert!(seen.count() > 10);
}

#[test]
fn planted_unsynced_votes_are_lost() {
    let _planted = Planted::new(Bug::VoteUnsynced);
    let mut rig = Rig::new(1);
    let log = rig.open().log;
    let told = Told::default();
    told.submit(&log, 0, Op::Vote(vote(3)));
    told.submit(&log, 1, append(0));
    assert_eq!(told.all(), [(0, true)]);
    rig.disk.crash(true);
    assert_eq!(rig.open().log.state(GROUP), LogState::default());
}

#[test]
fn planted_holes_stay_unnoticed() {
    let _planted = Planted::new(Bug::LogHole);
    let holes = (0..50).filter(|seed| {
        let mut rig = Rig::new(*seed);
        let log = rig.open().log;
        (0..5).for_each(|n| log.submit(GROUP, append(n), None));
        rig.disk.crash(false);
        let log = rig.open().log;
        log.read(GROUP, 0, end_of(&log), usize::MAX).is_ok_and(|entries| (entries.len() as u64) < end_of(&log))
    });
    assert!(holes.count() > 10);
}
