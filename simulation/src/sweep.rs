//! Many cases, one after the other on each core, and what they came to.

use crate::coverage;
use crate::determinism::Fingerprint;
use crate::plan::{Case, PlanFile, commit};
use crate::pool::{self, News};
use crate::run::{Outcome, run_with};
use crate::wall::Stopwatch;
use crate::world::{Keep, Violation};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zcluster_runtime::planted::Bug;

/// Time between two lines of progress where the output is no terminal.
const PROGRESS_EVERY: Duration = Duration::from_secs(30);
/// A case that runs longer than this in real time is taken for one that hangs.
const HANGS_AFTER: Duration = Duration::from_secs(600);

/// A case that broke a promise.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The case's name.
    pub case: String,
    /// What was broken.
    pub violation: Violation,
    /// Where its plan was written.
    pub file: Option<PathBuf>,
}

/// What a sweep came to.
#[derive(Default)]
pub struct Report {
    /// Cases that were run.
    pub cases: u64,
    /// Those that broke a promise, by name.
    pub failures: Vec<Failure>,
    /// Simulated time, nanoseconds.
    pub simulated_ns: u64,
    /// Real time of all worlds together (several run at once).
    pub busy: Duration,
    /// Real time of the sweep.
    pub wall: Duration,
    /// Operations acknowledged.
    pub acked: u64,
    /// Operations whose outcome no client learned.
    pub open: u64,
    /// Polls of tasks.
    pub polls: u64,
    /// What was counted.
    pub counters: BTreeMap<&'static str, u64>,
    /// The case that took the most real time.
    pub slowest: Option<(Duration, String)>,
}

/// How to sweep.
pub struct Settings {
    /// Worlds at a time.
    pub jobs: usize,
    /// Where plans of failing cases are written.
    pub failures: PathBuf,
    /// Whether progress is shown.
    pub progress: bool,
}

/// Runs the cases and hands each one's fingerprint to `fingerprint`. Ends early only when a case hangs.
///
/// # Errors
/// A case names a bug that is none.
pub fn sweep(
    cases: Vec<Case>,
    settings: &Settings,
    mut fingerprint: impl FnMut(usize, Fingerprint),
) -> anyhow::Result<Report> {
    let bugs: Vec<Option<Bug>> = cases.iter().map(Case::bug).collect::<anyhow::Result<_>>()?;
    let mut progress = Progress::new(settings.progress, cases.len());
    let mut report = Report::default();
    let watch = Stopwatch::start();
    let running: parking_lot::Mutex<BTreeMap<usize, Stopwatch>> = parking_lot::Mutex::default();
    let work = |place: usize| {
        running.lock().insert(place, Stopwatch::start());
        run_with(&cases[place].plan(), bugs[place], Keep::default())
    };
    pool::each(settings.jobs, 0..cases.len(), work, |news| {
        if let News::Done(place, result) = news {
            running.lock().remove(&place);
            let case = &cases[place];
            match result {
                Ok(outcome) => {
                    fingerprint(place, Fingerprint::of(&outcome));
                    report.add(case, &outcome, settings);
                }
                Err(text) => report.fail(case, Violation { at: 0, promise: "no_panic", text }, settings),
            }
        }
        progress.show(&report);
        let hanging = running.lock().iter().find(|(_, w)| w.elapsed() > HANGS_AFTER).map(|(place, _)| *place);
        if let Some(place) = hanging {
            // Its thread cannot be ended from outside; the process can.
            progress.clear();
            println!("{} hangs: more than {} s in one world", cases[place].name(), HANGS_AFTER.as_secs());
            std::process::exit(2);
        }
        ControlFlow::Continue(())
    });
    progress.clear();
    report.wall = watch.elapsed();
    report.failures.sort_by(|a, b| (a.case.len(), &a.case).cmp(&(b.case.len(), &b.case)));
    Ok(report)
}

