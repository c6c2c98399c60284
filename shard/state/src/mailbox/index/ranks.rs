//! The place of each message in the order of one SORT criterion, as a number: two messages compare as their numbers do.
//! What is compared never changes, so that only messages that come and go change anything.

use super::bits::Bits;
use zcluster_api::{Error, Result};

/// Bytes of comparison strings that are held while an order is found.
const BYTES_MAX: usize = 512 << 20;

#[derive(Clone, Debug, Default)]
pub(crate) struct Ranks {
    pub rank: Vec<u32>,
    /// All ranks are below.
    pub below: u32,
}

/// Comparison strings, of which ranks are made.
#[derive(Default)]
pub(crate) struct Strings {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

/// A comparison string: its first bytes as a number, where it lies, and whose it is.
struct Entry {
    front: u64,
    from: usize,
    to: usize,
    at: u32,
}

impl Strings {
    /// # Errors
    /// `TooLarge` beyond [`BYTES_MAX`].
    pub fn add(&mut self, at: usize, write: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        let from = self.bytes.len();
        if from > BYTES_MAX {
            return Err(Error::TooLarge("too much to put in order".into()));
        }
        write(&mut self.bytes);
        let to = self.bytes.len();
        let mut front = [0; 8];
        front.iter_mut().zip(&self.bytes[from..to]).for_each(|(f, b)| *f = *b);
        self.entries.push(Entry { front: u64::from_be_bytes(front), from, to, at: at as u32 });
        Ok(())
    }

    fn of(&self, e: &Entry) -> &[u8] {
        self.bytes.get(e.from..e.to).unwrap_or_default()
    }

    fn sort(&mut self) {
        let mut entries = std::mem::take(&mut self.entries);
        entries.sort_unstable_by(|a, b| a.front.cmp(&b.front).then_with(|| self.of(a).cmp(self.of(b))));
        self.entries = entries;
    }

    /// Every message's rank; each has been added.
    pub fn ranks(mut self) -> Ranks {
        self.sort();
        let mut ranks = Ranks { rank: vec![0; self.entries.len()], below: 0 };
        let mut before: Option<&Entry> = None;
        for entry in &self.entries {
            if before.is_none_or(|b| b.front != entry.front || self.of(b) != self.of(entry)) {
                ranks.below += 1;
            }
            ranks.rank[entry.at as usize] = ranks.below - 1;
            before = Some(entry);
        }
        ranks
    }
}

impl Ranks {
    pub fn bytes(&self) -> usize {
        self.rank.len() * 4
    }

    pub fn retain(&mut self, kept: &Bits) {
        kept.retain(&mut self.rank);
    }

    /// Adds messages behind those there are, in the order of their positions. `key` tells the comparison string of one
    /// that was there.
    ///
    /// # Errors
    /// Those of `key`.
    pub fn add(&mut self, mut new: Strings, key: impl Fn(usize) -> Result<Vec<u8>>) -> Result<()> {
        const NONE: u32 = u32::MAX;
        // One message of each rank that is still in use, by rank.
        let mut first = vec![NONE; self.below as usize];
        for (at, rank) in self.rank.iter().enumerate() {
            first[*rank as usize] = at as u32;
        }
        let used: Vec<u32> = first.iter().copied().filter(|at| *at != NONE).collect();
        new.sort();
        // For each new message: the place among `used` at which it stands, or before which it belongs, and how many
        // places have been made before.
        let (mut shifts, mut ranks) = (vec![0u32; used.len() + 1], vec![0; new.entries.len()]);
        let (mut made, mut before): (u32, Option<(&Entry, u32)>) = (0, None);
        let base = self.rank.len();
        for entry in &new.entries {
            let text = new.of(entry);
            let rank = match before {
                Some((b, rank)) if new.of(b) == text => rank,
                _ => {
                    let (mut low, mut high, mut there) = (0, used.len(), false);
                    while low < high {
                        let middle = low.midpoint(high);
                        match key(used[middle] as usize)?.as_slice().cmp(text) {
                            std::cmp::Ordering::Less => low = middle + 1,
                            std::cmp::Ordering::Greater => high = middle,
                            std::cmp::Ordering::Equal => (low, high, there) = (middle, middle, true),
                        }
                    }
                    let rank = low as u32 + made;
                    if !there {
                        shifts[low] += 1;
                        made += 1;
                    }
                    rank
                }
            };
            before = Some((entry, rank));
            if let Some(place) = (entry.at as usize).checked_sub(base).and_then(|i| ranks.get_mut(i)) {
                *place = rank;
            }
        }
        // Where each old rank goes.
        let (mut to, mut next, mut shift) = (first, 0, 0);
        for rank in &mut to {
            if *rank != NONE {
                shift += shifts[next];
                *rank = next as u32 + shift;
                next += 1;
            }
        }
        self.rank.iter_mut().for_each(|rank| *rank = to[*rank as usize]);
        self.rank.append(&mut ranks);
        self.below = used.len() as u32 + made;
        Ok(())
    }

