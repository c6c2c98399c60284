//! The one place where the simulator looks at a real clock: to say how fast it is. No world ever sees this time.

use std::time::Duration;

/// Measures real time.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::disallowed_types, reason = "the tool around the worlds lives in real time")]
pub struct Stopwatch(std::time::Instant);

impl Stopwatch {
    /// Starts now.
    #[allow(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        reason = "the tool around the worlds lives in real time"
    )]
    pub fn start() -> Self {
        Stopwatch(std::time::Instant::now())
    }
    /// Real time since the start.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
