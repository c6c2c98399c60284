//! A run as a timeline that can be read: who led, what broke, what was acknowledged, which promise did not hold.
//!
//! Each node has a column; a line has its node's number there, so that the eye can follow one node down the page.

use crate::run::Outcome;
use crate::world::{Note, OUTSIDE};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Which lines are wanted.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only of these nodes (empty: all); the outside is 0. Faults and broken promises are always shown.
    pub nodes: Vec<u32>,
    /// Only of these kinds (empty: all but `log`, which has to be asked for).
    pub kinds: Vec<String>,
    /// Only from this simulated second.
    pub from: Option<f64>,
    /// Only up to this simulated second.
    pub to: Option<f64>,
}

/// Kinds of lines that are shown whatever node they are of.
const ALWAYS: [&str; 2] = ["fault", "promise"];

impl Filter {
    fn wants(&self, note: &Note) -> bool {
        let at = seconds(note.at);
        let important = ALWAYS.contains(&note.kind);
        let kind = self.kinds.is_empty() || self.kinds.iter().any(|k| k == note.kind);
        let node = self.nodes.is_empty() || self.nodes.contains(&note.node) || important;
        kind && node && self.from.is_none_or(|from| at >= from) && self.to.is_none_or(|to| at <= to)
    }
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// The timeline of an outcome that kept its notes.
pub fn timeline(outcome: &Outcome, filter: &Filter) -> String {
    let notes = &outcome.summary.notes;
    let nodes: BTreeSet<u32> = notes.iter().map(|n| n.node).filter(|n| *n != OUTSIDE).collect();
    let mut text = String::new();
    let columns: Vec<String> = nodes.iter().map(|n| format!("{n:>2}")).collect();
    let _ = writeln!(text, "{:>12}  {}  {:<9} what", "second", columns.join(" "), "kind");
    for note in notes.iter().filter(|n| filter.wants(n)) {
        let _ = writeln!(text, "{}", line(note, &nodes));
    }
    text
}

fn line(note: &Note, nodes: &BTreeSet<u32>) -> String {
    let lanes: Vec<String> = nodes
        .iter()
        .map(|n| match note.node {
            OUTSIDE => "  ".to_string(),
            node if node == *n => format!("{n:>2}"),
            _ => " .".to_string(),
        })
        .collect();
    // A text of several lines stays one entry.
    let text = note.text.replace('\n', "\n                 ");
    format!("{:>12.6}  {}  {:<9} {text}", seconds(note.at), lanes.join(" "), note.kind)
}

/// How it ended, in a few lines.
pub fn verdict(outcome: &Outcome) -> String {
    let summary = &outcome.summary;
    let mut text = String::new();
    for phase in &outcome.phases {
        let _ = writeln!(
            text,
            "{:<9} {:>9.3} simulated s in {:>7.3} wall s",
            phase.name,
            seconds(phase.simulated_ns),
            phase.wall.as_secs_f64()
        );
    }
    let _ = writeln!(text, "history   {} events, {} polls, hash {:016x}", summary.events, summary.polls, summary.hash);
    let _ = writeln!(
        text,
        "clients   {} operations acknowledged, {} refused, {} open",
        outcome.acked, outcome.refused, outcome.open
    );
    if summary.violations.is_empty() {
        let _ = writeln!(text, "promises  all held");
    }
    for violation in &summary.violations {
        let _ = writeln!(text, "BROKEN    {} at {:.6} s: {}", violation.promise, seconds(violation.at), violation.text);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(node: u32, kind: &'static str) -> Note {
        Note { at: 1_500_000_000, node, kind, text: "text".into() }
    }

    #[test]
    fn a_node_has_a_column() {
        let nodes = BTreeSet::from([1, 2, 3]);
        assert_eq!(line(&note(2, "leader"), &nodes), "    1.500000   .  2  .  leader    text");
        assert_eq!(line(&note(0, "ack"), &nodes), "    1.500000            ack       text");
    }

    #[test]
    fn filters_keep_faults() {
        let filter = Filter { nodes: vec![2], ..Filter::default() };
        assert!(filter.wants(&note(2, "leader")) && filter.wants(&note(1, "fault")));
        assert!(!filter.wants(&note(1, "leader")) && !filter.wants(&note(0, "ack")));
        let filter = Filter { from: Some(2.0), ..Filter::default() };
        assert!(!filter.wants(&note(1, "fault")));
    }
}
