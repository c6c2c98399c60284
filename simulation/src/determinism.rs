//! The same seed must give the same history, always: a failure that does not come back cannot be understood.
//!
//! Every case is run in two processes, whose environments, address spaces and orders of cases differ. Of each history
//! both know the hash and a mark at every thousandth event; where they differ, both run again and keep the events after
//! the last common mark, and the first that differs is named.

use crate::plan::Case;
use crate::pool::{self, News};
use crate::run::{Outcome, run_with};
use crate::world::{Event, Keep, MARK_EVERY};
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::ops::{ControlFlow, Range};
use std::process::{Child, Command, Stdio};

/// What two runs of a case must have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// The hash over the whole history.
    pub hash: u64,
    /// Events in it.
    pub events: u64,
    /// The promise broken first, or `-`.
    pub broken: String,
    /// Half of the hash at each thousandth event: enough to find the first difference by.
    pub marks: Vec<u32>,
}

impl Fingerprint {
    /// That of an outcome.
    pub fn of(outcome: &Outcome) -> Self {
        let summary = &outcome.summary;
        Fingerprint {
            hash: summary.hash,
            events: summary.events,
            broken: outcome.broken().unwrap_or("-").into(),
            marks: summary.marks.iter().map(|m| *m as u32).collect(),
        }
    }
    fn line(&self, place: usize) -> String {
        let mut line = format!("{place} {:016x} {} {} ", self.hash, self.events, self.broken);
        for mark in &self.marks {
            let _ = write!(line, "{mark:08x}");
        }
        line
    }
    fn parse(line: &str) -> Option<(usize, Self)> {
        let mut words = line.split(' ');
        let place = words.next()?.parse().ok()?;
        let hash = u64::from_str_radix(words.next()?, 16).ok()?;
        let events = words.next()?.parse().ok()?;
        let broken = words.next()?.to_string();
        let marks = words.next()?.as_bytes().chunks(8).map(|c| u32::from_str_radix(str::from_utf8(c).ok()?, 16).ok());
        Some((place, Fingerprint { hash, events, broken, marks: marks.collect::<Option<_>>()? }))
    }
    /// The events among which the first difference to another history is; `None` when there is none.
    fn differs_in(&self, other: &Self) -> Option<Range<u64>> {
        if self == other {
            return None;
        }
        let common = self.marks.iter().zip(&other.marks).take_while(|(a, b)| a == b).count() as u64;
        Some(common * MARK_EVERY..(common + 1) * MARK_EVERY)
    }
}

/// A case whose two histories differ.
#[derive(Clone, Debug)]
pub struct Mismatch {
    /// The case's name.
    pub case: String,
    /// The first event that differs, in both histories, with what came before; for people.
    pub text: String,
}

/// The command line that makes another process of this program print fingerprints of the same cases.
#[derive(Clone, Debug)]
pub struct Twin {
    /// Arguments that name the cases: `--seeds A..B --scale S` or files.
    pub cases: Vec<String>,
    /// Worlds at a time.
    pub jobs: usize,
}

/// The twin at work.
pub struct Running {
    child: Child,
    lines: std::thread::JoinHandle<BTreeMap<usize, Fingerprint>>,
}

impl Twin {
    fn command(&self, more: &[String]) -> Result<Command> {
        let mut command = Command::new(std::env::current_exe().context("where is this program?")?);
        command.arg("fingerprint").args(&self.cases).arg("--jobs").arg(self.jobs.to_string()).args(more);
        // Another size of environment moves the stack; other variables would change what looks at them.
        command.env("ZCLUSTER_SIMULATION_TWIN", "x".repeat(12_345)).env("TZ", "Asia/Kathmandu").env("LC_ALL", "C");
        command.env("HOME", "/nonexistent").stdin(Stdio::null()).stdout(Stdio::piped());
        Ok(command)
    }
    /// Starts it.
    ///
    /// # Errors
    /// It cannot be started.
    #[allow(clippy::disallowed_methods, reason = "the tool around the worlds has threads; no world knows of it")]
    pub fn start(&self) -> Result<Running> {
        let mut child = self.command(&[])?.spawn().context("the twin cannot be started")?;
        let out = BufReader::new(child.stdout.take().context("the twin has no output")?);
        let read = move || out.lines().map_while(Result::ok).filter_map(|l| Fingerprint::parse(&l)).collect();
        let lines = std::thread::Builder::new().name("twin".into()).spawn(read)?;
        Ok(Running { child, lines })
    }
    /// The events of a case in a range of numbers, as that process sees them.
    fn events(&self, place: usize, range: &Range<u64>) -> Result<Vec<String>> {
        let more = [format!("--only={place}"), format!("--events={}..{}", range.start, range.end)];
        let output = self.command(&more)?.output().context("the twin cannot be started")?;
        if !output.status.success() {
            bail!("the twin ended with {}", output.status);
        }
        Ok(String::from_utf8_lossy(&output.stdout).lines().map(ToString::to_string).collect())
    }
}

