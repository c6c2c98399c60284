//! Accounts decoded once per change of the directory: every delivery, login and mailbox call looks one up.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use zcluster_api::directory::{Account, AccountBy, Attributes, Cluster, ObjectBy, inheritable};
use zcluster_api::{AccountId, DirectoryQuery, DirectoryReply, Error, Result};
use zcluster_replica::{Bare, Replicas};

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Id(AccountId),
    Address(String),
    CatchAll(String),
}

/// Classes of service kept.
const COS_MAX: usize = 512;
/// Domains kept. With fewer than are in use, accounts kept at the same time no longer share theirs.
const DOMAINS_MAX: usize = 4_096;

/// Accounts as this node's directory replica has them.
pub(crate) struct Accounts {
    replicas: Arc<Replicas>,
    /// The directory's version before the account was read; another version now makes the entry worthless.
    known: Mutex<Recent<Key, (u64, Arc<Account>)>>,
    /// What accounts inherit, decoded once per change of the directory and shared: a COS has hundreds of attributes.
    cos: Mutex<Recent<AccountId, (u64, Arc<Attributes>)>>,
    domains: Mutex<Recent<String, (u64, Arc<Attributes>)>>,
    /// The cluster with its global config: asked for with every message.
    cluster: Mutex<Option<(u64, Cluster)>>,
}

impl Accounts {
    pub fn new(replicas: Arc<Replicas>, most: usize) -> Self {
        Accounts {
            replicas,
            known: Mutex::new(Recent::new(most)),
            cos: Mutex::new(Recent::new(COS_MAX)),
            domains: Mutex::new(Recent::new(DOMAINS_MAX)),
            cluster: Mutex::new(None),
        }
    }

    /// The cluster, from the local replica.
    pub fn cluster(&self) -> Result<DirectoryReply> {
        let version = self.replicas.directory_version_now();
        if let Some((at, cluster)) = self.cluster.lock().as_ref()
            && *at == version
        {
            return Ok(DirectoryReply::Cluster(cluster.clone()));
        }
        let reply = self.replicas.read_directory(&DirectoryQuery::Cluster)?;
        if let DirectoryReply::Cluster(cluster) = &reply {
            *self.cluster.lock() = Some((version, cluster.clone()));
        }
        Ok(reply)
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
        let Bare { mut account, cos, domain } = self.replicas.read_account(by)?;
        // A delivery asks by address, then by id: both lead to one account in memory.
        let id = Key::Id(account.id);
        let mut known = self.known.lock();
        if let Some((at, same)) = known.get(&id)
            && at == version
        {
            known.put(key, (version, same.clone()));
            return Ok(same);
        }
        drop(known);
        let read = |query: DirectoryQuery| self.replicas.read_directory(&query);
        if let Some(id) = cos {
            let read = || match read(DirectoryQuery::Object(ObjectBy::Id(id))) {
                Ok(reply) => reply.into_object().map(|o| inheritable(o.attrs)),
                Err(e) => or_none(e),
            };
            account.cos = Some(shared(&self.cos, id, version, read)?);
        }
        let name = domain.clone();
        let read = || match read(DirectoryQuery::Domain(name)) {
            Ok(DirectoryReply::Domain(d)) => Ok(d.attrs),
            Ok(_) => Ok(Attributes::new()),
            Err(e) => or_none(e),
        };
        account.domain = Some(shared(&self.domains, domain, version, read)?);
        let account = Arc::new(account);
        let mut known = self.known.lock();
        known.put(id, (version, account.clone()));
        known.put(key, (version, account.clone()));
        Ok(account)
    }
}

fn or_none(error: Error) -> Result<Attributes> {
    if matches!(error, Error::NotFound(_)) { Ok(Attributes::new()) } else { Err(error) }
}

/// What is known at this version, or is read now.
fn shared<K: Ord + Clone>(
    known: &Mutex<Recent<K, (u64, Arc<Attributes>)>>,
    key: K,
    version: u64,
    read: impl FnOnce() -> Result<Attributes>,
) -> Result<Arc<Attributes>> {
    let before = known.lock().get(&key);
    if let Some((at, attrs)) = &before
        && *at == version
    {
        return Ok(attrs.clone());
    }
    let attrs = read()?;
    // Accounts that are kept go on sharing what has not changed.
    let attrs = match before {
        Some((_, same)) if *same == attrs => same,
        _ => Arc::new(attrs),
    };
    known.lock().put(key, (version, attrs.clone()));
    Ok(attrs)
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
