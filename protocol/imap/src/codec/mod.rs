//! Bytes <-> types: what clients may say and how we answer. No I/O, no session state.
//!
//! Reading has two stages, so that one bad line never desynchronises a connection: [`fragment`] finds where a command,
//! literals included, ends; [`parse`] then reads the whole of it.

pub mod body;
pub mod command;
pub mod cursor;
pub mod date;
pub mod flags;
pub mod fragment;
pub mod parse;
pub mod parse_append;
mod parse_fetch;
mod parse_list;
mod parse_notify;
mod parse_return;
mod parse_search;
mod parse_select;
mod parse_sharing;
mod parse_sort;
mod parse_store;
pub mod pattern;
pub mod sequence;
pub mod url;
pub mod utf7;
pub mod write;

pub use command::{Command, Request};
pub use cursor::{Fault, Parse};
pub use sequence::SequenceSet;
