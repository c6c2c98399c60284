//! How many messages an account's filters may send on.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::time::Duration;
use zcluster_api::AccountId;
use zcluster_runtime::Instant;

/// The span that is counted.
const SPAN: Duration = Duration::from_secs(3600);
/// Accounts counted at a time; beyond it the counts start afresh.
const ACCOUNTS_MAX: usize = 100_000;

/// Counts per account and hour.
pub(crate) struct Limiter {
    max: u32,
    counts: Mutex<(Instant, BTreeMap<AccountId, u32>)>,
}

impl Limiter {
    /// At most `max` in an hour.
    pub fn new(max: u32) -> Self {
        Limiter { max, counts: Mutex::new((Instant::now(), BTreeMap::new())) }
    }

    /// Whether the account may send `wanted` more; if so they are counted.
    pub fn allows(&self, account: AccountId, wanted: u32) -> bool {
        let mut guard = self.counts.lock();
        let (since, counts) = &mut *guard;
        if since.elapsed() >= SPAN || counts.len() >= ACCOUNTS_MAX {
            *since = Instant::now();
            counts.clear();
        }
        let count = counts.entry(account).or_default();
        let allowed = count.saturating_add(wanted) <= self.max;
        if allowed {
            *count += wanted;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_its_own_count() {
        let limiter = Limiter::new(3);
        let (a, b) = (AccountId([1; 16]), AccountId([2; 16]));
        assert!(limiter.allows(a, 2));
        assert!(!limiter.allows(a, 2));
        assert!(limiter.allows(a, 1));
        assert!(!limiter.allows(a, 1));
        assert!(limiter.allows(b, 3));
    }
}
