//! Who may sign in: passwords, tokens, account status, throttling, SASL.
//!
//! Checking an argon2 hash costs tens of milliseconds by design, so it runs on blocking threads behind a bounded queue,
//! and a password that was right is remembered for a while under a key that only this process has.
//!
//! `userPassword` may hold several values: hashes, each of which is a password, and beside them SCRAM's keys in the form
//! of RFC 5803. [`password_values`] makes both.

mod auth_token;
mod authenticator;
mod cache;
mod channel;
mod client;
mod external;
mod failures;
mod jwt;
mod lockout;
mod mechanism;
mod password;
mod policy;
mod preauth;
mod prepare;
mod provision;
mod sasl;
mod scram_keys;
mod sealed;
mod status;
mod throttle;
mod token;
mod two_factor;

pub use auth_token::{AUTH_TOKEN_BYTES_MAX, AuthToken};
pub use authenticator::{AuthConfig, AuthError, Authenticator, ChangeError, IssuedToken};
pub use channel::{Bindings, Channel, Service};
pub use client::ScramClient;
pub use external::{ExternalDirectory, ExternalEntry, ExternalError, ExternalQuery, ExternalServer};
pub use failures::{Herald, NEWS_MAX, News, Peer, encode_news};
pub use jwt::{JwtConfig, JwtVerifier};
pub use password::{
    HashParams, PASSWORD_BYTES_MAX, hash_password, hash_password_with, is_password_hash, password_values,
    scheme_not_supported, verify_password,
};
pub use policy::{
    Violation, check_new_password, check_password_strength, first_password_changes, password_changes,
    stored_password_changes,
};
pub use preauth::{PreAuth, new_preauth_key};
pub use provision::{ChooseShard, Polled, ProvisionError, Provisioner, poll_is_due};
pub use sasl::{Credentials, Exchange, RESPONSE_BYTES_MAX, SaslError, Step};
pub use status::generalized_time_ms;
pub use token::{TokenError, TokenHints, TokenUser, TokenVerifier};
pub use two_factor::{AppPassword, Enrolment, SecondFactorError, app_passwords};
