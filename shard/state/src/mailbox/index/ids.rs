//! What THREAD needs of each message beside its date and subject: its own id and those it refers to, as small numbers.

use super::bits::Bits;
use std::collections::BTreeMap;

/// References of all messages that are held in full; beyond, the parent alone.
const REFERENCES_MAX: usize = 8_000_000;
/// No id.
pub(crate) const NONE: u32 = u32::MAX;
/// Numbers of ids that no message has any more are dropped once there are so many more numbers than ids.
const SPARE_MAX: usize = 4_096;

#[derive(Clone, Debug, Default)]
pub(crate) struct Ids {
    /// A message's own id, or [`NONE`].
    pub own: Vec<u32>,
    /// Where its references begin; one more than there are messages.
    begin: Vec<u32>,
    /// All messages' references, oldest first.
    pub references: Vec<u32>,
    /// The subject marks a reply or a forward.
    pub reply: Vec<bool>,
    /// The base subject is empty.
    pub no_subject: Vec<bool>,
    /// Hashes, rising; the number of one is its place.
    hashes: Vec<u64>,
    /// Those that came later; numbers go on.
    late: BTreeMap<u64, u32>,
}

/// One message, as read.
#[derive(Default)]
pub(crate) struct Read {
    pub own: Option<u64>,
    pub references: Vec<u64>,
    pub reply: bool,
    pub no_subject: bool,
}

impl Ids {
    pub fn new(all: &[Read]) -> Self {
        let mut ids = Ids { begin: vec![0], ..Ids::default() };
        let mut held = 0;
        // (hash, the place in `references`, or in `own` if it is behind all of those)
        let mut uses: Vec<(u64, u32)> = Vec::new();
        for read in all {
            for hash in held_of(&read.references, &mut held) {
                uses.push((*hash, uses.len() as u32));
            }
            ids.begin.push(uses.len() as u32);
            ids.reply.push(read.reply);
            ids.no_subject.push(read.no_subject);
        }
        let references = uses.len();
        ids.references = vec![NONE; references];
        ids.own = vec![NONE; all.len()];
        uses.extend(all.iter().enumerate().filter_map(|(at, r)| Some((r.own?, (references + at) as u32))));
        uses.sort_unstable();
        for (hash, place) in uses {
            if ids.hashes.last() != Some(&hash) {
                ids.hashes.push(hash);
            }
            let number = ids.hashes.len() as u32 - 1;
            match (place as usize).checked_sub(references) {
                None => ids.references[place as usize] = number,
                Some(at) => ids.own[at] = number,
            }
        }
        ids
    }

    /// How many numbers there are.
    pub fn count(&self) -> usize {
        self.hashes.len() + self.late.len()
    }

    pub fn references(&self, at: usize) -> std::ops::Range<usize> {
        self.begin[at] as usize..self.begin[at + 1] as usize
    }

    pub fn bytes(&self) -> usize {
        self.own.len() * 10 + self.references.len() * 4 + self.hashes.len() * 8 + self.late.len() * 24
    }

    fn number(&mut self, hash: u64) -> u32 {
        if let Ok(at) = self.hashes.binary_search(&hash) {
            return at as u32;
        }
        let next = self.count() as u32;
        *self.late.entry(hash).or_insert(next)
    }

    /// Adds a message behind the others.
    pub fn push(&mut self, read: &Read) {
        let mut held = self.references.len();
        for hash in held_of(&read.references, &mut held) {
            let number = self.number(*hash);
            self.references.push(number);
        }
        let own = read.own.map_or(NONE, |hash| self.number(hash));
        self.own.push(own);
        self.begin.push(self.references.len() as u32);
        self.reply.push(read.reply);
        self.no_subject.push(read.no_subject);
    }

    /// Leaves the messages whose bit is set. Says whether it is still worth keeping.
    pub fn retain(&mut self, kept: &Bits) -> bool {
        let (mut begin, mut references) = (vec![0], Vec::with_capacity(self.references.len()));
        for at in kept.ones() {
            references.extend_from_slice(&self.references[self.references(at)]);
            begin.push(references.len() as u32);
        }
        (self.begin, self.references) = (begin, references);
        kept.retain(&mut self.own);
        kept.retain(&mut self.reply);
        kept.retain(&mut self.no_subject);
        self.count() <= 2 * (self.own.len() + self.references.len()) + SPARE_MAX
    }
}

/// The references of a message that are kept, when those before it have so many.
fn held_of<'a>(references: &'a [u64], held: &mut usize) -> &'a [u64] {
    *held += references.len();
    if *held > REFERENCES_MAX { &references[references.len().saturating_sub(1)..] } else { references }
}
