//! Sets of UIDs as sorted runs, so that a folder of 100,000 consecutive messages costs eight bytes.

use minicbor::{Decode, Encode};

/// A set of `u32` numbers (UIDs or sequence numbers) as sorted, disjoint, non-adjacent inclusive runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct UidSet {
    #[n(0)]
    runs: Vec<Run>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
struct Run {
    #[n(0)]
    first: u32,
    #[n(1)]
    last: u32,
}

impl UidSet {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }
    /// The set of `first..=last`; empty when `first > last`.
    pub fn range(first: u32, last: u32) -> Self {
        let mut s = Self::new();
        s.insert_range(first, last);
        s
    }
    /// Adds one number.
    pub fn insert(&mut self, v: u32) {
        self.insert_range(v, v);
    }
    /// Adds `first..=last`.
    pub fn insert_range(&mut self, first: u32, last: u32) {
        if first > last {
            return;
        }
        // The common case: appending at the end.
        if let Some(r) = self.runs.last_mut()
            && first >= r.first
            && first <= r.last.saturating_add(1)
        {
            r.last = r.last.max(last);
            return;
        }
        let start = self.runs.partition_point(|r| r.last.saturating_add(1) < first);
        let end = self.runs.partition_point(|r| r.first <= last.saturating_add(1));
        let mut new = Run { first, last };
        if start < end {
            new.first = new.first.min(self.runs[start].first);
            new.last = new.last.max(self.runs[end - 1].last);
        }
        self.runs.splice(start..end.max(start), [new]);
    }
    /// Takes one number out; says whether it was in.
    pub fn remove(&mut self, v: u32) -> bool {
        let i = self.runs.partition_point(|r| r.last < v);
        let Some(r) = self.runs.get(i).copied() else { return false };
        if r.first > v {
            return false;
        }
        let left = (r.first < v).then(|| Run { first: r.first, last: v - 1 });
        let right = (r.last > v).then(|| Run { first: v + 1, last: r.last });
        self.runs.splice(i..=i, left.into_iter().chain(right));
        true
    }
    /// Whether `v` is in.
    pub fn contains(&self, v: u32) -> bool {
        let i = self.runs.partition_point(|r| r.last < v);
        self.runs.get(i).is_some_and(|r| r.first <= v)
    }
    /// How many numbers are in. Costs one step per run.
    pub fn len(&self) -> u64 {
        self.runs.iter().map(|r| u64::from(r.last - r.first) + 1).sum()
    }
    /// Whether nothing is in.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }
    /// The runs, rising.
    pub fn ranges(&self) -> impl DoubleEndedIterator<Item = (u32, u32)> + '_ {
        self.runs.iter().map(|r| (r.first, r.last))
    }
    /// Number of runs: what the set costs.
    pub fn run_count(&self) -> usize {
        self.runs.len()
    }
    /// All numbers, rising.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.runs.iter().flat_map(|r| r.first..=r.last)
    }
    /// The smallest number.
    pub fn first(&self) -> Option<u32> {
        self.runs.first().map(|r| r.first)
    }
    /// The largest number.
    pub fn last(&self) -> Option<u32> {
        self.runs.last().map(|r| r.last)
    }
    /// The 1-based position of `v` (an IMAP sequence number when this is a folder's UIDs).
    pub fn position(&self, v: u32) -> Option<u32> {
        let mut before = 0u32;
        for r in &self.runs {
            if v < r.first {
                return None;
            }
            if v <= r.last {
                return Some(before + (v - r.first) + 1);
            }
            before += r.last - r.first + 1;
        }
        None
    }
    /// The number at 1-based position `n`.
    pub fn nth(&self, n: u32) -> Option<u32> {
        let mut left = n.checked_sub(1)?;
        for r in &self.runs {
            let len = r.last - r.first + 1;
            if left < len {
                return Some(r.first + left);
            }
            left -= len;
        }
        None
    }
    /// The numbers in both sets.
    pub fn intersect(&self, other: &UidSet) -> UidSet {
        let (mut i, mut j, mut out) = (0, 0, UidSet::new());
        while let (Some(a), Some(b)) = (self.runs.get(i), other.runs.get(j)) {
            out.insert_range(a.first.max(b.first), a.last.min(b.last));
            if a.last < b.last { i += 1 } else { j += 1 }
        }
        out
    }
}

impl FromIterator<u32> for UidSet {
    fn from_iter<I: IntoIterator<Item = u32>>(iter: I) -> Self {
        let mut s = UidSet::new();
        for v in iter {
            s.insert(v);
        }
        s
    }
}

impl std::fmt::Display for UidSet {
    /// IMAP `sequence-set` form (RFC 3501 §9): `1:3,7`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, r) in self.runs.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            if r.first == r.last { write!(f, "{}", r.first)? } else { write!(f, "{}:{}", r.first, r.last)? }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::UidSet;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[derive(Clone, Debug)]
    enum Op {
        Insert(u32, u32),
        Remove(u32),
    }

    fn ops() -> impl Strategy<Value = Vec<Op>> {
        let v = prop_oneof![0u32..60, (u32::MAX - 5)..=u32::MAX];
        let op = prop_oneof![
            (v.clone(), 0u32..8).prop_map(|(a, n)| Op::Insert(a, a.saturating_add(n))),
            v.prop_map(Op::Remove)
        ];
        prop::collection::vec(op, 0..60)
    }

    fn build(ops: &[Op]) -> (UidSet, BTreeSet<u32>) {
        let (mut set, mut oracle) = (UidSet::new(), BTreeSet::new());
        for op in ops {
            match *op {
                Op::Insert(a, b) => {
                    set.insert_range(a, b);
                    oracle.extend(a..=b);
                }
                Op::Remove(v) => assert_eq!(set.remove(v), oracle.remove(&v)),
            }
        }
        (set, oracle)
    }

    proptest! {
        #[test]
        fn agrees_with_a_tree_of_numbers(a in ops(), b in ops()) {
            let (x, ox) = build(&a);
            let (y, oy) = build(&b);
            prop_assert_eq!(x.iter().collect::<Vec<_>>(), ox.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(x.len(), ox.len() as u64);
            prop_assert_eq!(x.intersect(&y).iter().collect::<BTreeSet<_>>(), &ox & &oy);
            for (i, v) in ox.iter().enumerate() {
                prop_assert_eq!(x.position(*v), Some(i as u32 + 1));
                prop_assert_eq!(x.nth(i as u32 + 1), Some(*v));
            }
            prop_assert_eq!(x.nth(ox.len() as u32 + 1), None);
            let runs: Vec<_> = x.ranges().collect();
            prop_assert!(runs.windows(2).all(|w| w[0].1 + 1 < w[1].0), "runs are disjoint and not adjacent");
        }
    }
}
