//! Conditions on a message that is in no index.

use crate::ask::{Ask, Element, How, Mark};
use crate::terms::{marks_of, words_of};
use std::collections::{BTreeMap, BTreeSet};
use zcluster_api::text::TextDoc;

/// A message taken apart.
pub(crate) struct Taken {
    words: BTreeMap<String, Vec<u32>>,
    marks: BTreeSet<String>,
}

impl Taken {
    pub fn new(doc: &TextDoc) -> Self {
        let mut taken = Taken { words: BTreeMap::new(), marks: BTreeSet::new() };
        let word_cut = words_of(doc, &mut |term, position| match taken.words.get_mut(term) {
            Some(places) => places.push(position),
            None => {
                taken.words.insert(term.to_owned(), vec![position]);
            }
        });
        marks_of(doc, word_cut, &mut |mark| {
            taken.marks.insert(mark.to_owned());
        });
        taken
    }

    pub fn matches(&self, ask: &Ask) -> bool {
        match ask {
            Ask::All => true,
            Ask::Any(asks) => asks.iter().any(|a| self.matches(a)),
            Ask::Marks(marks) => marks.iter().any(|m| self.has(m)),
            Ask::Phrase { fields, elements } => fields.iter().any(|f| self.has_phrase(f, elements)),
        }
    }

    fn has(&self, mark: &Mark) -> bool {
        match mark {
            Mark::Is(mark) => self.marks.contains(mark),
            Mark::Begins(mark) => self.marks.range(mark.clone()..).next().is_some_and(|m| m.starts_with(mark)),
        }
    }

    fn has_phrase(&self, field: &str, elements: &[Element]) -> bool {
        let places: Vec<Vec<u32>> = elements.iter().map(|e| self.places(field, e)).collect();
        let Some((first, rest)) = places.split_first() else { return true };
        first.iter().any(|start| {
            let follows = |(e, places): (&Element, &Vec<u32>)| places.binary_search(&(start + e.position)).is_ok();
            elements[1..].iter().zip(rest).all(follows)
        })
    }

    /// Where an element stands in a field.
    fn places(&self, field: &str, element: &Element) -> Vec<u32> {
        let term = format!("{field}{}", element.word);
        if element.how == How::Exact {
            return self.words.get(&term).cloned().unwrap_or_default();
        }
        let from = if element.how == How::Prefix { term } else { field.to_owned() };
        let in_field = self.words.range(from..).take_while(|(t, _)| t.starts_with(field));
        let mut out: Vec<u32> =
            in_field.filter(|(t, _)| fits(&t[field.len()..], element)).flat_map(|(_, p)| p).copied().collect();
        out.sort_unstable();
        out
    }
}

/// Whether a word is what an element stands for.
pub(crate) fn fits(word: &str, element: &Element) -> bool {
    match element.how {
        How::Exact => word == element.word,
        How::Prefix => word.starts_with(&element.word),
        How::Suffix => word.ends_with(&element.word),
        How::Within => word.contains(&element.word),
    }
}
