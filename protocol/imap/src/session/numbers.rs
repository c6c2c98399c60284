//! Arithmetic on sets of UIDs that the inner API's set does not have.

use zcluster_api::UidSet;

/// Sequence numbers of a folder's UIDs, looked up in logarithmic time.
pub struct Numbers {
    /// (first UID, last UID, members before the run).
    runs: Vec<(u32, u32, u32)>,
}

impl Numbers {
    /// The numbers of `view`'s members.
    pub fn new(view: &UidSet) -> Self {
        let mut before = 0u32;
        let runs = view.ranges().map(|(first, last)| {
            let run = (first, last, before);
            before = before.saturating_add(last - first).saturating_add(1);
            run
        });
        Numbers { runs: runs.collect() }
    }

    /// The sequence number of `uid`, from 1.
    pub fn of(&self, uid: u32) -> Option<u32> {
        let i = self.runs.partition_point(|(_, last, _)| *last < uid);
        let (first, _, before) = *self.runs.get(i)?;
        (first <= uid).then(|| before + (uid - first) + 1)
    }

    /// The sequence numbers of the members of `uids` that are in the view.
    pub fn set(&self, view: &UidSet, uids: &UidSet) -> UidSet {
        let mut out = UidSet::new();
        for (first, last) in view.intersect(uids).ranges() {
            if let Some(n) = self.of(first) {
                out.insert_range(n, n + (last - first));
            }
        }
        out
    }
}

/// The members of `a` that are not in `b`.
pub fn without(a: &UidSet, b: &UidSet) -> UidSet {
    let mut out = UidSet::new();
    let mut holes = b.ranges().peekable();
    for (first, last) in a.ranges() {
        // The next number not yet decided; behind `u32::MAX` there is none.
        let mut next = Some(first);
        while holes.next_if(|(_, l)| *l < first).is_some() {}
        while let Some((hole_first, hole_last)) = holes.peek().copied().filter(|(f, _)| *f <= last) {
            if let Some(n) = next
                && hole_first > n
            {
                out.insert_range(n, hole_first - 1);
            }
            next = hole_last.checked_add(1).filter(|n| *n <= last);
            // A hole that reaches beyond this run may cut the next one too.
            if hole_last > last || holes.next().is_none() {
                break;
            }
        }
        if let Some(n) = next {
            out.insert_range(n, last);
        }
    }
    out
}

/// The union.
pub fn with(a: &UidSet, b: &UidSet) -> UidSet {
    let mut out = a.clone();
    for (first, last) in b.ranges() {
        out.insert_range(first, last);
    }
    out
}

/// The members from `from` on.
pub fn from(set: &UidSet, from: u32) -> UidSet {
    set.intersect(&UidSet::range(from, u32::MAX))
}

/// The members at the positions in `at`, counted from 0.
pub fn positions(set: &UidSet, at: std::ops::Range<usize>) -> UidSet {
    let (mut out, mut before) = (UidSet::new(), 0usize);
    for (first, last) in set.ranges() {
        let len = (last - first) as usize + 1;
        let (from, to) = (at.start.max(before), at.end.min(before.saturating_add(len)));
        if from < to {
            out.insert_range(first + (from - before) as u32, first + (to - 1 - before) as u32);
        }
        before = before.saturating_add(len);
    }
    out
}

/// `set` cut into pieces of at most `max` members, rising.
pub fn pieces(set: &UidSet, max: u64) -> Vec<UidSet> {
    let mut out = Vec::new();
    let (mut piece, mut room) = (UidSet::new(), max.max(1));
    for (mut first, last) in set.ranges() {
        loop {
            let len = u64::from(last - first) + 1;
            let end = if len <= room { last } else { first + (room as u32 - 1) };
            piece.insert_range(first, end);
            room -= u64::from(end - first) + 1;
            if room == 0 {
                out.push(std::mem::take(&mut piece));
                room = max.max(1);
            }
            if end == last {
                break;
            }
            first = end + 1;
        }
    }
    if !piece.is_empty() {
        out.push(piece);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn numbers() -> impl Strategy<Value = BTreeSet<u32>> {
        prop::collection::btree_set(prop_oneof![1u32..80, (u32::MAX - 5)..=u32::MAX], 0..60)
    }
    fn set(of: &BTreeSet<u32>) -> UidSet {
        of.iter().copied().collect()
    }

    proptest! {
        #[test]
        fn agree_with_a_tree(a in numbers(), b in numbers(), max in 1u64..20) {
            let (x, y) = (set(&a), set(&b));
            prop_assert_eq!(without(&x, &y), set(&(&a - &b)));
            prop_assert_eq!(with(&x, &y), set(&(&a | &b)));
            let numbers = Numbers::new(&x);
            for (i, v) in a.iter().enumerate() {
                prop_assert_eq!(numbers.of(*v), Some(i as u32 + 1));
            }
            let expect: UidSet = a.iter().enumerate().filter(|(_, v)| b.contains(v)).map(|(i, _)| i as u32 + 1).collect();
            prop_assert_eq!(numbers.set(&x, &y), expect);
            let parts = pieces(&x, max);
            prop_assert!(parts.iter().all(|p| p.len() <= max && !p.is_empty()));
            prop_assert!(parts.iter().rev().skip(1).all(|p| p.len() == max));
            let (some, at) = (positions(&x, max as usize..2 * max as usize), a.len().min(max as usize));
            let expect: UidSet = a.iter().skip(at).take(max as usize).copied().collect();
            prop_assert_eq!(some, expect);
            prop_assert_eq!(parts.iter().fold(UidSet::new(), |all, p| with(&all, p)), x);
        }
    }
}
