//! Full text: how texts are taken apart into words, the index of a shard replica, and the same questions answered from a
//! message without an index.
//!
//! What is indexed, looked for and read goes through one pure function (`words`), so that an index and a reader never
//! differ. An index is one of tantivy's; its documents are sorted by mailbox and item, so that a search in a mailbox looks
//! at a range of documents and nothing else (docs/decisions/0029).

mod ask;
mod fragment;
#[cfg(feature = "disk")]
mod index;
mod memory;
#[cfg(feature = "disk")]
mod needle;
mod recognise;
mod scan;
mod terms;
mod words;

#[cfg(feature = "disk")]
pub use index::{Indexes, Settings};
pub use memory::Memory;
pub use words::ANALYSIS;

/// Whether a condition on text holds for a message; see [`zcluster_api::text::TextIndexes::matches`].
fn matches(
    leaf: &zcluster_api::search::SearchExpr,
    doc: &zcluster_api::text::TextDoc,
) -> zcluster_api::error::Result<bool> {
    Ok(scan::Taken::new(doc).matches(&ask::Ask::new(leaf)?))
}
