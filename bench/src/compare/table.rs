//! The table of the comparison: a row for each figure, a column for each server, ratios to the first server that is not ours.

use comfy_table::{CellAlignment, Table, presets};

use super::Column;
use crate::stats::{Report, micros, number};

/// One figure of a report, and how it is printed.
struct Figure {
    name: &'static str,
    value: fn(&Report) -> Option<f64>,
    print: fn(f64) -> String,
}

const FIGURES: [Figure; 5] = [
    Figure { name: "per second", value: rate, print: number },
    Figure { name: "p50 / p99", value: latency, print: |us| micros(us as u64) },
    Figure { name: "CPU s per 1000", value: |report| report.cpu_s_per_1000, print: |cpu| format!("{cpu:.3}") },
    Figure { name: "KiB per connection", value: |report| report.kib_per_connection, print: |kib| format!("{kib:.1}") },
    Figure { name: "MiB of the server", value: |report| report.mib, print: |mib| format!("{mib:.0}") },
];

fn rate(report: &Report) -> Option<f64> {
    let told_by_rate =
        !["EXISTS", "deferred"].iter().any(|word| report.load.contains(word)) && report.kib_per_connection.is_none();
    told_by_rate.then_some(report.per_second)
}

fn latency(report: &Report) -> Option<f64> {
    report.kib_per_connection.is_none().then_some(report.p50_us as f64)
}

/// Prints it.
pub fn print(columns: &[Column]) {
    let peer = columns.iter().find(|column| !column.server.starts_with("zcluster"));
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    let mut header = vec!["load".to_owned(), "figure".to_owned()];
    for column in columns {
        header.push(column.server.clone());
        if peer.is_some_and(|peer| peer.server != column.server) {
            header.push("ratio".to_owned());
        }
    }
    table.set_header(header);
    for load in loads(columns) {
        for figure in &FIGURES {
            let value = |column: &Column| column.reports.iter().find(|r| r.load == load).and_then(figure.value);
            if columns.iter().all(|column| value(column).is_none()) {
                continue;
            }
            let mut row = vec![load.clone(), figure.name.to_owned()];
            for column in columns {
                let mine = value(column);
                row.push(mine.map_or_else(|| "-".to_owned(), |v| cell(column, &load, figure, v)));
                if let Some(peer) = peer.filter(|peer| peer.server != column.server) {
                    row.push(ratio(mine, value(peer)));
                }
            }
            table.add_row(row);
        }
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    println!("{table}");
    for column in columns {
        for report in column.reports.iter().filter(|report| report.errors > 0) {
            let first = report.first_error.as_deref().unwrap_or("-");
            println!("{}: {} refusals in {}; the first: {first}", column.server, report.errors, report.load);
        }
    }
}

fn loads(columns: &[Column]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for report in columns.iter().flat_map(|column| &column.reports) {
        if !names.contains(&report.load) {
            names.push(report.load.clone());
        }
    }
    names
}

fn cell(column: &Column, load: &str, figure: &Figure, value: f64) -> String {
    let printed = (figure.print)(value);
    match column.reports.iter().find(|report| report.load == load) {
        Some(report) if figure.name.starts_with("p50") => format!("{printed} / {}", micros(report.p99_us)),
        _ => printed,
    }
}

fn ratio(mine: Option<f64>, peer: Option<f64>) -> String {
    match (mine, peer) {
        (Some(mine), Some(peer)) if peer > 0.0 => format!("{:.2}x", mine / peer),
        _ => "-".to_owned(),
    }
}
