//! Conversations with the service over a directory in memory.
#![allow(missing_docs)]

mod changes;
mod client;
mod direct;
mod finding;
mod garbage;
mod pages;
mod sign_in;
mod sync;
mod visibility;
