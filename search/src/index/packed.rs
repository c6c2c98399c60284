//! How a message taken apart travels to the thread that writes it: one text, so that nothing is allocated for a word.

use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::time::Duration;
use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

/// The name under which the index knows the tokenizer.
pub(crate) const PACKED: &str = "zcluster";
/// Bytes of texts that wait for the writing thread.
const WAITING_BYTES_MAX: usize = 16 << 20;
/// How long to wait for it before asking it for its error.
const PATIENCE: Duration = Duration::from_secs(1);

/// In front of each word: where it stands. (Words hold no control characters but [`crate::terms`]' end of names.)
const SAME: char = '\u{1}';
const NEXT: char = '\u{2}';
const AFTER_GAP: char = '\u{3}';
const FIRST: char = '\u{4}';

/// Packs words.
#[derive(Default)]
pub(crate) struct Pack {
    pub text: String,
    last: Option<u32>,
}

impl Pack {
    /// Adds a word; places of a field rise by 0, 1 or 2, and begin at 0 anew.
    pub fn push(&mut self, term: &str, position: u32) {
        let step = match (position, self.last) {
            (0, Some(0)) => SAME,
            (0, _) => FIRST,
            (p, Some(last)) if p == last => SAME,
            (p, Some(last)) if p == last + 1 => NEXT,
            _ => AFTER_GAP,
        };
        // Two fields of one word each: the second begins anew, which is the same place.
        self.last = Some(position);
        self.text.push(step);
        self.text.push_str(term);
    }
}

/// Bytes on their way, counted.
#[derive(Default)]
pub(crate) struct Flow {
    bytes: Mutex<usize>,
    less: Condvar,
}

impl Flow {
    /// Waits for room, then counts.
    pub fn enter(&self, bytes: usize) {
        let mut waiting = self.bytes.lock();
        // A writer that died takes nothing any more: adding to it tells.
        while *waiting > WAITING_BYTES_MAX {
            if self.less.wait_for(&mut waiting, PATIENCE).timed_out() {
                break;
            }
        }
        *waiting += bytes;
    }
    fn leave(&self, bytes: usize) {
        let mut waiting = self.bytes.lock();
        *waiting = waiting.saturating_sub(bytes);
        self.less.notify_one();
    }
    /// Nothing is on its way: there is a new writer.
    pub fn clear(&self) {
        *self.bytes.lock() = 0;
    }
}

/// Reads packed words.
#[derive(Clone)]
pub(crate) struct Unpack(pub Arc<Flow>);

impl Tokenizer for Unpack {
    type TokenStream<'a> = Unpacked<'a>;
    fn token_stream<'a>(&'a mut self, text: &'a str) -> Unpacked<'a> {
        self.0.leave(text.len());
        Unpacked { rest: text, token: Token { position: 0, ..Token::default() } }
    }
}

/// Packed words being read.
pub(crate) struct Unpacked<'a> {
    rest: &'a str,
    token: Token,
}

impl TokenStream for Unpacked<'_> {
    fn advance(&mut self) -> bool {
        let Some((step, rest)) = self.rest.split_at_checked(1) else { return false };
        let step = step.chars().next().unwrap_or(SAME);
        let len = rest.bytes().position(|b| b < 5).unwrap_or(rest.len());
        self.token.text.clear();
        self.token.text.push_str(&rest[..len]);
        self.rest = &rest[len..];
        self.token.position = match step {
            SAME => self.token.position,
            NEXT => self.token.position + 1,
            AFTER_GAP => self.token.position + 2,
            _ => 0,
        };
        true
    }
    fn token(&self) -> &Token {
        &self.token
    }
    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked() {
        let words =
            [("sa", 0), ("sb", 0), ("bü", 0), ("bx", 1), ("by", 1), ("bz", 3), ("Px\u{1f}y", 0), ("n", 0), ("n", 1)];
        let mut pack = Pack::default();
        words.iter().for_each(|(w, p)| pack.push(w, *p));
        let flow = Arc::new(Flow::default());
        flow.enter(pack.text.len());
        let mut unpack = Unpack(flow.clone());
        let mut stream = unpack.token_stream(&pack.text);
        let mut out = Vec::new();
        while stream.advance() {
            out.push((stream.token().text.clone(), stream.token().position as u32));
        }
        assert_eq!(out, words.map(|(w, p)| (w.to_owned(), p)));
        assert_eq!(*flow.bytes.lock(), 0);
    }
}