impl Report {
    fn add(&mut self, case: &Case, outcome: &Outcome, settings: &Settings) {
        let summary = &outcome.summary;
        self.cases += 1;
        self.simulated_ns += summary.elapsed;
        self.busy += outcome.wall();
        self.acked += outcome.acked;
        self.open += outcome.open;
        self.polls += summary.polls;
        coverage::add(&mut self.counters, &summary.counters);
        if self.slowest.as_ref().is_none_or(|(wall, _)| *wall < outcome.wall()) {
            self.slowest = Some((outcome.wall(), case.name()));
        }
        if let Some(violation) = summary.violations.first() {
            self.cases -= 1;
            self.fail(case, violation.clone(), settings);
        }
    }
    fn fail(&mut self, case: &Case, violation: Violation, settings: &Settings) {
        self.cases += 1;
        let file = keep_plan(case, &violation, &settings.failures);
        let file = file.inspect_err(|e| eprintln!("the plan of {} is not kept: {e}", case.name())).ok();
        self.failures.push(Failure { case: case.name(), violation, file });
    }
    /// Simulated time per real time of one core.
    pub fn ratio(&self) -> f64 {
        self.simulated_ns as f64 / 1e9 / self.busy.as_secs_f64().max(1e-9)
    }
    /// The report in words.
    pub fn text(&self) -> String {
        let mut t = String::new();
        let (wall, simulated) = (self.wall.as_secs_f64(), self.simulated_ns as f64 / 1e9);
        let per_minute = self.cases as f64 / wall.max(1e-9) * 60.0;
        for f in &self.failures {
            let at = f.violation.at as f64 / 1e9;
            let _ = writeln!(t, "FAILED    {}: {} at {at:.3} s: {}", f.case, f.violation.promise, f.violation.text);
            if let Some(file) = &f.file {
                let _ = writeln!(t, "          its plan: {}", file.display());
            }
        }
        let _ = writeln!(t, "seeds     {} run, {} failed; {per_minute:.0} per minute", self.cases, self.failures.len());
        let _ = writeln!(
            t,
            "time      {simulated:.0} simulated s in {wall:.1} wall s; {:.0} simulated s per wall s of one core; {:.2} M polls/s",
            self.ratio(),
            self.polls as f64 / self.busy.as_secs_f64().max(1e-9) / 1e6
        );
        if let Some((wall, case)) = &self.slowest {
            let _ = writeln!(t, "slowest   {case}: {:.1} wall s", wall.as_secs_f64());
        }
        let _ = writeln!(
            t,
            "survived  {} large faults; {} operations acknowledged, {} with an outcome no client learned",
            coverage::faults_struck(&self.counters),
            self.acked,
            self.open
        );
        t
    }
    /// What was met sometimes and what never, in words.
    pub fn coverage_text(&self) -> String {
        let mut t = format!("sometimes\n{}", coverage::table(&self.counters));
        for s in coverage::never_met(&self.counters) {
            let _ = writeln!(t, "NEVER     {}: {}", s.name, s.what);
        }
        t
    }
}

fn keep_plan(case: &Case, violation: &Violation, folder: &Path) -> anyhow::Result<PathBuf> {
    if let Case::File(path, _) = case {
        return Ok(path.clone());
    }
    let path = folder.join(format!("{}.json", case.stem()));
    let file = PlanFile {
        why: violation.text.clone(),
        commit: commit(),
        promise: Some(violation.promise.into()),
        bug: None,
        plan: case.plan(),
    };
    file.write(&path)?;
    Ok(path)
}

/// A line that says how far it is: rewritten on a terminal, now and then anew elsewhere.
struct Progress {
    wanted: bool,
    terminal: bool,
    total: usize,
    watch: Stopwatch,
    shown: Stopwatch,
}

impl Progress {
    fn new(wanted: bool, total: usize) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Progress { wanted, terminal, total, watch: Stopwatch::start(), shown: Stopwatch::start() }
    }
    fn show(&mut self, report: &Report) {
        let every = if self.terminal { Duration::from_millis(200) } else { PROGRESS_EVERY };
        if !self.wanted || self.shown.elapsed() < every {
            return;
        }
        self.shown = Stopwatch::start();
        let wall = self.watch.elapsed().as_secs_f64();
        let (done, failed) = (report.cases, report.failures.len());
        let left = (self.total as f64 - done as f64) * wall / (done as f64).max(1.0);
        let line = format!("{done}/{} seeds, {failed} failed, {wall:.0} s, about {left:.0} s to go", self.total);
        let mut out = std::io::stderr().lock();
        let _ = if self.terminal { write!(out, "\r\x1b[K{line}") } else { writeln!(out, "{line}") };
        let _ = out.flush();
    }
    fn clear(&self) {
        if self.wanted && self.terminal {
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K");
        }
    }
}
