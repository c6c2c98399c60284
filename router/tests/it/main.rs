//! Routers of whole clusters in one process, over a network in memory.
#![allow(missing_docs, reason = "tests")]

mod basics;
mod cluster;
mod failover;
mod growth;
mod net;
mod packing;
mod retention;
mod volumes;
