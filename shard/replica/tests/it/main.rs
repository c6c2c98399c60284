//! Replicas on real and simulated engines: replay after a crash, snapshots, bodies, search.
#![allow(missing_docs, reason = "tests")]

mod bodies;
mod engines;
mod indexes;
mod replay;
mod snapshots;
mod support;
mod texts;
mod volumes;
