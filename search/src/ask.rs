//! Conditions as what to look up.

use crate::terms::{self, CONTENT};
use crate::words::{Kind, Token, local_start, take_apart};
use zcluster_api::error::{Error, Result};
use zcluster_api::search::{SearchExpr, TextField, Words};

/// How a word is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// As it is.
    Exact,
    /// Something may follow.
    Prefix,
    /// Something may stand before.
    Suffix,
    /// Both.
    Within,
}

/// A word at a place in a phrase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Element {
    pub word: String,
    pub how: How,
    /// Counted from the first one's.
    pub position: u32,
}

/// A condition, ready to be looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Holds for all.
    All,
    /// All elements in their order in one field; the field's prefix stands for it.
    Phrase { fields: Vec<String>, elements: Vec<Element> },
    /// Any of these marks.
    Marks(Vec<Mark>),
    /// Any of them.
    Any(Vec<Ask>),
}

/// A mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Is(String),
    Begins(String),
}

impl Ask {
    /// What a condition asks for.
    ///
    /// # Errors
    /// `Invalid` when it is none about words, attachments or recognised things.
    pub fn new(leaf: &SearchExpr) -> Result<Ask> {
        Ok(match leaf {
            SearchExpr::Words(words) => of_words(words),
            SearchExpr::Attachment(types) => Ask::Marks(types.iter().map(|t| of_type(t)).collect()),
            SearchExpr::Recognised(kind) => Ask::Marks(vec![Mark::Is(terms::recognised(kind))]),
            _ => return Err(Error::Invalid("not a condition on text".into())),
        })
    }
}

fn of_type(text: &str) -> Mark {
    match text.strip_suffix('*') {
        Some("*/") => Mark::Begins(terms::media_type("")),
        Some(major) => Mark::Begins(terms::media_type(major)),
        None => Mark::Is(terms::media_type(text)),
    }
}

fn of_words(words: &Words) -> Ask {
    let elements = elements(&words.text, words.prefix, words.suffix);
    if elements.is_empty() {
        return Ask::All;
    }
    let mut fields = Vec::new();
    let mut asks = Vec::new();
    for field in &words.fields {
        match field {
            TextField::Content => fields.extend(CONTENT.map(String::from)),
            // Ids are looked up whole: a wildcard at them means nothing.
            TextField::MessageId => asks.push(Ask::Marks(vec![Mark::Is(terms::message_id(&words.text))])),
            _ => fields.push(terms::prefix(field)),
        }
    }
    fields.sort();
    fields.dedup();
    if !fields.is_empty() {
        asks.push(Ask::Phrase { fields, elements });
    }
    Ask::Any(asks)
}

/// What a text comes to when it is looked for: of the words at one place the one that says most.
pub(crate) fn elements(text: &str, prefix: bool, suffix: bool) -> Vec<Element> {
    let mut tokens: Vec<(String, Kind, u32, std::ops::Range<usize>)> = Vec::new();
    take_apart(text, &mut |Token { word, kind, position, bytes }| {
        tokens.push((word.to_owned(), kind, position, bytes))
    });
    let trimmed = text.trim_end();
    if prefix && trimmed.ends_with('@') {
        open_address(trimmed, &mut tokens);
    }
    let covered: Vec<_> = tokens
        .iter()
        .filter(|(_, k, ..)| matches!(k, Kind::Address | Kind::Domain))
        .map(|(_, k, _, b)| (*k, b.clone()))
        .collect();
    let signed: Vec<u32> = tokens.iter().filter(|(_, k, ..)| *k == Kind::Signed).map(|(_, _, p, _)| *p).collect();
    tokens.retain(|(_, kind, position, bytes)| {
        let within = |(k, b): &(Kind, std::ops::Range<usize>)| {
            b.start <= bytes.start && bytes.end <= b.end && (*k, b) != (*kind, bytes)
        };
        !covered.iter().any(within) && *kind != Kind::Last && !(*kind == Kind::Word && signed.contains(position))
    });
    let first = tokens.first().map_or(0, |(_, _, position, _)| *position);
    let (begins, ends) = (text.len() - text.trim_start().len(), trimmed.len());
    let count = tokens.len();
    let element = |(i, (word, kind, position, bytes)): (usize, (String, Kind, u32, std::ops::Range<usize>))| {
        let before =
            suffix && i == 0 && bytes.start == begins && !matches!(kind, Kind::Pair | Kind::Lone | Kind::Domain);
        let after = prefix && i + 1 == count && bytes.end == ends && kind != Kind::Pair;
        let how = match (before, after || kind == Kind::Lone) {
            (false, false) => How::Exact,
            (false, true) => How::Prefix,
            (true, false) => How::Suffix,
            (true, true) => How::Within,
        };
        Element { word, how, position: position - first }
    };
    tokens.into_iter().enumerate().map(element).collect()
}

/// An address whose domain is still to be typed (`jane.doe@`).
fn open_address(text: &str, tokens: &mut Vec<(String, Kind, u32, std::ops::Range<usize>)>) {
    let at = text.len() - 1;
    let local = local_start(text, at);
    let Some(place) = tokens.iter().position(|(_, _, _, bytes)| bytes.start >= local) else { return };
    if local < at {
        let position = tokens[place].2;
        tokens.insert(place, (crate::words::whole(&text[local..]), Kind::Address, position, local..text.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, prefix: bool, suffix: bool) -> String {
        let one = |e: &Element| {
            let (a, b) = match e.how {
                How::Exact => ("", ""),
                How::Prefix => ("", "*"),
                How::Suffix => ("*", ""),
                How::Within => ("*", "*"),
            };
            format!("{a}{}{b}@{}", e.word, e.position)
        };
        elements(text, prefix, suffix).iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn asks_for_what_says_most() {
        for (text, prefix, suffix, want) in [
            ("Hello wörld", false, false, "hello@0 world@1"),
            ("invoic", true, false, "invoic*@0"),
            ("voice", false, true, "*voice@0"),
            ("voi", true, true, "*voi*@0"),
            ("a voi", true, false, "a@0 voi*@1"),
            ("voi -", true, false, "voi@0"),
            ("to jane.doe@example.com now", false, false, "to@0 jane.doe@example.com@1 now@5"),
            ("@example.com", false, false, "@example.com@0"),
            ("@exam", true, false, "@exam*@0"),
            ("@example.com", false, true, "@example.com@0"),
            ("jane.doe@", true, false, "jane.doe@*@0"),
            ("x jane@", true, false, "x@0 jane@*@1"),
            ("jane@", false, false, "jane@0"),
            ("jane.d", true, false, "jane@0 d*@1"),
            ("doe@example.com", false, true, "*doe@example.com@0"),
            (".example.com", false, true, "example@0 com@1"),
            ("c++", false, false, "c++@0"),
            ("1.234,56", false, false, "1@0 234@1 56@2"),
            ("日本語 x", false, false, "日本@0 本語@1 x@3"),
            ("日", false, true, "日*@0"),
            ("日本", true, true, "日本@0"),
            ("...", true, true, ""),
        ] {
            assert_eq!(shown(text, prefix, suffix), want, "{text}");
        }
    }

    #[test]
    fn of_types() {
        assert_eq!(of_type("image/*"), Mark::Begins("mimage/".into()));
        assert_eq!(of_type("*/*"), Mark::Begins("m".into()));
        assert_eq!(of_type("Image/PNG"), Mark::Is("mimage/png".into()));
    }
}
