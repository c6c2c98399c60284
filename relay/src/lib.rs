//! Mail to other hosts: what Postfix's smtp(8) and OpenDKIM do.
//!
//! [`Mta`] is the [`Relay`](zcluster_delivery::carry::Relay) of a node: it finds the way of each recipient (transport
//! map, smart host, MX), asks of the next hop the security that its domain publishes (DANE, MTA-STS) or the site demands,
//! and talks to it. It keeps nothing: the queue is the shards' outbox, and a try's results go back there.
//!
//! Rooms: `dns` (lookups), `route` (ways), `policy` (what TLS must prove), `tlsa` and `sts` (what domains publish),
//! `tls` (handshakes), `smtp` (the conversation), `pool` (connections kept), `limits` (destinations), [`dkim`], [`reports`]
//! (what domains are told about their mail).

mod arc;
mod config;
mod convert;
mod dns;
mod limits;
mod mta;
mod policy;
mod pool;
mod route;
mod smtp;
mod sts;
mod tls;
mod tlsa;

pub mod dkim;
pub mod reports;

pub use config::{Credential, RelayConfig};
pub use mta::Mta;
