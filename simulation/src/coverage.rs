//! "Sometimes" assertions: rare situations that a test run is worth little without. Every one that a run of many seeds
//! never met is named at its end, because a fault that never strikes and a race that never happens prove nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A situation that a run of many seeds must meet.
pub struct Sometimes {
    /// The name it is counted or probed under.
    pub name: &'static str,
    /// What it is.
    pub what: &'static str,
}

const fn sometimes(name: &'static str, what: &'static str) -> Sometimes {
    Sometimes { name, what }
}

/// All of them.
pub const EXPECTED: &[Sometimes] = &[
    sometimes("fault.cut_one_way", "a link was cut in one direction"),
    sometimes("fault.partition", "nodes were cut off from the others"),
    sometimes("fault.crash", "a node crashed"),
];

/// Adds one run's counters to those of many.
pub fn add(all: &mut BTreeMap<&'static str, u64>, one: &BTreeMap<&'static str, u64>) {
    for (name, n) in one {
        *all.entry(name).or_default() += n;
    }
}

/// How many large faults really struck.
pub fn faults_struck(counters: &BTreeMap<&'static str, u64>) -> u64 {
    counters.iter().filter(|(name, _)| name.starts_with("fault.")).map(|(_, n)| n).sum()
}

/// What was expected and never met.
pub fn never_met(counters: &BTreeMap<&'static str, u64>) -> Vec<&'static Sometimes> {
    EXPECTED.iter().filter(|s| !counters.contains_key(s.name)).collect()
}

/// The counters in three columns, in the order of their names.
pub fn table(counters: &BTreeMap<&'static str, u64>) -> String {
    const COLUMNS: usize = 3;
    let cells: Vec<String> = counters.iter().map(|(name, n)| format!("{name:<30} {n:>9}")).collect();
    let rows = cells.len().div_ceil(COLUMNS);
    let mut text = String::new();
    for row in 0..rows {
        let line: Vec<&str> = cells.iter().skip(row).step_by(rows).map(String::as_str).collect();
        let _ = writeln!(text, "  {}", line.join("   "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_listed_once() {
        for (at, s) in EXPECTED.iter().enumerate() {
            assert!(EXPECTED[..at].iter().all(|other| other.name != s.name), "{}", s.name);
        }
    }

    #[test]
    fn what_was_never_met_is_named() {
        let mut all = BTreeMap::new();
        assert_eq!(never_met(&all).len(), EXPECTED.len());
        add(&mut all, &BTreeMap::from([(EXPECTED[0].name, 2), ("else", 1)]));
        assert_eq!(never_met(&all).len(), EXPECTED.len() - 1);
        assert!(table(&all).contains("else"));
    }
}
