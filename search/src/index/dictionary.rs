//! Wildcards: the words of a segment's dictionary that they stand for.

use crate::ask::How;
use std::cell::Cell;
use tantivy::InvertedIndexReader;
use tantivy::postings::TermInfo;
use tantivy_fst::Automaton;
use zcluster_api::error::{Error, Result};

/// Words that the wildcards of one condition may stand for, all segments together.
const TERMS_MAX: usize = 50_000;
/// Steps through dictionaries for wildcards in front: about a second.
const STEPS_MAX: u64 = 100_000_000;

/// What a condition may still cost.
pub(crate) struct Bounds {
    terms: usize,
    steps: u64,
}

impl Bounds {
    pub fn new() -> Self {
        Bounds { terms: TERMS_MAX, steps: STEPS_MAX }
    }
}

fn too_many(word: &str) -> Error {
    Error::TooLarge(format!("the wildcard at {word:?} stands for too many words: give it more letters"))
}

/// The terms of a field that a wildcard stands for.
///
/// # Errors
/// `TooLarge` when there are too many, or looking takes too long.
pub(crate) fn terms(
    index: &InvertedIndexReader,
    field: &str,
    word: &str,
    how: How,
    bounds: &mut Bounds,
) -> Result<Vec<TermInfo>> {
    let from = if how == How::Prefix { format!("{field}{word}") } else { field.to_owned() };
    let mut out = Vec::new();
    let mut add = |info: &TermInfo| {
        bounds.terms = bounds.terms.checked_sub(1).ok_or_else(|| too_many(word))?;
        out.push(info.clone());
        Ok(())
    };
    // In UTF-8 no byte is 0xff: all that begins so lies below.
    let to = [from.as_bytes(), &[0xff]].concat();
    if how == How::Prefix || how == How::Exact {
        let mut stream = super::fault(index.terms().range().ge(&from).lt(&to).into_stream())?;
        while stream.advance() {
            add(stream.value())?;
        }
        return Ok(out);
    }
    let left = Cell::new(bounds.steps);
    let automaton = Ending {
        skip: field.len(),
        word: word.as_bytes(),
        fail: failures(word.as_bytes()),
        within: how == How::Within,
        left: &left,
    };
    let mut stream = super::fault(index.terms().search(automaton).ge(&from).lt(&to).into_stream())?;
    while stream.advance() {
        add(stream.value())?;
    }
    drop(stream);
    bounds.steps = left.get();
    if bounds.steps == 0 { Err(too_many(word)) } else { Ok(out) }
}

/// Knuth, Morris and Pratt's automaton behind a field's prefix: words that end in `word` or, with `within`, contain it.
struct Ending<'a> {
    skip: usize,
    word: &'a [u8],
    fail: Vec<usize>,
    within: bool,
    left: &'a Cell<u64>,
}

/// For each length of a beginning of `word`, the length of the longest shorter one that it ends with.
fn failures(word: &[u8]) -> Vec<usize> {
    let mut fail = vec![0; word.len() + 1];
    for i in 1..word.len() {
        let mut k = fail[i];
        while k > 0 && word[k] != word[i] {
            k = fail[k];
        }
        fail[i + 1] = if word[k] == word[i] { k + 1 } else { 0 };
    }
    fail
}

impl Automaton for Ending<'_> {
    /// Bytes of the prefix passed, then bytes of the word seen last.
    type State = (usize, usize);

    fn start(&self) -> (usize, usize) {
        (0, 0)
    }
    fn is_match(&self, (_, seen): &(usize, usize)) -> bool {
        *seen == self.word.len()
    }
    fn can_match(&self, _: &(usize, usize)) -> bool {
        self.left.get() > 0
    }
    fn accept(&self, (passed, seen): &(usize, usize), byte: u8) -> (usize, usize) {
        self.left.set(self.left.get().saturating_sub(1));
        if *passed < self.skip {
            return (passed + 1, 0);
        }
        let mut k = *seen;
        if k == self.word.len() {
            if self.within {
                return (*passed, k);
            }
            k = self.fail[k];
        }
        while k > 0 && self.word[k] != byte {
            k = self.fail[k];
        }
        (*passed, if self.word[k] == byte { k + 1 } else { 0 })
    }
}
