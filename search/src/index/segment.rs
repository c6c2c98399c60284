//! One segment of an index: its documents lie in the order of their keys, so that a mailbox is a range of them.

use crate::ask::{Ask, Element, How, Mark};
use crate::index::dictionary::{Bounds, terms};
use std::ops::Range;
use std::sync::Arc;
use tantivy::columnar::ColumnValues;
use tantivy::postings::{Postings, SegmentPostings, TermInfo};
use tantivy::schema::IndexRecordOption;
use tantivy::{DocId, DocSet, InvertedIndexReader, SegmentReader};
use zcluster_api::error::Result;

/// The field that documents are sorted by: mailbox and item in one number.
pub(crate) const KEY: &str = "key";
/// The field of words, with their places.
pub(crate) const WORDS: &str = "words";
/// The field of marks, without.
pub(crate) const MARKS: &str = "marks";

/// A segment, opened.
pub(crate) struct Segment {
    reader: SegmentReader,
    words: Arc<InvertedIndexReader>,
    marks: Arc<InvertedIndexReader>,
    keys: Arc<dyn ColumnValues<u64>>,
}

/// The keys of all items of a mailbox.
pub(crate) fn keys(mailbox: u32) -> std::ops::RangeInclusive<u64> {
    key(mailbox, 0)..=key(mailbox, u32::MAX)
}

/// The key of an item.
pub(crate) fn key(mailbox: u32, item: u32) -> u64 {
    u64::from(mailbox) << 32 | u64::from(item)
}

/// The documents, deleted ones too, whose keys lie in a range.
pub(crate) fn docs_of(keys: &dyn ColumnValues<u64>, range: &std::ops::RangeInclusive<u64>) -> Range<DocId> {
    let n = keys.num_vals();
    if n == 0 || *range.start() > keys.max_value() || *range.end() < keys.min_value() {
        return 0..0;
    }
    let first = |from: DocId, after: &dyn Fn(u64) -> bool| {
        let (mut low, mut high) = (from, n);
        while low < high {
            let middle = low + (high - low) / 2;
            if after(keys.get_val(middle)) { high = middle } else { low = middle + 1 }
        }
        low
    };
    let start = first(0, &|k| k >= *range.start());
    start..first(start, &|k| k > *range.end())
}

impl Segment {
    pub fn open(reader: &SegmentReader) -> tantivy::Result<Segment> {
        let schema = reader.schema();
        Ok(Segment {
            words: reader.inverted_index(schema.get_field(WORDS)?)?,
            marks: reader.inverted_index(schema.get_field(MARKS)?)?,
            keys: reader.fast_fields().u64(KEY)?.values,
            reader: reader.clone(),
        })
    }

    /// The documents of a range of keys.
    pub fn docs(&self, keys: &std::ops::RangeInclusive<u64>) -> Range<DocId> {
        docs_of(&*self.keys, keys)
    }

    /// A document's key, unless it is deleted.
    pub fn alive(&self, doc: DocId) -> Option<u64> {
        (!self.reader.is_deleted(doc)).then(|| self.keys.get_val(doc))
    }

    /// The first document with a greater key than that.
    pub fn after(&self, key: u64) -> DocId {
        docs_of(&*self.keys, &(0..=key)).end
    }

    /// Documents, deleted ones too.
    pub fn len(&self) -> DocId {
        self.reader.max_doc()
    }

    /// Tells the documents of `docs` that a condition holds for; some may come several times, deleted ones too.
    ///
    /// # Errors
    /// `TooLarge` when a wildcard stands for too many words; `Internal` for damage.
    pub fn find(&self, ask: &Ask, docs: &Range<DocId>, bounds: &mut Bounds, sink: &mut dyn FnMut(DocId)) -> Result<()> {
        match ask {
            Ask::All => docs.clone().for_each(sink),
            Ask::Any(asks) => asks.iter().try_for_each(|a| self.find(a, docs, bounds, sink))?,
            Ask::Marks(marks) => marks.iter().try_for_each(|m| self.mark(m, docs, bounds, sink))?,
            Ask::Phrase { fields, elements } => {
                fields.iter().try_for_each(|f| self.phrase(f, elements, docs, bounds, sink))?;
            }
        }
        Ok(())
    }

    fn mark(&self, mark: &Mark, docs: &Range<DocId>, bounds: &mut Bounds, sink: &mut dyn FnMut(DocId)) -> Result<()> {
        let infos = match mark {
            Mark::Is(mark) => super::fault(self.marks.terms().get(mark))?.into_iter().collect(),
            Mark::Begins(mark) => terms(&self.marks, "", mark, How::Prefix, bounds)?,
        };
        infos.iter().try_for_each(|info| each(&self.marks, info, docs, sink))
    }

