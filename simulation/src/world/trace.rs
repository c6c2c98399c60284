//! What happened: a running hash over everything, marks to find the first difference by, and notes for people.

/// Events between two marks.
pub const MARK_EVERY: u64 = 1_000;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its number in the history, from 0.
    pub number: u64,
    /// True time, nanoseconds.
    pub at: u64,
    /// Where: a node's number, 0 for the outside.
    pub node: u32,
    /// What.
    pub kind: &'static str,
    /// Its facts.
    pub facts: Vec<u64>,
}

/// A line of the readable timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// True time, nanoseconds.
    pub at: u64,
    /// Where: a node's number, 0 for the outside.
    pub node: u32,
    /// What kind of line: `leader`, `fault`, `ack`, `node`, `promise`, ...
    pub kind: &'static str,
    /// In words.
    pub text: String,
}

/// What to keep besides the hash.
#[derive(Clone, Debug, Default)]
pub struct Keep {
    /// Notes for `explain`.
    pub notes: bool,
    /// Events with these numbers, for finding a difference.
    pub events: std::ops::Range<u64>,
}

/// The history's hash and what was kept.
#[derive(Clone, Debug)]
pub struct Trace {
    hash: u64,
    count: u64,
    marks: Vec<u64>,
    keep: Keep,
    events: Vec<Event>,
    notes: Vec<Note>,
}

impl Trace {
    /// Nothing happened yet.
    pub fn new(keep: Keep) -> Self {
        Trace { hash: 0xcbf2_9ce4_8422_2325, count: 0, marks: Vec::new(), keep, events: Vec::new(), notes: Vec::new() }
    }
    fn mix(&mut self, x: u64) {
        self.hash = (self.hash ^ x).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.hash ^= self.hash >> 29;
    }
    /// Adds an event.
    pub fn event(&mut self, at: u64, node: u32, kind: &'static str, facts: &[u64]) {
        self.mix(at);
        self.mix(u64::from(node));
        // The kind's bytes, not its address.
        for chunk in kind.as_bytes().chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
        facts.iter().for_each(|f| self.mix(*f));
        if self.keep.events.contains(&self.count) {
            self.events.push(Event { number: self.count, at, node, kind, facts: facts.to_vec() });
        }
        self.count += 1;
        if self.count.is_multiple_of(MARK_EVERY) {
            self.marks.push(self.hash);
        }
    }
    /// Whether notes are kept.
    pub fn wants_notes(&self) -> bool {
        self.keep.notes
    }
    /// Adds a line.
    pub fn note(&mut self, note: Note) {
        self.notes.push(note);
    }
    /// The hash over everything so far.
    pub fn hash(&self) -> u64 {
        self.hash
    }
    /// How many events there were.
    pub fn count(&self) -> u64 {
        self.count
    }
    /// The hash at each [`MARK_EVERY`]th event.
    pub fn marks(&self) -> &[u64] {
        &self.marks
    }
    /// Events kept.
    pub fn events(&self) -> &[Event] {
        &self.events
    }
    /// Notes kept.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }
}
