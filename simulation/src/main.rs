//! The simulator's command line.

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use zcluster_runtime::planted::Bug;
use zcluster_simulation::determinism::{self, Fingerprint, Twin};
use zcluster_simulation::explain::{Filter, timeline, verdict};
use zcluster_simulation::plan::{Case, PlanFile, Scale, bug_of_name, commit};
use zcluster_simulation::planted::{Gardener, bound};
use zcluster_simulation::run::{Outcome, run_with};
use zcluster_simulation::shrink::{Budget, shrink};
use zcluster_simulation::sweep::{Report, Settings, sweep};
use zcluster_simulation::world::Keep;
use zcluster_simulation::{bench, log, pool};

/// The real cluster in one thread: one seed, one history.
#[derive(Parser)]
#[command(version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs many seeds and reports what they met and which promises they broke.
    Run {
        #[command(flatten)]
        cases: Seeds,
        #[command(flatten)]
        many: Many,
        /// Runs every seed in a second process as well and compares the histories.
        #[arg(long)]
        verify: bool,
        /// Fails when one of the situations that must happen sometimes never did.
        #[arg(long)]
        strict: bool,
    },
    /// Runs every seed twice, in two processes, and names the first event that differs.
    Verify {
        #[command(flatten)]
        cases: Seeds,
        #[command(flatten)]
        many: Many,
    },
    /// Runs the plans that are kept because they once broke a promise, each in two processes.
    Pinned {
        /// Where they are.
        #[arg(long, default_value = "simulation/pinned")]
        dir: PathBuf,
        #[command(flatten)]
        many: Many,
    },
    /// Plants each known kind of bug and waits until a promise is broken; fails when one is not caught in time.
    Planted {
        /// Only this one.
        #[arg(long)]
        bug: Option<String>,
        /// How many seeds it may take (default: the bound of each).
        #[arg(long)]
        seeds_max: Option<u64>,
        /// Length of the runs.
        #[arg(long, value_enum, default_value_t)]
        scale: Length,
        /// Worlds at a time.
        #[arg(long, default_value_t = pool::cores())]
        jobs: usize,
    },
    /// Runs one seed or plan again.
    Replay {
        #[command(flatten)]
        one: One,
    },
    /// Runs one seed or plan and prints what happened on which node.
    Explain {
        #[command(flatten)]
        one: One,
        /// Only what happened on this node (again for more; 0 is the outside). Faults are always shown.
        #[arg(long)]
        node: Vec<u32>,
        /// Only lines of this kind (again for more): leader, fault, ack, node, promise, ...
        #[arg(long)]
        kind: Vec<String>,
        /// Only from this simulated second on.
        #[arg(long)]
        from: Option<f64>,
        /// Only up to this simulated second.
        #[arg(long)]
        to: Option<f64>,
        /// With the log lines of the software itself, at this level and above (`debug`, or `zcluster_raft=trace`).
        #[arg(long)]
        log: Option<String>,
    },
    /// Makes a failing plan smaller: leaves out whatever it fails without.
    Shrink {
        #[command(flatten)]
        one: One,
        /// Where the small plan is written (default: beside the failures).
        #[arg(long)]
        out: Option<PathBuf>,
        /// How many runs it may take.
        #[arg(long, default_value_t = 2_000)]
        runs_max: u64,
        /// Tries with different chance for each smaller plan.
        #[arg(long, default_value_t = 2)]
        tries: u64,
        /// Worlds at a time.
        #[arg(long, default_value_t = pool::cores())]
        jobs: usize,
    },
    /// Prints the plan of a seed, or of a file.
    Plan {
        #[command(flatten)]
        one: One,
        /// As a file to be edited and given to `replay`.
        #[arg(long)]
        json: bool,
    },
    /// Measures how fast simulated time is.
    Bench,
    /// What `verify` starts a second process for.
    #[command(hide = true)]
    Fingerprint {
        #[command(flatten)]
        cases: Seeds,
        /// Plans besides the seeds.
        #[arg(long)]
        file: Vec<PathBuf>,
        #[arg(long, default_value_t = 1)]
        jobs: usize,
        #[arg(long)]
        only: Option<usize>,
        #[arg(long)]
        events: Option<String>,
    },
}

