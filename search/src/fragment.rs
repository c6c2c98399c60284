//! The piece of a message's text that shows why it was found.

use crate::ask::{Element, elements};
use crate::scan::fits;
use crate::words::{Kind, take_apart};
use std::collections::BTreeSet;
use std::ops::Range;
use zcluster_api::search::{SearchExpr, TextField};
use zcluster_api::text::{Fragment, TEXT_BYTES_MAX, TextDoc};

/// Places looked at for the best piece.
const HITS_MAX: usize = 2_000;

/// A word that was found: which, and where.
struct Hit {
    of: usize,
    bytes: Range<usize>,
}

/// The best piece; see [`zcluster_api::text::TextIndexes::fragment`].
pub(crate) fn fragment(conditions: &[SearchExpr], doc: &TextDoc, chars: usize) -> Option<Fragment> {
    let phrases: Vec<Vec<Element>> = conditions.iter().filter_map(phrase).filter(|e| !e.is_empty()).collect();
    let mut best: Option<(usize, &str, Vec<Hit>, usize)> = None;
    for (_, text) in doc.texts.iter().filter(|(f, _)| !phrases.is_empty() && *f == TextField::Content) {
        let text = &text[..text.floor_char_boundary(TEXT_BYTES_MAX.min(text.len()))];
        let hits = hits(text, &phrases);
        if let Some((worth, at)) = densest(&hits, chars)
            && best.as_ref().is_none_or(|(w, ..)| worth > *w)
        {
            best = Some((worth, text, hits, at));
        }
    }
    best.map(|(_, text, hits, at)| piece(text, &hits, at, chars))
}

fn phrase(condition: &SearchExpr) -> Option<Vec<Element>> {
    let SearchExpr::Words(words) = condition else { return None };
    words.fields.contains(&TextField::Content).then(|| elements(&words.text, words.prefix, words.suffix))
}

/// Where phrases stand in a text, rising; the words of each occurrence as one.
fn hits(text: &str, phrases: &[Vec<Element>]) -> Vec<Hit> {
    let mut hits: Vec<Hit> = Vec::new();
    for (of, phrase) in phrases.iter().enumerate() {
        // Beginnings of the phrase that are still right: its first position, elements seen, and bytes so far.
        let mut open: Vec<(u32, usize, Range<usize>)> = Vec::new();
        let mut found = 0;
        take_apart(text, &mut |token| {
            if found >= HITS_MAX {
                return;
            }
            open.retain(|(start, seen, _)| start + phrase[*seen].position >= token.position);
            // The last character of a run alone is no word of its own for the reader.
            let shown = if token.kind == Kind::Last && phrase.len() > 1 {
                token.bytes.start..token.bytes.start
            } else {
                token.bytes.clone()
            };
            for (start, seen, bytes) in &mut open {
                if start.wrapping_add(phrase[*seen].position) == token.position && fits(token.word, &phrase[*seen]) {
                    *seen += 1;
                    bytes.end = bytes.end.max(shown.end);
                }
            }
            if fits(token.word, &phrase[0]) {
                open.push((token.position, 1, token.bytes.clone()));
            }
            open.retain(|(_, seen, bytes)| {
                let done = *seen == phrase.len();
                if done {
                    hits.push(Hit { of, bytes: bytes.clone() });
                    found += 1;
                }
                !done
            });
        });
    }
    hits.sort_by_key(|h| (h.bytes.start, h.bytes.end));
    hits
}

/// The first hit of the piece with the most different conditions, and how many those are.
fn densest(hits: &[Hit], chars: usize) -> Option<(usize, usize)> {
    let worth = |i: usize| {
        let near = hits[i..].iter().take_while(|h| h.bytes.end <= hits[i].bytes.start + chars * 3 / 4);
        near.map(|h| h.of).collect::<BTreeSet<_>>().len().max(1)
    };
    (0..hits.len()).map(|i| (worth(i), std::cmp::Reverse(i))).max().map(|(worth, i)| (worth, i.0))
}

