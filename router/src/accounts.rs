//! Accounts decoded once per change of the directory: every delivery, login and mailbox call looks one up.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use zcluster_api::directory::{Account, AccountBy};
use zcluster_api::{AccountId, DirectoryQuery, Result};
use zcluster_replica::Replicas;

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Id(AccountId),
    Address(String),
    CatchAll(String),
}

/// Accounts as this node's directory replica has them.
pub(crate) struct Accounts {
    replicas: Arc<Replicas>,
    /// The directory's version before the account was read; another version now makes the entry worthless.
    known: Mutex<Recent<Key, (u64, Arc<Account>)>>,
}

impl Accounts {
    pub fn new(replicas: Arc<Replicas>, most: usize) -> Self {
        Accounts { replicas, known: Mutex::new(Recent::new(most)) }
    }

    /// The account, from the local replica. `NotFound` may be out of date.
    pub fn get(&self, by: &AccountBy) -> Result<Arc<Account>> {
        let key = match by {
            AccountBy::Id(id) => Key::Id(*id),
            AccountBy::Address(a) => Key::Address(a.clone()),
            AccountBy::CatchAll(domain) => Key::CatchAll(domain.clone()),
        };
        let version = self.replicas.directory_version_now();
        if let Some((at, account)) = self.known.lock().get(&key)
            && at == version
        {
            return Ok(account);
        }
        let account = self.replicas.read_directory(&DirectoryQuery::Account(by.clone()))?.into_account()?;
        let account = Arc::new(account);
        self.known.lock().put(key, (version, account.clone()));
        Ok(account)
    }
}

/// A bounded map that forgets what was not used lately: entries are young; when half the room is full of young ones
/// these become the old ones, and the old ones before them are forgotten. An old one that is used is young again. So a
/// look-up costs two searches and no list of uses, and, unlike in a cache with random hashing or a clock, what is
/// remembered depends on the calls alone.
struct Recent<K, V> {
    half: usize,
    young: BTreeMap<K, V>,
    old: BTreeMap<K, V>,
}

impl<K: Ord + Clone, V: Clone> Recent<K, V> {
    /// Room for `most` entries, for two at least.
    fn new(most: usize) -> Self {
        Recent { half: (most / 2).max(1), young: BTreeMap::new(), old: BTreeMap::new() }
    }

    fn get(&mut self, key: &K) -> Option<V> {
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        let (key, value) = self.old.remove_entry(key)?;
        self.put(key, value.clone());
        Some(value)
    }

    fn put(&mut self, key: K, value: V) {
        if self.young.len() >= self.half && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(&key);
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unused_go_first_and_the_bound_holds() {
        let mut recent = Recent::new(6);
        for n in 0..100u32 {
            recent.put(n, n);
            assert_eq!(recent.get(&0), Some(0), "used all the time");
            assert_eq!(recent.get(&n), Some(n));
            assert!(recent.young.len() + recent.old.len() <= 6);
        }
        assert_eq!(recent.get(&90), None);
        recent.put(99, 7);
        assert_eq!(recent.get(&99), Some(7));
    }
}
