//! The same batches on the real state engine and on the simulated one, with views held over writes, flushes, and power
//! cuts after which both replay what they lost, as the Raft log has them do.

use crate::support::{Simulated, cases, copy_dir};
use proptest::prelude::*;
use std::sync::Arc;
use tempfile::TempDir;
use zcluster_replica::engine::{Batch, Column, Op, Reader, Row};
use zcluster_replica::{RocksConfig, RocksEngine, StateEngine};

const END: [u8; 3] = [0xFF; 3];

#[derive(Clone, Debug)]
enum Step {
    Write(Vec<Op>),
    View,
    DropView(prop::sample::Index),
    Flush,
    Crash,
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(0xFE)], 1..4)
}

fn op() -> impl Strategy<Value = Op> {
    let column = || prop_oneof![3 => Just(Column::State), 1 => Just(Column::Body)];
    let value = prop_oneof![Just(0usize), Just(5), Just(3_000)];
    prop_oneof![
        5 => (column(), key(), value, any::<u8>()).prop_map(|(c, k, n, b)| Op::Put(c, k, vec![b; n].into())),
        2 => (column(), key()).prop_map(|(c, k)| Op::Delete(c, k)),
        1 => (column(), key(), key()).prop_map(|(c, a, b)| Op::DeleteRange(c, a.clone().min(b.clone()), a.max(b))),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => prop::collection::vec(op(), 0..10).prop_map(Step::Write),
        2 => Just(Step::View),
        1 => any::<prop::sample::Index>().prop_map(Step::DropView),
        2 => Just(Step::Flush),
        1 => Just(Step::Crash),
    ]
}

fn scan(reader: &dyn Reader, column: Column, from: &[u8], to: &[u8], reverse: bool) -> Vec<Row> {
    reader.scan(column, from, to, reverse).map(|r| r.unwrap()).collect()
}

fn everything(reader: &dyn Reader) -> Vec<(Column, Row)> {
    let of = |c| scan(reader, c, &[], &END, false).into_iter().map(move |row| (c, row));
    Column::ALL.into_iter().flat_map(of).collect()
}

/// All ways to ask.
fn same(a: &dyn Reader, b: &dyn Reader) -> Result<(), TestCaseError> {
    prop_assert_eq!(everything(a), everything(b));
    for column in Column::ALL {
        for (from, to) in [(&[][..], &END[..]), (&[1], &[0xFE]), (&[0, 1], &[1, 0xFE, 1]), (&[1], &[1]), (&[2], &[1])] {
            prop_assert_eq!(scan(a, column, from, to, true), scan(b, column, from, to, true));
            prop_assert_eq!(scan(a, column, from, to, false), scan(b, column, from, to, false));
        }
        for key in [&[0][..], &[1], &[0xFE], &[0, 1], &[1, 1, 1], &[5]] {
            prop_assert_eq!(a.get(column, key).unwrap(), b.get(column, key).unwrap());
        }
    }
    Ok(())
}

struct Pair {
    rocks: Option<Arc<RocksEngine>>,
    dir: TempDir,
    simulated: Simulated,
    /// What was written since the last flush, and what was there before each: an engine may keep any part.
    since: Vec<(Vec<(Column, Row)>, Batch)>,
    views: Vec<(Arc<dyn Reader>, Arc<dyn Reader>)>,
}

impl Pair {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let rocks = RocksEngine::open(dir.path(), &RocksConfig::default()).unwrap();
        Pair { rocks: Some(rocks), dir, simulated: Simulated::new(2), since: Vec::new(), views: Vec::new() }
    }
    fn rocks(&self) -> &RocksEngine {
        self.rocks.as_ref().unwrap()
    }
    fn simulated(&self) -> &dyn StateEngine {
        self.simulated.opened.engine.as_ref()
    }
    fn write(&mut self, batch: Batch) {
        self.since.push((everything(self.simulated()), batch.clone()));
        self.rocks().write(batch.clone()).unwrap();
        self.simulated().write(batch).unwrap();
    }
    fn flush(&mut self) {
        self.rocks().flush().unwrap();
        self.simulated().flush().unwrap();
        self.since.clear();
    }
    fn crash(&mut self) -> Result<(), TestCaseError> {
        self.views.clear();
        let now = everything(self.simulated());
        let left = tempfile::tempdir().unwrap();
        copy_dir(self.dir.path(), left.path());
        self.rocks = None;
        self.dir = left;
        self.rocks = Some(RocksEngine::open(self.dir.path(), &RocksConfig::default()).unwrap());
        self.simulated.disk.crash(false);
        self.simulated.reopen();
        self.replay(self.rocks(), &now)?;
        self.replay(self.simulated(), &now)
    }
    /// An engine stands where it once stood, at the last flush or later; the rest is written again.
    fn replay(&self, engine: &dyn StateEngine, now: &Vec<(Column, Row)>) -> Result<(), TestCaseError> {
        let found = everything(engine);
        if found == *now {
            return Ok(());
        }
        let at = self.since.iter().position(|(before, _)| *before == found);
        prop_assert!(at.is_some(), "a state that never was: {:?}", found);
        for (_, batch) in &self.since[at.unwrap_or_default()..] {
            engine.write(batch.clone()).unwrap();
        }
        prop_assert_eq!(&everything(engine), now);
        Ok(())
    }
}

fn run(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut pair = Pair::new();
    for step in steps {
        match step {
            Step::Write(ops) => pair.write(Batch(ops)),
            Step::View => pair.views.push((pair.rocks().view(), pair.simulated().view())),
            Step::DropView(at) if !pair.views.is_empty() => drop(pair.views.swap_remove(at.index(pair.views.len()))),
            Step::DropView(_) => {}
            Step::Flush => pair.flush(),
            Step::Crash => {
                pair.crash()?;
                // What was replayed may be lost again; from what position on is no longer the same for both.
                pair.flush();
            }
        }
        same(pair.rocks(), pair.simulated())?;
        for (a, b) in &pair.views {
            same(a.as_ref(), b.as_ref())?;
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(16))]
    #[test]
    fn real_and_simulated_state_tell_the_same(steps in prop::collection::vec(step(), 1..40)) {
        run(steps)?;
    }
}
