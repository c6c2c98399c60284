//! Conversations with the service over a back end in memory.

mod client;
mod dialogue;
mod faults;
mod garbage;
#[path = "../../../listener/tests/handshake/mod.rs"]
mod handshake;
mod policies;
mod sign_in;
mod stls;
