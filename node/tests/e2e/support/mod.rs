//! What all tests share.

pub mod cluster;
pub mod daemon;
pub mod imap;
pub mod ledger;
pub mod load;
pub mod mail;
pub mod maildir;
pub mod managesieve;
pub mod pop3;
pub mod postfix;
pub mod published;
pub mod remote;
pub mod scene;
pub mod smtp;
pub mod stations;
pub mod tools;
pub mod wire;

use std::time::{Duration, Instant};

/// Whether the long form of the tests is wanted.
pub fn full() -> bool {
    std::env::var("ZCLUSTER_TEST").is_ok_and(|value| value == "full")
}

/// Polls until `condition` holds; panics with `what` after `limit`.
pub fn eventually(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
