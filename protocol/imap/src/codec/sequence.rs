//! Sequence sets (RFC 3501 §9) and what they stand for in a folder.

use super::cursor::{Cursor, Fault, Parse};
use zcluster_api::UidSet;

/// A number of a sequence set; `*` is the largest in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeqNumber {
    /// A number from 1.
    Number(u32),
    /// `*`.
    Largest,
}

impl SeqNumber {
    fn value(self, largest: u32) -> u32 {
        match self {
            SeqNumber::Number(n) => n,
            SeqNumber::Largest => largest,
        }
    }
}

/// A set as the client wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SequenceSet {
    /// Ranges, ends in either order; a single number is a range of itself.
    Ranges(Vec<(SeqNumber, SeqNumber)>),
    /// `$`: the result of the last SEARCH with SAVE (RFC 5182).
    Saved,
}

impl SequenceSet {
    /// `sequence-set = (seq-number / seq-range) *("," sequence-set) / "$"` (RFC 3501 §9, RFC 5182 §2.1).
    pub fn parse(c: &mut Cursor<'_>) -> Parse<Self> {
        if c.eat(b'$') {
            return Ok(SequenceSet::Saved);
        }
        let mut ranges = Vec::new();
        loop {
            let first = Self::number(c)?;
            let last = if c.eat(b':') { Self::number(c)? } else { first };
            ranges.push((first, last));
            if !c.eat(b',') {
                return Ok(SequenceSet::Ranges(ranges));
            }
        }
    }
    /// `seq-number = nz-number / "*"` (RFC 3501 §9).
    pub fn number(c: &mut Cursor<'_>) -> Parse<SeqNumber> {
        if c.eat(b'*') {
            return Ok(SeqNumber::Largest);
        }
        match c.peek() {
            Some(b'0'..=b'9') => Ok(SeqNumber::Number(c.nz_number()?)),
            _ => Err(Fault::Bad("a sequence set was expected")),
        }
    }
    /// A set of numbers that are known: without `*` and `$` (`known-uids`, RFC 7162 §7).
    pub fn parse_known(c: &mut Cursor<'_>) -> Parse<UidSet> {
        let why = Fault::Bad("a set of numbers was expected");
        let SequenceSet::Ranges(ranges) = Self::parse(c)? else { return Err(why) };
        let mut runs = Vec::with_capacity(ranges.len());
        for pair in ranges {
            let (SeqNumber::Number(a), SeqNumber::Number(b)) = pair else { return Err(why) };
            runs.push((a.min(b), a.max(b)));
        }
        // Sorted, so that the set grows at its end only.
        runs.sort_unstable();
        let mut out = UidSet::new();
        runs.into_iter().for_each(|(a, b)| out.insert_range(a, b));
        Ok(out)
    }
    /// Whether the next bytes can only be a sequence set (in SEARCH).
    pub fn is_next(c: &Cursor<'_>) -> bool {
        matches!(c.peek(), Some(b'0'..=b'9' | b'*' | b'$'))
    }

    /// The UIDs of `view` in this set of UIDs. `*` is the largest UID, also when it is below the other end of its range
    /// (RFC 3501 §6.4.8); numbers that no message has are no error.
    pub fn uids(&self, view: &UidSet, saved: &UidSet) -> UidSet {
        match self {
            SequenceSet::Saved => view.intersect(saved),
            SequenceSet::Ranges(ranges) => {
                let Some(largest) = view.last() else { return UidSet::new() };
                let mut wanted = UidSet::new();
                for (a, b) in ranges {
                    let (a, b) = (a.value(largest), b.value(largest));
                    wanted.insert_range(a.min(b), a.max(b));
                }
                view.intersect(&wanted)
            }
        }
    }

    /// The numbers of this set of UIDs, whether messages have them or not; `*` reaches to the end, as nobody knows how
    /// far UIDs went that are gone (RFC 7162 §3.2.6).
    pub fn wanted(&self, view: &UidSet, saved: &UidSet) -> UidSet {
        let SequenceSet::Ranges(ranges) = self else { return saved.clone() };
        let largest = view.last().unwrap_or(1);
        let mut out = UidSet::new();
        for (a, b) in ranges {
            let open = *a == SeqNumber::Largest || *b == SeqNumber::Largest;
            let (a, b) = (a.value(largest), b.value(largest));
            out.insert_range(a.min(b), if open { u32::MAX } else { a.max(b) });
        }
        out
    }

    /// The same; numbers beyond the last message are no error (RFC 7377 §2).
    pub fn numbers_there(&self, view: &UidSet, saved: &UidSet) -> UidSet {
        let SequenceSet::Ranges(ranges) = self else { return view.intersect(saved) };
        let largest = u32::try_from(view.len()).unwrap_or(u32::MAX);
        let ends = ranges.iter().map(|(a, b)| (a.value(largest), b.value(largest)));
        let mut spans: Vec<(u32, u32)> = ends.map(|(a, b)| (a.min(b).max(1), a.max(b).min(largest))).collect();
        spans.retain(|(a, b)| a <= b);
        spans.sort_unstable();
        at_positions(view, &spans)
    }

