//! `zimbraPasswordLockout...`: an account whose password was guessed wrong too often is locked for a while, in the
//! directory, so that it is on all nodes. What is counted are the failures that this node saw or heard of
//! ([`crate::failures`]).

use crate::cache::Proof;
use crate::channel::Service;
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
/// Wrong passwords of an account that are remembered at most.
const SUPPRESSED_MAX: usize = 100;
/// How long a sign-in waits for the directory to take the change down.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);

/// Failures by account.
pub(crate) struct Lockouts {
    entries_max: usize,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    failures: BTreeMap<AccountId, Failures>,
    /// Accounts in the order they came in, for eviction.
    order: VecDeque<AccountId>,
}

impl Table {
    /// Gives the account its place in the order; the oldest goes.
    fn make_room(&mut self, account: AccountId, entries_max: usize) {
        if self.failures.contains_key(&account) {
            return;
        }
        while self.order.len() >= entries_max.max(1) {
            let Some(oldest) = self.order.pop_front() else { break };
            self.failures.remove(&oldest);
        }
        self.order.push_back(account);
    }
}

#[derive(Default)]
struct Failures {
    at: VecDeque<Instant>,
    /// Wrong passwords that do not count again.
    tried: VecDeque<Proof>,
}

impl Lockouts {
    pub(crate) fn new(entries_max: usize) -> Self {
        Lockouts { entries_max, table: Mutex::default() }
    }

    /// Counts a failure, and locks the account when there are too many. `wrong`: a keyed digest of what was tried.
    pub(crate) async fn failed(
        &self,
        directory: &dyn DirectoryApi,
        account: &Account,
        service: Service,
        wrong: Option<Proof>,
    ) {
        if account.effective("zimbraPasswordLockoutEnabled") != Some("TRUE") || account.status() != "active" {
            return;
        }
        let max = account.effective("zimbraPasswordLockoutMaxFailures").and_then(|v| v.parse().ok());
        // 0 locks nobody.
        let Some(max) = Some(max.unwrap_or(MAX_FAILURES).min(MAX_FAILURES_MAX)).filter(|max| *max > 0) else { return };
        if let Some(wrong) = wrong.filter(|_| suppresses(account, service))
            && self.was_tried(account, wrong)
        {
            return;
        }
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

    /// Another node saw a failure.
    pub(crate) fn heard(&self, account: AccountId) {
        self.count(account, Duration::ZERO, MAX_FAILURES_MAX);
    }

    /// Another node saw a success.
    pub(crate) fn heard_success(&self, account: AccountId) {
        self.forget(account);
    }

    /// Whether the account failed with this very password lately: a program that keeps trying an old one guesses nothing
    /// (`zimbraPasswordLockoutSuppressionCacheSize` of them are remembered).
    fn was_tried(&self, account: &Account, wrong: Proof) -> bool {
        let size = account.effective("zimbraPasswordLockoutSuppressionCacheSize").and_then(|v| v.parse().ok());
        let size = size.unwrap_or(1_usize).min(SUPPRESSED_MAX);
        let Ok(mut table) = self.table.lock() else { return false };
        let table = &mut *table;
        table.make_room(account.id, self.entries_max);
        let failures = table.failures.entry(account.id).or_default();
        if failures.tried.contains(&wrong) {
            return true;
        }
        failures.tried.push_back(wrong);
        while failures.tried.len() > size {
            failures.tried.pop_front();
        }
        false
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
        table.make_room(account, self.entries_max);
        let failures = &mut table.failures.entry(account).or_default().at;
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
            *failures = Failures::default();
        }
    }
}

/// `zimbraPasswordLockoutSuppression...`; only `zsync` is on the list by itself, which is no protocol of this server.
fn suppresses(account: &Account, service: Service) -> bool {
    let protocols = account.effective_all("zimbraPasswordLockoutSuppressionProtocols");
    account.effective("zimbraPasswordLockoutSuppressionEnabled") != Some("FALSE")
        && service.suppression().is_some_and(|name| protocols.iter().any(|p| p == name))
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
