//! The conversation with another host (RFC 5321, RFC 2033).

mod connection;
mod reply;
mod transaction;

pub use connection::{Connection, Opening};
pub use transaction::{Mail, unfit};
