//! Bearer tokens of others (OAUTHBEARER, XOAUTH2).

use super::{Attempt, AuthError, Authenticator};
use crate::token::TokenError;
use zcluster_api::directory::Account;

impl Authenticator {
    /// The account that a bearer token belongs to; `attempt.user` says as whom the client wants to act (empty: as
    /// itself). With the error comes what is wrong with the token, if that is it.
    pub(crate) async fn verify_token(
        &self,
        attempt: &Attempt<'_>,
        token: &str,
    ) -> Result<Account, (AuthError, Option<TokenError>)> {
        let (result, why) = match self.check_token(attempt, token).await {
            Ok(account) => (Ok(account), None),
            Err((error, why)) => (Err(error), why),
        };
        self.conclude(attempt, result).await.map_err(|error| (error, why))
    }

    async fn check_token(
        &self,
        attempt: &Attempt<'_>,
        token: &str,
    ) -> Result<Account, (AuthError, Option<TokenError>)> {
        let plainly = |error| (error, None);
        let Some(verifier) = &self.tokens else { return Err(plainly(AuthError::Invalid)) };
        // What is not an address is counted for the place alone.
        let claimed = self.full_address(attempt.user).await.unwrap_or_default();
        if !self.throttle.allows(&claimed, attempt.peer) {
            attempt.because("throttled");
            return Err(plainly(AuthError::TryLater));
        }
        // An empty token only asks what a good one is (RFC 7628 §4.3).
        let checked = if token.is_empty() { Err(TokenError::Invalid) } else { verifier.verify(token).await };
        let found = match checked {
            Ok(found) => match self.full_address(&found.user).await {
                Some(address) => self.lookup(&address).await.map_err(plainly)?,
                None => None,
            },
            Err(TokenError::Unavailable) => return Err(plainly(AuthError::TryLater)),
            Err(why) => {
                attempt.because("bad token");
                if !token.is_empty() {
                    self.count_failure(&claimed, attempt.peer, None);
                }
                return Err((AuthError::Invalid, Some(why)));
            }
        };
        let Some(account) = found else {
            attempt.because("token of nobody");
            self.count_failure(&claimed, attempt.peer, None);
            return Err((AuthError::Invalid, Some(TokenError::Invalid)));
        };
        self.throttle.succeeded(&claimed, attempt.peer);
        self.admit(account, Some(attempt.user), attempt.service).await.map_err(plainly)
    }
}
