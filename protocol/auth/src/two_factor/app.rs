//! Passwords for single programs, which know nothing of a second factor: drawn by us, so that they need no slow hash.
//!
//! A value of `zimbraAppSpecificPassword` is `NAME:CREATED:EXPIRES:HASH`: the name in base64, milliseconds since 1970 (0:
//! never), `{SSHA256}`.

use crate::password::verify_password;
use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use zcluster_api::directory::{Account, Attributes, duration};

/// The attribute.
pub(super) const ATTRIBUTE: &str = "zimbraAppSpecificPassword";
/// Letters of a password: 16 of 26 have 75 bits.
const LENGTH: std::ops::RangeInclusive<usize> = 16..=64;
/// Passwords of an account, whatever `zimbraMaxAppSpecificPasswords` says.
const COUNT_MAX: usize = 100;
/// Bytes of a name.
const NAME_BYTES_MAX: usize = 128;

/// What is shown of an app password; the password itself is shown once, when it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppPassword {
    /// What its owner calls the program.
    pub name: String,
    /// Unix milliseconds.
    pub created_ms: u64,
    /// Unix milliseconds; `None`: it stays good.
    pub expires_ms: Option<u64>,
}

pub(super) fn parse(stored: &str) -> Option<(AppPassword, &str)> {
    let mut parts = stored.splitn(4, ':');
    let name = String::from_utf8(URL_SAFE_NO_PAD.decode(parts.next()?).ok()?).ok()?;
    let (created_ms, expires_ms) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some((AppPassword { name, created_ms, expires_ms: (expires_ms != 0).then_some(expires_ms) }, parts.next()?))
}

/// A new one: what to show its owner, and what to store.
pub(super) fn make(account: &Account, config: &Attributes, name: &str, now_ms: u64) -> (String, String) {
    let length = config.get("zimbraAppSpecificPasswordLength").and_then(|v| v.parse().ok()).unwrap_or(0_usize);
    let password = letters(length.clamp(*LENGTH.start(), *LENGTH.end()));
    let salt: [u8; 16] = zcluster_runtime::random_bytes();
    let mut hash = digest::digest(&digest::SHA256, &[password.as_bytes(), &salt].concat()).as_ref().to_vec();
    hash.extend_from_slice(&salt);
    let lasts = account.effective("zimbraAppSpecificPasswordDuration").and_then(duration).filter(|d| !d.is_zero());
    let expires = lasts.map_or(0, |d| now_ms.saturating_add(u64::try_from(d.as_millis()).unwrap_or(u64::MAX)));
    let stored = format!("{}:{now_ms}:{expires}:{{SSHA256}}{}", URL_SAFE_NO_PAD.encode(name), STANDARD.encode(hash));
    (password, stored)
}

/// Which of the account's app passwords it is, if any. Spaces, which people add to read it out, do not count.
pub(crate) fn find(account: &Account, password: &[u8], now_ms: u64) -> Option<AppPassword> {
    let password: Vec<u8> = password.iter().copied().filter(|b| *b != b' ').collect();
    let stored = account.attrs.all(ATTRIBUTE).iter().take(COUNT_MAX).filter_map(|v| parse(v));
    let mut live = stored.filter(|(app, _)| app.expires_ms.is_none_or(|at| now_ms < at));
    live.find(|(_, hash)| verify_password(hash, &password)).map(|(app, _)| app)
}

pub(super) fn count_max(account: &Account) -> usize {
    let max = account.effective("zimbraMaxAppSpecificPasswords").and_then(|v| v.parse().ok());
    max.unwrap_or(25).min(COUNT_MAX)
}

pub(super) fn is_name(name: &str) -> bool {
    !name.trim().is_empty() && name.len() <= NAME_BYTES_MAX && !name.chars().any(char::is_control)
}

/// Random lower-case letters, each as likely as any other.
fn letters(count: usize) -> String {
    let mut out = String::with_capacity(count);
    while out.len() < count {
        let drawn: [u8; 32] = zcluster_runtime::random_bytes();
        // The largest multiple of 26 below 256.
        out.extend(drawn.iter().filter(|b| **b < 234).map(|b| char::from(b'a' + b % 26)).take(count - out.len()));
    }
    out
}
