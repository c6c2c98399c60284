//! A node's clocks: monotonic with its own offset and rate, wall with its own error.

/// Unix milliseconds at the beginning of every history: 2026-01-01T00:00:00Z.
pub const EPOCH_MS: u64 = 1_767_225_600_000;

/// Both clocks of one node, as functions of true time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    true_base: u64,
    local_base: u64,
    /// Deviation of the rate, parts per million.
    ppm: i64,
    /// The wall clock is wrong by so much.
    wall_error_ms: i64,
}

impl Clock {
    /// A clock that shows `offset_ns` at true time 0.
    pub fn new(offset_ns: u64, ppm: i64, wall_error_ms: i64) -> Self {
        Clock { true_base: 0, local_base: offset_ns, ppm, wall_error_ms }
    }
    fn scaled(&self, ns: u64) -> u64 {
        let drift = i128::from(ns) * i128::from(self.ppm) / 1_000_000;
        (i128::from(ns) + drift).max(0) as u64
    }
    /// The monotonic clock (CLOCK_BOOTTIME), nanoseconds.
    pub fn local_ns(&self, now: u64) -> u64 {
        self.local_base + self.scaled(now.saturating_sub(self.true_base))
    }
    /// The true time at which the monotonic clock shows at least `local`.
    pub fn true_ns(&self, local: u64) -> u64 {
        let ahead = local.saturating_sub(self.local_base);
        let ns = (i128::from(ahead) * 1_000_000 / i128::from(1_000_000 + self.ppm)) as u64;
        let mut at = self.true_base + ns;
        while self.local_ns(at) < local {
            at += 1;
        }
        at
    }
    /// The wall clock, Unix milliseconds.
    pub fn wall_ms(&self, now: u64) -> u64 {
        let drifted = self.local_ns(now).saturating_sub(self.local_base) + self.true_base;
        (EPOCH_MS + drifted / 1_000_000).saturating_add_signed(self.wall_error_ms)
    }
    /// From now on the rate is another.
    pub fn set_rate(&mut self, now: u64, ppm: i64) {
        (self.local_base, self.true_base, self.ppm) = (self.local_ns(now), now, ppm);
    }
    /// The wall clock jumps.
    pub fn jump_wall(&mut self, ms: i64) {
        self.wall_error_ms = self.wall_error_ms.saturating_add(ms);
    }
    /// The wall clock is set right (true time plus what is left of drift).
    pub fn set_wall_right(&mut self) {
        self.wall_error_ms = 0;
    }
}