#[derive(Args)]
struct Seeds {
    /// Seeds: `A..B` is A to B with both ends, `A` a single one.
    #[arg(long, default_value = "1..200", value_parser = seeds)]
    seeds: RangeInclusive<u64>,
    /// Length of the runs.
    #[arg(long, value_enum, default_value_t)]
    scale: Length,
}

impl Seeds {
    fn cases(&self) -> Vec<Case> {
        self.seeds.clone().map(|s| Case::Seed(s, self.scale.scale())).collect()
    }
    fn arguments(&self) -> Vec<String> {
        let seeds = format!("--seeds={}..{}", self.seeds.start(), self.seeds.end());
        vec![seeds, format!("--scale={}", self.scale.scale().name())]
    }
}

#[derive(Args)]
struct Many {
    /// Worlds at a time.
    #[arg(long, default_value_t = pool::cores())]
    jobs: usize,
    /// Where plans that break promises are written.
    #[arg(long, default_value = "target/simulation")]
    failures: PathBuf,
    /// No progress while it runs.
    #[arg(long)]
    quiet: bool,
}

#[derive(Args)]
struct One {
    /// A seed, or a file with a plan.
    what: String,
    /// Length of the seed's run.
    #[arg(long, value_enum, default_value_t)]
    scale: Length,
    /// A bug to plant.
    #[arg(long)]
    bug: Option<String>,
}

impl One {
    fn case(&self) -> Result<(Case, Option<Bug>)> {
        let case = Case::parse(&self.what, self.scale.scale())?;
        let bug = match &self.bug {
            Some(name) => Some(bug_of_name(name)?),
            None => case.bug()?,
        };
        Ok((case, bug))
    }
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Length {
    Short,
    #[default]
    Normal,
    Long,
}

impl Length {
    fn scale(self) -> Scale {
        match self {
            Length::Short => Scale::Short,
            Length::Normal => Scale::Normal,
            Length::Long => Scale::Long,
        }
    }
}

fn seeds(text: &str) -> Result<RangeInclusive<u64>, String> {
    let number = |t: &str| t.trim_start_matches('=').parse::<u64>().map_err(|e| format!("{t}: {e}"));
    let (from, to) = text.split_once("..").unwrap_or((text, text));
    let (from, to) = (number(from)?, number(to)?);
    if from <= to { Ok(from..=to) } else { Err(format!("{from} is more than {to}")) }
}

fn main() -> ExitCode {
    match carry_out(Cli::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("zcluster-simulation: {e:#}");
            ExitCode::from(2)
        }
    }
}

/// Whether all was well.
fn carry_out(command: Command) -> Result<bool> {
    match command {
        Command::Run { cases, many, verify, strict } => {
            let (report, same) = run_cases(&cases.cases(), cases.arguments(), &many, verify)?;
            print(&format!("{}{}", report.coverage_text(), report.text()));
            let met = !strict || zcluster_simulation::coverage::never_met(&report.counters).is_empty();
            Ok(report.failures.is_empty() && same && met)
        }
        Command::Verify { cases, many } => {
            let (report, same) = run_cases(&cases.cases(), cases.arguments(), &many, true)?;
            print(&report.text());
            Ok(report.failures.is_empty() && same)
        }
        Command::Pinned { dir, many } => pinned(&dir, &many),
        Command::Planted { bug, seeds_max, scale, jobs } => planted(bug, seeds_max, scale.scale(), jobs),
        Command::Replay { one } => replay(&one),
        Command::Explain { one, node, kind, from, to, log } => {
            explain(&one, &Filter { nodes: node, kinds: kind, from, to }, log)
        }
        Command::Shrink { one, out, runs_max, tries, jobs } => {
            shrink_one(&one, out, Budget { runs: runs_max, tries, jobs })
        }
        Command::Plan { one, json } => show_plan(&one, json),
        Command::Bench => {
            print(&bench::bench().map_err(anyhow::Error::msg)?);
            Ok(true)
        }
        Command::Fingerprint { cases, file, jobs, only, events } => fingerprint(&cases, &file, jobs, only, events),
    }
}

