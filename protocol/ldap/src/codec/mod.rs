//! Bytes to requests and replies to bytes; no I/O.
//!
//! LDAP uses a small part of BER (RFC 4511 §5.1): definite lengths, one-byte tags, octet strings in one piece. The
//! crates at hand do not fit: `rasn-ldap` has neither increments nor result codes beyond RFC 4511, and refuses a bind
//! whose method it does not know; `ldap3_proto` ends the session over a filter whose value is not UTF-8, and both build
//! trees of tens of times the message's size. So the bytes are read in place here; `ldap3_proto` checks it in the tests.

pub mod ber;
pub mod controls;
pub mod filter;
pub mod reply;
pub mod request;