impl Running {
    /// Waits until it has run all cases.
    ///
    /// # Errors
    /// It did not end well.
    pub fn finish(mut self) -> Result<BTreeMap<usize, Fingerprint>> {
        let lines = self.lines.join().map_err(|_| anyhow::anyhow!("the twin's output cannot be read"))?;
        let status = self.child.wait()?;
        if !status.success() {
            bail!("the twin ended with {status} after {} cases", lines.len());
        }
        Ok(lines)
    }
}

/// Compares this process's fingerprints with the twin's.
///
/// # Errors
/// The twin cannot run cases again.
pub fn compare(
    cases: &[Case],
    ours: &BTreeMap<usize, Fingerprint>,
    theirs: &BTreeMap<usize, Fingerprint>,
    twin: &Twin,
) -> Result<Vec<Mismatch>> {
    let mut mismatches = Vec::new();
    for (place, case) in cases.iter().enumerate() {
        let text = match (ours.get(&place), theirs.get(&place)) {
            (Some(a), Some(b)) => match a.differs_in(b) {
                None => continue,
                Some(range) => locate(case, place, range, twin)?,
            },
            _ => "only one of two processes came to its end".into(),
        };
        mismatches.push(Mismatch { case: case.name(), text });
    }
    Ok(mismatches)
}

/// Runs both again and finds the first event that differs.
fn locate(case: &Case, place: usize, range: Range<u64>, twin: &Twin) -> Result<String> {
    /// Events that are shown before the one that differs.
    const BEFORE: usize = 5;
    let ours = events(case, range.clone())?;
    let theirs = twin.events(place, &range)?;
    let same = ours.iter().zip(&theirs).take_while(|(a, b)| a == b).count();
    if same == ours.len() && same == theirs.len() {
        return Ok(format!("the histories differed after event {}, but not when they were run again", range.start));
    }
    let mut text = String::new();
    for line in &ours[same.saturating_sub(BEFORE)..same] {
        let _ = writeln!(text, "    both    {line}");
    }
    let none = "(nothing)".to_string();
    let _ = writeln!(text, "    here    {}", ours.get(same).unwrap_or(&none));
    let _ = write!(text, "    there   {}", theirs.get(same).unwrap_or(&none));
    Ok(text)
}

fn events(case: &Case, range: Range<u64>) -> Result<Vec<String>> {
    let bug = case.bug()?;
    let keep = Keep { events: range, ..Keep::default() };
    let outcome = pool::apart(|| run_with(&case.plan(), bug, keep)).map_err(anyhow::Error::msg)?;
    Ok(outcome.summary.kept.iter().map(event_line).collect())
}

fn event_line(event: &Event) -> String {
    let Event { number, at, node, kind, facts } = event;
    format!("event {number} at {at} ns on node {node}: {kind} {facts:?}")
}

/// What the twin does: prints the fingerprints of all cases, the last one first, as they come in.
///
/// # Errors
/// A case names a bug that is none, or nobody reads what is printed.
pub fn print_fingerprints(cases: &[Case], jobs: usize) -> Result<()> {
    let bugs = cases.iter().map(Case::bug).collect::<Result<Vec<_>>>()?;
    let work = |place: usize| (place, Fingerprint::of(&run_with(&cases[place].plan(), bugs[place], Keep::default())));
    let mut out = std::io::stdout().lock();
    let mut result = Ok(());
    pool::each(jobs, (0..cases.len()).rev(), work, |news| {
        if let News::Done(_, Ok((place, fingerprint))) = news {
            result = writeln!(out, "{}", fingerprint.line(place));
        }
        if result.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    out.flush()?;
    Ok(result?)
}

/// What the twin does: prints the events of one case in a range of numbers.
///
/// # Errors
/// The case cannot be run.
pub fn print_events(case: &Case, range: Range<u64>) -> Result<()> {
    let lines = events(case, range)?;
    let mut out = std::io::stdout().lock();
    for line in lines {
        writeln!(out, "{line}")?;
    }
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(marks: &[u32]) -> Fingerprint {
        Fingerprint { hash: 7, events: 2_500, broken: "-".into(), marks: marks.to_vec() }
    }

    #[test]
    fn fingerprints_survive_a_line() {
        for marks in [&[][..], &[1, 0xffff_ffff]] {
            let f = fingerprint(marks);
            assert_eq!(Fingerprint::parse(&f.line(3)), Some((3, f)));
        }
        assert_eq!(Fingerprint::parse("warning: something else"), None);
    }

    #[test]
    fn the_first_difference_is_between_two_marks() {
        let a = fingerprint(&[1, 2, 3]);
        assert_eq!(a.differs_in(&a), None);
        assert_eq!(a.differs_in(&fingerprint(&[1, 9, 3])), Some(1_000..2_000));
        let end = Fingerprint { hash: 8, ..a.clone() };
        assert_eq!(a.differs_in(&end), Some(3_000..4_000));
    }
}
