//! Text taken apart into words: one way for what is indexed, for what is looked for, and for reading without an index.
//!
//! Words are runs of letters and digits, folded (see `fold`); no stemming, no stop words. Around them:
//!
//! - An e-mail address is also one word, at the place of its first one; its domain with the `@` is one at the place of the
//!   domain's first word. Host names, numbers and file names are found as their pieces in a row.
//! - `c++`, `c#`, `disney+` are also words with their signs.
//! - Runs of scripts without spaces come as overlapping pairs; the last character of a run also alone, so that each
//!   character begins some word.

mod address;
mod fold;
mod script;

use address::Addresses;
pub(crate) use address::local_start;
use icu_normalizer::ComposingNormalizerBorrowed;
use std::ops::Range;

/// Raised whenever some text comes to other words than before: indexes made by another version are made anew.
pub const ANALYSIS: u32 = 1;
/// Bytes of a word; longer ones are cut.
pub(crate) const WORD_BYTES_MAX: usize = 64;
/// Bytes of an address as one word.
pub(crate) const ADDRESS_BYTES_MAX: usize = 128;
/// Letters before a sign that belongs to a word (`c++`).
const SIGNED_BYTES_MAX: usize = 24;

const NFKC: ComposingNormalizerBorrowed<'static> = ComposingNormalizerBorrowed::new_nfkc();

/// What kind of word it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Letters and digits.
    Word,
    /// The same with signs behind, at the same place.
    Signed,
    /// Two characters of a run.
    Pair,
    /// The last character of a run of several.
    Last,
    /// A run of one character.
    Lone,
    /// `local@domain`.
    Address,
    /// `@domain`.
    Domain,
}

/// A word of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub word: &'a str,
    pub kind: Kind,
    /// Its place; rising by one with each word. Several words may be at one place.
    pub position: u32,
    /// Where it stands in the text.
    pub bytes: Range<usize>,
}

/// Takes a text apart; positions never fall.
pub(crate) fn take_apart(text: &str, sink: &mut dyn FnMut(Token<'_>)) {
    let mut scan =
        Scan { text, sink, addresses: Addresses::new(text), position: 0, buffer: String::new(), run: Vec::new() };
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        at = if bytes[at].is_ascii_alphanumeric() {
            let end = at + bytes[at..].iter().take_while(|b| b.is_ascii_alphanumeric()).count();
            // Followed by a letter or mark that is not ASCII, it may go on.
            if bytes.get(end).is_some_and(|b| !b.is_ascii()) { scan.other(at) } else { scan.word(at..end) }
        } else if bytes[at].is_ascii() {
            at + 1
        } else {
            scan.other(at)
        };
    }
}

/// What a character is to a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Plain,
    Paired,
    Extend,
    None,
}

pub(crate) fn class(c: char) -> Class {
    if c.is_ascii() {
        return if c.is_ascii_alphanumeric() { Class::Plain } else { Class::None };
    }
    if script::in_pairs(c) {
        Class::Paired
    } else if c.is_alphanumeric() {
        Class::Plain
    } else if fold::extends(c) {
        Class::Extend
    } else {
        Class::None
    }
}

struct Scan<'t, 's> {
    text: &'t str,
    sink: &'s mut dyn FnMut(Token<'_>),
    addresses: Addresses<'t>,
    position: u32,
    buffer: String,
    /// Characters of a run, with the bytes they come from.
    run: Vec<(char, Range<usize>)>,
}

impl Scan<'_, '_> {
    /// Takes what begins at `at`, which may be a word, a run, or nothing; returns where it ends.
    fn other(&mut self, at: usize) -> usize {
        let rest = &self.text[at..];
        let Some(first) = rest.chars().next() else { return self.text.len() };
        let kind = class(first);
        let goes_on = |c: &char| {
            let class = class(*c);
            class == kind || class == Class::Extend
        };
        match kind {
            Class::None | Class::Extend => at + first.len_utf8(),
            Class::Plain => self.word(at..at + rest.chars().take_while(goes_on).map(char::len_utf8).sum::<usize>()),
            Class::Paired => self.pairs(at..at + rest.chars().take_while(goes_on).map(char::len_utf8).sum::<usize>()),
        }
    }

