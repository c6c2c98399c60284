use super::*;

fn write(rig: &Rig, log: &Arc<dyn LogEngine>, n: u64) -> Vec<(u64, bool)> {
    let told = Told::default();
    told.submit(log, n, append(n));
    rig.run_ms(30);
    told.all()
}

#[test]
fn no_space_stops_the_process_and_nothing_is_retried() {
    let mut rig = Rig::new(1);
    let log = rig.open().log;
    write(&rig, &log, 0);
    assert!(!rig.disk.is_excused());
    rig.disk.set_full(true);
    assert_eq!(write(&rig, &log, 1), [(1, false)]);
    assert!(rig.fatal.reason().unwrap().contains("writing the log failed"));
    assert!(rig.disk.is_excused());
    rig.disk.set_full(false);
    assert_eq!(write(&rig, &log, 2), [(2, false)], "after a failure nothing is taken");
    assert!(log.close().is_err());
    rig.disk.set_full(true);
    assert_eq!(rig.try_open().err(), Some(OpenError::Full));
    rig.disk.set_full(false);
    let log = rig.open().log;
    assert!(!rig.disk.is_excused());
    // What failed may be there or not: nobody was told that it is.
    let end = end_of(&log);
    assert!((1..=2).contains(&end));
    assert_eq!(write(&rig, &log, end), [(end, true)]);
}

#[test]
fn an_io_error_strikes_once() {
    for strikes_state in [false, true] {
        let mut rig = Rig::new(1);
        let Opened { log, engine, .. } = rig.open();
        rig.disk.fail_next_write();
        assert!(rig.disk.is_excused());
        if strikes_state {
            assert!(engine.flush().is_err());
            assert!(engine.flush().is_err() && engine.write(Batch::new()).is_err(), "a failed engine stays failed");
        } else {
            assert_eq!(write(&rig, &log, 0), [(0, false)]);
        }
        let Opened { log, engine, .. } = rig.open();
        engine.flush().unwrap();
        let end = end_of(&log);
        assert_eq!(write(&rig, &log, end), [(end, true)]);
    }
}

#[test]
fn an_old_process_has_no_effect() {
    let mut rig = Rig::new(1);
    let old = rig.open();
    write(&rig, &old.log, 0);
    let view = old.engine.view();
    let new = rig.open();
    assert_eq!(write(&rig, &old.log, 1), []);
    let mut batch = Batch::new();
    batch.put(Column::State, vec![0; 12], vec![1]);
    old.engine.write(batch).unwrap();
    old.engine.flush().unwrap();
    old.log.close().unwrap();
    drop(view);
    assert_eq!(new.engine.get(Column::State, &[0; 12]).unwrap(), None);
    assert_eq!(write(&rig, &new.log, 1), [(1, true)]);
}

/// Enough entries, synced and fenced, then one damaged. The second value is what the damage counted as.
fn damaged(seed: u64) -> (Rig, Opened, &'static str) {
    let mut rig = Rig::new(seed);
    let opened = rig.open();
    for n in 0..10 {
        opened.log.submit(GROUP, append(n), None);
        rig.run_ms(5);
    }
    opened.log.submit(GROUP, Op::Vote(vote(1)), None);
    assert!(!rig.disk.flip_bit(), "nothing is fenced yet: nobody could tell");
    rig.run_ms(1_100);
    assert!(rig.disk.flip_bit() && rig.disk.is_excused());
    let kinds = ["disk.flip_length", "disk.flip_vote", "disk.flip_entry"];
    let kind = kinds.into_iter().find(|k| rig.counted(k) == 1).unwrap();
    (rig, opened, kind)
}

#[test]
fn damage_is_found_when_read_or_at_the_next_start() {
    let mut met = BTreeMap::new();
    for seed in 0..100 {
        let (mut rig, opened, kind) = damaged(seed);
        *met.entry(kind).or_insert(0) += 1;
        let read = opened.log.read(GROUP, 0, 10, usize::MAX);
        if opened.log.read_cached(GROUP, 0, 10, usize::MAX).is_none() {
            assert_eq!(read.is_err(), kind == "disk.flip_entry");
        }
        match (kind, rig.try_open()) {
            ("disk.flip_length", Ok(opened)) => assert!(opened.lost.is_some()),
            ("disk.flip_length", Err(e)) => panic!("{e:?}"),
            (_, Err(OpenError::Damaged(_))) => {}
            (_, other) => panic!("{kind}: {}", other.is_ok()),
        }
        // It stays so until somebody does something about it.
        assert!(rig.try_open().map_or(true, |o| o.lost.is_some()) && rig.disk.is_excused());
        rig.disk.renew(1);
        let opened = rig.open();
        assert_eq!((opened.fence_incarnation, opened.log.groups()), (1, Vec::new()));
        assert!(!rig.disk.is_excused());
    }
    assert_eq!(met.len(), 3, "{met:?}");
}

#[test]
fn what_is_written_over_is_healed() {
    let healed = (0..100).filter(|seed| {
        let (mut rig, opened, kind) = damaged(*seed);
        if kind == "disk.flip_length" {
            return false;
        }
        opened.log.submit(GROUP, Op::Vote(vote(2)), None);
        opened.log.submit(GROUP, Op::Committed(id(1, 9)), None);
        opened.log.submit(GROUP, Op::Purge(id(1, 9)), None);
        rig.run_ms(30);
        rig.open();
        true
    });
    assert!(healed.count() > 10);
}

#[test]
fn a_wrong_length_far_from_the_end_is_no_torn_tail() {
    let found = (0..40).any(|seed| {
        let (mut rig, opened, kind) = damaged(seed);
        if kind != "disk.flip_length" {
            return false;
        }
        for n in 10..20 {
            opened.log.submit(GROUP, Op::Append(vec![entry(1, n, 10_000)]), None);
            rig.run_ms(5);
        }
        assert!(matches!(rig.try_open(), Err(OpenError::Damaged(_))));
        true
    });
    assert!(found);
}

#[test]
fn a_lost_disk_under_a_known_node_is_told() {
    let mut rig = Rig::new(1);
    let file = NodeFile { number: 1, started: true, ..NodeFile::default() };
    let log = rig.open().log;
    rig.disk.write_node_file(file.clone());
    write(&rig, &log, 0);
    rig.disk.wipe();
    assert_eq!(rig.disk.node_file(), None);
    // With the node file from a backup.
    rig.disk.write_node_file(file);
    for _ in 0..2 {
        assert!(rig.try_open().unwrap().lost.is_some());
    }
    rig.disk.renew(1);
    assert_eq!(rig.open().fence_incarnation, 1);
}

#[test]
fn slow_disks_are_slow() {
    let mut rig = Rig::new(1);
    let log = rig.open().log;
    rig.disk.set_fsync((1_000, 0), 0);
    rig.disk.set_slow(50);
    let told = Told::default();
    told.submit(&log, 0, append(0));
    rig.run_ms(49);
    assert_eq!(told.ok(), 0);
    rig.run_ms(2);
    assert_eq!(told.ok(), 1);
    rig.disk.set_slow(1);
    rig.disk.set_fsync((1_000, 0), 1_000_000);
    told.submit(&log, 1, append(1));
    rig.run_ms(20);
    assert_eq!((told.ok(), rig.counted("disk.slow_fsync")), (1, 1));
    rig.run_ms(382);
    assert_eq!(told.ok(), 2);
}
