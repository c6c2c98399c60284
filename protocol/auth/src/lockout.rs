//! `zimbraPasswordLockout...`: an account whose password was guessed wrong too often is locked for a while, in the
//! directory, so that it is on all nodes. What is counted are the failures that this node saw.

use crate::status::{generalized_time, lockout_is_over};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::time::Duration;
use zcluster_api::directory::{Account, Modification, duration};
use zcluster_api::{AccountId, Actor, DirectoryApi, DirectoryCommand, RequestId};
use zcluster_runtime::Instant;

/// Failures that lock an account where the attribute says nothing.
const MAX_FAILURES: usize = 10;
/// The most an attribute may ask to be remembered.
const MAX_FAILURES_MAX: usize = 1_000;
/// How long a failure counts where the attribute says nothing.
const FAILURE_LIFETIME: Duration = Duration::from_secs(3_600);
/// How long a sign-in waits for the directory to take the change down.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);

/// Failures by account.
pub(crate) struct Lockouts {
    entries_max: usize,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    failures: BTreeMap<AccountId, VecDeque<Instant>>,
    /// Accounts in the order they came in, for eviction.
    order: VecDeque<AccountId>,
}

impl Lockouts {
    pub(crate) fn new(entries_max: usize) -> Self {
        Lockouts { entries_max, table: Mutex::default() }
    }

    /// Counts a failure, and locks the account when there are too many.
    pub(crate) async fn failed(&self, directory: &dyn DirectoryApi, account: &Account) {
        if account.effective("zimbraPasswordLockoutEnabled") != Some("TRUE") || account.status() != "active" {
            return;
        }
        let max = account.effective("zimbraPasswordLockoutMaxFailures").and_then(|v| v.parse().ok());
        // 0 locks nobody.
        let Some(max) = Some(max.unwrap_or(MAX_FAILURES).min(MAX_FAILURES_MAX)).filter(|max| *max > 0) else { return };
        let lifetime = account.effective("zimbraPasswordLockoutFailureLifetime").and_then(duration);
        if self.count(account.id, lifetime.unwrap_or(FAILURE_LIFETIME), max) < max {
            return;
        }
        let now = generalized_time(zcluster_runtime::wall_ms());
        let changes = vec![
            Modification::set("zimbraAccountStatus", "lockout"),
            Modification::set("zimbraPasswordLockoutLockedTime", now),
        ];
        if write(directory, account, changes).await {
            tracing::warn!(account = %account.name, failures = max, "account locked: too many failed sign-ins");
            self.forget(account.id);
        }
    }

    /// Forgets failures; an account whose lockout is over becomes active again.
    pub(crate) async fn succeeded(&self, directory: &dyn DirectoryApi, mut account: Account) -> Account {
        self.forget(account.id);
        if account.status() != "lockout" || !lockout_is_over(&account, zcluster_runtime::wall_ms()) {
            return account;
        }
        let changes = vec![
            Modification::set("zimbraAccountStatus", "active"),
            Modification::set("zimbraPasswordLockoutLockedTime", ""),
        ];
        // Not worth refusing for: the lockout is over with or without it.
        write(directory, &account, changes).await;
        account.attrs.set("zimbraAccountStatus", vec!["active".into()]);
        account
    }

    /// Adds a failure; how many there are within `lifetime` (zero: ever).
    fn count(&self, account: AccountId, lifetime: Duration, max: usize) -> usize {
        let Ok(mut guard) = self.table.lock() else { return 0 };
        let table = &mut *guard;
        let now = Instant::now();
        if !table.failures.contains_key(&account) {
            while table.order.len() >= self.entries_max.max(1) {
                let Some(oldest) = table.order.pop_front() else { break };
                table.failures.remove(&oldest);
            }
            table.order.push_back(account);
        }
        let failures = table.failures.entry(account).or_default();
        failures.push_back(now);
        while failures.len() > max || !lifetime.is_zero() && failures.front().is_some_and(|at| now - *at > lifetime) {
            failures.pop_front();
        }
        failures.len()
    }

    fn forget(&self, account: AccountId) {
        // Its place in the order stays, so that the two always hold the same accounts.
        let Ok(mut table) = self.table.lock() else { return };
        if let Some(failures) = table.failures.get_mut(&account) {
            failures.clear();
        }
    }
}

async fn write(directory: &dyn DirectoryApi, account: &Account, changes: Vec<Modification>) -> bool {
    let command = DirectoryCommand::ModifyAccount { id: account.id, changes };
    let request = RequestId(zcluster_runtime::random_bytes());
    let written = directory.write(Actor::System, request, command);
    match zcluster_runtime::timeout(WRITE_TIMEOUT, written).await {
        Ok(Ok(_)) => true,
        Ok(Err(error)) => {
            tracing::warn!(account = %account.name, %error, "cannot note a lockout");
            false
        }
        Err(_) => {
            tracing::warn!(account = %account.name, "cannot note a lockout in time");
            false
        }
    }
}
