//! Who may sign in: passwords, tokens, account status, throttling, SASL.
//!
//! Checking an argon2 hash costs tens of milliseconds by design, so it runs on blocking threads behind a bounded queue,
//! and a password that was right is remembered for a while under a key that only this process has.
//!
//! `userPassword` may hold several values: hashes, each of which is a password, and beside them SCRAM's keys in the form
//! of RFC 5803. [`password_values`] makes both.

mod authenticator;
mod cache;
mod channel;
mod client;
mod jwt;
mod lockout;
mod mechanism;
mod password;
mod prepare;
mod sasl;
mod scram_keys;
mod status;
mod throttle;
mod token;

pub use authenticator::{AuthConfig, AuthError, Authenticator};
pub use channel::{Bindings, Channel, Service};
pub use client::ScramClient;
pub use jwt::{JwtConfig, JwtVerifier};
pub use password::{
    HashParams, PASSWORD_BYTES_MAX, hash_password, hash_password_with, is_password_hash, password_values,
    verify_password,
};
pub use sasl::{Credentials, Exchange, RESPONSE_BYTES_MAX, SaslError, Step};
pub use status::generalized_time_ms;
pub use token::{TokenError, TokenHints, TokenUser, TokenVerifier};
