//! Deleting by key, without a dictionary of keys: documents lie in their order.

use crate::index::segment::{KEY, docs_of};
use std::ops::RangeInclusive;
use std::sync::Arc;
use tantivy::query::{EnableScoring, Explanation, Query, Scorer, Weight};
use tantivy::{DocId, DocSet, Score, SegmentReader, TERMINATED, TantivyError};

/// Everything whose key lies in one of these ranges, which rise and are apart.
#[derive(Clone, Debug)]
pub(crate) struct Keys(pub Arc<Vec<RangeInclusive<u64>>>);

impl Query for Keys {
    fn weight(&self, _: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(self.clone()))
    }
}

impl Weight for Keys {
    fn scorer(&self, reader: &SegmentReader, _: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let keys = reader.fast_fields().u64(KEY)?.values;
        let mut docs: Vec<DocId> = self.0.iter().flat_map(|range| docs_of(&*keys, range)).collect();
        docs.reverse();
        Ok(Box::new(Docs(docs)))
    }
    fn explain(&self, _: &SegmentReader, _: DocId) -> tantivy::Result<Explanation> {
        Err(TantivyError::InvalidArgument("keys have no score".into()))
    }
}

/// Documents, the next one last.
struct Docs(Vec<DocId>);

impl DocSet for Docs {
    fn advance(&mut self) -> DocId {
        self.0.pop();
        self.doc()
    }
    fn doc(&self) -> DocId {
        self.0.last().copied().unwrap_or(TERMINATED)
    }
    fn size_hint(&self) -> u32 {
        self.0.len() as u32
    }
}

impl Scorer for Docs {
    fn score(&mut self) -> Score {
        1.0
    }
}