    fn phrase(
        &self,
        field: &str,
        elements: &[Element],
        docs: &Range<DocId>,
        bounds: &mut Bounds,
        sink: &mut dyn FnMut(DocId),
    ) -> Result<()> {
        let mut found: Vec<(u32, Vec<TermInfo>)> = Vec::with_capacity(elements.len());
        // Exact words first: one that is not there spares looking for wildcards.
        let (exact, wild): (Vec<&Element>, Vec<&Element>) = elements.iter().partition(|e| e.how == How::Exact);
        for element in exact.into_iter().chain(wild) {
            let infos = match element.how {
                How::Exact => {
                    super::fault(self.words.terms().get(format!("{field}{}", element.word)))?.into_iter().collect()
                }
                how => terms(&self.words, field, &element.word, how, bounds)?,
            };
            if infos.is_empty() {
                return Ok(());
            }
            found.push((element.position, infos));
        }
        if let [(_, infos)] = found.as_slice() {
            return infos.iter().try_for_each(|info| each(&self.words, info, docs, sink));
        }
        let open = |(position, infos): (u32, Vec<TermInfo>)| Places::open(&self.words, position, &infos, docs);
        let mut places = found.into_iter().map(open).collect::<Result<Vec<_>>>()?;
        places.sort_by_key(Places::cost);
        in_a_row(&mut places, docs, sink);
        Ok(())
    }
}

/// Tells the documents of a range that have a term.
fn each(index: &InvertedIndexReader, info: &TermInfo, docs: &Range<DocId>, sink: &mut dyn FnMut(DocId)) -> Result<()> {
    let mut postings = super::fault(index.read_postings_from_terminfo(info, IndexRecordOption::Basic))?;
    let mut doc = if postings.doc() < docs.start { postings.seek(docs.start) } else { postings.doc() };
    while doc < docs.end {
        sink(doc);
        doc = postings.advance();
    }
    Ok(())
}

/// Where an element of a phrase stands.
enum Places {
    /// One word.
    Word { position: u32, postings: Box<SegmentPostings> },
    /// The words of a wildcard, read: documents rising, with places rising.
    Words { position: u32, at: usize, docs: Vec<(DocId, Vec<u32>)> },
}

impl Places {
    fn open(index: &InvertedIndexReader, position: u32, infos: &[TermInfo], docs: &Range<DocId>) -> Result<Places> {
        let read =
            |info| super::fault(index.read_postings_from_terminfo(info, IndexRecordOption::WithFreqsAndPositions));
        if let [info] = infos {
            return Ok(Places::Word { position, postings: Box::new(read(info)?) });
        }
        let mut all: Vec<(DocId, Vec<u32>)> = Vec::new();
        for info in infos {
            let mut postings = read(info)?;
            let mut doc = if postings.doc() < docs.start { postings.seek(docs.start) } else { postings.doc() };
            while doc < docs.end {
                let mut places = Vec::new();
                postings.positions(&mut places);
                all.push((doc, places));
                doc = postings.advance();
            }
        }
        all.sort_by_key(|(doc, _)| *doc);
        all.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1.append(&mut next.1);
            }
            same
        });
        all.iter_mut().for_each(|(_, places)| places.sort_unstable());
        Ok(Places::Words { position, at: 0, docs: all })
    }

    fn cost(&self) -> u32 {
        match self {
            Places::Word { postings, .. } => postings.size_hint(),
            Places::Words { docs, .. } => docs.len() as u32,
        }
    }

    /// The first document from `target` on; after all when there is none.
    fn seek(&mut self, target: DocId) -> DocId {
        match self {
            Places::Word { postings, .. } => {
                if postings.doc() < target {
                    postings.seek(target)
                } else {
                    postings.doc()
                }
            }
            Places::Words { at, docs, .. } => {
                *at += docs[*at..].partition_point(|(doc, _)| *doc < target);
                docs.get(*at).map_or(tantivy::TERMINATED, |(doc, _)| *doc)
            }
        }
    }

    /// Where the phrase would begin by the places in the document that was sought.
    fn starts(&mut self, out: &mut Vec<u32>) {
        out.clear();
        let position = match self {
            Places::Word { position, postings } => {
                postings.positions(out);
                *position
            }
            Places::Words { position, at, docs } => {
                out.extend_from_slice(&docs[*at].1);
                *position
            }
        };
        out.retain_mut(|place| place.checked_sub(position).map(|start| *place = start).is_some());
    }
}

/// Tells the documents where all elements stand in a row.
fn in_a_row(places: &mut [Places], docs: &Range<DocId>, sink: &mut dyn FnMut(DocId)) {
    let (mut starts, mut others) = (Vec::new(), Vec::new());
    let mut doc = docs.start;
    'docs: while doc < docs.end {
        for i in 0..places.len() {
            let found = places[i].seek(doc);
            if found != doc {
                doc = found;
                continue 'docs;
            }
        }
        places[0].starts(&mut starts);
        for place in &mut places[1..] {
            place.starts(&mut others);
            starts.retain(|start| others.binary_search(start).is_ok());
            if starts.is_empty() {
                break;
            }
        }
        if !starts.is_empty() {
            sink(doc);
        }
        doc += 1;
    }
}
