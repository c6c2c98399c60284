//! The whole crate by its public API: the documents' examples, what does not compile, how actions go together, and
//! inputs of all kinds.
#![allow(missing_docs)]

mod actions;
mod core;
mod diagnostics;
mod differential;
mod edits;
mod extensions;
mod garbage;
mod limits;
mod mime;
mod replies;
mod support;
mod variables;
