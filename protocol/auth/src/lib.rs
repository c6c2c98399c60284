//! Who may sign in: passwords, account status, throttling, SASL.
//!
//! Checking an argon2 hash costs tens of milliseconds by design, so it runs on blocking threads behind a bounded queue,
//! and a password that was right is remembered for a while under a key that only this process has.

mod authenticator;
mod cache;
mod password;
mod sasl;
mod throttle;

pub use authenticator::{AuthConfig, AuthError, Authenticator};
pub use password::{
    HashParams, PASSWORD_BYTES_MAX, hash_password, hash_password_with, is_password_hash, verify_password,
};
pub use sasl::{Credentials, Exchange, MECHANISMS, SaslError, Step};
