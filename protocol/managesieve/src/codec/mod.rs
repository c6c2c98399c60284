//! Bytes to commands and replies to bytes; no I/O.

pub mod command;
pub mod reply;
pub mod words;