/// Prints; a reader that has seen enough is no error.
fn print(text: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Runs cases, and with `verify` a twin beside it. The second result is whether all histories were the same.
fn run_cases(cases: &[Case], arguments: Vec<String>, many: &Many, verify: bool) -> Result<(Report, bool)> {
    let ours_jobs = if verify { (many.jobs / 2).max(1) } else { many.jobs };
    let settings = Settings { jobs: ours_jobs, failures: many.failures.clone(), progress: !many.quiet };
    let twin = Twin { cases: arguments, jobs: many.jobs.saturating_sub(ours_jobs).max(1) };
    let running = verify.then(|| twin.start()).transpose()?;
    let mut ours: BTreeMap<usize, Fingerprint> = BTreeMap::new();
    let report = sweep(cases.to_vec(), &settings, |place, fingerprint| {
        if verify {
            ours.insert(place, fingerprint);
        }
    })?;
    let Some(running) = running else { return Ok((report, true)) };
    let theirs = running.finish()?;
    let mismatches = determinism::compare(cases, &ours, &theirs, &twin)?;
    for m in &mismatches {
        print(&format!("DIFFERS   {}\n{}\n", m.case, m.text));
    }
    print(&format!("twice     {} histories compared in two processes, {} differ\n", cases.len(), mismatches.len()));
    Ok((report, mismatches.is_empty()))
}

fn pinned(dir: &Path, many: &Many) -> Result<bool> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(dir)
        .with_context(|| format!("cannot read {}", dir.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    paths.retain(|p| p.extension().is_some_and(|e| e == "json"));
    paths.sort();
    let cases: Vec<Case> = paths.iter().map(|p| Case::file(p)).collect::<Result<_>>()?;
    let mut arguments = vec!["--seeds=0..0".to_string()];
    arguments.extend(paths.iter().map(|p| format!("--file={}", p.display())));
    let (report, same) = run_cases(&cases, arguments, many, true)?;
    let mut well = same;
    for case in &cases {
        let Case::File(path, file) = case else { continue };
        let broken = report.failures.iter().find(|f| f.case == case.name()).map(|f| f.violation.promise);
        // With a bug planted the promise must be broken, without one all must hold.
        let expected = file.bug.as_ref().and(file.promise.as_deref());
        well &= broken == expected;
        let verdict = match (broken, expected) {
            (a, b) if a == b => "ok",
            (None, _) => "NOT CAUGHT",
            (Some(_), _) => "BROKEN",
        };
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        print(&format!("{verdict:<10} {name}: {} [{}]\n", file.why, broken.unwrap_or("all promises held")));
    }
    print(&format!("pinned    {} plans\n", cases.len()));
    Ok(well)
}

fn planted(bug: Option<String>, seeds_max: Option<u64>, scale: Scale, jobs: usize) -> Result<bool> {
    let bugs = match bug {
        Some(name) => vec![bug_of_name(&name)?],
        None => Bug::ALL.to_vec(),
    };
    let mut gardener = Gardener::new(scale, jobs);
    let mut well = true;
    for bug in bugs {
        let most = seeds_max.unwrap_or(bound(bug));
        match gardener.plant(bug, most) {
            Some(c) => print(&format!("caught    {:<28} seed {:>4} of {most}  {}\n", bug.name(), c.seed, c.promise)),
            None => {
                print(&format!("MISSED    {:<28} in {most} seeds\n", bug.name()));
                well = false;
            }
        }
    }
    for (seed, promise) in gardener.failing() {
        print(&format!("FAILED    seed {seed} breaks {promise} with nothing planted\n"));
        well = false;
    }
    Ok(well)
}

fn run_apart(case: &Case, bug: Option<Bug>, keep: Keep, filter: Option<String>) -> Result<Outcome> {
    let work = || log::into_notes(filter.as_deref(), || run_with(&case.plan(), bug, keep));
    pool::apart(work).map_err(anyhow::Error::msg)?
}

fn replay(one: &One) -> Result<bool> {
    let (case, bug) = one.case()?;
    let outcome = run_apart(&case, bug, Keep::default(), None)?;
    print(&verdict(&outcome));
    Ok(outcome.broken().is_none())
}

fn explain(one: &One, filter: &Filter, log: Option<String>) -> Result<bool> {
    let (case, bug) = one.case()?;
    let outcome = run_apart(&case, bug, Keep { notes: true, ..Keep::default() }, log)?;
    print(&format!("{}\n{}\n{}", case.plan(), timeline(&outcome, filter), verdict(&outcome)));
    Ok(outcome.broken().is_none())
}

fn shrink_one(one: &One, out: Option<PathBuf>, budget: Budget) -> Result<bool> {
    let (case, bug) = one.case()?;
    let size = |p: &zcluster_simulation::plan::Plan| {
        let operations: usize = p.clients.iter().map(|c| c.ops.len()).sum();
        format!(
            "{} faults, {} clients, {operations} operations, {} nodes",
            p.faults.len(),
            p.clients.len(),
            p.shape.nodes
        )
    };
    let plan = case.plan();
    eprintln!("{}", size(&plan));
    let shrunk = shrink(&plan, bug, budget, |runs, best| eprintln!("{runs:>6} runs: {}", size(best)));
    let Some(shrunk) = shrunk else { bail!("{} breaks no promise", case.name()) };
    let path = out.unwrap_or_else(|| PathBuf::from(format!("target/simulation/{}-small.json", case.stem())));
    let file = PlanFile {
        why: format!("breaks {}", shrunk.promise),
        commit: commit(),
        promise: Some(shrunk.promise.clone()),
        bug: bug.map(|b| b.name().into()),
        plan: shrunk.plan,
    };
    file.write(&path)?;
    let rest = if shrunk.complete { "nothing more can be left out" } else { "the budget is spent" };
    print(&format!(
        "{}\nbreaks {} after {} runs; {rest}\n{}\n",
        file.plan,
        shrunk.promise,
        shrunk.runs,
        path.display()
    ));
    Ok(true)
}

fn show_plan(one: &One, json: bool) -> Result<bool> {
    let (case, bug) = one.case()?;
    let plan = case.plan();
    if json {
        let bug = bug.map(|b| b.name().to_string());
        let file = PlanFile { why: String::new(), commit: commit(), promise: None, bug, plan };
        print(&(serde_json::to_string_pretty(&file)? + "\n"));
    } else {
        print(&plan.to_string());
    }
    Ok(true)
}

fn fingerprint(
    seeds: &Seeds,
    files: &[PathBuf],
    jobs: usize,
    only: Option<usize>,
    range: Option<String>,
) -> Result<bool> {
    let cases = match files {
        [] => seeds.cases(),
        files => files.iter().map(|f| Case::file(f)).collect::<Result<_>>()?,
    };
    let Some(only) = only else {
        determinism::print_fingerprints(&cases, jobs)?;
        return Ok(true);
    };
    let range = range.context("events of what?")?;
    let (from, to) = range.split_once("..").context("events A..B")?;
    let case = cases.get(only).context("there is no such case")?;
    determinism::print_events(case, from.parse()?..to.parse()?)?;
    Ok(true)
}
