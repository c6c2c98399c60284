//! Logs and metrics.

use crate::config::{Log, LogFormat};
use anyhow::{Context, Result};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Stands above the configured filter.
const FILTER_VARIABLE: &str = "ZCLUSTER_LOG";
/// Histogram bounds for durations, seconds.
const SECONDS: [f64; 15] =
    [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Histogram bounds for sizes, bytes.
const BYTES: [f64; 8] = [64.0, 256.0, 1_024.0, 4_096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0];

/// Starts logging to standard error.
///
/// # Errors
/// A filter that does not parse.
#[allow(clippy::disallowed_methods, reason = "an operator in need sets the filter from outside")]
pub fn start_logging(log: &Log) -> Result<()> {
    let mut directives = std::env::var(FILTER_VARIABLE).unwrap_or_else(|_| log.filter.clone());
    // openraft tells each message of each group at INFO, and ordinary races at WARN.
    if !directives.contains("openraft") {
        directives.push_str(",openraft=error");
    }
    let filter = EnvFilter::try_new(&directives).with_context(|| {
        format!("log.filter {directives:?}: use a level (info) or directives (info,zcluster_raft=debug)")
    })?;
    let base = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match log.format {
        LogFormat::Text => base.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => base.json().flatten_event(true).init(),
    }
    Ok(())
}

/// Starts collecting metrics; the handle renders them.
///
/// # Errors
/// When a recorder is installed already.
pub fn start_metrics() -> Result<PrometheusHandle> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_bytes".into()), &BYTES)?;
    Ok(builder.install_recorder()?)
}
