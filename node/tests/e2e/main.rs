//! End-to-end tests: real `zcluster` processes, real sockets, real kills, and the mail programs that people use.
//!
//! Each test starts its own cluster; one cluster runs at a time (`ZCLUSTER_TEST_CLUSTERS` allows more), so that the
//! times that are measured mean something on two cores. `ZCLUSTER_TEST=full` does 20 kills and 10,000 connections.
// Tests stand outside the seam that the simulator owns: they use the machine's clock, threads and sockets.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::disallowed_macros)]
#![allow(missing_docs)]

mod support;

mod acme;
mod address_book;
mod admin;
mod away;
mod bad_input;
mod blobs;
mod catch_up;
mod clients;
mod compressed_tls;
mod curl;
mod deleted;
mod demo;
mod fetchers;
mod filters;
mod idle_many;
mod imaplib;
mod introspection;
mod kill_all;
mod kill_one;
mod ldap;
mod lists;
mod mbsync_both_ways;
mod neomutt;
mod offlineimap;
mod outbound;
mod outbound_killed;
mod packing;
mod partition;
mod pause;
mod postfix;
mod postfix_in;
mod provisioning;
mod published_tls;
mod refusals;
mod reports;
mod screen;
mod search;
mod sieve_connect;
mod signing_in;
mod smart_host;
mod smtp_edge;
mod submission;
mod volumes;
mod zimbra_import;
