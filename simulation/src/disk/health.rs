//! How a disk does: how long a sync takes, and whether writes fail.

use crate::world::{self, Stream};
use std::io;
use std::time::Duration;

/// A slow sync takes at least this long, microseconds.
const SLOW_US: u64 = 20_000;
/// And up to this much longer.
const SLOW_SPREAD_US: u64 = 380_000;
/// No sync takes longer than this, however slow the disk is.
const SYNC_MAX: Duration = Duration::from_secs(20);

/// A disk's speed and faults.
#[derive(Clone, Debug)]
pub(super) struct Health {
    /// How long a sync takes: base and spread, microseconds.
    pub fsync_us: (u32, u32),
    /// How often a sync is a slow one, parts per million.
    pub slow_ppm: u32,
    /// Everything takes so many times as long.
    pub factor: u32,
    /// No space is left.
    pub full: bool,
    /// The next write fails.
    pub fail_next: bool,
    /// A fault was injected that may have stopped the present process, or may stop it yet.
    pub excused: bool,
}

impl Default for Health {
    fn default() -> Self {
        Health { fsync_us: (100, 400), slow_ppm: 0, factor: 1, full: false, fail_next: false, excused: false }
    }
}

impl Health {
    /// How long the next sync takes.
    pub fn sync_time(&self) -> Duration {
        let (base, spread) = (u64::from(self.fsync_us.0), u64::from(self.fsync_us.1));
        let (us, slow) = world::draw(Stream::Disk, |r| {
            let us = base + r.below(spread + 1);
            let slow = r.chance(self.slow_ppm);
            (if slow { us + SLOW_US + r.below(SLOW_SPREAD_US) } else { us }, slow)
        });
        if slow {
            world::count("disk.slow_fsync");
        }
        Duration::from_micros(us.saturating_mul(u64::from(self.factor.max(1)))).min(SYNC_MAX)
    }

    /// Whether a write that needs new space goes through.
    ///
    /// # Errors
    /// ENOSPC or EIO, as told.
    pub fn write(&mut self) -> io::Result<()> {
        if self.full {
            world::count("disk.no_space");
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.overwrite()
    }

    /// Whether a write into space that the file already has goes through.
    ///
    /// # Errors
    /// EIO, as told.
    pub fn overwrite(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.fail_next) {
            world::count("disk.io_error");
            return Err(io::Error::other("input/output error"));
        }
        Ok(())
    }
}
