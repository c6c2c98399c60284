//! Passwords found right a short while ago, so that a client that signs in every minute does not cost an argon2 each
//! time.
//!
//! What is kept is an HMAC under a key drawn at start: it tells nothing without the process's memory, and a changed
//! password (another stored hash) makes it miss.

use aws_lc_rs::hmac;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::time::Duration;
use zcluster_api::AccountId;
use zcluster_runtime::Instant;

/// The keyed digest of an account, its stored hash and a password.
pub type Proof = [u8; 32];

pub struct Cache {
    key: hmac::Key,
    entries_max: usize,
    ttl: Duration,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    until: BTreeMap<Proof, Instant>,
    /// In the order of expiry: each entry lives equally long.
    order: VecDeque<(Instant, Proof)>,
}

impl Cache {
    pub fn new(entries_max: usize, ttl: Duration) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &zcluster_runtime::random_bytes::<32>());
        Cache { key, entries_max, ttl, entries: Mutex::default() }
    }

    pub fn proof(&self, account: AccountId, stored: &str, password: &[u8]) -> Proof {
        let mut mac = hmac::Context::with_key(&self.key);
        mac.update(&account.0);
        // The length keeps hash and password apart.
        mac.update(&(stored.len() as u64).to_le_bytes());
        mac.update(stored.as_bytes());
        mac.update(password);
        let mut proof = [0; 32];
        proof.copy_from_slice(mac.sign().as_ref());
        proof
    }

    pub fn knows(&self, proof: &Proof) -> bool {
        let now = Instant::now();
        self.entries.lock().is_ok_and(|e| e.until.get(proof).is_some_and(|until| *until > now))
    }

    pub fn remember(&self, proof: Proof) {
        if self.entries_max == 0 {
            return;
        }
        let now = Instant::now();
        let Ok(mut e) = self.entries.lock() else { return };
        while let Some((until, oldest)) = e.order.front().copied() {
            if until > now && e.order.len() < self.entries_max {
                break;
            }
            e.order.pop_front();
            // A renewed proof stands further back once more.
            if e.until.get(&oldest) == Some(&until) {
                e.until.remove(&oldest);
            }
        }
        let until = now + self.ttl;
        e.until.insert(proof, until);
        e.order.push_back((until, proof));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_bounded_and_bound_to_account_hash_and_password() {
        let cache = Cache::new(3, Duration::from_secs(60));
        let a = AccountId([1; 16]);
        let right = cache.proof(a, "hash", b"password");
        cache.remember(right);
        assert!(cache.knows(&right));
        assert!(!cache.knows(&cache.proof(AccountId([2; 16]), "hash", b"password")));
        assert!(!cache.knows(&cache.proof(a, "other", b"password")));
        assert!(!cache.knows(&cache.proof(a, "hash", b"Password")));
        assert!(!cache.knows(&cache.proof(a, "hashp", b"assword")), "the seam between hash and password counts");
        for i in 0..10_u8 {
            cache.remember(cache.proof(a, "hash", &[i]));
        }
        assert!(!cache.knows(&right), "the oldest made room");
        let entries = cache.entries.lock().unwrap();
        assert_eq!((entries.until.len(), entries.order.len()), (3, 3));
    }

    #[test]
    fn forgets() {
        let cache = Cache::new(3, Duration::ZERO);
        let proof = cache.proof(AccountId([1; 16]), "hash", b"password");
        cache.remember(proof);
        assert!(!cache.knows(&proof));
    }
}
