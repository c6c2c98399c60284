//! The bridge between the simulated disk and the real one: what the simulator proves is worth something only as far as
//! RocksDB behaves as the disk it was proved on.
//!
//! A few cases run by default; `PROPTEST_CASES` asks for more.

#![allow(missing_docs, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "real disks and processes live in real time")]

mod kill;
mod log;
mod state;
mod support;
mod torn;
