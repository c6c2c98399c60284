//! The same operations on the real log and on the simulated one: after each step both tell the same.

use crate::support::{
    Act, Contents, GROUPS, Simulated, act, cases, copy_dir, cut, newest_wal, open_rocks, operation, wait,
};
use proptest::prelude::*;
use std::path::Path;
use tempfile::TempDir;
use zcluster_raft::LogEngine;
use zcluster_raft::log::{Op, RocksLog};

#[derive(Clone, Debug)]
enum Step {
    Act(u32, Act),
    /// Several at once, as they come under load: they share batches.
    Burst(Vec<(u32, Act)>),
    /// Both logs are closed in order and opened again.
    Reopen,
    /// The power goes; nothing was under way.
    Kill,
    /// The same, and the real log's end is torn off at this part of its newest write-ahead log.
    Tear(u16),
}

fn step() -> impl Strategy<Value = Step> {
    let one = || (0..GROUPS, act());
    prop_oneof![
        24 => one().prop_map(|(g, a)| Step::Act(g, a)),
        3 => prop::collection::vec(one(), 2..9).prop_map(Step::Burst),
        1 => Just(Step::Reopen),
        1 => Just(Step::Kill),
        1 => any::<u16>().prop_map(Step::Tear),
    ]
}

/// What the real log told when its newest write-ahead log had this name and length.
type Past = Vec<((String, u64), Contents)>;

struct Pair {
    rocks: Option<RocksLog>,
    dir: TempDir,
    simulated: Simulated,
    past: Past,
    term: u64,
}

impl Pair {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let rocks = open_rocks(dir.path()).unwrap();
        let mut pair = Pair { rocks: Some(rocks), dir, simulated: Simulated::new(1), past: Past::new(), term: 0 };
        pair.remember();
        pair
    }
    fn rocks(&self) -> &RocksLog {
        self.rocks.as_ref().unwrap()
    }
    fn next(&mut self, group: u32, act: &Act) -> Option<Op> {
        self.term += 1;
        operation(self.simulated.opened.log.as_ref(), group, act, self.term)
    }
    fn act(&mut self, group: u32, act: &Act) {
        let Some(op) = self.next(group, act) else { return };
        wait(self.rocks(), group, op.clone()).unwrap();
        self.simulated.wait(group, op).unwrap();
    }
    /// Submits all, then waits for one more: everything is durable then.
    fn burst(&mut self, acts: &[(u32, Act)]) {
        for (group, act) in acts {
            let Some(op) = self.next(*group, act) else { continue };
            self.rocks().submit(*group, op.clone(), None);
            self.simulated.opened.log.submit(*group, op, None);
        }
        // Twice, because marks go with the batch that follows them: the two writers cut their batches elsewhere.
        self.act(0, &Act::Vote(1));
        self.act(0, &Act::Vote(1));
    }
    fn remember(&mut self) {
        let contents = Contents::of(self.rocks()).unwrap();
        self.past.push((newest_wal(self.dir.path()), contents));
    }
    fn compare(&self) -> Result<(), TestCaseError> {
        let (real, simulated) =
            (Contents::of(self.rocks()).unwrap(), Contents::of(self.simulated.opened.log.as_ref()).unwrap());
        prop_assert_eq!(real, simulated);
        Ok(())
    }
    fn reopen(&mut self) {
        self.rocks().close().unwrap();
        self.rocks = None;
        self.simulated.opened.log.close().unwrap();
        self.rocks = Some(open_rocks(self.dir.path()).unwrap());
        self.simulated.reopen();
    }
    fn kill(&mut self) {
        let left = tempfile::tempdir().unwrap();
        copy_dir(self.dir.path(), left.path());
        self.rocks = None;
        self.dir = left;
        self.rocks = Some(open_rocks(self.dir.path()).unwrap());
        self.simulated.disk.crash(false);
        self.simulated.reopen();
    }
    /// A copy with its end torn off opens with everything that was acknowledged before the cut, and with nothing that
    /// never was.
    fn tear(&self, part: u16) -> Result<(), TestCaseError> {
        let (name, len) = newest_wal(self.dir.path());
        let at = len * u64::from(part) / u64::from(u16::MAX);
        let copy = tempfile::tempdir().unwrap();
        copy_dir(self.dir.path(), copy.path());
        cut(&copy.path().join(&name), at);
        check_torn(&self.past, copy.path(), &name, at)
    }
}

fn check_torn(past: &Past, dir: &Path, name: &str, at: u64) -> Result<(), TestCaseError> {
    let found = Contents::of(&open_rocks(dir).unwrap()).unwrap().without_hints();
    let is_before = |(wal, len): &(String, u64)| wal.as_str() < name || (wal == name && *len <= at);
    // Before the oldest state that is remembered there was a burst, whose states nobody has seen: that it opens is all.
    let Some(must) = past.iter().rposition(|(wal, _)| is_before(wal)) else { return Ok(()) };
    let is = past[must..].iter().any(|(_, contents)| contents.clone().without_hints() == found);
    prop_assert!(is, "cut at {} of {}: found {:?}", at, name, found);
    Ok(())
}

fn run(steps: &[Step]) -> Result<(), TestCaseError> {
    let mut pair = Pair::new();
    for step in steps {
        match step {
            Step::Act(group, act) => pair.act(*group, act),
            Step::Burst(acts) => pair.burst(acts),
            Step::Reopen => pair.reopen(),
            Step::Kill => pair.kill(),
            Step::Tear(part) => pair.tear(*part)?,
        }
        pair.compare()?;
        match step {
            // A burst may be torn between its batches, which nobody has seen.
            Step::Burst(_) => {
                pair.past.clear();
                pair.remember();
            }
            Step::Tear(_) => {}
            _ => pair.remember(),
        }
    }
    prop_assert_eq!(&pair.simulated.guard.summary().violations, &[]);
    Ok(())
}

proptest! {
    #![proptest_config(cases(32))]
    #[test]
    fn real_and_simulated_log_tell_the_same(steps in prop::collection::vec(step(), 1..80)) {
        run(&steps)?;
    }
}
