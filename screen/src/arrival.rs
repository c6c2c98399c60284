//! A message that somebody wants us to take.

use crate::screened::Screened;
use bytes::Bytes;
use futures::future::BoxFuture;
use std::net::IpAddr;

/// A message with its envelope, as it was received.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Who connected (IPv4 in its own form, not as ::ffff:a.b.c.d).
    pub client_ip: IpAddr,
    /// The name its address resolves to and which resolves to its address, when that was looked up.
    pub client_name: Option<String>,
    /// What it said in HELO, EHLO or LHLO.
    pub helo: String,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// The account that signed in. Who is set here submits: sender authentication is not asked for, the content is
    /// checked as ever.
    pub authenticated: Option<String>,
    /// The reverse-path without brackets; empty for `<>`.
    pub sender: String,
    /// The recipients that were accepted, without brackets.
    pub recipients: Vec<String>,
    /// The message as the client sent it: without trace fields of ours, dots unstuffed, lines ended by CRLF.
    pub raw: Bytes,
    /// What the logs and the 250 call it.
    pub queue_id: String,
}

/// Looks at messages.
pub trait Screen: Send + Sync {
    /// Looks at one message. Takes a bounded time, whatever the services behind it do; never fails: what a service
    /// that is down means is the screen's own policy, and part of the answer.
    fn screen<'a>(&'a self, arrival: &'a Arrival) -> BoxFuture<'a, Screened>;
}

/// Lets everything pass as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nothing;

impl Screen for Nothing {
    fn screen<'a>(&'a self, _: &'a Arrival) -> BoxFuture<'a, Screened> {
        Box::pin(std::future::ready(Screened::default()))
    }
}
