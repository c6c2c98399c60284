//! The simulator's engine must behave as RocksDB does.

use proptest::prelude::*;
use std::sync::Arc;
use zcluster_replica::engine::{Batch, Column, Op, Reader};
use zcluster_replica::{MemoryEngine, RocksConfig, RocksEngine, StateEngine};

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(0xFF)], 1..4)
}

fn column() -> impl Strategy<Value = Column> {
    prop_oneof![Just(Column::State), Just(Column::Body)]
}

fn op() -> impl Strategy<Value = Op> {
    let value = prop_oneof![Just(0usize), Just(5), Just(3000)];
    prop_oneof![
        4 => (column(), key(), value, any::<u8>()).prop_map(|(c, k, n, b)| Op::Put(c, k, vec![b; n].into())),
        2 => (column(), key()).prop_map(|(c, k)| Op::Delete(c, k)),
        1 => (column(), key(), key()).prop_map(|(c, a, b)| Op::DeleteRange(c, a.clone().min(b.clone()), a.max(b))),
    ]
}

/// The ranges that these keys cut, every other one of them.
fn ranges(mut cuts: Vec<Vec<u8>>) -> Vec<(Vec<u8>, Vec<u8>)> {
    cuts.sort();
    cuts.dedup();
    cuts.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
}

fn of_ranges(reader: &dyn Reader, ranges: &[(Vec<u8>, Vec<u8>)], most: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    reader
        .each_of(Column::State, ranges, &mut |k, v| {
            rows.push((k.to_vec(), v.to_vec()));
            rows.len() < most
        })
        .unwrap();
    rows
}

fn everything(reader: &dyn Reader) -> Vec<(Column, Vec<u8>, Vec<u8>)> {
    let mut all = Vec::new();
    for column in Column::ALL {
        for reverse in [false, true] {
            for row in reader.scan(column, &[0], &[0xFF, 0xFF, 0xFF, 1], reverse) {
                let (k, v) = row.unwrap();
                assert_eq!(reader.get(column, &k).unwrap().as_ref(), Some(&v));
                all.push((column, k, v));
            }
        }
        let some: Vec<_> = reader.scan(column, &[1], &[0xFF], false).map(|r| r.unwrap()).collect();
        let mut passed = Vec::new();
        let mut note = |k: &[u8], v: &[u8]| {
            passed.push((k.to_vec(), v.to_vec()));
            true
        };
        reader.pass(column, &[1], &[0xFF], &mut note).unwrap();
        assert_eq!(passed, some);
        all.extend(some.into_iter().map(|(k, v)| (column, k, v)));
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn rocks_and_memory_agree(
        batches in prop::collection::vec((prop::collection::vec(op(), 0..12), any::<bool>()), 1..12),
        cuts in prop::collection::vec(key(), 0..9),
        most in 1usize..9,
    ) {
        let ranges = ranges(cuts);
        let dir = tempfile::tempdir().unwrap();
        let rocks: Arc<dyn StateEngine> = RocksEngine::open(dir.path(), &RocksConfig::default()).unwrap();
        let memory: Arc<dyn StateEngine> = MemoryEngine::new();
        let mut views = Vec::new();
        for (ops, flush) in batches {
            views.push((rocks.view(), memory.view(), everything(memory.as_ref())));
            rocks.write(Batch(ops.clone())).unwrap();
            memory.write(Batch(ops)).unwrap();
            if flush {
                rocks.flush().unwrap();
                memory.flush().unwrap();
            }
            prop_assert_eq!(everything(rocks.as_ref()), everything(memory.as_ref()));
            let all = memory.scan(Column::State, &[0], &[0xFF; 9], false).map(|r| r.unwrap());
            let mut want: Vec<_> = all.filter(|(k, _)| ranges.iter().any(|(from, to)| from <= k && k < to)).collect();
            want.truncate(most);
            for engine in [&rocks, &memory] {
                prop_assert_eq!(&of_ranges(engine.as_ref(), &ranges, most), &want);
                prop_assert_eq!(&of_ranges(engine.view().as_ref(), &ranges, most), &want);
            }
        }
        for (a, b, then) in views {
            prop_assert_eq!(everything(a.as_ref()), then.clone());
            prop_assert_eq!(everything(b.as_ref()), then);
        }
    }
}
