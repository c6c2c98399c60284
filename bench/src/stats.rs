//! What a load measured, and how it is printed.

use std::time::{Duration, Instant};

use anyhow::Result;
use comfy_table::{CellAlignment, Table, presets};
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::process::Watch;

/// The longest latency that is told apart, in microseconds (two minutes).
const LONGEST_US: u64 = 120_000_000;

/// Latencies and errors of one worker.
pub struct Recorder {
    histogram: Histogram<u64>,
    errors: u64,
    first_error: Option<String>,
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            // Three digits: 0.1 % is finer than the noise of any run.
            histogram: Histogram::new_with_bounds(1, LONGEST_US, 3).expect("constant bounds are valid"),
            errors: 0,
            first_error: None,
        }
    }
}

impl Recorder {
    /// Notes one operation that took so long.
    pub fn record(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(LONGEST_US);
        self.histogram.saturating_record(micros.clamp(1, LONGEST_US));
    }

    /// Notes one operation that the server refused.
    pub fn error(&mut self, reply: &str) {
        self.errors += 1;
        self.first_error.get_or_insert_with(|| reply.trim_end().to_owned());
    }

    /// Operations that succeeded.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// Adds what another worker noted.
    pub fn merge(&mut self, other: Recorder) {
        self.histogram.add(other.histogram).expect("all recorders have the same bounds");
        self.errors += other.errors;
        if self.first_error.is_none() {
            self.first_error = other.first_error;
        }
    }
}

/// One load on one server, in numbers.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Which load it was.
    pub load: String,
    /// Operations that succeeded.
    pub operations: u64,
    /// Operations that the server refused.
    pub errors: u64,
    /// The first refusal, word for word.
    pub first_error: Option<String>,
    /// Wall time of the load in seconds.
    pub seconds: f64,
    /// Operations a second.
    pub per_second: f64,
    /// Latencies in microseconds.
    pub p50_us: u64,
    /// The 99th percentile.
    pub p99_us: u64,
    /// The 99.9th percentile.
    pub p999_us: u64,
    /// The slowest operation.
    pub max_us: u64,
    /// CPU seconds of all server processes per 1,000 operations.
    pub cpu_s_per_1000: Option<f64>,
    /// Memory of all server processes per connection in KiB (the idle memory load only).
    pub kib_per_connection: Option<f64>,
    /// Memory of all server processes in MiB (looks at a queue only).
    pub mib: Option<f64>,
}

/// Measures a load from its start to [`Meter::finish`].
pub struct Meter {
    watch: Watch,
    /// Clock and server's CPU time when it began to run; none while it pauses.
    since: Option<(Instant, f64)>,
    /// Seconds of clock and of CPU before that.
    seconds: f64,
    cpu: f64,
}

impl Meter {
    /// Starts the clock and reads the server's CPU time.
    pub fn start(pids: &[u32]) -> Self {
        let watch = Watch::new(pids);
        let mut meter = Self { watch, since: None, seconds: 0.0, cpu: 0.0 };
        meter.resume();
        meter
    }

    /// Stops the clock: what the server does now is not the load.
    pub fn pause(&mut self) {
        if let Some((started, before)) = self.since.take() {
            self.seconds += started.elapsed().as_secs_f64();
            self.cpu += self.watch.cpu_seconds() - before;
        }
    }

    /// Lets the clock go on.
    pub fn resume(&mut self) {
        let cpu = self.watch.cpu_seconds();
        self.since.get_or_insert_with(|| (Instant::now(), cpu));
    }

    /// Sums up. `per_record` is how many operations one recorded latency stands for.
    pub fn finish(mut self, load: &str, recorder: Recorder, per_record: u64) -> Report {
        self.pause();
        let (seconds, cpu) = (self.seconds, self.cpu);
        let operations = recorder.histogram.len() * per_record;
        let histogram = &recorder.histogram;
        Report {
            load: load.to_owned(),
            operations,
            errors: recorder.errors,
            first_error: recorder.first_error.clone(),
            seconds,
            per_second: operations as f64 / seconds.max(1e-9),
            p50_us: histogram.value_at_quantile(0.5),
            p99_us: histogram.value_at_quantile(0.99),
            p999_us: histogram.value_at_quantile(0.999),
            max_us: histogram.max(),
            cpu_s_per_1000: (!self.watch.is_empty() && operations > 0).then(|| cpu * 1000.0 / operations as f64),
            kib_per_connection: None,
            mib: None,
        }
    }
}

/// Prints reports for people, or as one JSON array.
pub fn print(reports: &[Report], json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(reports)?);
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header([
        "load",
        "operations",
        "errors",
        "per second",
        "p50",
        "p99",
        "p99.9",
        "CPU s / 1000",
        "KiB / conn",
    ]);
    for report in reports {
        table.add_row([
            report.load.clone(),
            report.operations.to_string(),
            report.errors.to_string(),
            number(report.per_second),
            micros(report.p50_us),
            micros(report.p99_us),
            micros(report.p999_us),
            report.cpu_s_per_1000.map_or_else(|| "-".to_owned(), |v| format!("{v:.3}")),
            report.kib_per_connection.map_or_else(|| "-".to_owned(), |v| format!("{v:.1}")),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    println!("{table}");
    for report in reports.iter().filter(|r| r.errors > 0) {
        println!("{}: the first refusal was: {}", report.load, report.first_error.as_deref().unwrap_or("-"));
    }
    Ok(())
}

/// A rate with as many digits as it deserves.
pub fn number(value: f64) -> String {
    if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

/// A latency in the unit that people read.
pub fn micros(value: u64) -> String {
    match value {
        0..1_000 => format!("{value} us"),
        1_000..1_000_000 => format!("{:.1} ms", value as f64 / 1e3),
        _ => format!("{:.2} s", value as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_and_rates_come_from_what_was_recorded() {
        let mut recorder = Recorder::default();
        for ms in 1..=100 {
            recorder.record(Duration::from_millis(ms));
        }
        let mut other = Recorder::default();
        other.error("451 later\r\n");
        recorder.merge(other);
        let report = Meter::start(&[]).finish("x", recorder, 10);
        assert_eq!(report.operations, 1000);
        assert_eq!(report.errors, 1);
        assert_eq!(report.first_error.as_deref(), Some("451 later"));
        assert!((49_900..=50_100).contains(&report.p50_us), "{}", report.p50_us);
        assert!((98_900..=99_200).contains(&report.p99_us), "{}", report.p99_us);
        assert!(report.cpu_s_per_1000.is_none());
    }

    #[test]
    fn a_pause_does_not_count() {
        let mut meter = Meter::start(&[]);
        meter.pause();
        std::thread::sleep(Duration::from_millis(200));
        meter.resume();
        assert!(meter.finish("x", Recorder::default(), 1).seconds < 0.15);
    }

    #[test]
    fn units_fit_the_value() {
        assert_eq!(micros(999), "999 us");
        assert_eq!(micros(1_500), "1.5 ms");
        assert_eq!(micros(2_500_000), "2.50 s");
        assert_eq!(number(1234.5), "1234");
        assert_eq!(number(12.34), "12.3");
    }
}
