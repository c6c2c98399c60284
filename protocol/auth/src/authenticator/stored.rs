//! Signing in without a password of an account: the administrator that only LDAP knows, and certificates.

use super::hashing::to_try;
use super::{Attempt, AuthError, Authenticator};
use crate::channel::Service;
use std::net::IpAddr;
use zcluster_api::directory::Account;

impl Authenticator {
    /// Whether `password` is one of `stored` (hashes, as `userPassword` has them), with the same throttle, queue and
    /// bookkeeping as for accounts. `name` stands for the user; nothing stored verifies nothing.
    ///
    /// # Errors
    /// [`AuthError`].
    pub async fn verify_stored(
        &self,
        name: &str,
        stored: &[String],
        password: &[u8],
        peer: IpAddr,
        service: Service,
    ) -> Result<(), AuthError> {
        let attempt = Attempt::new(service, "password", peer, name);
        match self.check_stored(&attempt, stored, password).await {
            Ok(()) => {
                self.count(&attempt, "ok");
                tracing::debug!(protocol = service.name(), %peer, name, "signed in");
                Ok(())
            }
            Err(error) => Err(self.refuse(&attempt, error).await),
        }
    }

    /// The account that a client's certificate is made out to: the first of its addresses that has one, if it may sign
    /// in to `service`; an administrator may act as another (`authzid`).
    ///
    /// # Errors
    /// [`AuthError`].
    pub async fn verify_certificate(
        &self,
        addresses: &[String],
        authzid: Option<&str>,
        peer: IpAddr,
        service: Service,
    ) -> Result<Account, AuthError> {
        let user = addresses.first().map_or("", String::as_str);
        let attempt = Attempt::new(service, "EXTERNAL", peer, user);
        let result = self.check_certificate(addresses, authzid, service).await;
        self.conclude(&attempt, result).await
    }

    async fn check_certificate(
        &self,
        addresses: &[String],
        authzid: Option<&str>,
        service: Service,
    ) -> Result<Account, AuthError> {
        for address in addresses {
            if let Some(address) = self.full_address(address).await
                && let Some(account) = self.lookup(&address).await?
            {
                return self.admit(account, authzid, service).await;
            }
        }
        Err(AuthError::Invalid)
    }

    async fn check_stored(&self, attempt: &Attempt<'_>, stored: &[String], password: &[u8]) -> Result<(), AuthError> {
        let (name, peer) = (attempt.user, attempt.peer);
        if !self.throttle.allows(name, peer) {
            return Err(AuthError::TryLater);
        }
        let values = to_try(stored);
        let right = if values.is_empty() || password.is_empty() {
            self.burn(password).await?;
            false
        } else {
            self.hash_in_turn(values, password).await?.is_some()
        };
        if right {
            if self.throttle.succeeded(name, peer) {
                self.tell(name, peer, None, true);
            }
            return Ok(());
        }
        self.count_failure(name, peer, None);
        Err(AuthError::Invalid)
    }
}
