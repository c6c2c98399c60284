//! Full text: how texts are taken apart into words, the index of a shard replica, and the same questions answered from a
//! message without an index.
//!
//! What is indexed, looked for and read goes through one pure function (`words`), so that an index and a reader never
//! differ. An index is one of tantivy's; its documents are sorted by mailbox and item, so that a search in a mailbox looks
//! at a range of documents and nothing else (docs/decisions/0029).

mod ask;
mod fragment;
mod index;
mod needle;
mod recognise;
mod scan;
mod terms;
mod words;

pub use index::{Indexes, Settings};
pub use words::ANALYSIS;
