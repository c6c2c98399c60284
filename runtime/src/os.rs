//! The production side: tokio and the operating system.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this module is the one place that may call them"
)]

use std::future::Future;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// CLOCK_BOOTTIME, which goes on while the machine is suspended: a lease that ran out in a suspended virtual machine
/// must be seen to have run out (CLOCK_MONOTONIC would stop).
pub fn now_ns() -> u64 {
    let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `ts` is a valid timespec for the call to fill.
    let rc = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &mut ts) };
    assert_eq!(rc, 0, "CLOCK_BOOTTIME is there on every supported kernel");
    ts.tv_sec as u64 * 1_000_000_000 + ts.tv_nsec as u64
}

pub fn wall_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64)
}

pub fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(task);
}

pub async fn spawn_blocking(work: impl FnOnce() + Send + 'static) {
    let _ = tokio::task::spawn_blocking(work).await;
}

pub fn sleep(d: Duration) -> tokio::time::Sleep {
    tokio::time::sleep(d)
}

pub fn fill_random(out: &mut [u8]) {
    rand::fill(out);
}