    /// Puts positions in order; equal ones stay as they are.
    pub fn sort(&self, positions: &mut Vec<u32>, reverse: bool) {
        let of = |at: u32| {
            let rank = self.rank[at as usize];
            if reverse { self.below - 1 - rank } else { rank }
        };
        if positions.len() < self.below as usize / 8 {
            positions.sort_by_key(|at| of(*at));
            return;
        }
        // As many as each rank has, then where each begins.
        let mut begin = vec![0u32; self.below as usize + 1];
        positions.iter().for_each(|at| begin[of(*at) as usize + 1] += 1);
        for i in 1..begin.len() {
            begin[i] += begin[i - 1];
        }
        let mut out = vec![0; positions.len()];
        for at in positions.iter() {
            let place = &mut begin[of(*at) as usize];
            out[*place as usize] = *at;
            *place += 1;
        }
        *positions = out;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn strings(list: &[String], from: usize) -> Strings {
        let mut strings = Strings::default();
        for (at, text) in list.iter().enumerate().skip(from) {
            strings.add(at, |out| out.extend_from_slice(text.as_bytes())).unwrap();
        }
        strings
    }

    proptest! {
        #[test]
        fn ranks_compare_as_the_texts_do(
            rounds in prop::collection::vec((prop::collection::vec("[ab]{0,10}", 0..6), any::<u16>()), 1..8),
            reverse: bool,
        ) {
            let mut list: Vec<String> = Vec::new();
            let mut ranks = Ranks::default();
            for (new, gone) in rounds {
                let kept: Vec<usize> = (0..list.len()).collect();
                let kept = Bits::of(&kept, |at| gone & 1 << (at % 16) == 0);
                kept.retain(&mut list);
                ranks.retain(&kept);
                let old = list.len();
                list.extend(new);
                ranks.add(strings(&list, old), |at| Ok(list[at].clone().into_bytes())).unwrap();
                for (a, x) in list.iter().zip(&ranks.rank) {
                    prop_assert!(*x < ranks.below);
                    for (b, y) in list.iter().zip(&ranks.rank) {
                        prop_assert_eq!(a.cmp(b), x.cmp(y));
                    }
                }
                let anew = strings(&list, 0).ranks();
                prop_assert_eq!(&anew.rank, &ranks.rank);
                for some in [1, 2, 20] {
                    let mut order: Vec<u32> = (0..list.len() as u32).step_by(some).collect();
                    let mut plain = order.clone();
                    ranks.sort(&mut order, reverse);
                    plain.sort_by(|a, b| {
                        let order = list[*a as usize].cmp(&list[*b as usize]);
                        if reverse { order.reverse() } else { order }
                    });
                    prop_assert_eq!(order, plain);
                }
            }
        }
    }
}
