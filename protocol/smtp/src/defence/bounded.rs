//! A map that forgets what was used longest ago.

use std::collections::BTreeMap;

/// At most so many entries.
pub struct Bounded<K, V> {
    max: usize,
    entries: BTreeMap<K, (V, u64)>,
    by_use: BTreeMap<u64, K>,
    uses: u64,
}

impl<K: Ord + Clone, V> Bounded<K, V> {
    /// An empty one.
    pub fn new(max: usize) -> Self {
        Bounded { max: max.max(1), entries: BTreeMap::new(), by_use: BTreeMap::new(), uses: 0 }
    }

    /// The value, which counts as used.
    pub fn get(&mut self, key: &K) -> Option<&mut V> {
        let (value, used) = self.entries.get_mut(key)?;
        self.uses += 1;
        if let Some(key) = self.by_use.remove(used) {
            self.by_use.insert(self.uses, key);
        }
        *used = self.uses;
        Some(value)
    }

    /// The value, made if it is not there.
    pub fn get_or_insert(&mut self, key: &K, make: impl FnOnce() -> V) -> &mut V {
        self.uses += 1;
        let used = self.uses;
        if !self.entries.contains_key(key)
            && self.entries.len() >= self.max
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            self.entries.remove(&oldest);
        }
        let (value, at) = self.entries.entry(key.clone()).or_insert_with(|| (make(), used));
        self.by_use.remove(at);
        *at = used;
        self.by_use.insert(used, key.clone());
        value
    }

    /// How many there are.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_was_not_used_goes_first() {
        let mut map = Bounded::new(2);
        map.get_or_insert(&1, || 'a');
        map.get_or_insert(&2, || 'b');
        assert_eq!(map.get(&1), Some(&mut 'a'));
        map.get_or_insert(&3, || 'c');
        assert_eq!((map.get(&2).copied(), map.len()), (None, 2));
        assert_eq!(*map.get_or_insert(&1, || 'z'), 'a');
    }

    proptest! {
        #[test]
        fn never_more_than_allowed(keys in proptest::collection::vec(0..20u8, 0..200), max in 1..10usize) {
            let mut map = Bounded::new(max);
            for key in keys {
                map.get_or_insert(&key, || key);
                prop_assert!(map.len() <= max && map.by_use.len() == map.len());
                prop_assert_eq!(map.get(&key).copied(), Some(key));
            }
        }
    }
}