    /// The UIDs of the messages with these sequence numbers in `view`; `None` when one is out of range, which is BAD
    /// (RFC 3501 §9: "If a message sequence number is out of range, error").
    pub fn numbers(&self, view: &UidSet, saved: &UidSet) -> Option<UidSet> {
        let SequenceSet::Ranges(ranges) = self else { return Some(view.intersect(saved)) };
        let largest = u32::try_from(view.len()).ok()?;
        let mut spans = Vec::with_capacity(ranges.len());
        for (a, b) in ranges {
            let (a, b) = (a.value(largest), b.value(largest));
            let (a, b) = (a.min(b), a.max(b));
            if a == 0 || b > largest {
                return None;
            }
            spans.push((a, b));
        }
        spans.sort_unstable();
        Some(at_positions(view, &spans))
    }
}

/// The members of `view` at the 1-based positions in `spans`, which rise by their first end.
fn at_positions(view: &UidSet, spans: &[(u32, u32)]) -> UidSet {
    let mut out = UidSet::new();
    let mut spans = spans.iter().copied().peekable();
    let mut before = 0u32;
    for (first, last) in view.ranges() {
        let len = last - first + 1;
        // Every span that begins within this run is cut to it; what lies beyond is left for the next run.
        let mut open: Vec<(u32, u32)> = Vec::new();
        while let Some((a, b)) = spans.next_if(|(a, _)| *a <= before + len) {
            open.push((a, b));
        }
        for (a, b) in open {
            spread(view, before, first, last, a, b, &mut out);
        }
        before += len;
    }
    out
}

/// Adds positions `a..=b`, of which `a` lies in the run `first..=last` that begins behind `before` members.
fn spread(view: &UidSet, before: u32, first: u32, last: u32, a: u32, b: u32, out: &mut UidSet) {
    let from = first + (a - before - 1);
    let left = b - a;
    if left <= last - from {
        out.insert_range(from, from + left);
        return;
    }
    // The end lies in a later run: everything of the view between the two ends is in.
    let to = view.nth(b).unwrap_or(last);
    for (f, l) in view.intersect(&UidSet::range(from, to)).ranges() {
        out.insert_range(f, l);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(text: &str) -> SequenceSet {
        let mut c = Cursor::new(text.as_bytes());
        let set = SequenceSet::parse(&mut c).expect(text);
        c.end().expect("all is read");
        set
    }
    fn view() -> UidSet {
        [4, 5, 6, 10, 11, 30].into_iter().collect()
    }

    #[test]
    fn uids_pick_what_is_there() {
        let none = UidSet::new();
        assert_eq!(set("1:*").uids(&view(), &none), view());
        assert_eq!(set("100:*").uids(&view(), &none).to_string(), "30", "* below the other end still is the last");
        assert_eq!(set("5:10,*").uids(&view(), &none).to_string(), "5:6,10,30");
        assert!(set("1:*").uids(&none, &none).is_empty());
    }

    #[test]
    fn numbers_are_positions() {
        let none = UidSet::new();
        assert_eq!(set("1:*").numbers(&view(), &none), Some(view()));
        assert_eq!(set("4,2").numbers(&view(), &none).unwrap().to_string(), "5,10");
        assert_eq!(set("*:3").numbers(&view(), &none).unwrap().to_string(), "6,10:11,30");
        assert_eq!(set("7").numbers(&view(), &none), None);
        assert_eq!(set("1:7").numbers(&view(), &none), None);
        assert_eq!(set("1:*").numbers(&none, &none), None, "nothing has a number in an empty folder");
        assert_eq!(set("$").numbers(&view(), &[5, 7].into_iter().collect()).unwrap().to_string(), "5");
    }

    #[test]
    fn malformed_sets_are_refused() {
        for text in ["", "0", "1:0", "1,", ",1", "1:", ":1", "a", "4294967296", "1::2", "-1"] {
            let mut c = Cursor::new(text.as_bytes());
            assert!(SequenceSet::parse(&mut c).and_then(|_| c.end()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn numbers_agree_with_a_list(uids in prop::collection::btree_set(1u32..200, 1..60),
                                     spans in prop::collection::vec((1u32..70, 1u32..70), 1..8)) {
            let list: Vec<u32> = uids.iter().copied().collect();
            let view: UidSet = list.iter().copied().collect();
            let wanted = SequenceSet::Ranges(
                spans.iter().map(|(a, b)| (SeqNumber::Number(*a), SeqNumber::Number(*b))).collect());
            let outside = spans.iter().any(|(a, b)| *a.max(b) as usize > list.len());
            let expect: Option<UidSet> = (!outside).then(|| {
                spans.iter().flat_map(|(a, b)| list[*a.min(b) as usize - 1..*a.max(b) as usize].iter().copied()).collect()
            });
            prop_assert_eq!(wanted.numbers(&view, &UidSet::new()), expect);
        }
    }
}
