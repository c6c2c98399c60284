//! Bytes to commands and messages to bytes; no I/O.

pub mod command;
pub mod wire;
