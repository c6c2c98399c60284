//! E-mail addresses in running text.

use super::{Class, Kind, class};
use std::ops::Range;

/// Bytes of a local part; what is longer is none.
const LOCAL_BYTES_MAX: usize = 64;
/// Bytes of a domain.
const DOMAIN_BYTES_MAX: usize = 255;

/// An `@` with a domain behind it.
struct Found {
    /// Where the local part begins; at the `@` when there is none.
    local: usize,
    at: usize,
    end: usize,
}

/// The addresses of a text, as the scan reaches them.
pub(super) struct Addresses<'t> {
    text: &'t str,
    /// Where to look on.
    next: usize,
    /// The local part must not begin before.
    free: usize,
    found: Option<Found>,
    /// The address was given out, its domain not yet.
    given: bool,
}

impl<'t> Addresses<'t> {
    pub fn new(text: &'t str) -> Self {
        let mut addresses = Addresses { text, next: 0, free: 0, found: None, given: false };
        addresses.find();
        addresses
    }

    /// The next address or domain, if its first word is the one at `start`.
    pub fn before(&mut self, start: usize) -> Option<(Kind, Range<usize>)> {
        let found = self.found.as_ref()?;
        if !self.given && found.local < found.at {
            if start < found.local {
                return None;
            }
            self.given = true;
            return Some((Kind::Address, found.local..found.end));
        }
        if start <= found.at {
            return None;
        }
        let domain = found.at..found.end;
        self.find();
        Some((Kind::Domain, domain))
    }

    fn find(&mut self) {
        self.given = false;
        self.found = None;
        while let Some(at) = memchr::memchr(b'@', &self.text.as_bytes()[self.next..]).map(|i| self.next + i) {
            self.next = at + 1;
            let end = at + 1 + domain_len(&self.text[at + 1..]);
            if end > at + 1 {
                let local = self.free + local_start(&self.text[self.free..], at - self.free);
                self.free = end;
                self.next = end;
                self.found = Some(Found { local, at, end });
                return;
            }
        }
    }
}

fn is_letter(c: char) -> bool {
    class(c) != Class::None
}

/// The bytes of the domain that `text` begins with; 0 when there is none.
fn domain_len(text: &str) -> usize {
    let in_domain = |c: char| matches!(c, '.' | '-') || is_letter(c);
    let len = text
        .char_indices()
        .take_while(|(i, c)| *i < DOMAIN_BYTES_MAX && in_domain(*c))
        .last()
        .map_or(0, |(i, c)| i + c.len_utf8());
    let domain = text[..len].trim_end_matches(['.', '-']);
    if domain.starts_with(['.', '-']) || domain.chars().next().is_some_and(|c| class(c) == Class::Extend) {
        0
    } else {
        domain.len()
    }
}

/// Where the local part that ends at `at` begins; `at` when there is none.
pub(crate) fn local_start(text: &str, at: usize) -> usize {
    let in_local = |c: char| matches!(c, '.' | '-' | '_' | '+') || is_letter(c);
    let mut start = at;
    for (i, c) in text[..at].char_indices().rev() {
        if !in_local(c) {
            break;
        }
        if at - i > LOCAL_BYTES_MAX {
            return at;
        }
        start = i;
    }
    let local = &text[start..at];
    start +=
        local.len() - local.trim_start_matches(|c| matches!(c, '.' | '-' | '+') || class(c) == Class::Extend).len();
    if text[start..at].chars().any(|c| matches!(class(c), Class::Plain | Class::Paired)) { start } else { at }
}
