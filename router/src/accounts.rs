//! Accounts decoded once per change of the directory: every delivery, login and mailbox call looks one up.

use moka::sync::Cache;
use std::sync::Arc;
use zcluster_api::directory::{Account, AccountBy};
use zcluster_api::{AccountId, DirectoryQuery, Result};
use zcluster_replica::Replicas;

#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    Id(AccountId),
    Address(String),
}

/// Accounts as this node's directory replica has them.
pub(crate) struct Accounts {
    replicas: Arc<Replicas>,
    /// The directory's version before the account was read; another version now makes the entry worthless.
    known: Cache<Key, (u64, Arc<Account>)>,
}

impl Accounts {
    pub fn new(replicas: Arc<Replicas>, most: u64) -> Self {
        Accounts { replicas, known: Cache::new(most) }
    }

    /// The account, from the local replica. `NotFound` may be out of date.
    pub fn get(&self, by: &AccountBy) -> Result<Arc<Account>> {
        let key = match by {
            AccountBy::Id(id) => Key::Id(*id),
            AccountBy::Address(a) => Key::Address(a.clone()),
        };
        let version = self.replicas.directory_version_now();
        if let Some((at, account)) = self.known.get(&key)
            && at == version
        {
            return Ok(account);
        }
        let account = self.replicas.read_directory(&DirectoryQuery::Account(by.clone()))?.into_account()?;
        let account = Arc::new(account);
        self.known.insert(key, (version, account.clone()));
        Ok(account)
    }
}
