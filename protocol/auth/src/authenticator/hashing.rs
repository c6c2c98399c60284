//! Comparing passwords with hashes: as many at a time as there are threads for it, the others in a bounded queue.

use super::{AuthError, Authenticator};
use crate::password::{PASSWORD_BYTES_MAX, verify_password};
use crate::scram_keys::ScramKeys;
use std::sync::atomic::{AtomicUsize, Ordering};
use zcluster_api::directory::Account;
use zeroize::Zeroizing;

/// Values of `userPassword` that are tried: each costs a hash.
const PASSWORDS_MAX: usize = 4;

/// Which stored value a password belongs to.
pub(super) enum Match {
    /// None.
    None,
    /// This one.
    Stored(String),
    /// One of them: it was found a while ago.
    Remembered,
}

impl Authenticator {
    /// The stored value that the password belongs to, if any; nothing is told of which one when it is remembered.
    pub(super) async fn matching(&self, account: Option<&Account>, password: &[u8]) -> Result<Match, AuthError> {
        let stored = account.map_or(&[][..], |a| a.attrs.all("userPassword"));
        let Some(account) = account.filter(|_| !password.is_empty() && !stored.is_empty()) else {
            self.burn(password).await?;
            return Ok(Match::None);
        };
        let proof = self.cache.proof(account.id, &stored.join("\0"), password);
        if self.cache.knows(&proof) {
            return Ok(Match::Remembered);
        }
        let candidates = to_try(stored);
        let found = self.hash_in_turn(candidates.clone(), password).await?;
        let Some(value) = found.and_then(|at| candidates.into_iter().nth(at)) else { return Ok(Match::None) };
        self.cache.remember(proof);
        Ok(Match::Stored(value))
    }

    /// Notes that the password belongs to one of these stored values.
    pub(super) fn remember(&self, account: &Account, stored: &[String], password: &[u8]) {
        self.cache.remember(self.cache.proof(account.id, &stored.join("\0"), password));
    }

    /// Spends the time a check would take.
    pub(super) async fn burn(&self, password: &[u8]) -> Result<(), AuthError> {
        self.hash_in_turn(vec![self.dummy.clone()], password).await.map(|_| ())
    }

    pub(super) async fn hash_in_turn(&self, stored: Vec<String>, password: &[u8]) -> Result<Option<usize>, AuthError> {
        let password = Zeroizing::new(password[..password.len().min(PASSWORD_BYTES_MAX + 1)].to_vec());
        self.in_turn(move || stored.iter().position(|s| verify_password(s, &password))).await
    }

    /// Work that costs what a hash costs, when it is its turn.
    pub(super) async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, AuthError> {
        let _turn = Waiting::enter(&self.waiting, self.config.queue + self.config.concurrency)?;
        let _permit = self.hashing.acquire().await.map_err(|_| AuthError::TryLater)?;
        zcluster_runtime::spawn_blocking(work).await.map_err(|_| AuthError::TryLater)
    }
}

/// The stored values that a password is compared with: SCRAM's keys only where there is nothing else, because they are of
/// a password whose hash stands beside them.
pub(super) fn to_try(stored: &[String]) -> Vec<String> {
    let (keys, hashes): (Vec<&String>, Vec<&String>) = stored.iter().partition(|v| ScramKeys::parse(v).is_some());
    let chosen = if hashes.is_empty() { keys } else { hashes };
    chosen.into_iter().take(PASSWORDS_MAX).cloned().collect()
}

/// A place among those that compute or wait; given back when dropped (a client may hang up meanwhile).
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicUsize, max: usize) -> Result<Self, AuthError> {
        let before = count.fetch_add(1, Ordering::Relaxed);
        let place = Waiting(count);
        if before >= max { Err(AuthError::TryLater) } else { Ok(place) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