    fn emit(&mut self, kind: Kind, bytes: Range<usize>) {
        cut(
            &mut self.buffer,
            if matches!(kind, Kind::Address | Kind::Domain) { ADDRESS_BYTES_MAX } else { WORD_BYTES_MAX },
        );
        (self.sink)(Token { word: &self.buffer, kind, position: self.position, bytes });
    }

    /// The addresses and domains whose first word begins at `start`.
    fn specials(&mut self, start: usize) {
        while let Some((kind, bytes)) = self.addresses.before(start) {
            self.buffer.clear();
            fold::fold(&self.text[bytes.clone()], true, &mut self.buffer);
            self.emit(kind, bytes);
        }
    }

    fn word(&mut self, bytes: Range<usize>) -> usize {
        self.specials(bytes.start);
        self.buffer.clear();
        fold::fold(&self.text[bytes.clone()], false, &mut self.buffer);
        if self.buffer.is_empty() {
            return bytes.end;
        }
        self.emit(Kind::Word, bytes.clone());
        if let Some(signs) = self.signs(&bytes) {
            self.buffer.push_str(signs);
            self.emit(Kind::Signed, bytes.start..bytes.end + signs.len());
        }
        self.position += 1;
        bytes.end
    }

    /// The signs that belong to a word: `+`, `++` or `#`, with nothing else at them.
    fn signs(&self, word: &Range<usize>) -> Option<&'static str> {
        let after = &self.text.as_bytes()[word.end..];
        let signs = match after {
            [b'+', b'+', ..] => "++",
            [b'+', ..] => "+",
            [b'#', ..] => "#",
            _ => return None,
        };
        let alone =
            !after.get(signs.len()).is_some_and(|b| matches!(b, b'+' | b'#' | b'@') || b.is_ascii_alphanumeric());
        (alone && self.buffer.len() <= SIGNED_BYTES_MAX).then_some(signs)
    }

    fn pairs(&mut self, bytes: Range<usize>) -> usize {
        self.specials(bytes.start);
        let mut run = std::mem::take(&mut self.run);
        run.clear();
        composed(self.text, &bytes, &mut run);
        for (at, (c, from)) in run.iter().enumerate() {
            self.buffer.clear();
            self.buffer.push(*c);
            match run.get(at + 1) {
                Some((next, to)) => {
                    self.buffer.push(*next);
                    self.emit(Kind::Pair, from.start..to.end);
                }
                None => self.emit(if at == 0 { Kind::Lone } else { Kind::Last }, from.clone()),
            }
            self.position += 1;
        }
        self.run = run;
        bytes.end
    }
}

/// The characters of a run, composed, each with the bytes it came from.
fn composed(text: &str, bytes: &Range<usize>, run: &mut Vec<(char, Range<usize>)>) {
    let mut from = bytes.start;
    let mut rest = text[bytes.clone()].chars().peekable();
    let mut cluster = String::new();
    while let Some(c) = rest.next() {
        cluster.push(c);
        if rest.peek().is_some_and(|next| script::joins(*next) || class(*next) == Class::Extend) {
            continue;
        }
        let range = from..from + cluster.len();
        from = range.end;
        let mut plain = [0; 4];
        // Nearly all are one character that stays as it is.
        let text: &str = if cluster.chars().count() == 1 && !changes(c) {
            c.encode_utf8(&mut plain)
        } else {
            &NFKC.normalize(&cluster)
        };
        run.extend(text.chars().filter(|c| script::in_pairs(*c) || c.is_alphanumeric()).map(|c| (c, range.clone())));
        cluster.clear();
    }
}

/// Whether NFKC may make something else of a character alone.
fn changes(c: char) -> bool {
    !matches!(c as u32, 0x3041..=0x3096 | 0x30a1..=0x30fe | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xac00..=0xd7a3)
}

/// Cuts at a character's border.
fn cut(text: &mut String, max: usize) {
    if text.len() > max {
        text.truncate(text.floor_char_boundary(max));
    }
}

/// What is looked up as one word: a Message-ID without white space and brackets, a media type.
pub(crate) fn whole(text: &str) -> String {
    let mut out = String::new();
    fold::fold(text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '<' | '>')), true, &mut out);
    out
}

#[cfg(test)]
mod tests;
