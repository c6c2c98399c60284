//! The tables of the run.

use comfy_table::{CellAlignment, Table, presets};

use super::{Found, Stored};
use crate::stats::number;

fn table(header: Vec<String>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(header);
    table
}

fn show(mut table: Table) {
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    println!("{table}\n");
}

type Figure = (&'static str, fn(&Stored) -> f64, fn(f64) -> String);

/// Filling and indexing.
pub fn stored(all: &[Stored]) {
    let figures: [Figure; 13] = [
        ("messages", |s| s.messages as f64, number),
        ("MB of messages", |s| s.message_bytes as f64 / 1e6, number),
        ("MB of text in them", |s| s.text_bytes as f64 / 1e6, number),
        ("appended a second", |s| s.load.per_second, number),
        ("CPU s per 1000 appended", |s| s.load.cpu_s_per_1000.unwrap_or(0.0), |v| format!("{v:.3}")),
        ("indexed a second", |s| s.messages as f64 / s.index.seconds, number),
        ("MB of text a second", |s| s.text_bytes as f64 / 1e6 / s.index.seconds, |v| format!("{v:.2}")),
        ("CPU s per 1000 indexed", |s| s.index.cpu_seconds * 1e3 / s.messages as f64, |v| format!("{v:.3}")),
        ("both, messages a second", |s| s.messages as f64 / (s.index.seconds + s.load.seconds), number),
        ("MB of indexes", |s| s.index.bytes as f64 / 1e6, number),
        ("bytes of index per byte of text", Stored::index_per_text, |v| format!("{v:.2}")),
        (
            "bytes of index per byte of message",
            |s| s.index.bytes as f64 / s.message_bytes as f64,
            |v| format!("{v:.2}"),
        ),
        ("MiB of memory after the searches", |s| s.memory_kib as f64 / 1024.0, number),
    ];
    let mut header = vec!["figure".to_owned()];
    header.extend(all.iter().map(|stored| stored.server.clone()));
    if all.len() == 2 {
        header.push("ratio".to_owned());
    }
    let mut table = table(header);
    for (name, value, print) in figures {
        let mut row = vec![name.to_owned()];
        row.extend(all.iter().map(|stored| print(value(stored))));
        if let [ours, theirs] = all {
            row.push(format!("{:.2}x", value(ours) / value(theirs)));
        }
        table.add_row(row);
    }
    show(table);
}

/// What was found: of those words that were put to all servers.
pub fn found(servers: &[String], all: &[Vec<Found>]) {
    let mut header: Vec<String> = ["hits", "words", "must be"].map(str::to_owned).into();
    header.extend(servers.iter().cloned());
    let mut table = table(header);
    let mut loads: Vec<&str> = Vec::new();
    for found in all.iter().flatten() {
        if !loads.contains(&found.load) {
            loads.push(found.load);
        }
    }
    for load in loads {
        let of: Vec<Option<&Found>> = all.iter().map(|found| found.iter().find(|f| f.load == load)).collect();
        let words = of.iter().flatten().map(|found| found.hits.len()).min().unwrap_or(0);
        let expected =
            of.iter().flatten().next().and_then(|f| f.expected[..words].iter().copied().sum::<Option<u64>>());
        let mut row = vec![load.to_owned(), words.to_string(), expected.map_or("-".to_owned(), |n| n.to_string())];
        for found in of {
            row.push(found.map_or("-".to_owned(), |f| f.hits[..words].iter().sum::<u64>().to_string()));
        }
        table.add_row(row);
    }
    show(table);
}