/// The text around a hit, white space collapsed.
fn piece(text: &str, hits: &[Hit], at: usize, chars: usize) -> Fragment {
    let hit = hits[at].bytes.start;
    // A quarter before the hit, from the beginning of a word.
    let before = text[..hit].char_indices().rev().take(chars / 4).last().map_or(hit, |(i, _)| i);
    let from = if before == 0 { 0 } else { text[before..hit].find(char::is_whitespace).map_or(hit, |i| before + i) };
    let mut out = Fragment::default();
    let (mut count, mut space) = (0, false);
    // Where in the piece each byte of the text from `from` on came to lie.
    let mut places = Vec::new();
    for c in text[from..].chars() {
        let at = out.text.len() + usize::from(space);
        places.resize(places.len() + c.len_utf8(), at as u32);
        if c.is_whitespace() || c.is_control() {
            space = !out.text.is_empty();
            continue;
        }
        if count + usize::from(space) + 1 > chars {
            break;
        }
        count += usize::from(space) + 1;
        if std::mem::take(&mut space) {
            out.text.push(' ');
        }
        out.text.push(c);
    }
    let len = out.text.len() as u32;
    let place = |byte: usize| byte.checked_sub(from).and_then(|i| places.get(i)).map_or(len, |p| (*p).min(len));
    for hit in hits.iter().filter(|h| h.bytes.start >= from) {
        let (start, end) = (place(hit.bytes.start), place(hit.bytes.end - 1));
        let end = end + out.text[end as usize..].chars().next().map_or(0, |c| c.len_utf8() as u32);
        match out.found.last_mut() {
            Some((_, last)) if start <= *last => *last = end.max(*last),
            _ if start < end => out.found.push((start, end)),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use zcluster_api::search::Words;

    fn words(text: &str, prefix: bool) -> SearchExpr {
        SearchExpr::Words(Words { fields: vec![TextField::Content], text: text.into(), prefix, suffix: false })
    }
    fn doc(texts: &[&str]) -> TextDoc {
        TextDoc { texts: texts.iter().map(|t| (TextField::Content, (*t).to_owned())).collect(), ..TextDoc::default() }
    }
    fn shown(conditions: &[SearchExpr], texts: &[&str], chars: usize) -> String {
        let Some(fragment) = fragment(conditions, &doc(texts), chars) else { return "none".into() };
        let mut out = fragment.text.clone();
        for (from, to) in fragment.found.iter().rev() {
            out.insert(*to as usize, ']');
            out.insert(*from as usize, '[');
        }
        out
    }

    #[test]
    fn shows_what_was_found() {
        let text = "One two  three\r\n four Füve six seven, eight nine ten";
        assert_eq!(shown(&[words("three", false)], &[text], 36), "One two [three] four Füve six seven, e");
        assert_eq!(shown(&[words("three four", false)], &[text], 20), "[three four] Füve six");
        assert_eq!(shown(&[words("fuve", false), words("sev", true)], &[text], 24), "four [Füve] six [seven], eig");
        assert_eq!(shown(&[words("one", false)], &[text], 3), "[One]");
        assert_eq!(shown(&[words("seven eight", false)], &[text], 11), "[seven, eigh]");
        assert_eq!(shown(&[words("eleven", false)], &[text], 20), "none");
        assert_eq!(shown(&[words("...", false)], &[text], 20), "none");
        assert_eq!(shown(&[words("two", false), words("ten", false)], &["two", "ten and two"], 20), "[ten] and [two]");
        assert_eq!(shown(&[words("本語", false)], &["これは日本語です"], 20), "これは日[本語]です");
        assert_eq!(shown(&[words("a@b.c", false)], &["mail a@b.c now"], 20), "mail [a@b.c] now");
        assert_eq!(shown(&[SearchExpr::All], &[text], 20), "none");
    }

    proptest! {
        #[test]
        fn stays_within(text in "[ab日 \r\né.@+]{0,80}", query in "[ab日é@.]{1,3}", prefix: bool, chars in 0usize..30) {
            if let Some(f) = fragment(&[words(&query, prefix)], &doc(&[&text]), chars) {
                prop_assert!(f.text.chars().count() <= chars);
                let mut last = 0;
                for (from, to) in f.found {
                    prop_assert!(from >= last && to > from && f.text.get(from as usize..to as usize).is_some());
                    last = to;
                }
            }
        }
    }
}
