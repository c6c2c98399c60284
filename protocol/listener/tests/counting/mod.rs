//! An allocator that counts, for the tests of several crates: bytes held now, and at most since a moment.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicI64, Ordering};

pub struct Counting;

static HELD: AtomicI64 = AtomicI64::new(0);
static PEAK: AtomicI64 = AtomicI64::new(0);

// SAFETY: passes everything on to the system's allocator and counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size() as i64, Ordering::Relaxed) + layout.size() as i64;
        PEAK.fetch_max(held, Ordering::Relaxed);
        // SAFETY: the caller's promises are ours.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: the caller's promises are ours.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes held now.
pub fn held() -> i64 {
    HELD.load(Ordering::Relaxed)
}

/// Begins to look for the most that is held: what is held now.
#[allow(dead_code, reason = "not every test asks for the most")]
pub fn begin() -> i64 {
    let now = held();
    PEAK.store(now, Ordering::Relaxed);
    now
}

/// The most that was held since [`begin`].
#[allow(dead_code, reason = "not every test asks for the most")]
pub fn peak() -> i64 {
    PEAK.load(Ordering::Relaxed)
}
