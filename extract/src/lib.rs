//! The text of attachments, for search: read by libraries that were not written for hostile files, and therefore in a
//! process of its own that can do nothing but compute (docs/decisions/0028).
//!
//! - [`text::extract`] reads one document in memory and gives its text. It bounds what it unpacks and what it returns, but a
//!   hostile file may still make a library under it spin, eat memory or overflow the stack.
//! - [`worker::run`] is the loop of the child process: it locks itself in, then answers one document after another.
//! - [`pool::Pool`] keeps those processes: it starts, feeds, limits and kills them. It is what the rest of zcluster calls.
//!
//! Known by its absence of: mailboxes, MIME (whoever calls has decoded the part already), files and sockets.

mod document;
pub mod pool;
pub mod text;
pub mod worker;

pub use document::{Document, ExtractError, Extracted, Killed, Limits};
pub use pool::{Pool, PoolConfig};
