//! A mail program: one account, one connection at a time, a memory that outlives connections.

mod book;
mod folders;
pub(super) mod frames;
mod messages;
mod parse;
mod program;
mod response;
mod session;
mod view;

pub use program::{Program, try_password};
