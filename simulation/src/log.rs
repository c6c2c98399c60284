//! The software's own log lines, put into the timeline where they belong.

use crate::world;
use std::fmt::{self, Write as _};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// Runs `work` with every log line that passes `filter` as a note of the node that wrote it; without a filter, nothing
/// is logged.
///
/// # Errors
/// The filter is none.
pub fn into_notes<R>(filter: Option<&str>, work: impl FnOnce() -> R) -> anyhow::Result<R> {
    let Some(filter) = filter else { return Ok(work()) };
    let filter = EnvFilter::try_new(filter)?;
    let subscriber = tracing_subscriber::registry().with(filter).with(Notes);
    Ok(tracing::subscriber::with_default(subscriber, work))
}

struct Notes;

impl<S: Subscriber> Layer<S> for Notes {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        let meta = event.metadata();
        world::note(world::current(), "log", || format!("{} {}:{}", meta.level(), meta.target(), line.0));
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}
