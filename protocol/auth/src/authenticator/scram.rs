//! SCRAM: whose keys a proof is checked with, and what follows it.

use super::{Attempt, AuthError, Authenticator, Candidate};
use crate::scram_keys::{ScramKeys, mac};
use std::net::IpAddr;
use zcluster_api::directory::Account;

/// Bytes of a made-up salt; as many as [`crate::password_values`] draws.
const SALT_BYTES: usize = 16;

impl Authenticator {
    /// Whom a SCRAM exchange is about. An account without keys, and one that does not exist, get made-up keys: the same
    /// ones each time and on each node.
    pub(crate) async fn scram_candidate(&self, user: &str, peer: IpAddr) -> Result<Candidate, AuthError> {
        let address = self.full_address(user).await;
        let account = match &address {
            Some(address) if !self.throttle.allows(address, peer) => return Err(AuthError::TryLater),
            Some(address) => match self.lookup(address).await? {
                Some(account) if self.takes_scram(&account).await? => Some(account),
                _ => None,
            },
            None => None,
        };
        let made_up = self.made_up_keys(address.as_deref().unwrap_or(user)).await;
        let keys = account.as_ref().and_then(|a| a.attrs.all("userPassword").iter().find_map(|v| ScramKeys::parse(v)));
        Ok(match keys {
            Some(keys) => Candidate { user: address, account, keys },
            None => Candidate { user: address, account: None, keys: made_up },
        })
    }

    async fn made_up_keys(&self, user: &str) -> ScramKeys {
        let secret = self.settings().await.map_or(self.own_secret, |s| s.secret);
        let draw = |what: &str| mac(&secret, format!("{what} {user}").as_bytes());
        let salt = draw("salt").get(..SALT_BYTES).unwrap_or_default().to_vec();
        let iterations = self.config.hash.scram_iterations;
        ScramKeys { iterations, salt, stored: draw("stored"), server: draw("server") }
    }

    /// What follows a SCRAM exchange's last message. `attempt.user` is the candidate's address, if it has one.
    pub(crate) async fn proven(
        &self,
        attempt: &Attempt<'_>,
        account: Option<Account>,
        right: bool,
        authzid: Option<&str>,
    ) -> Result<Account, AuthError> {
        if attempt.user.is_empty() {
            attempt.because("no such account");
            return Err(AuthError::Invalid);
        }
        // Exchanges that were begun side by side must not outrun the throttle.
        if !self.throttle.allows(attempt.user, attempt.peer) {
            attempt.because("throttled");
            return Err(AuthError::TryLater);
        }
        let account = self.tally(attempt, attempt.user, account, right, None).await?;
        if crate::policy::must_change(&account, zcluster_runtime::wall_ms()) {
            self.admit(account, None, attempt.service).await?;
            return Err(AuthError::ChangePassword);
        }
        self.admit(account, authzid, attempt.service).await
    }
}
