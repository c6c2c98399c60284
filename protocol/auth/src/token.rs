//! Bearer tokens: who checks them is told from outside, so that this crate stays free of I/O.

use futures::future::BoxFuture;

/// Whom a token was given to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenUser {
    /// An address of the account.
    pub user: String,
}

/// Why a token is no good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Forged, expired, revoked, or for somebody else's service.
    #[error("invalid token")]
    Invalid,
    /// Genuine, but not for mail.
    #[error("token lacks a scope")]
    Scope,
    /// It cannot be found out now.
    #[error("tokens cannot be checked now")]
    Unavailable,
}

/// What a refused client is told of how to get a better token (RFC 7628 §3.2.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenHints {
    /// The scopes it needs, separated by spaces.
    pub scope: Option<String>,
    /// The issuer's `openid-configuration` document.
    pub discovery: Option<String>,
}

/// Checks bearer tokens.
pub trait TokenVerifier: Send + Sync + 'static {
    /// Whom a token belongs to. Tokens are shorter than [`crate::RESPONSE_BYTES_MAX`] and of RFC 6750's characters.
    fn verify<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<TokenUser, TokenError>>;

    /// What to tell a client whose token is refused.
    fn hints(&self) -> &TokenHints;
}
