//! A set of positions as a bitmap.

/// One bit for each of `len` positions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bits {
    words: Vec<u64>,
    len: usize,
}

impl Bits {
    /// All positions, or none.
    pub fn all(len: usize, set: bool) -> Self {
        let mut bits = Bits { words: vec![if set { u64::MAX } else { 0 }; len.div_ceil(64)], len };
        bits.trim();
        bits
    }

    /// The positions whose value in the column passes.
    pub fn of<T: Copy>(column: &[T], mut passes: impl FnMut(T) -> bool) -> Self {
        let mut words = Vec::with_capacity(column.len().div_ceil(64));
        for some in column.chunks(64) {
            words.push(some.iter().enumerate().fold(0, |word, (i, v)| word | u64::from(passes(*v)) << i));
        }
        Bits { words, len: column.len() }
    }

    /// Bits behind the end stay zero.
    fn trim(&mut self) {
        if let Some(last) = self.words.last_mut().filter(|_| !self.len.is_multiple_of(64)) {
            *last &= (1 << (self.len % 64)) - 1;
        }
    }

    pub fn set(&mut self, at: usize, value: bool) {
        let (word, bit) = (&mut self.words[at / 64], 1 << (at % 64));
        *word = if value { *word | bit } else { *word & !bit };
    }

    /// Sets `[from, to)`.
    pub fn set_range(&mut self, from: usize, to: usize) {
        let mut at = from;
        while at < to {
            if at.is_multiple_of(64) && to - at >= 64 {
                self.words[at / 64] = u64::MAX;
                at += 64;
            } else {
                self.set(at, true);
                at += 1;
            }
        }
    }

    pub fn get(&self, at: usize) -> bool {
        self.words[at / 64] & 1 << (at % 64) != 0
    }

    pub fn and(mut self, other: &Bits) -> Self {
        self.words.iter_mut().zip(&other.words).for_each(|(a, b)| *a &= b);
        self
    }

    pub fn or(mut self, other: &Bits) -> Self {
        self.words.iter_mut().zip(&other.words).for_each(|(a, b)| *a |= b);
        self
    }

    pub fn not(mut self) -> Self {
        self.words.iter_mut().for_each(|a| *a = !*a);
        self.trim();
        self
    }

    pub fn count(&self) -> usize {
        self.words.iter().map(|w| w.count_ones() as usize).sum()
    }

    /// The positions, rising.
    pub fn ones(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(at, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = left.trailing_zeros() as usize;
                let any = left != 0;
                left &= left.wrapping_sub(1);
                any.then_some(at * 64 + bit)
            })
        })
    }

    /// Leaves the values whose bit is set.
    pub fn retain<T>(&self, column: &mut Vec<T>) {
        let mut at = 0;
        column.retain(|_| {
            at += 1;
            self.get(at - 1)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_positions() {
        for len in [0, 1, 63, 64, 65, 200] {
            let all: Vec<usize> = (0..len).collect();
            let third = Bits::of(&all, |n| n % 3 == 0);
            assert_eq!(third.ones().collect::<Vec<_>>(), (0..len).step_by(3).collect::<Vec<_>>());
            assert_eq!(third.count(), len.div_ceil(3));
            assert_eq!(third.clone().or(&third.clone().not()), Bits::all(len, true));
            assert_eq!(third.clone().and(&third.clone().not()), Bits::all(len, false));
            assert_eq!(Bits::all(len, true).count(), len);
            let mut kept = all.clone();
            third.retain(&mut kept);
            assert!(kept.iter().copied().eq(third.ones()));
            let mut range = Bits::all(len, false);
            range.set_range(len / 5, len);
            assert!(range.ones().eq(len / 5..len));
        }
    }
}
