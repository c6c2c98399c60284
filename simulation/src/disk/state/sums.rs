//! A sum over the rows of each generation of each group, kept up to date with every change: two replicas that hold the
//! same rows have the same sum, however they came to them.

use std::collections::BTreeMap;
use zcluster_api::GroupId;
use zcluster_replica::engine::Column;
use zcluster_replica::layout;

/// Odd numbers without pattern: digits of the golden ratio, pi, e and the square root of 2.
const SECRETS: [u64; 4] = [0x9e37_79b9_7f4a_7c15, 0x2438_6a88_85a3_08d3, 0xb7e1_5162_8aed_2a6b, 0x6a09_e667_f3bc_c909];

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

/// Two independent lanes of multiply-and-fold: not against an adversary, but no two different rows will meet by chance.
struct Mixer(u64, u64);

impl Mixer {
    fn word(&mut self, word: u64) {
        self.0 = fold(self.0 ^ word, SECRETS[0]).wrapping_add(word);
        self.1 = fold(self.1.rotate_left(29) ^ word, SECRETS[1]).wrapping_sub(word);
    }
    fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            self.word(u64::from_le_bytes(word.try_into().unwrap_or_default()));
        }
        let rest = words.remainder();
        if !rest.is_empty() {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            self.word(u64::from_le_bytes(word));
        }
    }
    fn end(self) -> u128 {
        let (a, b) = (fold(self.0 ^ SECRETS[2], SECRETS[3]), fold(self.1 ^ SECRETS[3], SECRETS[2]));
        (u128::from(a) << 64) | u128::from(b)
    }
}

/// A row's hash: of its column, of its key without group and generation, and of its value.
pub(super) fn row(column: Column, key: &[u8], value: &[u8]) -> u128 {
    let own = layout::split(key).map_or(key, |(_, _, own)| own);
    let mut mixer = Mixer(SECRETS[2], SECRETS[3]);
    mixer.word(u64::from(column.code()));
    mixer.bytes(own);
    mixer.bytes(value);
    mixer.end()
}

/// The sums of all generations that have rows.
#[derive(Default)]
pub(super) struct Sums(BTreeMap<(GroupId, u32), Sum>);

#[derive(Default)]
struct Sum {
    rows: u64,
    sum: u128,
}

impl Sums {
    /// A row of this hash is there now.
    pub fn add(&mut self, key: &[u8], hash: u128) {
        let Some((group, generation, _)) = layout::split(key) else { return };
        let sum = self.0.entry((group, generation)).or_default();
        sum.rows += 1;
        sum.sum = sum.sum.wrapping_add(hash);
    }
    /// A row of this hash is gone.
    pub fn remove(&mut self, key: &[u8], hash: u128) {
        let Some((group, generation, _)) = layout::split(key) else { return };
        let Some(sum) = self.0.get_mut(&(group, generation)) else { return };
        sum.rows -= 1;
        sum.sum = sum.sum.wrapping_sub(hash);
        if sum.rows == 0 {
            self.0.remove(&(group, generation));
        }
    }
    /// A generation's sum; 0 where no rows are.
    pub fn get(&self, group: GroupId, generation: u32) -> u128 {
        self.0.get(&(group, generation)).map_or(0, |s| s.sum)
    }
}
