//! How often a key was asked for of late, roughly, in a fixed space: a count-min sketch whose counts are halved now and then.

use super::Key;

const ROWS: usize = 4;
const COUNT_MAX: u8 = 15;

pub(super) struct Frequency {
    rows: Vec<u8>,
    /// Columns less one; a power of two less one.
    mask: usize,
    seen: usize,
}

impl Frequency {
    /// For a cache of so many blocks.
    pub(super) fn new(blocks: usize) -> Self {
        let columns = blocks.clamp(64, 1 << 24).next_power_of_two();
        Frequency { rows: vec![0; columns * ROWS], mask: columns - 1, seen: 0 }
    }

    fn places(&self, key: &Key) -> [usize; ROWS] {
        // Keys are hashes already: each row takes other bits of them.
        std::array::from_fn(|row| {
            let bits = u32::from_le_bytes(std::array::from_fn(|i| key[row * 4 + i])) as usize;
            row * (self.mask + 1) + (bits & self.mask)
        })
    }

    /// It was asked for once more.
    pub(super) fn seen(&mut self, key: &Key) {
        for place in self.places(key) {
            self.rows[place] = (self.rows[place] + 1).min(COUNT_MAX);
        }
        self.seen += 1;
        if self.seen >= (self.mask + 1) * 10 {
            self.seen /= 2;
            self.rows.iter_mut().for_each(|count| *count /= 2);
        }
    }

    /// About how often.
    pub(super) fn of(&self, key: &Key) -> u8 {
        self.places(key).into_iter().map(|place| self.rows[place]).min().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::key;

    #[test]
    fn counts_are_near_and_fade() {
        let mut frequency = Frequency::new(1024);
        let (often, once, never) = (key("v", "a", 0), key("v", "b", 0), key("v", "c", 0));
        (0..9).for_each(|_| frequency.seen(&often));
        frequency.seen(&once);
        assert_eq!((frequency.of(&often), frequency.of(&once), frequency.of(&never)), (9, 1, 0));
        (0..20_000).for_each(|n| frequency.seen(&key("other", "o", n)));
        assert!(frequency.of(&often) < 9 + 15);
        let mut few = Frequency::new(0);
        (0..640).for_each(|_| few.seen(&often));
        assert!(few.of(&often) <= COUNT_MAX && few.seen == 320);
    }
}
